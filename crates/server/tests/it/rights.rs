//! Every functional component that has a service × every Job Type Role × every way in which two Users may stand to each other,
//! against a running server. What must come of it is written here by hand, from the tables of the specification.

use crate::fixture::{ANN, BOB, World, now, of_meter, party_of, time, with_header};
use gridtrail_access::{AccessEvent, Assignment, Notice, NoticeKind, Sharing};
use gridtrail_model::{Timestamp, UserId, UserRole};
use gridtrail_proto::query::v1::{GetRequest, ProfileRequest, SearchRequest, SearchResponse};
use std::collections::BTreeMap;
use std::sync::Arc;
use tonic::{Code, Response, Status};

/// Columns of the table with a Y in the row of Service Audit Trails, and in that of Meter Read Transactions.
const AUDIT_ROLES: [u8; 10] = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10];
const METER_READ_ROLES: [u8; 10] = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10];

const ROLE_03_MAY_USE: [&str; 14] = [
    "Raise service management incidents",
    "Update service management incidents",
    "View service management incidents",
    "Problem management",
    "Smart metering inventory",
    "DCC service status",
    "Service audit trails",
    "Meter read transactions",
    "Knowledge management",
    "FAQs",
    "DCC user manuals",
    "Search",
    "Log in",
    "User profile information",
];
const ROLE_11_MAY_USE: [&str; 16] = [
    "Raise service management incidents",
    "Update service management incidents",
    "View service management incidents",
    "Problem management",
    "Smart metering inventory",
    "SM WAN network coverage",
    "Service catalogue publication and call off",
    "Communications Hub availability and diagnostics",
    "Reporting",
    "Knowledge management",
    "FAQs",
    "DCC user manuals",
    "Search",
    "Forecasting and ordering of Communications Hubs and auxiliary equipment",
    "Log in",
    "User profile information",
];

/// How Ann's User ID stands to Bob's Party, and whether Bob sees her rows.
const RELATIONS: [(&str, bool); 6] = [
    ("own", true),
    ("granted", true),
    ("rescinded", false),
    ("one-sided", false),
    ("waiting", false),
    ("stranger", false),
];

fn id(text: &str) -> UserId {
    text.parse().unwrap()
}

/// A confirmed notification of one of the two about the other; `confirmed` is when.
fn told(
    sharing: &mut Sharing,
    kind: NoticeKind,
    (by, with): (&str, &str),
    sent: &str,
    confirmed: Option<&str>,
) {
    let notification: gridtrail_access::NoticeId = format!("{kind:?} {by} {sent}").parse().unwrap();
    let notice = Notice {
        kind,
        by: party_of(by),
        with: party_of(with),
        own: [id(by)].into(),
        other: [id(with)].into(),
        at: time(sent),
        sro: None,
    };
    sharing.take(AccessEvent::Notified { id: notification.clone(), notice });
    if let Some(confirmed) = confirmed {
        sharing.take(AccessEvent::Confirmed { id: notification, at: time(confirmed) });
    }
}

fn assigned(sharing: &mut Sharing, user: &str, to: &str) {
    let to = Some(Assignment { party: party_of(to), role: UserRole::IS, descriptor: None });
    sharing.take(AccessEvent::Assigned { user_id: id(user), to, from: Timestamp::MIN });
}

fn world_of(relation: &str) -> Arc<Sharing> {
    let mut sharing = Sharing::default();
    assigned(&mut sharing, BOB, BOB);
    assigned(&mut sharing, ANN, if relation == "own" { BOB } else { ANN });
    let (day, next) = ("2026-02-01T09:00:00Z", "2026-02-02T09:00:00Z");
    let grant = NoticeKind::Grant;
    if ["granted", "rescinded", "one-sided", "waiting"].contains(&relation) {
        told(&mut sharing, grant, (BOB, ANN), day, Some(next));
    }
    if ["granted", "rescinded"].contains(&relation) {
        told(&mut sharing, grant, (ANN, BOB), day, Some(next));
    }
    if relation == "waiting" {
        told(&mut sharing, grant, (ANN, BOB), day, None);
    }
    if relation == "rescinded" {
        told(
            &mut sharing,
            NoticeKind::Rescind,
            (ANN, BOB),
            "2026-02-03T09:00:00Z",
            Some("2026-02-04T09:00:00Z"),
        );
    }
    Arc::new(sharing)
}

/// How many rows each User has in an answer.
fn counts(answer: &SearchResponse) -> BTreeMap<&str, usize> {
    let mut counts = BTreeMap::new();
    for row in &answer.rows {
        *counts.entry(row.dcc_service_user_organisation_id.as_str()).or_default() += 1;
    }
    counts
}

/// Two answers that must not be told apart.
fn face(status: &Status) -> (Code, String, Vec<u8>) {
    (status.code(), status.message().to_owned(), status.details().to_vec())
}

fn denied<T: std::fmt::Debug>(answer: Result<Response<T>, Status>, component: &str) {
    let status = answer.unwrap_err();
    assert_eq!(status.code(), Code::PermissionDenied);
    assert_eq!(status.message(), format!("none of your Job Type Roles may use {component}"));
}

/// A reference of the same form, to a row that is not there: its seventh character is of the Device.
fn of_another_device(reference: &str) -> String {
    let change = |(at, c)| if at != 6 { c } else { char::from(if c == 'A' { b'B' } else { b'A' }) };
    reference.chars().enumerate().map(change).collect()
}

#[tokio::test]
async fn every_component_for_every_role_and_every_way_to_stand_to_another_user() {
    let world = World::serve().await;
    let (mut audit, mut reads) = (world.audit_trails().await, world.meter_reads().await);
    let anns = audit.search(world.by(ANN, of_meter())).await.unwrap().into_inner().rows;
    let reference = |row: usize| GetRequest { reference: anns[row].reference.clone() };
    let nowhere = GetRequest { reference: of_another_device(&anns[0].reference) };
    let mut cases = 0;
    for (relation, seen) in RELATIONS {
        world.admission.replace(world_of(relation));
        for role in 1..=11 {
            cases += 1;
            let bearer = format!("Bearer {}", world.token_of(BOB, &[BOB, ANN], role));
            let search = || with_header(of_meter(), &bearer);
            let found = audit.search(search()).await;
            let got = audit.get(with_header(reference(0), &bearer)).await;
            if AUDIT_ROLES.contains(&role) {
                let found = found.unwrap().into_inner();
                let expected: &[(&str, usize)] = if seen { &[(ANN, 2), (BOB, 1)] } else { &[(BOB, 1)] };
                assert_eq!(counts(&found), expected.iter().copied().collect(), "{relation} {role}");
                match got {
                    Ok(_) => assert!(seen, "{relation} {role}"),
                    Err(status) => {
                        assert!(!seen, "{relation} {role}: {status}");
                        let none = audit.get(with_header(nowhere.clone(), &bearer)).await.unwrap_err();
                        assert_eq!(face(&status), face(&none), "not yours is as not there");
                    }
                }
            } else {
                denied(found, "Service audit trails");
                denied(got, "Service audit trails");
            }
            let found = reads.search(search()).await;
            let got = reads.get(with_header(reference(0), &bearer)).await;
            if METER_READ_ROLES.contains(&role) {
                // Open to all Users: Ann's two reads, with her name, however she stands to Bob; his other row is no read.
                assert_eq!(
                    counts(&found.unwrap().into_inner()),
                    BTreeMap::from([(ANN, 2)]),
                    "{relation} {role}"
                );
                assert!(got.is_ok());
            } else {
                denied(found, "Meter read transactions");
                denied(got, "Meter read transactions");
            }
        }
    }
    assert_eq!(cases, RELATIONS.len() * 11);
}

/// The page after a rescission shows nothing of what it ended, by the token that the page before gave.
#[tokio::test]
async fn a_rescission_holds_for_open_pages_and_sessions_at_once() {
    let world = World::serve().await;
    world.admission.replace(world_of("granted"));
    let bearer = format!("Bearer {}", world.token_of(BOB, &[BOB, ANN], 1));
    let mut audit = world.audit_trails().await;
    let ask = |page_size, page_token: &str| {
        let request = SearchRequest { page_size, page_token: page_token.to_owned(), ..of_meter() };
        with_header(request, &bearer)
    };
    let first = audit.search(ask(1, "")).await.unwrap().into_inner();
    assert_eq!(first.rows[0].dcc_service_user_organisation_id, BOB, "Bob's is the newest");
    let rest = audit.search(ask(10, &first.next_page_token)).await.unwrap().into_inner();
    assert_eq!(counts(&rest), BTreeMap::from([(ANN, 2)]));
    world.admission.replace(world_of("rescinded"));
    let rest = audit.search(ask(10, &first.next_page_token)).await.unwrap().into_inner();
    assert_eq!(rest.rows, []);
    let anew = audit.search(ask(10, "")).await.unwrap().into_inner();
    assert_eq!(counts(&anew), BTreeMap::from([(BOB, 1)]));
    // As it was then does not mean by the rights of then.
    let then = SearchRequest { as_of: now().to_string(), ..of_meter() };
    let then = audit.search(with_header(then, &bearer)).await.unwrap().into_inner();
    assert_eq!(counts(&then), BTreeMap::from([(BOB, 1)]));
}

#[tokio::test]
async fn a_profile_tells_what_the_server_makes_of_a_token_now() {
    let world = World::serve().await;
    let mut sessions = world.sessions().await;
    world.admission.replace(world_of("granted"));
    // The columns 3 and 11 of the specification's table.
    for (role, name, open) in [(3, "role-03", &ROLE_03_MAY_USE[..]), (11, "role-11", &ROLE_11_MAY_USE[..])] {
        let bearer = format!("Bearer {}", world.token_of(BOB, &[BOB, ANN], role));
        let profile = sessions.profile(with_header(ProfileRequest {}, &bearer)).await.unwrap().into_inner();
        assert_eq!(
            (profile.party, profile.job_type_roles),
            (party_of(BOB).to_string(), vec![name.to_owned()])
        );
        assert_eq!(profile.user_ids, [BOB, ANN], "in ascending order");
        assert_eq!(profile.functional_components, open, "{name}");
        let ends = profile.expires_at.unwrap().seconds;
        assert_eq!(ends, (now().millis() + 12 * 3_600_000) / 1_000);
    }
    world.admission.replace(world_of("rescinded"));
    let bearer = format!("Bearer {}", world.token_of(BOB, &[BOB, ANN], 3));
    let profile = sessions.profile(with_header(ProfileRequest {}, &bearer)).await.unwrap().into_inner();
    assert_eq!(profile.user_ids, [BOB]);
    let nobody = sessions.profile(tonic::Request::new(ProfileRequest {})).await.unwrap_err();
    assert_eq!(nobody.code(), Code::Unauthenticated);
}

#[tokio::test]
async fn without_events_of_access_there_are_meter_reads_and_nothing_else() {
    let world = World::serve().await;
    world.admission.replace(Arc::default());
    for user in [ANN, BOB] {
        let audit = world.audit_trails().await.search(world.by(user, of_meter())).await.unwrap();
        assert_eq!(audit.into_inner().rows, [], "{user}");
        let reads = world.meter_reads().await.search(world.by(user, of_meter())).await.unwrap();
        assert_eq!(reads.into_inner().rows.len(), 2, "{user}");
    }
}

#[tokio::test]
async fn nobody_is_let_in_while_it_is_not_known_who_shares_with_whom() {
    let world = World::serve().await;
    world.admission.suspend();
    for status in [
        world.audit_trails().await.search(world.by(ANN, of_meter())).await.unwrap_err(),
        world.meter_reads().await.search(world.by(ANN, of_meter())).await.unwrap_err(),
    ] {
        assert_eq!(status.code(), Code::Unavailable);
        assert_eq!(status.message(), "it cannot be told just now who may see what; try again");
    }
    world.admission.replace(world_of("stranger"));
    assert!(world.audit_trails().await.search(world.by(ANN, of_meter())).await.is_ok());
}
