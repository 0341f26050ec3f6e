use super::*;
use arrow::array::{ArrayRef, BinaryArray, Int64Array, RecordBatch};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use parquet::basic::Encoding;
use parquet::file::metadata::PageIndexPolicy;
use parquet::file::properties::{WriterProperties, WriterVersion};
use parquet::schema::types::ColumnPath;
use proptest::prelude::*;
use std::sync::Arc;

/// Rows of a page.
const PAGE: usize = 8;

/// The chunks of a file of one row group.
fn chunks(columns: Vec<(&str, ArrayRef)>) -> Vec<Chunk> {
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let path = |name: &str| ColumnPath::from(name);
    let layout = WriterProperties::builder()
        .set_writer_version(WriterVersion::PARQUET_2_0)
        .set_compression(Compression::LZ4_RAW)
        .set_data_page_row_count_limit(PAGE)
        .set_write_batch_size(PAGE)
        .set_dictionary_enabled(false)
        // With room for few words: what comes later is PLAIN.
        .set_dictionary_page_size_limit(40)
        .set_column_dictionary_enabled(path("word"), true)
        .set_column_encoding(path("key"), Encoding::PLAIN)
        .set_column_encoding(path("word"), Encoding::PLAIN)
        .set_column_encoding(path("number"), Encoding::DELTA_BINARY_PACKED)
        .set_column_encoding(path("text"), Encoding::DELTA_LENGTH_BYTE_ARRAY)
        .build();
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), Some(layout)).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    let bytes = Bytes::from(bytes);
    let options = ArrowReaderOptions::new().with_page_index_policy(PageIndexPolicy::Required);
    let metadata = ArrowReaderMetadata::load(&bytes, options).unwrap();
    let group = metadata.metadata().row_group(0);
    let index = &metadata.metadata().offset_index().unwrap()[0];
    let place = |at: i64| usize::try_from(at).unwrap();
    let chunk = |(column, pages): (
        &parquet::file::metadata::ColumnChunkMetaData,
        &parquet::file::page_index::offset_index::OffsetIndexMetaData,
    )| {
        let pages: Vec<(usize, Bytes)> = pages
            .page_locations()
            .iter()
            .map(|page| {
                let start = place(page.offset);
                let end = start + usize::try_from(page.compressed_page_size).unwrap();
                (place(page.first_row_index), bytes.slice(start..end))
            })
            .collect();
        let first = index_of(&bytes, &pages[0].1);
        let dictionary = column.dictionary_page_offset().map(|at| bytes.slice(place(at)..first));
        Chunk { compression: column.compression(), dictionary, pages, rows: batch.num_rows() }
    };
    group.columns().iter().zip(index).map(chunk).collect()
}

/// Where a slice of bytes begins.
fn index_of(all: &Bytes, part: &Bytes) -> usize {
    part.as_ptr() as usize - all.as_ptr() as usize
}

fn key(number: u64) -> [u8; 8] {
    number.to_be_bytes()
}

proptest! {
    /// Whatever pages are wanted, rows of those have their values.
    #[test]
    fn a_chunk_has_what_was_written(
        mut keys in prop::collection::vec(any::<u64>(), 1..60),
        without in 0usize..20,
        words in prop::collection::vec(prop::option::of("[a-z]{0,6}"), 80),
        numbers in prop::collection::vec(any::<i64>(), 80),
        left_out in prop::collection::hash_set(0usize..10, 0..4),
    ) {
        keys.sort_unstable();
        let rows = without + keys.len();
        let all_keys: Vec<Option<[u8; 8]>> =
            std::iter::repeat_n(None, without).chain(keys.iter().map(|number| Some(key(*number)))).collect();
        let words: Vec<Option<&[u8]>> = words.iter().take(rows).map(|word| word.as_ref().map(String::as_bytes)).collect();
        let texts: Vec<Vec<u8>> = numbers.iter().take(rows).map(|number| number.to_string().into_bytes()).collect();
        let numbers = &numbers[..rows];
        let chunks = chunks(vec![
            ("key", Arc::new(all_keys.iter().map(|key| key.as_ref().map(<[u8; 8]>::as_slice)).collect::<BinaryArray>())),
            ("word", Arc::new(words.iter().copied().collect::<BinaryArray>())),
            ("number", Arc::new(Int64Array::from(numbers.to_vec()))),
            ("text", Arc::new(texts.iter().map(Some).collect::<BinaryArray>())),
        ]);
        let is_read = |row: usize| !left_out.contains(&(row / PAGE));
        // Where a dictionary has no room for more, a page ends early.
        let wanted = |mut rows: Range<usize>| rows.any(is_read);
        let [key_chunk, word_chunk, number_chunk, text_chunk] = chunks.as_slice() else { panic!("columns") };

        let (found, absent) = key_chunk.keys(&wanted).unwrap();
        prop_assert_eq!(found.len(), rows);
        for row in (0..rows).filter(|row| is_read(*row)) {
            prop_assert_eq!(all_keys[row].map(u64::from_be_bytes), (row >= absent).then_some(found[row]));
        }
        let coded = word_chunk.coded(&wanted).unwrap();
        for row in (0..rows).filter(|row| is_read(*row)) {
            let word = (coded.codes[row] != NO_VALUE).then(|| coded.values.get(coded.codes[row] as usize).unwrap());
            prop_assert_eq!(word, words[row]);
        }
        if word_chunk.is_by_dictionary() {
            prop_assert_eq!(&coded.values, &word_chunk.dictionary().unwrap());
        }
        let found = number_chunk.numbers(&wanted).unwrap();
        let tails = text_chunk.texts(&wanted).unwrap();
        let mut read = Vec::new();
        tails.each((0..rows).filter(|row| is_read(*row)), |row, text| {
            read.push(row);
            (text == texts[row].as_slice() && found[row] == numbers[row]).then_some(())
        }).unwrap();
        prop_assert!(read.into_iter().eq((0..rows).filter(|row| is_read(*row))));
    }

    #[test]
    fn no_bytes_panic(bytes: Vec<u8>, dictionary: Option<Vec<u8>>, rows in 0usize..100) {
        let chunk = Chunk {
            compression: Compression::LZ4_RAW,
            dictionary: dictionary.map(Bytes::from),
            pages: vec![(0, Bytes::from(bytes))],
            rows,
        };
        let _ = (chunk.keys(&|_| true), chunk.coded(&|_| true), chunk.numbers(&|_| true));
        let _ = (chunk.texts(&|_| true).is_some(), chunk.is_by_dictionary());
    }
}
