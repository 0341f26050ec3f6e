//! DSP schedules in the region: those that suppliers and network parties have on the Devices of a household, and what became of each.
//!
//! Most were created before the run, some in it, and of some nobody knows when: an answer to 5.2 lists them. A schedule ends when its User deletes
//! it, and the DCC removes it when its meter or hub is exchanged or its supplier changes. The truth is written beside the events, and not by folding
//! them. Runs are transactions of their own, which know what their schedule is called.
//!
//! Each 5.1 that a transaction sends and that succeeds makes a schedule, too, as the DUIS messages of the region have it.

use crate::chance::{Chance, Lane};
use crate::changes::{Changes, Switch};
use crate::household::{Household, Meter};
use crate::plot::{DAY_MS, HOUR_MS, SECOND_MS};
use crate::scenario::{schedulable, schedule_id};
use crate::script::{Fact, Script};
use crate::settings::Settings;
use crate::users::{ACCESS_CONTROL_BROKER, User};
use gridtrail_model::{AlertCode, DeviceId, RequestId, ResponseContent, Timestamp, UserId};
use gridtrail_schedules::{Frequency, ReadWindow, ScheduleDetails, ScheduleEvent, ScheduleFact, ScheduleId};
use std::str::FromStr;

/// A schedule: what is told of it, and what must be known.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ScheduleStory {
    /// Events, by the time when they were recorded.
    pub events: Vec<ScheduleEvent>,
    /// The schedule that must be known; `None`: what was asked for was refused.
    pub expected: Option<ExpectedSchedule>,
}

/// A schedule that must be known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExpectedSchedule {
    /// The User whose it is.
    pub user: UserId,
    /// `DSPScheduleID`.
    pub id: ScheduleId,
    /// What it is.
    pub details: ScheduleDetails,
    /// The 5.1 and when it was answered, where that is told.
    pub created: Option<(RequestId, Timestamp)>,
    /// When it was removed, and by which DCC Alert; without one its User deleted it.
    pub removed: Option<(Timestamp, Option<AlertCode>)>,
}

/// A literal of this module, or a number in one: always well-formed.
fn literal<T: FromStr>(text: &str) -> T {
    match text.parse() {
        Ok(value) => value,
        Err(_) => unreachable!("{text} is well-formed: the tests write every household"),
    }
}

/// What is read: a Device with its meter point, and who may.
#[derive(Clone, Copy)]
struct Read {
    variant: &'static str,
    device: DeviceId,
    sender: User,
    /// When the Device, or who supplies, changes.
    until: Option<Timestamp>,
}

/// A household, as it is when the run ends, and what changed in it until then.
#[derive(Clone, Copy)]
pub(crate) struct Home<'a> {
    pub(crate) seed: u64,
    pub(crate) settings: &'a Settings,
    pub(crate) household: Household,
    pub(crate) changes: Changes,
}

/// The schedules of a household.
pub(crate) fn of_household(home: Home<'_>) -> Vec<ScheduleStory> {
    let number = home.household.number;
    let mut chance = Chance::of(home.seed, Lane::Schedules, number.into());
    let mut stories = Vec::new();
    for (variant, gas, by_proxy) in schedulable() {
        for place in [Place::Electricity, Place::Gas, Place::Proxy] {
            let is_read = match place {
                Place::Electricity => true,
                Place::Gas => gas,
                Place::Proxy => by_proxy,
            };
            let often = if place == Place::Electricity { 450 } else { 250 };
            if !is_read || !chance.per_mille(often) {
                continue;
            }
            let created = created_at(home.settings, &mut chance);
            if let Some(read) = read_at((home, created), (variant, place), &mut chance) {
                let place = u64::from(number) * 100 + stories.len() as u64;
                stories.push(Story::of(home.settings, &mut chance, (place, number), read, created));
            }
        }
    }
    stories
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Electricity,
    Gas,
    Proxy,
}

/// Before the run, or in it.
fn created_at(settings: &Settings, chance: &mut Chance) -> Timestamp {
    let (start, end) = (settings.start, settings.end());
    if chance.per_mille(200) {
        let run_ms = end.millis() - start.millis();
        start.plus_millis(chance.between(0, run_ms * 3 / 4))
    } else {
        start.plus_millis(-chance.between(HOUR_MS, 150 * DAY_MS))
    }
}

/// The Device that is installed at a time, and somebody who may read it then: the supplier, and of some variants the network party.
fn read_at(
    (home, time): (Home<'_>, Timestamp),
    (variant, place): (&'static str, Place),
    chance: &mut Chance,
) -> Option<Read> {
    let changes = home.changes;
    let household = changes.at(home.household, home.seed, time);
    let is_later = |at: Option<Timestamp>| at.filter(|at| *at > time);
    let mut of = |meter: Meter, device, network: User, exchanged, switched| {
        let by_network = matches!(variant, "4.8.1" | "4.8.2" | "4.17" | "4.10") && chance.per_mille(150);
        let by_network = by_network || variant == "4.8.3";
        let (sender, switched) = if by_network { (network, None) } else { (meter.supplier, switched) };
        let until = is_later(exchanged).into_iter().chain(is_later(switched)).min();
        Read { variant, device, sender, until }
    };
    let Household { electricity, gas, distributor, transporter, .. } = household;
    let switch = |switch: Option<Switch>| switch.map(|switch| switch.at);
    Some(match place {
        Place::Electricity => of(
            electricity,
            electricity.device_id,
            distributor,
            changes.exchanged,
            switch(changes.electricity),
        ),
        Place::Gas => of(gas?, gas?.device_id, transporter, None, switch(changes.gas)),
        Place::Proxy => of(gas?, household.gas_proxy, transporter, changes.swapped, switch(changes.gas)),
    })
}

/// Tells what becomes of one schedule.
struct Story {
    user: UserId,
    /// By which the requests of the story are told from all others.
    place: u64,
    requests: u64,
    events: Vec<ScheduleEvent>,
}

impl Story {
    fn of(
        settings: &Settings,
        chance: &mut Chance,
        (place, number): (u64, u32),
        read: Read,
        created: Timestamp,
    ) -> ScheduleStory {
        let end = settings.end();
        let mut story = Self { user: read.sender.id, place, requests: 0, events: Vec::new() };
        let details = details(chance, &read, created);
        let Some(id) = schedule_id(number, read.variant, read.device).and_then(ScheduleId::new) else {
            unreachable!("{} is scheduled on meters and proxies", read.variant)
        };
        let asked = story.request();
        if chance.per_mille(30) {
            // It was refused.
            story.tell(created, 0, ScheduleFact::Asked { request_id: asked, details });
            return ScheduleStory { events: story.events, expected: None };
        }
        let answered = created.plus_millis(chance.between(200, 5 * SECOND_MS));
        let is_told = !chance.per_mille(120);
        if is_told {
            story.tell(created, 0, ScheduleFact::Asked { request_id: asked, details });
            story.tell(answered, 400, ScheduleFact::Created { request_id: asked, schedule: id });
            if chance.per_mille(100) {
                // Delivered twice.
                story.tell(answered, HOUR_MS, ScheduleFact::Created { request_id: asked, schedule: id });
            }
        }
        let removed = story.removal(chance, (answered, end), &read, id);
        let listed_at = removed.map_or(end, |(at, _)| at);
        let first = answered.plus_millis(SECOND_MS);
        if !is_told || chance.per_mille(150) {
            let at = first.plus_millis(chance.between(0, (listed_at.millis() - first.millis() - 1).max(0)));
            story.tell(at.min(end.plus_millis(-1)), 0, ScheduleFact::Listed { schedule: id, details });
        }
        story.events.sort_by_key(|event| event.recorded_at);
        let created = is_told.then_some((asked, answered));
        let expected = ExpectedSchedule { user: story.user, id, details, created, removed };
        ScheduleStory { events: story.events, expected: Some(expected) }
    }

    /// When it is removed, and by which alert, within the run: a few are deleted, and of those that are to be some stay.
    fn removal(
        &mut self,
        chance: &mut Chance,
        (created, end): (Timestamp, Timestamp),
        read: &Read,
        schedule: ScheduleId,
    ) -> Option<(Timestamp, Option<AlertCode>)> {
        let last = end.plus_millis(-SECOND_MS);
        let deleted = chance.per_mille(150).then(|| {
            created
                .plus_millis(HOUR_MS + chance.between(0, (last.millis() - created.millis() - HOUR_MS).max(1)))
        });
        let deleted = deleted.filter(|at| *at < last && read.until.is_none_or(|until| *at < until));
        if let Some(at) = deleted {
            let request_id = self.request();
            let asked = at.plus_millis(-SECOND_MS);
            self.tell(asked, 0, ScheduleFact::DeletionAsked { request_id, schedule });
            if chance.per_mille(100) {
                // It was refused, and the schedule stays until something else ends it.
                return self.ended(read, schedule, last);
            }
            self.tell(at, 300, ScheduleFact::Deleted { request_id });
            return Some((at, None));
        }
        self.ended(read, schedule, last)
    }

    /// The DCC removes it when its Device or its supplier changes.
    fn ended(
        &mut self,
        read: &Read,
        schedule: ScheduleId,
        last: Timestamp,
    ) -> Option<(Timestamp, Option<AlertCode>)> {
        let at = read.until?.plus_millis(10 * SECOND_MS);
        let code: AlertCode = literal("N6");
        (at < last).then(|| {
            self.tell(at, 0, ScheduleFact::Removed { schedule, device: Some(read.device), code });
            (at, Some(code))
        })
    }

    fn request(&mut self) -> RequestId {
        self.requests += 1;
        // The counters of transactions are Unix milliseconds or finer, or begin above 2^63.
        let counter = self.place * 10 + self.requests;
        RequestId { originator: self.user, target: ACCESS_CONTROL_BROKER, counter }
    }

    fn tell(&mut self, at: Timestamp, late_ms: i64, fact: ScheduleFact) {
        let id = literal(&format!("schedule-{}-{}", self.place, self.events.len()));
        self.events.push(ScheduleEvent {
            user: self.user,
            recorded_at: at.plus_millis(late_ms),
            at,
            id,
            fact,
        });
    }
}

/// What is asked for: mostly each day.
fn details(chance: &mut Chance, read: &Read, created: Timestamp) -> ScheduleDetails {
    let frequency = match chance.below(1_000) {
        0..=699 => Frequency::Daily,
        700..=799 => Frequency::Weekly,
        800..=949 => Frequency::Monthly,
        950..=969 => Frequency::Quarterly,
        970..=984 => Frequency::HalfYearly,
        _ => Frequency::Yearly,
    };
    let day = |after: i64| day_of(created.plus_millis(after * DAY_MS));
    let start = day(chance.between(0, 40));
    let ends = chance.per_mille(250).then(|| day(chance.between(41, 300)));
    // Some times come twice or not at all when clocks change.
    let times = ["02:00:00Z", "23:30:00Z", "01:30:00", "00:00:00", "04:15:30.500Z"];
    let time = chance.per_mille(500).then(|| literal(chance.pick(&times)));
    let window = ReadWindow {
        start_offset: literal(&(-chance.between(0, 31)).to_string()),
        start_time: literal("00:00:00.00Z"),
        end_offset: literal("0"),
        end_time: literal("00:00:00.00Z"),
    };
    ScheduleDetails {
        variant: Some(literal(read.variant)),
        device: Some(read.device),
        frequency: Some(frequency),
        start: Some(start),
        end: ends,
        execution_start: time,
        window: Some(window),
    }
}

/// The day in UTC.
fn day_of<T: FromStr>(time: Timestamp) -> T {
    // RFC 3339 begins with the date, ten characters long.
    literal(&time.to_string().chars().take(10).collect::<String>())
}

/// The schedule that a transaction has created: each day 4.8.1, from the day on on which it was asked for. `None`: it is about none.
pub(crate) fn of_transaction(script: &Script, (number, end): (u64, Timestamp)) -> Option<ScheduleStory> {
    let row = script.rows.first().filter(|row| row.variant == Some(literal("5.1")))?;
    let (request_id, device) = (row.key.request_id()?, row.device_id?);
    let asked = row.received_at;
    let midnight = literal("00:00:00.00Z");
    let details = ScheduleDetails {
        variant: Some(literal("4.8.1")),
        device: Some(device),
        frequency: Some(Frequency::Daily),
        start: Some(day_of(asked)),
        window: Some(ReadWindow {
            start_offset: literal("-1"),
            start_time: midnight,
            end_offset: literal("0"),
            end_time: midnight,
        }),
        ..ScheduleDetails::default()
    };
    let mut events = Vec::new();
    let mut tell = |(at, recorded_at), fact| {
        let id = literal(&format!("schedule-t{number}-{}", events.len()));
        events.push(ScheduleEvent { user: request_id.originator, recorded_at, at, id, fact });
    };
    if asked < end {
        tell((asked, asked), ScheduleFact::Asked { request_id, details });
    }
    let mut expected = None;
    for step in script.steps.iter().filter(|step| step.recorded_at < end) {
        let Fact::Sends { code, content: ResponseContent::ServiceResponse, .. } = step.fact else { continue };
        if code.is_failure() {
            continue;
        }
        let schedule = created_by(request_id);
        tell((step.at, step.recorded_at), ScheduleFact::Created { request_id, schedule });
        let (user, created) = (request_id.originator, Some((request_id, step.at)));
        expected = Some(ExpectedSchedule { user, id: schedule, details, created, removed: None });
    }
    Some(ScheduleStory { events, expected })
}

/// What the DCC calls the schedule that a request of the region makes.
fn created_by(request_id: RequestId) -> ScheduleId {
    let Some(id) = ScheduleId::new(request_id.counter % ScheduleId::MAX) else {
        unreachable!("a remainder is smaller than what it is divided by")
    };
    id
}
