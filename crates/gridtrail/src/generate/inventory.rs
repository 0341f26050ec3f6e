//! Inventory events as files.

use crate::args::Encoding;
use crate::exit::Failure;
use crate::progress::counting;
use gridtrail_codec::{encode_inventory_frame, encode_inventory_json};
use gridtrail_inventory::InventoryEvent;
use gridtrail_synth::World;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

/// Events in one file: about 150 MB.
const FILE_EVENTS: usize = 1_000_000;

/// Writes the inventory of a region into a folder, in files whose ending says what they hold. Returns how many events that is.
///
/// DUIS has no form for them: beside its files they are lines.
pub(crate) fn write(world: &World, encoding: Encoding, folder: &Path) -> Result<u64, Failure> {
    let bar = counting(None, "inventory events");
    let mut events = world.inventory_events().peekable();
    let mut written = 0;
    for number in 1.. {
        if events.peek().is_none() {
            break;
        }
        let ending = if encoding == Encoding::Binpb { "binpb" } else { "jsonl" };
        let path = folder.join(format!("inventory-{number:05}.inventory.{ending}"));
        let some = events.by_ref().take(FILE_EVENTS);
        let of_file = write_file(&path, encoding, some).map_err(Failure::file("write", &path))?;
        bar.inc(of_file);
        written += of_file;
    }
    bar.finish_and_clear();
    Ok(written)
}

fn write_file(
    path: &Path,
    encoding: Encoding,
    events: impl Iterator<Item = InventoryEvent>,
) -> io::Result<u64> {
    let mut file = BufWriter::with_capacity(1 << 18, File::create_new(path)?);
    let (mut written, mut frame) = (0, Vec::new());
    for event in events {
        if encoding == Encoding::Binpb {
            frame.clear();
            encode_inventory_frame(&event, &mut frame);
            file.write_all(&frame)?;
        } else {
            writeln!(file, "{}", encode_inventory_json(&event))?;
        }
        written += 1;
    }
    file.flush()?;
    Ok(written)
}
