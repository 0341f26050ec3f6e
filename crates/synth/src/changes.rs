//! What changes in a household, and when: in the years before the run, or in the run itself.
//!
//! Of a hundred households a dozen had their electricity meter exchanged before the run and four have it in the run, however long that is; so do
//! other changes, each by its share. Like the household, its changes are a function of (seed, number).

use crate::chance::{Chance, Lane};
use crate::household::{Household, Meter};
use crate::settings::Settings;
use crate::users::{User, Users};
use gridtrail_model::Timestamp;

const HOUR_MS: i64 = 3_600_000;
pub(crate) const DAY_MS: i64 = 24 * HOUR_MS;

/// The end of the run in which nothing changes, so that all that comes of a change is told within the run.
const QUIET_MS: i64 = 4 * HOUR_MS;

/// How many of a thousand households have a change before the run, and how many in it.
#[derive(Clone, Copy)]
pub(crate) struct Share {
    pub(crate) before: u64,
    pub(crate) within: u64,
}

const EXCHANGE: Share = Share { before: 120, within: 40 };
const HUB_SWAP: Share = Share { before: 50, within: 20 };
const SUPPLIER: Share = Share { before: 250, within: 50 };

/// A change of supplier.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Switch {
    /// When the present supplier took over.
    pub(crate) at: Timestamp,
    /// Who supplied before.
    pub(crate) from: User,
}

/// The years before the run, and the run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Span {
    /// When the first hub and meters came.
    pub(crate) fitted: Timestamp,
    fitted_days: i64,
    pub(crate) start: Timestamp,
    pub(crate) end: Timestamp,
}

impl Span {
    /// A time, or the last instant of the run where that is earlier.
    pub(crate) fn by_the_end(self, time: Timestamp) -> Timestamp {
        time.min(self.end.plus_millis(-1))
    }

    /// When a change comes about, if it does.
    pub(crate) fn change(self, chance: &mut Chance, share: Share) -> Option<Timestamp> {
        let before = self.start.plus_millis(-chance.between(2, self.fitted_days - 40) * DAY_MS);
        let run_ms = self.end.millis() - self.start.millis() - QUIET_MS;
        let within = self.start.plus_millis(chance.between(0, run_ms.max(1)));
        let place = chance.below(1_000);
        if place < share.within {
            Some(within)
        } else {
            (place < share.within + share.before).then_some(before)
        }
    }
}

/// What changes in a household.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Changes {
    pub(crate) span: Span,
    /// When the present electricity meter took the place of the former one.
    pub(crate) exchanged: Option<Timestamp>,
    /// When the present hub took the place of the former one.
    pub(crate) swapped: Option<Timestamp>,
    pub(crate) electricity: Option<Switch>,
    pub(crate) gas: Option<Switch>,
}

impl Changes {
    pub(crate) fn of(seed: u64, settings: &Settings, users: &Users, number: u32) -> Self {
        let mut chance = Chance::of(seed, Lane::Changes, number.into());
        let fitted_days = chance.between(200, 900);
        let start = settings.start.day_start();
        let fitted = start.plus_millis(-fitted_days * DAY_MS);
        let span = Span { fitted, fitted_days, start, end: settings.end() };
        let exchanged = span.change(&mut chance, EXCHANGE);
        let swapped = span.change(&mut chance, HUB_SWAP);
        let mut switch = |which: fn((User, User)) -> User| {
            let at = span.change(&mut chance, SUPPLIER)?;
            Some(Switch { at, from: which(users.suppliers(&mut chance)) })
        };
        let electricity = switch(|(electricity, _)| electricity);
        let gas = switch(|(_, gas)| gas);
        Self { span, exchanged, swapped, electricity, gas }
    }

    /// The household as it was at a time of the run: with the Devices that were installed then, and who supplied then.
    pub(crate) fn at(&self, mut household: Household, seed: u64, time: Timestamp) -> Household {
        let is_to_come = |change: Option<Timestamp>| change.is_some_and(|change| time < change);
        if is_to_come(self.exchanged) {
            household.electricity.device_id = household.others(seed).former_electricity;
        }
        if is_to_come(self.swapped) {
            let others = household.others(seed);
            (household.hub, household.gas_proxy) = (others.former_hub, others.former_gas_proxy);
        }
        let supplied = |meter: &mut Meter, switch: Option<Switch>| {
            if let Some(switch) = switch.filter(|switch| time < switch.at) {
                meter.supplier = switch.from;
            }
        };
        supplied(&mut household.electricity, self.electricity);
        if let Some(gas) = &mut household.gas {
            supplied(gas, self.gas);
        }
        household
    }
}
