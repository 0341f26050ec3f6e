//! The service for operators: the state of the lake, what could not be read, and what became of every position.
//!
//! Its callers are no Users. No token of theirs opens it, an operator's opens nothing else, and nothing here takes an `Access`: so no row of
//! anybody's audit trail can come through this door.

mod message;
mod proofs;

use crate::callers::Allowance;
use crate::freshness::freshness_page;
use crate::limits::{PAGE_BYTES_MAX, REQUEST_BYTES_MAX, RESPONSE_BYTES_MAX, UNWRITTEN_FACTOR};
use crate::record::{Caller, Record};
use crate::row::field_bytes;
use crate::service::Desk;
use crate::status::CallError;
use gridtrail_access::OperatorGate;
use gridtrail_freshness::Freshness;
use gridtrail_lake::{Lake, LakeError, LetterFilter};
use gridtrail_proto::operate::v1::operator_service_server::{OperatorService, OperatorServiceServer};
use gridtrail_proto::operate::v1::{
    GetDeadLetterRequest, GetDeadLetterResponse, GetLakeStatusRequest, GetLakeStatusResponse,
    ListDeadLettersRequest, ListDeadLettersResponse, ReconcileRequest, ReconcileResponse,
};
use gridtrail_proto::query::v1::{GetFreshnessRequest, GetFreshnessResponse};
use gridtrail_search::{PAGE_SIZE_DEFAULT, PAGE_SIZE_MAX, SearchError, StoreError};
use message::{letter_message, reconciliation, status_message, whole_letter};
use proofs::{Made, Proofs};
use prost::Message as _;
use std::sync::Arc;
use tokio::sync::Semaphore;
use tonic::{Request, Response, Status, async_trait};

/// What operators are answered from.
#[derive(Debug)]
pub struct OperatorParts {
    /// Lets operators in, and nobody else.
    pub gate: OperatorGate,
    /// The lake that they look after.
    pub lake: Lake,
}

#[derive(Debug)]
pub(crate) struct Operators {
    desk: Desk,
    gate: OperatorGate,
    lake: Lake,
    freshness: Arc<dyn Freshness>,
    /// What all operators may ask for together.
    allowance: Allowance,
    /// Of those who read dead letters: a file of them is in memory as a whole.
    reading: Semaphore,
    proofs: Proofs,
}

impl Operators {
    pub(crate) fn server(
        desk: &Desk,
        OperatorParts { gate, lake }: OperatorParts,
        freshness: Arc<dyn Freshness>,
    ) -> OperatorServiceServer<Self> {
        let proofs = Proofs::new(lake.clone(), desk.clock().clone());
        let (desk, reading) = (desk.clone(), Semaphore::new(1));
        let allowance = Allowance::of_operators();
        OperatorServiceServer::new(Self { desk, gate, lake, freshness, allowance, reading, proofs })
            .max_decoding_message_size(REQUEST_BYTES_MAX)
            .max_encoding_message_size(RESPONSE_BYTES_MAX)
    }

    /// Answers one call of an operator.
    async fn answer<T: prost::Message>(
        &self,
        call: &'static str,
        caller: &Caller,
        work: impl AsyncFnOnce(&mut Record) -> Result<T, CallError>,
    ) -> Result<Response<T>, Status> {
        let work = async |record: &mut Record| {
            let message = work(record).await?;
            record.weigh(UNWRITTEN_FACTOR * message.encoded_len())?;
            Ok(message)
        };
        self.desk.answer_operator(call, caller, (&self.gate, &self.allowance), work).await
    }

    /// A page of letters: after so many of those that are looked for.
    async fn letters(
        &self,
        wanted: &LetterFilter,
        (passed, most): (u64, usize),
    ) -> Result<ListDeadLettersResponse, CallError> {
        let _alone = self.reading.acquire().await.map_err(|_closed| CallError::Busy)?;
        let mut letters = self.lake.letters().await.map_err(unread)?;
        let (mut page, mut room, mut skipped) = (Vec::new(), PAGE_BYTES_MAX, 0);
        let mut has_more = false;
        'files: while let Some(found) =
            letters.next(|fate, letter| wanted.takes(fate, letter)).await.map_err(unread)?
        {
            for (fate, letter) in found {
                if skipped < passed {
                    skipped += 1;
                    continue;
                }
                let message = letter_message(fate, &letter);
                let bytes = field_bytes(&message);
                has_more = page.len() == most || bytes > room && !page.is_empty();
                if has_more {
                    break 'files;
                }
                room = room.saturating_sub(bytes);
                page.push(message);
            }
        }
        let next = passed + page.len() as u64;
        let next_page_token = if has_more { next.to_string() } else { String::new() };
        Ok(ListDeadLettersResponse { letters: page, next_page_token })
    }
}

fn unread(error: LakeError) -> CallError {
    SearchError::Lake(StoreError::from(error)).into()
}

fn rows_a_page(asked: u32) -> Result<usize, CallError> {
    match asked {
        0 => Ok(PAGE_SIZE_DEFAULT as usize),
        1..=PAGE_SIZE_MAX => Ok(asked as usize),
        _ => Err(SearchError::invalid("page_size", format!("at most {PAGE_SIZE_MAX}")).into()),
    }
}

/// A token that says how many the pages before had. It is no secret.
fn passed_by(token: &str) -> Result<u64, CallError> {
    let rule = "not a page token that this service gave you; begin again without one";
    if token.is_empty() {
        return Ok(0);
    }
    token.parse().map_err(|_| SearchError::invalid("page_token", rule).into())
}

/// Where a page of the sources of a proof begins: of which proof, and after how many.
fn place_in(made: &Made, token: &str) -> Result<usize, CallError> {
    if token.is_empty() {
        return Ok(0);
    }
    let place = token.split_once('-').filter(|(at, _)| *at == made.at.millis().to_string());
    let rule = "not one of the proof that was made last; begin again without one";
    place
        .and_then(|(_, passed)| passed.parse().ok())
        .ok_or_else(|| SearchError::invalid("page_token", rule).into())
}

fn some(text: String) -> Option<String> {
    Some(text).filter(|text| !text.is_empty())
}

#[async_trait]
impl OperatorService for Operators {
    async fn get_lake_status(
        &self,
        request: Request<GetLakeStatusRequest>,
    ) -> Result<Response<GetLakeStatusResponse>, Status> {
        let (caller, GetLakeStatusRequest {}) = Caller::of(request);
        let work = async |_: &mut Record| {
            let status = self.lake.inspection().await.map_err(unread)?.status().await.map_err(unread)?;
            Ok(status_message(status, self.desk.now()))
        };
        self.answer("OperatorService.GetLakeStatus", &caller, work).await
    }

    async fn get_freshness(
        &self,
        request: Request<GetFreshnessRequest>,
    ) -> Result<Response<GetFreshnessResponse>, Status> {
        let (caller, message) = Caller::of(request);
        // As it is: what is kept from Users, since it would tell of what others do, is what an operator looks for.
        let work = async |_: &mut Record| freshness_page(self.freshness.as_ref(), &message, |report| report);
        self.answer("OperatorService.GetFreshness", &caller, work).await
    }

    async fn list_dead_letters(
        &self,
        request: Request<ListDeadLettersRequest>,
    ) -> Result<Response<ListDeadLettersResponse>, Status> {
        let (caller, message) = Caller::of(request);
        let ListDeadLettersRequest { source, reason, settled, page_size, page_token } = message;
        let work = async |record: &mut Record| {
            let (most, passed) = (rows_a_page(page_size)?, passed_by(&page_token)?);
            record.asked_page(u32::try_from(most).unwrap_or(u32::MAX), passed > 0);
            let wanted = LetterFilter { source: some(source), reason: some(reason), settled };
            let page = self.letters(&wanted, (passed, most)).await?;
            record.shown_listed(&page.letters.iter().map(field_bytes).collect::<Vec<_>>());
            Ok(page)
        };
        self.answer("OperatorService.ListDeadLetters", &caller, work).await
    }

    async fn get_dead_letter(
        &self,
        request: Request<GetDeadLetterRequest>,
    ) -> Result<Response<GetDeadLetterResponse>, Status> {
        let (caller, GetDeadLetterRequest { source, position, with_record }) = Caller::of(request);
        let work = async |record: &mut Record| {
            record.asked_letter(&source, position, with_record);
            let _alone = self.reading.acquire().await.map_err(|_closed| CallError::Busy)?;
            let mut letters = self.lake.letters().await.map_err(unread)?;
            while let Some(found) = letters
                .next(|_, letter| letter.position == position && letter.source == source)
                .await
                .map_err(unread)?
            {
                if let Some((fate, letter)) = found.first() {
                    let answer = whole_letter(*fate, letter, with_record);
                    record.shown_listed(&[answer.encoded_len()]);
                    return Ok(answer);
                }
            }
            Err(CallError::NoLetter)
        };
        self.answer("OperatorService.GetDeadLetter", &caller, work).await
    }

    async fn reconcile(
        &self,
        request: Request<ReconcileRequest>,
    ) -> Result<Response<ReconcileResponse>, Status> {
        let (caller, ReconcileRequest { anew, page_size, page_token }) = Caller::of(request);
        let work = async |record: &mut Record| {
            let most = rows_a_page(page_size)?;
            record.asked_page(u32::try_from(most).unwrap_or(u32::MAX), !page_token.is_empty());
            let found = self.proofs.look(anew && page_token.is_empty()).await?;
            let Some(made) = found.last else {
                return Ok(ReconcileResponse { running: found.is_running, ..ReconcileResponse::default() });
            };
            let passed = place_in(&made, &page_token)?;
            let (message, shown) = reconciliation(&made, (passed, most), PAGE_BYTES_MAX);
            let next = passed + shown;
            let has_more = next < made.proof.sources.len();
            let next_page_token =
                if has_more { format!("{}-{next}", made.at.millis()) } else { String::new() };
            let reconciliation = Some(message);
            Ok(ReconcileResponse { running: found.is_running, reconciliation, next_page_token })
        };
        self.answer("OperatorService.Reconcile", &caller, work).await
    }
}
