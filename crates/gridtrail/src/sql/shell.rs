//! The shell: statements one after the other, and commands about them.

use super::answer::Asking;
use super::printing::print;
use super::progress::Progress;
use super::typed::{Inputs, is_typed, say};
use crate::args::RowFormat;
use crate::exit::Failure;
use crate::output;
use gridtrail_sql::{aggregate_functions, cells_of, scalar_functions, statements_of};
use std::io;
use std::path::Path;
use std::time::Instant;

const HELP: &str = "\
Statements end with a semicolon, and may have several lines. The tabulator completes names and words, the arrows go through the
history. Ctrl-C gives a statement up, Ctrl-D ends the shell.
  \\d           the tables
  \\d TABLE     the columns of a table
  \\timing      say how long statements take, or no longer
  \\format F    print answers as table, csv, json or jsonl
  \\?           this help
  \\q           end
";

/// Words that are completed beside the names of tables, columns and functions.
const WORDS: &[&str] = &[
    "AND",
    "AS",
    "ASC",
    "BETWEEN",
    "BY",
    "CASE",
    "CAST",
    "DESC",
    "DISTINCT",
    "ELSE",
    "END",
    "EXPLAIN",
    "FILTER",
    "FROM",
    "GROUP",
    "HAVING",
    "IN",
    "IS",
    "JOIN",
    "LEFT",
    "LIKE",
    "LIMIT",
    "NOT",
    "NULL",
    "OFFSET",
    "ON",
    "OR",
    "ORDER",
    "OVER",
    "PARTITION",
    "SELECT",
    "SHOW",
    "TABLES",
    "THEN",
    "TIMESTAMPTZ",
    "UNION",
    "UNNEST",
    "VALUES",
    "WHEN",
    "WHERE",
    "WITH",
    "\\d",
    "\\format",
    "\\timing",
    "\\q",
];

const TABLES: &str =
    "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public' ORDER BY 1";
const NAMES: &str =
    "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = 'public'";

/// How the shell prints, and whether somebody sits before it.
struct Manner {
    format: RowFormat,
    tells_time: bool,
    is_typed: bool,
}

/// What an input leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    GoOn,
    End,
}

/// Reads statements until their end, and answers each. What is wrong with one is told: it ends a pipe, and not what is typed.
pub(super) async fn run(
    asking: &Asking<'_>,
    format: RowFormat,
    history: Option<&Path>,
) -> Result<(), Failure> {
    let is_typed = is_typed();
    let mut manner = Manner { format, tells_time: is_typed, is_typed };
    let mut inputs = if is_typed { Inputs::typed(words_of(asking).await?, history) } else { Inputs::piped() };
    while let Some(input) = inputs.next().await {
        if input.trim_start().starts_with('\\') {
            if take_command(asking, input.trim(), &mut manner).await? == Next::End {
                break;
            }
            continue;
        }
        let (mut statements, rest) = statements_of(&input);
        // The last of a pipe may end with it.
        statements.extend(Some(rest.trim().to_owned()).filter(|rest| !rest.is_empty()));
        answer_all(asking, &statements, &manner).await?;
    }
    Ok(())
}

async fn take_command(asking: &Asking<'_>, line: &str, manner: &mut Manner) -> Result<Next, Failure> {
    let mut words = line.trim_end_matches(';').split_whitespace();
    match (words.next().unwrap_or_default(), words.next()) {
        ("\\q", _) => return Ok(Next::End),
        ("\\d", None) => answer_all(asking, &[TABLES.to_owned()], manner).await?,
        ("\\d", Some(table)) => answer_all(asking, &[columns_of(table)], manner).await?,
        ("\\timing", _) => {
            manner.tells_time = !manner.tells_time;
            say(if manner.tells_time { "statements tell how long they take" } else { "they no longer do" })?;
        }
        ("\\format", Some("table")) => manner.format = RowFormat::Table,
        ("\\format", Some("csv")) => manner.format = RowFormat::Csv,
        ("\\format", Some("json")) => manner.format = RowFormat::Json,
        ("\\format", Some("jsonl")) => manner.format = RowFormat::JsonLines,
        _ => output::write(&mut io::stderr().lock(), HELP.as_bytes())?,
    }
    Ok(Next::GoOn)
}

/// The statement for the columns of a table.
fn columns_of(table: &str) -> String {
    let table = table.replace('\'', "''");
    format!(
        "SELECT column_name, data_type FROM information_schema.columns \
         WHERE table_schema = 'public' AND table_name = '{table}' ORDER BY ordinal_position"
    )
}

/// Answers statements up to the first that fails.
async fn answer_all(asking: &Asking<'_>, statements: &[String], manner: &Manner) -> Result<(), Failure> {
    for statement in statements {
        let began = Instant::now();
        let progress = if manner.is_typed { Progress::on_terminal() } else { Progress::untold() };
        let answered = async { print(asking.ask(statement).await?, manner.format, &progress).await };
        let outcome = tokio::select! {
            outcome = answered => outcome,
            () = progress.tell() => Ok(0),
            // Dropped, the statement is given up, wherever it runs.
            _ = tokio::signal::ctrl_c() => Err(Failure::Stopped { told: "the statement was given up".to_owned() }),
        };
        drop(progress);
        match outcome {
            Ok(_) if manner.tells_time => say(&format!("{:.3} s", began.elapsed().as_secs_f64()))?,
            Ok(_) => {}
            Err(failure) if manner.is_typed => return say(&failure.report()),
            Err(failure) => return Err(failure),
        }
    }
    Ok(())
}

/// What there is to complete: names of tables, columns and functions, and words of the language.
async fn words_of(asking: &Asking<'_>) -> Result<Vec<String>, Failure> {
    let mut answer = asking.ask(NAMES).await?;
    let mut words: Vec<String> = Vec::new();
    while let Some(batch) = answer.next().await? {
        words.extend(cells_of(&batch)?.into_iter().flatten());
    }
    let known = [scalar_functions(), aggregate_functions(), WORDS].concat();
    words.extend(known.into_iter().map(str::to_owned));
    words.sort();
    words.dedup();
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_quoted_in_the_statement_for_its_columns() {
        assert!(columns_of("a' OR 'b").contains("= 'a'' OR ''b'"));
    }
}
