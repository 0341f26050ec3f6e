//! The world: a region, its events and its truth.

use crate::anomaly::{self, AnomalyStory};
use crate::chance::{Chance, Lane};
use crate::changes::Changes;
use crate::feed::{Feed, plain_event};
use crate::firmware::{self, ExpectedVersion, FirmwareStory};
use crate::household::{Household, prepayment_near};
use crate::inventory::{self, ExpectedState, HouseholdInventory};
use crate::parties;
use crate::plot::Plot;
use crate::profile::Profile;
use crate::scenario::Scenario;
use crate::schedules::{self, Home, ScheduleStory};
use crate::script::Script;
use crate::settings::{Settings, SettingsError};
use crate::truth::ExpectedTrail;
use crate::users::{User, Users};
use gridtrail_access::{AccessRecord, Party};
use gridtrail_anomaly::AnomalyEvent;
use gridtrail_inventory::InventoryEvent;
use gridtrail_model::{Timestamp, UserId};
use std::ops::Range;

/// A synthetic region: the same seed and settings give the same households, events and truth, everywhere.
#[derive(Debug, Clone)]
pub struct World {
    seed: u64,
    settings: Settings,
    users: Users,
    profile: Profile,
}

impl World {
    /// The region of this seed. Errors: the first setting that gives no region.
    pub fn seeded(seed: u64, settings: Settings) -> Result<Self, SettingsError> {
        settings.check()?;
        let users = Users::new(settings.users);
        let profile = Profile::new(settings.start.millis(), settings.days, settings.transactions());
        Ok(Self { seed, settings, users, profile })
    }

    /// The settings.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// All Users. They are the same whatever the seed.
    pub fn users(&self) -> &[User] {
        self.users.all()
    }

    /// The Party of a User, unless all are of one; `None` where there is no such User.
    pub fn party_of(&self, user: UserId) -> Option<Party> {
        let at = self.users().iter().position(|other| other.id == user)?;
        parties::of_users(self.users()).into_iter().nth(at)
    }

    /// Whose the User IDs are and who lets whom see their records, in order; with `one`, all are that Party's.
    pub fn access_events(&self, one: Option<&Party>) -> Vec<AccessRecord> {
        parties::events(self.users(), &self.settings, one)
    }

    /// The household of this number, as it is when the run ends; numbers run from 0 to the number of premises.
    pub fn household(&self, number: u32) -> Household {
        Household::new(self.seed, number % self.settings.premises, &self.users)
    }

    /// The household of this number as it was at a time of the run: some have a meter or hub exchanged in it, or change supplier.
    pub fn household_at(&self, number: u32, time: Timestamp) -> Household {
        let household = self.household(number);
        self.changes(household.number).at(household, self.seed, time)
    }

    fn changes(&self, number: u32) -> Changes {
        Changes::of(self.seed, &self.settings, &self.users, number)
    }

    /// Every household, as it is when the run ends.
    pub fn households(&self) -> impl Iterator<Item = Household> + '_ {
        (0..self.settings.premises).map(|number| self.household(number))
    }

    /// What became of the Devices and meter points of a household, and what must be known of it in the end.
    pub fn inventory_of(&self, number: u32) -> HouseholdInventory {
        let household = self.household(number);
        inventory::of(self.seed, self.changes(household.number), &household)
    }

    /// Every inventory event, household by household, each household's by the time when it was recorded.
    pub fn inventory_events(&self) -> impl Iterator<Item = InventoryEvent> + '_ {
        (0..self.settings.premises).flat_map(|number| self.inventory_of(number).events)
    }

    /// What is told of anomaly detection, and what must be known of it: the thresholds of each User, then each communication that was quarantined.
    pub fn anomaly(&self) -> impl Iterator<Item = AnomalyStory> + '_ {
        let users = (0..).zip(self.users()).map(|user| anomaly::thresholds(self.seed, &self.settings, user));
        let quarantined =
            self.numbers(0..self.settings.days).filter(|number| self.is(*number, Scenario::Quarantine));
        let mut script = Script::default();
        users.chain(quarantined.map(move |number| {
            self.write(number, &mut script);
            anomaly::quarantine(self.seed, number, &script)
        }))
    }

    /// Every anomaly event, story by story, each story's by the time when it was recorded.
    pub fn anomaly_events(&self) -> impl Iterator<Item = AnomalyEvent> + '_ {
        self.anomaly().flat_map(|story| story.events)
    }

    /// What is told of DSP schedules, and what must be known of each: those of each household, then those that transactions have created.
    pub fn schedules(&self) -> impl Iterator<Item = ScheduleStory> + '_ {
        let home = |number| Home {
            seed: self.seed,
            settings: &self.settings,
            household: self.household(number),
            changes: self.changes(number),
        };
        let of_households =
            (0..self.settings.premises).flat_map(move |number| schedules::of_household(home(number)));
        let created =
            self.numbers(0..self.settings.days).filter(|number| self.is(*number, Scenario::DccOnly));
        let mut script = Script::default();
        of_households.chain(created.filter_map(move |number| {
            self.write(number, &mut script);
            schedules::of_transaction(&script, (number, self.settings.end()))
        }))
    }

    /// New firmware for meters of some households: what is told of it, and what must be known.
    pub fn firmware(&self) -> impl Iterator<Item = FirmwareStory> + '_ {
        (0..self.settings.premises).filter_map(|number| self.firmware_of(number))
    }

    fn firmware_of(&self, number: u32) -> Option<FirmwareStory> {
        let changes = self.changes(number);
        firmware::of_household((self.seed, &self.users), (changes.span, number), plain_event, |begins| {
            // A meter that is exchanged meanwhile gets none.
            let goes = changes.exchanged.is_some_and(|exchanged| exchanged > begins);
            (!goes).then(|| changes.at(self.household(number), self.seed, begins))
        })
    }

    /// The firmware versions that Devices must be known to have once the inventory of [`World::firmware`] is told, too.
    pub fn firmware_versions(&self) -> impl Iterator<Item = ExpectedVersion> + '_ {
        (0..self.settings.premises).flat_map(|number| {
            let story = self.firmware_of(number);
            self.inventory_of(number).truth.into_iter().flat_map(move |fact| {
                let device = match fact.what {
                    ExpectedState::Type(device, _) => Some(device),
                    _ => None,
                };
                device
                    .into_iter()
                    .flat_map(|device| firmware::versions_of(device, fact.from, story.as_ref()))
                    .collect::<Vec<_>>()
            })
        })
    }

    /// Whether a transaction is of a scenario.
    fn is(&self, number: u64, scenario: Scenario) -> bool {
        let mut chance = Chance::of(self.seed, Lane::Transaction, number);
        Scenario::choose(&mut chance, self.profile.start(number).night) == scenario
    }

    /// How many transactions start in the run.
    pub fn transactions(&self) -> u64 {
        self.profile.transactions()
    }

    /// Every event, in order of delivery: the order of `recorded_at` unless the settings disturb it.
    pub fn events(&self) -> Feed<'_> {
        self.events_of_days(0..self.settings.days)
    }

    /// The events of the transactions that start on these days, counted from 0, in order of delivery; the last
    /// may be recorded long after. The feeds of days that do not overlap hold no event in common, and together
    /// hold all, so days can be made in parallel or anew.
    pub fn events_of_days(&self, days: Range<u32>) -> Feed<'_> {
        Feed::new(self, self.numbers(days))
    }

    /// What the audit trail must show, one item for each trail key, in order of transactions.
    pub fn truth(&self) -> Truth<'_> {
        self.truth_of_days(0..self.settings.days)
    }

    /// What the audit trail must show of the transactions that start on these days.
    pub fn truth_of_days(&self, days: Range<u32>) -> Truth<'_> {
        Truth { world: self, numbers: self.numbers(days), script: Script::default(), ready: Vec::new() }
    }

    fn numbers(&self, days: Range<u32>) -> Range<u64> {
        self.profile.of_days(u64::from(days.start)..u64::from(days.end))
    }

    pub(crate) fn seed(&self) -> u64 {
        self.seed
    }

    /// When a transaction starts, in milliseconds since the epoch. None of its events is recorded before.
    pub(crate) fn start_ms(&self, number: u64) -> i64 {
        self.profile.start(number).at_ms
    }

    /// Writes the script of a transaction: always the same for a number.
    pub(crate) fn write(&self, number: u64, script: &mut Script) -> Scenario {
        script.clear();
        let start = self.profile.start(number);
        let mut chance = Chance::of(self.seed, Lane::Transaction, number);
        let scenario = Scenario::choose(&mut chance, start.night);
        let premises = self.premises_of(number, scenario, &mut chance);
        let household = Household::new(self.seed, premises, &self.users);
        // What it sends goes to the Devices that are installed when it starts, and is sent by who supplies then.
        let time = Timestamp::MIN.plus_millis(start.at_ms - Timestamp::MIN.millis());
        let household = self.changes(premises).at(household, self.seed, time);
        scenario.write(&mut Plot::new(&self.users, chance, household, (number, start), script));
        scenario
    }

    /// Three transactions in four visit the premises in turn, so that every meter has its reads; one comes as
    /// chance will have it.
    fn premises_of(&self, number: u64, scenario: Scenario, chance: &mut Chance) -> u32 {
        // A prime above the most premises, so that the turns visit all of them before one comes again.
        const STRIDE: u64 = 2_654_435_761;
        let premises = u64::from(self.settings.premises);
        let place = if chance.per_mille(750) {
            number % premises * STRIDE % premises
        } else {
            chance.below(premises)
        };
        // Below the number of premises, which is a u32.
        let place = u32::try_from(place).unwrap_or_default();
        if scenario == Scenario::TopUp { prepayment_near(place, self.settings.premises) } else { place }
    }
}

/// What the audit trail must show: see [`World::truth`].
#[derive(Debug)]
pub struct Truth<'w> {
    world: &'w World,
    numbers: Range<u64>,
    script: Script,
    /// The trails of the transaction at hand, the last first.
    ready: Vec<ExpectedTrail>,
}

impl Iterator for Truth<'_> {
    type Item = ExpectedTrail;

    fn next(&mut self) -> Option<ExpectedTrail> {
        loop {
            if let Some(trail) = self.ready.pop() {
                return Some(trail);
            }
            let number = self.numbers.next()?;
            self.world.write(number, &mut self.script);
            self.script.truth(self.world.settings.end(), &mut self.ready);
            self.ready.reverse();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::MIX;
    use std::collections::BTreeMap;

    #[test]
    fn scenarios_come_in_the_shares_that_are_set_by_night_and_by_day() {
        let world = World::seeded(21, Settings::for_events(600_000, 1)).unwrap();
        let mut script = Script::default();
        let (mut counts, mut all) = (BTreeMap::<_, u64>::new(), [0, 0]);
        for number in 0..world.transactions() {
            let by_day = usize::from(!world.profile.start(number).night);
            *counts.entry((world.write(number, &mut script), by_day)).or_default() += 1;
            all[by_day] += 1;
        }
        for (scenario, night, day) in MIX {
            for (by_day, set) in [night, day].into_iter().enumerate() {
                let found = counts[&(scenario, by_day)] as f64 / all[by_day] as f64 * 1_000.0;
                let off = (found - set as f64).abs();
                // About four standard deviations of so many draws.
                assert!(off < 1.0 + 0.03 * set as f64, "{scenario:?}: {found} in 1,000 for {set}");
            }
        }
    }

    #[test]
    fn rows_tell_their_steps_in_order_and_counters_suffice() {
        let world = World::seeded(22, Settings::for_events(100_000, 3)).unwrap();
        let mut script = Script::default();
        for number in 0..world.transactions() {
            world.write(number, &mut script);
            assert!(script.steps.len() < 256, "an event id has two digits for the step");
            for row in 0..script.rows.len() {
                let times = script.steps.iter().filter(|step| step.row.0 == row).map(|step| step.at);
                assert!(times.is_sorted_by(|a, b| a < b), "transaction {number}, row {row}");
            }
            assert!(script.steps.iter().all(|step| step.recorded_at.millis() >= world.start_ms(number)));
        }
    }
}
