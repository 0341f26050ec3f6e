//! Thresholds and quarantined communications in a lake: whose they are, what the clock makes of them, and what goes when.

use crate::it::compaction::{HOUR, over, settle};
use crate::it::world::*;
use gridtrail_access::{
    Access, AccessEvent, Admission, Assignment, Bearer, DevKey, JobTypeRole, Notice, NoticeId, NoticeKind,
    OrgId, Party, Sharing,
};
use gridtrail_anomaly::{
    AnomalyEvent, AnomalyFact, AnomalyFragment, AnomalyStatement, ArchiveOpened, FileName, Origin, Period,
    Scope, Settlement, Threshold, ThresholdKind, ThresholdsFile, rows_of,
};
use gridtrail_lake::{Batch, CompactionSettings, Lake, LakeError, Snapshot, VerifySettings};
use gridtrail_model::*;
use gridtrail_runtime::Clock;
use object_store::memory::InMemory;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The same event, told of another User: of its own communications.
fn of_user(n: u8, event: AnomalyEvent) -> AnomalyEvent {
    let told = match event.told {
        AnomalyStatement::Fact { at, corrects, fact: AnomalyFact::Quarantined(mut of) } => {
            of.request_id.originator = user(n);
            AnomalyStatement::Fact { at, corrects, fact: AnomalyFact::Quarantined(of) }
        }
        other => other,
    };
    AnomalyEvent { about: Some(user(n)), told, ..event }
}

fn fact(id: &str, about: Option<u8>, at: Timestamp, fact: AnomalyFact) -> AnomalyEvent {
    AnomalyEvent {
        recorded_at: at,
        id: id.parse().unwrap(),
        origin: Origin::Anomaly,
        about: about.map(user),
        told: AnomalyStatement::Fact { at, corrects: None, fact },
    }
}

/// A file of one threshold, received and applied.
pub(crate) fn threshold(n: u8, at: Timestamp, communications: u64) -> [AnomalyEvent; 2] {
    let name = FileName { smsr: format!("SMSR{n}").parse().unwrap(), role: UserRole::IS };
    let scope = Scope { variant: None, period: Period::of_seconds(60).unwrap() };
    let one = Threshold { kind: ThresholdKind::UserSet, scope, communications };
    let file = ThresholdsFile::new(name.clone(), false, vec![one]).unwrap();
    [
        fact(&format!("f{n}-{communications}"), Some(n), at, AnomalyFact::FileReceived(file)),
        fact(&format!("p{n}-{communications}"), Some(n), at, AnomalyFact::FileApplied(name)),
    ]
}

async fn tell(lake: &Lake, n: i64, anomaly: Vec<AnomalyEvent>) {
    let mut source = source("told", n, n + 1);
    source.finished = false;
    let batch = Batch { anomaly, sources: vec![source], ..Batch::default() };
    lake.writer().await.unwrap().commit(batch).await.unwrap();
}

/// What a caller sees of thresholds: by User, how many may come.
async fn seen(snapshot: &Snapshot, who: &Access, now: Timestamp) -> BTreeMap<UserId, Vec<u64>> {
    let (fragments, _) = snapshot.thresholds(who).await.unwrap();
    let of = |fragment: &AnomalyFragment| {
        let in_force = fragment.known().thresholds_at(now);
        let numbers: Vec<u64> = in_force.iter().map(|of| of.threshold.communications).collect();
        (fragment.about().unwrap(), numbers)
    };
    fragments.iter().map(of).filter(|(_, numbers)| !numbers.is_empty()).collect()
}

/// Of whom a caller sees quarantined communications.
async fn holders(snapshot: &Snapshot, who: &Access, now: Timestamp) -> BTreeSet<UserId> {
    let (found, _) = snapshot.quarantined(who, now).await.unwrap();
    let originators: BTreeSet<UserId> =
        found.iter().flat_map(|(_, all)| all).map(|of| of.request_id().originator).collect();
    let users: BTreeSet<UserId> = found.iter().map(|(user, _)| *user).collect();
    assert_eq!(originators, users);
    let (all, _) = snapshot.quarantined_or_archived(who, now).await.unwrap();
    assert_eq!(all.iter().map(|of| of.request_id().originator).collect::<BTreeSet<_>>(), users);
    users
}

fn with_roles(users: &[u8], roles: &[u8]) -> Access {
    let claims = Bearer {
        subject: "tester".to_owned(),
        party: "region".parse().unwrap(),
        org_id: OrgId::All,
        user_ids: users.iter().map(|n| user(*n)).collect(),
        roles: roles.iter().filter_map(|role| JobTypeRole::new(*role)).collect(),
        valid_from: at(0),
        expires_at: at(3_600_000),
    };
    DevKey::generate().unwrap().access(&claims).unwrap()
}

/// Nobody sees thresholds or quarantined communications but those whose they are, and those to whom they were granted, which an access counts among
/// its User IDs.
#[tokio::test(flavor = "multi_thread")]
async fn thresholds_and_quarantine_are_seen_by_their_users_alone() {
    let (lake, _) = memory().await;
    let mut all = Vec::new();
    for n in 1..=3 {
        all.extend(threshold(n, at(0), n.into()));
        all.push(of_user(n, quarantined(&format!("q{n}"), 7, at(0))));
    }
    let for_all = AnomalyFact::DccThreshold {
        scope: Scope { variant: None, period: Period::of_seconds(60).unwrap() },
        communications: Some(99),
    };
    all.push(fact("d", None, at(0), for_all));
    // In one file, and each in its own.
    tell(&lake, 0, all.clone()).await;
    for (n, event) in (1..).zip(all) {
        tell(&lake, n, vec![event]).await;
    }
    let snapshot = lake.snapshot();
    for users in [&[][..], &[1], &[2], &[1, 3], &[4]] {
        let there = |n: &&u8| **n <= 3;
        let expected: BTreeSet<UserId> = users.iter().filter(there).map(|n| user(*n)).collect();
        // No token names nobody, so whom it names without any has nothing.
        let who = access(if users.is_empty() { &[4] } else { users });
        let numbers: BTreeMap<UserId, Vec<u64>> =
            users.iter().filter(there).map(|n| (user(*n), vec![(*n).into()])).collect();
        assert_eq!(seen(&snapshot, &who, at(1)).await, numbers, "{users:?}");
        assert_eq!(holders(&snapshot, &who, at(1)).await, expected, "{users:?}");
        let narrowed = access(&[1, 2, 3, 4]).narrowed_to(&users.iter().map(|n| user(*n)).collect());
        assert_eq!(holders(&snapshot, &narrowed, at(1)).await, expected, "{users:?}");
        assert_eq!(seen(&snapshot, &narrowed, at(1)).await, numbers, "{users:?}");
    }
    // The third role may not use reporting; without any, nobody may.
    for roles in [&[3][..], &[]] {
        let who = with_roles(&[1], roles);
        let refused = snapshot.thresholds(&who).await.unwrap_err();
        assert!(matches!(refused, LakeError::NotPermitted { .. }), "{refused}");
        let refused = snapshot.quarantined(&who, at(1)).await.unwrap_err();
        assert!(matches!(refused, LakeError::NotPermitted { .. }), "{refused}");
        let refused = snapshot.quarantined_or_archived(&who, at(1)).await.unwrap_err();
        assert!(matches!(refused, LakeError::NotPermitted { .. }), "{refused}");
    }
    // What is archived is judged still, and shown no more; what is gone is neither.
    for (hours, judged) in [(119, 1), (120, 1), (120 + 30 * 24, 0)] {
        let (found, _) =
            snapshot.quarantined_or_archived(&access(&[1]), at(hours * 3_600_000)).await.unwrap();
        assert_eq!(found.len(), judged, "{hours}");
        let (shown, _) = snapshot.quarantined(&access(&[1]), at(hours * 3_600_000)).await.unwrap();
        assert_eq!(shown.len(), usize::from(hours < 120), "{hours}");
    }
}

/// Who shares with whom: a User of each of two Parties, and that both grant it a second later.
fn sharing() -> Sharing {
    let parties: [Party; 2] = ["Avon", "Brent"].map(|name| name.parse().unwrap());
    let mut sharing = Sharing::default();
    for (n, party) in (1..).zip(&parties) {
        let to = Some(Assignment { party: party.clone(), role: UserRole::IS, descriptor: None });
        sharing.take(AccessEvent::Assigned { user_id: user(n), to, from: Timestamp::MIN });
    }
    for (number, own, other) in [(0, 1, 2), (1, 2, 1)] {
        let notice = Notice {
            kind: NoticeKind::Grant,
            by: parties[number].clone(),
            with: parties[1 - number].clone(),
            own: [user(own)].into(),
            other: [user(other)].into(),
            at: at(900),
            sro: None,
        };
        let id: NoticeId = format!("n{number}").parse().unwrap();
        sharing.take(AccessEvent::Notified { id: id.clone(), notice });
        sharing.take(AccessEvent::Confirmed { id, at: at(1_000) });
    }
    sharing
}

/// A User's data are seen by who is granted its User ID, from when the grant is in force on and no earlier; by a Party without a grant never.
#[tokio::test(flavor = "multi_thread")]
async fn a_grant_shows_thresholds_and_quarantine_from_when_it_is_in_force() {
    let (lake, _) = memory().await;
    let mut all = Vec::new();
    for n in 1..=3 {
        all.extend(threshold(n, at(0), n.into()));
        all.push(of_user(n, quarantined(&format!("q{n}"), 7, at(0))));
    }
    tell(&lake, 0, all).await;
    let key = DevKey::generate().unwrap();
    let admission = Admission::new(key.gatekeeper().unwrap(), Arc::new(sharing()));
    let claims = Bearer {
        subject: "ann".to_owned(),
        party: "Avon".parse().unwrap(),
        org_id: OrgId::All,
        user_ids: [1, 2, 3].map(user).into(),
        roles: JobTypeRole::new(1).into_iter().collect(),
        valid_from: at(0),
        expires_at: at(3_600_000),
    };
    let token = key.mint(&claims).unwrap();
    let snapshot = lake.snapshot();
    for (millis, users) in [(999, &[1][..]), (1_000, &[1, 2])] {
        let who = admission.admit(&token, at(millis)).await.unwrap();
        let expected: BTreeSet<UserId> = users.iter().map(|n| user(*n)).collect();
        assert_eq!(holders(&snapshot, &who, at(millis)).await, expected, "{millis}");
        assert_eq!(seen(&snapshot, &who, at(millis)).await.into_keys().collect::<BTreeSet<_>>(), expected);
    }
}

async fn retain(lake: &Lake) -> u64 {
    let mut maintenance = lake.maintenance().await.unwrap();
    let done = maintenance.retain(&CompactionSettings::default(), false).await.unwrap();
    assert_eq!((done.overtaken, done.refused), (0, 0));
    maintenance.vacuum(false).await.unwrap();
    lake.refresh().await.unwrap();
    done.rows_of("anomaly")
}

async fn files(lake: &Lake) -> u64 {
    let status = lake.maintenance().await.unwrap().status().await.unwrap();
    status.tables.iter().find(|table| table.name == "anomaly").unwrap().files
}

/// By the lake's clock alone: 120 hours, then the archive, which is opened for a Major Security Incident alone, then nothing; and the rows go, while
/// thresholds and the audit trail stay.
#[tokio::test(flavor = "multi_thread")]
async fn the_clock_archives_a_communication_and_its_rows_go_when_it_is_gone() {
    let clock = Clock::manual(at(1_000_000));
    let lake = over(Arc::new(InMemory::new()), clock.clone()).await.unwrap();
    let began = clock.now();
    let trail = received(request_id(1, 1, 7), began);
    let mut evidence = source("trails", 0, 1);
    evidence.finished = false;
    let batch =
        Batch { fragments: fold([trail]).into_fragments(), sources: vec![evidence], ..Batch::default() };
    lake.writer().await.unwrap().commit(batch).await.unwrap();
    let deleted = AnomalyFact::Settled(request_id(1, 1, 8), Settlement::Deleted);
    let opened = ArchiveOpened::new("MSI1".parse().unwrap(), None, "INC1".parse().ok(), Vec::new()).unwrap();
    let hours = |hours: i64| began.plus_millis(hours * HOUR);
    tell(&lake, 0, vec![quarantined("q7", 7, began), quarantined("q8", 8, began)]).await;
    tell(&lake, 1, threshold(1, began, 5).to_vec()).await;
    tell(&lake, 2, vec![fact("d8", Some(1), hours(1), deleted)]).await;
    assert_eq!(held(&lake.snapshot(), clock.now()).await, [7, 8]);
    clock.advance(120 * HOUR - 1);
    assert_eq!(held(&lake.snapshot(), clock.now()).await, [7, 8], "what was deleted is told of for as long");
    clock.advance(1);
    assert_eq!(held(&lake.snapshot(), clock.now()).await, [] as [u64; 0]);
    tell(&lake, 3, vec![fact("o", Some(1), clock.now(), AnomalyFact::ArchiveOpened(opened))]).await;
    assert_eq!(held(&lake.snapshot(), clock.now()).await, [7], "what was deleted is in no archive");
    assert_eq!(retain(&lake).await, 0);
    clock.advance(30 * 24 * HOUR - 1);
    assert_eq!(held(&lake.snapshot(), clock.now()).await, [7]);
    clock.advance(1);
    assert_eq!(held(&lake.snapshot(), clock.now()).await, [] as [u64; 0]);
    // A file is written anew a day later, for all that has gone by then.
    assert_eq!(retain(&lake).await, 0);
    clock.advance(24 * HOUR);
    let before = files(&lake).await;
    assert_eq!(retain(&lake).await, 2, "two communications");
    assert_eq!(files(&lake).await, before - 1);
    clock.advance(31 * 24 * HOUR);
    assert_eq!(retain(&lake).await, 2, "the deletion of one, and the opening of the archive");
    assert_eq!(files(&lake).await, 1, "of thresholds");
    assert_eq!(seen(&lake.snapshot(), &access(&[1]), clock.now()).await[&user(1)], [5]);
    assert_eq!(find(&lake, &[1], &query(1)).await.len(), 1, "the audit trail stays");
    assert_eq!(lake.verify(&VerifySettings::default()).await.unwrap().damages, []);
    // A source that tells it once more brings nothing back.
    tell(&lake, 4, vec![quarantined("q7", 7, began)]).await;
    assert_eq!(held(&lake.snapshot(), clock.now()).await, [] as [u64; 0]);
}

/// Files become few, with the same answers; and a version knows what it knew, but for what the clock says.
#[tokio::test(flavor = "multi_thread")]
async fn gathering_changes_no_answer_and_a_version_knows_what_it_knew() {
    let clock = Clock::manual(at(1_000_000));
    let lake = over(Arc::new(InMemory::new()), clock.clone()).await.unwrap();
    let began = clock.now();
    let mut versions = Vec::new();
    for n in 0..20_u64 {
        let number = i64::try_from(n).unwrap();
        let mut told = vec![quarantined(&format!("q{n}"), n, began)];
        told.extend(threshold(2, began.plus_millis(number), n));
        // Told again by the next.
        told.push(quarantined(&format!("q{}", n / 2), n / 2, began));
        tell(&lake, number, told).await;
        versions.push(lake.snapshot().version().to_string());
    }
    let before = files(&lake).await;
    settle(&lake, &clock).await;
    let after = files(&lake).await;
    assert!(before == 20 && after < 8, "{before} files, {after} after");
    let all: Vec<u64> = (0..20).collect();
    assert_eq!(held(&lake.snapshot(), began).await, all);
    assert_eq!(seen(&lake.snapshot(), &access(&[2]), clock.now()).await[&user(2)], [19]);
    for (n, version) in (0..).zip(versions) {
        let snapshot = lake.snapshot_at(&version.parse().unwrap()).await.unwrap();
        assert_eq!(held(&snapshot, began).await, (0..=n).collect::<Vec<u64>>());
        assert_eq!(held(&snapshot, began.plus_millis(120 * HOUR)).await, [] as [u64; 0], "{version}");
    }
    assert_eq!(lake.verify(&VerifySettings::default()).await.unwrap().damages, []);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]
    /// Whatever the batches, their order and repeats: a lake knows of each User what its events say.
    #[test]
    fn a_lake_knows_what_all_events_say(
        picks in prop::collection::vec((0_u8..3, 0_u64..5, 0_i64..200, any::<bool>()), 1..30),
        cuts in prop::collection::vec(1_usize..6, 1..8),
    ) {
        let event_of = |(number, (n, counter, hours, settles)): (usize, &(u8, u64, i64, bool))| {
            let (id, when) = (format!("e{number}"), at(hours * HOUR));
            if *settles {
                fact(&id, Some(*n), when, AnomalyFact::Settled(request_id(*n, 1, *counter), Settlement::Released))
            } else {
                of_user(*n, quarantined(&id, *counter, when))
            }
        };
        let events: Vec<AnomalyEvent> = picks.iter().enumerate().map(event_of).collect();
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (lake, _) = memory().await;
            let mut rest: &[AnomalyEvent] = &events;
            for (n, cut) in (0..).zip(cuts.iter().cycle()) {
                let (batch, later) = rest.split_at(rest.len().min(*cut));
                tell(&lake, n, batch.to_vec()).await;
                rest = later;
                if rest.is_empty() {
                    tell(&lake, n + 1, batch.to_vec()).await;
                    break;
                }
            }
            let now = at(100 * HOUR);
            for n in 0..3 {
                let mut expected = AnomalyFragment::new(Some(user(n)));
                for event in &events {
                    expected.add(event.clone());
                }
                let (found, _) = lake.snapshot().quarantined(&access(&[n]), now).await.unwrap();
                let found: Vec<_> = found.into_iter().flat_map(|(_, all)| all).collect();
                assert_eq!(found, expected.known().reported(now));
            }
        });
        prop_assert!(events.iter().flat_map(rows_of).count() >= events.len());
    }
}
