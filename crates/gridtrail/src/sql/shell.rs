//! The shell: statements that are typed, or come by a pipe, one after the other.

use super::answer::Asking;
use super::printing::print;
use crate::args::ListFormat;
use crate::exit::Failure;
use crate::output;
use gridtrail_sql::statements_of;
use std::io::{self, IsTerminal as _};
use std::time::Instant;
use tokio::sync::mpsc;

const HELP: &str = "\
Statements end with a semicolon, and may have several lines. Ctrl-C gives a statement up, Ctrl-D ends the shell.
  \\d           the tables
  \\d TABLE     the columns of a table
  \\timing      say how long statements take, or no longer
  \\format F    print answers as table, csv or json
  \\?           this help
  \\q           end
";

const TABLES: &str =
    "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public' ORDER BY 1";

/// How the shell prints, and whether somebody sits before it.
struct Manner {
    format: ListFormat,
    tells_time: bool,
    is_typed: bool,
}

/// What a line leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    GoOn,
    End,
}

/// Reads statements until their end, and answers each. What is wrong with one is told: it ends a pipe, and not what is typed.
pub(super) async fn run(asking: &Asking<'_>, format: ListFormat) -> Result<(), Failure> {
    let is_typed = io::stdin().is_terminal();
    let mut manner = Manner { format, tells_time: is_typed, is_typed };
    let mut lines = typed_lines();
    let mut text = String::new();
    loop {
        prompt(&manner, if text.is_empty() { "gridtrail> " } else { "        -> " })?;
        let line = tokio::select! {
            line = lines.recv() => line,
            _ = tokio::signal::ctrl_c(), if is_typed => {
                text.clear();
                say("")?;
                continue;
            }
        };
        let Some(line) = line else { break };
        if text.is_empty() && line.trim_start().starts_with('\\') {
            if take_command(asking, line.trim(), &mut manner).await? == Next::End {
                return Ok(());
            }
            continue;
        }
        text.push_str(&line);
        text.push('\n');
        let (statements, rest) = statements_of(&text);
        let rest = rest.trim_start().to_owned();
        answer_all(asking, &statements, &manner).await?;
        text = rest;
    }
    let last = text.trim();
    if last.is_empty() { Ok(()) } else { answer_all(asking, &[last.to_owned()], &manner).await }
}

/// The lines of the standard input, as they come. Its thread waits for the next where nobody asks any more, and ends with the process.
fn typed_lines() -> mpsc::Receiver<String> {
    let (to, lines) = mpsc::channel(1);
    std::thread::spawn(move || {
        for line in io::stdin().lines() {
            // What cannot be read is the end, as nothing is.
            let Ok(line) = line else { break };
            if to.blocking_send(line).is_err() {
                break;
            }
        }
    });
    lines
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
        ("\\format", Some("table")) => manner.format = ListFormat::Table,
        ("\\format", Some("csv")) => manner.format = ListFormat::Csv,
        ("\\format", Some("json")) => manner.format = ListFormat::Json,
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
        let answered = async { print(asking.ask(statement).await?, manner.format).await };
        let outcome = tokio::select! {
            outcome = answered => outcome,
            // Dropped, the statement is given up, wherever it runs.
            _ = tokio::signal::ctrl_c() => Err(Failure::Stopped { told: "the statement was given up".to_owned() }),
        };
        match outcome {
            Ok(_) if manner.tells_time => say(&format!("{:.3} s", began.elapsed().as_secs_f64()))?,
            Ok(_) => {}
            Err(failure) if manner.is_typed => return say(&failure.report()),
            Err(failure) => return Err(failure),
        }
    }
    Ok(())
}

fn prompt(manner: &Manner, text: &str) -> Result<(), Failure> {
    if manner.is_typed { output::write(&mut io::stderr().lock(), text.as_bytes()) } else { Ok(()) }
}

fn say(text: &str) -> Result<(), Failure> {
    output::write(&mut io::stderr().lock(), format!("{text}\n").as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_quoted_in_the_statement_for_its_columns() {
        assert!(columns_of("a' OR 'b").contains("= 'a'' OR ''b'"));
    }
}
