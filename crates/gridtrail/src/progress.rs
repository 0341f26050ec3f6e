//! Progress on a terminal; nothing where standard error is not one.

use gridtrail_ingest::Progress;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::{self, IsTerminal};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// How often what only counts is drawn, though nothing happens.
const TICK: Duration = Duration::from_millis(200);

fn bar(length: Option<u64>, template: &str) -> ProgressBar {
    let target =
        if io::stderr().is_terminal() { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
    let bar = ProgressBar::with_draw_target(length, target);
    // The template is a constant; were it wrong, the default style would do.
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar
}

/// A bar of things of which it is known about how many there will be, or a count where it is not known.
pub(crate) fn counting(of: Option<u64>, things: &'static str) -> ProgressBar {
    let bar = match of {
        Some(_) => bar(of, "{bar:40} {human_pos}/{human_len} {msg} ({per_sec}), eta {eta}"),
        None => bar(None, "{spinner} {human_pos} {msg} ({per_sec})"),
    };
    bar.set_message(things);
    bar.enable_steady_tick(TICK);
    bar
}

/// How far an ingest of files is, whether it is to end, and which files were for nothing.
pub(crate) struct FileProgress {
    bar: ProgressBar,
    asked: AtomicBool,
    cut: AtomicBool,
    nothing_read_of: Mutex<Vec<String>>,
}

impl FileProgress {
    pub(crate) fn new() -> Self {
        Self {
            bar: bar(None, "{bar:40} {bytes}/{total_bytes} {bytes_per_sec} {msg} eta {eta}"),
            asked: AtomicBool::new(false),
            cut: AtomicBool::new(false),
            nothing_read_of: Mutex::default(),
        }
    }

    /// Has the ingest end once what was read is committed.
    pub(crate) fn stop(&self) {
        self.asked.store(true, Ordering::Relaxed);
    }

    /// Whether it ended before all was read.
    pub(crate) fn was_cut(&self) -> bool {
        self.cut.load(Ordering::Relaxed)
    }

    /// Files of which no record could be read.
    pub(crate) fn nothing_read_of(&self) -> Vec<String> {
        self.nothing_read_of.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

impl Progress for FileProgress {
    fn start(&self, bytes: u64) {
        self.bar.set_length(bytes);
        self.bar.set_position(0);
    }

    fn advance(&self, bytes: u64, _events: u64) {
        self.bar.inc(bytes);
    }

    fn file_read(&self, path: &Path, read: u64, unread: u64) {
        if read == 0 && unread > 0 {
            let mut files = self.nothing_read_of.lock().unwrap_or_else(PoisonError::into_inner);
            let name = path.display().to_string();
            // Read anew, where another ingester was faster.
            if !files.contains(&name) {
                files.push(name);
            }
        }
    }

    fn go_on(&self) -> bool {
        let goes_on = !self.asked.load(Ordering::Relaxed);
        if !goes_on {
            self.cut.store(true, Ordering::Relaxed);
        }
        goes_on
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_a_record_that_can_be_read_is_named_once() {
        let progress = FileProgress::new();
        for (name, read, unread) in [("a", 0, 2), ("b", 1, 2), ("c", 0, 0), ("a", 0, 2)] {
            progress.file_read(Path::new(name), read, unread);
        }
        assert_eq!(progress.nothing_read_of(), ["a"]);
    }

    /// A signal after the last piece was read cuts nothing short.
    #[test]
    fn only_what_is_not_read_to_its_end_was_cut() {
        let progress = FileProgress::new();
        assert!(progress.go_on() && !progress.was_cut());
        progress.stop();
        assert!(!progress.was_cut());
        assert!(!progress.go_on() && progress.was_cut());
    }
}
