//! The DCC's sample messages as one hour of traffic.
//!
//! The request templates share a few placeholder counters, so two of them can name the same request. Here every
//! template gets a counter of its own, its answer the same one, and both get times that fit each other. Nothing else
//! in a message is touched. The samples are licensed under the GPL: they are read where they lie, and what is made of
//! them stays in the demo's own folder.

use crate::exit::Failure;
use gridtrail_codec::{Encoding, Receipt, capture, decode, duis, synthetic};
use gridtrail_inventory::InventoryEvent;
use gridtrail_model::{Body, DeviceId, Event, Named, Timestamp};
use std::collections::{BTreeSet, HashMap};
use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};

/// The first counter that is given out: far above the placeholders.
const FIRST_COUNTER: u64 = 1_000_001;
const HOUR_MS: i64 = 3_600_000;
/// How long after its request an answer is received.
const ANSWER_MS: i64 = 2_500;

/// What became a capture.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Taken {
    pub(super) requests: u64,
    pub(super) responses: u64,
    pub(super) alerts: u64,
    /// Requests that name no MPxN.
    pub(super) without_mpxn: u64,
    /// The answers among the DCC's own messages.
    pub(super) real_responses: u64,
    /// Devices of which messages say something for the inventory, or ask for it.
    pub(super) devices: BTreeSet<DeviceId>,
}

/// Writes the samples into a capture. `None`: there are none in this folder.
pub(super) fn capture_samples(
    samples: &Path,
    out: &Path,
    start: Timestamp,
) -> Result<Option<Taken>, Failure> {
    let requests = xml_files(&samples.join("duis-requests"));
    if requests.is_empty() {
        return Ok(None);
    }
    let responses = xml_files(&samples.join("duis-responses-derived"));
    let answers: HashMap<String, PathBuf> =
        responses.into_iter().map(|path| (stem(&path).to_ascii_uppercase(), path)).collect();
    let real = xml_files(&samples.join("duis-responses"));
    let alerts = xml_files(&samples.join("duis-alerts-derived"));
    let file = File::create(out).map_err(Failure::file("create", out))?;
    let mut writer = capture::Writer::new(BufWriter::new(file)).map_err(Failure::file("write", out))?;
    let mut devices = BTreeSet::new();
    let mut put = |at: Timestamp, xml: &str| {
        let receipt = Receipt { recorded_at: at, event_id: None };
        devices.extend(named_for_the_inventory(xml, &receipt));
        writer.message(&receipt, xml).map_err(Failure::file("write", out))
    };
    let messages = i64::try_from(requests.len() + real.len() + alerts.len()).unwrap_or(i64::MAX);
    let mut times = (0..messages).map(|turn| start.plus_millis(turn * HOUR_MS / messages));
    let (mut taken, mut han_device_log) = (Taken::default(), None);
    for ((path, counter), at) in requests.iter().zip(FIRST_COUNTER..).zip(times.by_ref()) {
        let request = with_counter(&read(path)?, "RequestID", counter);
        put(at, &request)?;
        if text_of(&request, "UpdateHANDeviceLog").is_some() && han_device_log.is_none() {
            han_device_log = text_of(&request, "RequestID").map(|span| request[span].to_owned());
        }
        taken.requests += 1;
        taken.without_mpxn += u64::from(names_no_mpxn(&request, at));
        let answer = stem(path).to_ascii_uppercase().replace("_REQUEST", "_RESPONSE");
        if let Some(path) = answers.get(&answer) {
            let at = at.plus_millis(ANSWER_MS);
            put(at, &answer_to(counter, at, &read(path)?))?;
            taken.responses += 1;
        }
    }
    for (path, at) in real.iter().zip(times.by_ref()) {
        put(at, &read(path)?)?;
        taken.real_responses += 1;
    }
    for (path, at) in alerts.iter().zip(times) {
        put(at, &about_request(&read(path)?, han_device_log.as_deref()))?;
        taken.alerts += 1;
    }
    taken.devices = devices;
    writer.finish().map_err(Failure::file("write", out))?;
    Ok(Some(taken))
}

/// Writes gridtrail's own messages, for those who do not have the samples.
pub(super) fn write_synthetic(folder: &Path) -> Result<u64, Failure> {
    let mut files = 0;
    for (name, bytes) in synthetic::files() {
        let path = folder.join(name);
        std::fs::write(&path, bytes).map_err(Failure::file("write", &path))?;
        files += u64::from(name.ends_with(".xml"));
    }
    Ok(files)
}

fn answer_to(counter: u64, at: Timestamp, xml: &str) -> String {
    let xml = with_counter(&with_counter(xml, "RequestID", counter), "ResponseID", counter);
    // The time in the derived answers is made up; one that fits the request is no worse.
    match text_of(&xml, "ResponseDateTime") {
        Some(span) => replaced(&xml, span, &at.to_string()),
        None => xml,
    }
}

/// The derived alerts on the HAN Device Log name a request of their own; here they name the first of this kind that was taken.
fn about_request(alert: &str, request_id: Option<&str>) -> String {
    match (text_of(alert, "UpdateHANDeviceLogServiceRequestID"), request_id) {
        (Some(span), Some(id)) => replaced(alert, span, id),
        _ => alert.to_owned(),
    }
}

/// The Devices of which a message says something for the inventory, or asks for it.
fn named_for_the_inventory(xml: &str, receipt: &Receipt) -> Vec<DeviceId> {
    // A message that cannot be read becomes a dead letter at ingest, where it is counted.
    let said = duis::inventory(xml.as_bytes(), receipt).unwrap_or_default();
    let facts = said.facts.iter().flat_map(InventoryEvent::about);
    let asked = said.asked.iter().flat_map(|asked| &asked.facts).map(|asked| asked.fact.about());
    let asked = asked.flat_map(|(first, second)| std::iter::once(first).chain(second));
    let device = |named| match named {
        Named::Device(device) => Some(device),
        Named::Mpxn(_) => None,
    };
    facts.chain(asked).filter_map(device).collect()
}

/// The message with another counter in its first element of this name: `user:device:counter`.
fn with_counter(xml: &str, element: &str, counter: u64) -> String {
    let Some(span) = text_of(xml, element) else { return xml.to_owned() };
    match xml[span.clone()].rsplit_once(':') {
        Some((parties, _)) => replaced(xml, span.clone(), &format!("{parties}:{counter}")),
        None => xml.to_owned(),
    }
}

fn replaced(xml: &str, span: std::ops::Range<usize>, text: &str) -> String {
    [&xml[..span.start], text, &xml[span.end..]].concat()
}

/// Where the text of the first element of this local name stands.
fn text_of(xml: &str, element: &str) -> Option<std::ops::Range<usize>> {
    let mut from = 0;
    while let Some(found) = xml[from..].find('<') {
        let tag = from + found + 1;
        let end = tag + xml[tag..].find('>')?;
        let name = xml[tag..end].split_ascii_whitespace().next().unwrap_or_default();
        // An end tag's name begins with a slash, and so is no local name that anyone asks for.
        let local =
            name.split_once(':').filter(|(prefix, _)| !prefix.starts_with('/')).map_or(name, |(_, l)| l);
        if local == element {
            let text = end + 1;
            return Some(text..text + xml[text..].find('<')?);
        }
        from = end + 1;
    }
    None
}

fn names_no_mpxn(request: &str, at: Timestamp) -> bool {
    let receipt = Receipt { recorded_at: at, event_id: None };
    // A message that cannot be read becomes a dead letter at ingest, where it is counted.
    matches!(
        decode(Encoding::DuisXml, request.as_bytes(), Some(&receipt)),
        Ok(Event { body: Body::RequestReceived(_), correlation, .. }) if correlation.mpxn.is_none()
    )
}

/// The XML files of a folder, by name; none when there is no such folder.
fn xml_files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let is_xml = |path: &PathBuf| path.extension().is_some_and(|end| end.eq_ignore_ascii_case("xml"));
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.path()).filter(is_xml).collect();
    files.sort();
    files
}

fn stem(path: &Path) -> String {
    path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

fn read(path: &Path) -> Result<String, Failure> {
    crate::text::read(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    const REQUEST: &str = "<a:Request><a:Header>\
        <a:PrecedingServiceRequestID>u:d:1</a:PrecedingServiceRequestID><a:RequestID>u:d:1000</a:RequestID>\
        </a:Header><a:Body><a:RequestID>u:d:1000</a:RequestID></a:Body></a:Request>";

    #[test]
    fn only_the_request_id_of_the_header_is_renumbered() {
        let changed = with_counter(REQUEST, "RequestID", 77);
        assert_eq!(changed, REQUEST.replacen(":RequestID>u:d:1000<", ":RequestID>u:d:77<", 1));
        assert_eq!(with_counter(REQUEST, "ResponseID", 77), REQUEST, "what is absent stays absent");
    }

    #[test]
    fn an_answer_gets_its_requests_number_and_a_time_after_it() {
        let at: Timestamp = "2026-03-01T09:00:02.500Z".parse().unwrap();
        let answer = "<R><RequestID>u:d:1</RequestID><ResponseID>d:u:1</ResponseID>\
                      <ResponseDateTime>2025-12-01T00:05:12.345Z</ResponseDateTime></R>";
        assert_eq!(
            answer_to(5, at, answer),
            "<R><RequestID>u:d:5</RequestID><ResponseID>d:u:5</ResponseID>\
             <ResponseDateTime>2026-03-01T09:00:02.500Z</ResponseDateTime></R>"
        );
    }

    #[test]
    fn a_folder_without_samples_is_no_error() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("a.xml");
        let none = capture_samples(&folder.path().join("absent"), &out, Timestamp::MIN).unwrap();
        assert_eq!((none, out.exists()), (None, false));
        assert!(write_synthetic(folder.path()).unwrap() >= 4);
    }
}
