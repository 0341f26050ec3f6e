//! Lakes in memory, callers, and reports as texts.

use gridtrail_access::{Access, Bearer, DevKey, JobTypeRole, OrgId, Sharing};
use gridtrail_anomaly::AnomalyEvent;
use gridtrail_lake::{Batch, Lake, LakeSettings, SourceEvidence, Writer};
use gridtrail_model::*;
use gridtrail_reports::{Report, ReportError, ReportRows};
use gridtrail_runtime::Clock;
use gridtrail_sql::SqlLimits;
use gridtrail_synth::{Settings, World};
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};

pub(crate) fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// When reports are made: after all that the worlds of these tests hold.
pub(crate) fn now() -> Timestamp {
    at("2026-04-02T12:00:00Z")
}

/// The reports as their folders have them now, by name; that a build embeds the same is a test of the manifests.
pub(crate) fn reports() -> Vec<Report> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../schemas/reports");
    let read = |entry: std::io::Result<std::fs::DirEntry>| {
        let path = entry.unwrap().path();
        let text = |file: &str| std::fs::read_to_string(path.join(file)).unwrap();
        let name = path.file_name().unwrap().to_str().unwrap();
        Report::read(name, &text("report.toml"), &text("report.sql"))
            .unwrap_or_else(|error| panic!("{error}"))
    };
    let mut reports: Vec<Report> = std::fs::read_dir(folder).unwrap().map(read).collect();
    reports.sort_by(|one, other| one.name.cmp(&other.name));
    reports
}

pub(crate) fn report(name: &str) -> Report {
    reports()
        .into_iter()
        .find(|report| report.name == name)
        .unwrap_or_else(|| panic!("there is no report {name}"))
}

/// Five days with a clock change in them, and the end of a month, with late, doubled and bare answers.
pub(crate) fn region(seed: u64) -> World {
    let settings = Settings {
        premises: 60,
        users: 6,
        days: 5,
        start: at("2026-03-28T00:00:00Z"),
        bare_responses_ppm: 200_000,
        other_receipts_ppm: 100_000,
        ..Settings::default().with_disorder()
    };
    World::seeded(seed, settings).unwrap()
}

/// A lake of some events, in batches of so many; what waited for its request is swept to it.
pub(crate) async fn lake_of(events: &[Event], batch: usize) -> Lake {
    lake_with(events, batch, Vec::new()).await
}

/// The same, with what anomaly detection tells.
pub(crate) async fn lake_with(events: &[Event], batch: usize, anomaly: Vec<AnomalyEvent>) -> Lake {
    lake_at(now(), (events, batch), anomaly).await
}

/// The same, by a clock of its own.
pub(crate) async fn lake_at(
    now: Timestamp,
    (events, batch): (&[Event], usize),
    anomaly: Vec<AnomalyEvent>,
) -> Lake {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let address = format!("memory:///reports-{}", NEXT.fetch_add(1, Ordering::Relaxed));
    let lake = Lake::open(LakeSettings::at(address), Clock::manual(now)).await.unwrap();
    let mut writer = lake.writer().await.unwrap();
    for (number, events) in events.chunks(batch).enumerate() {
        commit(&mut writer, (&number.to_string(), now), events.iter().cloned()).await;
    }
    let source = SourceEvidence {
        source: "file:anomaly".to_owned(),
        first: true,
        to: 1,
        finished: true,
        ..SourceEvidence::default()
    };
    writer.commit(Batch { anomaly, sources: vec![source], ..Batch::default() }).await.unwrap();
    lake.maintenance().await.unwrap().sweep().await.unwrap();
    lake
}

async fn commit(
    writer: &mut Writer,
    (name, now): (&str, Timestamp),
    events: impl IntoIterator<Item = Event>,
) {
    let mut fold = Fold::default();
    for event in events {
        fold.add(event).unwrap();
    }
    let mut parked = Vec::new();
    let unplaced = fold.take_unplaced();
    let on_record = writer.resolve(&unplaced).await.unwrap();
    for fragment in unplaced {
        match fragment.join(on_record.of(&fragment.key)) {
            Some(parts) => parts.into_iter().for_each(|part| fold.merge(part)),
            None => parked.push(fragment),
        }
    }
    let source = SourceEvidence {
        source: format!("file:{name}"),
        name: name.to_owned(),
        first: true,
        to: 1,
        recorded_max_ms: Some(now.plus_millis(-3_600_000).millis()),
        finished: true,
        ..SourceEvidence::default()
    };
    let batch = Batch { fragments: fold.into_fragments(), parked, sources: vec![source], ..Batch::default() };
    writer.commit(batch).await.unwrap();
}

pub(crate) fn access_of(users: impl IntoIterator<Item = UserId>, role: u8) -> Access {
    let claims = Bearer {
        subject: "tester".to_owned(),
        party: "region".parse().unwrap(),
        org_id: OrgId::All,
        user_ids: users.into_iter().collect(),
        roles: JobTypeRole::new(role).into_iter().collect(),
        valid_from: now(),
        expires_at: now().plus_millis(3_600_000),
    };
    DevKey::generate().unwrap().access(&claims).unwrap()
}

pub(crate) async fn rows_of(
    report: &Report,
    (lake, who): (&Lake, &Access),
    given: &[(&str, &str)],
) -> Result<ReportRows, ReportError> {
    rows_of_users(report, (lake, who), given, &BTreeSet::new()).await
}

pub(crate) async fn rows_of_users(
    report: &Report,
    (lake, who): (&Lake, &Access),
    given: &[(&str, &str)],
    users: &BTreeSet<UserId>,
) -> Result<ReportRows, ReportError> {
    rows_at(report, (lake, who, now()), given, users).await
}

/// The same, at another time than that of these tests.
async fn rows_at(
    report: &Report,
    (lake, who, now): (&Lake, &Access, Timestamp),
    given: &[(&str, &str)],
    users: &BTreeSet<UserId>,
) -> Result<ReportRows, ReportError> {
    let arguments = report.arguments(given.iter().copied(), now)?;
    let order = report.order(arguments, (who, users), now)?;
    let sharing = Sharing::of_one(who.party(), &who.user_ids().to_set());
    let snapshot = lake.snapshot();
    let engine = (Clock::manual(now), SqlLimits::default());
    let run = order.run((&snapshot, &sharing), engine, |session| session);
    Box::pin(run).await
}

/// A report's rows as texts, in their order.
pub(crate) async fn texts(
    report: &Report,
    (lake, who): (&Lake, &Access),
    given: &[(&str, &str)],
) -> Vec<Vec<String>> {
    texts_at(report, (lake, who, now()), given).await
}

pub(crate) async fn texts_at(
    report: &Report,
    of: (&Lake, &Access, Timestamp),
    given: &[(&str, &str)],
) -> Vec<Vec<String>> {
    let mut rows = rows_at(report, of, given, &BTreeSet::new()).await.unwrap();
    let mut texts = Vec::new();
    while let Some(batch) = rows.next().await.unwrap() {
        texts.extend(report.texts_of(&batch));
    }
    texts
}
