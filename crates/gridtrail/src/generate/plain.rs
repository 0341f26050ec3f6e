//! Events that are no events of Service Requests, as files whose ending says what they hold.
//!
//! DUIS has no form for them: beside its files they are lines.

use super::firmware;
use crate::args::Encoding;
use crate::exit::Failure;
use crate::progress::counting;
use gridtrail_codec::{
    encode_anomaly_frame, encode_anomaly_json, encode_inventory_frame, encode_inventory_json,
};
use gridtrail_synth::World;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

/// Events in one file: about 150 MB.
const FILE_EVENTS: usize = 1_000_000;

/// What events of a kind are called, and how one is written.
struct Form<E> {
    name: &'static str,
    events: &'static str,
    frame: fn(&E, &mut Vec<u8>),
    json: fn(&E) -> String,
}

/// Writes the inventory of a region into a folder. Returns how many events that is.
pub(crate) fn write_inventory(
    (world, firmware): (&World, bool),
    encoding: Encoding,
    folder: &Path,
) -> Result<u64, Failure> {
    let (frame, json) = (encode_inventory_frame, encode_inventory_json);
    let form = Form { name: "inventory", events: "inventory events", frame, json };
    write(&form, firmware::inventory(world, firmware), encoding, folder)
}

/// Writes the thresholds and quarantined communications of a region into a folder. Returns how many events that is.
pub(crate) fn write_anomaly(world: &World, encoding: Encoding, folder: &Path) -> Result<u64, Failure> {
    let (frame, json) = (encode_anomaly_frame, encode_anomaly_json);
    let form = Form { name: "anomaly", events: "anomaly events", frame, json };
    write(&form, world.anomaly_events(), encoding, folder)
}

fn write<E>(
    form: &Form<E>,
    events: impl Iterator<Item = E>,
    encoding: Encoding,
    folder: &Path,
) -> Result<u64, Failure> {
    let bar = counting(None, form.events);
    let mut events = events.peekable();
    let mut written = 0;
    for number in 1.. {
        if events.peek().is_none() {
            break;
        }
        let ending = if encoding == Encoding::Binpb { "binpb" } else { "jsonl" };
        let name = form.name;
        let path = folder.join(format!("{name}-{number:05}.{name}.{ending}"));
        let some = events.by_ref().take(FILE_EVENTS);
        let of_file = write_file(form, &path, encoding, some).map_err(Failure::file("write", &path))?;
        bar.inc(of_file);
        written += of_file;
    }
    bar.finish_and_clear();
    Ok(written)
}

fn write_file<E>(
    form: &Form<E>,
    path: &Path,
    encoding: Encoding,
    events: impl Iterator<Item = E>,
) -> io::Result<u64> {
    let mut file = BufWriter::with_capacity(1 << 18, File::create_new(path)?);
    let (mut written, mut frame) = (0, Vec::new());
    for event in events {
        if encoding == Encoding::Binpb {
            frame.clear();
            (form.frame)(&event, &mut frame);
            file.write_all(&frame)?;
        } else {
            writeln!(file, "{}", (form.json)(&event))?;
        }
        written += 1;
    }
    file.flush()?;
    Ok(written)
}
