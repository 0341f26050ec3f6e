//! What searches give.

use crate::it::fixture::{ANN, BOB, METER, MPAN, World, alert_that_claims, of_meter};
use gridtrail_lake::{Batch, SnapshotVersion, SourceEvidence};
use gridtrail_proto::query::v1::{
    DeviceResolution, GetRequest, RowView, SearchRequest, SearchResponse, StatusChange, TrailDetails,
    TrailRow, search_request::Key,
};

fn time(text: &str) -> pbjson_types::Timestamp {
    let millis = text.parse::<gridtrail_model::Timestamp>().unwrap().millis();
    pbjson_types::Timestamp {
        seconds: millis / 1000,
        nanos: i32::try_from(millis % 1000 * 1_000_000).unwrap(),
    }
}

fn done() -> TrailRow {
    let change = |at: &str, state: &str, response_code: &str, cause: &str| StatusChange {
        at: Some(time(at)),
        state: state.into(),
        response_code: response_code.into(),
        cause: cause.into(),
        ..StatusChange::default()
    };
    TrailRow {
        reference: String::new(),
        matched_device_id: METER.into(),
        dcc_service_user_organisation_id: format!("({ANN})Party {ANN}/IS"),
        device_id: METER.into(),
        gbcs_transaction_sequence_number: Some(7),
        mpxn: MPAN.into(),
        service_request_received_at: Some(time("2026-03-01T09:30:00.250Z")),
        service_response_sent_at: Some(time("2026-03-01T09:31:02.003Z")),
        service_reference: "4.8".into(),
        service_reference_variant: "4.8.1".into(),
        simplified_transaction_status: "Success".into(),
        details: Some(TrailDetails {
            request_id: format!("{ANN}:{METER}:1"),
            response_id: format!("{METER}:{ANN}:1"),
            csp_region: "North".into(),
            csp_region_raw: "4G North".into(),
            mode_of_operation: "On Demand".into(),
            preceding_request_id: format!("{ANN}:{METER}:0"),
            service_reference_variant_name: "Read Active Import Profile Data".into(),
            command_variant: Some(1),
            response_code: "I0".into(),
            current_status: "RESPONSE_SENT".into(),
            anomaly_detection_flag: true,
            status_change_history: vec![
                change("2026-03-01T09:30:00.250Z", "RECEIVED", "", ""),
                change("2026-03-01T09:30:01Z", "QUARANTINED", "", "threshold 3"),
                change("2026-03-01T09:31:02.003Z", "RESPONSE_SENT", "I0", ""),
            ],
            last_recorded_at: Some(time("2026-03-01T09:31:02.003Z")),
            status_change_history_count: 3,
            ..TrailDetails::default()
        }),
        user_id: ANN.into(),
        device_resolution: DeviceResolution::Direct.into(),
    }
}

fn received(response: &SearchResponse) -> Vec<pbjson_types::Timestamp> {
    response.rows.iter().filter_map(|row| row.service_request_received_at).collect()
}

#[tokio::test]
async fn a_device_alone_gives_own_rows_newest_first_with_every_field() {
    let world = World::serve().await;
    let response = world.audit_trails().await.search(world.by(ANN, of_meter())).await.unwrap().into_inner();
    assert_eq!(received(&response), [time("2026-03-01T10:00:00Z"), time("2026-03-01T09:30:00.250Z")]);
    assert_eq!(response.rows[0].simplified_transaction_status, "In Progress");
    assert_eq!(TrailRow { reference: String::new(), ..response.rows[1].clone() }, done());
    assert_eq!(response.complete_up_to, Some(time("2026-03-01T23:59:00Z")));
    assert_eq!(response.device_resolution(), DeviceResolution::Direct);
    assert_eq!(
        (response.snapshot_version.as_str(), response.next_page_token.as_str()),
        (SnapshotVersion::of_trails(1).to_string().as_str(), "")
    );
}

/// A table has the rows and every field of them but the details, page by page as with details; and another page may have them.
#[tokio::test]
async fn a_table_is_the_answer_without_its_details() {
    let world = World::serve().await;
    let mut service = world.audit_trails().await;
    let mut ask = async |request: SearchRequest| {
        service.search(world.by(ANN, request)).await.map(tonic::Response::into_inner)
    };
    let without = |rows: &[TrailRow]| {
        rows.iter().map(|row| TrailRow { details: None, ..row.clone() }).collect::<Vec<_>>()
    };
    let full = ask(of_meter()).await.unwrap();
    assert!(full.rows.iter().all(|row| row.details.is_some()));
    let table = |request| SearchRequest { view: RowView::Table.into(), ..request };
    let answer = ask(table(of_meter())).await.unwrap();
    assert_eq!(answer.rows, without(&full.rows));
    assert_eq!(
        ask(SearchRequest { view: RowView::Full.into(), ..of_meter() }).await.unwrap().rows,
        full.rows
    );

    let first = ask(table(SearchRequest { page_size: 1, ..of_meter() })).await.unwrap();
    assert_eq!(first.rows, without(&full.rows[..1]));
    let rest = SearchRequest { page_token: first.next_page_token, ..of_meter() };
    assert_eq!(ask(rest).await.unwrap().rows, full.rows[1..]);

    let status = ask(SearchRequest { view: 9, ..of_meter() }).await.unwrap_err();
    assert_eq!(status.code(), tonic::Code::InvalidArgument);
    assert!(status.message().contains("view"), "{status}");
}

#[tokio::test]
async fn meter_reads_of_all_users_are_open_and_nothing_else_is() {
    let world = World::serve().await;
    let by_mpan = SearchRequest { key: Some(Key::Mpxn(MPAN.into())), ..SearchRequest::default() };
    let response = world.meter_reads().await.search(world.by(BOB, by_mpan)).await.unwrap().into_inner();
    assert_eq!(response.device_resolution(), DeviceResolution::BySeenPairs);
    let seen: Vec<_> = response.rows.iter().map(|row| row.user_id.as_str()).collect();
    assert_eq!(seen, [ANN, ANN], "and not Bob's own 6.8");
}

#[tokio::test]
async fn a_row_is_got_by_its_reference() {
    let world = World::serve().await;
    let mut client = world.audit_trails().await;
    let row = client.search(world.by(ANN, of_meter())).await.unwrap().into_inner().rows.remove(1);
    let reference = row.reference.clone();
    let answer = client
        .get(world.by(ANN, GetRequest { reference: reference.clone(), ..GetRequest::default() }))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(answer.row, Some(row.clone()));
    assert_eq!(answer.complete_up_to, Some(time("2026-03-01T23:59:00Z")));
    let other_way = world
        .meter_reads()
        .await
        .get(world.by(BOB, GetRequest { reference, ..GetRequest::default() }))
        .await
        .unwrap();
    let mut of_another = row;
    let details = of_another.details.as_mut().unwrap();
    (details.csp_region_raw, details.last_recorded_at) = (String::new(), None);
    details.status_change_history.iter_mut().for_each(|entry| entry.cause.clear());
    assert_eq!(other_way.into_inner().row, Some(of_another), "4.8.1 is open to Bob as a meter read");
}

#[tokio::test]
async fn filters_and_pages_go_through() {
    let world = World::serve().await;
    let mut client = world.audit_trails().await;
    let first = SearchRequest { page_size: 1, ..of_meter() };
    let page = client.search(world.by(ANN, first.clone())).await.unwrap().into_inner();
    let second = SearchRequest { page_token: page.next_page_token, ..first };
    let rest = client.search(world.by(ANN, second)).await.unwrap().into_inner();
    assert_eq!((received(&rest).len(), rest.next_page_token.as_str()), (1, ""));
    for (from, to, rows) in [
        ("2026-03-01", "2026-03-01", 2),
        ("2026-03-01T09:30:00.250Z", "2026-03-01T09:30:00.250Z", 1),
        ("2026-03-01T09:30:00.251Z", "", 1),
        ("", "2026-02-28", 0),
    ] {
        let request = SearchRequest { from: from.into(), to: to.into(), ..of_meter() };
        let response = client.search(world.by(ANN, request)).await.unwrap().into_inner();
        assert_eq!(response.rows.len(), rows, "from {from} to {to}");
    }
    let other = SearchRequest { service_reference_variants: vec!["4.8.2".into()], ..of_meter() };
    assert!(client.search(world.by(ANN, other)).await.unwrap().into_inner().rows.is_empty());
}

/// A Device Alert to Ann whose event claims a variant that is open to all, as two lakes may hold it: one where the claim was
/// folded, as was once done, and one where it was not.
#[tokio::test(flavor = "multi_thread")]
async fn alerts_never_qualify_for_the_meter_read_service() {
    let world = World::serve_lake().await;
    let mut writer = world.lake.writer().await.unwrap();
    for (number, stored_claim) in [(1, true), (2, false)] {
        let alert = alert_that_claims("4.8.1", number, stored_claim);
        let source =
            SourceEvidence { source: format!("file:alert-{number}"), first: true, to: 1, ..<_>::default() };
        let batch = Batch { fragments: vec![alert], sources: vec![source], ..Batch::default() };
        writer.commit(batch).await.unwrap();
    }
    let own = world.audit_trails().await.search(world.by(ANN, of_meter())).await.unwrap().into_inner();
    let alerts: Vec<&TrailRow> =
        own.rows.iter().filter(|row| row.service_reference_variant.is_empty()).collect();
    assert_eq!((own.rows.len(), alerts.len()), (4, 2));

    let mut reads = world.meter_reads().await;
    let by_mpan = SearchRequest { key: Some(Key::Mpxn(MPAN.into())), ..SearchRequest::default() };
    let by_variant = SearchRequest { service_reference_variants: vec!["4.8.1".into()], ..of_meter() };
    for request in [of_meter(), by_mpan, by_variant] {
        for caller in [ANN, BOB] {
            let mut request = SearchRequest { page_size: 1, ..request.clone() };
            let mut seen = 0;
            loop {
                let page = reads.search(world.by(caller, request.clone())).await.unwrap().into_inner();
                assert!(page.rows.iter().all(|row| row.service_reference_variant == "4.8.1"), "{page:?}");
                seen += page.rows.len();
                request.page_token = page.next_page_token;
                if request.page_token.is_empty() {
                    break;
                }
            }
            assert_eq!(seen, 2, "{request:?}");
        }
    }
    for alert in alerts {
        let request = GetRequest { reference: alert.reference.clone(), ..GetRequest::default() };
        assert!(world.audit_trails().await.get(world.by(ANN, request.clone())).await.is_ok());
        for caller in [ANN, BOB] {
            let status = reads.get(world.by(caller, request.clone())).await.unwrap_err();
            assert_eq!(status.code(), tonic::Code::NotFound);
        }
    }
}
