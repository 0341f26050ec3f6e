//! `gridtrail publish`: event files to a topic.

use crate::args::{Format, PublishArgs};
use crate::exit::Failure;
use crate::kafka_properties::kafka_properties;
use crate::output::{self, count};
use crate::progress;
use gridtrail_codec::{Encoding, Frame, decode, encode_json, encode_protobuf, next_frame};
use gridtrail_ingest::{Content, FileName, KINDS, RecordKind, open_unpacked};
use gridtrail_kafka::{Admin, KafkaSettings, Publisher};
use gridtrail_model::Event;
use gridtrail_runtime::Clock;
use indicatif::ProgressBar;
use serde::Serialize;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How far a sender may run ahead of its rate before it waits.
const AHEAD: Duration = Duration::from_millis(2);
/// Bytes of frames that are read at once.
const READ_BYTES: usize = 1 << 20;

/// What was written. The fields are an interface: programs read them as JSON.
#[derive(Debug, Serialize)]
struct Published {
    /// Records that the brokers have.
    records: u64,
    /// How long it took.
    seconds: f64,
    /// Records by that time.
    records_per_second: f64,
}

pub(crate) fn run(args: &PublishArgs, format: Format) -> Result<(), Failure> {
    let settings = KafkaSettings {
        bootstrap: args.kafka.clone(),
        group: String::new(),
        topics: Vec::new(),
        properties: kafka_properties(args.kafka_config.as_deref(), &[])?,
    };
    let mut sender = Sender {
        publisher: Publisher::new(&settings)?,
        args,
        clock: Clock::system(),
        began: Instant::now(),
        sent: 0,
        progress: progress::counting(None, "records"),
    };
    let files = event_files(&args.dir)?;
    sender.find_topics(&settings, &files)?;
    sender.began = Instant::now();
    for file in files {
        sender.send_file(&file)?;
    }
    let began = sender.began;
    let records = sender.publisher.finish()?;
    sender.progress.finish_and_clear();
    let seconds = began.elapsed().as_secs_f64();
    let published = Published { records, seconds, records_per_second: records as f64 / seconds };
    let mut out = io::stdout().lock();
    match format {
        Format::Table => {
            let line = format!(
                "{} in {seconds:.1} s ({:.0} records/s)\n",
                count(records, "record"),
                published.records_per_second
            );
            output::write(&mut out, line.as_bytes())
        }
        Format::Json => output::write_json(&mut out, &published),
    }
}

/// The event files of a folder, in order of name.
fn event_files(folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    let failed = || Failure::file("read", folder);
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(failed())? {
        let path = entry.map_err(failed())?.path();
        if form(&path).is_some() {
            files.push(path);
        }
    }
    if files.is_empty() {
        let reason = format!(
            "{} holds no .binpb, .jsonl, .ndjson or .json file, compressed (.gz, .zst) or not",
            folder.display()
        );
        return Err(Failure::Argument { argument: "DIR", reason });
    }
    files.sort();
    Ok(files)
}

fn form(path: &Path) -> Option<(Encoding, FileName)> {
    let name = FileName::of(path)?;
    match name.content {
        Content::Frames => Some((Encoding::Protobuf, name)),
        Content::Lines => Some((Encoding::Json, name)),
        Content::Xml => None,
    }
}

struct Sender<'a> {
    publisher: Publisher,
    args: &'a PublishArgs,
    clock: Clock,
    began: Instant,
    sent: u64,
    progress: ProgressBar,
}

impl Sender<'_> {
    /// Makes the topics, if that is asked for, and sees that those are there that are written to.
    fn find_topics(&self, settings: &KafkaSettings, files: &[PathBuf]) -> Result<(), Failure> {
        if self.args.create_topic {
            let admin = Admin::new(settings)?;
            for topic in KINDS.iter().map(|kind| self.args.topic_of(kind)) {
                if admin.create_event_topic(topic, self.args.partitions)? {
                    tracing::info!(topic, partitions = self.args.partitions, "the topic is made");
                }
            }
        }
        for kind in KINDS {
            if files.iter().any(|file| RecordKind::of_file(file) == *kind) {
                self.publisher.look_for(self.args.topic_of(kind))?;
            }
        }
        Ok(())
    }

    fn send_file(&mut self, path: &Path) -> Result<(), Failure> {
        let failed = || Failure::file("read", path);
        let Some((encoding, FileName { packing, kind, .. })) = form(path) else { return Ok(()) };
        let file = open_unpacked(path, packing, 0).map_err(failed())?;
        if encoding == Encoding::Json {
            for line in BufReader::new(file).split(b'\n') {
                self.send(kind, Encoding::Json, &line.map_err(failed())?)?;
            }
            return Ok(());
        }
        let mut rest = Frames { file, buffer: Vec::new(), at: 0 };
        while let Some(record) = rest.next().map_err(failed())? {
            self.send(kind, Encoding::Protobuf, &record)?;
        }
        Ok(())
    }

    /// Sends one record. One that cannot be read is sent as it is: what becomes of those is part of what is tried out.
    fn send(&mut self, kind: &'static RecordKind, encoding: Encoding, record: &[u8]) -> Result<(), Failure> {
        self.keep_to_the_rate();
        let content_type = match encoding {
            Encoding::Json => "application/json",
            _ => "application/x-protobuf",
        };
        let topic = self.args.topic_of(kind);
        let send =
            |key: Option<&[u8]>, value: &[u8]| self.publisher.send(topic, key, Some(content_type), value);
        self.sent += 1;
        self.progress.inc(1);
        if !kind.is_folded() {
            return Ok(send(None, record)?);
        }
        match decode(encoding, record, None) {
            Err(_) => send(None, record)?,
            Ok(event) => {
                let key = event.correlation.device_id.map(|device| device.to_string());
                let key = key.as_deref().map(str::as_bytes);
                if self.args.live {
                    send(key, &self.stamped(encoding, event))?;
                } else {
                    send(key, record)?;
                }
            }
        }
        Ok(())
    }

    fn stamped(&self, encoding: Encoding, mut event: Event) -> Vec<u8> {
        event.recorded_at = self.clock.now();
        match encoding {
            Encoding::Json => encode_json(&event).into_bytes(),
            _ => {
                let mut bytes = Vec::new();
                encode_protobuf(&event, &mut bytes);
                bytes
            }
        }
    }

    fn keep_to_the_rate(&self) {
        let Some(rate) = self.args.rate else { return };
        let due = Duration::from_secs_f64(self.sent as f64 / rate as f64);
        let ahead = due.saturating_sub(self.began.elapsed());
        if ahead > AHEAD {
            std::thread::sleep(ahead);
        }
    }
}

/// The frames of a file, one after the other.
struct Frames {
    file: Box<dyn Read + Send>,
    buffer: Vec<u8>,
    at: usize,
}

impl Frames {
    /// The next record; at the end of what is framed, `None`.
    fn next(&mut self) -> io::Result<Option<Vec<u8>>> {
        loop {
            match next_frame(&self.buffer[self.at..]) {
                Frame::Complete { record, consumed } => {
                    let record = record.to_vec();
                    self.at += consumed;
                    return Ok(Some(record));
                }
                Frame::Incomplete => {
                    self.buffer.drain(..self.at);
                    self.at = 0;
                    let taken = (&mut self.file).take(READ_BYTES as u64).read_to_end(&mut self.buffer)?;
                    if taken == 0 {
                        return Ok(None);
                    }
                }
                Frame::TooLarge { .. } | Frame::Bad => {
                    return Err(io::Error::other("no length of a record stands where one should"));
                }
            }
        }
    }
}
