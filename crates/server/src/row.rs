//! From plain rows and pages to response messages, of which none is larger than its reader takes.

use crate::limits::{OTHER_CLAIMS_MAX, PAGE_BYTES_MAX, TOKEN_BYTES_MAX};
use gridtrail_access::{Access, Sharing};
use gridtrail_model::{Dispute, HistoryEntry, Timestamp};
use gridtrail_proto::query::v1;
use gridtrail_search::{Answer, DeviceResolution, Page, Row, SearchError};
use prost::{Message, length_delimiter_len};
use std::fmt::{Display, Write as _};

/// The message of a page, with as many of its rows as there is room for, and how many bytes each of them has in it. The page ends
/// where the message does.
///
/// Errors: `Seal`.
pub(crate) fn search_response(
    page: &mut Page,
    view: v1::RowView,
    sharing: &Sharing,
) -> Result<(v1::SearchResponse, Vec<usize>), SearchError> {
    let (rows, bytes) = rows_that_fit(page, view, sharing)?;
    let message = v1::SearchResponse {
        rows,
        next_page_token: page.next_page_token.clone().unwrap_or_default(),
        complete_up_to: page.complete_up_to.map(wire_time),
        snapshot_version: page.version.to_string(),
        device_resolution: resolution(page.resolution).into(),
    };
    Ok((message, bytes))
}

fn rows_that_fit(
    page: &mut Page,
    view: v1::RowView,
    sharing: &Sharing,
) -> Result<(Vec<v1::TrailRow>, Vec<usize>), SearchError> {
    let (mut rows, mut sizes) = (Vec::with_capacity(page.rows.len()), Vec::with_capacity(page.rows.len()));
    let mut room = PAGE_BYTES_MAX;
    // The page gets shorter where it ends early.
    while let Some(next) = page.rows.get(rows.len()) {
        let mut row = trail_row(next, view, sharing);
        let mut bytes = field_bytes(&row);
        if bytes > room {
            // A row that no page has room for has one of its own, and the rest of its history can be got.
            if !rows.is_empty() {
                page.end_after(rows.len())?;
                break;
            }
            page.end_history_after(0, shorten_history(&mut row, room))?;
            set_history_token(&mut row, &page.rows[0]);
            page.end_after(1)?;
            bytes = field_bytes(&row);
        }
        room = room.saturating_sub(bytes);
        rows.push(row);
        sizes.push(bytes);
    }
    Ok((rows, sizes))
}

/// The message of a row, with as much of its history as there is room for. The answer's history ends where the message's does.
///
/// Errors: `Seal`.
pub(crate) fn get_response(answer: &mut Answer, sharing: &Sharing) -> Result<v1::GetResponse, SearchError> {
    let mut row = trail_row(&answer.row, v1::RowView::Full, sharing);
    if field_bytes(&row) > PAGE_BYTES_MAX {
        answer.end_history_after(shorten_history(&mut row, PAGE_BYTES_MAX))?;
        set_history_token(&mut row, &answer.row);
    }
    Ok(v1::GetResponse {
        row: Some(row),
        complete_up_to: answer.complete_up_to.map(wire_time),
        snapshot_version: answer.version.to_string(),
    })
}

/// Leaves a row as much of its history as there is room for, one entry at least, and says how many entries those are.
fn shorten_history(row: &mut v1::TrailRow, room: usize) -> usize {
    let history = |row: &mut v1::TrailRow| {
        row.details.as_mut().map(|details| std::mem::take(&mut details.status_change_history))
    };
    let mut entries = history(row).unwrap_or_default();
    let mut left = room.saturating_sub(field_bytes(row) + TOKEN_BYTES_MAX);
    let fitting = entries.iter().take_while(|entry| {
        let rest = left.checked_sub(field_bytes(*entry));
        left = rest.unwrap_or_default();
        rest.is_some()
    });
    let fitting = fitting.count().max(1);
    entries.truncate(fitting);
    if let Some(details) = &mut row.details {
        details.status_change_history = entries;
    }
    fitting
}

fn set_history_token(row: &mut v1::TrailRow, of: &Row) {
    if let Some(details) = &mut row.details {
        details.next_history_page_token = text(of.next_history_page_token.as_ref());
    }
}

/// How many bytes a message has as a field of another, whose number is below 16.
pub(crate) fn field_bytes(message: &impl Message) -> usize {
    let bytes = message.encoded_len();
    1 + length_delimiter_len(bytes) + bytes
}

/// What the caller is here, and what is on record that they entered about themselves; `takes_details`: whether they are asked for that.
pub(crate) fn profile_response(
    who: &Access,
    (details, takes_details): (Option<v1::PersonalDetails>, bool),
) -> v1::ProfileResponse {
    v1::ProfileResponse {
        party: who.party().to_string(),
        user_ids: who.user_ids().to_set().into_iter().map(shown).collect(),
        job_type_roles: who.roles().to_vec(),
        functional_components: who.components().iter().map(shown).collect(),
        expires_at: Some(wire_time(who.expires_at())),
        details,
        takes_details,
    }
}

fn trail_row(row: &Row, view: v1::RowView, sharing: &Sharing) -> v1::TrailRow {
    let Row { reference, matched_device, trail, .. } = row;
    // What awaits its request lies where it was answered.
    let at = trail.received_at.unwrap_or(reference.placement());
    v1::TrailRow {
        reference: shown(reference),
        matched_device_id: text(*matched_device),
        dcc_service_user_organisation_id: shown(sharing.organisation_id(trail.user_id, at)),
        device_id: text(trail.device_id),
        gbcs_transaction_sequence_number: trail.gbcs_transaction_sequence_number,
        mpxn: text(trail.mpxn),
        service_request_received_at: trail.received_at.map(wire_time),
        service_response_sent_at: trail.sent_at.map(wire_time),
        service_reference: text(trail.service_reference()),
        service_reference_variant: text(trail.variant),
        simplified_transaction_status: shown(trail.simplified),
        details: (view != v1::RowView::Table).then(|| details(row)),
        user_id: shown(trail.user_id),
        device_resolution: resolution(row.resolution).into(),
    }
}

const fn resolution(found: DeviceResolution) -> v1::DeviceResolution {
    match found {
        DeviceResolution::Direct => v1::DeviceResolution::Direct,
        DeviceResolution::BySeenPairs => v1::DeviceResolution::BySeenPairs,
        DeviceResolution::ByInventory => v1::DeviceResolution::ByInventory,
        DeviceResolution::ByInventoryAndSeenPairs => v1::DeviceResolution::ByInventoryAndSeenPairs,
        DeviceResolution::NoMeterPoint => v1::DeviceResolution::NoMeterPoint,
    }
}

fn details(row: &Row) -> v1::TrailDetails {
    let trail = &row.trail;
    v1::TrailDetails {
        request_id: text(trail.request_id),
        response_id: text(trail.response_id),
        csp_region: shown(trail.csp_region),
        csp_region_raw: text(trail.csp_region_raw),
        mode_of_operation: shown(trail.mode),
        preceding_request_id: text(trail.preceding_request_id),
        service_reference_variant_name: text(trail.variant.and_then(|v| v.entry()).map(|entry| entry.name)),
        command_variant: trail.command_variant.map(|variant| variant.number().into()),
        response_code: text(trail.response_code),
        current_status: shown(trail.current_status),
        anomaly_detection_flag: trail.anomaly_detection_flag,
        status_change_history: trail.history.iter().map(status_change).collect(),
        alert_code: text(trail.alert_code),
        dsp_schedule_id: trail.schedule_id,
        execution_at: trail.execution_at.map(wire_time),
        awaiting_request: trail.awaiting_request,
        disputes: trail.disputes.iter().map(dispute).collect(),
        last_recorded_at: trail.recorded_at_max.map(wire_time),
        concerned_device_count: count(trail.concerned_devices.count),
        concerned_device_ids: trail.concerned_devices.first.iter().map(shown).collect(),
        concerned_mpxn_count: count(trail.concerned_mpxns.count),
        concerned_mpxns: trail.concerned_mpxns.first.iter().map(shown).collect(),
        status_change_history_count: row.history_count as u64,
        next_history_page_token: text(row.next_history_page_token.as_ref()),
    }
}

fn dispute(dispute: &Dispute) -> v1::Dispute {
    v1::Dispute {
        field: dispute.field.into(),
        other_claims: dispute.others.iter().take(OTHER_CLAIMS_MAX).cloned().collect(),
        other_claims_count: dispute.others.len() as u64,
    }
}

fn status_change(entry: &HistoryEntry) -> v1::StatusChange {
    v1::StatusChange {
        at: Some(wire_time(entry.at)),
        state: shown(entry.state),
        response_code: text(entry.code),
        cause: text(entry.cause.as_ref()),
        instruction_number: entry.instruction.map(|instruction| instruction.number.into()),
        instruction_total: entry.instruction.map(|instruction| instruction.total.into()),
    }
}

/// A number of things that lie in memory, far below 2^32.
pub(crate) fn count(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

pub(crate) fn text<T: Display>(value: Option<T>) -> String {
    value.map_or_else(String::new, shown)
}

/// A value as text, with room for an identifier from the start: an answer has thousands, and growing one takes longer than
/// writing it.
pub(crate) fn shown<T: Display>(value: T) -> String {
    const ROOM: usize = 64;
    let mut text = String::with_capacity(ROOM);
    // Writing to a String cannot fail.
    let _ = write!(text, "{value}");
    text
}

pub(crate) fn wire_time(time: Timestamp) -> pbjson_types::Timestamp {
    let millis = time.millis();
    pbjson_types::Timestamp {
        seconds: millis.div_euclid(1000),
        // Less than a thousand milliseconds, so under 10^9 nanoseconds.
        nanos: i32::try_from(millis.rem_euclid(1000) * 1_000_000).unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_before_1970_keep_their_milliseconds() {
        let time = wire_time("1969-12-31T23:59:59.999Z".parse().unwrap());
        assert_eq!((time.seconds, time.nanos), (-1, 999_000_000));
    }
}
