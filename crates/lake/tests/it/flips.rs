//! One bit that flips anywhere in any file of a lake, its logs included: no search answers wrongly, and no compaction makes a
//! whole file of it.

use crate::it::faults::setting;
use crate::it::formats::{DEVICES, fill};
use crate::it::world::*;
use futures::{StreamExt, TryStreamExt, stream};
use gridtrail_access::Access;
use gridtrail_lake::{
    CompactionSettings, Found, KeyQuery, Lake, LakeError, LakeErrorKind, LakeSettings, VerifySettings, View,
};
use gridtrail_model::{Fragment, TrailKey};
use gridtrail_runtime::Clock;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt};
use std::collections::HashMap;
use std::sync::Arc;

/// Searches of each look at a lake.
const SEARCHES: u64 = 100;
/// Lakes that are looked at at once.
const AT_ONCE: usize = 2;

async fn over(store: Arc<dyn ObjectStore>, clock: &Clock) -> Result<Lake, LakeError> {
    let settings =
        LakeSettings { store: Some(store), create: false, ..LakeSettings::at("memory:///flipped") };
    Lake::open(settings, clock.clone()).await
}

/// Numbers that are the same for the same seed.
struct Chance(u64);

impl Chance {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }
}

/// Searches of every Device: all of it, a period, a variant, a page, what all Users may see, one row.
fn queries() -> Vec<KeyQuery> {
    (0..SEARCHES)
        .map(|n| {
            let device = device(u8::try_from(n % u64::from(DEVICES)).unwrap());
            let all = KeyQuery::all(device, View::Audit, 1_000);
            match n / u64::from(DEVICES) {
                0 | 1 => all,
                2 => KeyQuery { from: Some(at(2_000)), to: Some(at(60_000)), ..all },
                3 => KeyQuery { variants: vec!["4.8.1".parse().unwrap()], ..all },
                4 => KeyQuery { limit: 3, ..all },
                5 => KeyQuery { from: Some(at(86_400_000)), ..all },
                6 => KeyQuery { view: View::MeterReads, ..all },
                _ => KeyQuery { limit: 7, to: Some(at(3_000_000_000)), ..all },
            }
        })
        .collect()
}

type Answers = Vec<Result<Vec<Found>, LakeErrorKind>>;

async fn search(lake: &Lake, who: &Access) -> Answers {
    let mut answers = Vec::new();
    for query in queries() {
        answers.push(lake.snapshot().lookup(who, &query).await.map_err(|error| error.kind()));
    }
    answers
}

/// Every answer is right, or says that something is damaged. Whether all are right.
///
/// A log whose entry is not ours any more, for a bit of its form, is answered from as far as before that entry, and the lake says so. Then
/// there may be less, and nothing that was never there.
fn check_answers(lake: &Lake, found: &Answers, expected: &Answers, what: &str) -> bool {
    assert_eq!(found.len(), expected.len());
    if lake.stopped().is_some() {
        let rows = expected.iter().flatten().flatten();
        let known: HashMap<TrailKey, &Fragment> = rows.map(|row| (row.fragment.key, &row.fragment)).collect();
        for row in found.iter().flatten().flatten() {
            let whole =
                known.get(&row.fragment.key).unwrap_or_else(|| panic!("{what}: a row of nothing: {row:?}"));
            let mut history = row.fragment.history().iter();
            assert!(history.all(|entry| whole.history().contains(entry)), "{what}: {row:?} of {whole:?}");
        }
        return false;
    }
    for (number, (found, expected)) in found.iter().zip(expected).enumerate() {
        match found {
            Ok(_) => assert!(found == expected, "{what}: search {number} answers wrongly"),
            Err(kind) => assert_eq!(*kind, LakeErrorKind::Corrupt, "{what}: search {number}"),
        }
    }
    found.iter().all(Result::is_ok)
}

/// What became of one flip.
#[derive(Default)]
struct Outcomes {
    /// The lake could not be opened.
    refused: u64,
    /// Some searches were refused, or answered as of before an entry that was not ours.
    searches: u64,
    /// Verification found it; otherwise it was where nothing is read.
    verified: u64,
}

async fn look(store: Arc<InMemory>, who: &Access, expected: &Answers, what: &str) -> Outcomes {
    let clock = Clock::manual(at(50_000_000));
    let mut told = Outcomes::default();
    let lake = match over(store.clone(), &clock).await {
        Ok(lake) => lake,
        Err(error) => {
            assert_eq!(error.kind(), LakeErrorKind::Corrupt, "{what}: {error}");
            told.refused += 1;
            return told;
        }
    };
    let before = check_answers(&lake, &search(&lake, who).await, expected, what);
    if let Ok(mut maintenance) = lake.maintenance().await {
        // Whatever it says: what counts is what it leaves behind.
        let _ = maintenance.sweep().await;
        let full = CompactionSettings { full: true, ..CompactionSettings::default() };
        let _ = maintenance.compact(&full).await;
    }
    let found = lake.verify(&VerifySettings { sample: 20, ..VerifySettings::default() }).await.unwrap();
    // Read anew: nothing of what was in memory before.
    drop(lake);
    let lake = over(store, &clock).await.unwrap();
    let after = check_answers(&lake, &search(&lake, who).await, expected, what);
    if found.is_clean() {
        assert!(before && after, "{what}: it is clean now, and searches were refused");
    }
    told.searches += u64::from(!before || !after);
    told.verified += u64::from(!found.is_clean());
    told
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flipped_bit_becomes_no_wrong_answer_and_is_not_sealed() {
    let (flips, seed) = (setting("GRIDTRAIL_FLIPS", 50), setting("GRIDTRAIL_FLIP_SEED", 11));
    println!("GRIDTRAIL_FLIP_SEED={seed} GRIDTRAIL_FLIPS={flips}");
    let (clock, store) = (Clock::manual(at(1_000_000)), Arc::new(InMemory::new()));
    let settings = LakeSettings { store: Some(store.clone()), ..LakeSettings::at("memory:///flipped") };
    fill(&Lake::open(settings, clock.clone()).await.unwrap(), &clock).await;
    let who = access(&[1, 2]);
    let expected = search(&over(store.clone(), &clock).await.unwrap(), &who).await;
    assert!(expected.iter().filter(|answer| answer.as_ref().is_ok_and(|rows| !rows.is_empty())).count() > 80);
    let mut files: Vec<ObjectMeta> = store.list(None).try_collect().await.unwrap();
    files.sort_by(|a, b| a.location.cmp(&b.location));
    // Runs most of all: of two flips one is in a run.
    let runs: Vec<_> =
        files.iter().filter(|file| file.location.as_ref().contains("/month=")).cloned().collect();
    let mut chance = Chance(seed);
    let places: Vec<(Path, u64, u64)> = (0..flips)
        .map(|n| {
            let among = if n % 2 == 0 { &runs } else { &files };
            let file = &among[usize::try_from(chance.below(among.len() as u64)).unwrap()];
            (file.location.clone(), chance.below(file.size), chance.below(8))
        })
        .collect();
    // Whatever chance finds: one that makes the name of an action another one, so that the entry passes for another engine's.
    let known = [(Path::from("flipped/trails/_delta_log/00000000000000000005.json"), 6, 5)];
    let (who, expected) = (&who, &expected);
    let told = stream::iter(places.into_iter().chain(known))
        .map(|(path, place, bit)| {
            let store = Arc::new(store.fork());
            async move {
                let mut bytes = store.get(&path).await.unwrap().bytes().await.unwrap().to_vec();
                bytes[usize::try_from(place).unwrap()] ^= 1 << bit;
                store.put(&path, bytes.into()).await.unwrap();
                Box::pin(look(store, who, expected, &format!("bit {bit} of byte {place} of {path}"))).await
            }
        })
        .buffer_unordered(AT_ONCE)
        .fold(Outcomes::default(), |sum, one| async move {
            Outcomes {
                refused: sum.refused + one.refused,
                searches: sum.searches + one.searches,
                verified: sum.verified + one.verified,
            }
        })
        .await;
    println!(
        "{flips} bits flipped, {SEARCHES} searches, a compaction and a verification each: no wrong answer, none sealed; \
         {} lakes were not opened, searches were refused in {}, verification found {}",
        told.refused, told.searches, told.verified
    );
    assert!(told.searches > 0 && told.verified > flips / 4, "the flips hit something");
}
