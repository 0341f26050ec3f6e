//! How far a statement has come: a line on the terminal, which goes when the answer is printed.

use std::cell::{Cell, RefCell};
use std::io::{self, IsTerminal as _, Write};
use std::time::Duration;
use tokio::time::Instant;

/// What is answered sooner tells no progress.
const PATIENCE: Duration = Duration::from_secs(1);
const EVERY: Duration = Duration::from_millis(500);

/// To the first column, and nothing in the line.
const CLEARED: &str = "\r\x1b[2K";

/// The progress of one statement.
pub(super) struct Progress {
    /// `None`: nobody is told.
    to: Option<RefCell<Box<dyn Write>>>,
    /// Whether the answer is printed on the same screen: from then on it tells the progress itself.
    shares_screen: bool,
    began: Instant,
    rows: Cell<usize>,
    is_shown: Cell<bool>,
    is_over: Cell<bool>,
}

impl Progress {
    /// Tells nobody.
    pub(super) fn untold() -> Self {
        Self::to(None, false)
    }

    /// Tells whoever sits before the terminal, on standard error.
    pub(super) fn on_terminal() -> Self {
        Self::to(Some(Box::new(io::stderr())), io::stdout().is_terminal())
    }

    fn to(to: Option<Box<dyn Write>>, shares_screen: bool) -> Self {
        Self {
            to: to.map(RefCell::new),
            shares_screen,
            began: Instant::now(),
            rows: Cell::new(0),
            is_shown: Cell::new(false),
            is_over: Cell::new(false),
        }
    }

    /// So many more rows came.
    pub(super) fn saw(&self, rows: usize) {
        self.rows.set(self.rows.get().saturating_add(rows));
    }

    /// Something of the answer is printed now.
    pub(super) fn give_way(&self) {
        if self.is_shown.replace(false) {
            self.write(CLEARED);
        }
        self.is_over.set(self.shares_screen);
    }

    /// Tells it now and then, as long as it is waited for.
    pub(super) async fn tell(&self) {
        tokio::time::sleep_until(self.began + PATIENCE).await;
        while self.to.is_some() && !self.is_over.get() {
            self.show();
            tokio::time::sleep(EVERY).await;
        }
        std::future::pending().await
    }

    fn show(&self) {
        let (rows, seconds) = (self.rows.get(), self.began.elapsed().as_secs());
        self.write(&format!("{CLEARED}{rows} rows so far, {seconds} s"));
        self.is_shown.set(true);
    }

    /// A terminal that takes nothing is no reason to stop.
    fn write(&self, text: &str) {
        if let Some(to) = &self.to {
            let mut to = to.borrow_mut();
            let _ = to.write_all(text.as_bytes()).and_then(|()| to.flush());
        }
    }
}

/// However the statement ends, its line goes.
impl Drop for Progress {
    fn drop(&mut self) {
        self.give_way();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::rc::Rc;

    #[derive(Clone, Default)]
    struct Screen(Rc<RefCell<Vec<u8>>>);

    impl Write for Screen {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.borrow_mut().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Screen {
        fn shown(&self) -> String {
            String::from_utf8(self.0.borrow().clone()).unwrap()
        }
    }

    /// Told only after a while, with what came by then, and gone before anything else is printed.
    #[tokio::test(start_paused = true)]
    async fn progress_is_told_of_what_takes_long_and_goes_before_the_answer() {
        let screen = Screen::default();
        let progress = Progress::to(Some(Box::new(screen.clone())), true);
        let waited = |long| tokio::time::timeout(Duration::from_millis(long), progress.tell());
        assert!(waited(900).await.is_err());
        assert_eq!(screen.shown(), "");
        progress.saw(8_192);
        assert!(waited(200).await.is_err());
        assert_eq!(screen.shown(), format!("{CLEARED}8192 rows so far, 1 s"));
        progress.give_way();
        assert!(screen.shown().ends_with(CLEARED));
        let shown = screen.shown();
        // The answer scrolls by on the same screen.
        assert!(waited(5_000).await.is_err());
        drop(progress);
        assert_eq!(screen.shown(), shown);
    }

    /// Also where the answer goes elsewhere, and where there is none.
    #[tokio::test(start_paused = true)]
    async fn progress_goes_on_beside_a_file_and_ends_with_the_statement() {
        let screen = Screen::default();
        let progress = Progress::to(Some(Box::new(screen.clone())), false);
        for rows in [1, 2] {
            progress.saw(rows);
            progress.give_way();
            assert!(tokio::time::timeout(Duration::from_millis(1_200), progress.tell()).await.is_err());
        }
        assert!(screen.shown().contains("1 rows so far") && screen.shown().contains("3 rows so far"));
        drop(progress);
        assert!(screen.shown().ends_with(CLEARED));
        assert!(tokio::time::timeout(Duration::from_secs(9), Progress::untold().tell()).await.is_err());
    }
}
