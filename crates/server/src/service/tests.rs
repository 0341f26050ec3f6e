use super::*;
use crate::callers::CallerLimits;
use crate::record::Leaving;
use gridtrail_access::{Bearer, DevKey, JobTypeRole, OrgId, Party, Sharing};
use gridtrail_access_log::Committing;
use gridtrail_access_log::fake::MemoryLog;
use gridtrail_model::{CommandVariant, Fragment, Leg, RequestId, Subject, Timestamp, TrailKey, UserId};
use gridtrail_port::{Client, Peer};
use gridtrail_proto::query::v1::search_request::Key;
use gridtrail_search::PageKey;
use gridtrail_search::fake::FakeLake;
use std::collections::BTreeSet;
use std::num::NonZeroU32;
use tonic::Code;
use tonic_types::StatusExt as _;

fn now() -> Timestamp {
    "2026-03-01T09:30:00Z".parse().unwrap()
}

/// A desk, the caller whom it admits, and its access log.
struct Stage {
    desk: Desk,
    caller: Caller,
    store: MemoryLog,
    committing: Committing,
}

async fn stage() -> Stage {
    let key = DevKey::generate().unwrap();
    let claims = Bearer {
        subject: "ann".into(),
        party: "Avon".parse().unwrap(),
        org_id: OrgId::All,
        user_ids: BTreeSet::from(["90-B3-D5-1F-30-01-00-00".parse().unwrap()]),
        roles: JobTypeRole::all().collect(),
        valid_from: now(),
        expires_at: now().plus_millis(60_000),
    };
    let clock = Clock::manual(now());
    let page_key = PageKey::random().unwrap();
    let search = Search::new(FakeLake::default(), clock.clone(), page_key.clone());
    let inventory = InventorySearch::new(FakeLake::default(), clock.clone(), page_key, false);
    let sharing = Sharing::of_one(&claims.party, &claims.user_ids);
    let admission = Admission::new(key.gatekeeper().unwrap(), Arc::new(sharing));
    let store = MemoryLog::default();
    let (log, committing) = AccessLog::open(store.clone(), clock.clone(), "test").await.unwrap();
    let one = weight_of(CALL_BYTES_MIN);
    let desk = Desk {
        answers: Places::new(Sizes { all: one, each: 2 * one, patience: Duration::from_secs(3600) }),
        ..Desk::new((search, inventory), admission, log, clock, Limits::default(), false)
    };
    let address = Some("192.0.2.7:443".parse().unwrap());
    let metadata = headers(&[&format!("Bearer {}", key.mint(&claims).unwrap())]);
    Stage {
        desk,
        caller: Caller { metadata, client: Client { address, peer: Peer::unknown() } },
        store,
        committing,
    }
}

impl Stage {
    /// What is on record of all calls: outcome and reason, whether somebody is named, and how many there were.
    async fn recorded(self) -> Vec<(String, String, bool, u64)> {
        self.committing.close().await.unwrap();
        let rows =
            self.store.rows().into_iter().filter(|row| row.kind == gridtrail_access_log::RowKind::Call);
        rows.map(|row| {
            let entry = row.entry;
            let reason = entry.reason.unwrap_or_default().into_owned();
            (entry.outcome.into_owned(), reason, entry.subject.as_deref() == Some("ann"), entry.times)
        })
        .collect()
    }
}

fn row(outcome: &str, reason: &str, named: bool) -> (String, String, bool, u64) {
    (outcome.to_owned(), reason.to_owned(), named, 1)
}

/// What the transport does with an answer: it hands all of it to the caller's connection.
fn sent<T>(answer: Result<Response<T>, Status>) -> Result<T, Status> {
    let (_, message, extensions) = answer?.into_parts();
    if let Some(record) = extensions.get::<Leaving>().and_then(Leaving::take) {
        record.has_left();
    }
    Ok(message)
}

fn headers(values: &[&str]) -> MetadataMap {
    let mut metadata = MetadataMap::new();
    for value in values {
        metadata.append("authorization", value.parse().unwrap());
    }
    metadata
}

fn reason(status: &Status) -> String {
    status.get_details_error_info().unwrap().reason
}

#[tokio::test]
async fn a_call_above_the_limit_is_told_to_come_back() {
    let stage = stage().await;
    let (desk, caller) = (&stage.desk, &stage.caller);
    let within = async |_, _: &mut Record| {
        let status = desk.answer("second", caller, async |_, _| Ok(())).await.unwrap_err();
        assert_eq!((status.code(), reason(&status).as_str()), (Code::Unavailable, "BUSY"));
        assert!(status.get_details_retry_info().unwrap().retry_delay.is_some());
        Ok(())
    };
    sent(desk.answer("first", caller, within).await).unwrap();
    sent(desk.answer("third", caller, async |_, _| Ok(())).await).expect("the permit came back");
    let rows = [row("UNAVAILABLE", "BUSY", true), row("OK", "", true), row("OK", "", true)];
    assert_eq!(stage.recorded().await, rows);
}

#[tokio::test]
async fn a_call_that_takes_too_long_is_ended_and_gives_its_permit_back() {
    let mut stage = stage().await;
    stage.desk.request_life = Duration::ZERO;
    for _ in 0..2 {
        let hang = async |_, _: &mut Record| std::future::pending().await;
        let status = stage.desk.answer::<()>("slow", &stage.caller, hang).await.unwrap_err();
        assert_eq!((status.code(), reason(&status).as_str()), (Code::DeadlineExceeded, "TOO_SLOW"));
    }
    assert_eq!(stage.recorded().await, vec![row("DEADLINE_EXCEEDED", "TOO_SLOW", true); 2]);
}

#[tokio::test]
async fn a_call_is_given_up_at_the_callers_own_deadline() {
    let mut stage = stage().await;
    stage.caller.metadata.insert("grpc-timeout", "1m".parse().unwrap());
    let hang = async |_, _: &mut Record| std::future::pending().await;
    let status = stage.desk.answer::<()>("slow", &stage.caller, hang).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::DeadlineExceeded, "TOO_SLOW"));
    assert_eq!(stage.desk.answers.weight(), 0, "the place came back");
    assert_eq!(stage.recorded().await, [row("DEADLINE_EXCEEDED", "TOO_SLOW", true)]);
}

#[tokio::test]
async fn a_right_that_goes_while_a_call_is_worked_on_shows_nothing() {
    let stage = stage().await;
    let admission = stage.desk.admission.clone();
    let search = |sharing: Option<Sharing>| {
        let request = SearchRequest {
            key: Some(Key::DeviceId("00-DB-12-34-56-78-90-A0".into())),
            ..SearchRequest::default()
        };
        let mut request = Request::new(request);
        *request.metadata_mut() = stage.caller.metadata.clone();
        let look = async |who: &Access, query: &Query| {
            let page = stage.desk.search.audit_trails(who, query).await;
            // The look-up took so long that others are assigned or rescinded meanwhile.
            if let Some(sharing) = sharing {
                admission.replace(Arc::new(sharing));
            }
            page
        };
        async { sent(stage.desk.answer_search("search", request, look).await) }
    };
    let (party, ann): (Party, UserId) = ("Avon".parse().unwrap(), "90-B3-D5-1F-30-01-00-00".parse().unwrap());
    let bob: UserId = "88-73-84-57-00-2F-96-1E".parse().unwrap();
    search(None).await.unwrap();
    // More than before, or the same by another state, takes nothing away.
    search(Some(Sharing::of_one(&party, &[ann, bob].into()))).await.unwrap();
    search(Some(Sharing::of_one(&party, &[ann].into()))).await.unwrap();
    let status = search(Some(Sharing::default())).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::Aborted, "RIGHTS_CHANGED"));
    let rows = stage.recorded().await;
    assert_eq!(rows[..3], vec![row("OK", "", true); 3]);
    assert_eq!(rows[3..], [row("ABORTED", "RIGHTS_CHANGED", true)]);
}

#[tokio::test]
async fn a_panic_answers_internal_and_gives_its_permit_back() {
    let stage = stage().await;
    for _ in 0..2 {
        let bad = async |_, _: &mut Record| panic!("secret");
        let status = stage.desk.answer::<()>("bad", &stage.caller, bad).await.unwrap_err();
        assert_eq!((status.code(), reason(&status).as_str()), (Code::Internal, "INTERNAL"));
        assert!(!status.message().contains("secret"));
    }
    assert_eq!(stage.recorded().await, vec![row("INTERNAL", "INTERNAL", true); 2]);
}

#[tokio::test]
async fn a_caller_who_goes_away_is_on_record() {
    let stage = stage().await;
    let hang = async |_, _: &mut Record| std::future::pending().await;
    // Looked at once, and dropped.
    let gone = stage.desk.answer::<()>("slow", &stage.caller, hang).now_or_never();
    assert!(gone.is_none());
    assert_eq!(stage.desk.answers.weight(), 0, "the place came back");
    assert_eq!(stage.recorded().await, [row("CANCELLED", "", true)]);
}

#[tokio::test]
async fn an_answer_that_nobody_took_is_on_record_as_that_and_counts_until_then() {
    let mut stage = stage().await;
    let one = NonZeroU32::MIN;
    let limits = CallerLimits { at_once: one, calls_a_minute: None, rows_a_minute: None };
    stage.desk.allowances = Allowances::new(Limits { person: limits, program: limits });
    let answer = || stage.desk.answer("call", &stage.caller, async |_, _| Ok(()));
    let first = answer().await.unwrap();
    let status = answer().await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::ResourceExhausted, "LIMIT_REACHED"));
    drop(first);
    sent(answer().await).unwrap();
    let rows =
        [row("RESOURCE_EXHAUSTED", "LIMIT_REACHED", true), row("CANCELLED", "", true), row("OK", "", true)];
    assert_eq!(stage.recorded().await, rows);
}

/// An answer that nobody takes keeps its memory, and after a while makes room where others need it: its connection is closed.
#[tokio::test(start_paused = true)]
async fn answers_that_nobody_takes_make_room_for_others_after_a_while() {
    let mut stage = stage().await;
    let one = weight_of(CALL_BYTES_MIN);
    stage.desk.answers = Places::new(Sizes { all: 2 * one, each: 2 * one, patience: TAKE_LIFE });
    let answer = |caller| stage.desk.answer("call", caller, async |_, _| Ok(()));
    let leave = |response: Response<()>| {
        let http = tonic::codegen::http::Response::new(tonic::body::Body::empty());
        let (mut head, body) = http.into_parts();
        head.extensions.insert(response.extensions().get::<Leaving>().cloned().unwrap());
        crate::outgoing::outgoing(tonic::codegen::http::Response::from_parts(head, body))
    };
    let first = leave(answer(&stage.caller).await.unwrap());
    let second = answer(&stage.caller).await.unwrap();
    // One waits to be taken, one is not made yet.
    let busy = answer(&stage.caller).await.unwrap_err();
    assert_eq!((busy.code(), reason(&busy).as_str()), (Code::ResourceExhausted, "LIMIT_REACHED"));
    tokio::time::advance(TAKE_LIFE).await;
    let other = Caller {
        metadata: stage.caller.metadata.clone(),
        client: Client { address: None, peer: Peer::unknown() },
    };
    let third = answer(&other).await.unwrap();
    assert!(stage.caller.client.peer.end().is_cancelled() && !other.client.peer.end().is_cancelled());
    assert!(answer(&other).await.is_err(), "what is worked on stays");
    drop((first, second));
    assert!(answer(&other).await.is_ok());
    drop(third);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_cannot_be_recorded_is_not_answered() {
    let stage = stage().await;
    stage.store.refuse(true);
    let served = async || sent(stage.desk.answer("call", &stage.caller, async |_, _| Ok(())).await);
    served().await.unwrap();
    tokio::time::sleep(Duration::from_secs(120)).await;
    let worked = std::cell::Cell::new(false);
    let work = async |_, _: &mut Record| {
        worked.set(true);
        Ok(())
    };
    let status = stage.desk.answer("call", &stage.caller, work).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::Unavailable, "ACCESS_LOG_UNAVAILABLE"));
    assert!(!worked.get(), "nothing was looked up");
    stage.store.refuse(false);
    tokio::time::sleep(Duration::from_secs(10)).await;
    served().await.unwrap();
    let rows =
        [row("OK", "", true), row("UNAVAILABLE", "ACCESS_LOG_UNAVAILABLE", false), row("OK", "", true)];
    assert_eq!(stage.recorded().await, rows);
}

/// What a caller may use up tells no more than the time: it goes by what is asked for, not by what is there.
#[tokio::test]
async fn a_hidden_device_takes_the_places_and_rows_that_an_absent_one_does() {
    let taken = async |is_there: bool| {
        let mut stage = stage().await;
        let lake = FakeLake::default();
        if is_there {
            let text = "88-73-84-57-00-2F-96-1E:00-DB-12-34-56-78-90-A0:1";
            let request_id: RequestId = text.parse().unwrap();
            let leg = Leg { request_id, command_variant: CommandVariant::new(1).unwrap() };
            let key = TrailKey { user: request_id.originator, subject: Subject::Leg(leg) };
            let mut hidden = Fragment::new(key, now());
            hidden.received.add(now());
            hidden.device.add(request_id.target);
            lake.commit([hidden], None);
        }
        let clock = Clock::manual(now());
        stage.desk.search = Search::new(lake, clock, PageKey::random().unwrap());
        let few = CallerLimits {
            at_once: NonZeroU32::new(2).unwrap(),
            calls_a_minute: NonZeroU32::new(10),
            rows_a_minute: NonZeroU32::new(130),
        };
        stage.desk.allowances = Allowances::new(Limits { person: few, program: few });
        let desk = &stage.desk;
        let mut seen = Vec::new();
        for _ in 0..3 {
            let request = SearchRequest {
                key: Some(Key::DeviceId("00-DB-12-34-56-78-90-A0".into())),
                ..SearchRequest::default()
            };
            let mut request = Request::new(request);
            *request.metadata_mut() = stage.caller.metadata.clone();
            let look = async |who: &Access, query: &Query| {
                let page = desk.search.audit_trails(who, query).await;
                seen.push((desk.answers.weight() > 0, page.as_ref().map_or(9, |page| page.rows.len())));
                page
            };
            let answer = sent(desk.answer_search("search", request, look).await);
            seen.push((desk.answers.weight() > 0, answer.map_or(9, |answer| answer.rows.len())));
        }
        seen
    };
    let (hidden, absent) = (taken(true).await, taken(false).await);
    // Two pages of fifty rows, and no room for a third.
    let expected = [(true, 0), (false, 0), (true, 0), (false, 0), (false, 9)];
    assert_eq!((&hidden, hidden.as_slice()), (&absent, &expected[..]));
}

#[test]
fn just_one_well_formed_header_carries_a_token() {
    for (values, token) in [
        (vec!["Bearer a.b.c"], Some("a.b.c")),
        (vec!["bearer a.b.c"], Some("a.b.c")),
        (vec![], None),
        (vec!["a.b.c"], None),
        (vec!["Basic a.b.c"], None),
        (vec!["Bearer"], None),
        (vec!["Bearer a.b.c", "Bearer d.e.f"], None),
    ] {
        assert_eq!(bearer_token(&headers(&values)).ok(), token, "{values:?}");
    }
}
