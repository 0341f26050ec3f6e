//! Errors as a log line shows them.

use std::error::Error;

/// An error and its causes, on one line. Some libraries repeat a cause in the words of what it caused; those words stand once.
pub fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let words = cause.to_string();
        if !text.ends_with(&words) {
            text.push_str(": ");
            text.push_str(&words);
        }
        next = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::with_causes;
    use std::error::Error;
    use std::fmt;

    #[derive(Debug)]
    struct Fault(&'static str, Option<Box<Fault>>);

    impl fmt::Display for Fault {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(self.0)
        }
    }

    impl Error for Fault {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            self.1.as_deref().map(|cause| cause as _)
        }
    }

    fn caused(words: &'static str, cause: Fault) -> Fault {
        Fault(words, Some(Box::new(cause)))
    }

    #[test]
    fn every_cause_is_named_in_order_and_none_twice() {
        assert_eq!(with_causes(&Fault("a", None)), "a");
        let error = caused("write the run", caused("put failed: timed out", Fault("timed out", None)));
        assert_eq!(with_causes(&error), "write the run: put failed: timed out");
        let error = caused("commit", caused("read the log", Fault("no such file", None)));
        assert_eq!(with_causes(&error), "commit: read the log: no such file");
    }
}
