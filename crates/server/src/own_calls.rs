//! The service of the access log: the caller's own calls.

use crate::callers::{Allowance, CallerName};
use crate::freshness::wire_span;
use crate::limits::{
    OWN_CALLS_AT_ONCE, OWN_CALLS_AT_ONCE_EACH, PAGE_BYTES_MAX, REQUEST_BYTES_MAX, RESPONSE_BYTES_MAX,
    ROW_BYTES, UNWRITTEN_FACTOR,
};
use crate::record::{Caller, Record};
use crate::row::{field_bytes, wire_time};
use crate::service::Desk;
use crate::status::CallError;
use gridtrail_access::Access;
use gridtrail_access_log::Entry;
use gridtrail_lake::{CallsFrom, Lake, LakeErrorKind, OwnCalls};
use gridtrail_model::Timestamp;
use gridtrail_port::{Places, Sizes};
use gridtrail_proto::query::v1;
use gridtrail_proto::query::v1::access_log_service_server::{AccessLogService, AccessLogServiceServer};
use gridtrail_search::{
    NotOpened, PAGE_SIZE_DEFAULT, PAGE_SIZE_MAX, PAGE_TOKEN_LIFE_MS, PageKey, SearchError, StoreError,
};
use std::time::Duration;
use tonic::{Request, Response, Status, async_trait};

/// Where the record of calls is read.
#[derive(Debug, Clone)]
pub struct CallRecord {
    /// The lake whose access log has it.
    pub lake: Lake,
    /// Seals page tokens.
    pub key: PageKey,
}

#[derive(Debug)]
pub(crate) struct Calls {
    desk: Desk,
    record: CallRecord,
    /// Of pages that are read at the same time: each may look at a million rows, whoever calls seldom.
    places: Places<CallerName>,
}

impl Calls {
    pub(crate) fn server(desk: &Desk, record: CallRecord) -> AccessLogServiceServer<Self> {
        let sizes = Sizes { all: OWN_CALLS_AT_ONCE, each: OWN_CALLS_AT_ONCE_EACH, patience: Duration::MAX };
        AccessLogServiceServer::new(Self { desk: desk.clone(), record, places: Places::new(sizes) })
            .max_decoding_message_size(REQUEST_BYTES_MAX)
            .max_encoding_message_size(RESPONSE_BYTES_MAX)
    }

    /// Where a page begins, by its token, and until when the tokens of its pages hold.
    fn opened(&self, token: &str, who: &Access) -> Result<(Option<CallsFrom>, Timestamp), SearchError> {
        let now = self.desk.now();
        if token.is_empty() {
            return Ok((None, now.plus_millis(PAGE_TOKEN_LIFE_MS)));
        }
        let contents = self.record.key.open_calls(token, (who, now)).map_err(refused)?;
        let place = contents.split_first_chunk().and_then(|(until_ms, from)| {
            Some((CallsFrom::from_bytes(from)?, Timestamp::from_millis(i64::from_be_bytes(*until_ms))?))
        });
        let (from, until) = place.ok_or_else(|| refused(NotOpened::Foreign))?;
        Ok((Some(from), until))
    }

    fn sealed(&self, next: &CallsFrom, who: &Access, until: Timestamp) -> Result<String, SearchError> {
        let contents = [&until.millis().to_be_bytes()[..], &next.to_bytes()].concat();
        self.record.key.seal_calls((who, until), &contents)
    }
}

fn refused(why: NotOpened) -> SearchError {
    let rule = match why {
        NotOpened::Foreign => "not a page token that this service gave you; begin again without one",
        NotOpened::Expired => "no longer valid; begin again without one",
        NotOpened::OtherRights => "given when you had other rights; begin again without one",
    };
    SearchError::invalid("page_token", rule)
}

#[async_trait]
impl AccessLogService for Calls {
    async fn list(
        &self,
        request: Request<v1::ListCallsRequest>,
    ) -> Result<Response<v1::ListCallsResponse>, Status> {
        let (caller, message) = Caller::of(request);
        let v1::ListCallsRequest { page_size, page_token } = message;
        let work = async |who: Access, left: &Allowance, record: &mut Record| {
            who.require_any_role(self.desk.now())?;
            let most = if page_size == 0 { PAGE_SIZE_DEFAULT } else { page_size };
            record.asked_page(most, !page_token.is_empty());
            if most > PAGE_SIZE_MAX {
                return Err(SearchError::invalid("page_size", format!("at most {PAGE_SIZE_MAX}")).into());
            }
            let (from, until) = self.opened(&page_token, &who)?;
            left.take_rows(most)?;
            let _place = left.place_in(&self.places, "pages of calls at once")?;
            record.weigh(most as usize * ROW_BYTES)?;
            let found = self.record.lake.own_calls(&who, from, most as usize).await;
            let mut found = found.map_err(|error| match error.kind() {
                LakeErrorKind::VersionGone => refused(NotOpened::Expired),
                _ => StoreError::from(error).into(),
            })?;
            self.desk.confirm(&who, &caller).await?;
            let (calls, bytes) = calls_that_fit(&mut found);
            record.weigh(UNWRITTEN_FACTOR * bytes.iter().sum::<usize>())?;
            record.shown_listed(&bytes);
            let next = found.next.map(|next| self.sealed(&next, &who, until)).transpose()?;
            Ok::<_, CallError>(v1::ListCallsResponse { calls, next_page_token: next.unwrap_or_default() })
        };
        self.desk.answer_within("AccessLogService.List", &caller, work).await
    }
}

/// The messages of calls, as many as there is room for, and how many bytes each has. The page ends where the messages do.
fn calls_that_fit(page: &mut OwnCalls) -> (Vec<v1::Call>, Vec<usize>) {
    let (mut calls, mut sizes) = (Vec::new(), Vec::new());
    let mut room = PAGE_BYTES_MAX;
    for entry in &page.calls {
        let call = call(entry);
        let bytes = field_bytes(&call);
        // The text of a statement has 64 KiB at most: a call always has room on a page of its own.
        if bytes > room && !calls.is_empty() {
            break;
        }
        room = room.saturating_sub(bytes);
        calls.push(call);
        sizes.push(bytes);
    }
    page.end_after(calls.len());
    (calls, sizes)
}

fn call(entry: &Entry) -> v1::Call {
    let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
    let list = |text: Option<&str>| -> Vec<String> {
        text.into_iter().flat_map(|text| text.split(',')).map(str::to_owned).collect()
    };
    v1::Call {
        at: Some(wire_time(entry.at)),
        took: entry.took_us.map(|micros| wire_span(i64::try_from(micros / 1_000).unwrap_or(i64::MAX))),
        call: entry.call.to_string(),
        outcome: entry.outcome.to_string(),
        reason: text(entry.reason.as_deref()),
        detail: text(entry.detail.as_deref()),
        session: text(entry.session.as_deref()),
        roles: list(entry.roles.as_deref()),
        peer: text(entry.peer.as_deref()),
        key_kinds: list(entry.key_kind.as_deref()),
        key: text(entry.key.as_deref()),
        service_reference_variants: list(entry.variants.as_deref()),
        from: entry.from.map(wire_time),
        to: entry.to.map(wire_time),
        rows: entry.rows,
        rows_of_others: entry.rows_of_others,
        page_size: entry.page_size,
        later_page: entry.later_page,
        snapshot_version: text(entry.version.as_deref()),
    }
}
