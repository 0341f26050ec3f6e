//! What messages come to, by hand.

use gridtrail_model::{DeviceId, RequestId, Timestamp, UserId};
use gridtrail_schedules::{
    Creation, Frequency, Removal, RemovalReason, Schedule, ScheduleDetails, ScheduleEvent, ScheduleFact,
    ScheduleId, Schedules,
};

pub(crate) fn user(n: u8) -> UserId {
    UserId::from_bytes([0x90, 0xB3, 0, 0, 0, 0, 0, n])
}

pub(crate) fn at(seconds: i64) -> Timestamp {
    Timestamp::FIRST_EVENT.plus_millis(seconds * 1_000)
}

pub(crate) fn id(number: u64) -> ScheduleId {
    ScheduleId::new(number).unwrap()
}

pub(crate) fn request(counter: u64) -> RequestId {
    RequestId { originator: user(1), target: DeviceId::from_bytes([0; 8]), counter }
}

/// Two kinds of schedule.
pub(crate) fn details(frequency: Frequency) -> ScheduleDetails {
    ScheduleDetails {
        variant: "4.8.1".parse().ok(),
        device: Some(DeviceId::from_bytes([7; 8])),
        frequency: Some(frequency),
        ..ScheduleDetails::default()
    }
}

pub(crate) fn event(seconds: i64, fact: ScheduleFact) -> ScheduleEvent {
    let at = at(seconds);
    ScheduleEvent {
        user: user(1),
        recorded_at: at.plus_millis(5),
        at,
        id: format!("e{seconds}").parse().unwrap(),
        fact,
    }
}

pub(crate) fn asked(counter: u64) -> ScheduleFact {
    ScheduleFact::Asked { request_id: request(counter), details: details(Frequency::Daily) }
}

fn created(counter: u64, schedule: u64) -> ScheduleFact {
    ScheduleFact::Created { request_id: request(counter), schedule: id(schedule) }
}

fn listed(schedule: u64) -> ScheduleFact {
    ScheduleFact::Listed { schedule: id(schedule), details: details(Frequency::Weekly) }
}

fn removed(schedule: u64, code: &str) -> ScheduleFact {
    let device = Some(DeviceId::from_bytes([8; 8]));
    ScheduleFact::Removed { schedule: id(schedule), device, code: code.parse().unwrap() }
}

fn all(facts: impl IntoIterator<Item = (i64, ScheduleFact)>) -> Vec<Schedule> {
    let mut schedules = Schedules::new(user(1));
    facts.into_iter().for_each(|(seconds, fact)| schedules.add(&event(seconds, fact)));
    schedules.all().collect()
}

#[test]
fn a_request_alone_and_a_success_alone_are_told_as_what_they_are() {
    assert_eq!(all([(0, asked(1))]), [], "nobody knows yet whether it succeeds");
    let alone = &all([(2, created(1, 34))])[0];
    assert_eq!(
        (alone.id, alone.details),
        (id(34), ScheduleDetails::default()),
        "its request is not on record"
    );
    let [both] = &*all([(2, created(1, 34)), (0, asked(1)), (1, asked(2))]) else { panic!() };
    assert_eq!(both.details, details(Frequency::Daily));
    assert_eq!(both.created, Some(Creation { at: at(2), request_id: request(1) }));
    assert_eq!((both.removed, both.recorded_at), (None, at(2).plus_millis(5)));
}

#[test]
fn a_list_tells_of_schedules_from_before_the_record() {
    let [listed_alone] = &*all([(9, listed(34))]) else { panic!() };
    assert_eq!((listed_alone.details, listed_alone.created), (details(Frequency::Weekly), None));
    // What its request says counts; what is listed fills in where that is not on record.
    let [both] = &*all([(9, listed(34)), (0, asked(1)), (2, created(1, 34))]) else { panic!() };
    assert_eq!(both.details, details(Frequency::Daily));
    let [bare] = &*all([(9, listed(34)), (2, created(1, 34))]) else { panic!() };
    assert_eq!(bare.details, details(Frequency::Weekly));
    let [before] = &*all([(1, listed(34)), (2, created(1, 34))]) else { panic!() };
    assert_eq!(before.details, ScheduleDetails::default(), "that was another of the same identifier");
}

#[test]
fn the_first_removal_since_its_creation_counts() {
    let deletion = |counter, schedule| ScheduleFact::DeletionAsked {
        request_id: request(counter),
        schedule: id(schedule),
    };
    let deleted = |counter| ScheduleFact::Deleted { request_id: request(counter) };
    let removal_of = |facts: Vec<(i64, ScheduleFact)>| all(facts)[0].removed;
    let here = || vec![(0, asked(1)), (2, created(1, 34))];
    let with = |more: Vec<(i64, ScheduleFact)>| removal_of(here().into_iter().chain(more).collect());
    assert_eq!(with(vec![(5, deletion(7, 34))]), None, "it is asked for, and not done");
    assert_eq!(with(vec![(6, deleted(7))]), None, "of which schedule is not known");
    let by_user = Some(Removal { at: at(6), reason: RemovalReason::Deleted });
    assert_eq!(with(vec![(6, deleted(7)), (5, deletion(7, 34))]), by_user);
    assert_eq!(with(vec![(8, removed(34, "N6")), (6, deleted(7)), (5, deletion(7, 34))]), by_user);
    let by_dcc = |seconds, code: &str| {
        Some(Removal { at: at(seconds), reason: RemovalReason::DccAlert(code.parse().unwrap()) })
    };
    assert_eq!(with(vec![(8, removed(34, "N6")), (4, removed(34, "N17"))]), by_dcc(4, "N17"));
    assert_eq!(with(vec![(1, removed(34, "N6"))]), None, "it was created since");
    assert_eq!(
        with(vec![(8, removed(34, "N6")), (9, listed(34))]),
        by_dcc(8, "N6"),
        "no list brings it back"
    );
    assert_eq!(with(vec![(8, removed(34, "N6")), (9, created(2, 34))]), None, "it was created again");
    let [unknown] = &*all([(8, removed(34, "N6"))]) else { panic!() };
    assert_eq!(
        (unknown.details.device, unknown.removed),
        (Some(DeviceId::from_bytes([8; 8])), by_dcc(8, "N6"))
    );
    let [deleted_alone] = &*all([(6, deleted(7)), (5, deletion(7, 35))]) else { panic!() };
    assert_eq!((deleted_alone.id, deleted_alone.removed), (id(35), by_user));
    assert_eq!(RemovalReason::Deleted.to_string(), "Delete Schedule (5.3)");
    assert_eq!(by_dcc(0, "N6").unwrap().reason.to_string(), "DSPScheduleRemoval (N6)");
}

#[test]
fn what_is_told_of_another_user_is_none_of_this_users() {
    let mut schedules = Schedules::new(user(2));
    schedules.add(&event(2, created(1, 34)));
    assert_eq!(schedules.all().count(), 0);
}
