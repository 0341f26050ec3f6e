use super::world::*;
use crate::{CopiedTable, Copy, Purpose};
use gridtrail_access::{Access, AccessEvent, Admission, Assignment, Doors, Party, Sharing};
use gridtrail_lake::Lake;
use gridtrail_model::UserRole;
use gridtrail_runtime::Clock;
use std::sync::Arc;

fn party(name: &str) -> Party {
    name.parse().unwrap()
}

fn assigned(u: u8, to: Option<&str>, from: i64) -> AccessEvent {
    let to = to.map(|name| Assignment { party: party(name), role: UserRole::OU, descriptor: None });
    AccessEvent::Assigned { user_id: user(u), to, from: at(from) }
}

async fn access(events: &[AccessEvent]) -> Access {
    let mut sharing = Sharing::default();
    events.iter().for_each(|event| sharing.take(event.clone()));
    let doors = Doors { gatekeeper: None, sessions: None };
    let admission = Admission::new(doors, Arc::new(sharing));
    admission.access_of_party("tester", &party("p"), at(0)).await.unwrap()
}

async fn assert_equal_for(copy: &Copy, lake: &Lake, who: &Access) {
    let expected = scanned_rows(&lake.snapshot(), who, copy.kind()).await;
    assert_eq!(copied_rows(copy).await, expected, "{}", copy.kind());
}

/// A Party's copy has its own rows and, of meter reads, what is open of those of others; what becomes closed goes, and when a User ID comes or
/// goes, so do its rows.
#[tokio::test(flavor = "multi_thread")]
async fn a_copy_for_a_party_has_what_the_party_may_see_then() {
    let (lake, mut writer) = lake("lake", None, Clock::manual(at(HOUR))).await;
    let purpose = Purpose { party: Some(party("p")), by: "tester".to_owned() };
    commit(&mut writer, "a", (1..=3).flat_map(|u| (0..5).map(move |n| received(request_id(u, u, n), at(0)))))
        .await;
    commit(&mut writer, "b", (1..=3).map(|u| of_variant("6.20.1", received(request_id(u, u, 9), at(0)))))
        .await;
    lake.refresh().await.unwrap();
    let mut copies = Vec::new();
    for table in CopiedTable::OF_TRAILS {
        copies.push(Copy::open(&lake, &somewhere(), table).await.unwrap());
    }
    let first = [assigned(1, Some("p"), -1), assigned(2, Some("q"), -1)];
    let then = [&first[..], &[assigned(2, Some("p"), 0)]].concat();
    let at_last = [&then[..], &[assigned(1, None, 0)]].concat();
    // Rows of the audit trail, and meter reads.
    let told = [(&first[..], [6, 15]), (&then, [12, 15]), (&at_last, [6, 15])];
    for (events, rows) in told {
        let who = access(events).await;
        for (copy, rows) in copies.iter_mut().zip(rows) {
            let copied = copy.bring_up_to(&lake, (&who, &purpose), &lake.snapshot()).await.unwrap();
            assert!(copied.changed);
            assert_equal_for(copy, &lake, &who).await;
            assert_eq!(copy.rows().unwrap(), rows, "{}", copy.kind());
        }
    }
    // A row of another is closed by what says that it was no meter read.
    commit(&mut writer, "c", [of_variant("6.20.1", received(request_id(3, 3, 0), at(0)))]).await;
    commit(&mut writer, "d", [received(request_id(2, 2, 77), at(0))]).await;
    lake.refresh().await.unwrap();
    let who = access(&at_last).await;
    for (copy, rows) in copies.iter_mut().zip([7, 15]) {
        copy.bring_up_to(&lake, (&who, &purpose), &lake.snapshot()).await.unwrap();
        assert_equal_for(copy, &lake, &who).await;
        assert_eq!(copy.rows().unwrap(), rows, "{}", copy.kind());
    }
}

/// Nothing of another's row is in a copy but what UC_MeterRead_001 lists of it.
#[tokio::test(flavor = "multi_thread")]
async fn a_copy_for_a_party_says_no_more_of_rows_of_others() {
    let (lake, mut writer) = lake("lake", None, Clock::manual(at(HOUR))).await;
    commit(&mut writer, "a", [received(request_id(2, 2, 5), at(0)), answered(request_id(2, 2, 5), at(0))])
        .await;
    lake.refresh().await.unwrap();
    let who = access(&[assigned(1, Some("p"), -1)]).await;
    let purpose = Purpose { party: Some(party("p")), by: "tester".to_owned() };
    for (table, rows) in CopiedTable::OF_TRAILS.into_iter().zip([0, 1]) {
        let mut copy = Copy::open(&lake, &somewhere(), table).await.unwrap();
        copy.bring_up_to(&lake, (&who, &purpose), &lake.snapshot()).await.unwrap();
        assert_eq!(copy.rows().unwrap(), rows);
        assert_equal_for(&copy, &lake, &who).await;
    }
}
