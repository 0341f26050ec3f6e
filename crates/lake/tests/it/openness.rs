//! Whether a row of another User is open is decided by all that is known of its key by now, wherever that lies.

use crate::it::compaction::{HOUR, over};
use crate::it::world::*;
use gridtrail_lake::{
    AsOf, Batch, CompactionSettings, Found, KeyQuery, Lake, Snapshot, VerifySettings, View, Writer,
};
use gridtrail_model::*;
use gridtrail_runtime::Clock;
use object_store::memory::InMemory;
use std::sync::Arc;

const DAY: i64 = 24 * HOUR;
/// Who sends, who is granted nothing of it, and the Device that the requests name.
const SENDER: u8 = 1;
const STRANGER: u8 = 9;
const METER: u8 = 1;

/// A lake in which, as of any version, can be searched.
async fn a_lake() -> (Lake, Writer, Clock) {
    let clock = Clock::manual(Clock::system().now());
    let lake = over(Arc::new(InMemory::new()), clock.clone()).await.unwrap();
    // The tables were made by the machine's clock, which goes on.
    clock.advance(HOUR);
    let writer = lake.writer().await.unwrap();
    (lake, writer, clock)
}

fn id(counter: u64) -> RequestId {
    request_id(SENDER, METER, counter)
}

fn claiming(mut event: Event, variant: &str) -> Event {
    event.correlation.variant = variant.parse().ok();
    event
}

fn under(mut event: Event, number: u8) -> Event {
    event.correlation.device_id = Some(device(number));
    event
}

fn reads(number: u8) -> KeyQuery {
    KeyQuery { view: View::MeterReads, ..query(number) }
}

fn key(counter: u64) -> TrailKey {
    let command_variant = CommandVariant::new(1).unwrap();
    TrailKey { user: user(SENDER), subject: Subject::Leg(Leg { request_id: id(counter), command_variant }) }
}

fn counters(found: &[Found]) -> Vec<u64> {
    found.iter().map(|found| found.fragment.key.request_id().unwrap().counter).collect()
}

/// What somebody who is granted nothing sees, by every way to ask: all at once, row by row, and each by its key.
async fn stranger_sees(snapshot: &Snapshot, number: u8) -> Vec<u64> {
    let stranger = access(&[STRANGER]);
    let all = counters(&snapshot.lookup(&stranger, &reads(number)).await.unwrap());
    let (mut paged, mut before) = (Vec::new(), None);
    loop {
        let page = KeyQuery { before, limit: 1, ..reads(number) };
        let Some(row) = snapshot.lookup(&stranger, &page).await.unwrap().pop() else { break };
        before = Some(gridtrail_lake::RowPosition { placement: row.placement, key: row.fragment.key });
        paged.extend(counters(&[row]));
    }
    assert_eq!(paged, all, "page by page as at once");
    for counter in 1..=4 {
        let one = KeyQuery { key: Some(key(counter)), ..reads(number) };
        let got = !snapshot.lookup(&stranger, &one).await.unwrap().is_empty();
        assert_eq!(got, all.contains(&counter), "by its key as in a search: {counter}");
    }
    all
}

async fn compact_fully(lake: &Lake) {
    let full = CompactionSettings { full: true, ..CompactionSettings::default() };
    let mut maintenance = lake.maintenance().await.unwrap();
    maintenance.sweep().await.unwrap();
    maintenance.compact(&full).await.unwrap();
}

/// Two meter reads, of which the second is said to be something else by what comes in a batch of its own. It is closed at every version
/// from then on, before and after compaction, and to nobody but strangers.
async fn is_closed_by(told: impl IntoIterator<Item = Event>) {
    let (lake, mut writer, _) = a_lake().await;
    let version = commit(&mut writer, "a", [received(id(1), at(0)), received(id(2), at(1))]).await;
    let then = lake.snapshot();
    assert_eq!(stranger_sees(&then, METER).await, [2, 1]);
    commit(&mut writer, "b", told).await;
    let as_of = lake.snapshot_as_of(AsOf::Version(version)).await.unwrap();
    // A page token names the version of its first page; so does who asks as of then.
    for snapshot in [&lake.snapshot(), &then, &as_of] {
        assert_eq!(stranger_sees(snapshot, METER).await, [1], "{}", snapshot.version());
    }
    compact_fully(&lake).await;
    for snapshot in [&lake.snapshot(), &then, &as_of] {
        assert_eq!(stranger_sees(snapshot, METER).await, [1], "{}, compacted", snapshot.version());
    }
    let own = counters(&find(&lake, &[SENDER], &query(METER)).await);
    assert!(own.contains(&2), "to its own User it is what it was: {own:?}");
    assert!(lake.verify(&VerifySettings::default()).await.unwrap().is_clean());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_claim_of_another_batch_at_another_time_hides_a_row_from_others() {
    for apart in [1, HOUR, DAY, 3 * DAY, 40 * DAY, -40 * DAY] {
        is_closed_by([claiming(received(id(2), at(1 + apart)), "6.11")]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_claim_under_another_device_hides_a_row_from_others() {
    for apart in [0, 2 * DAY, 40 * DAY] {
        is_closed_by([claiming(under(received(id(2), at(1 + apart)), 7), "6.11")]).await;
    }
    // Under so many that a run does not list what their ids name.
    let others = (1..=4).map(|n| {
        let elsewhere = request_id(SENDER, 20 + n, 2);
        claiming(under(received(elsewhere, at(1)), 7), "6.11")
    });
    let told = others.chain([claiming(under(received(id(2), at(1)), 8), "8.2")]);
    is_closed_by(told.collect::<Vec<_>>()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_claim_of_a_message_that_names_no_device_hides_a_row_from_others() {
    for mpxn in [Some("1217290354420"), None] {
        let (lake, mut writer, _) = a_lake().await;
        commit(&mut writer, "a", [received(id(1), at(0)), received(id(2), at(1))]).await;
        let mut nowhere = fold([claiming(received(id(2), at(1)), "6.11")]).into_fragments().remove(0);
        (nowhere.device, nowhere.mpxn) = (Claims::none(), Claims::none());
        nowhere.mpxn.add_some(mpxn.map(|mpxn| mpxn.parse().unwrap()));
        assert_ne!(nowhere.anchor(), Anchor::Device(device(METER)));
        let sources = vec![source("b", 0, 1)];
        writer.commit(Batch { fragments: vec![nowhere], sources, ..Batch::default() }).await.unwrap();
        assert_eq!(stranger_sees(&lake.snapshot(), METER).await, [1]);
    }
}

/// The row itself lies under another Device than its id names, and what closes it under that Device, or under a third.
#[tokio::test(flavor = "multi_thread")]
async fn a_row_under_another_device_is_hidden_by_what_lies_under_its_own() {
    let (lake, mut writer, _) = a_lake().await;
    let away = |counter| under(received(id(counter), at(0)), 5);
    commit(&mut writer, "a", [away(1), away(2), away(3)]).await;
    assert_eq!(stranger_sees(&lake.snapshot(), 5).await, [3, 2, 1]);
    let closing = |counter| claiming(received(id(counter), at(3 * DAY)), "6.11");
    commit(&mut writer, "b", [closing(2), under(closing(3), 6)]).await;
    assert_eq!(stranger_sees(&lake.snapshot(), 5).await, [1]);
    compact_fully(&lake).await;
    assert_eq!(stranger_sees(&lake.snapshot(), 5).await, [1]);
}

/// An answer that names its request alone, and a variant of its own, says what that request is, whether it waits or was swept.
#[tokio::test(flavor = "multi_thread")]
async fn a_claim_of_an_answer_that_waits_hides_a_row_from_others() {
    let (lake, mut writer, _) = a_lake().await;
    let told = |counter| claiming(bare_answer(id(counter), at(9_000)), "6.11");
    let elsewhere = |counter| under(told(counter), 7);
    // It waits from before its request came.
    commit(&mut writer, "a", [told(2), elsewhere(3), bare_answer(id(1), at(9_000))]).await;
    commit(&mut writer, "b", (1..=4).map(|counter| received(id(counter), at(0)))).await;
    assert_eq!(stranger_sees(&lake.snapshot(), METER).await, [4, 1]);
    compact_fully(&lake).await;
    assert_eq!(stranger_sees(&lake.snapshot(), METER).await, [4, 1]);
}

/// A dispute about something else than the variant closes nothing, nor does a claim of another of the four, nor another row's.
#[tokio::test(flavor = "multi_thread")]
async fn what_says_nothing_against_a_meter_read_hides_nothing() {
    let (lake, mut writer, _) = a_lake().await;
    commit(&mut writer, "a", (1..=3).map(|counter| received(id(counter), at(0)))).await;
    let mut other_leg = claiming(received(id(1), at(0)), "6.11");
    other_leg.correlation.command_variant = CommandVariant::new(4);
    let other_user = claiming(received(request_id(2, METER, 2), at(0)), "6.11");
    let other_target = claiming(under(received(request_id(SENDER, 3, 2), at(0)), METER), "6.11");
    let of_four = claiming(under(received(id(3), at(2 * DAY)), 7), "4.17");
    let mut nameless = under(received(id(2), at(2 * DAY)), 7);
    (nameless.correlation.variant, nameless.correlation.mpxn) =
        (None, Some("2000000000007".parse().unwrap()));
    commit(&mut writer, "b", [other_leg, other_user, other_target, of_four, nameless]).await;
    assert_eq!(stranger_sees(&lake.snapshot(), METER).await, [3, 2, 1]);
    compact_fully(&lake).await;
    assert_eq!(stranger_sees(&lake.snapshot(), METER).await, [3, 2, 1]);
}

/// Rows of one's own cost what they did: nothing is looked at a second time.
#[tokio::test(flavor = "multi_thread")]
async fn own_rows_are_not_looked_at_twice() {
    let (lake, mut writer, _) = a_lake().await;
    commit(&mut writer, "a", [received(id(1), at(0)), claiming(received(id(2), at(0)), "6.11")]).await;
    let newest = KeyQuery { from: Some(at(40 * DAY)), ..reads(METER) };
    commit(&mut writer, "b", [received(id(3), at(40 * DAY))]).await;
    let cost = async |users: &[u8], query: &KeyQuery| {
        lake.snapshot().lookup_with_cost(&access(users), query).await.unwrap().1
    };
    // From here on all of it is in memory.
    cost(&[STRANGER], &newest).await;
    let (own, of_others) = (cost(&[SENDER], &newest).await, cost(&[STRANGER], &newest).await);
    let audit = KeyQuery { view: View::Audit, ..newest.clone() };
    assert_eq!(own, cost(&[SENDER], &audit).await);
    assert_eq!((own.runs, of_others.runs), (1, 3), "one run of the period, and again that and the other");
}
