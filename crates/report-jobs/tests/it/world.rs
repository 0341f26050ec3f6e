//! A lake in memory, a schedule, and workers.

use crate::it::stores::{Hook, Hooked};
use gridtrail_access::{AccessEvent, Admission, Assignment, Doors, Notice, NoticeKind, RoleMatrix, Sharing};
use gridtrail_lake::{Lake, LakeSettings};
use gridtrail_model::{Timestamp, UserId, UserRole};
use gridtrail_report_jobs::{Journal, Known, MakingLimits, Outcome, OutcomeKind, Schedule, Step, Worker};
use gridtrail_reports::Catalogue;
use gridtrail_runtime::Clock;
use object_store::local::LocalFileSystem;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt as _};
use sha2::{Digest as _, Sha256};
use std::collections::{BTreeMap, HashMap};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

pub(crate) const USER: &str = "90-B3-D5-1F-30-02-00-01";
pub(crate) const OTHER_USER: &str = "90-B3-D5-1F-30-02-00-02";
/// Of another Party, which granted its rows to the first.
pub(crate) const GRANTED: &str = "90-B3-D5-1F-30-02-00-03";

pub(crate) fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

pub(crate) fn user(text: &str) -> UserId {
    text.parse().unwrap()
}

/// Where the files of a world go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    Disk,
    Objects,
}

pub(crate) struct World {
    pub(crate) clock: Clock,
    pub(crate) lake: Lake,
    pub(crate) admission: Admission,
    pub(crate) schedule: Schedule,
    /// Where the journal and the files lie, below their folders.
    pub(crate) store: Arc<dyn ObjectStore>,
    journal: Path,
    pub(crate) files: Path,
    pub(crate) folder: tempfile::TempDir,
}

/// Two Users of a Party, the first of which sees another Party's rows by a grant; `is_granted`: still.
pub(crate) fn sharing(is_granted: bool) -> Sharing {
    let mut sharing = Sharing::default();
    let assigned = [(USER, "Avon"), (OTHER_USER, "Avon"), (GRANTED, "Brent")];
    for (id, party) in assigned {
        let to = Some(Assignment { party: party.parse().unwrap(), role: UserRole::IS, descriptor: None });
        sharing.take(AccessEvent::Assigned { user_id: user(id), to, from: Timestamp::MIN });
    }
    let granted = [("Avon", USER, "Brent", GRANTED), ("Brent", GRANTED, "Avon", USER)];
    for (number, (by, own, with, other)) in
        granted.into_iter().enumerate().take(if is_granted { 2 } else { 1 })
    {
        let id: gridtrail_access::NoticeId = format!("n{number}").parse().unwrap();
        let notice = Notice {
            kind: NoticeKind::Grant,
            by: by.parse().unwrap(),
            with: with.parse().unwrap(),
            own: [user(own)].into(),
            other: [user(other)].into(),
            at: at("2026-01-01T00:00:00Z"),
            sro: None,
        };
        sharing.take(AccessEvent::Notified { id: id.clone(), notice });
        sharing.take(AccessEvent::Confirmed { id, at: at("2026-01-01T00:00:00Z") });
    }
    sharing
}

/// A day's report for both Users, in two formats; `more` goes into the job's table.
fn schedule_text(to: &str, more: &str) -> String {
    format!(
        r#"
[[jobs]]
name = "daily"
report = "monthly-transactions"
party = "Avon"
user_ids = ["{USER}", "{OTHER_USER}"]
roles = ["role-01"]
cron = "0 6 * * *"
from = "2026-03-28"
formats = ["csv", "json"]
to = "{to}"
{more}
"#
    )
}

impl World {
    /// Nothing is waited for, unless `more` says so.
    pub(crate) async fn new(place: Place, more: &str) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let clock = Clock::manual(at("2026-03-30T12:00:00Z"));
        let address = format!("memory:///report-jobs-{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let lake = Lake::open(LakeSettings::at(address), clock.clone()).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap().display().to_string();
        let (reports, roles) = (Catalogue::built_in().unwrap(), RoleMatrix::built_in().unwrap());
        let (store, to): (Arc<dyn ObjectStore>, String) = match place {
            Place::Disk => (Arc::new(LocalFileSystem::new()), format!("{root}/out")),
            Place::Objects => (Arc::new(InMemory::new()), format!("memory://{root}/out")),
        };
        let more =
            if more.contains("wait_max") { more.to_owned() } else { format!("wait_max = \"0s\"\n{more}") };
        let known = Known { reports: &reports, roles: &roles, store_options: &HashMap::new() };
        let schedule = Schedule::parse(&schedule_text(&to, &more), known).unwrap();
        let doors = Doors { gatekeeper: None, sessions: None };
        let admission = Admission::new(doors, Arc::new(sharing(true)));
        let path = |name: &str| Path::from_absolute_path(format!("{root}/{name}")).unwrap();
        let (journal, files) = (path("journal"), path("out"));
        let mut world = Self { clock, lake, admission, schedule, store, journal, files, folder };
        let store = Arc::clone(&world.store);
        world.by(move |_| store);
        world
    }

    /// Has files go by way of another store.
    pub(crate) fn by(&mut self, wrap: impl FnOnce(Arc<dyn ObjectStore>) -> Arc<dyn ObjectStore>) {
        let job = Arc::get_mut(&mut self.schedule.jobs[0]).expect("no worker has it");
        job.destination = job.destination.by(wrap);
    }

    /// Has a test its say before each operation on files and on the journal of the workers that are made from now on.
    pub(crate) fn hooked(&mut self, hook: &Hook) {
        let store = Hooked::store(Arc::clone(&self.store), hook);
        self.by(|_| store);
    }

    pub(crate) fn journal(&self) -> Journal {
        Journal::new(Arc::clone(&self.store), self.journal.clone())
    }

    pub(crate) fn worker(&self) -> Worker {
        self.worker_by(Arc::clone(&self.store))
    }

    /// A worker whose journal is reached by way of another store.
    pub(crate) fn worker_by(&self, store: Arc<dyn ObjectStore>) -> Worker {
        let limits = MakingLimits { memory_bytes: 64 << 20, parts: NonZeroU32::MIN, log: None };
        let journal = Journal::new(store, self.journal.clone());
        Worker::new(&self.schedule, (self.lake.clone(), self.admission.clone()), journal, limits)
    }

    /// Every file that readers see, by its name.
    pub(crate) async fn visible(&self) -> BTreeMap<String, Vec<u8>> {
        use futures::TryStreamExt as _;
        let listed: Vec<_> = self.store.list(Some(&self.files)).try_collect().await.unwrap();
        let mut files = BTreeMap::new();
        for object in listed {
            let parts: Vec<_> = object.location.prefix_match(&self.files).unwrap().collect();
            let name = parts.iter().map(|part| part.as_ref().to_owned()).collect::<Vec<_>>().join("/");
            if !name.starts_with(".unfinished") {
                let bytes = self.store.get(&object.location).await.unwrap().bytes().await.unwrap();
                files.insert(name, bytes.to_vec());
            }
        }
        files
    }

    /// Every file that readers see is whole: what belongs to it is there before it, and has its sums. Gives the files of rows.
    pub(crate) async fn whole(&self) -> BTreeMap<String, Vec<u8>> {
        let mut visible = self.visible().await;
        let rows: Vec<String> = visible
            .keys()
            .filter(|name| !name.ends_with(".about.json") && !name.ends_with(".sha256"))
            .cloned()
            .collect();
        for name in &rows {
            let sums = String::from_utf8(visible[&format!("{name}.sha256")].clone()).unwrap();
            assert_eq!(sums.lines().count(), 2);
            for line in sums.lines() {
                let (sum, of) = line.split_once("  ").unwrap();
                let path = format!("{}/{of}", name.rsplit_once('/').unwrap().0);
                assert_eq!(hex::encode(Sha256::digest(&visible[&path])), sum, "{path}");
            }
        }
        visible.retain(|name, _| rows.contains(name));
        visible
    }

    /// Whether nothing lies aside any more.
    pub(crate) async fn has_nothing_aside(&self) -> bool {
        use futures::TryStreamExt as _;
        let aside = self.files.clone().join(".unfinished");
        self.store.list(Some(&aside)).try_collect::<Vec<_>>().await.unwrap().is_empty()
            && !self.folder.path().join("out/.unfinished").exists()
    }
}

/// Steps of a worker until there is nothing to be done, with what failed on the way.
pub(crate) async fn until_idle(worker: &mut Worker) -> (Vec<Outcome>, Vec<String>) {
    let (mut ended, mut failed) = (Vec::new(), Vec::new());
    loop {
        match worker.step().await {
            Step::Ended(outcome) => ended.push(outcome),
            Step::Failed { error, .. } => failed.push(gridtrail_runtime::with_causes(&error)),
            Step::Idle { .. } => return (ended, failed),
        }
        assert!(failed.len() < 1_000, "it fails for ever: {:?}", failed.last());
        if ended.is_empty() && failed.len() > 2 && failed.iter().all(|one| Some(one) == failed.first()) {
            return (ended, failed);
        }
    }
}

pub(crate) fn published(outcomes: &[Outcome]) -> usize {
    outcomes.iter().filter(|outcome| matches!(outcome.what, OutcomeKind::Published { .. })).count()
}
