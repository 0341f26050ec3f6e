use super::world::*;
use crate::limits::FILE_ROWS;
use crate::{CopiedTable, Copy, ExportError, Purpose};
use gridtrail_lake::{CompactionSettings, Lake, Writer};
use gridtrail_model::Event;
use gridtrail_runtime::Clock;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// A history of a lake, made by chance: late answers, requests that came after them, batches that disagree on when requests were received,
/// within a day and beyond, around a month's end; and what maintenance does meanwhile.
struct History {
    chance: ChaCha8Rng,
    steps: u64,
    counter: u64,
    /// Requests of which something was said.
    known: Vec<(u8, u8, u64, i64)>,
}

impl History {
    fn seeded(seed: u64) -> Self {
        Self { chance: ChaCha8Rng::seed_from_u64(seed), steps: 0, counter: 0, known: Vec::new() }
    }

    fn new_request(&mut self) -> (u8, u8, u64, i64) {
        self.counter += 1;
        let (u, d) = (self.chance.random_range(1..4), self.chance.random_range(1..9));
        let request = (u, d, self.counter, self.chance.random_range(-72..72) * HOUR);
        self.known.push(request);
        request
    }

    fn event(&mut self) -> Event {
        let old = (!self.known.is_empty()).then(|| self.known[self.chance.random_range(0..self.known.len())]);
        match (self.chance.random_range(0..10), old) {
            // Late, of a request that may or may not be on record.
            (0..3, Some((u, d, n, ms))) => answered(request_id(u, d, n), at(ms)),
            (3, Some((u, d, n, ms))) => bare_answer(request_id(u, d, n), at(ms + HOUR)),
            // Received at another time, by what this one says.
            (4, Some((u, d, n, ms))) => {
                let apart = self.chance.random_range(-60..60) * HOUR;
                answered(request_id(u, d, n), at(ms + apart))
            }
            // Its answer comes first.
            (5, _) => {
                let (u, d, n, ms) = self.new_request();
                bare_answer(request_id(u, d, n), at(ms))
            }
            (6, _) => {
                let (u, d, n, ms) = self.new_request();
                of_variant("6.20.1", received(request_id(u, d, n), at(ms)))
            }
            (7, Some((u, d, n, ms))) => received(request_id(u, d, n), at(ms)),
            _ => {
                let (u, d, n, ms) = self.new_request();
                received(request_id(u, d, n), at(ms))
            }
        }
    }

    async fn step(&mut self, lake: &Lake, writer: &mut Writer) -> &'static str {
        self.steps += 1;
        match self.chance.random_range(0..10) {
            0 => {
                compact(lake).await;
                "compacted"
            }
            1 => {
                lake.maintenance().await.unwrap().sweep().await.unwrap();
                "swept"
            }
            2 => {
                let settings = CompactionSettings::default();
                lake.maintenance().await.unwrap().unite(&settings).await.unwrap();
                "united"
            }
            _ => {
                let events: Vec<Event> = (0..self.chance.random_range(1..30)).map(|_| self.event()).collect();
                commit(writer, &self.steps.to_string(), events).await;
                "committed"
            }
        }
    }
}

/// After each of many steps, or after several, both tables have what scans give: no row twice, none missing, none as it was before.
#[tokio::test(flavor = "multi_thread")]
async fn a_copy_has_what_a_scan_gives_after_whatever_happened() {
    let number = |name: &str| std::env::var_os(name).map(|text| text.into_string().unwrap().parse().unwrap());
    let first: u64 = number("GRIDTRAIL_EXPORT_SEED").unwrap_or(0);
    let cases: u64 = number("GRIDTRAIL_EXPORT_CASES").unwrap_or(2);
    let mut compared = 0;
    for seed in first..first + cases {
        println!("GRIDTRAIL_EXPORT_SEED={seed}");
        let mut history = History::seeded(seed);
        let (lake, mut writer) = lake("lake", None, Clock::manual(at(1_000 * HOUR))).await;
        let place = somewhere();
        let mut copies = Vec::new();
        for table in CopiedTable::OF_TRAILS {
            copies.push(Copy::open(&lake, &place, table).await.unwrap());
        }
        let mut told = Vec::new();
        let (mut whole, mut parts) = (0, 0);
        for _ in 0..40 {
            told.push(history.step(&lake, &mut writer).await);
            if history.chance.random_bool(0.3) {
                continue;
            }
            for copy in &mut copies {
                let copied = bring_up(copy, &lake).await;
                whole += u32::from(copied.whole);
                parts += u32::from(copied.changed && !copied.whole);
                assert_equal(copy, &lake, &format!("seed {seed}, after {told:?}")).await;
                compared += 1;
                if history.chance.random_bool(0.2) {
                    copy.gather(&lake).await.unwrap();
                    assert_equal(copy, &lake, &format!("seed {seed}, gathered after {told:?}")).await;
                }
            }
        }
        assert!(whole == 2 && parts > 12, "{whole} times everything, {parts} times what changed");
    }
    println!("{cases} histories, {compared} versions of copies held against scans");
}

/// Nothing new is nothing to write; what only compaction did moves the version and no file.
#[tokio::test(flavor = "multi_thread")]
async fn what_did_not_change_is_not_written() {
    let (lake, mut writer) = lake("lake", None, Clock::manual(at(HOUR))).await;
    let mut copy = Copy::open(&lake, &somewhere(), CopiedTable::AuditTrails).await.unwrap();
    let events = (0..200).map(|n| received(request_id(1, 1, n), at(n.cast_signed() * 1_000)));
    commit(&mut writer, "a", events).await;
    let first = bring_up(&mut copy, &lake).await;
    assert_eq!(
        (first.rows, first.whole, first.files_written),
        (200, true, 200_u64.div_ceil(FILE_ROWS as u64))
    );
    assert!(!bring_up(&mut copy, &lake).await.changed);
    compact(&lake).await;
    let after = bring_up(&mut copy, &lake).await;
    assert_eq!(
        (after.changed, after.whole, after.rows, after.files_written, after.files_taken_away),
        (true, false, 0, 0, 0)
    );
    // One row is said once more, and another is new: one file is written for both, and one goes.
    commit(
        &mut writer,
        "b",
        [answered(request_id(1, 1, 7), at(7_000)), received(request_id(1, 2, 1), at(9_000))],
    )
    .await;
    let after = bring_up(&mut copy, &lake).await;
    assert_eq!((after.rows, after.files_taken_away, after.whole), (2, 1, false));
    assert!(after.rows_written <= FILE_ROWS as u64 + 2, "{after:?}");
    assert_equal(&copy, &lake, "two rows changed").await;
}

/// A month from which retention takes rows loses them in the copy, and no other month is written.
#[tokio::test(flavor = "multi_thread")]
async fn what_retention_lets_go_goes() {
    let clock = Clock::manual(at(HOUR));
    let (lake, mut writer) = lake("lake", None, clock.clone()).await;
    let mut copy = Copy::open(&lake, &somewhere(), CopiedTable::AuditTrails).await.unwrap();
    let months = [-300 * 24 * HOUR, -200 * 24 * HOUR, 0];
    for (name, ms) in ["a", "b", "c"].into_iter().zip(months) {
        commit(&mut writer, name, [received(request_id(1, 1, ms.unsigned_abs()), at(ms))]).await;
    }
    bring_up(&mut copy, &lake).await;
    assert_eq!(copy.rows().unwrap(), 3);
    lake.set_retention_months(8).await.unwrap();
    let retained =
        lake.maintenance().await.unwrap().retain(&CompactionSettings::default(), false).await.unwrap();
    assert_eq!(retained.months.len(), 1);
    let after = bring_up(&mut copy, &lake).await;
    assert_eq!((after.whole, after.files_written, after.files_taken_away), (false, 0, 1));
    assert_equal(&copy, &lake, "one month went").await;
    assert_eq!(copy.rows().unwrap(), 2);
}

/// A copy that was away for so long that the log does not reach back is made anew, and what is the same to the byte stays where it is.
#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_was_away_for_long_is_made_anew() {
    let clock = Clock::manual(at(HOUR));
    let (lake, mut writer) = lake("lake", None, clock.clone()).await;
    let mut copy = Copy::open(&lake, &somewhere(), CopiedTable::AuditTrails).await.unwrap();
    commit(&mut writer, "old", (0..9).map(|n| received(request_id(1, 1, n), at(-40 * 24 * HOUR)))).await;
    bring_up(&mut copy, &lake).await;
    for n in 0..120u64 {
        commit(&mut writer, &n.to_string(), [received(request_id(1, 2, n), at(n.cast_signed()))]).await;
    }
    compact(&lake).await;
    clock.advance(60 * HOUR);
    let mut maintenance = lake.maintenance().await.unwrap();
    maintenance.copy_evidence().await.unwrap();
    // A checkpoint older than the log's window lets go what lies before it.
    maintenance.vacuum(false).await.unwrap();
    commit(&mut writer, "new", [received(request_id(1, 3, 1), at(0))]).await;
    let after = bring_up(&mut copy, &lake).await;
    assert!(after.whole, "{after:?}");
    assert_equal(&copy, &lake, "made anew").await;
    // The file of January is as it was.
    assert_eq!(after.files_taken_away, 0, "{after:?}");
}

/// A copy is of one lake and for one purpose, and lies outside of the lake.
#[tokio::test(flavor = "multi_thread")]
async fn a_copy_is_of_one_lake_and_for_one_purpose() {
    let (lake, mut writer) = lake("lake", None, Clock::manual(at(HOUR))).await;
    commit(&mut writer, "a", [received(request_id(1, 1, 1), at(0))]).await;
    let place = somewhere();
    let mut copy = Copy::open(&lake, &place, CopiedTable::AuditTrails).await.unwrap();
    bring_up(&mut copy, &lake).await;
    let (who, purpose) = operator();
    let (other, mut writer) = super::world::lake("other", None, Clock::manual(at(HOUR))).await;
    commit(&mut writer, "a", [received(request_id(1, 1, 1), at(0))]).await;
    other.refresh().await.unwrap();
    let refused = copy.bring_up_to(&other, (&who, &purpose), &other.snapshot()).await.unwrap_err();
    assert!(refused.to_string().contains("of memory:///lake for operators"), "{refused}");
    let for_party = Purpose { party: Some("p".parse().unwrap()), by: "tester".to_owned() };
    let refused = copy.bring_up_to(&lake, (&who, &for_party), &lake.snapshot()).await.unwrap_err();
    assert!(matches!(refused, ExportError::Another { .. }), "{refused}");
    for within in ["memory:///lake/copy", "memory:///lake", "memory:///"] {
        let place = crate::Location::parse(within, &Default::default()).unwrap();
        let refused = Copy::open(&lake, &place, CopiedTable::AuditTrails).await.unwrap_err();
        assert!(matches!(refused, ExportError::Within), "{within}: {refused}");
    }
}
