//! `gridtrail generate`: a made-up region's events as files, and what a search must find in them.
//!
//! Events stream from the region to the disk: memory does not grow with their number. A file holds at most so many
//! events, so that a capture stays within what ingest reads as a whole.

mod duis;
mod firmware;
mod into_lake;
mod keys;
pub(crate) mod parties;
pub(crate) mod plain;

pub(crate) use keys::PremisesKeys;

use crate::args::{Encoding, Format, GenerateArgs};
use crate::exit::Failure;
use crate::output::{self, count};
use crate::progress::counting;
use gridtrail_access::Party;
use gridtrail_codec::{Receipt, capture, encode_frame, encode_json};
use gridtrail_model::Event;
use gridtrail_synth::{ExpectedTrail, Settings, World};
use serde::Serialize;
use serde_json::json;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Events in one file of frames or lines: about 200 MB.
const FILE_EVENTS: u64 = 1_000_000;
/// Messages in one capture, which ingest reads as a whole: about 100 MB of the 256 that it allows.
const CAPTURE_MESSAGES: u64 = 100_000;

pub(crate) async fn run(args: &GenerateArgs, format: Format) -> Result<(), Failure> {
    if args.encoding == Encoding::Duis && args.truth.is_some() {
        let reason = "DUIS leaves out events, so no search finds the whole truth; take binpb or jsonl";
        return Err(Failure::Argument { argument: "--truth", reason: reason.to_owned() });
    }
    let world = world(args)?;
    let report = if let Some(lake) = &args.lake {
        Report::Lake(into_lake::fill(lake, &world, args).await?)
    } else {
        let out = args.out.as_ref().ok_or(Failure::Process("nowhere to write to"))?;
        claim_folder(out)?;
        let mut written = write_region((&world, args.firmware), args.encoding, args.one_party.as_ref(), out)?;
        if args.inventory {
            written.inventory_events = plain::write_inventory((&world, args.firmware), args.encoding, out)?;
        }
        if args.anomaly {
            written.anomaly_events = plain::write_anomaly(&world, args.encoding, out)?;
        }
        Report::Files(written)
    };
    if let Some(path) = &args.truth {
        write_lines(path, firmware::trails(&world, args.firmware).map(|trail| truth_line(&trail)))?;
    }
    if let Some(path) = &args.anomaly_truth {
        write_lines(path, anomaly_truth(&world))?;
    }
    if let Some(path) = &args.schedules_truth {
        write_lines(path, schedules_truth(&world))?;
    }
    if let Some(path) = &args.firmware_truth {
        write_lines(path, firmware::truth(&world))?;
    }
    if let Some(path) = &args.meters {
        write_lines(path, meters(&world))?;
    }
    if let Some(path) = &args.keys {
        write_lines(path, keys::lines(&world))?;
    }
    let mut out = io::stdout().lock();
    match format {
        Format::Table => output::write(&mut out, format!("{}\n", report.line()).as_bytes()),
        Format::Json => output::write_json(&mut out, &report),
    }
}

/// What became of the events.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Report {
    Files(Written),
    Lake(into_lake::Filled),
}

impl Report {
    fn line(&self) -> String {
        match self {
            Self::Files(written) => written.line(),
            Self::Lake(filled) => filled.line(),
        }
    }
}

fn world(args: &GenerateArgs) -> Result<World, Failure> {
    let settings = match args.trails {
        Some(trails) => Settings::for_trails(trails, args.days),
        None => Settings::for_events(args.events, args.days),
    };
    let settings = if args.disorder { settings.with_disorder() } else { settings };
    let premises = args.premises.unwrap_or(settings.premises);
    World::seeded(args.seed, Settings { premises, start: args.start, ..settings }).map_err(|error| {
        let argument = match error.setting {
            "days" => "--days",
            "premises" if args.premises.is_some() => "--premises",
            _ => "--events",
        };
        Failure::Argument { argument, reason: error.to_string() }
    })
}

/// Makes sure that there is a folder with nothing in it: ingest would take in whatever lies there.
fn claim_folder(path: &Path) -> Result<(), Failure> {
    std::fs::create_dir_all(path).map_err(Failure::file("create", path))?;
    let mut entries = std::fs::read_dir(path).map_err(Failure::file("read", path))?;
    if entries.next().is_none() {
        return Ok(());
    }
    let reason = format!("{} is not empty", path.display());
    Err(Failure::Argument { argument: "--out", reason })
}

/// What was written.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct Written {
    /// Events written.
    pub(crate) events: u64,
    /// Events of access written.
    pub(crate) access_events: u64,
    /// Inventory events written.
    pub(crate) inventory_events: u64,
    /// Anomaly events written.
    pub(crate) anomaly_events: u64,
    /// Events that have no form in the encoding.
    pub(crate) left_out: u64,
    /// Files written.
    pub(crate) files: u64,
    /// How long it took.
    pub(crate) seconds: f64,
    /// Events by that time.
    pub(crate) events_per_second: f64,
}

impl Written {
    fn line(&self) -> String {
        let Self { events, files, seconds, events_per_second, left_out, .. } = self;
        let mut line = format!(
            "{} in {}, in {seconds:.1} s ({events_per_second:.0} events/s)",
            count(*events, "event"),
            count(*files, "file")
        );
        for (number, what) in [
            (self.access_events, "event of access"),
            (self.inventory_events, "inventory event"),
            (self.anomaly_events, "anomaly event"),
        ] {
            if number > 0 {
                line.push_str(&format!("; {}", count(number, what)));
            }
        }
        if *left_out > 0 {
            line.push_str(&format!("; {left_out} have no form in DUIS and were left out"));
        }
        line
    }
}

/// Writes every event of a region into a folder, and who shares with whom in it; with new firmware for its meters where that is asked for.
pub(crate) fn write_region(
    (world, firmware): (&World, bool),
    encoding: Encoding,
    one_party: Option<&Party>,
    folder: &Path,
) -> Result<Written, Failure> {
    let access_events = parties::write(&folder.join(parties::FILE), &world.access_events(one_party))?;
    Ok(Written { access_events, ..write_events((world, firmware), encoding, folder)? })
}

/// Writes every event of a region into a folder.
fn write_events(
    (world, firmware): (&World, bool),
    encoding: Encoding,
    folder: &Path,
) -> Result<Written, Failure> {
    let start = Instant::now();
    let mut files = Files { folder, encoding, number: 0, open: None };
    let mut written = Written::default();
    let bar = counting(world.settings().events_target, "events");
    for event in firmware::events(world, firmware) {
        bar.inc(1);
        if files.write(&event)? {
            written.events += 1;
        } else {
            written.left_out += 1;
        }
    }
    files.close()?;
    bar.finish_and_clear();
    written.files = files.number;
    written.seconds = start.elapsed().as_secs_f64();
    written.events_per_second = written.events as f64 / written.seconds;
    Ok(written)
}

/// A row of files, of which one is open.
struct Files<'f> {
    folder: &'f Path,
    encoding: Encoding,
    number: u64,
    open: Option<OpenFile>,
}

struct OpenFile {
    path: PathBuf,
    sink: Sink,
    events: u64,
}

enum Sink {
    Plain(BufWriter<File>, Vec<u8>),
    Capture(capture::Writer<BufWriter<File>>),
}

impl Files<'_> {
    /// Whether the event has a form in this encoding, and was written.
    fn write(&mut self, event: &Event) -> Result<bool, Failure> {
        let message = match self.encoding {
            Encoding::Duis => match duis::message(event) {
                Some(message) => Some(message),
                None => return Ok(false),
            },
            Encoding::Binpb | Encoding::Jsonl => None,
        };
        let encoding = self.encoding;
        let open = self.open()?;
        put(&mut open.sink, encoding, event, message.as_deref())
            .map_err(Failure::file("write", &open.path))?;
        open.events += 1;
        let most = if encoding == Encoding::Duis { CAPTURE_MESSAGES } else { FILE_EVENTS };
        if open.events == most {
            self.close()?;
        }
        Ok(true)
    }

    fn open(&mut self) -> Result<&mut OpenFile, Failure> {
        if self.open.is_none() {
            self.number += 1;
            self.open = Some(self.create()?);
        }
        self.open.as_mut().ok_or(Failure::Process("no file is open"))
    }

    fn create(&self) -> Result<OpenFile, Failure> {
        let ending = match self.encoding {
            Encoding::Binpb => "binpb",
            Encoding::Jsonl => "jsonl",
            Encoding::Duis => "xml",
        };
        let path = self.folder.join(format!("events-{:05}.{ending}", self.number));
        let failed = Failure::file("create", &path);
        let create = || {
            let file = BufWriter::with_capacity(1 << 18, File::create_new(&path)?);
            Ok(match self.encoding {
                Encoding::Duis => Sink::Capture(capture::Writer::new(file)?),
                Encoding::Binpb | Encoding::Jsonl => Sink::Plain(file, Vec::new()),
            })
        };
        let sink = create().map_err(failed)?;
        Ok(OpenFile { path, sink, events: 0 })
    }

    fn close(&mut self) -> Result<(), Failure> {
        let Some(OpenFile { path, sink, .. }) = self.open.take() else { return Ok(()) };
        let closed = match sink {
            Sink::Plain(mut file, _) => file.flush(),
            Sink::Capture(writer) => writer.finish().map(drop),
        };
        closed.map_err(Failure::file("write", &path))
    }
}

fn put(sink: &mut Sink, encoding: Encoding, event: &Event, message: Option<&str>) -> io::Result<()> {
    match sink {
        Sink::Capture(writer) => {
            let receipt = Receipt { recorded_at: event.recorded_at, event_id: Some(event.id.clone()) };
            writer.message(&receipt, message.unwrap_or_default())
        }
        Sink::Plain(file, _) if encoding == Encoding::Jsonl => {
            file.write_all(encode_json(event).as_bytes())?;
            file.write_all(b"\n")
        }
        Sink::Plain(file, frame) => {
            frame.clear();
            encode_frame(event, frame);
            file.write_all(frame)
        }
    }
}

/// The Device IDs of the region's smart meters, one a line.
pub(crate) fn meters(world: &World) -> impl Iterator<Item = String> + '_ {
    world.households().flat_map(|household| {
        let gas = household.gas.map(|meter| meter.device_id);
        std::iter::once(household.electricity.device_id).chain(gas).map(|device| device.to_string())
    })
}

pub(crate) fn write_lines(path: &Path, lines: impl Iterator<Item = String>) -> Result<(), Failure> {
    let write = || {
        let mut file = BufWriter::new(File::create(path)?);
        for line in lines {
            writeln!(file, "{line}")?;
        }
        file.flush()
    };
    write().map_err(Failure::file("write", path))
}

/// What must be known of thresholds and quarantined communications, in the generator's own words.
fn anomaly_truth(world: &World) -> impl Iterator<Item = String> + '_ {
    world.anomaly().flat_map(|story| {
        let thresholds = story.thresholds.into_iter().map(|of| {
            json!({
                "threshold": of.threshold.kind.as_str(),
                "user_id": of.user.to_string(),
                "service_reference_variant": of.threshold.scope.variant.map(|variant| variant.to_string()),
                "period_seconds": of.threshold.scope.period.seconds(),
                "communications": of.threshold.communications,
                "from": of.from.to_string(),
                "until": of.until.map(|until| until.to_string()),
            })
        });
        let quarantined = story.quarantined.into_iter().map(|of| {
            json!({
                "request_id": of.request_id.to_string(),
                "user_id": of.user.to_string(),
                "service_reference_variant": of.variant.map(|variant| variant.to_string()),
                "quarantined_at": of.quarantined_at.to_string(),
                "dcc_alert_id": of.dcc_alert.to_string(),
                "done": of.done.map(|(what, _)| what.as_str()),
                "done_at": of.done.map(|(_, at)| at.to_string()),
                "archive_opened_at": of.opened_at.map(|at| at.to_string()),
            })
        });
        thresholds.chain(quarantined).map(|line| line.to_string()).collect::<Vec<_>>()
    })
}

/// The schedules that must be known, in the generator's own words.
fn schedules_truth(world: &World) -> impl Iterator<Item = String> + '_ {
    world.schedules().filter_map(|story| story.expected).map(|of| {
        let details = of.details;
        let text = |value: Option<&dyn ToString>| value.map(ToString::to_string);
        macro_rules! detail {
            ($field:ident) => {
                text(details.$field.as_ref().map(|value| value as &dyn ToString))
            };
        }
        json!({
            "user_id": of.user.to_string(),
            "dsp_schedule_id": of.id.number(),
            "device_id": detail!(device),
            "service_reference_variant": detail!(variant),
            "frequency": detail!(frequency),
            "start_date": detail!(start),
            "end_date": detail!(end),
            "execution_start_time": detail!(execution_start),
            "start_date_offset": details.window.map(|window| window.start_offset.offset()),
            "end_date_offset": details.window.map(|window| window.end_offset.offset()),
            "created_request_id": of.created.map(|(request_id, _)| request_id.to_string()),
            "created_at": of.created.map(|(_, at)| at.to_string()),
            "removed_at": of.removed.map(|(at, _)| at.to_string()),
            "removed_by_alert": of.removed.and_then(|(_, code)| code).map(|code| code.to_string()),
        })
        .to_string()
    })
}

/// A trail that a search must find, in the generator's own words: its status changes are counted, not listed.
fn truth_line(trail: &ExpectedTrail) -> String {
    let text = |value: Option<&dyn ToString>| value.map(ToString::to_string);
    macro_rules! optional {
        ($field:ident) => {
            text(trail.$field.as_ref().map(|value| value as &dyn ToString))
        };
    }
    json!({
        "user_id": trail.key.user.to_string(),
        "device_id": optional!(device_id),
        "gbcs_transaction_sequence_number": optional!(gbcs_transaction_sequence_number),
        "mpxn": optional!(mpxn),
        "request_received_at": trail.received_at.to_string(),
        "response_sent_at": optional!(sent_at),
        "service_reference_variant": optional!(variant),
        "status": trail.simplified.to_string(),
        "request_id": optional!(request_id),
        "response_id": optional!(response_id),
        "csp_region_raw": optional!(csp_region),
        "mode_of_operation": trail.mode.to_string(),
        "preceding_request_id": optional!(preceding_request_id),
        "command_variant": optional!(command_variant),
        "response_code": optional!(response_code),
        "current_status": trail.current_status.to_string(),
        "anomaly_detection_flag": trail.anomaly_detection_flag,
        "alert_code": optional!(alert_code),
        "schedule_id": optional!(schedule_id),
        "execution_at": optional!(execution_at),
        "status_changes": trail.history_entries,
    })
    .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use gridtrail_codec::{Encoding as Form, Frame, decode, next_frame};

    fn region(events: u64) -> World {
        World::seeded(3, Settings::for_events(events, 3)).unwrap()
    }

    #[test]
    fn frames_and_lines_read_back_as_the_events_they_were() {
        let world = region(4_000);
        let events: Vec<Event> = world.events().collect();
        let folder = tempfile::tempdir().unwrap();
        let (frames, lines) = (folder.path().join("frames"), folder.path().join("lines"));
        for (path, encoding) in [(&frames, Encoding::Binpb), (&lines, Encoding::Jsonl)] {
            claim_folder(path).unwrap();
            let written = write_events((&world, false), encoding, path).unwrap();
            assert_eq!((written.events, written.left_out), (events.len() as u64, 0));
            assert!(claim_folder(path).is_err(), "a folder that holds events is refused");
        }
        let bytes = std::fs::read(frames.join("events-00001.binpb")).unwrap();
        let mut rest = bytes.as_slice();
        let mut read = Vec::new();
        while let Frame::Complete { record, consumed } = next_frame(rest) {
            read.push(decode(Form::Protobuf, record, None).unwrap());
            rest = &rest[consumed..];
        }
        assert_eq!(read, events);
        let text = std::fs::read_to_string(lines.join("events-00001.jsonl")).unwrap();
        let read: Vec<Event> =
            text.lines().map(|line| decode(Form::Json, line.as_bytes(), None).unwrap()).collect();
        assert_eq!(read, events);
    }

    /// What DUIS says of an event is true: nothing that a message states differs from the event it was made of.
    #[test]
    fn a_capture_says_nothing_that_the_events_do_not() {
        let world = region(20_000);
        let events: std::collections::HashMap<_, _> = world.events().map(|e| (e.id.clone(), e)).collect();
        let folder = tempfile::tempdir().unwrap();
        let written = write_events((&world, false), Encoding::Duis, folder.path()).unwrap();
        assert!(written.left_out > 0 && written.events > 2_000, "{written:?}");
        let bytes = std::fs::read(folder.path().join("events-00001.xml")).unwrap();
        let mut kinds = std::collections::BTreeSet::new();
        for message in capture::Messages::new(&bytes).unwrap() {
            let read = message.unwrap().decode().unwrap();
            let event = &events[&read.id];
            assert_eq!(read.recorded_at, event.recorded_at);
            assert_eq!(read.correlation.user_id, event.correlation.user_id, "{event:#?}");
            assert_eq!(read.correlation.request_id, event.correlation.request_id, "{event:#?}");
            assert_eq!(std::mem::discriminant(&read.body), std::mem::discriminant(&event.body));
            kinds.insert(format!("{:?}", event.body).split('(').next().map(str::to_owned));
        }
        assert!(kinds.len() >= 3, "{kinds:?}");
    }
}
