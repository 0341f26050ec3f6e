//! What is typed, or comes by a pipe: statements up to their semicolons, and commands of the shell.

use super::line::{Line, Pressed};
use crate::exit::Failure;
use console::Term;
use gridtrail_sql::statements_of;
use std::fs::OpenOptions;
use std::io::{self, IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use tokio::sync::mpsc;

/// Lines of a history that are kept.
const HISTORY_MAX: usize = 1_000;

const PROMPT: &str = "gridtrail> ";
const PROMPT_WITHIN: &str = "        -> ";

/// Whether somebody sits before the terminal.
pub(super) fn is_typed() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// Reads one input after the other, when it is asked for it: a thread of its own waits for the terminal, and ends with the process.
pub(super) struct Inputs {
    ask: std::sync::mpsc::Sender<()>,
    inputs: mpsc::Receiver<String>,
}

impl Inputs {
    /// Of a terminal, with words that are completed, and a file for the history.
    pub(super) fn typed(words: Vec<String>, history: Option<&Path>) -> Self {
        let history = history.map(Path::to_owned);
        let kept = history.as_deref().map(lines_of).unwrap_or_default();
        let mut typing = Typing { terminal: Term::stderr(), line: Line::new(kept, words), history };
        Self::read_by(move || typing.next())
    }

    /// Of a pipe.
    pub(super) fn piped() -> Self {
        Self::read_by(|| {
            let mut text = String::new();
            // What cannot be read is the end, as nothing is.
            while io::stdin().read_line(&mut text).is_ok_and(|bytes| bytes > 0) {
                if is_whole(&text) {
                    return Some(text);
                }
            }
            Some(text).filter(|last| !last.trim().is_empty())
        })
    }

    fn read_by(mut next: impl FnMut() -> Option<String> + Send + 'static) -> Self {
        let (ask, asked) = std::sync::mpsc::channel();
        let (to, inputs) = mpsc::channel(1);
        std::thread::spawn(move || {
            while let (Ok(()), Some(input)) = (asked.recv(), next()) {
                if to.blocking_send(input).is_err() {
                    break;
                }
            }
        });
        Self { ask, inputs }
    }

    /// The next input; `None`: there is no more.
    pub(super) async fn next(&mut self) -> Option<String> {
        self.ask.send(()).ok()?;
        self.inputs.recv().await
    }
}

/// Whether what was read is a command, or statements that have all ended.
fn is_whole(text: &str) -> bool {
    let text = text.trim();
    text.is_empty() || text.starts_with('\\') || statements_of(text).1.trim().is_empty()
}

/// A terminal that is typed at.
struct Typing {
    terminal: Term,
    line: Line,
    history: Option<PathBuf>,
}

impl Typing {
    fn next(&mut self) -> Option<String> {
        let mut text = String::new();
        loop {
            let prompt = if text.is_empty() { PROMPT } else { PROMPT_WITHIN };
            match self.read(prompt).ok()? {
                Pressed::Done => {
                    text.push_str(&self.line.text());
                    text.push('\n');
                }
                Pressed::End => return None,
                Pressed::GivenUp | Pressed::GoOn => text.clear(),
            }
            if !text.trim().is_empty() && is_whole(&text) {
                self.keep(text.split_whitespace().collect::<Vec<_>>().join(" "));
                return Some(text);
            }
        }
    }

    /// Reads one line.
    fn read(&mut self, prompt: &str) -> io::Result<Pressed> {
        self.line.begin();
        loop {
            let columns = usize::from(self.terminal.size().1).saturating_sub(prompt.len() + 1);
            let (shown, cursor) = self.line.within(columns);
            let back = shown.chars().count() - cursor;
            self.terminal.clear_line()?;
            self.terminal.write_str(&format!("{prompt}{shown}"))?;
            self.terminal.move_cursor_left(back)?;
            match self.line.press(&self.terminal.read_key_raw()?) {
                Pressed::GoOn => {}
                pressed => {
                    self.terminal.write_line("")?;
                    return Ok(pressed);
                }
            }
        }
    }

    /// Keeps an input in the history; one that cannot be written down is no reason to stop.
    fn keep(&mut self, text: String) {
        if let Some(path) = &self.history {
            let mut options = OpenOptions::new();
            options.create(true).append(true);
            #[cfg(unix)]
            std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
            let _ = options.open(path).and_then(|mut file| writeln!(file, "{text}"));
        }
        self.line.keep(text);
    }
}

/// The last lines of a history; before its first end a shell has none.
fn lines_of(path: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(HISTORY_MAX)..].iter().map(|line| (*line).to_owned()).collect()
}

/// Tells something to whoever types, beside the answers.
pub(super) fn say(text: &str) -> Result<(), Failure> {
    crate::output::write(&mut io::stderr().lock(), format!("{text}\n").as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_end_with_their_semicolon_and_commands_with_their_line() {
        for whole in ["", "  ", "\\d", "\\q", "SELECT 1;", "SELECT ';';\n", "SELECT 1; SELECT 2; -- more"] {
            assert!(is_whole(whole), "{whole}");
        }
        for begun in ["SELECT 1", "SELECT ';'", "SELECT 1; SELECT", "SELECT 'a;", "SELECT 1 -- ;"] {
            assert!(!is_whole(begun), "{begun}");
        }
    }

    #[test]
    fn a_history_is_its_users_alone_and_comes_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("history");
        assert!(lines_of(&path).is_empty());
        let line = Line::new(Vec::new(), Vec::new());
        let mut typing = Typing { terminal: Term::stderr(), line, history: Some(path.clone()) };
        typing.keep("SELECT 1;".to_owned());
        typing.keep("SELECT 2;".to_owned());
        assert_eq!(lines_of(&path), ["SELECT 1;", "SELECT 2;"]);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        }
    }
}
