//! Non-device requests: the DCC answers at once (Command Variant 8).

use crate::plot::{Order, Plot, Target};
use crate::script::{Besides, Shows, code, srv};
use gridtrail_model::{Mode, ResponseContent, State};

/// A variant, its weight, its code of success, its own failure, and whether its body names a Device.
const REQUESTS: [(u64, &str, &str, &str, bool); 13] = [
    (430, "8.2", "I0", "E080201", true),
    (180, "5.1", "I0", "E050101", true),
    (50, "5.2", "I0", "E050201", true),
    (40, "5.2", "W050201", "E050201", true),
    (60, "5.3", "I0", "E050301", true),
    (40, "8.3", "I0", "E080301", true),
    (50, "8.4", "I99", "E080405", true),
    (50, "11.1", "I99", "E110101", true),
    (20, "11.1", "W110101", "E110101", true),
    (40, "12.1", "I0", "E120101", false),
    (20, "12.2", "I0", "E120201", true),
    (10, "8.14.1", "W081401", "E081401", true),
    (10, "8.13", "I99", "E081301", true),
];

/// A request that the DCC answers itself. Its RequestID targets the DCC; the Device is in the body.
pub(super) fn dcc_only(plot: &mut Plot<'_>) {
    let at = plot.chance.weighted(REQUESTS.iter().map(|request| request.0));
    let (_, variant, success, failure, names_device) = REQUESTS[at];
    let household = plot.household;
    let hub = matches!(variant, "8.14.1" | "12.2");
    let (device_id, mpxn) = match (names_device, hub) {
        (false, _) => (None, None),
        (true, true) => (Some(household.hub), None),
        (true, false) => (Some(household.electricity.device_id), Some(household.electricity.mpxn)),
    };
    // A firmware update lists both meters; an inventory has their meter points, too.
    let gas = household.gas.filter(|_| matches!(variant, "8.2" | "11.1"));
    let mprn = gas.filter(|_| variant == "8.2").map(|gas| gas.mpxn);
    let besides = Besides { device: gas.map(|gas| gas.device_id), mpxn: mprn };
    let order = Order {
        sender: household.electricity.supplier,
        target: Target { addressed: None, device_id, mpxn, besides },
        variant: srv(variant),
        command_variant: 8,
        execution_at: None,
        mode: Mode::DccOnly,
    };
    let opening = plot.opening();
    let row = plot.request(&order, opening);
    let delay = plot.chance.long_tailed(900, 4);
    if plot.chance.per_mille(970) {
        // I99 from the DCC itself means that the request is done (domain trap 2).
        let done = Shows::Success(State::CompletedDccOnly);
        if success == "I99" {
            plot.responds_as(row, delay, (code(success), None, ResponseContent::Acknowledgement), done);
        } else {
            plot.responds(row, delay, code(success), ResponseContent::ServiceResponse, done);
        }
    } else {
        let failed = Shows::Failure(State::ResponseSent);
        plot.responds(row, delay, code(failure), ResponseContent::ServiceResponse, failed);
    }
}
