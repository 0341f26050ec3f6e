//! A line as it is typed: its letters, the place of the cursor, what was typed before, and words to complete.

use console::Key;

/// What a key leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pressed {
    /// The line goes on.
    GoOn,
    /// It is done.
    Done,
    /// It is given up.
    GivenUp,
    /// There will be no more.
    End,
}

/// A line, and the lines before it.
#[derive(Debug, Default)]
pub(super) struct Line {
    letters: Vec<char>,
    place: usize,
    history: Vec<String>,
    /// Which line of the history is shown; as many as there are: the one that is typed.
    shown: usize,
    /// What was typed before an older line was shown.
    typed: Vec<char>,
    words: Vec<String>,
}

impl Line {
    pub(super) fn new(history: Vec<String>, words: Vec<String>) -> Self {
        Self { shown: history.len(), history, words, ..Self::default() }
    }

    /// Begins another line.
    pub(super) fn begin(&mut self) {
        self.letters.clear();
        self.place = 0;
        self.shown = self.history.len();
    }

    /// Keeps a text for the history, unless it is the one before.
    pub(super) fn keep(&mut self, text: String) {
        if self.history.last() != Some(&text) {
            self.history.push(text);
        }
        self.shown = self.history.len();
    }

    pub(super) fn text(&self) -> String {
        self.letters.iter().collect()
    }

    /// What of the line fits into so many columns, and the column of the cursor in that.
    pub(super) fn within(&self, columns: usize) -> (String, usize) {
        let columns = columns.max(2);
        let first = (self.place + 1).saturating_sub(columns);
        (self.letters.iter().skip(first).take(columns).collect(), self.place - first)
    }

    /// Takes a key.
    pub(super) fn press(&mut self, key: &Key) -> Pressed {
        match key {
            Key::Enter => return Pressed::Done,
            Key::CtrlC => return Pressed::GivenUp,
            Key::Char('\u{4}') if self.letters.is_empty() => return Pressed::End,
            Key::ArrowLeft | Key::Char('\u{2}') => self.place = self.place.saturating_sub(1),
            Key::ArrowRight | Key::Char('\u{6}') => self.place = (self.place + 1).min(self.letters.len()),
            Key::Home | Key::Char('\u{1}') => self.place = 0,
            Key::End | Key::Char('\u{5}') => self.place = self.letters.len(),
            Key::ArrowUp => self.show(self.shown.checked_sub(1)),
            Key::ArrowDown => self.show((self.shown < self.history.len()).then_some(self.shown + 1)),
            Key::Backspace if self.place > 0 => {
                self.place -= 1;
                self.letters.remove(self.place);
            }
            Key::Del if self.place < self.letters.len() => drop(self.letters.remove(self.place)),
            // To its beginning, and to its end.
            Key::Char('\u{15}') => drop(self.letters.drain(..std::mem::take(&mut self.place))),
            Key::Char('\u{b}') => self.letters.truncate(self.place),
            Key::Tab => self.complete(),
            Key::Char(letter) if !letter.is_control() => {
                self.letters.insert(self.place, *letter);
                self.place += 1;
            }
            _ => {}
        }
        Pressed::GoOn
    }

    /// Shows another line of the history, or the one that is typed.
    fn show(&mut self, which: Option<usize>) {
        let Some(which) = which else { return };
        if self.shown == self.history.len() {
            self.typed = std::mem::take(&mut self.letters);
        }
        self.letters = match self.history.get(which) {
            Some(older) => older.chars().collect(),
            None => std::mem::take(&mut self.typed),
        };
        (self.shown, self.place) = (which, self.letters.len());
    }

    /// Goes on with the word before the cursor, as far as all words go on alike that begin so.
    fn complete(&mut self) {
        let is_part = |letter: &char| letter.is_alphanumeric() || matches!(letter, '_' | '\\');
        let begun =
            self.letters[..self.place].iter().rposition(|letter| !is_part(letter)).map_or(0, |at| at + 1);
        let word: String = self.letters[begun..self.place].iter().collect();
        let fits =
            |whole: &&String| whole.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(&word));
        let mut words = self.words.iter().filter(fits);
        let (false, Some(first)) = (word.is_empty(), words.next()) else { return };
        let alike = words.fold(first.as_str(), |alike, other| {
            let same = alike.char_indices().zip(other.chars());
            let end = same.take_while(|((_, one), other)| one == other).last();
            &alike[..end.map_or(0, |((at, letter), _)| at + letter.len_utf8())]
        });
        if alike.len() >= word.len() {
            self.letters.splice(begun..self.place, alike.chars());
            self.place = begun + alike.chars().count();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(line: &mut Line, text: &str) {
        for letter in text.chars() {
            assert_eq!(line.press(&Key::Char(letter)), Pressed::GoOn);
        }
    }

    #[test]
    fn letters_go_in_and_out_at_the_cursor() {
        let mut line = Line::default();
        typed(&mut line, "SELÉCT");
        for key in [Key::ArrowLeft, Key::ArrowLeft, Key::Backspace, Key::Char('E'), Key::Home, Key::Del] {
            line.press(&key);
        }
        typed(&mut line, "s");
        assert_eq!((line.text().as_str(), line.within(80)), ("sELECT", ("sELECT".to_owned(), 1)));
        assert_eq!(line.within(4), ("sELE".to_owned(), 1));
        line.press(&Key::End);
        assert_eq!(line.within(4), ("ECT".to_owned(), 3));
        line.press(&Key::ArrowLeft);
        line.press(&Key::Char('\u{b}'));
        line.press(&Key::Char('\u{15}'));
        assert_eq!(line.text(), "");
        assert_eq!(line.press(&Key::Char('\u{4}')), Pressed::End);
        assert_eq!(line.press(&Key::CtrlC), Pressed::GivenUp);
        assert_eq!(line.press(&Key::Enter), Pressed::Done);
        typed(&mut line, "x");
        assert_eq!(line.press(&Key::Char('\u{4}')), Pressed::GoOn, "only an empty line is an end");
    }

    #[test]
    fn older_lines_come_back_and_what_was_typed_is_not_lost() {
        let mut line = Line::new(vec!["one".into(), "two".into()], Vec::new());
        typed(&mut line, "thr");
        for (key, shown) in [
            (Key::ArrowUp, "two"),
            (Key::ArrowUp, "one"),
            (Key::ArrowUp, "one"),
            (Key::ArrowDown, "two"),
            (Key::ArrowDown, "thr"),
            (Key::ArrowDown, "thr"),
        ] {
            line.press(&key);
            assert_eq!(line.text(), shown);
        }
        line.keep("three".into());
        line.keep("three".into());
        line.begin();
        line.press(&Key::ArrowUp);
        line.press(&Key::ArrowUp);
        assert_eq!(line.text(), "two", "the same twice is kept once");
    }

    #[test]
    fn a_word_goes_on_as_far_as_all_words_do_that_begin_so() {
        let words = ["SELECT", "audit_trails", "user_id", "upper", "\\d"].map(str::to_owned);
        for (begun, whole) in [
            ("sel", "SELECT"),
            ("SELECT count(aud", "SELECT count(audit_trails"),
            ("a.use", "a.user_id"),
            ("a.u", "a.u"),
            ("\\", "\\d"),
            ("é aud", "é audit_trails"),
            ("SELECT ", "SELECT "),
            ("nothing", "nothing"),
        ] {
            let mut line = Line::new(Vec::new(), words.to_vec());
            typed(&mut line, begun);
            line.press(&Key::Tab);
            assert_eq!(line.text(), whole, "{begun}");
        }
    }
}
