//! Whose rows a caller sees, by how two Users stand to each other: what holds at once, what a profile tells of it, and what is
//! left where nothing is known. Every way for every role and component is in the matrix.

use crate::it::fixture::{ANN, BOB, World, now, of_meter, party_of, time, with_header};
use crate::it::matrix::open_to;
use gridtrail_access::{AccessEvent, Assignment, Notice, NoticeKind, Sharing};
use gridtrail_model::{Timestamp, UserId, UserRole};
use gridtrail_proto::query::v1::{ProfileRequest, SearchRequest, SearchResponse};
use std::collections::BTreeMap;
use std::sync::Arc;
use tonic::Code;

/// How Ann's User ID stands to Bob's Party, and whether Bob sees her rows.
pub(crate) const RELATIONS: [(&str, bool); 6] = [
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

/// Who shares with whom, where Ann's User ID stands to Bob's Party in this way.
pub(crate) fn world_of(relation: &str) -> Arc<Sharing> {
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
pub(crate) fn counts(answer: &SearchResponse) -> BTreeMap<&str, usize> {
    let mut counts = BTreeMap::new();
    for row in &answer.rows {
        *counts.entry(row.user_id.as_str()).or_default() += 1;
    }
    counts
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
    assert_eq!(first.rows[0].user_id, BOB, "Bob's is the newest");
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
    for (role, name) in [(3, "role-03"), (11, "role-11")] {
        let bearer = format!("Bearer {}", world.token_of(BOB, &[BOB, ANN], role));
        let profile = sessions.profile(with_header(ProfileRequest {}, &bearer)).await.unwrap().into_inner();
        assert_eq!(
            (profile.party, profile.job_type_roles),
            (party_of(BOB).to_string(), vec![name.to_owned()])
        );
        assert_eq!(profile.user_ids, [BOB, ANN], "in ascending order");
        assert_eq!(profile.functional_components, open_to(&[role]), "{name}");
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
