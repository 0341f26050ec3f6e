//! What all Users may see of a meter read.

use crate::trail::Concerned;
use crate::{HistoryEntry, Trail};

impl Trail {
    /// What UC_MeterRead_001 lists of the trail, and no more: what another User is shown of a meter read.
    ///
    /// Left out is what its messages say besides: of its User's plans (schedule, execution time), of why something happened (causes,
    /// which may name a threshold or a place), of whom and what else it is about, of disputes, and of when it was recorded. Of the region
    /// stay the SSI's four. Whether a field that is new stays is to be decided here.
    #[must_use]
    pub fn into_meter_read(self) -> Self {
        let Self {
            user_id,
            device_id,
            concerned_devices: _,
            gbcs_transaction_sequence_number,
            mpxn,
            concerned_mpxns: _,
            received_at,
            sent_at,
            simplified,
            request_id,
            response_id,
            csp_region,
            csp_region_raw: _,
            mode,
            preceding_request_id,
            variant,
            command_variant,
            response_code,
            current_status,
            anomaly_detection_flag,
            mut history,
            alert_code: _,
            schedule_id: _,
            execution_at: _,
            awaiting_request: _,
            disputes: _,
            recorded_at_max: _,
        } = self;
        for entry in &mut history {
            let HistoryEntry { at: _, state: _, code: _, instruction: _, cause } = entry;
            *cause = None;
        }
        Self {
            user_id,
            device_id,
            concerned_devices: Concerned::none(),
            gbcs_transaction_sequence_number,
            mpxn,
            concerned_mpxns: Concerned::none(),
            received_at,
            sent_at,
            simplified,
            request_id,
            response_id,
            csp_region,
            csp_region_raw: None,
            mode,
            preceding_request_id,
            variant,
            command_variant,
            response_code,
            current_status,
            anomaly_detection_flag,
            history,
            alert_code: None,
            schedule_id: None,
            execution_at: None,
            awaiting_request: false,
            disputes: Vec::new(),
            recorded_at_max: None,
        }
    }
}
