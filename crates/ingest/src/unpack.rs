//! Reading compressed files. What they hold is never in memory whole, however much it is.

use crate::limits::{UNPACKED_BYTES, UNPACKED_TIMES, ZSTD_WINDOW_LOG};
use crate::name::Packing;
use flate2::read::MultiGzDecoder;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::Path;

/// Reads a file, unpacked, from so many bytes into its content on.
///
/// Errors: those of [`is_broken`] for a compressed file that is cut off, damaged, or unpacks to absurdly much.
pub fn open(path: &Path, packing: Option<Packing>, from: u64) -> io::Result<Box<dyn Read + Send>> {
    let mut file = File::open(path)?;
    let Some(packing) = packing else {
        file.seek(SeekFrom::Start(from))?;
        return Ok(Box::new(file));
    };
    let packed = file.metadata()?.len();
    let input: Box<dyn Read + Send> = match packing {
        Packing::Gzip => Box::new(MultiGzDecoder::new(BufReader::new(file))),
        Packing::Zstd => {
            let mut decoder = zstd::stream::read::Decoder::new(file)?;
            decoder.window_log_max(ZSTD_WINDOW_LOG)?;
            Box::new(decoder)
        }
    };
    let most = UNPACKED_BYTES.max(packed.saturating_mul(UNPACKED_TIMES));
    let mut input = Bounded { input, left: most };
    let passed = io::copy(&mut (&mut input).take(from), &mut io::sink())?;
    if passed < from {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(Box::new(input))
}

/// Whether an error is about the compressed bytes, not about the system that was to read them.
pub(crate) fn is_broken(error: &io::Error) -> bool {
    error.raw_os_error().is_none()
}

/// Gives so many bytes, and then an error.
struct Bounded {
    input: Box<dyn Read + Send>,
    left: u64,
}

impl Read for Bounded {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.input.read(buffer)?;
        self.left = self.left.checked_sub(read as u64).ok_or_else(|| {
            let why = format!("it unpacks to more than 1 GiB and {UNPACKED_TIMES} times its size");
            io::Error::new(io::ErrorKind::InvalidData, why)
        })?;
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn read(packed: &[u8], packing: Packing, from: u64) -> io::Result<Vec<u8>> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("packed");
        std::fs::write(&path, packed).unwrap();
        let mut unpacked = Vec::new();
        open(&path, Some(packing), from)?.read_to_end(&mut unpacked)?;
        Ok(unpacked)
    }

    #[test]
    fn files_are_read_from_any_place_and_in_several_members() {
        let zstd = |bytes: &[u8]| zstd::encode_all(bytes, 1).unwrap();
        for (packed, packing) in [
            ([gzip(b"one "), gzip(b"two")].concat(), Packing::Gzip),
            ([zstd(b"one "), zstd(b"two")].concat(), Packing::Zstd),
        ] {
            assert_eq!(read(&packed, packing, 0).unwrap(), b"one two");
            assert_eq!(read(&packed, packing, 2).unwrap(), b"e two");
            assert_eq!(read(&packed, packing, 7).unwrap(), b"");
            assert!(is_broken(&read(&packed, packing, 8).unwrap_err()));
            for cut in
                [&packed[..packed.len() - 1], &packed[..3], &[packed.clone(), b"more".to_vec()].concat()]
            {
                assert!(is_broken(&read(cut, packing, 0).unwrap_err()), "{packing:?}");
            }
        }
    }

    #[test]
    fn what_unpacks_to_absurdly_much_is_refused() {
        let mut bounded = Bounded { input: Box::new(io::repeat(0)), left: 10_000 };
        let error = io::copy(&mut bounded, &mut io::sink()).unwrap_err();
        assert!(is_broken(&error) && error.to_string().contains("times its size"), "{error}");
    }
}
