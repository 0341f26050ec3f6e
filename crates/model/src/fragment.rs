//! Fragments: partial trails that merge.

use crate::key::Subject;
use crate::{
    Anchor, Claims, CommandVariant, CspRegion, DeviceId, HistoryEntry, Mode, Mpxn, Named, RequestId,
    ResponseId, ServiceReferenceVariant, State, Timestamp, TrailKey,
};

/// What some of a trail's events say: the unit that is stored, and merged when it is read.
///
/// Every field is a set, and merging is the union of the sets; so **I1: `merge` is commutative, associative and
/// idempotent**, whatever the order, repetition or batching of the events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fragment {
    /// The row that this is a part of.
    pub key: TrailKey,
    /// The Device that the row is about.
    pub device: Claims<DeviceId>,
    /// When the request was received; for an alert or a scheduled run, the message's own time. The smallest
    /// claim is the placement time: where the trail lies.
    pub received: Claims<Timestamp>,
    /// The meter point.
    pub mpxn: Claims<Mpxn>,
    /// What its messages name besides; nearly always nothing, and then absent.
    pub besides: Option<Box<Besides>>,
    /// The CSP Region, raw.
    pub region: Claims<CspRegion>,
    /// The Service Reference Variant.
    pub variant: Claims<ServiceReferenceVariant>,
    /// The mode of operation, where an event names it.
    pub mode: Claims<Mode>,
    /// Preceding Request ID.
    pub preceding: Claims<RequestId>,
    /// GBCS originator counter.
    pub originator_counter: Claims<u64>,
    /// Response IDs. A future-dated command has several: its acceptance and one for each report.
    pub response_ids: Claims<ResponseId>,
    /// `ExecutionDateTime`.
    pub execution_at: Claims<Timestamp>,
    /// `DSPScheduleID`.
    pub schedule_id: Claims<u64>,
    /// Status Change History, ascending, each entry once.
    history: Vec<HistoryEntry>,
    /// The largest `recorded_at` among the events folded in.
    pub recorded_at_max: Timestamp,
}

/// What the messages of a row say besides, rarely. A message may name any number of Devices and meter points: they are no claims
/// about one thing, and no dispute comes of them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Besides {
    /// Other Devices.
    pub devices: Claims<DeviceId>,
    /// Other meter points.
    pub mpxns: Claims<Mpxn>,
    /// What the row is known to lie under though its messages name no Device.
    pub lies_under: Option<Anchor>,
    /// Times of receipt and recording that no event can have had. They are shown, and decide nothing.
    pub impossible_times: Claims<Timestamp>,
}

impl Besides {
    fn merge(&mut self, other: Self) {
        self.devices.merge(other.devices);
        self.mpxns.merge(other.mpxns);
        self.impossible_times.merge(other.impossible_times);
        self.lies_under = self.lies_under.into_iter().chain(other.lies_under).min();
    }
}

/// Merging, as a trait so that the storage engine can be written over anything that merges.
pub trait Merge {
    /// Takes in what `other` knows. Commutative, associative and idempotent.
    fn merge(&mut self, other: Self);
}

impl Fragment {
    /// A fragment that knows nothing but its key and the age of its youngest event.
    pub fn new(key: TrailKey, recorded_at_max: Timestamp) -> Self {
        Self {
            key,
            device: Claims::default(),
            received: Claims::default(),
            mpxn: Claims::default(),
            besides: None,
            region: Claims::default(),
            variant: Claims::default(),
            mode: Claims::default(),
            preceding: Claims::default(),
            originator_counter: Claims::default(),
            response_ids: Claims::default(),
            execution_at: Claims::default(),
            schedule_id: Claims::default(),
            history: Vec::new(),
            recorded_at_max,
        }
    }

    /// Where the trail lies, once it is known: the smallest time claimed for the receipt of its request.
    pub fn placement(&self) -> Option<Timestamp> {
        self.received.value().copied()
    }

    /// Whether the fragment has a row and a place of its own. One that has not must be joined to its leg first,
    /// or parked.
    pub fn is_placed(&self) -> bool {
        self.placement().is_some() && !matches!(self.key.subject, Subject::Unjoined(_))
    }

    /// What the row lies under: its Device; without one, its first meter point; without either, its User.
    pub fn anchor(&self) -> Anchor {
        let device = self.device.value().copied().map(Anchor::Device);
        let lies_under = || self.besides.as_ref().and_then(|besides| besides.lies_under);
        let mpxn = || self.mpxns().next().map(Anchor::Mpxn);
        device.or_else(lies_under).or_else(mpxn).unwrap_or(Anchor::User(self.key.user))
    }

    /// Has the fragment lie where its row does, though by what it names itself it would not.
    pub fn lie_under(&mut self, anchor: Anchor) {
        if self.anchor() != anchor {
            self.besides.get_or_insert_default().lies_under = Some(anchor);
        }
    }

    /// Adds what messages name besides the row's Device and meter point. Returns whether any was new.
    pub fn add_besides(
        &mut self,
        devices: impl ExactSizeIterator<Item = DeviceId>,
        mpxns: impl ExactSizeIterator<Item = Mpxn>,
    ) -> bool {
        if devices.len() == 0 && mpxns.len() == 0 {
            return false;
        }
        let besides = self.besides.get_or_insert_default();
        besides.devices.extend(devices) | besides.mpxns.extend(mpxns)
    }

    /// Records times that no event can have had. Returns whether any was new.
    pub fn add_impossible_times(&mut self, times: impl ExactSizeIterator<Item = Timestamp>) -> bool {
        times.len() > 0 && self.besides.get_or_insert_default().impossible_times.extend(times)
    }

    /// Times of receipt and recording that no event can have had.
    pub fn impossible_times(&self) -> &Claims<Timestamp> {
        static NONE: Claims<Timestamp> = Claims::none();
        self.besides.as_ref().map_or(&NONE, |besides| &besides.impossible_times)
    }

    /// Every Device that its messages name, beyond its own.
    pub fn concerned_devices(&self) -> &Claims<DeviceId> {
        static NONE: Claims<DeviceId> = Claims::none();
        self.besides.as_ref().map_or(&NONE, |besides| &besides.devices)
    }

    /// Every meter point that its messages name, beyond its own.
    pub fn concerned_mpxns(&self) -> &Claims<Mpxn> {
        static NONE: Claims<Mpxn> = Claims::none();
        self.besides.as_ref().map_or(&NONE, |besides| &besides.mpxns)
    }

    /// Whether its messages name this Device or meter point.
    pub fn names(&self, named: Named) -> bool {
        match named {
            Named::Device(device) => {
                self.device.contains(&device) || self.concerned_devices().contains(&device)
            }
            Named::Mpxn(mpxn) => self.mpxn.contains(&mpxn) || self.concerned_mpxns().contains(&mpxn),
        }
    }

    /// Every meter point that its messages name. One may come twice.
    pub fn mpxns(&self) -> impl Iterator<Item = Mpxn> {
        self.mpxn.iter().chain(self.concerned_mpxns().iter()).copied()
    }

    /// The Service Reference Variant that the row is shown and found under. An alert has none, whatever is claimed.
    pub fn variant_shown(&self) -> Option<ServiceReferenceVariant> {
        self.variant.value().copied().filter(|_| !self.key.is_alert())
    }

    /// Whether the row is a meter-read transaction, which all Users may see (UC_MeterRead_001, Section H8.16(c)).
    ///
    /// That clause opens Service Requests of four variants: so the leg of a request or a scheduled run, and nothing else:
    /// no alert, though UC_MeterRead_001 lists the modes of alerts, and no answer whose request is not on record. And only
    /// when every claim is one of the four, since a disputed row stays with its own User.
    pub fn is_meter_read(&self) -> bool {
        let is_request = matches!(self.key.subject, Subject::Leg(_) | Subject::ScheduledRun(_));
        let mut claims = self.variant.iter();
        is_request && self.variant.value().is_some() && claims.all(|variant| variant.is_meter_read())
    }

    /// The Status Change History, ascending by time; at equal times by the order of an ordinary life.
    pub fn history(&self) -> &[HistoryEntry] {
        &self.history
    }

    /// Adds an entry; a repeat changes nothing. Returns whether it was new.
    pub fn record(&mut self, entry: HistoryEntry) -> bool {
        // Events mostly come in order, so the end is tried first.
        if self.history.last().is_none_or(|last| *last < entry) {
            self.history.push(entry);
            return true;
        }
        let place = self.history.binary_search(&entry);
        if let Err(at) = place {
            self.history.insert(at, entry);
        }
        place.is_err()
    }

    /// Gives a fragment without a place the place of its row, among the rows on record for its request.
    ///
    /// An unjoined fragment is split by its history: a Pre-Command answers the transform leg; anything else
    /// belongs to the newest leg received at or before it, or to the oldest if all came later. Of a row that stands
    /// at several times, the newest counts. `None` when none of the rows is the right one.
    pub fn join(&self, rows: &[Resolved]) -> Option<Vec<Self>> {
        let mut rows: Vec<&Resolved> = rows.iter().collect();
        rows.sort_by_key(|row| (row.received, row.subject, row.anchor));
        let Subject::Unjoined(_) = self.key.subject else {
            let row = rows.into_iter().rfind(|row| row.subject == self.key.subject)?;
            return Some(vec![self.placed_at(row, self.history.clone())]);
        };
        rows.retain(|row| matches!(row.subject, Subject::Leg(_)));
        let oldest = *rows.first()?;
        let leg_of = |entry| rows.iter().rfind(|row| row.is_leg_of(entry)).copied().unwrap_or(oldest);
        let mut parts: Vec<(&Resolved, Vec<HistoryEntry>)> = Vec::new();
        for entry in &self.history {
            let leg = leg_of(entry);
            match parts.iter_mut().find(|(row, _)| *row == leg) {
                Some((_, history)) => history.push(entry.clone()),
                None => parts.push((leg, vec![entry.clone()])),
            }
        }
        // A Response ID goes to the legs whose entries it can have come with; one that fits none, to all.
        let mirror = self.key.request_id().as_ref().map(ResponseId::mirror_of);
        let fits = |id: &ResponseId, history: &[HistoryEntry]| {
            history.iter().any(|entry| entry.is_report() == (Some(*id) != mirror))
        };
        let (fitting, stray): (Vec<ResponseId>, Vec<_>) =
            self.response_ids.iter().partition(|id| parts.iter().any(|(_, history)| fits(id, history)));
        let placed = parts.into_iter().map(|(row, history)| {
            let own = fitting.iter().filter(|id| fits(id, &history)).chain(&stray).copied().collect();
            Self { response_ids: own, ..self.placed_at(row, history) }
        });
        Some(placed.collect())
    }

    /// Whether older rows than these, the newest of those on record, could change nothing in how the fragment is
    /// [joined](Self::join): who looks for its rows from the newest month back may stop.
    pub fn is_settled_by(&self, newest: &[Resolved]) -> bool {
        if !matches!(self.key.subject, Subject::Unjoined(_)) {
            return newest.iter().any(|row| row.subject == self.key.subject);
        }
        let is_on_record = |entry| newest.iter().any(|row| row.is_leg_of(entry));
        !newest.is_empty() && self.history.iter().all(is_on_record)
    }

    fn placed_at(&self, row: &Resolved, history: Vec<HistoryEntry>) -> Self {
        let mut placed = Self {
            key: TrailKey { user: self.key.user, subject: row.subject },
            received: std::iter::once(row.received).collect(),
            history,
            ..self.clone()
        };
        // The row decides, not the target of the RequestID: that may be the DCC itself.
        match row.anchor {
            Anchor::Device(device) => placed.device = std::iter::once(device).collect(),
            anchor => {
                let target = self.key.request_id().map(|id| id.target);
                let others = std::mem::take(&mut placed.device);
                let others: Vec<DeviceId> =
                    others.iter().copied().filter(|device| Some(*device) != target).collect();
                placed.add_besides(others.into_iter(), std::iter::empty());
                placed.lie_under(anchor);
            }
        }
        placed
    }
}

/// A row that is on record: what a fragment without a place needs to find its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resolved {
    /// The row, less its User.
    pub subject: Subject,
    /// Its placement time.
    pub received: Timestamp,
    /// What it lies under.
    pub anchor: Anchor,
}

impl Resolved {
    /// What is to be known of a fragment that has a place.
    pub fn of(fragment: &Fragment) -> Option<Self> {
        let received = fragment.placement()?;
        Some(Self { subject: fragment.key.subject, received, anchor: fragment.anchor() })
    }

    /// Whether an entry can be about this leg: a Pre-Command answers the transform leg whenever that was received,
    /// anything else a leg received at or before it.
    fn is_leg_of(&self, entry: &HistoryEntry) -> bool {
        match self.subject {
            Subject::Leg(leg) if entry.state == State::PreCommandReturned => {
                leg.command_variant == CommandVariant::TRANSFORM
            }
            Subject::Leg(_) => self.received <= entry.at,
            _ => false,
        }
    }
}

impl Merge for Fragment {
    fn merge(&mut self, other: Self) {
        debug_assert_eq!(self.key, other.key, "only fragments of one row merge");
        self.device.merge(other.device);
        self.received.merge(other.received);
        self.mpxn.merge(other.mpxn);
        if let Some(besides) = other.besides {
            self.besides.get_or_insert_default().merge(*besides);
        }
        self.region.merge(other.region);
        self.variant.merge(other.variant);
        self.mode.merge(other.mode);
        self.preceding.merge(other.preceding);
        self.originator_counter.merge(other.originator_counter);
        self.response_ids.merge(other.response_ids);
        self.execution_at.merge(other.execution_at);
        self.schedule_id.merge(other.schedule_id);
        for entry in other.history {
            self.record(entry);
        }
        self.recorded_at_max = self.recorded_at_max.max(other.recorded_at_max);
    }
}
