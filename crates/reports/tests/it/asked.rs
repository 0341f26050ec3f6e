//! What may be asked, by whom, and whose rows come.

use crate::it::world::*;
use gridtrail_access::AccessError;
use gridtrail_model::{Event, UserId};
use gridtrail_reports::{ArgumentError, ReportError};
use std::collections::BTreeSet;

fn refused(name: &str, given: &[(&str, &str)]) -> ArgumentError {
    report(name).arguments(given.iter().copied(), now()).unwrap_err()
}

#[test]
fn what_is_asked_wrongly_is_told() {
    for (name, given, part) in [
        ("monthly-transactions", &[("year", "2026")][..], "has no parameter \"year\"; it has month"),
        ("monthly-transactions", &[("month", "2026-02"), ("month", "2026-03")], "month is given twice"),
        ("monthly-transactions", &[("month", "March")], "month is a month"),
        ("device-transactions", &[], "needs device_id or mpxn"),
        ("device-transactions", &[("device_id", "' OR 1 = 1")], "device_id is a Device ID"),
        ("load-balance", &[("slot", "day")], "slot is one of hour, half hour"),
        ("load-balance", &[("from", "2026-03-02"), ("until", "2026-03-01")], "is before from"),
        (
            "load-balance",
            &[("from", "2026-01-01"), ("until", "2026-02-01")],
            "are 32 days; the report takes 31",
        ),
    ] {
        let error = refused(name, given).to_string();
        assert!(error.contains(part), "{given:?}: {error}");
    }
}

/// What is not given is what the manifest says, by the day in the United Kingdom.
#[test]
fn what_is_not_asked_is_what_the_manifest_says() {
    let shown = |name: &str, given: &[(&str, &str)]| {
        let arguments = report(name).arguments(given.iter().copied(), now()).unwrap();
        arguments.shown().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(shown("monthly-transactions", &[]), "month=2026-03");
    assert_eq!(shown("load-balance", &[]), "from=2026-03-26 slot=hour until=2026-04-01");
    let device = [("device_id", "88-73-84-57-00-2F-96-1E")];
    assert_eq!(
        shown("device-transactions", &device),
        "device_id=88-73-84-57-00-2F-96-1E from=2026-03-03 until=2026-04-02"
    );
}

/// The questions that every report is asked in these tests.
fn questions() -> Vec<(String, Vec<(&'static str, String)>)> {
    let world = region(5);
    let device = world.truth().find_map(|row| row.device_id).unwrap().to_string();
    let given = |name: &str| match name {
        "device-transactions" => vec![("device_id", device.clone())],
        "monthly-transactions" => vec![("month", "2026-03".to_owned())],
        _ => Vec::new(),
    };
    reports().iter().map(|report| (report.name.clone(), given(&report.name))).collect()
}

/// Each report of a User is the same whether or not the lake has rows of others, and without a User ID it is empty.
#[tokio::test(flavor = "multi_thread")]
async fn rows_of_others_are_in_no_report() {
    let world = region(5);
    let events: Vec<Event> = world.events().collect();
    let user = world.truth().find(|row| row.device_id.is_some()).unwrap().key.user;
    let own: Vec<Event> = events.iter().filter(|event| event.correlation.user_id == user).cloned().collect();
    assert!(own.len() > 50 && own.len() < events.len());
    let (whole, alone) = (lake_of(&events, 2_000).await, lake_of(&own, 2_000).await);
    let one = access_of([user], 1);
    let none = one.narrowed_to(&BTreeSet::new());
    for (name, given) in questions() {
        let report = report(&name);
        let given: Vec<(&str, &str)> = given.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let expected = texts(&report, (&alone, &one), &given).await;
        assert_eq!(texts(&report, (&whole, &one), &given).await, expected, "{name}");
        assert!(texts(&report, (&whole, &none), &given).await.is_empty(), "{name}");
    }
}

/// Of several User IDs some can be chosen, and none that is not one's own or granted.
#[tokio::test(flavor = "multi_thread")]
async fn a_report_of_some_user_ids_has_their_rows() {
    let world = region(6);
    let events: Vec<Event> = world.events().collect();
    let lake = lake_of(&events, 2_000).await;
    let users: BTreeSet<UserId> = world.truth().map(|row| row.key.user).collect();
    let (mut users, report) = (users.into_iter(), report("monthly-transactions"));
    let (first, second, other) = (users.next().unwrap(), users.next().unwrap(), users.next().unwrap());
    let who = access_of([first, second], 1);
    let given = [("month", "2026-03")];
    let both = texts(&report, (&lake, &who), &given).await;
    let mut rows = rows_of_users(&report, (&lake, &who), &given, &BTreeSet::from([second])).await.unwrap();
    assert_eq!(rows.about().users.len(), 1);
    assert!(rows.about().users[0].contains(&second.to_string()));
    let mut found = Vec::new();
    while let Some(batch) = rows.next().await.unwrap() {
        found.extend(report.texts_of(&batch));
    }
    let of_second: Vec<_> = both.iter().filter(|row| row[0] == second.to_string()).cloned().collect();
    assert!(!of_second.is_empty() && of_second.len() < both.len());
    assert_eq!(found, of_second);
    let denied = rows_of_users(&report, (&lake, &who), &given, &BTreeSet::from([other])).await.unwrap_err();
    assert!(matches!(denied, ReportError::NotYours(user) if user == other), "{denied}");
}

/// The matrix opens reports to some roles, also to one that may not search the audit trail.
#[tokio::test(flavor = "multi_thread")]
async fn reports_are_for_the_roles_of_the_matrix() {
    let world = region(7);
    let events: Vec<Event> = world.events().collect();
    let lake = lake_of(&events, 5_000).await;
    let user = world.truth().next().unwrap().key.user;
    let report = report("monthly-transactions");
    for role in 1..=11 {
        let rows = rows_of(&report, (&lake, &access_of([user], role)), &[("month", "2026-03")]).await;
        match role {
            1 | 2 | 4 | 6 | 10 | 11 => {
                let mut rows = rows.unwrap_or_else(|error| panic!("role {role}: {error}"));
                assert!(rows.next().await.unwrap().is_some(), "role {role}");
            }
            _ => {
                let error = rows.unwrap_err();
                assert!(
                    matches!(error, ReportError::Access(AccessError::Denied { .. })),
                    "role {role}: {error}"
                );
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_says_what_it_rests_on() {
    let world = region(8);
    let events: Vec<Event> = world.events().take(500).collect();
    let lake = lake_of(&events, 500).await;
    let who = access_of([events[0].correlation.user_id], 1);
    let rows = rows_of(&report("monthly-transactions"), (&lake, &who), &[]).await.unwrap();
    let about = rows.about();
    assert_eq!((about.report.as_str(), about.version), ("monthly-transactions", 1));
    assert_eq!(about.complete_up_to, Some(now().plus_millis(-3_600_000)));
    assert!(about.fresh_enough);
    assert_eq!((about.made_at, about.asked_by.as_str(), about.party.as_str()), (now(), "tester", "region"));
    assert_eq!(about.parameters.get("month").map(String::as_str), Some("2026-03"));
}
