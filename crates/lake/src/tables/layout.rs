//! The Parquet settings of files that look-ups read by their first column.

use crate::limits::{ROW_GROUP_ROWS, WRITE_BATCH_ROWS};
use gridtrail_runs::PAGE_ROWS;
use parquet::file::properties::{
    BloomFilterPosition, EnabledStatistics, WriterProperties, WriterPropertiesBuilder, WriterVersion,
};
use parquet::schema::types::ColumnPath;

/// Settings with a bloom filter and a page index on the key, and without dictionaries: a look-up reads no page but those of its rows.
pub(crate) fn by_key(key: &str, false_positives: f64) -> WriterPropertiesBuilder {
    let key = ColumnPath::from(key);
    WriterProperties::builder()
        .set_writer_version(WriterVersion::PARQUET_2_0)
        .set_bloom_filter_position(BloomFilterPosition::End)
        .set_dictionary_enabled(false)
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
        .set_data_page_row_count_limit(PAGE_ROWS)
        .set_write_batch_size(WRITE_BATCH_ROWS)
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_column_statistics_enabled(key.clone(), EnabledStatistics::Page)
        .set_column_bloom_filter_enabled(key.clone(), true)
        .set_column_bloom_filter_fpp(key, false_positives)
}
