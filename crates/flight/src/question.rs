//! What a command or a ticket asks.

use crate::command::{command_of, name_of, refuse_transaction};
use crate::error::FlightError;
use crate::limits::{DESCRIBED_KEPT_BYTES, HANDLE_LIFE_MS, PUT_KEPT_BYTES, STATEMENTS_KEPT, TICKET_LIFE_MS};
use crate::metadata::Metadata;
use crate::parameters::Put;
use crate::statement::{Described, Statement};
use arrow_flight::Ticket;
use arrow_flight::sql::{Command, DoPutPreparedStatementResult, ProstMessageExt as _, TicketStatementQuery};
use gridtrail_access::Access;
use gridtrail_lake::{Lake, Snapshot};
use gridtrail_model::Timestamp;
use gridtrail_runtime::Clock;
use gridtrail_search::{PageKey, Sealed};
use gridtrail_sql::{Freshened, Recording, Rights, SecuredSession, SqlLimits};
use moka::sync::Cache;
use prost::Message as _;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// What sessions answer from.
#[derive(Clone)]
pub struct Served {
    /// The tables.
    pub lake: Lake,
    /// The lake whose access log has the calls of callers: the same, unless nothing may be written to that.
    pub calls: Lake,
    /// How fresh the tables are.
    pub freshness: Freshened,
    /// Whether the inventory shows every Type 2 Device.
    pub shows_type_2: bool,
}

impl fmt::Debug for Served {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Served").field("shows_type_2", &self.shows_type_2).finish_non_exhaustive()
    }
}

/// What answers messages of the protocol, from one lake. Clones share what is kept.
#[derive(Debug, Clone)]
pub struct FlightSql {
    pub(crate) served: Served,
    pub(crate) clock: Clock,
    key: PageKey,
    limits: SqlLimits,
    /// Values that were put for the parameters of a statement, by its id: for clients that go on with the handle that they had.
    puts: Cache<Vec<u8>, Arc<Vec<u8>>>,
    /// What statements that were prepared here give, by their ids.
    described: Cache<Vec<u8>, Arc<Described>>,
    /// Statements that were begun or cancelled here, by their ids.
    known: Cache<Vec<u8>, CancellationToken>,
}

/// Who asks, as they were admitted, and where what they ask is recorded.
#[derive(Debug, Clone)]
pub struct Asker {
    /// What they may do.
    pub who: Access,
    /// Tells when they may do less.
    pub rights: Rights,
    /// Takes the record of each statement of theirs.
    pub recording: Recording,
    /// How long a statement may take until it gives rows, where its limits do not say less: as long as the call waits for it.
    pub begin_within: Duration,
}

/// What is asked.
#[derive(Debug, Clone, PartialEq)]
pub enum Question {
    /// The rows of a statement.
    Statement(Statement),
    /// The same, of one that was prepared here under the caller's rights: what it gives is known.
    Prepared(Statement, Arc<Described>),
    /// What there is: tables, types, what the service can do.
    Metadata(Metadata),
}

impl Question {
    /// The protocol's name of a question about metadata.
    pub fn metadata(&self) -> Option<&str> {
        match self {
            Self::Statement(_) | Self::Prepared(..) => None,
            Self::Metadata(metadata) => Some(metadata.name()),
        }
    }

    /// The statement, as the access log has it, where it is known what that gives: nothing of it has to be planned to describe it.
    pub fn known_text(&self) -> Option<&str> {
        match self {
            Self::Prepared(_, described) => Some(&described.text),
            Self::Statement(_) | Self::Metadata(_) => None,
        }
    }
}

impl FlightSql {
    /// Answers from what is served. `key` seals tickets and handles: servers that answer for one another need the same one. `limits` are those of
    /// each statement.
    pub fn new(served: Served, clock: Clock, key: PageKey, limits: SqlLimits) -> Self {
        let life = Duration::from_millis(TICKET_LIFE_MS.unsigned_abs());
        let puts = Cache::builder()
            .weigher(|_, values: &Arc<Vec<u8>>| u32::try_from(values.len() + 256).unwrap_or(u32::MAX))
            .max_capacity(PUT_KEPT_BYTES)
            .time_to_live(life)
            .build();
        let described = Cache::builder()
            .weigher(|_, described: &Arc<Described>| u32::try_from(described.bytes()).unwrap_or(u32::MAX))
            .max_capacity(DESCRIBED_KEPT_BYTES)
            .time_to_live(Duration::from_millis(HANDLE_LIFE_MS.unsigned_abs()))
            .build();
        // A statement that was begun with a ticket's last breath goes on beyond it.
        let known = Cache::builder().max_capacity(STATEMENTS_KEPT).time_to_live(life + limits.time).build();
        Self { served, clock, key, limits, puts, described, known }
    }

    /// How much a statement may take.
    pub const fn limits(&self) -> &SqlLimits {
        &self.limits
    }

    /// What a command asks, packed as the protocol packs it.
    ///
    /// Errors: `Malformed`, `Unsupported`; of handles `Unknown`, `Expired`, `OtherRights`.
    pub fn question(&self, who: &Access, command: &[u8]) -> Result<Question, FlightError> {
        match command_of(command)? {
            Command::CommandStatementQuery(query) => {
                refuse_transaction(query.transaction_id.as_ref())?;
                Ok(Question::Statement(Statement::new(query.query)))
            }
            Command::CommandPreparedStatementQuery(query) => {
                let statement = self.prepared(who, &query.prepared_statement_handle)?;
                let statement = self.with_what_was_put(statement);
                Ok(match self.described.get(statement.id()) {
                    Some(described) => Question::Prepared(statement, described),
                    None => Question::Statement(statement),
                })
            }
            other => Metadata::of(other, command).map(Question::Metadata),
        }
    }

    /// What a ticket asks.
    ///
    /// Errors: as those of [`FlightSql::question`].
    pub fn question_of_ticket(&self, who: &Access, ticket: &[u8]) -> Result<Question, FlightError> {
        match command_of(ticket)? {
            Command::TicketStatementQuery(query) => {
                let statement = self.open(Sealed::Ticket, who, &query.statement_handle)?;
                Ok(Question::Statement(self.with_what_was_put(statement)))
            }
            // A statement itself is no ticket: it goes by what says what its rows will be.
            Command::CommandStatementQuery(_) => Err(FlightError::Unknown),
            _ => self.question(who, ticket),
        }
    }

    /// Takes values for the parameters of a prepared statement; the result has the handle that holds them.
    ///
    /// Errors: `Malformed`, `Unsupported`; of handles `Unknown`, `Expired`, `OtherRights`.
    pub async fn put(&self, who: &Access, put: Put) -> Result<arrow_flight::PutResult, FlightError> {
        let statement = match command_of(put.command()?)? {
            Command::CommandPreparedStatementQuery(query) => {
                self.prepared(who, &query.prepared_statement_handle)?
            }
            other => return Err(FlightError::Unsupported(name_of(&other))),
        };
        let statement = match put.values().await? {
            Some(values) => {
                self.puts.insert(statement.id().to_vec(), Arc::new(values.clone()));
                statement.with_values(values)
            }
            None => statement,
        };
        let (handle, _) = self.seal(Sealed::Handle, who, &statement)?;
        let result = DoPutPreparedStatementResult { prepared_statement_handle: Some(handle.into()) };
        Ok(arrow_flight::PutResult { app_metadata: result.encode_to_vec().into() })
    }

    /// A statement that was prepared for this caller.
    pub(crate) fn prepared(&self, who: &Access, handle: &[u8]) -> Result<Statement, FlightError> {
        self.open(Sealed::Handle, who, handle)
    }

    /// A handle for a statement, and until when it holds.
    pub(crate) fn handle(&self, who: &Access, statement: &Statement) -> Result<Vec<u8>, FlightError> {
        Ok(self.seal(Sealed::Handle, who, statement)?.0)
    }

    /// A ticket for a statement, and until when it holds.
    pub(crate) fn ticket(
        &self,
        who: &Access,
        statement: &Statement,
    ) -> Result<(Ticket, Timestamp), FlightError> {
        let (sealed, end) = self.seal(Sealed::Ticket, who, statement)?;
        let command = TicketStatementQuery { statement_handle: sealed.into() };
        Ok((Ticket { ticket: command.as_any().encode_to_vec().into() }, end))
    }

    /// What tells that a statement is cancelled, before it begins and while it goes on.
    pub(crate) fn cancellation(&self, statement: &Statement) -> CancellationToken {
        self.known.get_with_by_ref(statement.id(), CancellationToken::new)
    }

    /// Keeps what a prepared statement gives: whoever has its handle asks under the same rights.
    pub(crate) fn remember(&self, statement: &Statement, described: Described) {
        self.described.insert(statement.id().to_vec(), Arc::new(described));
    }

    pub(crate) fn forget(&self, statement: &Statement) {
        self.puts.invalidate(statement.id());
        self.described.invalidate(statement.id());
    }

    /// A session over a snapshot, made anew for each question: nothing of it is another's.
    pub(crate) fn session(
        &self,
        snapshot: &Arc<Snapshot>,
        asker: &Asker,
    ) -> Result<SecuredSession, FlightError> {
        let session = SecuredSession::new(snapshot, &asker.who, self.clock.clone(), self.limits.clone())?;
        let Served { lake, calls, freshness, shows_type_2 } = &self.served;
        let session = session
            .with_past_of(lake)
            .with_calls_of(calls)
            .with_freshness(freshness.clone())
            .with_inventory(*shows_type_2);
        let session = session.with_rights(asker.rights.clone()).begun_within(asker.begin_within);
        Ok(session.recorded(asker.recording.clone()))
    }

    fn with_what_was_put(&self, statement: Statement) -> Statement {
        let put = if statement.has_values() { None } else { self.puts.get(statement.id()) };
        match put {
            Some(values) => statement.with_values(values.to_vec()),
            None => statement,
        }
    }

    fn seal(
        &self,
        kind: Sealed,
        who: &Access,
        statement: &Statement,
    ) -> Result<(Vec<u8>, Timestamp), FlightError> {
        let life = match kind {
            Sealed::Ticket => TICKET_LIFE_MS,
            Sealed::Handle => HANDLE_LIFE_MS,
        };
        let end = self.clock.now().plus_millis(life);
        Ok((self.key.seal_for(kind, (who, end), &statement.encode_to_vec())?, end))
    }

    fn open(&self, kind: Sealed, who: &Access, sealed: &[u8]) -> Result<Statement, FlightError> {
        let contents = self.key.open_for(kind, sealed, (who, self.clock.now()))?;
        Statement::decode(contents.as_slice()).map_err(|_| FlightError::Unknown)
    }
}
