//! SQL over Arrow Flight, as its clients meet it: statements, prepared ones, metadata, and everything that is refused.

mod running;

use crate::it::fixture::{ANN, BOB, METER, World, now, with_header};
use crate::it::rights::world_of;
use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Schema};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use arrow_flight::decode::FlightRecordBatchStream;
use arrow_flight::error::FlightError;
use arrow_flight::flight_service_client::FlightServiceClient;
use arrow_flight::sql::client::FlightSqlServiceClient;
use arrow_flight::sql::{
    ActionClosePreparedStatementRequest, ActionCreatePreparedStatementRequest,
    ActionCreatePreparedStatementResult, Any, CommandGetCrossReference, CommandGetDbSchemas,
    CommandGetExportedKeys, CommandGetImportedKeys, CommandGetPrimaryKeys, CommandGetTables,
    CommandGetXdbcTypeInfo, CommandPreparedStatementQuery, CommandStatementQuery, CommandStatementUpdate,
    ProstMessageExt, SqlInfo, TicketStatementQuery,
};
use arrow_flight::{
    Action, CancelFlightInfoRequest, FlightData, FlightDescriptor, FlightInfo, SchemaResult, Ticket,
};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use gridtrail_access_log::Entry;
use gridtrail_flight::{SqlLimits, TICKET_LIFE_MS};
use gridtrail_lake::Lake;
use prost::Message;
use std::sync::Arc;
use tonic::transport::Channel;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

type Client = FlightSqlServiceClient<Channel>;

/// A statement over a million million rows of no table: some columns of them stream for ages, and an aggregate gives no row for as long.
fn endless(columns: &str) -> String {
    format!(
        "WITH t AS (SELECT unnest(make_array(1,2,3,4,5,6,7,8,9,10)) AS n), h AS (SELECT a.n FROM t a, t b), \
         m AS (SELECT a.n FROM h a, h b, h c) SELECT {columns} FROM m a, m b"
    )
}

async fn client(world: &World<Lake>, token: &str) -> Client {
    let mut client = FlightSqlServiceClient::new(world.channel().await);
    client.set_token(token.to_owned());
    client
}

async fn of(world: &World<Lake>, user: &str) -> Client {
    client(world, &world.token(user, 1)).await
}

async fn world() -> World<Lake> {
    World::serve_sql(SqlLimits::default()).await
}

/// The status beneath an error of the client.
fn status_of(error: FlightError) -> Status {
    match error {
        FlightError::Tonic(status) => *status,
        other => panic!("no status: {other}"),
    }
}

fn reason_of(status: &Status) -> String {
    status.get_details_error_info().map(|info| info.reason).unwrap_or_default()
}

fn told(error: FlightError) -> (Code, String) {
    let status = status_of(error);
    (status.code(), reason_of(&status))
}

fn ticket_of(info: &FlightInfo) -> Ticket {
    info.endpoint[0].ticket.clone().unwrap()
}

/// All rows of an answer, which must have the columns that were told beforehand.
async fn rows_of(client: &mut Client, info: FlightInfo) -> Result<Vec<Vec<String>>, FlightError> {
    assert!(info.endpoint[0].location.is_empty(), "the connection is to be used again");
    let told = info.clone().try_decode_schema().unwrap();
    let mut rows = client.do_get(ticket_of(&info)).await?;
    let mut cells = Vec::new();
    while let Some(batch) = rows.try_next().await? {
        assert_eq!(batch.schema().as_ref(), &told);
        cells.extend(cells_of(&batch));
    }
    assert_eq!(rows.schema().unwrap().as_ref(), &told);
    Ok(cells)
}

fn cells_of(batch: &RecordBatch) -> Vec<Vec<String>> {
    let options = FormatOptions::default();
    let columns = batch.columns().iter().map(|column| ArrayFormatter::try_new(column, &options).unwrap());
    let columns: Vec<_> = columns.collect();
    (0..batch.num_rows())
        .map(|row| columns.iter().map(|column| column.value(row).to_string()).collect())
        .collect()
}

async fn query(client: &mut Client, statement: &str) -> Result<Vec<Vec<String>>, FlightError> {
    let info = client.execute(statement.to_owned(), None).await?;
    rows_of(client, info).await
}

async fn one(client: &mut Client, statement: &str) -> String {
    let rows = query(client, statement).await.unwrap();
    assert_eq!((rows.len(), rows[0].len()), (1, 1), "{statement}: {rows:?}");
    rows[0][0].clone()
}

const COUNT: &str = "SELECT count(*) FROM audit_trails";

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_gives_the_rows_that_its_caller_may_see() {
    let world = world().await;
    let (mut ann, mut bob) = (of(&world, ANN).await, of(&world, BOB).await);
    assert_eq!(one(&mut ann, COUNT).await, "2");
    assert_eq!(one(&mut bob, COUNT).await, "1");
    assert_eq!(one(&mut bob, "SELECT count(*) FROM meter_reads").await, "2");
    let own = format!("SELECT user_id, device_id FROM audit_trails WHERE device_id = '{METER}'");
    assert_eq!(query(&mut bob, &own).await.unwrap(), [[BOB, METER]]);
}

/// What is told beforehand is what comes, to the letter, whatever a statement gives: some drivers refuse anything else.
#[tokio::test(flavor = "multi_thread")]
async fn the_columns_are_those_that_were_told() {
    let world = world().await;
    let mut ann = of(&world, ANN).await;
    for statement in [
        "SELECT * FROM audit_trails",
        "SELECT * FROM meter_reads ORDER BY service_request_received_at LIMIT 1",
        "SELECT mode_of_operation, count(*), min(service_request_received_at) FROM audit_trails GROUP BY 1",
        "SELECT count(*) FILTER (WHERE csp_region = 'North'), sum(command_variant), avg(command_variant) FROM audit_trails",
        "SELECT request_id || 'x', upper(csp_region), substr(device_id, 3), split_part(device_id, '-', 2) FROM audit_trails",
        "SELECT CASE WHEN command_variant > 1 THEN 'a' END, coalesce(mpxn, 'none'), NULL, 1, 1.5, 'x', true FROM audit_trails",
        "SELECT row_number() OVER (ORDER BY request_id), lag(request_id) OVER (ORDER BY request_id) FROM audit_trails",
        "SELECT entry['state'], entry['at'] FROM (SELECT unnest(status_change_history) AS entry FROM audit_trails)",
        "SELECT date_trunc('day', service_request_received_at), now() > service_request_received_at FROM audit_trails",
        "SELECT csp_region FROM audit_trails UNION ALL SELECT user_id FROM meter_reads",
        "SELECT array_agg(csp_region), make_array(1, 2), string_agg(csp_region, ',') FROM audit_trails",
        "SELECT a.csp_region, b.mpxn FROM audit_trails a LEFT JOIN meter_reads b ON a.request_id = b.request_id",
        "SELECT * FROM audit_trails WHERE false",
        "EXPLAIN SELECT * FROM audit_trails",
        "SHOW TABLES",
        "SHOW COLUMNS FROM audit_trails",
        "VALUES (1, 'a'), (2, NULL)",
    ] {
        query(&mut ann, statement).await.unwrap_or_else(|error| panic!("{statement}: {error}"));
    }
    let info = ann.execute("SELECT * FROM audit_trails".to_owned(), None).await.unwrap();
    let schema = format!("{:?}", info.try_decode_schema().unwrap());
    assert!(!schema.contains("Dictionary") && !schema.contains("View"), "{schema}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_taken_as_the_password_of_a_handshake() {
    let world = world().await;
    let mut known = FlightSqlServiceClient::new(world.channel().await);
    let token = world.token(ANN, 1);
    let payload = known.handshake("whoever", &token).await.unwrap();
    assert_eq!((payload.as_ref(), known.token()), (token.as_bytes(), Some(&token)));
    assert_eq!(one(&mut known, COUNT).await, "2");
    let mut unknown = FlightSqlServiceClient::new(world.channel().await);
    let refused = unknown.handshake("whoever", "no token").await.unwrap_err();
    assert!(refused.to_string().contains("token"), "{refused}");
    let refused = query(&mut unknown, COUNT).await.unwrap_err();
    assert_eq!(told(refused), (Code::Unauthenticated, "NO_IDENTITY".into()));
}

fn values(columns: Vec<ArrayRef>) -> RecordBatch {
    let names = (1..).map(|number| format!("${number}"));
    RecordBatch::try_from_iter(names.zip(columns)).unwrap()
}

fn text(value: &str) -> ArrayRef {
    Arc::new(StringArray::from(vec![value]))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prepared_statement_takes_values_as_often_as_it_is_carried_out() {
    let world = world().await;
    let mut ann = of(&world, ANN).await;
    let statement = "SELECT count(*) FROM audit_trails WHERE device_id = ? AND service_request_received_at < ? \
                     AND mode_of_operation = ?";
    let mut prepared = ann.prepare(statement.to_owned(), None).await.unwrap();
    let parameters: Vec<DataType> =
        prepared.parameter_schema().unwrap().fields().iter().map(|field| field.data_type().clone()).collect();
    let [DataType::Utf8, DataType::Timestamp(..), DataType::Utf8] = parameters.as_slice() else {
        panic!("{parameters:?}")
    };
    assert_eq!(prepared.dataset_schema().unwrap().fields().len(), 1);
    let unbound = prepared.execute().await.unwrap();
    let refused = rows_of(&mut ann, unbound).await.unwrap_err();
    assert_eq!(told(refused).0, Code::InvalidArgument);
    // Times come as texts, too, as from drivers that know no better.
    for (until, count) in
        [("2026-03-01T09:59:00Z", "1"), ("2026-03-02T00:00:00Z", "2"), ("2026-01-01T00:00:00Z", "0")]
    {
        prepared.set_parameters(values(vec![text(METER), text(until), text("On Demand")])).unwrap();
        let info = prepared.execute().await.unwrap();
        assert_eq!(rows_of(&mut ann, info).await.unwrap(), [[count]]);
    }
    for wrong in [
        vec![text(METER)],
        vec![text(METER), text("yesterday"), text("On Demand")],
        vec![text(METER), text("2026-03-02"), text("x"), text("y")],
    ] {
        prepared.set_parameters(values(wrong)).unwrap();
        let info = prepared.execute().await.unwrap();
        assert_eq!(told(rows_of(&mut ann, info).await.unwrap_err()).0, Code::InvalidArgument);
    }
    let two = Arc::new(Int64Array::from(vec![1, 2])) as ArrayRef;
    prepared.set_parameters(values(vec![two.clone(), two.clone(), two])).unwrap();
    assert_eq!(told(prepared.execute().await.unwrap_err()).0, Code::InvalidArgument, "one row at a time");
    prepared.close().await.unwrap();
}

/// Calls of the protocol one by one, for what the client of the crate does in an order of its own.
struct Raw(FlightServiceClient<Channel>, String);

impl Raw {
    async fn new(world: &World<Lake>, user: &str) -> Self {
        Self::with(world, &world.token(user, 1)).await
    }

    async fn with(world: &World<Lake>, token: &str) -> Self {
        Self(FlightServiceClient::new(world.channel().await), format!("Bearer {token}"))
    }

    async fn act(&mut self, kind: &str, body: Vec<u8>) -> Result<Vec<Vec<u8>>, Status> {
        let action = Action { r#type: kind.to_owned(), body: body.into() };
        let results = self.0.do_action(with_header(action, &self.1)).await?.into_inner();
        results.map_ok(|result| result.body.to_vec()).try_collect().await
    }

    async fn prepare(&mut self, statement: &str) -> Result<Vec<u8>, Status> {
        let request =
            ActionCreatePreparedStatementRequest { query: statement.to_owned(), transaction_id: None };
        let results = self.act("CreatePreparedStatement", request.as_any().encode_to_vec()).await?;
        let any = Any::decode(results[0].as_slice()).unwrap();
        let result: ActionCreatePreparedStatementResult = any.unpack().unwrap().unwrap();
        Ok(result.prepared_statement_handle.to_vec())
    }

    async fn info(&mut self, command: impl ProstMessageExt) -> Result<FlightInfo, Status> {
        let descriptor = FlightDescriptor::new_cmd(command.as_any().encode_to_vec());
        Ok(self.0.get_flight_info(with_header(descriptor, &self.1)).await?.into_inner())
    }

    async fn schema(&mut self, command: impl ProstMessageExt) -> Result<SchemaResult, Status> {
        let descriptor = FlightDescriptor::new_cmd(command.as_any().encode_to_vec());
        Ok(self.0.get_schema(with_header(descriptor, &self.1)).await?.into_inner())
    }

    async fn put(&mut self, command: impl ProstMessageExt, batch: RecordBatch) -> Result<usize, Status> {
        let descriptor = FlightDescriptor::new_cmd(command.as_any().encode_to_vec());
        let messages = arrow_flight::encode::FlightDataEncoderBuilder::new()
            .with_flight_descriptor(Some(descriptor))
            .build(stream::iter([Ok(batch)]));
        let messages: Vec<FlightData> = messages.try_collect().await.unwrap();
        let results = self.0.do_put(with_header(stream::iter(messages), &self.1)).await?.into_inner();
        results.map(|result| result.map(|_| ())).try_collect::<Vec<()>>().await.map(|results| results.len())
    }

    async fn get(&mut self, ticket: Ticket) -> Result<Vec<RecordBatch>, Status> {
        let messages = self.0.do_get(with_header(ticket, &self.1)).await?.into_inner();
        let rows = FlightRecordBatchStream::new_from_flight_data(messages.map_err(Into::into));
        rows.try_collect().await.map_err(status_of)
    }
}

fn prepared(handle: &[u8]) -> CommandPreparedStatementQuery {
    CommandPreparedStatementQuery { prepared_statement_handle: handle.to_vec().into() }
}

/// Clients that do not take the handle of a put go on with the one that they had, and some ask for the ticket first.
#[tokio::test(flavor = "multi_thread")]
async fn values_may_be_put_before_or_after_the_ticket_is_asked_for() {
    let world = world().await;
    let mut ann = Raw::new(&world, ANN).await;
    let handle = ann.prepare("SELECT count(*) FROM audit_trails WHERE device_id = ?").await.unwrap();
    for is_put_first in [true, false] {
        let none = ann.prepare("SELECT count(*) FROM audit_trails WHERE device_id = ?").await.unwrap();
        let put = |handle: &[u8]| (prepared(handle), values(vec![text(METER)]));
        let (handle, info) = if is_put_first {
            let (command, batch) = put(&handle);
            assert_eq!(ann.put(command, batch).await.unwrap(), 1);
            (handle.clone(), ann.info(prepared(&handle)).await.unwrap())
        } else {
            let info = ann.info(prepared(&none)).await.unwrap();
            let (command, batch) = put(&none);
            ann.put(command, batch).await.unwrap();
            (none, info)
        };
        let batches = ann.get(ticket_of(&info)).await.unwrap();
        assert_eq!(cells_of(&batches[0]), [["2"]]);
        // The command itself is a ticket as well.
        let ticket = Ticket { ticket: prepared(&handle).as_any().encode_to_vec().into() };
        assert_eq!(cells_of(&ann.get(ticket).await.unwrap()[0]), [["2"]]);
        let close = ActionClosePreparedStatementRequest { prepared_statement_handle: handle.clone().into() };
        ann.act("ClosePreparedStatement", close.as_any().encode_to_vec()).await.unwrap();
        let info = ann.info(prepared(&handle)).await.unwrap();
        let refused = ann.get(ticket_of(&info)).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "what was put is let go");
    }
}

fn names(schema: &Schema) -> Vec<&str> {
    schema.fields().iter().map(|field| field.name().as_str()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn metadata_have_the_protocols_columns() {
    let world = world().await;
    let mut ann = of(&world, ANN).await;
    let info = ann.get_catalogs().await.unwrap();
    assert_eq!(names(&info.clone().try_decode_schema().unwrap()), ["catalog_name"]);
    assert_eq!(rows_of(&mut ann, info).await.unwrap(), [["gridtrail"]]);
    let info = ann.get_db_schemas(CommandGetDbSchemas::default()).await.unwrap();
    assert_eq!(rows_of(&mut ann, info).await.unwrap(), [["gridtrail", "public"]]);
    let info = ann.get_table_types().await.unwrap();
    assert_eq!(rows_of(&mut ann, info).await.unwrap(), [["TABLE"]]);
    let keys = ["table_name", "column_name", "key_name", "key_sequence"];
    let info = ann.get_primary_keys(CommandGetPrimaryKeys::default()).await.unwrap();
    assert_eq!(names(&info.clone().try_decode_schema().unwrap())[2..], keys);
    assert!(rows_of(&mut ann, info).await.unwrap().is_empty());
    for info in [
        ann.get_exported_keys(CommandGetExportedKeys::default()).await.unwrap(),
        ann.get_imported_keys(CommandGetImportedKeys::default()).await.unwrap(),
        ann.get_cross_reference(CommandGetCrossReference::default()).await.unwrap(),
    ] {
        assert_eq!(info.clone().try_decode_schema().unwrap().fields().len(), 13);
        assert!(rows_of(&mut ann, info).await.unwrap().is_empty());
    }
    let info = ann.get_xdbc_type_info(CommandGetXdbcTypeInfo::default()).await.unwrap();
    let types = rows_of(&mut ann, info).await.unwrap();
    assert!(types.iter().any(|row| row[0] == "VARCHAR" && row[1] == "12"), "{types:?}");
    let info = ann.get_sql_info(vec![SqlInfo::FlightSqlServerName]).await.unwrap();
    assert_eq!(rows_of(&mut ann, info).await.unwrap()[0][0], "0");
    let info = ann.get_sql_info(vec![]).await.unwrap();
    assert!(rows_of(&mut ann, info).await.unwrap().len() > 70);
}

async fn tables(client: &mut Client, query: CommandGetTables) -> Vec<String> {
    let info = client.get_tables(query).await.unwrap();
    rows_of(client, info).await.unwrap().into_iter().map(|row| row[2].clone()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_are_listed_by_pattern_and_by_what_roles_allow() {
    let world = world().await;
    let mut ann = of(&world, ANN).await;
    let all = tables(&mut ann, CommandGetTables::default()).await;
    assert!(all.contains(&"audit_trails".to_owned()) && all.contains(&"meter_reads".to_owned()), "{all:?}");
    let like = |pattern: &str| CommandGetTables {
        table_name_filter_pattern: Some(pattern.to_owned()),
        ..CommandGetTables::default()
    };
    assert_eq!(tables(&mut ann, like("audit%")).await, ["audit_trails"]);
    assert_eq!(tables(&mut ann, like("meter_read_")).await, ["meter_reads"]);
    let of_catalogue =
        |name: &str| CommandGetTables { catalog: Some(name.to_owned()), ..CommandGetTables::default() };
    assert_eq!(tables(&mut ann, of_catalogue("gridtrail")).await, all);
    assert!(tables(&mut ann, of_catalogue("other")).await.is_empty());
    let of_type =
        |kind: &str| CommandGetTables { table_types: vec![kind.to_owned()], ..CommandGetTables::default() };
    assert_eq!(tables(&mut ann, of_type("TABLE")).await, all);
    assert!(tables(&mut ann, of_type("VIEW")).await.is_empty());
    // With the columns, which are those of a SELECT.
    let info =
        ann.get_tables(CommandGetTables { include_schema: true, ..like("audit_trails") }).await.unwrap();
    let batch = ann.do_get(ticket_of(&info)).await.unwrap().try_next().await.unwrap().unwrap();
    let schema: &arrow::array::BinaryArray = batch.column(4).as_any().downcast_ref().unwrap();
    let message = arrow_flight::IpcMessage(schema.value(0).to_vec().into());
    let told: Schema = message.try_into().unwrap();
    let info = ann.execute("SELECT * FROM audit_trails".to_owned(), None).await.unwrap();
    let selected = info.try_decode_schema().unwrap();
    assert_eq!(names(&told), names(&selected));
    for (told, selected) in told.fields().iter().zip(selected.fields()) {
        assert_eq!(told.data_type(), selected.data_type());
        assert!(!told.metadata()["ARROW:FLIGHT:SQL:REMARKS"].is_empty(), "{told}");
    }
    // The eleventh role reads no trails.
    let mut other = client(&world, &world.token(BOB, 11)).await;
    let allowed = tables(&mut other, CommandGetTables::default()).await;
    assert!(!allowed.iter().any(|name| name == "audit_trails" || name == "meter_reads"), "{allowed:?}");
    let denied = query(&mut other, COUNT).await.unwrap_err().to_string();
    let absent = query(&mut other, "SELECT count(*) FROM other_tables").await.unwrap_err().to_string();
    assert_eq!(denied.replace("audit_trails", "other_tables"), absent);
}

fn ticket(handle: &[u8]) -> Ticket {
    let command = TicketStatementQuery { statement_handle: handle.to_vec().into() };
    Ticket { ticket: command.as_any().encode_to_vec().into() }
}

/// A ticket or handle of another caller is refused in the words for one that never was.
#[tokio::test(flavor = "multi_thread")]
async fn tickets_and_handles_are_their_callers_alone() {
    let world = world().await;
    let (mut ann, mut bob) = (Raw::new(&world, ANN).await, Raw::new(&world, BOB).await);
    let handle = ann.prepare(COUNT).await.unwrap();
    let info = ann.info(prepared(&handle)).await.unwrap();
    let forged = bob.get(ticket(&[7; 200])).await.unwrap_err();
    assert_eq!((forged.code(), reason_of(&forged).as_str()), (Code::NotFound, "STATEMENT_NOT_FOUND"));
    let mut altered = handle.clone();
    *altered.last_mut().unwrap() ^= 1;
    let close = |handle: &[u8]| {
        ActionClosePreparedStatementRequest { prepared_statement_handle: handle.to_vec().into() }
            .as_any()
            .encode_to_vec()
    };
    let cancel = CancelFlightInfoRequest { info: Some(info.clone()) }.encode_to_vec();
    let put = values(vec![text(METER)]);
    for refused in [
        bob.get(ticket_of(&info)).await.unwrap_err(),
        bob.info(prepared(&handle)).await.unwrap_err(),
        bob.put(prepared(&handle), put.clone()).await.unwrap_err(),
        bob.act("ClosePreparedStatement", close(&handle)).await.unwrap_err(),
        bob.act("CancelFlightInfo", cancel).await.unwrap_err(),
        ann.info(prepared(&altered)).await.unwrap_err(),
        ann.put(prepared(&altered), put).await.unwrap_err(),
        ann.act("ClosePreparedStatement", close(&altered)).await.unwrap_err(),
        // One is not the other.
        ann.get(ticket(&handle)).await.unwrap_err(),
        // A statement as a ticket would go around what its caller was told.
        ann.get(Ticket { ticket: statement(COUNT).as_any().encode_to_vec().into() }).await.unwrap_err(),
    ] {
        assert_eq!((refused.code(), refused.message()), (forged.code(), forged.message()));
        assert_eq!(refused.details(), forged.details());
    }
    assert_eq!(cells_of(&ann.get(ticket_of(&info)).await.unwrap()[0]), [["2"]], "Ann's is still hers");
}

fn statement(query: &str) -> CommandStatementQuery {
    CommandStatementQuery { query: query.to_owned(), transaction_id: None }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ticket_ends_with_its_hour_and_a_handle_with_the_rights_it_was_given_under() {
    let world = world().await;
    let mut bob = Raw::with(&world, &both(&world)).await;
    let handle = bob.prepare(COUNT).await.unwrap();
    let info = bob.info(statement(COUNT)).await.unwrap();
    let end = info.endpoint[0].expiration_time.unwrap();
    assert_eq!(end.seconds * 1_000, now().plus_millis(TICKET_LIFE_MS).millis());
    assert_eq!(cells_of(&bob.get(ticket_of(&info)).await.unwrap()[0]), [["1"]]);
    world.clock.advance(TICKET_LIFE_MS);
    let refused = bob.get(ticket_of(&info)).await.unwrap_err();
    assert_eq!((refused.code(), reason_of(&refused).as_str()), (Code::NotFound, "STATEMENT_EXPIRED"));
    let info = bob.info(prepared(&handle)).await.unwrap();
    // Ann lets Bob see her rows: what was prepared before is to be prepared again.
    world.admission.replace(world_of("granted"));
    for refused in
        [bob.get(ticket_of(&info)).await.unwrap_err(), bob.info(prepared(&handle)).await.unwrap_err()]
    {
        assert_eq!((refused.code(), reason_of(&refused).as_str()), (Code::Aborted, "RIGHTS_CHANGED"));
    }
    let handle = bob.prepare(COUNT).await.unwrap();
    let info = bob.info(prepared(&handle)).await.unwrap();
    assert_eq!(cells_of(&bob.get(ticket_of(&info)).await.unwrap()[0]), [["3"]]);
}

/// A token of Bob's that names Ann's User ID, too.
fn both(world: &World<Lake>) -> String {
    world.token_of(BOB, &[BOB, ANN], 1)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_changes_anything_is_not_supported() {
    let world = world().await;
    let mut ann = of(&world, ANN).await;
    let update = ann.execute_update("DELETE FROM audit_trails".to_owned(), None).await.unwrap_err();
    assert_eq!(told(update), (Code::Unimplemented, "NOT_SUPPORTED".into()));
    let transaction = ann.begin_transaction().await.unwrap_err();
    assert_eq!(told(transaction).0, Code::Unimplemented);
    let within = ann.execute(COUNT.to_owned(), Some(vec![1].into())).await.unwrap_err();
    assert_eq!(told(within).0, Code::Unimplemented);
    for statement in
        ["DELETE FROM audit_trails", "SET x = 1", "COPY (SELECT 1) TO '/tmp/x'", "SELECT random()"]
    {
        let refused = ann.execute(statement.to_owned(), None).await.unwrap_err();
        assert_eq!(told(refused).0, Code::InvalidArgument, "{statement}");
        let refused = ann.prepare(statement.to_owned(), None).await.err().unwrap();
        assert_eq!(told(refused).0, Code::InvalidArgument, "{statement}");
    }
    let mut raw = Raw::new(&world, ANN).await;
    let update = CommandStatementUpdate { query: "DELETE FROM t".into(), transaction_id: None };
    assert_eq!(raw.info(update).await.unwrap_err().code(), Code::Unimplemented);
    assert_eq!(raw.act("Explode", vec![]).await.unwrap_err().code(), Code::Unimplemented);
    for junk in [vec![], vec![0xFF; 40], b"SELECT 1".to_vec()] {
        let descriptor = FlightDescriptor::new_cmd(junk.clone());
        let refused = raw.0.get_flight_info(with_header(descriptor, &raw.1)).await.unwrap_err();
        assert!(matches!(refused.code(), Code::InvalidArgument | Code::Unimplemented), "{refused}");
        let refused = raw.get(Ticket { ticket: junk.clone().into() }).await.unwrap_err();
        assert!(matches!(refused.code(), Code::InvalidArgument | Code::Unimplemented), "{refused}");
        let refused = raw.act("CreatePreparedStatement", junk).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{refused}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn options_of_sessions_are_what_they_are() {
    let world = world().await;
    let mut ann = Raw::new(&world, ANN).await;
    let set = |name: &str, value: &str| {
        // `session_options`, a map of texts to values: `{name: {string_value: value}}`.
        let value = [&[0x0A, u8::try_from(value.len()).unwrap()], value.as_bytes()].concat();
        let entry = [
            &[0x0A, u8::try_from(name.len()).unwrap()],
            name.as_bytes(),
            &[0x12, u8::try_from(value.len()).unwrap()],
            &value,
        ]
        .concat();
        [&[0x0A, u8::try_from(entry.len()).unwrap()], entry.as_slice()].concat()
    };
    let outcomes = [
        (set("catalog", "gridtrail"), None),
        (set("catalog", "other"), Some(2)),
        (set("memory", "lots"), Some(1)),
    ];
    for (request, error) in outcomes {
        let results = ann.act("SetSessionOptions", request).await.unwrap();
        assert_eq!(results[0].last().copied(), error, "{results:?}");
    }
    let options = ann.act("GetSessionOptions", vec![]).await.unwrap();
    assert!(String::from_utf8_lossy(&options[0]).contains("gridtrail"));
    assert_eq!(ann.act("CloseSession", vec![]).await.unwrap(), [vec![0x08, 1]]);
}

fn told_of(entry: &Entry) -> (&str, &str, Option<&str>, Option<u64>, Option<u64>) {
    (&entry.call, &entry.outcome, entry.detail.as_deref(), entry.rows, entry.rows_of_others)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_call_leaves_one_row_in_the_access_log() {
    let world = world().await;
    let mut bob = of(&world, BOB).await;
    let statement = format!("SELECT request_id FROM meter_reads WHERE device_id = '{METER}'");
    assert_eq!(query(&mut bob, &statement).await.unwrap().len(), 2);
    query(&mut bob, "SELECT 1 / (command_variant - 1) FROM audit_trails").await.unwrap_err();
    query(&mut bob, "SELECT no_column FROM audit_trails").await.unwrap_err();
    tables(&mut bob, CommandGetTables::default()).await;
    let mut raw = Raw::new(&world, BOB).await;
    raw.get(ticket(&[1; 64])).await.unwrap_err();
    let handle = raw.prepare("SELECT 'private'").await.unwrap();
    raw.put(prepared(&handle), values(vec![text("x")])).await.unwrap();
    // Known since it was prepared, and on record as if it were not.
    let info = raw.info(prepared(&handle)).await.unwrap();
    assert_eq!(info.try_decode_schema().unwrap().fields().len(), 1);
    let entries = world.recorded().await;
    let found: Vec<_> = entries.iter().map(told_of).collect();
    let shape = "SELECT request_id FROM meter_reads WHERE device_id = ?";
    let division = "SELECT ? / ( command_variant - ? ) FROM audit_trails";
    let (info, get, act, put) = (
        "FlightService.GetFlightInfo",
        "FlightService.DoGet",
        "FlightService.DoAction",
        "FlightService.DoPut",
    );
    let squeezed = |text: Option<&str>| text.map(|text| text.replace(' ', ""));
    let expected = [
        (info, "OK", Some(shape), None, None),
        (get, "OK", Some(shape), Some(2), Some(2)),
        (info, "OK", Some(division), None, None),
        (get, "INVALID_ARGUMENT", Some(division), Some(0), Some(0)),
        (info, "INVALID_ARGUMENT", Some("SELECT no_column FROM audit_trails"), None, None),
        (info, "OK", Some("CommandGetTables"), None, None),
        (get, "OK", Some("CommandGetTables"), None, None),
        (get, "NOT_FOUND", None, None, None),
        (act, "OK", Some("SELECT ?"), None, None),
        (put, "OK", None, None, None),
        (info, "OK", Some("SELECT ?"), None, None),
    ];
    assert_eq!(found.len(), expected.len(), "{found:#?}");
    for (found, expected) in found.into_iter().zip(expected) {
        assert_eq!(
            (found.0, found.1, found.3, found.4),
            (expected.0, expected.1, expected.3, expected.4),
            "{found:?}"
        );
        assert_eq!(squeezed(found.2), squeezed(expected.2));
    }
    let got = &entries[1];
    assert_eq!((got.key_kind.as_deref(), got.key.as_deref()), (Some("device_id"), Some(METER)));
    assert!(got.version.is_some() && got.peer.as_deref().is_some_and(|peer| peer.starts_with("127.0.0.1:")));
    assert!(!format!("{entries:?}").contains("private"));
}

/// Without SQL the service is not there, as no other that is not.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_answers_no_sql_says_so() {
    let world = World::serve_lake().await;
    let mut ann = of(&world, ANN).await;
    let refused = ann.execute(COUNT.to_owned(), None).await.unwrap_err();
    assert_eq!(told(refused), (Code::Unimplemented, "NO_SUCH_SERVICE".into()));
}
