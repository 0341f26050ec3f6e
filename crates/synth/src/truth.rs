//! What the audit trail must show.

use gridtrail_model::{
    AlertCode, CommandVariant, CspRegion, DeviceId, Mode, Mpxn, RequestId, ResponseCode, ResponseId,
    ServiceReferenceVariant, Simplified, State, Timestamp, Trail, TrailKey,
};

/// What the audit trail must show for one trail key, when every event has arrived. Known from the script of the
/// transaction, not by folding its events. Times are UTC milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExpectedTrail {
    /// The row, with the User that it belongs to.
    pub key: TrailKey,
    /// "Device ID".
    pub device_id: Option<DeviceId>,
    /// "Request ID".
    pub request_id: Option<RequestId>,
    /// "Response ID".
    pub response_id: Option<ResponseId>,
    /// "Command Variant".
    pub command_variant: Option<CommandVariant>,
    /// "Service Reference Variant".
    pub variant: Option<ServiceReferenceVariant>,
    /// "MPxN".
    pub mpxn: Option<Mpxn>,
    /// Another Device that the row's messages name.
    pub concerned_device: Option<DeviceId>,
    /// Another meter point that they name.
    pub concerned_mpxn: Option<Mpxn>,
    /// "CSP Region", raw.
    pub csp_region: Option<CspRegion>,
    /// "Mode of operation".
    pub mode: Mode,
    /// "Preceding Request ID".
    pub preceding_request_id: Option<RequestId>,
    /// "GBCS Transaction Sequence Number".
    pub gbcs_transaction_sequence_number: Option<u64>,
    /// "Service Request Received Date/Time".
    pub received_at: Timestamp,
    /// "Service Response Sent Date/Time".
    pub sent_at: Option<Timestamp>,
    /// "Simplified transaction status".
    pub simplified: Simplified,
    /// "Current Status".
    pub current_status: State,
    /// "Response Code".
    pub response_code: Option<ResponseCode>,
    /// "Anomaly Detection Flag".
    pub anomaly_detection_flag: bool,
    /// How many entries "Status Change History" has.
    pub history_entries: u32,
    /// `ExecutionDateTime`.
    pub execution_at: Option<Timestamp>,
    /// `DSPScheduleID`.
    pub schedule_id: Option<u64>,
    /// The alert code.
    pub alert_code: Option<AlertCode>,
    /// When the youngest event of the row was recorded.
    pub recorded_at_max: Timestamp,
}

impl ExpectedTrail {
    /// Every field in which a trail is not what it must be, with both values; empty when all agree.
    pub fn differences(&self, found: &Trail) -> Vec<String> {
        let Trail { user_id, .. } = found;
        let mut all = Vec::new();
        let mut compare = |field: &str, expected: &dyn std::fmt::Debug, found: &dyn std::fmt::Debug| {
            let (expected, found) = (format!("{expected:?}"), format!("{found:?}"));
            if expected != found {
                all.push(format!("{field}: expected {expected}, found {found}"));
            }
        };
        compare("user_id", &self.key.user, user_id);
        compare("device_id", &self.device_id, &found.device_id);
        compare("request_id", &self.request_id, &found.request_id);
        compare("response_id", &self.response_id, &found.response_id);
        compare("command_variant", &self.command_variant, &found.command_variant);
        compare("variant", &self.variant, &found.variant);
        compare("mpxn", &self.mpxn, &found.mpxn);
        let concerned_device: Vec<DeviceId> = self.concerned_device.into_iter().collect();
        compare("concerned_devices", &concerned_device, &found.concerned_devices.first);
        let concerned_mpxn: Vec<Mpxn> = self.concerned_mpxn.into_iter().collect();
        compare("concerned_mpxns", &concerned_mpxn, &found.concerned_mpxns.first);
        compare("csp_region", &self.csp_region, &found.csp_region_raw);
        compare("mode", &self.mode, &found.mode);
        compare("preceding_request_id", &self.preceding_request_id, &found.preceding_request_id);
        compare(
            "gbcs_transaction_sequence_number",
            &self.gbcs_transaction_sequence_number,
            &found.gbcs_transaction_sequence_number,
        );
        compare("received_at", &Some(self.received_at), &found.received_at);
        compare("sent_at", &self.sent_at, &found.sent_at);
        compare("simplified", &self.simplified, &found.simplified);
        compare("current_status", &self.current_status, &found.current_status);
        compare("response_code", &self.response_code, &found.response_code);
        compare("anomaly_detection_flag", &self.anomaly_detection_flag, &found.anomaly_detection_flag);
        compare("history_entries", &(self.history_entries as usize), &found.history.len());
        compare("execution_at", &self.execution_at, &found.execution_at);
        compare("schedule_id", &self.schedule_id, &found.schedule_id);
        compare("alert_code", &self.alert_code, &found.alert_code);
        compare("recorded_at_max", &Some(self.recorded_at_max), &found.recorded_at_max);
        all
    }
}
