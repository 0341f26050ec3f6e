//! Arrow Flight SQL: its calls go through the same desk as all others, and each statement through a place of its own.
//!
//! The bearer token is that of every call. For clients that know names and passwords alone, a handshake takes a token as the password, whatever
//! the name, and gives it back as the token to go on with.

mod hands;
mod outflow;

use crate::callers::{Allowance, CallerName};
use crate::deadline::time_left;
use crate::limits::{RESPONSE_BYTES_MAX, STATEMENT_ANSWER_BYTES, STATEMENT_MESSAGE_BYTES_MAX};
use crate::record::{Caller, Leaving, Record};
use crate::service::{Desk, reply};
use crate::status::CallError;
use arrow_flight::flight_service_server::{FlightService, FlightServiceServer};
use arrow_flight::{
    Action, ActionType, Criteria, Empty, FlightData, FlightDescriptor, FlightInfo, HandshakeRequest,
    HandshakeResponse, PollInfo, PutResult, SchemaResult, Ticket,
};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use futures::stream::{self, BoxStream, StreamExt as _};
use gridtrail_access::Access;
use gridtrail_flight::{Asker, FlightError, FlightSql, Put, Question, Rows, actions};
use gridtrail_port::{Place, Places, Sizes};
use outflow::{Outflow, Work};
use std::num::NonZeroU32;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio_util::task::AbortOnDropHandle;
use tonic::{Request, Response, Status, Streaming, async_trait};

/// How statements of SQL are answered.
#[derive(Debug, Clone)]
pub struct SqlParts {
    /// Answers them.
    pub flight: FlightSql,
    /// Statements that are carried out at the same time. Each may take what the limits of `flight` say.
    pub at_once: NonZeroU32,
    /// Those of one caller.
    pub at_once_each: NonZeroU32,
    /// Where they are carried out: threads of their own keep them from holding up other calls.
    pub threads: Handle,
}

/// The service.
#[derive(Debug, Clone)]
pub(crate) struct FlightDesk {
    desk: Desk,
    flight: FlightSql,
    statements: Places<CallerName>,
    threads: Handle,
}

/// A stream of messages that are there at once.
fn at_once<T: Send + 'static>(
    messages: impl IntoIterator<Item = T, IntoIter: Send + 'static>,
) -> Messages<T> {
    stream::iter(messages.into_iter().map(Ok)).boxed()
}

type Messages<T> = BoxStream<'static, Result<T, Status>>;

impl FlightDesk {
    pub(crate) fn server(desk: &Desk, parts: SqlParts) -> FlightServiceServer<Self> {
        let SqlParts { flight, at_once, at_once_each, threads } = parts;
        // No statement that is at work gives its place up.
        let sizes = Sizes { all: at_once.get(), each: at_once_each.get(), patience: Duration::MAX };
        let this = Self { desk: desk.clone(), flight, statements: Places::new(sizes), threads };
        FlightServiceServer::new(this)
            .max_decoding_message_size(STATEMENT_MESSAGE_BYTES_MAX)
            .max_encoding_message_size(RESPONSE_BYTES_MAX)
    }

    /// Answers a call about a question, with one message. A statement records itself from where it is read.
    async fn answer_about<T>(
        &self,
        call: &'static str,
        request: Request<FlightDescriptor>,
        tell: impl FnOnce(
            FlightSql,
            Asker,
            Question,
            FlightDescriptor,
        ) -> BoxFuture<'static, Result<T, FlightError>>,
    ) -> Result<Response<T>, Status>
    where
        T: Send + 'static,
    {
        let (caller, descriptor) = Caller::of(request);
        let work = async |who: Access, record: &mut Record| {
            let question = self.flight.question(&who, &descriptor.cmd)?;
            let asker = self.desk.asker(&who, &caller, call)?;
            let place = match question.known_text() {
                Some(text) => {
                    record.asked_of_sql(text);
                    None
                }
                None => {
                    let place = self.place_for(&question, &self.desk.allowance(&who))?;
                    note(record, &question);
                    place
                }
            };
            let told = tell(self.flight.clone(), asker, question, descriptor);
            Ok(self.carry_out(place, told, record).await?.0)
        };
        self.desk.answer(call, &caller, work).await
    }

    /// Does what a statement asks for on the threads of statements, in the place of one, which is taken for as long as the threads are at it: planning
    /// takes them, too, and ends no sooner for being asked.
    async fn carry_out<T: Send + 'static>(
        &self,
        place: Option<Place<CallerName>>,
        work: BoxFuture<'static, Result<T, FlightError>>,
        record: &mut Record,
    ) -> Result<(T, Option<Place<CallerName>>), CallError> {
        let carried_out = self.threads.spawn(async move { (work.await, place) });
        // What a panic says may quote data, so it is left to the panic hook.
        let carried_out = AbortOnDropHandle::new(carried_out).await;
        let (outcome, place) = carried_out.map_err(|_| CallError::Panicked)?;
        Ok((taken_back(record, outcome)?, place))
    }

    /// A place for a statement; metadata need none.
    fn place_for(
        &self,
        question: &Question,
        left: &Allowance,
    ) -> Result<Option<Place<CallerName>>, CallError> {
        question.metadata().is_none().then(|| self.place(left)).transpose()
    }

    /// A place for a statement that is carried out.
    fn place(&self, left: &Allowance) -> Result<Place<CallerName>, CallError> {
        left.place_in(&self.statements, "statements at once")
    }

    /// Begins an answer with rows.
    async fn begin(
        &self,
        (call, caller): (&'static str, &Caller),
        ticket: &Ticket,
        (who, record): (Access, &mut Record),
    ) -> Result<(Rows, Work), CallError> {
        let question = self.flight.question_of_ticket(&who, &ticket.ticket)?;
        let asker = self.desk.asker(&who, caller, call)?;
        let left = self.desk.allowance(&who);
        let place = self.place_for(&question, &left)?;
        record.weigh(STATEMENT_ANSWER_BYTES)?;
        note(record, &question);
        let flight = self.flight.clone();
        let begun = async move { Box::pin(flight.rows(&asker, question)).await }.boxed();
        let (rows, place) = self.carry_out(place, begun, record).await?;
        let until = tokio::time::Instant::now() + time_left(&caller.metadata, self.flight.limits().time);
        Ok((rows, Work { left, until, place }))
    }
}

/// Notes what is asked: a statement notes itself.
fn note(record: &mut Record, question: &Question) {
    match question.metadata() {
        Some(name) => record.asked_of_sql(name),
        None => record.leave_to_statement(),
    }
}

/// What came of a statement; where it did not come as far as its own record, this one notes it.
fn taken_back<T>(record: &mut Record, outcome: Result<T, FlightError>) -> Result<T, CallError> {
    if outcome.as_ref().is_err_and(|error| !error.is_on_record()) {
        record.take_back();
    }
    Ok(outcome?)
}

/// A call that the protocol has and this service has not.
fn unsupported<T>(call: &'static str, what: &str) -> Result<Response<T>, Status> {
    reply(call, Err(FlightError::Unsupported(what.to_owned()).into()))
}

#[async_trait]
impl FlightService for FlightDesk {
    type HandshakeStream = Messages<HandshakeResponse>;
    type ListFlightsStream = Messages<FlightInfo>;
    type DoGetStream = Messages<FlightData>;
    type DoPutStream = Messages<PutResult>;
    type DoActionStream = Messages<arrow_flight::Result>;
    type ListActionsStream = Messages<ActionType>;
    type DoExchangeStream = Messages<FlightData>;

    async fn handshake(
        &self,
        request: Request<Streaming<HandshakeRequest>>,
    ) -> Result<Response<Self::HandshakeStream>, Status> {
        const CALL: &str = "FlightService.Handshake";
        let (mut caller, mut messages) = Caller::of(request);
        let asked = caller.clone();
        let read = hands::token_of(&mut caller.metadata, &mut messages);
        let token = match self.desk.limited(&asked, read).await {
            Ok(token) => token,
            Err(error) => return reply(CALL, Err(error)),
        };
        let answer = self.desk.answer(CALL, &caller, async |_, _| Ok(())).await?;
        let mut answer = answer.map(|()| {
            let payload = token.clone().into_bytes().into();
            at_once([HandshakeResponse { protocol_version: 0, payload }])
        });
        if let Ok(header) = format!("Bearer {token}").parse() {
            answer.metadata_mut().insert("authorization", header);
        }
        Ok(answer)
    }

    async fn list_flights(&self, _: Request<Criteria>) -> Result<Response<Self::ListFlightsStream>, Status> {
        unsupported("FlightService.ListFlights", "ListFlights")
    }

    async fn get_flight_info(
        &self,
        request: Request<FlightDescriptor>,
    ) -> Result<Response<FlightInfo>, Status> {
        let tell = |flight: FlightSql, asker, question, descriptor| {
            async move { flight.describe(&asker, question, descriptor).await }.boxed()
        };
        self.answer_about("FlightService.GetFlightInfo", request, tell).await
    }

    async fn poll_flight_info(&self, _: Request<FlightDescriptor>) -> Result<Response<PollInfo>, Status> {
        unsupported("FlightService.PollFlightInfo", "PollFlightInfo")
    }

    async fn get_schema(&self, request: Request<FlightDescriptor>) -> Result<Response<SchemaResult>, Status> {
        let tell = |flight: FlightSql, asker, question, _| {
            async move { flight.schema(&asker, question).await }.boxed()
        };
        self.answer_about("FlightService.GetSchema", request, tell).await
    }

    async fn do_get(&self, request: Request<Ticket>) -> Result<Response<Self::DoGetStream>, Status> {
        const CALL: &str = "FlightService.DoGet";
        let (caller, ticket) = Caller::of(request);
        let begin = async |who: Access, record: &mut Record| {
            Box::pin(self.begin((CALL, &caller), &ticket, (who, record))).await
        };
        let answer = self.desk.answer(CALL, &caller, begin).await?;
        let (metadata, (rows, work), mut extensions) = answer.into_parts();
        let record = extensions.remove::<Leaving>().and_then(|leaving| leaving.take());
        let (outflow, held) = Outflow::begin(CALL, &self.threads, (rows, work), record);
        extensions.insert(held);
        Ok(Response::from_parts(metadata, outflow.boxed(), extensions))
    }

    async fn do_put(
        &self,
        request: Request<Streaming<FlightData>>,
    ) -> Result<Response<Self::DoPutStream>, Status> {
        let (caller, mut messages) = Caller::of(request);
        let work = async |who: Access, _: &mut Record| {
            let mut put = Put::default();
            while let Some(message) = messages.message().await.map_err(|status| cut(&status))? {
                put.take(message)?;
            }
            Ok(self.flight.put(&who, put).await?)
        };
        let answer = self.desk.answer("FlightService.DoPut", &caller, work).await?;
        Ok(answer.map(|result| at_once([result])))
    }

    async fn do_exchange(
        &self,
        _: Request<Streaming<FlightData>>,
    ) -> Result<Response<Self::DoExchangeStream>, Status> {
        unsupported("FlightService.DoExchange", "DoExchange")
    }

    async fn do_action(&self, request: Request<Action>) -> Result<Response<Self::DoActionStream>, Status> {
        const CALL: &str = "FlightService.DoAction";
        let (caller, action) = Caller::of(request);
        let work = async |who: Access, record: &mut Record| {
            let deed = self.flight.deed(&who, &action)?;
            let asker = self.desk.asker(&who, &caller, CALL)?;
            if !deed.reads_statement() {
                return Ok(self.flight.act(&asker, deed).await?);
            }
            let place = self.place(&self.desk.allowance(&who))?;
            record.leave_to_statement();
            let flight = self.flight.clone();
            let prepared = async move { flight.act(&asker, deed).await }.boxed();
            Ok(self.carry_out(Some(place), prepared, record).await?.0)
        };
        let answer = self.desk.answer(CALL, &caller, work).await?;
        Ok(answer.map(|body| at_once(body.map(|body| arrow_flight::Result { body: body.into() }))))
    }

    async fn list_actions(
        &self,
        request: Request<Empty>,
    ) -> Result<Response<Self::ListActionsStream>, Status> {
        let (caller, _) = Caller::of(request);
        let answer = self.desk.answer("FlightService.ListActions", &caller, async |_, _| Ok(())).await?;
        Ok(answer.map(|()| at_once(actions())))
    }
}

/// Why the messages of a put ended before their end.
fn cut(status: &Status) -> CallError {
    FlightError::Malformed(status.message().to_owned()).into()
}
