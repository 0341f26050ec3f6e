//! I4: a row leaves only through an `Access`.

use crate::it::world::*;
use gridtrail_lake::View;
use gridtrail_model::*;

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
