//! Meter reads and other requests that are not critical: at once, at a time that the DCC waits for, and on a
//! schedule.

use super::journey::{Ends, journey, refused_at_once};
use crate::plot::{DAY_MS, HOUR_MS, MINUTE_MS, Order, Pace, Plot, SECOND_MS, Target};
use crate::script::{Fact, Row, RowNumber, Shows, Why, code, srv};
use crate::users::{ACCESS_CONTROL_BROKER, User};
use gridtrail_model::{
    CspRegion, DeviceId, Mode, ResponseCode, ResponseContent, ResponseId, State, Subject, TrailKey,
};

/// A variant that reads, who may send it, and where to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Read {
    weight: u64,
    variant: &'static str,
    own_failure: Option<&'static str>,
    /// Whether gas meters answer it too.
    gas: bool,
    /// Whether a Gas Proxy Function answers for its gas meter.
    by_proxy: bool,
    senders: Senders,
    schedulable: bool,
    future_dated: bool,
    median_ms: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Senders {
    Supplier,
    SupplierOrNetwork,
    SupplierNetworkOrOther,
    ExporterDistributorOrOther,
}

const fn read(weight: u64, variant: &'static str, senders: Senders) -> Read {
    Read {
        weight,
        variant,
        own_failure: None,
        gas: true,
        by_proxy: true,
        senders,
        schedulable: true,
        future_dated: true,
        median_ms: 9 * SECOND_MS,
    }
}

/// By weight. The catalogue says who may send what, and what may be scheduled or future-dated; a test holds
/// these rows against it.
const READS: [Read; 14] = [
    Read { median_ms: 500 * SECOND_MS, ..read(420, "4.8.1", Senders::SupplierNetworkOrOther) },
    read(190, "4.6.1", Senders::Supplier),
    Read { own_failure: Some("E041701"), ..read(100, "4.17", Senders::SupplierNetworkOrOther) },
    Read { gas: false, ..read(40, "4.8.2", Senders::SupplierNetworkOrOther) },
    Read { gas: false, ..read(40, "4.8.3", Senders::ExporterDistributorOrOther) },
    Read {
        own_failure: Some("E040101"),
        schedulable: false,
        ..read(60, "4.1.1", Senders::SupplierOrNetwork)
    },
    Read { by_proxy: false, ..read(30, "4.10", Senders::SupplierOrNetwork) },
    Read { schedulable: false, ..read(25, "4.3", Senders::Supplier) },
    Read { schedulable: false, ..read(25, "4.18", Senders::Supplier) },
    read(15, "4.14", Senders::Supplier),
    Read { by_proxy: false, schedulable: false, ..read(15, "11.2", Senders::SupplierNetworkOrOther) },
    Read {
        own_failure: Some("E061301"),
        schedulable: false,
        future_dated: false,
        ..read(15, "6.13", Senders::SupplierOrNetwork)
    },
    Read { by_proxy: false, schedulable: false, future_dated: false, ..read(15, "7.4", Senders::Supplier) },
    Read {
        by_proxy: false,
        schedulable: false,
        future_dated: false,
        ..read(10, "6.2.4", Senders::SupplierNetworkOrOther)
    },
];

/// A read of a meter of the household, by somebody who may.
struct Chosen {
    read: Read,
    sender: User,
    target: Target,
    pace: Pace,
}

impl Chosen {
    fn own_failure(&self) -> Option<ResponseCode> {
        self.read.own_failure.map(code)
    }

    fn ends(&self) -> Ends {
        Ends { own_failure: self.own_failure(), ..Ends::PLAIN }
    }

    fn order(&self, mode: Mode) -> Order {
        Order {
            sender: self.sender,
            target: self.target,
            variant: srv(self.read.variant),
            command_variant: 1,
            execution_at: None,
            mode,
        }
    }
}

/// The variants that may be scheduled, each with whether gas meters answer it, and whether a Gas Proxy Function does for them.
pub(crate) fn schedulable() -> impl Iterator<Item = (&'static str, bool, bool)> {
    READS
        .iter()
        .filter(|read| read.schedulable)
        .map(|read| (read.variant, read.gas, read.gas && read.by_proxy))
}

/// What the DCC calls the schedule of a User that runs a variant on a Device of a household: one for each, so that its runs belong together.
pub(crate) fn schedule_id(household: u32, variant: &str, device: DeviceId) -> Option<u64> {
    let read = READS.iter().position(|read| read.variant == variant)?;
    // By the last byte of its EUI-64 a Device of a household is told from the others, the former ones among them.
    let kind = [0xE0, 0xE8, 0x60, 0xC1, 0xC9].iter().position(|last| device.to_bytes()[7] == *last)?;
    Some(u64::from(household) * 100 + 1 + (read * 5 + kind) as u64)
}

fn choose(plot: &mut Plot<'_>, fits: impl Fn(&Read) -> bool + Copy) -> Chosen {
    let weights = READS.iter().map(move |read| if fits(read) { read.weight } else { 0 });
    let read = READS[plot.chance.weighted(weights)];
    let household = plot.household;
    let gas = household.gas.filter(|_| read.gas && plot.chance.per_mille(430));
    let meter = gas.unwrap_or(household.electricity);
    let network = if gas.is_some() { household.transporter } else { household.distributor };
    let roll = plot.chance.below(1_000);
    let sender = match (read.senders, roll) {
        (Senders::SupplierOrNetwork | Senders::SupplierNetworkOrOther, 0..=59) => network,
        (Senders::SupplierNetworkOrOther, 60..=159) => plot.users.other(&mut plot.chance),
        (Senders::ExporterDistributorOrOther, 0..=99) => household.distributor,
        (Senders::ExporterDistributorOrOther, 100..=249) => plot.users.other(&mut plot.chance),
        (Senders::ExporterDistributorOrOther, _) => plot.users.exporter(&mut plot.chance),
        _ => meter.supplier,
    };
    let by_proxy = gas.is_some() && read.by_proxy && plot.chance.per_mille(600);
    let device_id = if by_proxy { household.gas_proxy } else { meter.device_id };
    let pace = match household.region {
        CspRegion::Smets1 => Pace { median_ms: read.median_ms.min(4 * SECOND_MS), spread: 4 },
        _ => Pace { median_ms: read.median_ms, spread: if read.median_ms > MINUTE_MS { 5 } else { 4 } },
    };
    Chosen { read, sender, target: Target::device(device_id, Some(meter.mpxn)), pace }
}

/// A read at once, in command variant 1. One in a hundred in 3 (a copy for local delivery as well) or 2 (that
/// copy alone).
pub(super) fn on_demand(plot: &mut Plot<'_>) {
    let chosen = choose(plot, |_| true);
    let command_variant = match plot.chance.below(1_000) {
        0..=6 => 3,
        7..=9 => 2,
        _ => 1,
    };
    let order = Order { command_variant, ..chosen.order(Mode::OnDemand) };
    let at = plot.opening();
    let row = plot.request(&order, at);
    carry_out(plot, row, command_variant, chosen.pace, chosen.ends());
}

/// What becomes of a request in command variant 1, 2 or 3 that was received.
pub(super) fn carry_out(plot: &mut Plot<'_>, row: RowNumber, command_variant: u8, pace: Pace, ends: Ends) {
    if refused_at_once(plot, row) {
        return;
    }
    if command_variant != 1 {
        // With a copy on its way over the SM WAN, the local copy decides nothing.
        let shows = match command_variant {
            2 | 6 => Shows::Success(State::LocalCommandReturned),
            _ => Shows::Progress(State::LocalCommandReturned),
        };
        plot.responds(row, 300, code("I0"), ResponseContent::LocalCommand, shows);
        if matches!(command_variant, 2 | 6) {
            return;
        }
    } else {
        plot.acknowledged(row);
    }
    journey(plot, row, pace, ends);
}

/// A read that the DCC holds until its time: hours to three days ahead, now and then cancelled before.
pub(super) fn future_dated(plot: &mut Plot<'_>) {
    let chosen = choose(plot, |read| read.future_dated);
    let at = plot.opening();
    let ahead = plot.chance.between(HOUR_MS, 3 * DAY_MS);
    let execution_at = at.plus_millis(ahead);
    let order = Order { execution_at: Some(execution_at), ..chosen.order(Mode::FutureDate) };
    let row = plot.request(&order, at);
    if refused_at_once(plot, row) {
        return;
    }
    plot.acknowledged(row);
    plot.enters(row, 60, State::StoredFutureDated);
    if plot.chance.per_mille(15) {
        let delay = plot.chance.between(MINUTE_MS, ahead / 2);
        let why = Why::Text("change of supplier");
        plot.enters_showing(row, delay, State::Cancelled, why, Shows::Failure(State::Cancelled));
        return;
    }
    let waited = plot.script.row(row).now.millis() - at.millis();
    plot.script.wait(row, ahead - waited);
    journey(plot, row, chosen.pace, chosen.ends());
}

/// One run of a schedule that the DCC keeps. It has no RequestID: its result is known by its own identifier.
pub(super) fn scheduled_run(plot: &mut Plot<'_>) {
    let chosen = choose(plot, |read| read.schedulable);
    let at = plot.opening();
    let Some(device_id) = chosen.target.device_id else { return };
    let response_id = ResponseId {
        first: device_id,
        second: DeviceId::from_bytes(chosen.sender.id.to_bytes()),
        counter: plot.take_counter(),
    };
    let gbcs_originator_counter = Some(plot.broker_counter());
    let row = plot.script.add_row(Row {
        key: TrailKey { user: chosen.sender.id, subject: Subject::ScheduledRun(response_id) },
        received_at: at,
        device_id: chosen.target.device_id,
        mpxn: chosen.target.mpxn,
        besides: chosen.target.besides,
        csp_region: Some(plot.household.region),
        variant: Some(srv(chosen.read.variant)),
        mode: Mode::DspScheduled,
        mode_stated: !plot.number.is_multiple_of(4),
        preceding_request_id: None,
        gbcs_originator_counter,
        execution_at: None,
        now: at,
    });
    let generated = Fact::Enters { state: State::ScheduledInstance, code: None, why: Why::Unsaid };
    plot.script.step(row, generated, Shows::Progress(State::ScheduledInstance));
    plot.sent_onward(row);
    run_result(plot, row, &chosen, response_id);
}

fn run_result(plot: &mut Plot<'_>, row: RowNumber, chosen: &Chosen, response_id: ResponseId) {
    let Some(schedule_id) = chosen
        .target
        .device_id
        .and_then(|device| schedule_id(plot.household.number, chosen.read.variant, device))
    else {
        return;
    };
    let content = ResponseContent::ScheduledRead { schedule_id };
    let (result, shows, delay) = match plot.chance.below(1_000) {
        0..=11 => ("E21", Shows::Failure(State::NoResponse), 110 * MINUTE_MS),
        12..=19 => ("E20", Shows::Failure(State::FailedDelivery), 4 * MINUTE_MS),
        20..=24 => return,
        _ => {
            let delay = plot.chance.long_tailed(chosen.pace.median_ms, chosen.pace.spread);
            plot.reported(row, delay, State::ResponseReceived, Shows::Progress(State::ResponseReceived));
            ("I0", Shows::Success(State::ResponseSent), 900)
        }
    };
    plot.responds_as(row, delay, (code(result), Some(response_id), content), shows);
}

/// Other commands of a supplier that are not critical.
pub(super) fn service(plot: &mut Plot<'_>) {
    const SERVICES: [&str; 6] = ["3.1", "3.4", "3.3", "6.22", "8.9", "8.11"];
    let variant = plot.chance.pick(&SERVICES);
    let household = plot.household;
    let target = match variant {
        "8.11" => Target::device(household.hub, None),
        "8.9" => Target::device(household.ppmid.unwrap_or(household.hub), None),
        _ => Target::device(household.electricity.device_id, Some(household.electricity.mpxn)),
    };
    debug_assert_ne!(target.addressed, Some(ACCESS_CONTROL_BROKER));
    let order = Order {
        sender: household.electricity.supplier,
        target,
        variant: srv(variant),
        command_variant: 1,
        execution_at: None,
        mode: Mode::OnDemand,
    };
    let at = plot.opening();
    let row = plot.request(&order, at);
    carry_out(plot, row, 1, Pace { median_ms: 12 * SECOND_MS, spread: 4 }, Ends::PLAIN);
}

#[cfg(test)]
mod tests {
    use super::*;
    use gridtrail_model::FutureDating;

    #[test]
    fn reads_are_dated_and_scheduled_as_the_catalogue_allows() {
        for read in READS {
            let entry = srv(read.variant).entry().unwrap();
            assert!(!read.schedulable || entry.schedulable, "{}", read.variant);
            let dated = matches!(entry.future_dating, FutureDating::AtDcc);
            assert!(!read.future_dated || dated, "{}", read.variant);
            assert!(!entry.critical && !entry.non_device);
        }
        assert_eq!(READS.iter().map(|read| read.weight).sum::<u64>(), 1_000);
    }
}
