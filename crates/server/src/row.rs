//! From plain rows and pages to response messages.

use gridtrail_access::Access;
use gridtrail_model::{HistoryEntry, SsiRegion, Timestamp, Trail};
use gridtrail_proto::query::v1;
use gridtrail_search::{Answer, DeviceResolution, Page, Row};
use std::fmt::{Display, Write as _};

pub(crate) fn search_response(page: Page, view: v1::RowView) -> v1::SearchResponse {
    let resolution = match page.resolution {
        DeviceResolution::Direct => v1::DeviceResolution::Direct,
        DeviceResolution::BySeenPairs => v1::DeviceResolution::BySeenPairs,
    };
    v1::SearchResponse {
        rows: page.rows.into_iter().map(|row| trail_row(row, view)).collect(),
        next_page_token: page.next_page_token.unwrap_or_default(),
        complete_up_to: page.complete_up_to.map(wire_time),
        snapshot_version: page.version.to_string(),
        device_resolution: resolution.into(),
    }
}

pub(crate) fn get_response(answer: Answer) -> v1::GetResponse {
    v1::GetResponse {
        row: Some(trail_row(answer.row, v1::RowView::Full)),
        complete_up_to: answer.complete_up_to.map(wire_time),
        snapshot_version: answer.version.to_string(),
    }
}

pub(crate) fn profile_response(who: &Access) -> v1::ProfileResponse {
    v1::ProfileResponse {
        party: who.party().to_string(),
        user_ids: who.user_ids().to_set().into_iter().map(shown).collect(),
        job_type_roles: who.roles().to_vec(),
        functional_components: who.components().iter().map(shown).collect(),
        expires_at: Some(wire_time(who.expires_at())),
    }
}

fn trail_row(Row { reference, matched_device, trail }: Row, view: v1::RowView) -> v1::TrailRow {
    v1::TrailRow {
        reference: shown(reference),
        matched_device_id: text(matched_device),
        dcc_service_user_organisation_id: shown(trail.user_id),
        device_id: text(trail.device_id),
        gbcs_transaction_sequence_number: trail.gbcs_transaction_sequence_number,
        mpxn: text(trail.mpxn),
        service_request_received_at: trail.received_at.map(wire_time),
        service_response_sent_at: trail.sent_at.map(wire_time),
        service_reference: text(trail.service_reference()),
        service_reference_variant: text(trail.variant),
        simplified_transaction_status: shown(trail.simplified),
        details: (view != v1::RowView::Table).then(|| details(trail)),
    }
}

fn details(trail: Trail) -> v1::TrailDetails {
    v1::TrailDetails {
        request_id: text(trail.request_id),
        response_id: text(trail.response_id),
        csp_region: shown(trail.csp_region.map_or(SsiRegion::Unknown, |region| region.to_ssi())),
        csp_region_raw: text(trail.csp_region),
        mode_of_operation: shown(trail.mode),
        preceding_request_id: text(trail.preceding_request_id),
        service_reference_variant_name: text(trail.variant.and_then(|v| v.entry()).map(|entry| entry.name)),
        command_variant: trail.command_variant.map(|variant| variant.number().into()),
        response_code: text(trail.response_code),
        current_status: shown(trail.current_status),
        anomaly_detection_flag: trail.anomaly_detection_flag,
        status_change_history: trail.history.into_iter().map(status_change).collect(),
        alert_code: text(trail.alert_code),
        dsp_schedule_id: trail.schedule_id,
        execution_at: trail.execution_at.map(wire_time),
        awaiting_request: trail.awaiting_request,
        disputes: trail
            .disputes
            .into_iter()
            .map(|dispute| v1::Dispute { field: dispute.field.into(), other_claims: dispute.others })
            .collect(),
        last_recorded_at: Some(wire_time(trail.recorded_at_max)),
        concerned_device_count: count(trail.concerned_devices.count),
        concerned_device_ids: trail.concerned_devices.first.into_iter().map(shown).collect(),
        concerned_mpxn_count: count(trail.concerned_mpxns.count),
        concerned_mpxns: trail.concerned_mpxns.first.into_iter().map(shown).collect(),
    }
}

fn status_change(entry: HistoryEntry) -> v1::StatusChange {
    v1::StatusChange {
        at: Some(wire_time(entry.at)),
        state: shown(entry.state),
        response_code: text(entry.code),
        cause: text(entry.cause),
        instruction_number: entry.instruction.map(|instruction| instruction.number.into()),
        instruction_total: entry.instruction.map(|instruction| instruction.total.into()),
    }
}

/// A number of things that lie in memory, far below 2^32.
fn count(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

fn text<T: Display>(value: Option<T>) -> String {
    value.map_or_else(String::new, shown)
}

/// A value as text, with room for an identifier from the start: an answer has thousands, and growing one takes longer than
/// writing it.
fn shown<T: Display>(value: T) -> String {
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
