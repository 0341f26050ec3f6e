//! Groups that are found by words are those that the engine finds.

use crate::it::world::*;
use datafusion::datasource::MemTable;
use datafusion::prelude::SessionContext;
use gridtrail_model::*;
use gridtrail_sql::{SecuredSession, Spill, SqlLimits};
use gridtrail_synth::{Settings, World};
use std::num::NonZeroU32;
use std::sync::Arc;

const STATEMENTS: &[&str] = &[
    "SELECT simplified_transaction_status, count(*) FROM audit_trails GROUP BY 1",
    "SELECT response_code, count(*), count(response_code) FROM audit_trails GROUP BY 1",
    "SELECT service_reference_variant, response_code, current_status, count(*) FROM audit_trails GROUP BY 1, 2, 3",
    "SELECT date_trunc('month', service_request_received_at), user_id, count(*) FROM audit_trails GROUP BY 1, 2",
    "SELECT date_trunc('hour', service_request_received_at), count(*) FROM audit_trails GROUP BY 1",
    "SELECT date_trunc('week', service_response_sent_at), mode_of_operation, count(*) FROM audit_trails GROUP BY 1, 2",
    "SELECT date_trunc('minute', execution_at), current_status, count(*) FROM audit_trails GROUP BY 1, 2",
    "SELECT date_trunc('day', service_response_sent_at + INTERVAL '90 minutes'), count(*) FROM audit_trails GROUP BY 1",
    "SELECT user_id, count(DISTINCT device_id) FROM audit_trails GROUP BY 1",
    "SELECT user_id, device_id, mpxn, max(service_request_received_at) FROM audit_trails GROUP BY 1, 2, 3",
    "SELECT alert_code, command_variant, min(device_id), avg(array_length(status_change_history)) FROM audit_trails GROUP BY 1, 2",
    "SELECT csp_region, count(*) FILTER (WHERE simplified_transaction_status = 'Failure') FROM audit_trails GROUP BY 1",
    "SELECT csp_region, count(*) FROM audit_trails WHERE simplified_transaction_status IN ('Failure', 'Success') AND response_code IS NOT NULL GROUP BY 1 HAVING count(*) > 3",
    "SELECT service_reference_variant, \
     round(1000 * avg(date_part('epoch', service_response_sent_at) - date_part('epoch', service_request_received_at))) \
     FROM audit_trails WHERE service_reference_variant IN ('4.8.1', '4.6.1', '6.15.1', '1.1.1', '8.11') GROUP BY 1",
    "SELECT a.current_status, b.mode_of_operation, count(*) FROM audit_trails a JOIN audit_trails b ON a.request_id = b.preceding_request_id GROUP BY 1, 2",
    "SELECT status, max(trails) FROM (SELECT current_status AS status, csp_region, count(*) AS trails FROM audit_trails GROUP BY 1, 2) GROUP BY 1",
    "SELECT csp_region, mode_of_operation, count(*) FROM audit_trails GROUP BY ROLLUP (csp_region, mode_of_operation)",
    "SELECT DISTINCT current_status, response_code FROM audit_trails",
    "SELECT response_code, count(*) FROM audit_trails WHERE request_id = 'none' GROUP BY 1",
];

/// A region with late and bare answers, over the end of a month.
fn region(seed: u64) -> World {
    let settings = Settings {
        premises: 30,
        users: 6,
        days: 4,
        start: at(1_772_323_200_000 - 1_770_000_000_000 - 2 * 86_400_000),
        bare_responses_ppm: 200_000,
        other_receipts_ppm: 100_000,
        ..Settings::default().with_disorder()
    };
    World::seeded(seed, settings).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn groups_by_words_are_those_of_the_engine() {
    let world = region(21);
    let events: Vec<Event> = world.events().collect();
    let lake = lake_of(&events, events.len() / 4 + 1).await;
    lake.maintenance().await.unwrap().sweep().await.unwrap();
    compact(&lake).await;
    let who = access_of(world.users().iter().step_by(2).map(|user| user.id), 1);
    let folder = tempfile::tempdir().unwrap();
    let spill = Spill::into_folder(folder.path().to_owned(), 1 << 30).unwrap();
    // With a folder for what does not fit, groups are sorted before they are put together.
    for (parts, spill) in [(1, None), (3, None), (1, Some(&spill)), (3, Some(&spill))] {
        let parts = NonZeroU32::new(parts).unwrap();
        let limits = SqlLimits { parts, spill: spill.cloned(), ..SqlLimits::default() };
        let session = SecuredSession::new(&lake.snapshot(), &who, clock(), limits).unwrap();
        let all = session.query("SELECT * FROM audit_trails").await.unwrap().all().await.unwrap();
        assert!(all.iter().map(|batch| batch.num_rows()).sum::<usize>() > 100);
        let engine = SessionContext::new();
        let copy = MemTable::try_new(all[0].schema(), vec![all]).unwrap();
        engine.register_table("audit_trails", Arc::new(copy)).unwrap();
        for statement in STATEMENTS {
            let mut found = rows(&session, statement).await.unwrap();
            let answer = engine.sql(statement).await.unwrap().collect().await.unwrap();
            let mut expected: Vec<Vec<String>> = answer.iter().flat_map(texts_of).collect();
            found.sort();
            expected.sort();
            assert_eq!(found, expected, "in {parts}: {statement}");
        }
    }
}
