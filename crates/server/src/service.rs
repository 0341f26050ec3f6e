//! The services, and what every call goes through: a permit, a token, a time limit, and a net for panics.

use crate::callers::{Allowance, Allowances, CallerName, Limits};
use crate::deadline::time_left;
use crate::freshness::freshness_page;
use crate::held::{Held, no_memory, weight_of};
use crate::limits::{
    ANSWERS_BYTES_MAX, CALL_BYTES_MIN, CALLER_ANSWERS_BYTES_MAX, REQUEST_BYTES_MAX, REQUEST_LIFE,
    RESPONSE_BYTES_MAX, ROW_BYTES, STATEMENT_AHEAD, TAKE_LIFE, UNWRITTEN_FACTOR,
};
use crate::record::{Caller, Record};
use crate::request::{query_of, row_query_of};
use crate::row::{get_response, search_response};
use crate::status::{CallError, status_of};
use futures::FutureExt as _;
use gridtrail_access::{Access, Admission, OperatorGate, Sharing};
use gridtrail_access_log::AccessLog;
use gridtrail_flight::{Asker, Recording, Rights};
use gridtrail_freshness::{Freshness, Outward};
use gridtrail_lake::Cost;
use gridtrail_model::Timestamp;
use gridtrail_port::{Hold, Places, Sizes};
use gridtrail_proto::query::v1::audit_trail_service_server::{AuditTrailService, AuditTrailServiceServer};
use gridtrail_proto::query::v1::freshness_service_server::{FreshnessService, FreshnessServiceServer};
use gridtrail_proto::query::v1::meter_read_service_server::{MeterReadService, MeterReadServiceServer};
use gridtrail_proto::query::v1::{
    GetFreshnessRequest, GetFreshnessResponse, GetRequest, GetResponse, SearchRequest, SearchResponse,
};
use gridtrail_runtime::Clock;
use gridtrail_search::{
    Answer, InventorySearch, PAGE_SIZE_DEFAULT, PAGE_SIZE_MAX, Page, Query, RowQuery, Search, SearchError,
};
use prost::Message as _;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;
use tonic::metadata::MetadataMap;
use tonic::{Request, Response, Status, async_trait};

/// The header of an answer that says what it cost, where the server tells that.
pub const COST_HEADER: &str = "gridtrail-cost";

/// What every call needs. One for all services, so that they share the memory for answers.
#[derive(Debug, Clone)]
pub(crate) struct Desk {
    search: Search,
    inventory: InventorySearch,
    admission: Admission,
    log: AccessLog,
    clock: Clock,
    answers: Places<CallerName>,
    allowances: Allowances,
    request_life: Duration,
    tells_cost: bool,
}

impl Desk {
    pub(crate) fn new(
        (search, inventory): (Search, InventorySearch),
        admission: Admission,
        log: AccessLog,
        clock: Clock,
        limits: Limits,
        tells_cost: bool,
    ) -> Self {
        let allowances = Allowances::new(limits);
        let (all, each) = (weight_of(ANSWERS_BYTES_MAX), weight_of(CALLER_ANSWERS_BYTES_MAX));
        let answers = Places::new(Sizes { all, each, patience: TAKE_LIFE });
        Self {
            search,
            inventory,
            admission,
            log,
            clock,
            answers,
            allowances,
            request_life: REQUEST_LIFE,
            tells_cost,
        }
    }

    /// The answer of a search, with what it cost where that is to be told: runs, pages, requests to the store and bytes of
    /// those.
    pub(crate) fn told<T>(&self, answer: Response<(T, Cost)>) -> Response<T> {
        let (mut metadata, (message, cost), extensions) = answer.into_parts();
        let Cost { runs, pages, requests, bytes } = cost;
        let header = self.tells_cost.then(|| format!("{runs} {pages} {requests} {bytes}").parse().ok());
        if let Some(value) = header.flatten() {
            metadata.insert(COST_HEADER, value);
        }
        Response::from_parts(metadata, message, extensions)
    }

    /// Answers searches of the inventory.
    pub(crate) const fn inventory_search(&self) -> &InventorySearch {
        &self.inventory
    }

    pub(crate) fn audit_trails(&self) -> AuditTrailServiceServer<AuditTrails> {
        AuditTrailServiceServer::new(AuditTrails(self.clone()))
            .max_decoding_message_size(REQUEST_BYTES_MAX)
            .max_encoding_message_size(RESPONSE_BYTES_MAX)
    }

    pub(crate) fn meter_reads(&self) -> MeterReadServiceServer<MeterReads> {
        MeterReadServiceServer::new(MeterReads(self.clone()))
            .max_decoding_message_size(REQUEST_BYTES_MAX)
            .max_encoding_message_size(RESPONSE_BYTES_MAX)
    }

    pub(crate) fn freshness(
        &self,
        freshness: Arc<dyn Freshness>,
        outward: Arc<Outward>,
    ) -> FreshnessServiceServer<FreshnessDesk> {
        FreshnessServiceServer::new(FreshnessDesk { desk: self.clone(), freshness, outward })
            .max_decoding_message_size(REQUEST_BYTES_MAX)
            .max_encoding_message_size(RESPONSE_BYTES_MAX)
    }

    /// Who asks by SQL, and where their statements are recorded.
    pub(crate) fn asker(
        &self,
        who: &Access,
        caller: &Caller,
        call: &'static str,
    ) -> Result<Asker, CallError> {
        let rights = Rights::new(self.admission.clone(), bearer_token(&caller.metadata)?);
        let recording = Recording { log: self.log.clone(), call, peer: caller.client.address };
        // A little less than the call has: then the statement says itself, on record as well, that its time is over.
        let life = time_left(&caller.metadata, self.request_life);
        let begin_within = life - (life / 4).min(STATEMENT_AHEAD);
        Ok(Asker { who: who.clone(), rights, recording, begin_within })
    }

    /// What is left to a caller.
    pub(crate) fn allowance(&self, who: &Access) -> Arc<Allowance> {
        self.allowances.of(who)
    }

    /// The time by which calls are judged.
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Tells that time.
    pub(crate) const fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Who shares with whom now.
    ///
    /// Errors: that nobody knows just now.
    pub(crate) fn sharing(&self) -> Result<Arc<Sharing>, CallError> {
        Ok(self.admission.sharing()?)
    }

    /// What judges the caller anew while something is made for them.
    pub(crate) fn rights_of(&self, caller: &Caller) -> Result<Rights, CallError> {
        Ok(Rights::new(self.admission.clone(), bearer_token(&caller.metadata)?))
    }

    /// Answers one call of somebody who is admitted, and has it noted when the answer has left. `work` may be dropped at any point; it
    /// tells the record what it looks up and shows.
    pub(crate) async fn answer<T>(
        &self,
        call: &'static str,
        caller: &Caller,
        work: impl AsyncFnOnce(Access, &mut Record) -> Result<T, CallError>,
    ) -> Result<Response<T>, Status> {
        self.answer_within(call, caller, async |who, _, record| work(who, record).await).await
    }

    /// The same, of work that takes from what is left to the caller.
    pub(crate) async fn answer_within<T>(
        &self,
        call: &'static str,
        caller: &Caller,
        work: impl AsyncFnOnce(Access, &Allowance, &mut Record) -> Result<T, CallError>,
    ) -> Result<Response<T>, Status> {
        let mut record = self.record(call, caller);
        let admitted = async {
            record.reserve()?;
            let access = self.admission.admit(bearer_token(&caller.metadata)?, self.clock.now()).await?;
            caller.client.peer.vouch();
            record.admit(&access);
            let left = self.allowances.of(&access);
            record.hold(self.held_of(&left, caller)?);
            work(access, &left, &mut record).await
        };
        let outcome = self.limited(caller, admitted).await;
        record.reply(outcome)
    }

    /// Answers one call of an operator whom a gate lets in. Otherwise as [`Desk::answer`].
    pub(crate) async fn answer_operator<T>(
        &self,
        call: &'static str,
        caller: &Caller,
        (gate, left): (&OperatorGate, &Allowance),
        work: impl AsyncFnOnce(&mut Record) -> Result<T, CallError>,
    ) -> Result<Response<T>, Status> {
        let mut record = self.record(call, caller);
        let admitted = async {
            record.reserve()?;
            let operator = gate.admit(bearer_token(&caller.metadata)?, self.clock.now())?;
            caller.client.peer.vouch();
            record.admit_operator(&operator);
            record.hold(self.held_of(left, caller)?);
            work(&mut record).await
        };
        let outcome = self.limited(caller, admitted).await;
        record.reply(outcome)
    }

    /// What a call of an admitted caller holds.
    ///
    /// Errors: `TooMuch`, `Busy`.
    fn held_of(&self, left: &Allowance, caller: &Caller) -> Result<Held, CallError> {
        let at_once = left.enter()?;
        let gives_up = caller.client.peer.end().clone();
        let firmly = (weight_of(CALL_BYTES_MIN), Hold::Firm);
        let place = self.answers.enter(left.name(), firmly, gives_up).map_err(no_memory)?;
        Ok(Held::new(at_once, place))
    }

    /// The record of a call that begins.
    pub(crate) fn record(&self, call: &'static str, caller: &Caller) -> Record {
        Record::begin(&self.log, &self.clock, call, caller.client.address)
    }

    /// Makes sure that the caller may still see what was found: rights may have changed while a look-up waited for the store.
    pub(crate) async fn confirm(&self, who: &Access, caller: &Caller) -> Result<(), CallError> {
        let now = self.clock.now();
        if self.admission.is_current(who, now) {
            return Ok(());
        }
        let again = self.admission.admit(bearer_token(&caller.metadata)?, now).await?;
        if Rights::are_kept(who, &again) { Ok(()) } else { Err(CallError::RightsChanged) }
    }

    /// Answers a search, which `look` makes.
    async fn answer_search(
        &self,
        call: &'static str,
        request: Request<SearchRequest>,
        look: impl AsyncFnOnce(&Access, &Query) -> Result<Page, SearchError>,
    ) -> Result<Response<SearchResponse>, Status> {
        let (caller, message) = Caller::of(request);
        let work = async |who: Access, left: &Allowance, record: &mut Record| {
            let (query, view) = query_of(message)?;
            record.asked(&query);
            // What is above the largest page is refused as that.
            let rows = query.page_size.unwrap_or(PAGE_SIZE_DEFAULT).min(PAGE_SIZE_MAX);
            left.take_rows(rows)?;
            record.weigh(rows as usize * ROW_BYTES)?;
            let mut page = look(&who, &query).await?;
            self.confirm(&who, &caller).await?;
            let sharing = self.admission.sharing()?;
            let (message, bytes) = search_response(&mut page, view, &sharing)?;
            record.weigh(UNWRITTEN_FACTOR * bytes.iter().sum::<usize>())?;
            record.shown(&page, &bytes);
            Ok((message, page.cost))
        };
        self.answer_within(call, &caller, work).await.map(|answer| self.told(answer))
    }

    /// Answers with one row, which `look` finds.
    async fn answer_get(
        &self,
        call: &'static str,
        request: Request<GetRequest>,
        look: impl AsyncFnOnce(&Access, &RowQuery) -> Result<Answer, SearchError>,
    ) -> Result<Response<GetResponse>, Status> {
        let (caller, message) = Caller::of(request);
        let work = async |who: Access, record: &mut Record| {
            let query = row_query_of(message)?;
            record.asked_row(&query);
            let mut answer = look(&who, &query).await?;
            self.confirm(&who, &caller).await?;
            let sharing = self.admission.sharing()?;
            let message = get_response(&mut answer, &sharing)?;
            record.weigh(UNWRITTEN_FACTOR * message.encoded_len())?;
            record.shown_row(&answer);
            Ok(message)
        };
        self.answer(call, &caller, work).await
    }

    /// What comes of some work, within the caller's time limit and ours, and a net for panics.
    pub(crate) async fn limited<T>(
        &self,
        caller: &Caller,
        work: impl Future<Output = Result<T, CallError>>,
    ) -> Result<T, CallError> {
        // A panic leaves nothing half done here: neither a search nor a login holds a lock, and what a login writes is
        // written at once or not at all.
        let limited =
            AssertUnwindSafe(tokio::time::timeout(time_left(&caller.metadata, self.request_life), work))
                .catch_unwind();
        match limited.await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_elapsed)) => Err(CallError::TooSlow),
            // What a panic says may quote data, so it is left to the panic hook.
            Err(_panic) => Err(CallError::Panicked),
        }
    }
}

/// The answer to a call.
pub(crate) fn reply<T>(call: &'static str, outcome: Result<T, CallError>) -> Result<Response<T>, Status> {
    outcome.map(Response::new).map_err(|error| status_of(call, &error))
}

/// The token of the one `authorization: Bearer` header.
fn bearer_token(metadata: &MetadataMap) -> Result<&str, CallError> {
    let mut headers = metadata.get_all("authorization").iter();
    let (Some(header), None) = (headers.next(), headers.next()) else {
        return Err(CallError::NoToken);
    };
    let (scheme, token) =
        header.to_str().ok().and_then(|text| text.split_once(' ')).ok_or(CallError::NoToken)?;
    if scheme.eq_ignore_ascii_case("bearer") { Ok(token) } else { Err(CallError::NoToken) }
}

#[derive(Debug)]
pub(crate) struct AuditTrails(Desk);

#[async_trait]
impl AuditTrailService for AuditTrails {
    async fn search(&self, request: Request<SearchRequest>) -> Result<Response<SearchResponse>, Status> {
        let look = async |who: &Access, query: &Query| self.0.search.audit_trails(who, query).await;
        self.0.answer_search("AuditTrailService.Search", request, look).await
    }

    async fn get(&self, request: Request<GetRequest>) -> Result<Response<GetResponse>, Status> {
        let look = async |who: &Access, row: &RowQuery| self.0.search.audit_trail(who, row).await;
        self.0.answer_get("AuditTrailService.Get", request, look).await
    }
}

#[derive(Debug)]
pub(crate) struct MeterReads(Desk);

#[async_trait]
impl MeterReadService for MeterReads {
    async fn search(&self, request: Request<SearchRequest>) -> Result<Response<SearchResponse>, Status> {
        let look = async |who: &Access, query: &Query| self.0.search.meter_reads(who, query).await;
        self.0.answer_search("MeterReadService.Search", request, look).await
    }

    async fn get(&self, request: Request<GetRequest>) -> Result<Response<GetResponse>, Status> {
        let look = async |who: &Access, row: &RowQuery| self.0.search.meter_read(who, row).await;
        self.0.answer_get("MeterReadService.Get", request, look).await
    }
}

#[derive(Debug)]
pub(crate) struct FreshnessDesk {
    desk: Desk,
    freshness: Arc<dyn Freshness>,
    outward: Arc<Outward>,
}

#[async_trait]
impl FreshnessService for FreshnessDesk {
    async fn get(
        &self,
        request: Request<GetFreshnessRequest>,
    ) -> Result<Response<GetFreshnessResponse>, Status> {
        let (caller, message) = Caller::of(request);
        // Whoever may use anything may know: there is no row in it, and so no component to demand.
        let work = async |who: Access, record: &mut Record| {
            who.require_any_role(self.desk.now())?;
            let told = |report| self.outward.of(report);
            let message = freshness_page(self.freshness.as_ref(), &message, told)?;
            record.weigh(UNWRITTEN_FACTOR * message.encoded_len())?;
            Ok(message)
        };
        self.desk.answer("FreshnessService.Get", &caller, work).await
    }
}

#[cfg(test)]
mod tests;
