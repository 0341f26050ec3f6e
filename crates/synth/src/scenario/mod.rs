//! Scenarios: the kinds of transaction, and how often each happens.
//!
//! The mix follows the Service Request catalogue's use: meter reads dominate, most of them in the night; people
//! top up, tariffs change and alarms ring by day. No official mix is published; "about 60 % are reads" is.

mod alerts;
mod critical;
mod dcc_only;
mod firmware;
mod journey;
mod quarantine;
mod reads;
mod sequence;

pub(crate) use firmware::roll_out;
pub(crate) use reads::{schedulable, schedule_id};

use crate::plot::Plot;

/// A kind of transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Scenario {
    /// A read at once.
    OnDemandRead,
    /// One run of a schedule that the DCC keeps.
    ScheduledRun,
    /// A read that the DCC holds until its time.
    FutureDatedRead,
    /// A prepayment top-up.
    TopUp,
    /// A critical command in two legs.
    Critical,
    /// A command that the Device holds until its time.
    HeldByDevice,
    /// A request that the DCC answers itself.
    DccOnly,
    /// An alert of a Device.
    DeviceAlert,
    /// An alert of the DCC.
    DccAlert,
    /// A request held by anomaly detection.
    Quarantine,
    /// A request that waits for another.
    Sequence,
    /// Any other command that is not critical.
    Service,
}

/// Each scenario with its share of the transactions that start from 00:00 to 06:00, and of the rest, in
/// thousandths.
pub(crate) const MIX: [(Scenario, u64, u64); 12] = [
    (Scenario::OnDemandRead, 480, 300),
    (Scenario::ScheduledRun, 340, 60),
    (Scenario::FutureDatedRead, 50, 40),
    (Scenario::TopUp, 5, 190),
    (Scenario::Critical, 20, 110),
    (Scenario::HeldByDevice, 15, 60),
    (Scenario::DccOnly, 15, 90),
    (Scenario::DeviceAlert, 45, 80),
    (Scenario::DccAlert, 10, 25),
    (Scenario::Quarantine, 2, 5),
    (Scenario::Sequence, 6, 20),
    (Scenario::Service, 12, 20),
];

impl Scenario {
    /// The scenario of a transaction that starts in the night, or by day.
    pub(crate) fn choose(chance: &mut crate::chance::Chance, night: bool) -> Self {
        let place =
            chance.weighted(MIX.iter().map(|(_, in_night, by_day)| if night { *in_night } else { *by_day }));
        MIX[place].0
    }

    /// Writes the script.
    pub(crate) fn write(self, plot: &mut Plot<'_>) {
        match self {
            Self::OnDemandRead => reads::on_demand(plot),
            Self::ScheduledRun => reads::scheduled_run(plot),
            Self::FutureDatedRead => reads::future_dated(plot),
            Self::TopUp => critical::top_up(plot),
            Self::Critical => critical::two_legs(plot),
            Self::HeldByDevice => critical::held_by_device(plot),
            Self::DccOnly => dcc_only::dcc_only(plot),
            Self::DeviceAlert => alerts::from_device(plot),
            Self::DccAlert => alerts::from_dcc(plot),
            Self::Quarantine => quarantine::quarantine(plot),
            Self::Sequence => sequence::sequence(plot),
            Self::Service => reads::service(plot),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mix_is_in_thousandths() {
        assert_eq!(MIX.iter().map(|(_, night, _)| night).sum::<u64>(), 1_000);
        assert_eq!(MIX.iter().map(|(_, _, day)| day).sum::<u64>(), 1_000);
    }
}
