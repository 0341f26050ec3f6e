//! Rescissions that the DCC confirmed and that something is wrong with, through the ingest: no slip leaves a pair in force that they name.

use crate::it::{at, ingest, lake};
use gridtrail_access::{
    AccessEvent, AccessRecord, Assignment, Moment, Notice, NoticeId, NoticeKind, Party, Sharing,
};
use gridtrail_codec::encode_access_json;
use gridtrail_ingest::{FileSettings, Mended, dismiss_letters, replay_letters};
use gridtrail_lake::{Evidence, Lake};
use gridtrail_model::{UserId, UserRole};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs;

const USERS: u8 = 6;

fn user(n: u8) -> UserId {
    UserId::from_bytes([0x90, 0xB3, 0, 0, 0, 0, 2, n])
}

fn party(n: u8) -> Party {
    ["Avon", "Brent", "Clyde"][usize::from(n % 3)].parse().unwrap()
}

fn id(n: usize) -> NoticeId {
    format!("n-{n}").parse().unwrap()
}

/// Who sends what about whose User IDs, and when: a third of it rescissions. All of it is confirmed a second later.
#[derive(Debug, Clone)]
struct Sentence {
    kind: NoticeKind,
    by: u8,
    own: Vec<u8>,
    with: u8,
    other: Vec<u8>,
    second: i64,
}

fn sentence() -> impl Strategy<Value = Sentence> {
    let ids = || prop::collection::vec(0u8..2, 1..3);
    (0u8..3, 0u8..3, 1u8..3, ids(), ids(), 0i64..40).prop_map(|(kind, by, with, own, other, second)| {
        let with = (by + with) % 3;
        let of = |ids: Vec<u8>, party: u8| ids.into_iter().map(|n| n * 3 + party).collect();
        let kind = if kind == 0 { NoticeKind::Rescind } else { NoticeKind::Grant };
        Sentence { kind, by, own: of(own, by), with, other: of(other, with), second }
    })
}

/// A grant is mostly answered with the same lists.
fn story() -> impl Strategy<Value = Vec<Sentence>> {
    prop::collection::vec(sentence(), 1..10).prop_map(|sentences| {
        let answered = sentences.into_iter().flat_map(|s| {
            let answer =
                Sentence { by: s.with, own: s.other.clone(), with: s.by, other: s.own.clone(), ..s.clone() };
            let answer = (s.kind == NoticeKind::Grant && s.second % 7 > 0).then_some(answer);
            [Some(s), answer]
        });
        answered.flatten().collect()
    })
}

#[derive(Debug, Clone, Copy)]
enum Slip {
    OtherPartyIsSpelled,
    StaleUserId,
    NoNameOfTheOfficer,
    LongTextOfTheOfficer,
    NoOfficerAtAll,
    SenderIsSpelled,
    GarbledOwn,
    GarbledOther,
    NoOther,
    UnknownField,
    UnknownKind,
    NoTime,
    Cut,
    ConfirmedYesterday,
    ConfirmedWithMore,
}

const SLIPS: [Slip; 15] = [
    Slip::OtherPartyIsSpelled,
    Slip::StaleUserId,
    Slip::NoNameOfTheOfficer,
    Slip::LongTextOfTheOfficer,
    Slip::NoOfficerAtAll,
    Slip::SenderIsSpelled,
    Slip::GarbledOwn,
    Slip::GarbledOther,
    Slip::NoOther,
    Slip::UnknownField,
    Slip::UnknownKind,
    Slip::NoTime,
    Slip::Cut,
    Slip::ConfirmedYesterday,
    Slip::ConfirmedWithMore,
];

impl Slip {
    /// Whether it decides nothing, so that all else is as it would be without it.
    fn is_harmless(self) -> bool {
        use Slip::{
            LongTextOfTheOfficer, NoNameOfTheOfficer, NoOfficerAtAll, OtherPartyIsSpelled, StaleUserId,
        };
        matches!(
            self,
            OtherPartyIsSpelled | StaleUserId | NoNameOfTheOfficer | LongTextOfTheOfficer | NoOfficerAtAll
        )
    }

    /// The lines of a rescission and of its confirmation, with the slip.
    fn slipped(self, [notified, confirmed]: [String; 2], by: u8) -> [String; 2] {
        let mut event: Value = serde_json::from_str(&notified).unwrap();
        let mut confirmation: Value = serde_json::from_str(&confirmed).unwrap();
        let garbled = |list: &mut Value| list[0] = json!(list[0].as_str().unwrap().replace("90-B3", "9O-B3"));
        let told = &mut event["notified"];
        match self {
            Self::OtherPartyIsSpelled => told["otherParty"] = json!("the other one"),
            Self::StaleUserId => {
                told["userIds"].as_array_mut().unwrap().push(json!(user((by + 1) % 3).to_string()))
            }
            Self::NoNameOfTheOfficer => told["authorisedBy"] = json!({ "telephone": "1" }),
            Self::LongTextOfTheOfficer => told["authorisedBy"] = json!({ "name": "x".repeat(257) }),
            Self::NoOfficerAtAll => told["authorisedBy"] = json!("by word of mouth"),
            Self::SenderIsSpelled => told["party"] = json!("the sender"),
            Self::GarbledOwn => garbled(&mut told["userIds"]),
            Self::GarbledOther => garbled(&mut told["otherUserIds"]),
            Self::NoOther => drop(told.as_object_mut().unwrap().remove("otherUserIds")),
            Self::UnknownField => told["colour"] = json!("red"),
            Self::UnknownKind => told["kind"] = json!("NOTIFICATION_KIND_WITHDRAW"),
            Self::NoTime => event["recordedAt"] = json!("soon"),
            Self::ConfirmedYesterday => confirmation["confirmed"]["at"] = json!("yesterday"),
            Self::ConfirmedWithMore => confirmation["confirmed"]["colour"] = json!("red"),
            Self::Cut => {}
        }
        let end = if matches!(self, Self::Cut) { 2 } else { 0 };
        let line = event.to_string();
        [line[..line.len() - end].to_owned(), confirmation.to_string()]
    }
}

fn record(name: String, second: i64, event: AccessEvent) -> AccessRecord {
    AccessRecord { id: name.parse().unwrap(), recorded_at: at(second), event }
}

/// The lines of a story, and who shares with whom by what it means.
fn told(story: &[Sentence], slips: &[Option<Slip>]) -> (Vec<String>, Sharing) {
    let (mut lines, mut meant) = (Vec::new(), Sharing::default());
    for n in 0..USERS {
        let to = Some(Assignment { party: party(n), role: UserRole::IS, descriptor: None });
        let event = AccessEvent::Assigned { user_id: user(n), to, from: at(-1_000) };
        lines.push(encode_access_json(&record(format!("a-{n}"), -1_000, event.clone())));
        meant.take(event);
    }
    for (n, (s, slip)) in story.iter().zip(slips).enumerate() {
        let users = |ids: &[u8]| ids.iter().map(|n| user(*n)).collect::<BTreeSet<_>>();
        let notice = Notice {
            kind: s.kind,
            by: party(s.by),
            with: party(s.with),
            own: users(&s.own),
            other: users(&s.other),
            at: at(s.second),
            sro: None,
        };
        let events = [
            AccessEvent::Notified { id: id(n), notice },
            AccessEvent::Confirmed { id: id(n), at: at(s.second + 1) },
        ];
        let [sent, confirmed] = events.map(|event| {
            meant.take(event.clone());
            encode_access_json(&record(format!("e-{n}"), s.second, event))
        });
        match slip.filter(|_| s.kind == NoticeKind::Rescind) {
            Some(slip) => lines.extend(slip.slipped([sent, confirmed], s.by)),
            None => lines.extend([sent, confirmed]),
        }
    }
    (lines, meant)
}

async fn taken_in(lines: &[String]) -> Lake {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a.access.jsonl"), lines.join("\n")).unwrap();
    let lake = lake().await;
    ingest(&lake, folder.path(), &FileSettings::default()).await.unwrap();
    lake
}

fn pairs() -> impl Iterator<Item = (UserId, UserId)> {
    (0..USERS).flat_map(|one| (0..USERS).map(move |other| (user(one), user(other))))
}

/// Whatever is wrong in a confirmed rescission or in its confirmation, nothing shows that would not show were it right; and what a slip
/// does not touch goes on.
#[test]
fn no_confirmed_rescission_leaves_a_pair_of_its_in_force() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let slips = prop::collection::vec(prop::option::weighted(0.9, prop::sample::select(&SLIPS[..])), 20);
    let mut runner = TestRunner::new(ProptestConfig::with_cases(24));
    let tried = runner.run(&(story(), slips, 0i64..60), |(story, slips, second)| {
        let (lines, meant) = told(&story, &slips);
        let lake = runtime.block_on(taken_in(&lines));
        let sharing = runtime.block_on(lake.sharing()).unwrap().current();
        let harmless = story
            .iter()
            .zip(&slips)
            .all(|(s, slip)| s.kind == NoticeKind::Grant || slip.is_none_or(Slip::is_harmless));
        for (one, other) in pairs() {
            let now = Moment::Now(at(second));
            let (found, right) =
                (sharing.is_pair_in_force(one, other, now), meant.is_pair_in_force(one, other, now));
            prop_assert!(right || !found, "{one} {other}\n{}", lines.join("\n"));
            prop_assert!(!harmless || right == found, "{one} {other}\n{}", lines.join("\n"));
        }
        Ok(())
    });
    tried.unwrap_or_else(|failed| panic!("{failed}"));
}

/// Avon and Brent share 0 and 3 with 1 and 4, and Clyde shares 2 with Avon's 0; then Brent rescinds 1 and 0.
fn of_three() -> Vec<Sentence> {
    let sentence = |kind, by, own: &[u8], with, other: &[u8], second| Sentence {
        kind,
        by,
        own: own.to_vec(),
        with,
        other: other.to_vec(),
        second,
    };
    use NoticeKind::{Grant, Rescind};
    vec![
        sentence(Grant, 0, &[0, 3], 1, &[1, 4], 10),
        sentence(Grant, 1, &[1, 4], 0, &[0, 3], 10),
        sentence(Grant, 0, &[0], 2, &[2], 10),
        sentence(Grant, 2, &[2], 0, &[0], 10),
        sentence(Rescind, 1, &[1], 0, &[0], 20),
    ]
}

async fn in_force(lake: &Lake) -> Vec<(u8, u8)> {
    let sharing = lake.sharing().await.unwrap().current();
    let pairs = (0..USERS).flat_map(|one| (one..USERS).map(move |other| (one, other)));
    pairs
        .filter(|(one, other)| sharing.is_pair_in_force(user(*one), user(*other), Moment::Now(at(30))))
        .collect()
}

/// What a slip leaves in force of `of_three`, and what is suspended.
async fn left_by(slip: Option<Slip>) -> (Vec<(u8, u8)>, usize) {
    let slips = [None, None, None, None, slip];
    let lake = taken_in(&told(&of_three(), &slips).0).await;
    let suspended = lake.sharing().await.unwrap().current().suspensions(Moment::Now(at(30))).len();
    (in_force(&lake).await, suspended)
}

const OTHERS: [(u8, u8); 4] = [(0, 2), (0, 4), (1, 3), (3, 4)];

#[tokio::test(flavor = "multi_thread")]
async fn another_spelling_of_the_other_party_ends_what_is_rescinded() {
    assert_eq!(left_by(None).await, (OTHERS.to_vec(), 0));
    assert_eq!(left_by(Some(Slip::OtherPartyIsSpelled)).await, (OTHERS.to_vec(), 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_stale_user_id_among_good_ones_ends_what_is_rescinded() {
    assert_eq!(left_by(Some(Slip::StaleUserId)).await, (OTHERS.to_vec(), 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_officer_without_a_name_ends_what_is_rescinded() {
    assert_eq!(left_by(Some(Slip::NoNameOfTheOfficer)).await, (OTHERS.to_vec(), 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_officers_text_of_more_than_256_bytes_ends_what_is_rescinded() {
    assert_eq!(left_by(Some(Slip::LongTextOfTheOfficer)).await, (OTHERS.to_vec(), 0));
    assert_eq!(left_by(Some(Slip::NoOfficerAtAll)).await, (OTHERS.to_vec(), 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_read_in_full_suspends_all_of_whom_it_names() {
    // Whichever of Brent's is meant, and every pair of 0.
    assert_eq!(left_by(Some(Slip::GarbledOwn)).await, (vec![], 1));
    // Only 1 is Brent's that it rescinds.
    assert_eq!(left_by(Some(Slip::GarbledOther)).await, (vec![(0, 2), (0, 4), (3, 4)], 1));
    assert_eq!(left_by(Some(Slip::UnknownKind)).await, (vec![(3, 4)], 1), "every pair of 0 and of 1");
    assert_eq!(left_by(Some(Slip::SenderIsSpelled)).await, (OTHERS.to_vec(), 1), "what it names, no more");
    assert_eq!(left_by(Some(Slip::ConfirmedYesterday)).await, (OTHERS.to_vec(), 1));
}

/// A letter suspends until it is settled: mended it ends what it says, dismissed it ends nothing, and either is for good.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_suspended_goes_on_once_its_letter_is_settled() {
    let lines = |slip| told(&of_three(), &[None, None, None, None, slip]).0;
    let right = &lines(None)[lines(None).len() - 2];
    for mend in [true, false] {
        let lake = taken_in(&lines(Some(Slip::GarbledOwn))).await;
        assert_eq!(in_force(&lake).await, []);
        let letters = lake.dead_letters().await.unwrap().rest().await.unwrap();
        assert_eq!(letters.len(), 1);
        let mut told = Vec::new();
        lake.evidence(|commit| told.extend(commit.sources)).await.unwrap();
        let Some(Evidence::Whole(evidence)) = told.first() else { panic!("{told:?}") };
        assert!(evidence.suspending_at.contains(letters[0].position) && evidence.naming_nobody_at.is_empty());
        if mend {
            let mended = Mended { value: Some(right.clone().into()), ..Mended::default() };
            replay_letters(&lake, &letters, &mended, false).await.unwrap();
            assert_eq!(in_force(&lake).await, OTHERS);
        } else {
            let same = replay_letters(&lake, &letters, &Mended::default(), false).await.unwrap();
            assert_eq!((same.unreadable.len(), in_force(&lake).await), (1, vec![]), "it is what it was");
            dismiss_letters(&lake, &letters, "a test of the sender's").await.unwrap();
            assert_eq!(in_force(&lake).await, [(0, 1), (0, 2), (0, 4), (1, 3), (3, 4)]);
        }
        let verified = lake.verify(&gridtrail_lake::VerifySettings::default()).await.unwrap();
        assert!(verified.is_clean(), "{verified:?}");
    }
}

/// What names nobody suspends nobody, and says so in the evidence, which freshness goes by.
#[tokio::test(flavor = "multi_thread")]
async fn what_names_nobody_is_told_in_the_evidence() {
    for line in ["}{", "{\"confirmed\": {}}", "{\"notified\": {\"kind\": \"NOTIFICATION_KIND_RESCIND\"}}"] {
        let mut lines = told(&of_three(), &[None; 5]).0;
        lines.push(line.to_owned());
        let lake = taken_in(&lines).await;
        assert_eq!(in_force(&lake).await, OTHERS, "{line}");
        let mut told = Vec::new();
        lake.evidence(|commit| told.extend(commit.sources)).await.unwrap();
        let Some(Evidence::Whole(evidence)) = told.first() else { panic!("{told:?}") };
        assert_eq!((evidence.naming_nobody_at.len(), evidence.suspending_at.len()), (1, 0), "{line}");
    }
    // A grant that cannot be read ends nothing.
    let mut lines = told(&of_three(), &[None; 5]).0;
    lines.push(lines[6].replace("n-0", ""));
    let lake = taken_in(&lines).await;
    assert_eq!(in_force(&lake).await, OTHERS);
    let mut told = Vec::new();
    lake.evidence(|commit| told.extend(commit.sources)).await.unwrap();
    let Some(Evidence::Whole(evidence)) = told.first() else { panic!("{told:?}") };
    assert_eq!(
        (evidence.dead_lettered, evidence.naming_nobody_at.len(), evidence.suspending_at.len()),
        (1, 0, 0)
    );
}
