//! `gridtrail sql`: statements over a lake in this process, or over a connection to a server; one, those of a file, or line by line.

mod answer;
mod line;
mod local;
mod printing;
mod progress;
mod shell;
mod typed;

use crate::args::{RowFormat, ServerArgs, SqlArgs};
use crate::client::{Caller, token_from};
use crate::exit::Failure;
use crate::text;
use answer::Asking;
use gridtrail_sql::statements_of;
use progress::Progress;

pub(crate) async fn run(args: &SqlArgs, format: RowFormat) -> Result<(), Failure> {
    let Some(server) = &args.server else {
        return local::run(args, async |local| carry_out(&Asking::Local(local), args, format).await).await;
    };
    let server = ServerArgs {
        server: server.clone(),
        server_anchors: args.server_anchors.clone(),
        client_certificate: args.client_certificate.clone(),
        client_key: args.client_key.clone(),
    };
    let token = token_from(args.token.as_deref(), args.token_file.as_deref())?;
    let caller = Caller::connect(&server, &token).await?;
    carry_out(&Asking::Remote(&caller), args, format).await
}

/// Carries out what the arguments name: a statement, those of a file, or what is typed.
async fn carry_out(asking: &Asking<'_>, args: &SqlArgs, format: RowFormat) -> Result<(), Failure> {
    let text = match (&args.command, &args.file) {
        (Some(command), _) => command.clone(),
        (None, Some(path)) => text::read(path)?,
        (None, None) => return shell::run(asking, format, args.history.as_deref()).await,
    };
    let (mut statements, rest) = statements_of(&text);
    if !rest.trim().is_empty() {
        statements.push(rest.trim().to_owned());
    }
    // What is none is asked, too, for the words of the one who refuses it.
    if statements.is_empty() {
        statements.push(text);
    }
    if let Some(path) = &args.parquet {
        let [statement] = statements.as_slice() else {
            let reason = "a file takes the answer of one statement".to_owned();
            return Err(Failure::Argument { argument: "--parquet", reason });
        };
        printing::write_parquet(asking.ask(statement).await?, path).await?;
        return Ok(());
    }
    for statement in &statements {
        printing::print(asking.ask(statement).await?, format, &Progress::untold()).await?;
    }
    Ok(())
}
