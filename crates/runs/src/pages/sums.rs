//! Checksums of pages: what the bytes of each page of a run were, header and body, when it was written.
//!
//! A run begins with its pages, one behind the other. What follows them, its **tail**, is bloom filters, page indexes and the
//! footer. While a run is written, [`Scanner`] sees its bytes pass, finds by the sizes in the headers where each page ends, and
//! takes the XXH64 of each. The sums stand in the footer, eight bytes a page, in the order of the file; the sum of the tail stands
//! in the commit that names the file. So whatever part of a run comes into memory can be held against what was written.

use super::header::page_sizes;
use crate::delta::checksum::{self, Checksum, Tail};
use crate::error::RunsError;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use parquet::file::metadata::{KeyValue, ParquetMetaData};

/// The footer's name for the sums.
const KEY: &str = "gridtrail.pages";
/// What a file begins with.
const MAGIC_BYTES: usize = 4;
/// How much of a page is looked at for the end of its header, at first: ours have a few dozen bytes.
const HEADER_PART: usize = 128;
/// The longest header that is believed.
const HEADER_BYTES_MAX: usize = 8 * 1024;

/// Where the bytes stand that come next.
enum Place {
    Magic {
        left: usize,
    },
    /// In a header, of which so much is known.
    Header(Vec<u8>),
    Body {
        left: usize,
    },
    Tail,
    /// Among what cannot be understood.
    Lost,
}

/// Sees the bytes of a file pass, and takes the sums of its pages and of its tail.
pub(crate) struct Scanner {
    place: Place,
    page: Checksum,
    sums: Vec<u64>,
    tail: Checksum,
}

impl Scanner {
    pub(crate) fn new() -> Self {
        Self {
            place: Place::Magic { left: MAGIC_BYTES },
            page: Checksum::new(),
            sums: Vec::new(),
            tail: Checksum::new(),
        }
    }

    /// Takes in the next bytes of the file.
    pub(crate) fn take(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let taken = match &mut self.place {
                Place::Magic { left } => {
                    let taken = bytes.len().min(*left);
                    *left -= taken;
                    if *left == 0 {
                        self.place = Place::Header(Vec::new());
                    }
                    taken
                }
                Place::Header(known) => {
                    let before = known.len();
                    known.extend_from_slice(&bytes[..bytes.len().min(HEADER_PART)]);
                    match page_sizes(known) {
                        Some((header, body)) => {
                            self.page.add(&known[..header]);
                            self.place = Place::Body { left: body };
                            // What was taken before did not end it.
                            header - before
                        }
                        None if known.len() > HEADER_BYTES_MAX => {
                            self.place = Place::Lost;
                            bytes.len()
                        }
                        None => known.len() - before,
                    }
                }
                Place::Body { left } => {
                    let taken = bytes.len().min(*left);
                    self.page.add(&bytes[..taken]);
                    *left -= taken;
                    taken
                }
                Place::Tail => {
                    self.tail.add(bytes);
                    bytes.len()
                }
                Place::Lost => bytes.len(),
            };
            if let Place::Body { left: 0 } = self.place {
                let page = std::mem::take(&mut self.page);
                self.sums.push(page.written().xxh64);
                self.place = Place::Header(Vec::new());
            }
            bytes = &bytes[taken..];
        }
    }

    /// Says that all pages have passed. Returns their sums, as the footer has them.
    pub(crate) fn end_pages(&mut self) -> Result<KeyValue, RunsError> {
        let at_border = match &self.place {
            Place::Header(known) => known.is_empty(),
            Place::Magic { .. } | Place::Body { .. } | Place::Tail | Place::Lost => false,
        };
        if !at_border {
            return Err(RunsError::Internal(
                "the pages of a file that is written do not end where they must",
            ));
        }
        self.place = Place::Tail;
        let bytes: Vec<u8> = self.sums.iter().flat_map(|sum| sum.to_le_bytes()).collect();
        Ok(KeyValue::new(KEY.to_owned(), STANDARD_NO_PAD.encode(bytes)))
    }

    /// The tail, once it has passed.
    pub(crate) fn tail(&self) -> Tail {
        let written = self.tail.written();
        Tail { bytes: written.size, xxh64: written.xxh64 }
    }
}

/// The sums of a run's pages.
#[derive(Debug)]
pub struct PageSums {
    sums: Box<[u64]>,
    /// Of each column of each row group, the number of its first page.
    firsts: Box<[usize]>,
    columns: usize,
}

impl PageSums {
    /// The sums that a footer holds. `None`: it holds none, or not those of its pages.
    pub fn of(metadata: &ParquetMetaData) -> Option<Self> {
        let pairs = metadata.file_metadata().key_value_metadata()?;
        let text = pairs.iter().find(|pair| pair.key == KEY)?.value.as_deref()?;
        let bytes = STANDARD_NO_PAD.decode(text).ok()?;
        let (sums, rest) = bytes.as_chunks::<8>();
        let index = metadata.offset_index()?;
        let (mut firsts, mut pages) = (Vec::new(), 0);
        for (group, located) in metadata.row_groups().iter().zip(index) {
            for (column, located) in group.columns().iter().zip(located) {
                firsts.push(pages);
                pages +=
                    usize::from(column.dictionary_page_offset().is_some()) + located.page_locations().len();
            }
        }
        let columns = metadata.row_groups().first().map_or(0, |group| group.columns().len());
        let whole =
            rest.is_empty() && sums.len() == pages && firsts.len() == columns * metadata.num_row_groups();
        let sums = sums.iter().map(|sum| u64::from_le_bytes(*sum)).collect();
        whole.then(|| Self { sums, firsts: firsts.into(), columns })
    }

    /// Whether bytes are those of a page, which is counted within its column and row group, the dictionary first.
    pub fn fit(&self, (group, column): (usize, usize), page: usize, bytes: &[u8]) -> bool {
        let first = (column < self.columns).then(|| self.firsts.get(group * self.columns + column)).flatten();
        let sum = first.and_then(|first| self.sums.get(first + page));
        sum.is_some_and(|sum| *sum == checksum::sum(bytes))
    }

    /// Bytes that it takes in memory, about.
    pub fn size(&self) -> usize {
        size_of_val::<[u64]>(&self.sums) + size_of_val::<[usize]>(&self.firsts)
    }
}
