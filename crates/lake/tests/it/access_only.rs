//! I4: a row leaves only through an `Access`.

use crate::it::compaction::{HOUR, over};
use crate::it::world::*;
use gridtrail_lake::{AsOf, Batch, KeyQuery, RowPosition, View};
use gridtrail_model::*;
use gridtrail_runtime::Clock;
use object_store::memory::InMemory;
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::sync::Arc;

async fn two_users() -> gridtrail_lake::Lake {
    let (lake, mut writer) = memory().await;
    let mut top_up = received(request_id(2, 1, 2), at(1));
    top_up.correlation.variant = Some("2.2".parse().unwrap());
    let mut unknown = received(request_id(2, 1, 3), at(2));
    unknown.correlation.variant = None;
    // Its two fragments disagree on what it is: 4.8.1 here, 6.11 in a later batch.
    let disputed = received(request_id(2, 1, 4), at(3));
    let mut other = disputed.clone();
    other.correlation.variant = Some("6.11".parse().unwrap());
    commit(&mut writer, "a", [received(request_id(1, 1, 1), at(0)), top_up, unknown, disputed]).await;
    commit(&mut writer, "b", [other]).await;
    lake
}

fn counters(found: &[gridtrail_lake::Found]) -> Vec<u64> {
    found.iter().map(|f| f.fragment.key.request_id().unwrap().counter).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_audit_look_up_shows_the_callers_rows_and_no_other() {
    let lake = two_users().await;
    assert_eq!(counters(&find(&lake, &[1], &query(1)).await), [1]);
    assert_eq!(counters(&find(&lake, &[2], &query(1)).await), [4, 3, 2]);
    assert_eq!(counters(&find(&lake, &[3], &query(1)).await), [0u64; 0]);
    assert_eq!(counters(&find(&lake, &[1, 2], &query(1)).await), [4, 3, 2, 1]);
}

/// Meter reads of everybody; a row of another variant, of no variant, or of a disputed one stays with its User.
#[tokio::test(flavor = "multi_thread")]
async fn a_meter_read_look_up_shows_the_four_variants_and_no_other() {
    let lake = two_users().await;
    let mut query = query(1);
    query.view = View::MeterReads;
    assert_eq!(counters(&find(&lake, &[3], &query).await), [1]);
    // Naming the row changes nothing.
    query.key = Some(TrailKey {
        user: user(2),
        subject: Subject::Leg(Leg {
            request_id: request_id(2, 1, 2),
            command_variant: CommandVariant::new(1).unwrap(),
        }),
    });
    assert_eq!(counters(&find(&lake, &[3], &query).await), [0u64; 0]);
    // Nor does asking for its variant.
    (query.key, query.variants) = (None, vec!["2.2".parse().unwrap()]);
    assert_eq!(counters(&find(&lake, &[3], &query).await), [0u64; 0]);
}

/// A fragment that names no variant still belongs to its row when another fragment names it.
#[tokio::test(flavor = "multi_thread")]
async fn a_meter_read_is_shown_whole_though_some_events_do_not_name_its_variant() {
    let (lake, mut writer) = memory().await;
    let id = request_id(1, 1, 1);
    let mut nameless = event(id, at(0), answer(id, at(9_000)));
    nameless.correlation.variant = None;
    commit(&mut writer, "a", [received(id, at(0))]).await;
    commit(&mut writer, "b", [nameless]).await;
    let mut query = query(1);
    (query.view, query.variants) = (View::MeterReads, vec!["4.8.1".parse().unwrap()]);
    let found = find(&lake, &[3], &query).await;
    assert_eq!(Trail::from(&found[0].fragment).sent_at, Some(at(9_000)));
}

/// Any subject of a row, known by its counter.
fn subject(kind: u8, counter: u64) -> Subject {
    let id = request_id(1, 1, counter);
    let response_id = ResponseId::mirror_of(&id);
    let alert = |code: &str, throttle_sequence| Subject::Alert {
        response_id,
        code: code.parse().unwrap(),
        throttle_sequence,
    };
    match kind {
        0 => Subject::Leg(Leg { request_id: id, command_variant: CommandVariant::new(1).unwrap() }),
        1 => Subject::ScheduledRun(response_id),
        2 => Subject::Unjoined(id),
        3 => alert("8F36", None),
        4 => alert("N36", Some(7)),
        _ => alert("AD1", None),
    }
}

/// What one fragment claims: its row's kind and counter, its User, variants and modes.
type Claimed = (u8, u64, u8, Vec<usize>, Vec<Mode>);

const CLAIMED: [&str; 6] = ["4.8.1", "4.8.2", "4.8.3", "4.17", "4.8", "6.11"];

fn claimed() -> impl Strategy<Value = Claimed> {
    let variants = prop::collection::vec(prop_oneof![3 => 0..4usize, 1 => 4..6usize], 0..3);
    let modes = prop::collection::vec(prop::sample::select(Mode::ALL), 0..3);
    (0..6u8, 0..8u64, 1..3u8, variants, modes)
}

fn fragment_of((kind, counter, of, variants, modes): &Claimed) -> Fragment {
    let key = TrailKey { user: user(*of), subject: subject(*kind, *counter) };
    let mut fragment = Fragment::new(key, at(0));
    fragment.received.add(at((*counter % 4).cast_signed()));
    fragment.device.add(device(1));
    fragment.mpxn.add("1217290354420".parse().unwrap());
    fragment.variant = variants.iter().map(|n| CLAIMED[*n].parse().unwrap()).collect();
    fragment.mode = modes.iter().copied().collect();
    fragment
}

/// The rows that H8.16(c) opens, told apart without the fold: requests and runs, all of whose variants are open.
fn open_to_all(claims: &[Claimed]) -> BTreeSet<TrailKey> {
    let keys = claims.iter().map(|claimed| (fragment_of(claimed).key, claimed));
    let named = |key: &TrailKey| {
        let of_row = claims.iter().filter(|claimed| fragment_of(claimed).key == *key);
        of_row.flat_map(|(_, _, _, variants, _)| variants.clone()).collect::<Vec<_>>()
    };
    let open = |variants: &[usize]| !variants.is_empty() && variants.iter().all(|n| *n < 4);
    keys.filter(|(key, claimed)| claimed.0 <= 1 && open(&named(key))).map(|(key, _)| key).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Fragments that claim anything, as a lake of an older version may hold them: by page, by key, by variant and as of a
    /// version, a meter-read look-up gives the rows of requests and runs of the four variants, and never an alert.
    #[test]
    fn an_alert_is_never_a_meter_read_whatever_its_fields_claim(
        batches in prop::collection::vec(prop::collection::vec(claimed(), 0..12), 1..4),
    ) {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            // By the clock of the day: it is a version's time that says whether it can still be asked for.
            let clock = Clock::manual(Clock::system().now());
            let lake = over(Arc::new(InMemory::new()), clock.clone()).await.unwrap();
            // The tables were made by the machine's clock, which goes on: what is asked for lies after that.
            clock.advance(HOUR);
            let mut writer = lake.writer().await.unwrap();
            let mut version = 0;
            for (number, batch) in batches.iter().enumerate() {
                let fragments = batch.iter().map(fragment_of).collect();
                let sources = vec![source(&number.to_string(), 0, 1)];
                version = writer.commit(Batch { fragments, sources, ..Batch::default() }).await.unwrap();
            }
            let claims: Vec<Claimed> = batches.concat();
            let open = open_to_all(&claims);
            let stranger = access(&[9]);
            let as_of = lake.snapshot_as_of(AsOf::Version(version)).await.unwrap();
            for snapshot in [lake.snapshot(), as_of] {
                let mut reads = query(1);
                reads.view = View::MeterReads;
                let found = snapshot.lookup(&stranger, &reads).await.unwrap();
                let keys: BTreeSet<TrailKey> = found.iter().map(|row| row.fragment.key).collect();
                assert_eq!(keys, open);
                // Page by page, one row each.
                let (mut paged, mut before) = (BTreeSet::new(), None);
                loop {
                    let page = KeyQuery { before, limit: 1, ..reads.clone() };
                    let Some(row) = snapshot.lookup(&stranger, &page).await.unwrap().pop() else { break };
                    before = Some(RowPosition { placement: row.placement, key: row.fragment.key });
                    paged.insert(row.fragment.key);
                }
                assert_eq!(paged, open);
                for claimed in &claims {
                    let key = fragment_of(claimed).key;
                    let one = KeyQuery { key: Some(key), ..reads.clone() };
                    let found = snapshot.lookup(&stranger, &one).await.unwrap();
                    assert_eq!(!found.is_empty(), open.contains(&key), "{key:?}");
                }
                // To its own User, an alert has no variant to be found by.
                let by_variant = KeyQuery { variants: vec!["4.8.1".parse().unwrap()], ..query(1) };
                let found = snapshot.lookup(&access(&[1, 2]), &by_variant).await.unwrap();
                assert!(found.iter().all(|row| !row.fragment.key.is_alert()));
            }
        });
    }
}
