use super::*;
use crate::it::world::*;
use crate::keep::verify::VerifySettings;
use crate::lake::{Lake, LakeSettings};
use crate::read::query::{KeyQuery, View};
use crate::tables::pairs::{self, Pair};
use crate::tables::registry::{self, Tables};
use gridtrail_model::{CommandVariant, Event, TrailKey};
use gridtrail_runs::Table;
use gridtrail_runtime::Clock;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt as _};
use proptest::prelude::*;
use std::collections::BTreeSet;

/// A request to a Device, naming others beside it.
fn naming(id: gridtrail_model::RequestId, at: Timestamp, beside: impl IntoIterator<Item = u8>) -> Event {
    let mut event = received(id, at);
    event.correlation.concerned_devices = beside.into_iter().map(device).collect();
    event
}

async fn over(store: &Arc<InMemory>) -> Result<Lake, crate::error::LakeError> {
    let store: Arc<dyn ObjectStore> = store.clone();
    let settings = LakeSettings { store: Some(store), ..LakeSettings::at("memory:///named") };
    Lake::open(settings, Clock::manual(at(1_000_000))).await
}

/// The rows that are found by a Device and do not lie under it.
async fn found_by(lake: &Lake, d: u8) -> Vec<TrailKey> {
    let found = find_by_named(&lake.snapshot(), &[1], Named::Device(device(d))).await;
    found.into_iter().map(|found| found.fragment.key).collect()
}

fn key_of(event: &Event) -> TrailKey {
    fold([event.clone()]).into_fragments()[0].key
}

/// Takes away every file of a table.
async fn empty(lake: &Lake, of: impl Fn(&mut Tables) -> &mut Table) {
    let mut tables = lake.tables().await;
    let table = of(&mut tables);
    let changes = Changes { remove: table.files(), drops: true, now_ms: 1, ..Changes::default() };
    table.commit(&changes).await.unwrap();
    lake.refresh().await.unwrap();
}

/// What earlier builds wrote in the table of pairs still leads to their rows, and is no damage.
#[tokio::test(flavor = "multi_thread")]
async fn pairs_of_earlier_builds_lead_to_their_rows() {
    let store = Arc::new(InMemory::new());
    let lake = over(&store).await.unwrap();
    let event = naming(request_id(1, 1, 1), at(0), [2, 3]);
    commit(&mut lake.writer().await.unwrap(), "a", [event.clone()]).await;
    for d in [2, 3] {
        assert_eq!(found_by(&lake, d).await, [key_of(&event)]);
    }
    empty(&lake, |tables| &mut tables.named_rows).await;
    assert_eq!(found_by(&lake, 2).await, []);
    let damages = lake.verify(&VerifySettings::default()).await.unwrap().damages;
    assert!(damages.iter().any(|damage| damage.what.contains("named_rows leads from")), "{damages:#?}");
    write_old_pairs(
        &lake,
        [pairs::key_for_whoever(device(2)), pairs::key_for(Viewer::User(user(1)), device(3))],
    )
    .await;
    for d in [2, 3] {
        assert_eq!(found_by(&lake, d).await, [key_of(&event)]);
    }
    assert_eq!(lake.verify(&VerifySettings::default()).await.unwrap().damages, []);
    // A row of today under the same Device is found once, though both lead to it.
    let newer = naming(request_id(1, 1, 2), at(5), [2]);
    commit(&mut lake.writer().await.unwrap(), "b", [newer.clone()]).await;
    assert_eq!(found_by(&lake, 2).await, [key_of(&newer), key_of(&event)]);
}

/// Pairs as earlier builds wrote them of Devices, each leading to the first Device. Their keys are given ascending.
async fn write_old_pairs(lake: &Lake, keys: [String; 2]) {
    let time = at(0).millis() * 1_000;
    let tag = serde_json::to_string(&keys).unwrap();
    let old = keys.map(|mpxn| Pair { mpxn, device: device(1), first_seen: time, last_seen: time });
    let encoded = Encoded::of(PairTable.definition(), std::iter::once(pairs::batch(&old))).unwrap();
    let mut tables = lake.tables().await;
    let mut files: Vec<Option<SideFile>> = registry::ALL.iter().map(|_| None).collect();
    let number = registry::ALL
        .iter()
        .position(|table| table.definition().name == PairTable.definition().name)
        .unwrap();
    files[number] = Some(SideFile { encoded, rows: 2, tag });
    tables.commit_beside(files, at(1)).await.unwrap();
    lake.refresh().await.unwrap();
}

async fn delete_folder(store: &InMemory, table: &str) {
    let listed = store.list(Some(&Path::from(format!("named/{table}"))));
    for file in listed.try_collect::<Vec<_>>().await.unwrap() {
        store.delete(&file.location).await.unwrap();
    }
}

/// A lake of a build that knew no such table gets it from the first who may write. Once it has one, losing it is damage.
#[tokio::test(flavor = "multi_thread")]
async fn a_lake_of_an_earlier_build_gets_the_table() {
    let store = Arc::new(InMemory::new());
    {
        let lake = over(&store).await.unwrap();
        let mut tables = lake.tables().await;
        tables.trails.commit(&Changes { now_ms: 1, ..Changes::default() }).await.unwrap();
    }
    delete_folder(&store, TABLE.name).await;
    let as_store: Arc<dyn ObjectStore> = store.clone();
    let settings =
        LakeSettings { store: Some(as_store), read_only: true, ..LakeSettings::at("memory:///named") };
    let refused = Lake::open(settings, Clock::manual(at(0))).await.unwrap_err();
    assert!(refused.to_string().contains("the lake has no table named_rows"), "{refused}");
    let lake = over(&store).await.unwrap();
    let event = naming(request_id(1, 1, 1), at(0), [2]);
    commit(&mut lake.writer().await.unwrap(), "a", [event.clone()]).await;
    let lake = over(&store).await.unwrap();
    assert_eq!(found_by(&lake, 2).await, [key_of(&event)]);
    delete_folder(&store, TABLE.name).await;
    let lost = over(&store).await.unwrap_err().to_string();
    assert!(lost.contains("named_rows/_delta_log") && lost.contains("put it back"), "{lost}");
}

const HOUR: i64 = 3_600_000;
const DAY: i64 = 24 * HOUR;

/// Wherever maintenance has a row lie, each Device that it names leads there: within a month, across months, with other buckets.
#[tokio::test(flavor = "multi_thread")]
async fn links_follow_rows_to_earlier_times() {
    for apart in [500, 20 * HOUR, 10 * DAY, 70 * DAY] {
        let store = Arc::new(InMemory::new());
        let lake = over(&store).await.unwrap();
        let mut writer = lake.writer().await.unwrap();
        let id = request_id(1, 1, 1);
        // What names the others claims the later time.
        commit(&mut writer, "a", [received(id, at(0)), received(request_id(1, 1, 9), at(apart))]).await;
        commit(&mut writer, "b", [naming(id, at(apart), [2, 3])]).await;
        let key = key_of(&received(id, at(0)));
        let full = crate::keep::compaction::CompactionSettings { full: true, ..<_>::default() };
        for step in 0..3 {
            for d in [2, 3] {
                assert_eq!(found_by(&lake, d).await, [key], "{apart} ms apart, step {step}");
            }
            let mut maintenance = lake.maintenance().await.unwrap();
            match step {
                0 => drop(maintenance.compact(&full).await.unwrap()),
                _ => drop(maintenance.rebucket(3, &full).await.unwrap()),
            }
        }
        assert_eq!(lake.counts().fragments, 2, "the row is one");
        assert_eq!(lake.verify(&VerifySettings::default()).await.unwrap().damages, []);
    }
}

/// A row that has no Device lies under its first meter point; its others lead to it, for those who may see it.
#[tokio::test(flavor = "multi_thread")]
async fn a_row_without_a_device_is_found_by_each_meter_point() {
    let store = Arc::new(InMemory::new());
    let lake = over(&store).await.unwrap();
    let mut event = received(request_id(1, 1, 1), at(0));
    (event.correlation.device_id, event.correlation.command_variant) = (None, CommandVariant::new(8));
    event.correlation.variant = "8.2".parse().ok();
    event.correlation.concerned_mpxns = vec!["1217290354421".parse().unwrap()];
    commit(&mut lake.writer().await.unwrap(), "a", [event.clone()]).await;
    let snapshot = lake.snapshot();
    let anchor = Anchor::Mpxn("1217290354420".parse().unwrap());
    for (who, mpxn, pairs, links) in
        [(1, "1217290354420", 1, 0), (1, "1217290354421", 0, 1), (2, "1217290354421", 0, 0)]
    {
        let (who, mpxn) = (access(&[who]), mpxn.parse().unwrap());
        let found = snapshot.anchors_of(&who, mpxn).await.unwrap().found;
        assert_eq!(found, vec![anchor; pairs]);
        let named = [Named::Mpxn(mpxn)];
        let elsewhere = snapshot.elsewhere((&who, View::Audit), &named, false).await.unwrap().remove(0);
        let wanted = crate::read::sight::Elsewhere { anchor, at: Some([at(0)].into()) };
        assert_eq!(elsewhere, vec![wanted; links]);
    }
}

/// An answer that waits is found by what it names where it waits, then with its request, and after the sweep.
#[tokio::test(flavor = "multi_thread")]
async fn what_waits_is_found_by_each_device_that_it_names() {
    let store = Arc::new(InMemory::new());
    let lake = over(&store).await.unwrap();
    let mut writer = lake.writer().await.unwrap();
    let id = request_id(1, 1, 1);
    let mut answer = bare_answer(id, at(40 * DAY));
    answer.correlation.concerned_devices = vec![device(2)];
    commit(&mut writer, "a", [answer]).await;
    let waiting = found_by(&lake, 2).await;
    assert!(matches!(waiting[..], [TrailKey { subject: Subject::Unjoined(_), .. }]), "{waiting:?}");
    commit(&mut writer, "b", [received(id, at(0))]).await;
    let key = key_of(&received(id, at(0)));
    assert_eq!(found_by(&lake, 2).await, [key]);
    let swept = lake.maintenance().await.unwrap().sweep().await.unwrap();
    assert_eq!((swept.joined, swept.waiting), (1, 0));
    assert_eq!(found_by(&lake, 2).await, [key]);
    assert_eq!(lake.verify(&VerifySettings::default()).await.unwrap().damages, []);
}

/// Links whose rows retention has let go go with the next gathering; the others stay, each once.
#[tokio::test(flavor = "multi_thread")]
async fn links_go_when_they_are_older_than_every_row() {
    let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let clock = Clock::manual(at(1_000_000));
    let settings = LakeSettings { store: Some(store), ..LakeSettings::at("memory:///named") };
    let lake = Lake::open(settings, clock.clone()).await.unwrap();
    let mut writer = lake.writer().await.unwrap();
    for n in 0..2 {
        let old = naming(request_id(1, 1, n), at(n.cast_signed()), [2, 3]);
        commit(&mut writer, &format!("old-{n}"), [old]).await;
    }
    clock.advance(500 * DAY);
    let newer = naming(request_id(1, 1, 9), at(499 * DAY), [2]);
    // A repeat writes the same links again.
    for n in 0..2 {
        commit(&mut writer, &format!("new-{n}"), [newer.clone()]).await;
    }
    clock.advance(2 * DAY);
    let before = found_by(&lake, 2).await.len();
    let mut maintenance = lake.maintenance().await.unwrap();
    assert_eq!(maintenance.retain(&<_>::default(), false).await.unwrap().months.len(), 1);
    maintenance.compact(&<_>::default()).await.unwrap();
    lake.refresh().await.unwrap();
    assert_eq!(
        (before, found_by(&lake, 2).await, found_by(&lake, 3).await.len()),
        (3, vec![key_of(&newer)], 0)
    );
    let verified = lake.verify(&VerifySettings::default()).await.unwrap();
    let table = verified.tables.iter().find(|table| table.name == TABLE.name).unwrap();
    // For its own User, and for everybody.
    assert_eq!((table.files, table.rows, verified.damages.as_slice()), (1, 2, &[][..]));
}

/// A list of fifty thousand Devices is one row, and a link for each of them.
#[test]
fn a_link_takes_no_more_than_sixteen_bytes() {
    const DEVICES: u64 = 50_000;
    let all = (0..DEVICES).map(|n| 0x00DB_1234_0000_0000 | n.wrapping_mul(0x9E37_79B9) & 0xFFFF_FFFF);
    let mut event = received(request_id(1, 1, 1), at(0));
    event.correlation.variant = "11.1".parse().ok();
    event.correlation.concerned_devices = all.map(|id| DeviceId::from_bytes(id.to_be_bytes())).collect();
    let fragments = fold([event]).into_fragments();
    let file = NamedRows.rows_of(&Arriving::placed(&fragments)).unwrap().unwrap();
    let each = file.encoded.bytes.len() as f64 / file.rows as f64;
    println!("{DEVICES} Devices: {} bytes of links, {each:.1} each", file.encoded.bytes.len());
    assert!(file.rows == DEVICES && each <= 16.0, "{} links, {each} bytes each", file.rows);
}

/// What finding a Device costs: a question to a filter where no row names it, and of a row that does, what lies near it and no more.
#[tokio::test(flavor = "multi_thread")]
async fn a_search_reads_what_lies_near_the_rows_that_name_its_device() {
    let store = Arc::new(InMemory::new());
    let lake = over(&store).await.unwrap();
    let mut writer = lake.writer().await.unwrap();
    for month in 0..6_u64 {
        let time = |n: u64| at(month.cast_signed() * 31 * DAY + n.cast_signed() * HOUR);
        let mut events: Vec<Event> =
            (0..200).map(|n| received(request_id(1, 1, month * 1_000 + n), time(n))).collect();
        if month == 2 {
            events.push(naming(request_id(1, 1, 77_777), time(30), [2]));
        }
        commit(&mut writer, &month.to_string(), events).await;
    }
    let (who, snapshot) = (access(&[1]), lake.snapshot());
    let elsewhere = async |d: u8| {
        let named = [Named::Device(device(d))];
        snapshot.elsewhere((&who, View::Audit), &named, false).await.unwrap().remove(0)
    };
    let before = lake.store_use();
    assert_eq!(elsewhere(3).await, []);
    let after = lake.store_use();
    assert_eq!((after.pages, after.footers.misses - before.footers.misses), (before.pages, 1));
    let [place] = elsewhere(2).await.try_into().unwrap();
    assert_eq!(lake.store_use().gets, after.gets + 1, "one page of each column, which are neighbours");
    let under = KeyQuery::under(place.anchor, View::Audit, 51);
    let whole = KeyQuery { naming: Some(Named::Device(device(2))), ..under };
    let linked = KeyQuery { at: place.at, ..whole.clone() };
    let mut costs = Vec::new();
    for query in [whole, linked] {
        let (found, cost) = snapshot.lookup_with_cost(&who, &query).await.unwrap();
        assert_eq!(found.len(), 1);
        costs.push(cost);
    }
    println!("all of the other Device: {:?}; what lies near: {:?}", costs[0], costs[1]);
    assert_eq!((costs[0].runs, costs[1].runs), (6, 1));
}

proptest! {
    /// Links are what they say, in order, and each is found by everybody who may see its row and nobody else.
    #[test]
    fn links_read_back(rows in prop::collection::vec((1..4u8, 1..5u8, 0..9i64, prop::collection::vec(1..9u8, 0..4)), 1..30)) {
        let event = |(n, (u, d, ms, beside)): (usize, &(u8, u8, i64, Vec<u8>))| {
            naming(request_id(*u, *d, n as u64), at(*ms), beside.iter().copied())
        };
        let fragments = fold(rows.iter().enumerate().map(event)).into_fragments();
        let wanted: BTreeSet<(Print, DeviceId, Timestamp)> = fragments
            .iter()
            .flat_map(|row| {
                let under = *row.device.value().unwrap();
                let beside = row.concerned_devices().iter().filter(move |device| **device != under);
                let viewers = [Viewer::User(row.key.user), Viewer::Everybody];
                beside.flat_map(move |device| {
                    viewers.map(|viewer| (print(viewer, *device), under, row.placement().unwrap()))
                })
            })
            .collect();
        let mut links = Vec::new();
        fragments.iter().for_each(|fragment| add(fragment, &mut links));
        links.sort_unstable();
        links.dedup();
        let read = batch(&links).unwrap();
        let columns = Columns::of(&read, "a batch").unwrap();
        let back: Vec<Link> = (0..read.num_rows()).map(|row| columns.link(row).unwrap()).collect();
        prop_assert_eq!(&back, &links);
        let keys = LinkRule.keys(&read, "a batch").unwrap();
        prop_assert!(keys.windows(2).all(|pair| pair[0] < pair[1]));
        let found: BTreeSet<_> = back.iter().map(|link| (link.print, link.under, link.at)).collect();
        prop_assert_eq!(found, wanted);
    }
}
