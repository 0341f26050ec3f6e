//! An ingest of events of access that is killed at any moment: no right is lost, none stays that was rescinded, and what a killed
//! one leaves is what some first part of its events says.

use crate::crash::{Chance, kill};
use crate::support::{gridtrail, run, setting, text, verified};
use gridtrail_access::{
    AccessEvent, AccessRecord, Assignment, Moment, Notice, NoticeKind, Party, Sharing, Sro,
};
use gridtrail_codec::encode_access_json;
use gridtrail_lake::{Lake, LakeSettings};
use gridtrail_model::{Timestamp, UserId, UserRole};
use gridtrail_runtime::Clock;
use std::collections::BTreeSet;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;

const PARTIES: u64 = 8;
const USERS_OF_A_PARTY: u64 = 3;
const NOTICES: u64 = 1_200;
/// Small files and batches, so that there are many commits to fall into.
const RECORDS_OF_A_FILE: usize = 50;
const BATCH_ROWS: &str = "50";

/// The Users of one Party, some of them at random, one at least.
fn some_of(party: u64, chance: &mut Chance) -> BTreeSet<UserId> {
    let first = chance.below(USERS_OF_A_PARTY);
    let more = (0..USERS_OF_A_PARTY).filter(|_| chance.below(2) == 0);
    let users: BTreeSet<u64> = more.chain([first]).collect();
    users.into_iter().map(|user| user_id(party, user)).collect()
}

fn user_id(party: u64, user: u64) -> UserId {
    UserId::from_bytes((0x90B3_D51F_3002_0000 + party * USERS_OF_A_PARTY + user).to_be_bytes())
}

fn party(number: u64) -> Party {
    format!("party-{number}").parse().unwrap()
}

/// Assignments, then grants and rescissions in a random order, each sent and, nearly always, confirmed.
fn records(chance: &mut Chance) -> Vec<AccessRecord> {
    let start: Timestamp = "2026-03-01T00:00:00Z".parse().unwrap();
    let mut events = Vec::new();
    for number in 0..PARTIES {
        for user in 0..USERS_OF_A_PARTY {
            let to = Some(Assignment { party: party(number), role: UserRole::OU, descriptor: None });
            events.push(AccessEvent::Assigned { user_id: user_id(number, user), to, from: start });
        }
    }
    for number in 0..NOTICES {
        let (by, step) = (chance.below(PARTIES), 1 + chance.below(PARTIES - 1));
        let with = (by + step) % PARTIES;
        let kind = if chance.below(3) == 0 { NoticeKind::Rescind } else { NoticeKind::Grant };
        let sro = Sro {
            name: "Sam Example".into(),
            telephone: "0000".into(),
            email: "sam@example.com".into(),
            signature: "s".into(),
        };
        let notice = Notice {
            kind,
            by: party(by),
            with: party(with),
            own: some_of(by, chance),
            other: some_of(with, chance),
            at: start.plus_millis(1_000 * i64::try_from(number).unwrap()),
            sro: Some(sro),
        };
        let id = || format!("notice-{number}").parse().unwrap();
        let confirmed = notice.at.plus_millis(500);
        events.push(AccessEvent::Notified { id: id(), notice });
        if chance.below(20) > 0 {
            events.push(AccessEvent::Confirmed { id: id(), at: confirmed });
        }
    }
    let numbered = events.into_iter().zip(0_i64..);
    let record = |(event, number)| AccessRecord {
        id: format!("event-{number}").parse().unwrap(),
        recorded_at: start.plus_millis(number),
        event,
    };
    numbered.map(record).collect()
}

async fn sharing_in(lake: &Path) -> Arc<Sharing> {
    // One that was killed may not have come to making all tables: opening makes the others.
    let lake = Lake::open(LakeSettings::at(lake.to_str().unwrap()), Clock::system()).await.unwrap();
    lake.sharing().await.unwrap().current()
}

/// What the events say, taken in one after the other as far as needed.
struct EventsTaken<'a> {
    rest: std::slice::Iter<'a, AccessRecord>,
    sharing: Sharing,
}

impl EventsTaken<'_> {
    /// Goes on to the part of the events that says just this.
    fn comes_to(&mut self, found: &Sharing) -> bool {
        while self.sharing != *found {
            let Some(record) = self.rest.next() else { return false };
            self.sharing.take(record.event.clone());
        }
        true
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ingest_of_rights_may_be_killed_at_any_moment() {
    let kills = setting("GRIDTRAIL_ACCESS_KILLS", 5);
    let seed = setting("GRIDTRAIL_CRASH_SEED", 20_260_301);
    println!("GRIDTRAIL_CRASH_SEED={seed} GRIDTRAIL_ACCESS_KILLS={kills}");
    let mut chance = Chance(seed);
    let folder = tempfile::tempdir().unwrap();
    let events = folder.path().join("events");
    std::fs::create_dir(&events).unwrap();
    let records = records(&mut chance);
    // A batch ends only between files, where they are small.
    for (number, part) in records.chunks(RECORDS_OF_A_FILE).enumerate() {
        let lines = part.iter().map(|record| encode_access_json(record) + "\n").collect::<String>();
        std::fs::write(events.join(format!("{number:04}.access.jsonl")), lines).unwrap();
    }
    let mut whole = Sharing::default();
    records.iter().for_each(|record| whole.take(record.event.clone()));
    // A rescission in the last tenth of the events that was not taken in would show.
    let mut most = Sharing::default();
    records[..records.len() * 9 / 10].iter().for_each(|record| most.take(record.event.clone()));
    assert_ne!(pairs(&whole), pairs(&most));

    let (mut killed, mut rounds, mut between) = (0, 0, 0);
    while killed < kills {
        rounds += 1;
        let lake = folder.path().join(format!("lake-{rounds}"));
        let args = [
            "ingest",
            events.to_str().unwrap(),
            "--lake",
            lake.to_str().unwrap(),
            "--batch-rows",
            BATCH_ROWS,
        ];
        let mut told = EventsTaken { rest: records.iter(), sharing: Sharing::default() };
        while killed < kills {
            let ingest = gridtrail().args(args).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
            if !kill(ingest, &lake, &mut chance) {
                break;
            }
            killed += 1;
            let left = sharing_in(&lake).await;
            assert!(told.comes_to(&left), "round {rounds}: no first part of the events says what is left");
            between += u64::from(told.sharing != Sharing::default() && told.sharing != whole);
        }
        let last = run(&args);
        assert!(last.status.success(), "round {rounds}: {}", text(&last.stderr));
        assert_eq!(*sharing_in(&lake).await, whole, "round {rounds}");
        verified(lake.to_str().unwrap());
        std::fs::remove_dir_all(&lake).unwrap();
    }
    assert!(between > 0, "no kill fell into the middle: nothing was tried");
    println!(
        "{killed} kills of an ingest of rights in {rounds} lakes, {between} of them with a part of the events taken in: none lost"
    );
}

/// The pairs that are in force in the end.
fn pairs(sharing: &Sharing) -> BTreeSet<(UserId, UserId)> {
    let users: Vec<UserId> =
        (0..PARTIES).flat_map(|p| (0..USERS_OF_A_PARTY).map(move |user| user_id(p, user))).collect();
    let pair = |one: UserId, other: UserId| {
        sharing.is_pair_in_force(one, other, Moment::At(Timestamp::MAX)).then_some((one, other))
    };
    users.iter().flat_map(|one| users.iter().filter_map(move |other| pair(*one, *other))).collect()
}
