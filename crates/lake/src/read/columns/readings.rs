//! What shapes say, each read once a scan, and the words of their fields.

use crate::read::condition::Condition;
use crate::read::fields::TrailField;
use crate::rows::shape::Shape;
use foldhash::fast::RandomState;
use gridtrail_model::{HistoryEntry, Mode, ServiceReferenceVariant, Trail, catalogue};
use gridtrail_runs::NO_VALUE;
use std::collections::{BTreeMap, HashMap};

/// The most shapes that are kept: with more, all are read anew. Row groups have a few thousand, mostly the same.
const SHAPES_MAX: usize = 16_384;
/// About how many bytes a shape takes, with how it is read.
const SHAPE_BYTES: usize = 2_048;

/// What a shape says, read in one way.
#[derive(Debug)]
pub(crate) struct Reading {
    /// The trail, with made-up identifiers and times.
    pub(crate) trail: Trail,
    /// Which entry of the history is the answer that was sent.
    pub(crate) sent: Option<usize>,
    /// The places of the words of each entry's state and code.
    pub(crate) entries: Vec<(u32, u32)>,
    /// Whether entries say more than a state and a code.
    pub(crate) says_more: bool,
}

impl Reading {
    fn of(trail: Trail, (states, codes): (&mut Words, &mut Words)) -> Self {
        let sent = trail.sent_at.and_then(|at| trail.history.iter().rposition(|entry| entry.at == at));
        let mut word = |entry: &HistoryEntry| {
            let code = entry.code.as_ref().map_or(NO_VALUE, |code| codes.place(code.as_str()));
            (states.place(entry.state.as_str()), code)
        };
        let entries = trail.history.iter().map(&mut word).collect();
        let says_more =
            trail.history.iter().any(|entry| entry.cause.is_some() || entry.instruction.is_some());
        Self { trail, sent, entries, says_more }
    }

    /// Whether a field shows the same of rows that are read this way or another, of one shape.
    fn shows_as(&self, other: &Self, field: TrailField) -> bool {
        use TrailField as F;
        match field {
            F::SentAt => self.sent == other.sent,
            F::History => self.trail.history == other.trail.history,
            F::CommandVariant => self.trail.command_variant == other.trail.command_variant,
            F::AnomalyDetectionFlag => {
                self.trail.anomaly_detection_flag == other.trail.anomaly_detection_flag
            }
            F::AwaitingRequest => self.trail.awaiting_request == other.trail.awaiting_request,
            field => field.word_of(&self.trail) == field.word_of(&other.trail),
        }
    }
}

/// A shape that was met.
#[derive(Debug)]
pub(crate) struct Known {
    pub(crate) shape: Shape,
    /// How it is read, as a rule.
    plain: u32,
    /// How it is read of a command that its Device holds and reports on, where that is possible: some states of it are called otherwise,
    /// whichever of the variants that are reported on it is.
    reporting: Option<u32>,
}

/// The words of one field, and which is that of a reading.
#[derive(Debug, Default)]
pub(crate) struct Words {
    places: HashMap<String, u32, RandomState>,
    pub(crate) texts: Vec<String>,
    /// By reading: 0 is none yet, 1 no word, and all others words from 2 on.
    of_readings: Vec<u32>,
}

impl Words {
    /// The place of a word.
    pub(crate) fn place(&mut self, word: &str) -> u32 {
        if let Some(place) = self.places.get(word) {
            return *place;
        }
        let place = u32::try_from(self.texts.len()).unwrap_or(NO_VALUE);
        self.texts.push(word.to_owned());
        self.places.insert(word.to_owned(), place);
        place
    }
}

/// All shapes that a scan met.
#[derive(Debug, Default)]
pub(crate) struct Readings {
    by_bytes: HashMap<Box<[u8]>, u32, RandomState>,
    known: Vec<Known>,
    readings: Vec<Reading>,
    words: BTreeMap<TrailField, Words>,
    /// Of entries of histories.
    pub(crate) states: Words,
    pub(crate) codes: Words,
}

impl Readings {
    /// Forgets all that it knows where that has become too much. Numbers that were given before mean nothing then.
    pub(crate) fn keep_within_bounds(&mut self) {
        if self.known.len() > SHAPES_MAX {
            *self = Self::default();
        }
    }

    /// About how many bytes it takes.
    pub(crate) fn bytes(&self) -> usize {
        self.known.len() * SHAPE_BYTES
    }

    /// The number of a shape. `None`: it is damaged.
    pub(crate) fn number_of(&mut self, bytes: &[u8]) -> Option<u32> {
        if let Some(number) = self.by_bytes.get(bytes) {
            return Some(*number);
        }
        let shape = Shape::read(bytes)?;
        let trail = shape.trail(None, false);
        let may_report = trail.mode == Mode::FutureDate && !shape.is_alert();
        let plain = self.add(trail)?;
        let reported = catalogue().iter().map(|entry| entry.variant).find(|variant| is_reported(*variant));
        let reporting = match reported.filter(|_| may_report) {
            Some(reported) => Some(self.add(shape.trail(Some(reported), false))?),
            None => None,
        };
        let number = u32::try_from(self.known.len()).ok()?;
        self.known.push(Known { shape, plain, reporting });
        self.by_bytes.insert(bytes.into(), number);
        Some(number)
    }

    /// The number of a reading that is new.
    fn add(&mut self, trail: Trail) -> Option<u32> {
        let number = u32::try_from(self.readings.len()).ok()?;
        self.readings.push(Reading::of(trail, (&mut self.states, &mut self.codes)));
        Some(number)
    }

    /// A shape by its number.
    pub(crate) fn known(&self, number: u32) -> Option<&Known> {
        self.known.get(number as usize)
    }

    /// A reading by its number.
    pub(crate) fn reading(&self, number: u32) -> Option<&Reading> {
        self.readings.get(number as usize)
    }

    /// How a shape is read as a rule.
    pub(crate) fn plain(&self, number: u32) -> Option<u32> {
        Some(self.known(number)?.plain)
    }

    /// Whether what any of some fields shows of rows of a shape depends on their variants.
    pub(crate) fn depends_on_variant(&self, number: u32, fields: &[TrailField]) -> bool {
        let Some(Known { plain, reporting: Some(reporting), .. }) = self.known(number) else { return false };
        let both = self.reading(*plain).zip(self.reading(*reporting));
        both.is_none_or(|(plain, reporting)| fields.iter().any(|field| !plain.shows_as(reporting, *field)))
    }

    /// Whether rows of a shape have an execution time.
    pub(crate) fn has_execution(&self, number: u32) -> bool {
        self.known(number).is_some_and(|known| known.shape.has_execution())
    }

    /// How a shape is read in rows of a variant on which Devices report.
    pub(crate) fn reporting(&self, number: u32) -> Option<u32> {
        let known = self.known(number)?;
        Some(known.reporting.unwrap_or(known.plain))
    }

    /// Whether rows of a shape may count, of one variant or another, by a condition on a field that shapes settle.
    pub(crate) fn may_count(&self, number: u32, condition: &Condition) -> bool {
        let admits = |reading: u32| {
            let reading = self.reading(reading);
            reading.is_none_or(|reading| condition.admits(condition.field.word_of(&reading.trail).as_deref()))
        };
        self.known(number).is_none_or(|known| admits(known.plain) || known.reporting.is_some_and(admits))
    }

    /// The words of a field.
    pub(crate) fn words(&mut self, field: TrailField) -> &mut Words {
        self.words.entry(field).or_default()
    }

    /// The places of the words that readings have in a field, or [`NO_VALUE`].
    pub(crate) fn words_of(&mut self, field: TrailField, readings: &[u32]) -> Vec<u32> {
        let words = self.words.entry(field).or_default();
        words.of_readings.resize(self.readings.len(), 0);
        let place = |reading: &u32| {
            let at = *reading as usize;
            match words.of_readings.get(at).copied() {
                Some(0) => {
                    let word = self.readings.get(at).and_then(|reading| field.word_of(&reading.trail));
                    let place = word.map_or(NO_VALUE, |word| words.place(&word));
                    words.of_readings[at] = if place == NO_VALUE { 1 } else { place + 2 };
                    place
                }
                None | Some(1) => NO_VALUE,
                Some(place) => place - 2,
            }
        };
        readings.iter().map(place).collect()
    }
}

/// Whether the Device reports on future-dated commands of a variant.
pub(crate) fn is_reported(variant: ServiceReferenceVariant) -> bool {
    variant.entry().is_some_and(|entry| entry.future_dating.reports_by_alert())
}
