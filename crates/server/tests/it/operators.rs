//! Operators: let in by tokens of their own, to a service of their own, and to nothing else.

use crate::it::errors::assert_error;
use crate::it::fixture::{ANN, World, now, with_header};
use bytes::Bytes;
use gridtrail_access::OperatorKey;
use gridtrail_lake::Lake;
use gridtrail_proto::operate::v1::operator_service_client::OperatorServiceClient;
use gridtrail_proto::operate::v1::{
    DeadLetterState, GetDeadLetterRequest, GetDeadLetterResponse, GetLakeStatusRequest,
    ListDeadLettersRequest, ListDeadLettersResponse, ReconcileRequest, ReconcileResponse,
};
use gridtrail_proto::query::v1::GetFreshnessRequest;
use http_body_util::Full;
use prost_reflect::DescriptorPool;
use std::future::poll_fn;
use tonic::codegen::Service as _;
use tonic::codegen::http::{Request, Response};
use tonic::transport::Channel;
use tonic::{Code, Status};

/// The calls of the services of a package, by their paths.
fn paths(of: &[u8], package: &str) -> Vec<String> {
    let pool = DescriptorPool::decode(of).unwrap();
    let services = pool.services().filter(|service| service.package_name() == package);
    services
        .flat_map(|service| {
            let name = service.full_name().to_owned();
            service.methods().map(move |method| format!("/{name}/{}", method.name())).collect::<Vec<_>>()
        })
        .collect()
}

/// What a call of a path with a token and an empty message comes to.
async fn outcome(world: &World<Lake>, path: &str, token: &str) -> Status {
    let mut channel: Channel = world.channel().await;
    let request = Request::post(format!("http://{}{path}", world.address))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .header("authorization", format!("Bearer {token}"))
        .body(tonic::body::Body::new(Full::new(Bytes::from_static(&[0; 5]))))
        .unwrap();
    poll_fn(|context| channel.poll_ready(context)).await.unwrap();
    let response: Response<_> = channel.call(request).await.unwrap();
    Status::from_header_map(response.headers()).unwrap_or_else(|| Status::ok(""))
}

fn token_of(key: &OperatorKey, name: &str) -> String {
    key.mint(name, (now(), now().plus_millis(3_600_000))).unwrap()
}

async fn client(world: &World<Lake>) -> OperatorServiceClient<Channel> {
    OperatorServiceClient::new(world.channel().await)
}

/// Calls of one operator.
struct Desk {
    client: OperatorServiceClient<Channel>,
    authorization: String,
}

impl Desk {
    async fn of(world: &World<Lake>, key: &OperatorKey) -> Self {
        let authorization = format!("Bearer {}", token_of(key, "j.smith"));
        Self { client: client(world).await, authorization }
    }

    fn by<T>(&self, message: T) -> tonic::Request<T> {
        with_header(message, &self.authorization)
    }

    async fn list(&mut self, asked: ListDeadLettersRequest) -> Result<ListDeadLettersResponse, Status> {
        let request = self.by(asked);
        self.client.list_dead_letters(request).await.map(tonic::Response::into_inner)
    }

    async fn letter(&mut self, position: i64, with_record: bool) -> Result<GetDeadLetterResponse, Status> {
        let request = self.by(GetDeadLetterRequest { source: "file:bad".into(), position, with_record });
        self.client.get_dead_letter(request).await.map(tonic::Response::into_inner)
    }

    /// Asks until no proof is being made any more.
    async fn proved(&mut self, asked: ReconcileRequest) -> Result<ReconcileResponse, Status> {
        let mut asked = asked;
        loop {
            let request = self.by(asked.clone());
            let answer = self.client.reconcile(request).await?.into_inner();
            if !answer.running {
                return Ok(answer);
            }
            asked.anew = false;
            tokio::task::yield_now().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_sees_what_the_lake_holds_and_what_could_not_be_read() {
    let (world, key) = World::serve_operators().await;
    let mut desk = Desk::of(&world, &key).await;
    let request = desk.by(GetLakeStatusRequest {});
    let status = desk.client.get_lake_status(request).await.unwrap().into_inner();
    let told = world.lake.inspection().await.unwrap().status().await.unwrap();
    let names: Vec<_> = status.tables.iter().map(|table| (table.name.as_str(), table.files)).collect();
    assert_eq!(names, told.tables.iter().map(|table| (table.name, table.files)).collect::<Vec<_>>());
    assert!(names.contains(&("dead_letters", 1)), "{names:?}");
    let request = desk.by(GetFreshnessRequest::default());
    let freshness = desk.client.get_freshness(request).await.unwrap().into_inner();
    assert!(!freshness.sources.is_empty());

    let all = desk.list(ListDeadLettersRequest::default()).await.unwrap();
    let shown: Vec<_> = all.letters.iter().map(|letter| (letter.position, letter.reason.as_str())).collect();
    assert_eq!(shown, [(0, "command_variant is missing"), (1, "command_variant is missing"), (2, "no JSON")]);
    assert!(all.letters.iter().all(|letter| letter.state() == DeadLetterState::Open));
    assert!(!format!("{all:?}").contains("bad record"), "a list has no record");
    // Page by page, and by what the reason and the source hold.
    let (mut positions, mut page_token) = (Vec::new(), String::new());
    loop {
        let asked = ListDeadLettersRequest { page_size: 2, page_token, ..ListDeadLettersRequest::default() };
        let page = desk.list(asked).await.unwrap();
        positions.extend(page.letters.iter().map(|letter| letter.position));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    assert_eq!(positions, [0, 1, 2]);
    let by = |source: &str, reason: &str| ListDeadLettersRequest {
        source: source.into(),
        reason: reason.into(),
        ..ListDeadLettersRequest::default()
    };
    assert_eq!(desk.list(by("", "JSON")).await.unwrap().letters.len(), 1);
    assert_eq!(desk.list(by("bad.jsonl", "variant")).await.unwrap().letters.len(), 2);
    assert_eq!(desk.list(by("good", "")).await.unwrap().letters.len(), 0);

    let without = desk.letter(1, false).await.unwrap();
    assert!(without.record.is_empty() && without.key.is_empty() && without.headers.is_empty());
    let with = desk.letter(1, true).await.unwrap();
    assert_eq!(with.record, b"<bad record 1>");
    assert_eq!((with.key.as_slice(), with.headers[0].value.as_slice()), (&b"k"[..], &b"v"[..]));
    assert_error(&desk.letter(9, true).await.unwrap_err(), Code::NotFound, "DEAD_LETTER_NOT_FOUND", "404");
    for wrong in [
        ListDeadLettersRequest { page_size: 1_001, ..ListDeadLettersRequest::default() },
        ListDeadLettersRequest { page_token: "made up".into(), ..ListDeadLettersRequest::default() },
    ] {
        assert_error(&desk.list(wrong).await.unwrap_err(), Code::InvalidArgument, "INVALID_REQUEST", "400");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proof_is_made_beside_the_calls_and_read_page_by_page() {
    let (world, key) = World::serve_operators().await;
    let mut desk = Desk::of(&world, &key).await;
    let first = desk.proved(ReconcileRequest { page_size: 2, ..ReconcileRequest::default() }).await.unwrap();
    let proof = gridtrail_reconcile::reconcile(&world.lake).await.unwrap();
    let told = first.reconciliation.clone().unwrap();
    assert_eq!(
        (told.version, told.commits, told.files, told.fault_count, told.source_count),
        (proof.version, proof.commits, proof.files, proof.fault_count, proof.sources.len() as u64)
    );
    let mut sources = told.sources;
    let mut page_token = first.next_page_token;
    while !page_token.is_empty() {
        let asked = ReconcileRequest { page_size: 2, page_token, ..ReconcileRequest::default() };
        let page = desk.proved(asked).await.unwrap();
        sources.extend(page.reconciliation.unwrap().sources);
        page_token = page.next_page_token;
    }
    let shown: Vec<_> = sources.iter().map(|source| (source.source.clone(), source.dead_lettered)).collect();
    let expected: Vec<_> =
        proof.sources.iter().map(|source| (source.source.clone(), source.dead_lettered)).collect();
    assert_eq!(shown, expected);
    // Anew: a page of the proof before is none of this one.
    world.clock.advance(1_000);
    let anew = ReconcileRequest { page_size: 2, anew: true, ..ReconcileRequest::default() };
    let again = desk.proved(anew).await.unwrap();
    assert!(again.reconciliation.unwrap().at != told.at);
    let page_token = format!("{}-2", now().millis());
    let old = ReconcileRequest { page_token, ..ReconcileRequest::default() };
    assert_error(&desk.proved(old).await.unwrap_err(), Code::InvalidArgument, "INVALID_REQUEST", "400");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_token_but_an_operators_opens_the_service_for_operators() {
    let (world, key) = World::serve_operators().await;
    let paths = paths(
        &[gridtrail_proto::DESCRIPTORS, gridtrail_proto::OPERATE_DESCRIPTORS].concat(),
        "gridtrail.operate.v1",
    );
    assert_eq!(paths.len(), 5, "{paths:?}");
    let other = OperatorKey::generate().unwrap();
    for path in &paths {
        for token in [world.token(ANN, 1), token_of(&other, "j.smith"), "none".to_owned()] {
            let refused = outcome(&world, path, &token).await;
            assert_error(&refused, Code::Unauthenticated, "NO_IDENTITY", "401");
        }
    }
    let own = token_of(&key, "j.smith");
    for path in &paths {
        assert_ne!(outcome(&world, path, &own).await.code(), Code::Unauthenticated, "{path}");
    }
    world.clock.advance(3_600_000);
    for path in &paths {
        assert_eq!(outcome(&world, path, &own).await.code(), Code::Unauthenticated, "{path}: it has ended");
    }
}

/// Those by which people get in take no token, and tell an operator no more than anybody.
const OPEN: [&str; 3] = ["StartLogin", "Login", "Resume"];

#[tokio::test(flavor = "multi_thread")]
async fn an_operators_token_opens_no_other_service() {
    let (world, key) = World::serve_operators().await;
    let own = token_of(&key, "j.smith");
    let mut paths = paths(gridtrail_proto::DESCRIPTORS, "gridtrail.query.v1");
    paths.retain(|path| !OPEN.iter().any(|open| path.ends_with(&format!("SessionService/{open}"))));
    assert!(paths.len() >= 14, "{paths:?}");
    let flight = ["GetFlightInfo", "DoGet", "DoPut", "DoAction", "GetSchema", "Handshake", "ListFlights"];
    paths.extend(flight.map(|method| format!("/arrow.flight.protocol.FlightService/{method}")));
    for path in &paths {
        let refused = outcome(&world, path, &own).await;
        let is_refused = match refused.code() {
            Code::Unauthenticated => true,
            // What drivers of Flight may ask and this server does not answer, whoever asks.
            Code::Unimplemented | Code::InvalidArgument => path.contains("arrow.flight"),
            _ => false,
        };
        assert!(is_refused, "{path}: {refused:?}");
    }
    // A User is let in by each, so that it was the token that was refused; but a token that stands for itself has no session to end.
    let ann = world.token(ANN, 1);
    let let_in = paths.iter().filter(|path| path.contains("gridtrail.query") && !path.ends_with("/Logout"));
    for path in let_in {
        assert_ne!(outcome(&world, path, &ann).await.code(), Code::Unauthenticated, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_operators_there_is_no_service_for_them() {
    let world = World::serve_lake().await;
    let key = OperatorKey::generate().unwrap();
    for token in [token_of(&key, "j.smith"), world.token(ANN, 1)] {
        let path = "/gridtrail.operate.v1.OperatorService/GetLakeStatus";
        let status = outcome(&world, path, &token).await;
        assert_error(&status, Code::Unimplemented, "NO_SUCH_SERVICE", "501");
    }
    let pool = DescriptorPool::decode(gridtrail_proto::DESCRIPTORS).unwrap();
    assert!(pool.services().all(|service| service.package_name() != "gridtrail.operate.v1"));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_call_of_an_operator_is_on_record_under_their_name() {
    let (world, key) = World::serve_operators().await;
    let mut desk = Desk::of(&world, &key).await;
    desk.list(ListDeadLettersRequest::default()).await.unwrap();
    desk.letter(1, false).await.unwrap();
    desk.letter(1, true).await.unwrap();
    desk.letter(9, true).await.unwrap_err();
    let refused = with_header(GetLakeStatusRequest {}, &format!("Bearer {}", world.token(ANN, 1)));
    desk.client.get_lake_status(refused).await.unwrap_err();
    let recorded = world.recorded().await;
    let by: Vec<_> = recorded
        .iter()
        .map(|entry| {
            let key = entry.key_kind.as_deref().zip(entry.key.as_deref());
            (&*entry.call, entry.subject.as_deref(), &*entry.outcome, key, entry.rows)
        })
        .collect();
    let letter = "OperatorService.GetDeadLetter";
    let smith = Some("j.smith");
    assert_eq!(
        by,
        [
            ("OperatorService.ListDeadLetters", smith, "OK", None, Some(3)),
            (letter, smith, "OK", Some(("dead_letter", "file:bad@1")), Some(1)),
            (letter, smith, "OK", Some(("dead_letter_record", "file:bad@1")), Some(1)),
            (letter, smith, "NOT_FOUND", Some(("dead_letter_record", "file:bad@9")), None),
            ("OperatorService.GetLakeStatus", None, "UNAUTHENTICATED", None, None),
        ]
    );
    assert!(recorded.iter().all(|entry| entry.party.is_none() && entry.roles.is_none()));
    assert!(!format!("{recorded:?}").contains("bad record"));
}
