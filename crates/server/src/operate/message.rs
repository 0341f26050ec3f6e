//! From what the lake and its proofs say to messages.

use super::proofs::Made;
use crate::freshness::wire_span;
use crate::row::{field_bytes, wire_time};
use bytes::Bytes;
use gridtrail_lake::{
    DeadLetter, Expired, Expiring, Extent, Fate, LakeStatus, MonthStatus, StoppedAt, TableStatus,
};
use gridtrail_model::Timestamp;
use gridtrail_proto::operate::v1;
use gridtrail_reconcile::{ExpiredMonth, Fault, SourceProof};
use std::time::Duration;

/// Most bytes of a record that are shown: what a person looks at. The command writes all of it to a file.
const RECORD_BYTES_MAX: usize = 256 * 1024;

/// Most bytes of a key or of the value of a header, and most headers.
const HEADER_BYTES_MAX: usize = 4 * 1024;
const HEADERS_MAX: usize = 100;

fn wire_duration(duration: Duration) -> pbjson_types::Duration {
    wire_span(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX))
}

pub(super) fn status_message(status: LakeStatus, at: Timestamp) -> v1::GetLakeStatusResponse {
    let windows = status.windows;
    v1::GetLakeStatusResponse {
        at: Some(wire_time(at)),
        tables: status.tables.into_iter().map(table).collect(),
        months: status.months.into_iter().map(month).collect(),
        buckets: status.buckets,
        compactions_due: status.compactions_due,
        retention_months: status.retention_months,
        expiring: status.expiring.into_iter().map(expiring).collect(),
        holds: status.holds,
        files_kept: Some(wire_duration(windows.files)),
        log_kept: Some(wire_duration(windows.log)),
        as_of: Some(wire_duration(windows.as_of)),
        page_token: Some(wire_duration(windows.page_token)),
        stopped: status.stopped.into_iter().map(stopped).collect(),
    }
}

fn table(of: TableStatus) -> v1::LakeTable {
    let TableStatus { name, format, newest_format, version, files, bytes, rows } = of;
    v1::LakeTable { name: name.to_owned(), format, newest_format, version, files, bytes, rows }
}

fn month(of: MonthStatus) -> v1::LakeMonth {
    v1::LakeMonth {
        month: of.month,
        level_0_runs: of.level_0,
        bucket_runs: of.bucketed,
        bucket_runs_max: of.bucket_max,
        rows: of.rows,
        bytes: of.bytes,
        oldest: of.oldest.map(wire_time),
        newest: of.newest.map(wire_time),
    }
}

fn expiring(Expiring { month, rows, whole }: Expiring) -> v1::ExpiringMonth {
    v1::ExpiringMonth { month: month.to_string(), rows, whole }
}

fn stopped(at: StoppedAt) -> v1::StoppedTable {
    let remedy = at.remedy();
    let StoppedAt { table, version, entry, why, .. } = at;
    v1::StoppedTable { table: table.to_owned(), version, entry, why, remedy }
}

pub(super) fn letter_message(fate: Fate, letter: &DeadLetter) -> v1::DeadLetter {
    let (whole, cut) = match &letter.extent {
        Extent::Whole => (Some(true), None),
        Extent::Cut { bytes, sha256 } => (Some(false), Some((*bytes, sha256.clone()))),
        Extent::Unsaid => (None, None),
    };
    let (record_bytes, record_sha256) = cut.unzip();
    let state = match fate {
        Fate::Open => v1::DeadLetterState::Open,
        Fate::Replayed => v1::DeadLetterState::Replayed,
        Fate::Dismissed => v1::DeadLetterState::Dismissed,
    };
    v1::DeadLetter {
        source: letter.source.clone(),
        name: letter.source_name.clone(),
        position: letter.position,
        state: state.into(),
        read_at: Some(wire_time(letter.read_at)),
        reason: letter.reason.clone(),
        bytes: letter.raw.len() as u64,
        whole,
        record_bytes,
        record_sha256: record_sha256.unwrap_or_default(),
    }
}

/// A letter, with what it holds where that is asked for.
pub(super) fn whole_letter(fate: Fate, letter: &DeadLetter, with_record: bool) -> v1::GetDeadLetterResponse {
    let shown = v1::GetDeadLetterResponse {
        letter: Some(letter_message(fate, letter)),
        ..v1::GetDeadLetterResponse::default()
    };
    if !with_record {
        return shown;
    }
    let header = |(name, value): &(String, Bytes)| v1::DeadLetterHeader {
        name: name.clone(),
        value: cut(value, HEADER_BYTES_MAX),
    };
    v1::GetDeadLetterResponse {
        record: cut(&letter.raw, RECORD_BYTES_MAX),
        key: letter.key.as_ref().map(|key| cut(key, HEADER_BYTES_MAX)).unwrap_or_default(),
        headers: letter.headers.iter().take(HEADERS_MAX).map(header).collect(),
        ..shown
    }
}

fn cut(bytes: &Bytes, most: usize) -> Vec<u8> {
    bytes[..bytes.len().min(most)].to_vec()
}

/// A proof with a page of its sources, after so many and so many at most, of so many bytes at most but for the first; and how many these are.
pub(super) fn reconciliation(
    made: &Made,
    (passed, most): (usize, usize),
    mut room: usize,
) -> (v1::Reconciliation, usize) {
    let Made { at, took, proof } = made;
    let is_first = passed == 0;
    let mut sources = Vec::new();
    for proof in proof.sources.iter().skip(passed).take(most) {
        let message = source(proof);
        let bytes = field_bytes(&message);
        if bytes > room && !sources.is_empty() {
            break;
        }
        room = room.saturating_sub(bytes);
        sources.push(message);
    }
    let shown = sources.len();
    let of_first = |count: usize| if is_first { count } else { 0 };
    let message = v1::Reconciliation {
        at: Some(wire_time(*at)),
        took: Some(wire_duration(*took)),
        version: proof.version,
        clean: proof.is_clean(),
        commits: proof.commits,
        files: proof.files,
        letters_superseded: proof.letters_superseded,
        fault_count: proof.fault_count,
        faults: proof.faults.iter().take(of_first(proof.faults.len())).map(fault).collect(),
        retention: proof.expired.iter().take(of_first(proof.expired.len())).map(expired).collect(),
        source_count: proof.sources.len() as u64,
        sources,
    };
    (message, shown)
}

fn fault(Fault { kind, source, version, what }: &Fault) -> v1::ReconciliationFault {
    v1::ReconciliationFault {
        kind: kind.name().to_owned(),
        source: source.clone(),
        version: *version,
        what: what.clone(),
    }
}

fn expired(ExpiredMonth { version, month, at_ms, expired }: &ExpiredMonth) -> v1::ExpiredMonth {
    let Expired { files, rows_dropped, rows_kept, rows_held } = *expired;
    let at = Timestamp::from_millis(*at_ms).map(wire_time);
    v1::ExpiredMonth {
        version: *version,
        month: month.clone(),
        at,
        files,
        rows_dropped,
        rows_kept,
        rows_held,
    }
}

fn source(proof: &SourceProof) -> v1::ReconciledSource {
    v1::ReconciledSource {
        source: proof.source.clone(),
        name: proof.name.clone(),
        to: proof.to,
        ranges: proof.ranges,
        records: proof.records,
        stored: proof.stored,
        parked: proof.parked,
        duplicates: proof.duplicates,
        dead_lettered: proof.dead_lettered,
        replayed: proof.replayed,
        dismissed: proof.dismissed,
        skipped: proof.skipped.iter().map(|(why, count)| (why.name().to_owned(), *count)).collect(),
        events: proof.events.clone(),
    }
}
