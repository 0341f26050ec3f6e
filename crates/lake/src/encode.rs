//! Fragments to columns.

use crate::error::LakeError;
use crate::history_bytes;
use crate::schema::FRAGMENTS;
use arrow::array::{
    ArrayRef, BinaryBuilder, BooleanBuilder, Int8Builder, Int64Builder, RecordBatch, StringBuilder,
    TimestampMicrosecondBuilder,
};
use gridtrail_model::{Claims, DeviceId, Fragment, ResponseId, Subject, TrailKey};
use serde_json::{Map, Value};
use std::sync::Arc;

/// The id inside a trail key, with the two sides named by whose they usually are.
pub(crate) struct KeyId {
    pub(crate) user_side: [u8; 8],
    pub(crate) target_side: [u8; 8],
    pub(crate) counter: u64,
}

impl KeyId {
    pub(crate) fn of(key: &TrailKey) -> Self {
        let response = |id: &ResponseId| Self {
            user_side: id.second.to_bytes(),
            target_side: id.first.to_bytes(),
            counter: id.counter,
        };
        match &key.subject {
            Subject::ScheduledRun(id) | Subject::Alert { response_id: id, .. } => response(id),
            Subject::Leg(leg) => Self::of_request(&leg.request_id),
            Subject::Unjoined(id) => Self::of_request(id),
        }
    }

    fn of_request(id: &gridtrail_model::RequestId) -> Self {
        Self { user_side: id.originator.to_bytes(), target_side: id.target.to_bytes(), counter: id.counter }
    }
}

/// The ResponseID that a key implies: the alert's or run's own, or the mirror of the RequestID.
pub(crate) fn implied_response(key: &TrailKey) -> ResponseId {
    match &key.subject {
        Subject::ScheduledRun(id) | Subject::Alert { response_id: id, .. } => *id,
        Subject::Leg(leg) => ResponseId::mirror_of(&leg.request_id),
        Subject::Unjoined(id) => ResponseId::mirror_of(id),
    }
}

/// The number that stands for a subject's kind.
pub(crate) fn subject_number(subject: &Subject) -> i8 {
    match subject {
        Subject::Leg(_) => 1,
        Subject::ScheduledRun(_) => 2,
        Subject::Alert { .. } => 3,
        Subject::Unjoined(_) => 4,
    }
}

/// Columns of a run under construction.
#[derive(Default)]
struct Columns {
    device: BinaryBuilder,
    received: TimestampMicrosecondBuilder,
    user: BinaryBuilder,
    variant: StringBuilder,
    subject: Int8Builder,
    command_variant: Int8Builder,
    alert_code: StringBuilder,
    throttle_sequence: Int64Builder,
    id_counter: Int64Builder,
    id_user: BinaryBuilder,
    id_target: BinaryBuilder,
    foreign_counter: Int64Builder,
    gbcs_counter: Int64Builder,
    gbcs_is_id: BooleanBuilder,
    mpxn: StringBuilder,
    region: StringBuilder,
    mode: StringBuilder,
    preceding: StringBuilder,
    execution_at: TimestampMicrosecondBuilder,
    schedule_id: Int64Builder,
    response_is_mirror: BooleanBuilder,
    response_ids: StringBuilder,
    history_shape: BinaryBuilder,
    history_times: BinaryBuilder,
    recorded_lag: Int64Builder,
    other_claims: StringBuilder,
    shape: Vec<u8>,
    times: Vec<u8>,
    text: String,
}

/// One batch of rows. Every fragment must have a placement time; the caller parks or joins those that have none.
pub(crate) fn batch(fragments: &[&Fragment]) -> Result<RecordBatch, LakeError> {
    let mut columns = Columns::default();
    for fragment in fragments {
        columns.push(fragment)?;
    }
    RecordBatch::try_new(Arc::clone(&FRAGMENTS), columns.finish())
        .map_err(|_| LakeError::Internal("columns of a run do not fit its schema"))
}

impl Columns {
    fn push(&mut self, fragment: &Fragment) -> Result<(), LakeError> {
        let placement =
            fragment.placement().ok_or(LakeError::Internal("a fragment without a place was written"))?;
        let device = fragment.device.value().map(|d| d.to_bytes());
        self.device.append_option(device);
        self.received.append_value(placement.millis() * 1_000);
        self.user.append_value(fragment.key.user.to_bytes());
        self.push_text(fragment.variant.value(), |c| &mut c.variant);
        self.push_key(&fragment.key, device.map(DeviceId::from_bytes));
        let counter = KeyId::of(&fragment.key).counter;
        let gbcs = fragment.originator_counter.value().copied();
        self.gbcs_is_id.append_value(gbcs == Some(counter));
        self.gbcs_counter.append_option(gbcs.filter(|c| *c != counter).map(u64::cast_signed));
        self.push_text(fragment.mpxn.value(), |c| &mut c.mpxn);
        self.region.append_option(fragment.region.value().map(|r| r.as_str()));
        self.mode.append_option(fragment.mode.value().map(|m| m.as_str()));
        self.push_text(fragment.preceding.value(), |c| &mut c.preceding);
        self.execution_at.append_option(fragment.execution_at.value().map(|t| t.millis() * 1_000));
        self.schedule_id.append_option(fragment.schedule_id.value().map(|id| id.cast_signed()));
        self.push_responses(fragment);
        self.push_history(fragment, placement);
        self.other_claims.append_option(other_claims(fragment));
        Ok(())
    }

    fn push_text<T: ToString + std::fmt::Display>(
        &mut self,
        value: Option<&T>,
        column: impl Fn(&mut Self) -> &mut StringBuilder,
    ) {
        use std::fmt::Write;
        let mut text = std::mem::take(&mut self.text);
        text.clear();
        match value {
            // Writing to a String cannot fail.
            Some(value) if write!(text, "{value}").is_ok() => column(self).append_value(&text),
            _ => column(self).append_null(),
        }
        self.text = text;
    }

    fn push_key(&mut self, key: &TrailKey, device: Option<DeviceId>) {
        self.subject.append_value(subject_number(&key.subject));
        self.command_variant
            .append_option(key.command_variant().and_then(|cv| i8::try_from(cv.number()).ok()));
        let (code, sequence) = match &key.subject {
            Subject::Alert { code, throttle_sequence, .. } => (Some(code.as_str()), *throttle_sequence),
            _ => (None, None),
        };
        self.alert_code.append_option(code);
        self.throttle_sequence.append_option(sequence.map(i64::from));
        let id = KeyId::of(key);
        let foreign = device.is_none_or(|d| d.to_bytes() != id.target_side);
        self.id_counter.append_value(id.counter.cast_signed());
        self.id_user.append_option((id.user_side != key.user.to_bytes()).then_some(id.user_side));
        self.id_target.append_option(foreign.then_some(id.target_side));
        self.foreign_counter.append_option(foreign.then_some(id.counter.cast_signed()));
    }

    fn push_responses(&mut self, fragment: &Fragment) {
        let implied = implied_response(&fragment.key);
        self.response_is_mirror.append_value(fragment.response_ids.iter().any(|id| *id == implied));
        let others: Vec<String> =
            fragment.response_ids.iter().filter(|id| **id != implied).map(ToString::to_string).collect();
        self.response_ids.append_option((!others.is_empty()).then(|| others.join(" ")));
    }

    fn push_history(&mut self, fragment: &Fragment, placement: gridtrail_model::Timestamp) {
        self.shape.clear();
        self.times.clear();
        history_bytes::encode(fragment.history(), placement, &mut self.shape, &mut self.times);
        self.history_shape.append_value(&self.shape);
        self.history_times.append_value(&self.times);
        let last = fragment.history().last().map_or(placement, |entry| entry.at);
        self.recorded_lag.append_value(fragment.recorded_at_max.millis() - last.millis());
    }

    fn finish(mut self) -> Vec<ArrayRef> {
        vec![
            Arc::new(self.device.finish()),
            Arc::new(self.received.finish().with_timezone("UTC")),
            Arc::new(self.user.finish()),
            Arc::new(self.variant.finish()),
            Arc::new(self.subject.finish()),
            Arc::new(self.command_variant.finish()),
            Arc::new(self.alert_code.finish()),
            Arc::new(self.throttle_sequence.finish()),
            Arc::new(self.id_counter.finish()),
            Arc::new(self.id_user.finish()),
            Arc::new(self.id_target.finish()),
            Arc::new(self.foreign_counter.finish()),
            Arc::new(self.gbcs_counter.finish()),
            Arc::new(self.gbcs_is_id.finish()),
            Arc::new(self.mpxn.finish()),
            Arc::new(self.region.finish()),
            Arc::new(self.mode.finish()),
            Arc::new(self.preceding.finish()),
            Arc::new(self.execution_at.finish().with_timezone("UTC")),
            Arc::new(self.schedule_id.finish()),
            Arc::new(self.response_is_mirror.finish()),
            Arc::new(self.response_ids.finish()),
            Arc::new(self.history_shape.finish()),
            Arc::new(self.history_times.finish()),
            Arc::new(self.recorded_lag.finish()),
            Arc::new(self.other_claims.finish()),
        ]
    }
}

/// The claims that are not shown, as JSON: `{"mpxn": ["..."]}`. `None`, nearly always, when there is no dispute.
fn other_claims(fragment: &Fragment) -> Option<String> {
    let mut claims = Map::new();
    add(&mut claims, "device", &fragment.device);
    add(&mut claims, "received", &fragment.received);
    add(&mut claims, "mpxn", &fragment.mpxn);
    add(&mut claims, "region", &fragment.region);
    add(&mut claims, "variant", &fragment.variant);
    add(&mut claims, "mode", &fragment.mode);
    add(&mut claims, "preceding", &fragment.preceding);
    add(&mut claims, "gbcs_counter", &fragment.originator_counter);
    add(&mut claims, "execution_at", &fragment.execution_at);
    add(&mut claims, "schedule_id", &fragment.schedule_id);
    (!claims.is_empty()).then(|| Value::Object(claims).to_string())
}

fn add<T: Ord + ToString>(claims: &mut Map<String, Value>, field: &str, set: &Claims<T>) {
    if !set.others().is_empty() {
        let others = set.others().iter().map(|claim| Value::String(claim.to_string())).collect();
        claims.insert(field.to_owned(), Value::Array(others));
    }
}
