//! Our own DUIS messages: made-up lives of a made-up household, for the demo, the tests and everyone without the
//! DCC's samples.
//!
//! [`files`] gives the same bytes every time; they lie in `testdata/duis/`, and a test compares. Every identifier
//! begins with `00-5A` and belongs to nobody.

use crate::Receipt;
use crate::capture::Writer;
use crate::duis::{
    BreachKind, DccAlertBody, Request, RequestBody, Response, ResponseBody, gbcs, write_request,
    write_response,
};
use gridtrail_model::{
    CommandVariant, DeviceId, Instruction, Mpxn, RequestId, ResponseId, Timestamp, UserId,
};

/// What a payload claims to be in its header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PayloadKind {
    /// A command from a User to a Device.
    Command = 1,
    /// A Device's answer, with the counter of the command.
    Response = 2,
    /// A Device's alert, with a counter of the Device's own.
    Alert = 3,
}

/// A made-up GBCS payload in base64: a true header, then filler.
pub fn payload(kind: PayloadKind, counter: u64, originator: [u8; 8], target: [u8; 8]) -> String {
    gbcs::message(kind as u8, counter, originator, target)
}

/// The supplier of the household.
const SUPPLIER: [u8; 8] = [0x00, 0x5a, 0x00, 0x00, 0x00, 0x01, 0x00, 0x01];
/// Another User, entitled to read consumption.
const OTHER_USER: [u8; 8] = [0x00, 0x5a, 0x00, 0x00, 0x00, 0x02, 0x00, 0x01];
/// The DCC's access control broker.
const DCC: [u8; 8] = [0x00, 0x5a, 0xff, 0x00, 0x00, 0x00, 0x00, 0x02];
const METER: [u8; 8] = [0x00, 0x5a, 0x10, 0x00, 0x00, 0x00, 0x0e, 0x01];
const GAS_METER: [u8; 8] = [0x00, 0x5a, 0x10, 0x00, 0x00, 0x00, 0x06, 0x02];
const HUB: [u8; 8] = [0x00, 0x5a, 0x10, 0x00, 0x00, 0x00, 0x0c, 0x03];
/// An MPAN whose check digit is right.
const MPAN: &str = "1900000000013";

/// The files of `testdata/duis/`: name and content.
pub fn files() -> Vec<(&'static str, Vec<u8>)> {
    let mut files = vec![
        ("household-day.xml", capture(&household_day())),
        ("future-dated-failure.xml", capture(&future_dated_failure())),
        ("quarantine.xml", capture(&quarantine())),
    ];
    let day = household_day();
    for (name, sidecar, letter) in [
        ("read-profile-request.xml", "read-profile-request.xml.receipt.json", &day[0]),
        ("power-outage-alert.xml", "power-outage-alert.xml.receipt.json", &day[day.len() - 1]),
    ] {
        files.push((name, format!("{DECLARATION}{}\n", letter.xml).into_bytes()));
        files.push((sidecar, letter.receipt.to_sidecar().into_bytes()));
    }
    files
}

const DECLARATION: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n";

/// A message and its receipt.
#[derive(Debug, Clone)]
struct Letter {
    receipt: Receipt,
    xml: String,
}

fn capture(letters: &[Letter]) -> Vec<u8> {
    // Writing to memory does not fail, and none of the documents holds a Message tag; a test compares the bytes.
    let write = || {
        let mut writer = Writer::new(Vec::new())?;
        for letter in letters {
            writer.message(&letter.receipt, &letter.xml)?;
        }
        writer.finish()
    };
    write().unwrap_or_default()
}

/// A day of letters, one every ten seconds.
struct Diary {
    letters: Vec<Letter>,
    now: Timestamp,
}

impl Diary {
    fn from(start: &str) -> Self {
        Self { letters: Vec::new(), now: known(start) }
    }

    fn post(&mut self, xml: String) {
        let id = format!("synthetic-{}-{}", self.now.millis(), self.letters.len() + 1);
        self.letters
            .push(Letter { receipt: Receipt { recorded_at: self.now, event_id: id.parse().ok() }, xml });
        self.now = self.now.plus_millis(10_000);
    }

    fn request(&mut self, request_id: RequestId, command_variant: u8, variant: &str, body: RequestBody) {
        let request = Request {
            request_id,
            command_variant: CommandVariant::new(command_variant).unwrap_or(CommandVariant::DCC_ONLY),
            variant: known(variant),
            preceding: None,
            body,
        };
        let mut xml = String::new();
        write_request(&request, &mut xml);
        self.post(xml);
    }

    fn response(
        &mut self,
        request_id: Option<RequestId>,
        response_id: Option<ResponseId>,
        code: &str,
        body: ResponseBody,
    ) {
        let response = Response { request_id, response_id, code: known(code), at: self.now, body };
        let mut xml = String::new();
        write_response(&response, &mut xml);
        self.post(xml);
    }

    fn acknowledge(&mut self, request_id: RequestId, variant: &str, code: &str) {
        self.response(Some(request_id), None, code, ResponseBody::Acknowledgement(known(variant)));
    }

    fn answer(&mut self, request_id: RequestId, variant: &str) {
        let payload = answer_payload(request_id);
        let body = ResponseBody::ServiceResponse(known(variant), payload);
        self.response(Some(request_id), Some(ResponseId::mirror_of(&request_id)), "I0", body);
    }

    fn dcc_alert(&mut self, counter: u64, code: &str, body: DccAlertBody) {
        let id = response_id(DCC, SUPPLIER, counter);
        self.response(None, Some(id), "I0", ResponseBody::DccAlert(known(code), body));
    }
}

/// Reads a text of this module. Every one is right, as the comparing test would show.
#[expect(clippy::expect_used, reason = "the texts are constants of this module")]
fn known<T: std::str::FromStr>(text: &str) -> T
where
    T::Err: std::fmt::Debug,
{
    // Cannot fail: only constants of this module come here, and `files()`, which takes no input, reads them all every
    // time. The test that compares its bytes with `testdata/duis/` would not get past a wrong one.
    text.parse().expect("a constant of this module has the right form")
}

fn request_id(user: [u8; 8], target: [u8; 8], counter: u64) -> RequestId {
    RequestId { originator: UserId::from_bytes(user), target: DeviceId::from_bytes(target), counter }
}

fn response_id(first: [u8; 8], second: [u8; 8], counter: u64) -> ResponseId {
    ResponseId { first: DeviceId::from_bytes(first), second: DeviceId::from_bytes(second), counter }
}

fn answer_payload(id: RequestId) -> String {
    payload(PayloadKind::Response, id.counter, id.target.to_bytes(), id.originator.to_bytes())
}

fn command_payload(id: RequestId) -> String {
    payload(PayloadKind::Command, id.counter, id.originator.to_bytes(), id.target.to_bytes())
}

fn alert_payload(counter: u64) -> String {
    payload(PayloadKind::Alert, counter, METER, SUPPLIER)
}

fn household_day() -> Vec<Letter> {
    let mut day = Diary::from("2026-03-02T00:10:00.000Z");
    reads(&mut day);
    prepayment(&mut day);
    schedule(&mut day);
    let hub_out = request_id(SUPPLIER, DCC, 7_300_041);
    day.request(hub_out, 8, "8.3", RequestBody::DecommissionDevice(DeviceId::from_bytes(GAS_METER)));
    day.acknowledge(hub_out, "8.3", "I99");
    let outage = known("8F36");
    let throttled = ResponseBody::DeviceAlert(outage, Some((1, 4)), alert_payload(88_001));
    day.response(None, Some(response_id(METER, SUPPLIER, 88_001)), "I0", throttled);
    let mpan: Mpxn = known(MPAN);
    let body = DccAlertBody::PowerOutage(DeviceId::from_bytes(HUB), day.now.plus_millis(-180_000), mpan);
    day.dcc_alert(5_001, "AD1", body);
    day.letters
}

/// Three reads: one answered, one lost, one by another User with the DCC's own counter in its payload.
fn reads(day: &mut Diary) {
    let (from, to) = (known("2026-03-01T00:00:00Z"), known("2026-03-02T00:00:00Z"));
    let profile = request_id(SUPPLIER, METER, 7_300_001);
    day.request(profile, 1, "4.8.1", RequestBody::ReadActiveImportProfileData(from, to));
    day.acknowledge(profile, "4.8.1", "I99");
    day.answer(profile, "4.8.1");

    let lost = request_id(SUPPLIER, GAS_METER, 7_300_002);
    day.request(lost, 1, "4.6.1", RequestBody::RetrieveImportDailyReadLog(from, to));
    day.acknowledge(lost, "4.6.1", "I99");
    let failure = DccAlertBody::CommandFailure(lost, None, DeviceId::from_bytes(GAS_METER));
    day.dcc_alert(5_000, "N13", failure);
    day.acknowledge(lost, "4.6.1", "E21");

    let other = request_id(OTHER_USER, METER, 12);
    day.request(other, 1, "4.17", RequestBody::RetrieveDailyConsumptionLog(from, to));
    day.acknowledge(other, "4.17", "I99");
    let by_the_dcc = payload(PayloadKind::Response, 990_077, METER, DCC);
    let body = ResponseBody::ServiceResponse(known("4.17"), by_the_dcc);
    day.response(Some(other), Some(ResponseId::mirror_of(&other)), "I0", body);
}

/// The legs of a critical, future-dated change: they share one RequestID.
fn prepayment(day: &mut Diary) {
    let id = request_id(SUPPLIER, METER, 7_300_010);
    let tonight: Timestamp = known("2026-03-02T23:00:00Z");
    day.request(id, 4, "2.1", RequestBody::UpdatePrepayConfiguration(Some(tonight)));
    let pre_command = ResponseBody::PreCommand(known("2.1"), command_payload(id));
    day.response(Some(id), Some(ResponseId::mirror_of(&id)), "I0", pre_command);
    day.request(id, 5, "2.1", RequestBody::SignedPreCommand(Some(tonight), command_payload(id)));
    day.acknowledge(id, "2.1", "I99");
    day.answer(id, "2.1");
    reports(day, id, &[true, true]);
}

/// A Device's reports on the instructions of a future-dated command.
fn reports(day: &mut Diary, id: RequestId, carried_out: &[bool]) {
    let total = u16::try_from(carried_out.len()).unwrap_or(u16::MAX);
    for (number, done) in (1..=total).zip(carried_out) {
        let counter = 88_100 + u64::from(number);
        let instruction = Instruction { number, total };
        let body = ResponseBody::FutureDatedAlert(known("2.1"), *done, instruction, alert_payload(counter));
        day.response(Some(id), Some(response_id(METER, SUPPLIER, counter)), "I0", body);
    }
}

fn schedule(day: &mut Diary) {
    let id = request_id(SUPPLIER, DCC, 7_300_030);
    day.request(id, 8, "5.1", RequestBody::CreateSchedule(DeviceId::from_bytes(METER), day.now));
    day.response(Some(id), None, "I0", ResponseBody::ScheduleCreated(640_021));
    let run = response_id(METER, SUPPLIER, 7_300_031);
    let result = payload(PayloadKind::Response, 7_300_031, METER, SUPPLIER);
    let body = ResponseBody::ScheduledRead(known("4.8.1"), 640_021, result);
    day.response(None, Some(run), "I0", body);
}

fn future_dated_failure() -> Vec<Letter> {
    let mut day = Diary::from("2026-03-03T08:00:00.000Z");
    let id = request_id(SUPPLIER, METER, 7_300_110);
    let noon: Timestamp = known("2026-03-03T12:00:00Z");
    day.request(id, 5, "2.1", RequestBody::SignedPreCommand(Some(noon), command_payload(id)));
    day.acknowledge(id, "2.1", "I99");
    day.answer(id, "2.1");
    reports(&mut day, id, &[true, false]);
    day.letters
}

fn quarantine() -> Vec<Letter> {
    let mut day = Diary::from("2026-03-04T08:00:00.000Z");
    let (from, to) = (known("2026-03-03T00:00:00Z"), known("2026-03-04T00:00:00Z"));
    for (i, (kind, code)) in
        [(BreachKind::User, "N36"), (BreachKind::Dcc, "N37"), (BreachKind::Attribute, "N38")]
            .into_iter()
            .enumerate()
    {
        let counter = i as u64;
        let id = request_id(SUPPLIER, METER, 7_300_200 + counter);
        day.request(id, 1, "4.8.1", RequestBody::ReadActiveImportProfileData(from, to));
        let body = DccAlertBody::Quarantined(kind, id, 20_260_304_000 + counter);
        day.dcc_alert(5_100 + counter, code, body);
    }
    day.letters
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::Messages;

    #[test]
    fn every_synthetic_message_decodes() {
        let mut count = 0;
        for (name, bytes) in files() {
            if crate::capture::is_capture(&bytes) {
                for message in Messages::new(&bytes).unwrap() {
                    message.unwrap().decode().unwrap_or_else(|error| panic!("{name}: {error}"));
                    count += 1;
                }
            } else if name.ends_with(".json") {
                Receipt::from_sidecar(&bytes).unwrap();
            }
        }
        assert_eq!(count, household_day().len() + future_dated_failure().len() + quarantine().len());
        assert!(count >= 30, "{count}");
    }
}
