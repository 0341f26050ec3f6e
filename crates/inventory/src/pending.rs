//! Facts that wait for the outcome of a Service Request.
//!
//! A request says what shall change, and its answer says whether it did; the two are messages apart, and come in any order.

use crate::event::{Effective, FactOrigin, InventoryEvent, InventoryFact, InventoryStatement, StatedFact};
use gridtrail_model::{EventId, Merge, RequestId, ResponseCode, ServiceReferenceVariant, Timestamp};

/// Which message says that a request did what it asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum OutcomeOf {
    /// Its Service Response.
    Response,
    /// The DCC Alert on the result of an update of the HAN Device Log (8.11).
    HanDeviceLog,
}

impl OutcomeOf {
    /// The number that stands for it in storage.
    pub(crate) const fn number(self) -> u8 {
        match self {
            Self::Response => 1,
            Self::HanDeviceLog => 2,
        }
    }

    pub(crate) const fn from_number(number: u8) -> Option<Self> {
        match number {
            1 => Some(Self::Response),
            2 => Some(Self::HanDeviceLog),
            _ => None,
        }
    }
}

/// One fact that a request asks for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct AskedFact {
    /// Which message says that it came about.
    pub outcome: OutcomeOf,
    /// Since when it is so; `None`: since the outcome.
    pub from: Option<Timestamp>,
    /// The fact.
    pub fact: InventoryFact,
}

/// What a Service Request asks for. Alone it is no fact.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct AskedChange {
    /// The request.
    pub request_id: RequestId,
    /// Its Service Reference Variant: an outcome of another is none of this request's.
    pub variant: ServiceReferenceVariant,
    /// Whether the DCC answers it itself, so that `I99` means that it is done.
    pub non_device: bool,
    /// When the DCC had it.
    pub recorded_at: Timestamp,
    /// The message.
    pub event_id: EventId,
    /// The facts.
    pub facts: Vec<AskedFact>,
}

/// What became of a request.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct RequestOutcome {
    /// The request.
    pub request_id: RequestId,
    /// Its Service Reference Variant, where the message says it.
    pub variant: Option<ServiceReferenceVariant>,
    /// Which message this is.
    pub of: OutcomeOf,
    /// Its response code.
    pub code: ResponseCode,
    /// When it took effect: the message's own time.
    pub at: Timestamp,
    /// When the DCC had it.
    pub recorded_at: Timestamp,
    /// The message.
    pub event_id: EventId,
}

/// A part of what is known of a request: what a message says of one that asks for a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PendingPart {
    /// What it asks for.
    Asked(AskedChange),
    /// What became of it.
    Outcome(RequestOutcome),
}

impl RequestOutcome {
    /// Whether it may say of any request that what it asks for came about: nothing else is worth keeping, for a failure brings nothing.
    pub fn may_bring(&self) -> bool {
        !self.code.is_failure() && self.variant.is_none_or(ServiceReferenceVariant::changes_inventory)
    }

    /// Whether it says that a fact of this request came about. `I99` to a request for a Device means no more than that the request is on
    /// its way (decision 0001).
    fn brings(&self, asked: &AskedChange, fact: &AskedFact) -> bool {
        let is_done = !self.code.is_failure() && (asked.non_device || !self.code.is_acknowledgement());
        is_done && self.of == fact.outcome && self.variant.is_none_or(|variant| variant == asked.variant)
    }
}

/// What is known of one request: what it asks for, and what became of it. Two sets, merged by union, so **I1** holds; and more
/// knowledge only ever adds facts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PendingFacts {
    request_id: RequestId,
    asked: Vec<AskedChange>,
    outcomes: Vec<RequestOutcome>,
}

fn insert<T: Ord>(set: &mut Vec<T>, one: T) {
    if let Err(at) = set.binary_search(&one) {
        set.insert(at, one);
    }
}

impl PendingFacts {
    /// Of a request of which nothing is known.
    pub const fn new(request_id: RequestId) -> Self {
        Self { request_id, asked: Vec::new(), outcomes: Vec::new() }
    }

    /// The request.
    pub const fn request_id(&self) -> RequestId {
        self.request_id
    }

    /// Takes in what the request asks for. That of another request is left out.
    pub fn ask(&mut self, asked: AskedChange) {
        if asked.request_id == self.request_id {
            insert(&mut self.asked, asked);
        }
    }

    /// Takes in what became of the request. That of another request is left out.
    pub fn answer(&mut self, outcome: RequestOutcome) {
        if outcome.request_id == self.request_id {
            insert(&mut self.outcomes, outcome);
        }
    }

    /// The facts that came about, each with the time of the message that says so, and recorded when both messages were.
    pub fn facts(&self) -> Vec<InventoryEvent> {
        let mut found = Vec::new();
        for (asked, outcome) in
            self.asked.iter().flat_map(|asked| self.outcomes.iter().map(move |one| (asked, one)))
        {
            for one in asked.facts.iter().filter(|fact| outcome.brings(asked, fact)) {
                let effective = Effective::since(one.from.unwrap_or(outcome.at));
                found.push(InventoryEvent {
                    recorded_at: outcome.recorded_at.max(asked.recorded_at),
                    id: outcome.event_id.clone(),
                    origin: FactOrigin::Duis,
                    told: InventoryStatement::Fact(StatedFact {
                        effective,
                        corrects: None,
                        fact: one.fact.clone(),
                    }),
                });
            }
        }
        found
    }
}

impl Merge for PendingFacts {
    fn merge(&mut self, other: Self) {
        debug_assert_eq!(self.request_id, other.request_id, "only what is known of one request merges");
        other.asked.into_iter().for_each(|asked| insert(&mut self.asked, asked));
        other.outcomes.into_iter().for_each(|outcome| insert(&mut self.outcomes, outcome));
    }
}
