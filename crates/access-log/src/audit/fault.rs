//! What an audit finds, a variant for each kind.

use std::fmt;
use uuid::Uuid;

/// Something that is not as it was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fault {
    /// The beginning of a chain is gone: its first row is this.
    NoStart(Uuid, u64),
    /// A row, or the one before it, is not what was written.
    Changed(Uuid, u64),
    /// Rows are missing, from one to another.
    Missing(Uuid, u64, u64),
    /// There is another row of the same place, or the row has a time that puts it out of order.
    Twice(Uuid, u64),
    /// A row stands where none of its kind can: a beginning in the middle, or anything behind the end.
    Misplaced(Uuid, u64),
    /// The end counts other rows than there are.
    Count(Uuid, u64),
    /// What the row says cannot be read.
    Unreadable(Uuid, u64),
    /// Another chain saw a row here that is not this one.
    Another(Uuid, u64),
    /// Rows that the table did not count: they were added by somebody else.
    Uncounted(Uuid, u64),
    /// It is said that rows were let go that were not old enough.
    TooSoon(Uuid, u64),
    /// What it says was ever let go is not what the table counted.
    Unanchored(Uuid, u64),
    /// The row, and all behind it, is of a time that has not come.
    Future(Uuid, u64),
}

impl Fault {
    /// The chain.
    pub const fn chain(&self) -> Uuid {
        self.place().0
    }

    /// The first row that is concerned.
    pub const fn seq(&self) -> u64 {
        self.place().1
    }

    const fn place(&self) -> (Uuid, u64) {
        match *self {
            Self::NoStart(chain, seq)
            | Self::Changed(chain, seq)
            | Self::Missing(chain, seq, _)
            | Self::Twice(chain, seq)
            | Self::Misplaced(chain, seq)
            | Self::Count(chain, seq)
            | Self::Unreadable(chain, seq)
            | Self::Another(chain, seq)
            | Self::Uncounted(chain, seq)
            | Self::TooSoon(chain, seq)
            | Self::Unanchored(chain, seq)
            | Self::Future(chain, seq) => (chain, seq),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (chain, seq) = self.place();
        match self {
            Self::NoStart(..) => write!(f, "chain {chain} lacks its beginning: its first row is {seq}"),
            Self::Changed(..) => write!(
                f,
                "row {seq} of chain {chain} does not fit its hash and the row before it: one of the two was changed"
            ),
            Self::Missing(_, first, last) if first == last => {
                write!(f, "row {first} of chain {chain} is missing")
            }
            Self::Missing(_, first, last) => {
                write!(f, "rows {first} to {last} of chain {chain} are missing")
            }
            Self::Twice(..) => {
                write!(f, "row {seq} of chain {chain} is there more than once, or out of order")
            }
            Self::Misplaced(..) => {
                write!(f, "row {seq} of chain {chain} is of a kind that cannot stand there")
            }
            Self::Count(..) => {
                write!(f, "the end of chain {chain}, row {seq}, counts other rows than there are")
            }
            Self::Unreadable(..) => write!(f, "what row {seq} of chain {chain} says cannot be read"),
            Self::Another(..) => {
                write!(f, "row {seq} of chain {chain} is not the one that a later chain saw")
            }
            Self::Uncounted(..) => write!(f, "the table never counted row {seq} of chain {chain}"),
            Self::TooSoon(..) => {
                write!(f, "row {seq} of chain {chain} says that rows were let go that were not old enough")
            }
            Self::Unanchored(..) => {
                write!(f, "row {seq} of chain {chain} counts other rows as let go than the table does")
            }
            Self::Future(..) => write!(
                f,
                "row {seq} of chain {chain} is of a time that has not come: it was forged, or the clock of its writer or of this machine is wrong"
            ),
        }
    }
}
