//! What would have been flagged in a generated region, held against counting over its truth.

use super::*;
use crate::args::{Credential, LakeCallerArgs, LakeReaderArgs};
use gridtrail_access::{Bearer, DevKey, JobTypeRole, OrgId};
use gridtrail_ingest::{Maker, ingest_made, ingest_made_anomaly};
use gridtrail_lake::LakeSettings;
use gridtrail_reports::ReportError;
use gridtrail_runtime::Clock;
use gridtrail_synth::{Settings, World};
use std::path::Path;
use tokio::sync::mpsc;

/// What tells a threshold from all others: whose, its kind, its variant, its period and its number.
type Key = (String, &'static str, Option<String>, u32, u64);

fn args(user_ids: Vec<UserId>, from: Timestamp, to: Timestamp) -> AnomalyCheckArgs {
    AnomalyCheckArgs {
        reader: LakeReaderArgs {
            caller: LakeCallerArgs {
                lake: "memory:///checked".to_owned(),
                credential: Credential { token: None, token_file: None },
                key: Path::new("none").to_owned(),
                job_type_roles: None,
                access_lapse: "24h".parse().unwrap(),
            },
            read_only: false,
            access_log_lake: None,
        },
        user_ids,
        from: Some(from),
        to: Some(to),
        parts: std::num::NonZeroU32::MIN,
    }
}

/// As the command checks, without a record.
async fn check(args: &AnomalyCheckArgs, (lake, who): (&Lake, &Access)) -> Result<Checked, Failure> {
    super::check(args, (lake, who), span(args, lake)?).await
}

async fn filled(world: &World) -> Lake {
    let clock = Clock::manual(world.settings().end().plus_millis(60 * DAY_MS));
    let lake = Lake::open(LakeSettings::at("memory:///checked"), clock).await.unwrap();
    let maker = Maker { id: "region".to_owned(), name: "a region".to_owned() };
    ingest_made_anomaly(&lake, &maker, world.anomaly_events()).await.unwrap();
    let (pieces, made) = mpsc::channel(2);
    let making = world.clone();
    tokio::task::spawn_blocking(move || pieces.blocking_send(making.events().collect()).unwrap());
    ingest_made(&lake, &maker, made).await.unwrap();
    lake
}

fn who(world: &World, users: impl Fn(UserId) -> bool) -> Access {
    let now = world.settings().start;
    let claims = Bearer {
        subject: "operator".to_owned(),
        party: "region".parse().unwrap(),
        org_id: OrgId::All,
        user_ids: world.users().iter().map(|user| user.id).filter(|user| users(*user)).collect(),
        roles: JobTypeRole::new(1).into_iter().collect(),
        valid_from: now,
        expires_at: now.plus_millis(1_000),
    };
    DevKey::generate().unwrap().access(&claims).unwrap()
}

/// By threshold, how many communications of the truth were beyond it.
fn counted(world: &World, from: Timestamp, to: Timestamp) -> BTreeMap<Key, u64> {
    let mut sent: BTreeMap<UserId, Vec<(Timestamp, Option<ServiceReferenceVariant>)>> = BTreeMap::new();
    for trail in world.truth().filter(|trail| matches!(trail.key.subject, Subject::Leg(_))) {
        sent.entry(trail.key.user).or_default().push((trail.received_at, trail.variant));
    }
    sent.values_mut().for_each(|sent| sent.sort_by_key(|(at, _)| *at));
    let mut beyond = BTreeMap::new();
    for expected in world.anomaly().flat_map(|story| story.thresholds) {
        let (threshold, scope) = (expected.threshold, expected.threshold.scope);
        let of_user = sent.get(&expected.user).map_or(&[][..], Vec::as_slice);
        let times: Vec<i64> = of_user
            .iter()
            .filter(|(_, variant)| scope.variant.is_none() || *variant == scope.variant)
            .map(|(at, _)| at.millis())
            .collect();
        for (number, at) in times.iter().enumerate() {
            let when = Timestamp::from_millis(*at).unwrap();
            let in_force = when >= expected.from && expected.until.is_none_or(|until| when < until);
            let within = times[..=number].iter().filter(|other| **other > at - scope.period.millis());
            if in_force && when >= from && when < to && within.count() as u64 > threshold.communications {
                let variant = scope.variant.map(|variant| variant.to_string());
                let key = (
                    expected.user.to_string(),
                    threshold.kind.as_str(),
                    variant,
                    scope.period.seconds(),
                    threshold.communications,
                );
                *beyond.entry(key).or_default() += 1;
            }
        }
    }
    beyond
}

fn found(checked: &Checked) -> BTreeMap<Key, u64> {
    let key = |line: &Line| {
        let variant = line.service_reference_variant.clone();
        (line.user_id.clone(), line.kind, variant, line.period_seconds, line.threshold)
    };
    checked.flagged.iter().map(|line| (key(line), line.communications_beyond)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_flagged_is_what_counting_over_the_truth_finds() {
    let world = World::seeded(9, Settings::for_events(30_000, 2)).unwrap();
    let lake = filled(&world).await;
    let (start, end) = (world.settings().start, world.settings().end());
    let everybody = who(&world, |_| true);
    for (from, to) in [(start, end), (start.plus_millis(DAY_MS), end), (start, start.plus_millis(DAY_MS / 2))]
    {
        let checked = check(&args(Vec::new(), from, to), (&lake, &everybody)).await.unwrap();
        let expected = counted(&world, from, to);
        assert!(from > start || to < end || expected.len() > 5, "{} thresholds", expected.len());
        assert_eq!(found(&checked), expected);
    }
    // A User sees what is flagged of its own, and asks for no other's.
    let one = world.users()[0].id;
    let checked =
        check(&args(Vec::new(), start, end), (&lake, &who(&world, |user| user == one))).await.unwrap();
    let of_one = |key: &Key| key.0 == one.to_string();
    let expected: BTreeMap<Key, u64> =
        counted(&world, start, end).into_iter().filter(|(key, _)| of_one(key)).collect();
    assert!(!expected.is_empty());
    assert_eq!(found(&checked), expected);
    let checked = check(&args(vec![one], start, end), (&lake, &everybody)).await.unwrap();
    assert_eq!(found(&checked), expected);
    // That nothing was exceeded would be said of those whom the caller cannot see.
    let other = world.users()[1].id;
    for ids in [vec![other], vec![one, other]] {
        let refused = check(&args(ids, start, end), (&lake, &who(&world, |user| user == one))).await;
        let Err(Failure::Report(ReportError::NotYours(id))) = refused else { panic!("it was checked") };
        assert_eq!(id, other);
    }
    let wrong = check(&args(Vec::new(), end, start), (&lake, &everybody)).await;
    assert!(matches!(wrong, Err(Failure::Argument { .. })));
    for format in [ListFormat::Table, ListFormat::Csv, ListFormat::Json] {
        let mut call = Call::begin(None, "test", (&lake, &everybody)).unwrap();
        run(&args(Vec::new(), start, end), (&lake, &everybody), (&mut call, format)).await.unwrap();
        assert_eq!((call.entry.from, call.entry.to), (Some(start), Some(end)));
        assert!(call.entry.rows > Some(5), "{:?}", call.entry.rows);
    }
}
