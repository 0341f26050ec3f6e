//! What is on record of calls: who, what, how many rows, and how many of those were another User's.

use crate::it::fixture::{ANN, BOB, METER, MPAN, World, of_meter, party_of, with_header};
use gridtrail_access_log::Entry;
use gridtrail_proto::query::v1::{GetRequest, ProfileRequest, SearchRequest, search_request::Key};

fn of_mpan() -> SearchRequest {
    SearchRequest {
        key: Some(Key::Mpxn(MPAN.into())),
        service_reference_variants: vec!["4.8.2".into(), "4.8.1".into(), "4.8.1".into()],
        from: "2026-03-01".into(),
        to: "2026-03-01".into(),
        page_size: 1,
        ..SearchRequest::default()
    }
}

/// What every row of a caller says.
fn assert_whose(entry: &Entry, user: &str, role: &str) {
    assert_eq!(entry.subject.as_deref(), Some(format!("someone at {user}").as_str()));
    assert_eq!(entry.party.as_deref(), Some(party_of(user).as_str()));
    assert_eq!(entry.roles.as_deref(), Some(role));
    assert!(entry.peer.as_deref().is_some_and(|peer| peer.starts_with("127.0.0.1:")), "{entry:?}");
    assert!(entry.took_us.is_some() && entry.times == 1, "{entry:?}");
}

fn ended(entry: &Entry) -> (&str, &str, Option<&str>) {
    (&entry.call, &entry.outcome, entry.reason.as_deref())
}

fn rows(entry: &Entry) -> (Option<u64>, Option<u64>) {
    (entry.rows, entry.rows_of_others)
}

#[tokio::test]
async fn a_search_is_on_record_as_it_was_executed_and_counts_rows_of_others() {
    let world = World::serve().await;
    let (mut audit, mut reads) = (world.audit_trails().await, world.meter_reads().await);
    // Meter reads are open to all: Bob is shown two of Ann's, and then one a page.
    let all = reads.search(world.by(BOB, of_meter())).await.unwrap().into_inner();
    assert_eq!(all.rows.len(), 2);
    let first = reads.search(world.by(BOB, of_mpan())).await.unwrap().into_inner();
    let next = SearchRequest { page_token: first.next_page_token.clone(), ..of_mpan() };
    reads.search(world.by(BOB, next)).await.unwrap();
    let reference = all.rows[0].reference.clone();
    reads
        .get(world.by(BOB, GetRequest { reference: reference.clone(), ..GetRequest::default() }))
        .await
        .unwrap();
    // Ann sees her own, and nobody else's.
    reads.search(world.by(ANN, of_meter())).await.unwrap();
    audit.search(world.by(ANN, of_meter())).await.unwrap();
    let own =
        audit.get(world.by(BOB, GetRequest { reference: reference.clone(), ..GetRequest::default() })).await;
    own.unwrap_err();
    let version = all.snapshot_version;
    let entries = world.recorded().await;
    let [whole, paged, later, got, anns, trails, missed] = entries.as_slice() else { panic!("{entries:#?}") };

    for entry in [whole, paged, later, got, missed] {
        assert_whose(entry, BOB, "role-01");
    }
    assert_whose(anns, ANN, "role-01");
    let of_meter = (Some("device_id"), Some(METER));
    for (entry, counts, later_page) in
        [(whole, (2, 2), false), (anns, (2, 0), false), (trails, (2, 0), false)]
    {
        assert_eq!(rows(entry), (Some(counts.0), Some(counts.1)), "{entry:?}");
        assert_eq!((entry.key_kind.as_deref(), entry.key.as_deref()), of_meter);
        assert_eq!((entry.page_size, entry.later_page), (Some(50), Some(later_page)), "as it was executed");
        assert_eq!((entry.outcome.as_ref(), entry.version.as_ref()), ("OK", Some(&version)));
    }
    assert_eq!(ended(whole).0, "MeterReadService.Search");
    assert_eq!(ended(trails).0, "AuditTrailService.Search");
    for (entry, later_page) in [(paged, false), (later, true)] {
        assert_eq!((entry.key_kind.as_deref(), entry.key.as_deref()), (Some("mpxn"), Some(MPAN)));
        assert_eq!(entry.variants.as_deref(), Some("4.8.1,4.8.2"), "each once");
        let period = [entry.from, entry.to].map(|time| time.unwrap().to_string());
        assert_eq!(period, ["2026-03-01T00:00:00.000Z", "2026-03-01T23:59:59.999Z"]);
        assert_eq!((entry.page_size, entry.later_page), (Some(1), Some(later_page)));
        assert_eq!(rows(entry), (Some(1), Some(1)));
    }
    let of_row = (Some("reference"), Some(reference.as_str()));
    for (entry, outcome, counts) in [(got, "OK", (Some(1), Some(1))), (missed, "NOT_FOUND", (None, None))] {
        assert_eq!((entry.key_kind.as_deref(), entry.key.as_deref()), of_row);
        assert_eq!((entry.outcome.as_ref(), rows(entry)), (outcome, counts));
    }
}

#[tokio::test]
async fn denials_refusals_and_profiles_are_on_record_and_no_token_is() {
    let world = World::serve().await;
    let (mut audit, mut sessions) = (world.audit_trails().await, world.sessions().await);
    let token = world.token(ANN, 11);
    audit.search(with_header(of_meter(), &format!("Bearer {token}"))).await.unwrap_err();
    sessions.profile(world.by(ANN, ProfileRequest {})).await.unwrap();
    audit.search(tonic::Request::new(of_meter())).await.unwrap_err();
    let signature = token.rfind('.').unwrap() + 1;
    let other = if token[signature..].starts_with('A') { "B" } else { "A" };
    let forged = format!("{}{other}{}", &token[..signature], &token[signature + 1..]);
    audit.search(with_header(of_meter(), &format!("Bearer {forged}"))).await.unwrap_err();
    let unreadable = SearchRequest { key: Some(Key::Mpxn("secret text".into())), ..SearchRequest::default() };
    audit.search(world.by(ANN, unreadable)).await.unwrap_err();
    let entries = world.recorded().await;
    let shown = format!("{entries:#?}");
    assert!(
        !shown.contains(&token[..40]) && !shown.contains(&forged) && !shown.contains("secret text"),
        "{shown}"
    );
    let [denied, profile, none, refused, invalid] = entries.as_slice() else { panic!("{shown}") };
    assert_whose(denied, ANN, "role-11");
    let search = "AuditTrailService.Search";
    assert_eq!(ended(denied), (search, "PERMISSION_DENIED", Some("ROLE_MISSING")));
    assert_eq!((denied.key.as_deref(), rows(denied)), (Some(METER), (None, None)), "what was asked for");
    assert_eq!(ended(profile), ("SessionService.Profile", "OK", None));
    assert_whose(profile, ANN, "role-01");
    for (entry, detail) in [(none, None), (refused, Some("check token: its signature does not fit"))] {
        assert_eq!(ended(entry), (search, "UNAUTHENTICATED", Some("NO_IDENTITY")));
        assert_eq!((entry.subject.as_ref(), entry.key.as_ref()), (None, None));
        assert!(entry.peer.is_some());
        assert_eq!(entry.detail.as_deref(), detail);
    }
    assert_eq!(ended(invalid), (search, "INVALID_ARGUMENT", Some("INVALID_REQUEST")));
    assert_eq!(invalid.key, None);
}
