//! What the protocol calls actions: preparing and closing a statement, cancelling one, and options of sessions.

use crate::columns::plain_schema;
use crate::command::refuse_transaction;
use crate::error::FlightError;
use crate::options::{
    CloseSessionResult, GetSessionOptionsResult, OptionError, SetSessionOptionsRequest,
    SetSessionOptionsResult, current_options,
};
use crate::question::{Asker, FlightSql, Question};
use crate::statement::{Described, Statement};
use arrow::datatypes::Schema;
use arrow::ipc::writer::IpcWriteOptions;
use arrow_flight::sql::{
    ActionCancelQueryRequest, ActionCancelQueryResult, ActionClosePreparedStatementRequest,
    ActionCreatePreparedStatementRequest, ActionCreatePreparedStatementResult, Any, ProstMessageExt,
};
use arrow_flight::{
    Action, ActionType, CancelFlightInfoRequest, CancelFlightInfoResult, CancelStatus, FlightInfo,
    IpcMessage, SchemaAsIpc,
};
use gridtrail_access::Access;
use prost::Message as _;
use std::collections::HashMap;

/// The actions that there are, and what each is for.
const ACTIONS: &[(&str, &str)] = &[
    ("CreatePreparedStatement", "Prepares a statement: what it gives and which parameters it has."),
    ("ClosePreparedStatement", "Lets a prepared statement go."),
    ("CancelFlightInfo", "Cancels the statement of a FlightInfo."),
    ("CancelQuery", "Cancels the statement of a FlightInfo, for older clients."),
    ("SetSessionOptions", "Says of each option whether it is so: none can be changed."),
    ("GetSessionOptions", "Names the catalogue and the schema of statements."),
    ("CloseSession", "Ends a session, of which nothing is kept."),
];

/// One action, as it is asked for.
#[derive(Debug)]
pub struct Deed(Asked);

#[derive(Debug)]
enum Asked {
    Prepare(Statement),
    /// `None`: it holds no longer, so there is nothing to let go.
    Close(Option<Statement>),
    /// `None`: it is of no statement.
    Cancel(Option<Statement>, CancelForm),
    SetOptions(SetSessionOptionsRequest),
    GetOptions,
    CloseSession,
}

/// In which of two ways the protocol has cancelling.
#[derive(Debug, Clone, Copy)]
enum CancelForm {
    FlightInfo,
    Query,
}

impl Deed {
    /// Whether it reads a statement, which then records it.
    pub const fn reads_statement(&self) -> bool {
        matches!(self.0, Asked::Prepare(_))
    }
}

/// The actions that there are.
pub fn actions() -> Vec<ActionType> {
    let kind = |(name, description): &(&str, &str)| ActionType {
        r#type: (*name).to_owned(),
        description: (*description).to_owned(),
    };
    ACTIONS.iter().map(kind).collect()
}

impl FlightSql {
    /// What an action asks for.
    ///
    /// Errors: `Malformed`, `Unsupported`; of handles and tickets `Unknown`, `Expired`, `OtherRights`.
    pub fn deed(&self, who: &Access, action: &Action) -> Result<Deed, FlightError> {
        let body = action.body.as_ref();
        let asked = match action.r#type.as_str() {
            "CreatePreparedStatement" => {
                let request: ActionCreatePreparedStatementRequest = unpacked(body)?;
                refuse_transaction(request.transaction_id.as_ref())?;
                Asked::Prepare(Statement::new(request.query))
            }
            "ClosePreparedStatement" => {
                let request: ActionClosePreparedStatementRequest = unpacked(body)?;
                Asked::Close(held(self.prepared(who, &request.prepared_statement_handle))?)
            }
            "CancelFlightInfo" => {
                let request: CancelFlightInfoRequest = decoded(body)?;
                let info = request.info.ok_or_else(|| FlightError::malformed("it has no FlightInfo"))?;
                Asked::Cancel(self.statement_of(who, &info)?, CancelForm::FlightInfo)
            }
            "CancelQuery" => {
                let request: ActionCancelQueryRequest = unpacked(body)?;
                let info: FlightInfo = decoded(&request.info)?;
                Asked::Cancel(self.statement_of(who, &info)?, CancelForm::Query)
            }
            "SetSessionOptions" => Asked::SetOptions(decoded(body)?),
            "GetSessionOptions" => Asked::GetOptions,
            "CloseSession" => Asked::CloseSession,
            other => {
                let name = other.chars().filter(char::is_ascii_alphanumeric).take(64).collect();
                return Err(FlightError::Unsupported(name));
            }
        };
        Ok(Deed(asked))
    }

    /// Does it; gives the body of the result, where there is one.
    ///
    /// Errors: every kind.
    pub async fn act(&self, asker: &Asker, deed: Deed) -> Result<Option<Vec<u8>>, FlightError> {
        Ok(match deed.0 {
            Asked::Prepare(statement) => Some(self.prepare(asker, &statement).await?),
            Asked::Close(statement) => {
                if let Some(statement) = statement {
                    self.forget(&statement);
                }
                None
            }
            Asked::Cancel(statement, form) => Some(self.cancel(statement.as_ref(), form)),
            Asked::SetOptions(request) => Some(options_set(request).encode_to_vec()),
            Asked::GetOptions => {
                Some(GetSessionOptionsResult { session_options: current_options() }.encode_to_vec())
            }
            Asked::CloseSession => Some(CloseSessionResult::closed().encode_to_vec()),
        })
    }

    async fn prepare(&self, asker: &Asker, statement: &Statement) -> Result<Vec<u8>, FlightError> {
        let session = self.session(&self.served.lake.snapshot(), asker)?;
        let prepared = Box::pin(session.prepare(statement.text())).await.map_err(FlightError::Statement)?;
        let columns = prepared.schema().map_err(FlightError::Statement)?;
        let columns = plain_schema(&columns);
        let result = ActionCreatePreparedStatementResult {
            prepared_statement_handle: self.handle(&asker.who, statement)?.into(),
            dataset_schema: written(&columns)?,
            parameter_schema: written(&plain_schema(&prepared.parameters()))?,
        };
        self.remember(statement, Described { columns, text: prepared.recorded_text().to_owned() });
        Ok(result.as_any().encode_to_vec())
    }

    /// Cancels a statement, whether or not it has begun.
    fn cancel(&self, statement: Option<&Statement>, form: CancelForm) -> Vec<u8> {
        let status = match statement {
            Some(statement) => {
                self.cancellation(statement).cancel();
                CancelStatus::Cancelled
            }
            None => CancelStatus::NotCancellable,
        };
        // Both enumerations of the protocol have the same numbers.
        let number = i32::from(status);
        match form {
            CancelForm::FlightInfo => CancelFlightInfoResult { status: number }.encode_to_vec(),
            CancelForm::Query => ActionCancelQueryResult { result: number }.as_any().encode_to_vec(),
        }
    }

    /// The statement that a `FlightInfo` is of; `None`: it is of metadata.
    fn statement_of(&self, who: &Access, info: &FlightInfo) -> Result<Option<Statement>, FlightError> {
        let ticket = info.endpoint.first().and_then(|endpoint| endpoint.ticket.as_ref());
        let ticket = ticket.ok_or_else(|| FlightError::malformed("the FlightInfo has no ticket"))?;
        match self.question_of_ticket(who, &ticket.ticket)? {
            Question::Statement(statement) | Question::Prepared(statement, _) => Ok(Some(statement)),
            Question::Metadata(_) => Ok(None),
        }
    }
}

/// A statement, unless it holds no longer.
fn held(found: Result<Statement, FlightError>) -> Result<Option<Statement>, FlightError> {
    match found {
        Ok(statement) => Ok(Some(statement)),
        Err(FlightError::Expired | FlightError::OtherRights) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Says of each option that is to be set whether it can be: to what it is.
fn options_set(request: SetSessionOptionsRequest) -> SetSessionOptionsResult {
    let current = current_options();
    let refused = |(name, value)| match current.get(&name) {
        Some(is) if *is == value => None,
        Some(_) => Some((name, OptionError::invalid_value())),
        None => Some((name, OptionError::invalid_name())),
    };
    let errors: HashMap<_, _> = request.session_options.into_iter().filter_map(refused).collect();
    SetSessionOptionsResult { errors }
}

fn written(schema: &Schema) -> Result<prost::bytes::Bytes, FlightError> {
    let IpcMessage(bytes) = SchemaAsIpc::new(schema, &IpcWriteOptions::default()).try_into()?;
    Ok(bytes)
}

fn decoded<M: prost::Message + Default>(body: &[u8]) -> Result<M, FlightError> {
    M::decode(body).map_err(FlightError::malformed)
}

fn unpacked<M: ProstMessageExt>(body: &[u8]) -> Result<M, FlightError> {
    let any: Any = decoded(body)?;
    let message = any.unpack().map_err(FlightError::malformed)?;
    message.ok_or_else(|| FlightError::malformed("the body of the action is another message"))
}
