//! Bytes of runs, kept in memory within a bound.
//!
//! Runs never change once written, so nothing is ever invalidated. What is kept: parsed footers with their page
//! index and bloom filters, and blocks of the file around the pages that look-ups touched. One missing block is
//! one range request; neighbouring blocks that are missing together are one request.

use crate::error::LakeError;
use crate::limits::{BLOCK_BYTES, TAIL_BYTES};
use crate::schema::column::FOREIGN_COUNTER;
use bytes::{Bytes, BytesMut};
use deltalake_core::{ObjectStore, Path};
use moka::future::Cache;
use object_store::ObjectStoreExt;
use parquet::DecodeResult;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use parquet::bloom_filter::Sbbf;
use parquet::file::metadata::{
    ColumnChunkMetaData, PageIndexPolicy, ParquetMetaDataPushDecoder, RowGroupMetaData,
};
use parquet::file::statistics::Statistics;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A run whose footer is parsed.
#[derive(Debug)]
pub(crate) struct OpenRun {
    pub(crate) path: Arc<Path>,
    pub(crate) metadata: ArrowReaderMetadata,
    /// Bloom filters of the first column, the key of the sort order, one a row group.
    pub(crate) keys: Vec<Option<Sbbf>>,
    /// Bloom filters of the counters of requests whose target is not their Device, one a row group.
    pub(crate) foreign: Vec<Option<Sbbf>>,
    /// The columns that a fragment is read from, by row group: those with any value, by the chunk statistics.
    /// Rare columns are empty in many groups, and each column read has a cost of its own, however few its values.
    pub(crate) filled: Vec<Vec<usize>>,
    size: u64,
}

/// How much the object store was asked for, since the lake was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoreUse {
    /// Range requests.
    pub gets: u64,
    /// Bytes that they returned.
    pub bytes: u64,
}

/// The cache of one lake.
#[derive(Debug, Clone)]
pub(crate) struct RunCache {
    store: Arc<dyn ObjectStore>,
    blocks: Cache<(Arc<Path>, u64), Bytes>,
    runs: Cache<Path, Arc<OpenRun>>,
    gets: Arc<AtomicU64>,
    bytes: Arc<AtomicU64>,
}

impl RunCache {
    /// A cache over a store, of about so many bytes: three quarters for blocks, a quarter for footers.
    pub(crate) fn new(store: Arc<dyn ObjectStore>, bytes_max: u64) -> Self {
        let weight = |_: &(Arc<Path>, u64), block: &Bytes| u32::try_from(block.len()).unwrap_or(u32::MAX);
        let footer = |_: &Path, run: &Arc<OpenRun>| {
            u32::try_from(run.metadata.metadata().memory_size()).unwrap_or(u32::MAX)
        };
        Self {
            store,
            blocks: Cache::builder().max_capacity(bytes_max / 4 * 3).weigher(weight).build(),
            runs: Cache::builder().max_capacity(bytes_max / 4).weigher(footer).build(),
            gets: Arc::default(),
            bytes: Arc::default(),
        }
    }

    pub(crate) fn store_use(&self) -> StoreUse {
        StoreUse { gets: self.gets.load(Ordering::Relaxed), bytes: self.bytes.load(Ordering::Relaxed) }
    }

    /// The run at a path, its footer read once.
    pub(crate) async fn open(&self, path: &Path, size: u64) -> Result<Arc<OpenRun>, LakeError> {
        if let Some(run) = self.runs.get(path).await {
            return Ok(run);
        }
        let run = Arc::new(self.read_footer(path, size).await?);
        self.runs.insert(path.clone(), Arc::clone(&run)).await;
        Ok(run)
    }

    async fn read_footer(&self, path: &Path, size: u64) -> Result<OpenRun, LakeError> {
        let corrupt = || LakeError::corrupt(path.as_ref());
        let tail = size.saturating_sub(TAIL_BYTES)..size;
        let mut decoder = ParquetMetaDataPushDecoder::try_new(size)
            .map_err(corrupt())?
            .with_page_index_policy(PageIndexPolicy::Required);
        let first = self.fetch(path, &tail).await?;
        decoder.push_range(tail.clone(), first).map_err(corrupt())?;
        let metadata = loop {
            match decoder.try_decode().map_err(corrupt())? {
                DecodeResult::Data(metadata) => break metadata,
                DecodeResult::NeedsData(ranges) => {
                    for range in ranges {
                        let bytes = self.fetch(path, &range).await?;
                        decoder.push_range(range, bytes).map_err(corrupt())?;
                    }
                }
                DecodeResult::Finished => {
                    return Err(LakeError::Internal("a footer decoder finished without a footer"));
                }
            }
        };
        let options = ArrowReaderOptions::new().with_page_index_policy(PageIndexPolicy::Required);
        let metadata = ArrowReaderMetadata::try_new(Arc::new(metadata), options).map_err(corrupt())?;
        let keys = self.blooms(path, &metadata, 0).await?;
        let foreign = self.blooms(path, &metadata, FOREIGN_COUNTER).await?;
        let filled = metadata.metadata().row_groups().iter().map(filled_columns).collect();
        Ok(OpenRun { path: Arc::new(path.clone()), metadata, keys, foreign, filled, size })
    }

    async fn blooms(
        &self,
        path: &Path,
        metadata: &ArrowReaderMetadata,
        column: usize,
    ) -> Result<Vec<Option<Sbbf>>, LakeError> {
        let mut blooms = Vec::new();
        for group in metadata.metadata().row_groups() {
            let chunk = group.columns().get(column);
            let range = chunk.and_then(|chunk| {
                let start = u64::try_from(chunk.bloom_filter_offset()?).ok()?;
                let length = u64::try_from(chunk.bloom_filter_length()?).ok()?;
                Some(start..start.checked_add(length)?)
            });
            blooms.push(match range {
                Some(range) => {
                    let bytes = self.fetch(path, &range).await?;
                    Some(Sbbf::from_bytes(&bytes).map_err(LakeError::corrupt(path.as_ref()))?)
                }
                None => None,
            });
        }
        Ok(blooms)
    }

    pub(crate) async fn fetch(&self, path: &Path, range: &Range<u64>) -> Result<Bytes, LakeError> {
        self.gets.fetch_add(1, Ordering::Relaxed);
        let bytes = self.store.get_range(path, range.clone()).await;
        let bytes = bytes.map_err(LakeError::store(format!("read {path}")))?;
        if bytes.len() as u64 != range.end - range.start {
            return Err(LakeError::Corrupt {
                path: path.to_string(),
                why: "it is shorter than its commit says".into(),
            });
        }
        self.bytes.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        Ok(bytes)
    }

    /// The bytes of some ranges of a run, from kept blocks where possible.
    pub(crate) async fn read(&self, run: &OpenRun, ranges: &[Range<u64>]) -> Result<Vec<Bytes>, LakeError> {
        let mut out = Vec::with_capacity(ranges.len());
        for range in ranges {
            let (first, last) = (range.start / BLOCK_BYTES, range.end.saturating_sub(1) / BLOCK_BYTES);
            if first == last {
                let block = self.block(run, first).await?;
                out.push(slice(run, &block, first, range)?);
                continue;
            }
            let mut joined = BytesMut::new();
            for number in first..=last {
                let block = self.block(run, number).await?;
                let start = range.start.max(number * BLOCK_BYTES);
                let end = range.end.min((number + 1) * BLOCK_BYTES);
                joined.extend_from_slice(&slice(run, &block, number, &(start..end))?);
            }
            out.push(joined.freeze());
        }
        Ok(out)
    }

    async fn block(&self, run: &OpenRun, number: u64) -> Result<Bytes, LakeError> {
        let key = (Arc::clone(&run.path), number);
        if let Some(block) = self.blocks.get(&key).await {
            return Ok(block);
        }
        let start = number * BLOCK_BYTES;
        let block = self.fetch(&run.path, &(start..(start + BLOCK_BYTES).min(run.size))).await?;
        self.blocks.insert(key, block.clone()).await;
        Ok(block)
    }
}

/// The columns of a group that hold a value and are part of a fragment, ascending.
fn filled_columns(group: &RowGroupMetaData) -> Vec<usize> {
    let rows = u64::try_from(group.num_rows()).ok();
    let is_filled = |column: &ColumnChunkMetaData| {
        let nulls = column.statistics().and_then(Statistics::null_count_opt);
        nulls.is_none() || nulls != rows
    };
    let columns = group.columns().iter().enumerate();
    let filled = columns.filter(|(number, column)| *number != FOREIGN_COUNTER && is_filled(column));
    filled.map(|(number, _)| number).collect()
}

/// Part of a block, checked: a damaged footer can ask for bytes that no run has.
fn slice(run: &OpenRun, block: &Bytes, number: u64, range: &Range<u64>) -> Result<Bytes, LakeError> {
    let base = number * BLOCK_BYTES;
    let start = usize::try_from(range.start.saturating_sub(base)).unwrap_or(usize::MAX);
    let end = usize::try_from(range.end.saturating_sub(base)).unwrap_or(usize::MAX);
    if start > end || end > block.len() {
        return Err(LakeError::Corrupt {
            path: run.path.to_string(),
            why: "its footer names bytes beyond its end".to_owned(),
        });
    }
    Ok(block.slice(start..end))
}
