//! A response says which request it answers but not when that was received. It joins its request, however long
//! after and wherever it lies.

use crate::it::world::*;
use gridtrail_lake::{Lake, VerifySettings};
use gridtrail_model::*;

async fn only_row(lake: &Lake, d: u8) -> Trail {
    let found = find(lake, &[1], &query(d)).await;
    assert_eq!(found.len(), 1, "{found:?}");
    Trail::from(&found[0].fragment)
}

const YEAR: i64 = 365 * 86_400_000;

#[tokio::test(flavor = "multi_thread")]
async fn a_bare_answer_joins_its_request_in_another_month() {
    let (lake, mut writer) = memory().await;
    let id = request_id(1, 1, 1);
    commit(&mut writer, "a", [received(id, at(0))]).await;
    commit(&mut writer, "b", [bare_answer(id, at(YEAR))]).await;
    let row = only_row(&lake, 1).await;
    assert_eq!((row.received_at, row.sent_at), (Some(at(0)), Some(at(YEAR))));
    assert_eq!(row.simplified, Simplified::Success);
    assert_eq!(lake.counts().parked, 0);
}

/// The answer comes first: a row of its own, request fields empty; joined at once when the request is on record,
/// and by the sweep for good. What a reader sees does not depend on the sweep.
#[tokio::test(flavor = "multi_thread")]
async fn a_parked_answer_is_shown_alone_then_joined() {
    let (lake, mut writer) = memory().await;
    let id = request_id(1, 1, 1);
    commit(&mut writer, "a", [bare_answer(id, at(9_000))]).await;
    let row = only_row(&lake, 1).await;
    assert!(row.awaiting_request);
    assert_eq!((row.received_at, row.variant, row.command_variant), (None, None, None));
    assert_eq!((row.sent_at, row.simplified), (Some(at(9_000)), Simplified::Success));
    assert!(find(&lake, &[2], &query(1)).await.is_empty(), "a parked row is under the row filter too");

    let mut maintenance = lake.maintenance().await.unwrap();
    assert_eq!(maintenance.sweep().await.unwrap().waiting, 1);

    commit(&mut writer, "b", [received(id, at(0))]).await;
    let joined = only_row(&lake, 1).await;
    assert!(!joined.awaiting_request);
    assert_eq!((joined.received_at, joined.sent_at), (Some(at(0)), Some(at(9_000))));

    let swept = maintenance.sweep().await.unwrap();
    assert_eq!((swept.joined, swept.waiting), (1, 0));
    assert_eq!(lake.counts().parked, 0);
    assert_eq!(only_row(&lake, 1).await, joined);
    assert_eq!(maintenance.sweep().await.unwrap().joined, 0);
}

/// Two answers to one request waited in files of their own, and a third waits on: no run that a sweep writes has a row twice.
#[tokio::test(flavor = "multi_thread")]
async fn answers_of_several_files_to_one_request_are_swept_into_one_row() {
    let (lake, mut writer) = memory().await;
    let (id, other) = (request_id(1, 1, 1), request_id(1, 1, 2));
    let same_time = |of: RequestId, code: &str| {
        let mut event = bare_answer(of, at(9_000));
        if let Body::ResponseSent(answer) = &mut event.body {
            answer.code = code.parse().unwrap();
        }
        event
    };
    commit(&mut writer, "a", [same_time(id, "I0"), same_time(other, "I0")]).await;
    commit(&mut writer, "b", [same_time(id, "E20"), same_time(other, "E20")]).await;
    commit(&mut writer, "c", [received(id, at(0))]).await;
    let swept = lake.maintenance().await.unwrap().sweep().await.unwrap();
    assert_eq!((swept.joined, swept.waiting), (2, 2));
    let found = find(&lake, &[1], &query(1)).await;
    let histories: Vec<usize> = found.iter().map(|found| found.fragment.history().len()).collect();
    assert_eq!(histories, [2, 3], "the two that wait, and the request with both of its answers");
    let verified = lake.verify(&VerifySettings::default()).await.unwrap();
    assert!(verified.is_clean(), "{:#?}", verified.damages);
}

/// A sweep that was killed after it added and before it removed: adding again changes nothing.
#[tokio::test(flavor = "multi_thread")]
async fn two_sweepers_at_once_double_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (lake, mut writer) = open(folder.path().to_str().unwrap()).await;
    let id = request_id(1, 1, 1);
    let other = request_id(1, 2, 1);
    commit(&mut writer, "a", [bare_answer(id, at(9_000)), bare_answer(other, at(1))]).await;
    commit(&mut writer, "b", [received(id, at(0))]).await;
    let (mut one, mut two) = (lake.maintenance().await.unwrap(), lake.maintenance().await.unwrap());
    let (a, b) = tokio::join!(one.sweep(), two.sweep());
    assert!(a.is_ok() || b.is_ok(), "{a:?} {b:?}");
    lake.refresh().await.unwrap();
    assert_eq!(only_row(&lake, 1).await.sent_at, Some(at(9_000)));
    assert!(only_row(&lake, 2).await.awaiting_request);
    assert_eq!(lake.counts().parked, 1);
}

/// The RequestID of a non-device request targets the DCC; its row is about the Device in its body. The answer
/// names only the RequestID.
#[tokio::test(flavor = "multi_thread")]
async fn the_answer_to_a_non_device_request_finds_the_device_row() {
    let (lake, mut writer) = memory().await;
    let id = request_id(1, 200, 1);
    let mut request = received(id, at(0));
    request.correlation.device_id = Some(device(1));
    request.correlation.command_variant = Some(CommandVariant::DCC_ONLY);
    commit(&mut writer, "a", [request, received(request_id(1, 1, 1), at(5))]).await;
    commit(&mut writer, "b", [bare_answer(id, at(9_000))]).await;
    let found = find(&lake, &[1], &query(1)).await;
    assert_eq!(found.len(), 2);
    let row = Trail::from(&found[1].fragment);
    assert_eq!((row.current_status, row.sent_at), (State::CompletedDccOnly, Some(at(9_000))));
    assert_eq!(row.device_id, Some(device(1)));
}

/// Trap 1: the legs of a critical request share a RequestID. A Pre-Command answers the transform leg, what comes
/// later the leg that was received last before it.
#[tokio::test(flavor = "multi_thread")]
async fn trap_01_bare_answers_find_the_right_leg() {
    let (lake, mut writer) = memory().await;
    let id = request_id(1, 1, 1);
    let leg = |cv, received_at| {
        let mut event = received(id, at(received_at));
        event.correlation.command_variant = CommandVariant::new(cv);
        event
    };
    let mut pre_command = bare_answer(id, at(1_000));
    if let Body::ResponseSent(response) = &mut pre_command.body {
        response.content = ResponseContent::PreCommand;
    }
    commit(&mut writer, "a", [pre_command, bare_answer(id, at(9_000))]).await;
    commit(&mut writer, "b", [leg(4, 0), leg(5, 5_000)]).await;
    let rows: Vec<_> = find(&lake, &[1], &query(1)).await.iter().map(|f| Trail::from(&f.fragment)).collect();
    let shown: Vec<_> = rows
        .iter()
        .map(|r| (r.command_variant.unwrap().number(), r.current_status, r.sent_at.unwrap()))
        .collect();
    assert_eq!(shown, [(5, State::ResponseSent, at(9_000)), (4, State::PreCommandReturned, at(1_000))]);
}

/// An answer costs what its own month costs, however long a lake goes back: the file of an older one may be missing.
#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_finds_its_request_reads_no_older_month() {
    let folder = tempfile::tempdir().unwrap();
    let address = folder.path().to_str().unwrap();
    let id = request_id(1, 1, 1);
    let (older, newer) = (id, RequestId { counter: 2, ..id });
    {
        let (_, mut writer) = open(address).await;
        commit(&mut writer, "a", [received(older, at(0))]).await;
        commit(&mut writer, "b", [received(newer, at(YEAR))]).await;
    }
    let (_, writer) = open(address).await;
    let months = std::fs::read_dir(folder.path().join("trails")).unwrap().map(|entry| entry.unwrap().path());
    let mut months: Vec<_> = months.filter(|path| path.to_str().unwrap().contains("month=")).collect();
    months.sort();
    assert_eq!(months.len(), 2);
    std::fs::remove_dir_all(&months[0]).unwrap();
    let unplaced = |id, at| fold([bare_answer(id, at)]).take_unplaced();

    let answer = unplaced(newer, at(YEAR + 9_000));
    let rows = writer.resolve(&answer).await.unwrap();
    assert_eq!(rows.of(&answer[0].key).len(), 1);
    // One that came before every request of its month may belong to an older one.
    for (id, sent) in [(older, YEAR + 9_000), (newer, YEAR - 1)] {
        let refused = writer.resolve(&unplaced(id, at(sent))).await.unwrap_err();
        assert!(refused.to_string().contains(months[0].file_name().unwrap().to_str().unwrap()), "{refused}");
    }
}
