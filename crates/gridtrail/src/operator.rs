//! `gridtrail operator`: tokens of operators.

use crate::args::{Format, OperatorCommand, OperatorTokenArgs};
use crate::exit::Failure;
use crate::output;
use crate::token::load_or_create;
use gridtrail_access::{AccessError, OperatorKey};
use gridtrail_runtime::Clock;
use serde_json::json;
use std::io;

pub(crate) fn run(command: &OperatorCommand, format: Format) -> Result<(), Failure> {
    match command {
        OperatorCommand::Token(args) => token(args, format),
    }
}

fn token(args: &OperatorTokenArgs, format: Format) -> Result<(), Failure> {
    let key = load_or_create(&args.key, OperatorKey::generate, (OperatorKey::to_pem, OperatorKey::from_pem))?;
    if let Some(path) = &args.public_key_out {
        std::fs::write(path, key.to_public_pem()).map_err(Failure::file("write", path))?;
    }
    let now = Clock::system().now();
    let until = now.plus_millis(i64::from(args.ttl.seconds()) * 1_000);
    let token = key.mint(&args.name, (now, until)).map_err(|error| match error {
        AccessError::Mint(reason) => {
            Failure::Argument { argument: "operator token", reason: reason.to_owned() }
        }
        other => other.into(),
    })?;
    let mut out = io::stdout().lock();
    match format {
        Format::Table => output::write(&mut out, format!("{token}\n").as_bytes()),
        Format::Json => {
            output::write_json(&mut out, &json!({ "token": token, "expires_at": until.to_string() }))
        }
    }
}
