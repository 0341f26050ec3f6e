//! Plans are made over one handle of a lake, and carried out over another that shares nothing with it but the store.

use super::*;
use crate::it::world::*;
use crate::session::SecuredSession;
use crate::spill::Spill;
use datafusion::execution::context::SessionContext;
use datafusion::physical_plan::collect;
use datafusion_proto::bytes::{
    logical_plan_from_bytes_with_extension_codec, logical_plan_to_bytes_with_extension_codec,
};
use gridtrail_access::Access;
use gridtrail_lake::LakeSettings;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

/// A process that opens the lakes it is asked for, each once.
#[derive(Debug)]
struct Opens(Lake);

#[async_trait]
impl Lakes for Opens {
    async fn lake(&self, address: &str) -> Result<Lake, SqlError> {
        match address == self.0.address() {
            true => Ok(self.0.clone()),
            false => Err(SqlError::refused(format!("reading the lake {address}"))),
        }
    }
}

/// Two processes over one lake in a folder: the sessions of one, and the codecs of both.
struct Two {
    lake: Lake,
    here: PlanCodec,
    there: PlanCodec,
    _folder: tempfile::TempDir,
}

const LIFE: Duration = Duration::from_secs(300);

async fn two() -> Two {
    let folder = tempfile::tempdir().unwrap();
    let address = folder.path().join("lake").to_str().unwrap().to_owned();
    let lake = Lake::open(LakeSettings::at(&address), clock()).await.unwrap();
    let mut writer = lake.writer().await.unwrap();
    for batch in 0..4_u64 {
        let asked: Vec<_> = (batch * 60..batch * 60 + 60)
            .map(|n| {
                let variant = ["4.8.1", "4.8.2", "6.2.4"][usize::try_from(n % 3).unwrap()];
                received(u8::try_from(1 + n % 3).unwrap(), u8::try_from(n % 20).unwrap(), n, variant, 1)
            })
            .collect();
        let answers: Vec<_> = asked.iter().step_by(2).map(|request| answered(request, "I0")).collect();
        commit(&mut writer, &batch.to_string(), asked.into_iter().chain(answers)).await;
        if batch == 2 {
            compact(&lake).await;
        }
    }
    tell(&lake, "schedules", (1..=3).flat_map(|u| scheduled(u, u, 30 + u64::from(u)))).await;
    lake.refresh().await.unwrap();
    let other = Lake::open(LakeSettings::at(&address), clock()).await.unwrap();
    let key = RightsKey::random().unwrap();
    let codec = |lake: &Lake| PlanCodec::new(Arc::new(Opens(lake.clone())), key.clone(), clock(), LIFE);
    Two { here: codec(&lake), there: codec(&other), lake, _folder: folder }
}

impl Two {
    fn session(&self, who: &Access) -> SecuredSession {
        self.session_within(who, SqlLimits::default())
    }

    fn session_within(&self, who: &Access, limits: SqlLimits) -> SecuredSession {
        let session = SecuredSession::new(&self.lake.snapshot(), who, clock(), limits).unwrap();
        session.with_past_of(&self.lake).with_calls_of(&self.lake).with_inventory(false)
    }

    /// What the other process answers, all parts of it.
    async fn elsewhere(&self, plan: &PlanBytes) -> Result<Vec<Vec<String>>, SqlError> {
        let mut rows = Vec::new();
        for part in 0..plan.parts {
            let batches = self.there.carry_out(&plan.bytes, part, &SqlLimits::default())?.all().await?;
            rows.extend(batches.iter().flat_map(texts_of));
        }
        Ok(rows)
    }
}

async fn plan_of(two: &Two, who: &Access, statement: &str) -> PlanBytes {
    let session = two.session(who);
    session.prepare(statement).await.unwrap().for_others(None, &two.here).await.unwrap()
}

/// Statements with each node and table of ours, conditions that scans take in, and functions whose growth is bounded.
const STATEMENTS: &[&str] = &[
    "SELECT * FROM audit_trails",
    "SELECT * FROM meter_reads",
    "SELECT request_id, service_request_received_at FROM audit_trails WHERE response_code = 'I0' AND device_id IN ('00-00-00-00-00-00-00-02')",
    "SELECT request_id FROM audit_trails WHERE service_request_received_at BETWEEN TIMESTAMP '1970-01-01T00:00:00Z' AND TIMESTAMP '2100-01-01T00:00:00Z' AND mpxn IS NULL",
    "SELECT current_status, date_trunc('hour', service_request_received_at) AS hour, count(*), count(DISTINCT device_id), min(request_id) FROM audit_trails GROUP BY 1, 2",
    "SELECT a.request_id, b.service_reference_variant FROM audit_trails a JOIN meter_reads b ON a.request_id = b.request_id WHERE a.device_id <> b.service_reference_variant",
    "SELECT upper(current_status) || '!', row_number() OVER (PARTITION BY current_status ORDER BY request_id) FROM audit_trails",
    "SELECT entry['state'] FROM (SELECT unnest(status_change_history) AS entry FROM audit_trails)",
    "SELECT a.request_id, b.request_id FROM audit_trails a LEFT JOIN audit_trails b ON a.request_id < b.request_id AND b.device_id < a.device_id",
    "SELECT a.request_id FROM audit_trails a WHERE NOT EXISTS (SELECT 1 FROM audit_trails b WHERE b.request_id > a.request_id)",
    "SELECT a.request_id, b.request_id FROM audit_trails a FULL JOIN meter_reads b ON a.request_id = b.request_id AND a.current_status < b.request_id",
    "SELECT * FROM inventory_devices",
    "SELECT * FROM inventory_history",
    "SELECT * FROM schedules",
    "SELECT * FROM access_log",
    "SELECT request_id FROM audit_trails ORDER BY service_request_received_at DESC, request_id LIMIT 7",
];

fn sorted(mut rows: Vec<Vec<String>>) -> Vec<Vec<String>> {
    rows.sort();
    rows
}

#[tokio::test(flavor = "multi_thread")]
async fn another_process_answers_what_this_one_does() {
    let two = two().await;
    for who in [access(&[1]), access(&[1, 2, 3]), access(&[9])] {
        for statement in STATEMENTS {
            let expected = rows(&two.session(&who), statement).await.unwrap();
            let plan = plan_of(&two, &who, statement).await;
            assert_eq!(sorted(two.elsewhere(&plan).await.unwrap()), sorted(expected), "{statement}");
        }
    }
}

/// What may write to disks here is planned otherwise, and is carried out there as well, by what that may.
#[tokio::test(flavor = "multi_thread")]
async fn what_may_write_to_disks_is_answered_elsewhere_too() {
    let two = two().await;
    let who = access(&[1, 2]);
    let folder = tempfile::tempdir().unwrap();
    let spill = Spill::into_folder(folder.path().to_owned(), 1 << 30).unwrap();
    for statement in STATEMENTS {
        let expected = rows(&two.session(&who), statement).await.unwrap();
        let session =
            two.session_within(&who, SqlLimits { spill: Some(spill.clone()), ..SqlLimits::default() });
        let plan = session.prepare(statement).await.unwrap().for_others(None, &two.here).await.unwrap();
        assert_eq!(sorted(two.elsewhere(&plan).await.unwrap()), sorted(expected), "{statement}");
    }
}

/// A scan comes in parts that have no row in common, each in a process of its own if wanted.
#[tokio::test(flavor = "multi_thread")]
async fn each_part_of_a_scan_can_be_read_by_itself() {
    let two = two().await;
    let who = access(&[1, 2]);
    let plan = plan_of(&two, &who, "SELECT request_id FROM audit_trails").await;
    assert!(plan.parts > 1, "{}", plan.parts);
    let mut all = Vec::new();
    for part in 0..plan.parts {
        let answer = two.there.carry_out(&plan.bytes, part, &SqlLimits::default()).unwrap();
        let part: Vec<_> = answer.all().await.unwrap().iter().flat_map(texts_of).collect();
        assert!(part.iter().all(|row| !all.contains(row)));
        all.extend(part);
    }
    assert_eq!(all.len(), 160);
    assert!(two.there.carry_out(&plan.bytes, plan.parts, &SqlLimits::default()).is_err());
}

/// A plan that was read is written as it came, and read once more.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_received_can_be_handed_on() {
    let two = two().await;
    let who = access(&[1]);
    for statement in STATEMENTS {
        let plan = plan_of(&two, &who, statement).await;
        let context = receiving(&SqlLimits::default()).unwrap().task_ctx();
        let read = physical_plan_from_bytes_with_extension_codec(&plan.bytes, &context, &two.there).unwrap();
        let again = two.there.encode(read).unwrap();
        assert_eq!(again.bytes, plan.bytes, "{statement}");
    }
}

/// Tables of logical plans, which are optimised and planned where they are read.
#[tokio::test(flavor = "multi_thread")]
async fn logical_plans_are_carried_out_elsewhere_too() {
    let two = two().await;
    let who = access(&[1, 2]);
    // Logical plans of the engine (55.2) have no bytes for EXISTS.
    for statement in STATEMENTS.iter().filter(|statement| !statement.contains("EXISTS")) {
        let session = two.session(&who);
        let expected = rows(&session, statement).await.unwrap();
        let prepared = session.prepare(statement).await.unwrap();
        let bytes = logical_plan_to_bytes_with_extension_codec(prepared.logical_plan(), &two.here).unwrap();
        let context = SessionContext::new_with_state(receiving(&SqlLimits::default()).unwrap());
        let plan =
            logical_plan_from_bytes_with_extension_codec(&bytes, &context.task_ctx(), &two.there).unwrap();
        let plan = context.state().create_physical_plan(&plan).await.unwrap();
        let batches = collect(plan, context.task_ctx()).await.unwrap();
        let found: Vec<_> = batches.iter().flat_map(texts_of).collect();
        assert_eq!(sorted(found), sorted(expected), "{statement}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_carries_no_right_that_can_be_used_for_anything_else() {
    let two = two().await;
    let statement = "SELECT request_id FROM audit_trails";
    let plan = plan_of(&two, &access(&[1]), statement).await;
    let text = String::from_utf8_lossy(&plan.bytes).into_owned();
    for secret in ["tester", "region", &user(1).to_string()] {
        assert!(!text.contains(secret), "{secret}");
    }
    // What the rights are bound to, altered: other rows of the same caller's.
    let narrow = format!("{statement} WHERE response_code = 'I0'");
    let mut altered = plan_of(&two, &access(&[1]), &narrow).await.bytes;
    let told = altered.windows(4).position(|bytes| bytes == b"\"I0\"").unwrap();
    altered[told + 2] = b'1';
    let answer = two.there.carry_out(&altered, 0, &SqlLimits::default()).unwrap();
    let error = answer.all().await.unwrap_err();
    assert!(error.to_string().contains("altered"), "{error}");

    // Another key, another lake, and later.
    let with = |lakes: Arc<dyn Lakes>, key: &RightsKey, clock: Clock| {
        PlanCodec::new(lakes, key.clone(), clock, LIFE)
    };
    let another = with(Arc::clone(&two.there.lakes), &RightsKey::random().unwrap(), clock());
    let late = Clock::manual(clock().now().plus_millis(LIFE.as_millis().try_into().unwrap()));
    let late = with(Arc::clone(&two.there.lakes), &two.there.key, late);
    let elsewhere = Lake::open(LakeSettings::at("memory:///other"), clock()).await.unwrap();
    let elsewhere = with(Arc::new(Opens(elsewhere)), &two.there.key, clock());
    for (codec, status) in
        [(&another, "INTERNAL"), (&late, "UNAUTHENTICATED"), (&elsewhere, "INVALID_ARGUMENT")]
    {
        let answer = codec.carry_out(&plan.bytes, 0, &SqlLimits::default()).unwrap();
        let error = answer.all().await.unwrap_err();
        assert_eq!(error.told().0, status, "{error}");
    }
}

/// A session that does not know its lake by address has nothing to tell another process.
#[tokio::test(flavor = "multi_thread")]
async fn a_session_without_a_lake_says_so() {
    let two = two().await;
    let alone = session(&two.lake, &access(&[1]));
    let prepared = alone.prepare("SELECT 1 FROM audit_trails").await.unwrap();
    let error = prepared.for_others(None, &two.here).await.unwrap_err();
    assert!(error.to_string().contains("knows no lake"), "{error}");
}

/// Bytes that are no plan of ours are refused, and nothing panics.
#[test]
fn bytes_that_were_altered_are_no_plan() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let statement = STATEMENTS[2];
    let (two, plan, expected) = runtime.block_on(async {
        let (two, who) = (two().await, access(&[1]));
        let plan = plan_of(&two, &who, statement).await;
        let expected = rows(&two.session(&who), statement).await.unwrap();
        (two, plan, expected)
    });
    let mut runner = TestRunner::new(ProptestConfig::with_cases(256));
    let altered = (any::<prop::sample::Index>(), 1..=255_u8);
    let outcome = runner.run(&altered, |(place, by)| {
        let mut bytes = plan.bytes.clone();
        let place = place.index(bytes.len());
        bytes[place] ^= by;
        let found = runtime.block_on(async {
            let answer = two.there.carry_out(&bytes, 0, &SqlLimits::default())?;
            Ok::<_, SqlError>(answer.all().await?.iter().flat_map(texts_of).collect::<Vec<_>>())
        });
        // What lies outside our nodes is the engine's to tell; no row of another User comes of it.
        if let Ok(found) = found {
            prop_assert!(found.len() <= expected.len(), "at {place}: {found:?}");
        }
        Ok(())
    });
    outcome.unwrap();
}
