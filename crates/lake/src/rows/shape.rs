//! What a shape says of all rows that share it, read once; and what their tails say then, field by field.
//!
//! A row's `shape` repeats from row to row: of its states, codes and mode nothing stands in its `tail` (`packed`). So a scan reads each
//! different shape once, makes of it the trail that its rows are but for identifiers and times, and looks at a tail only for those.

use crate::rows::bits::BitReader;
use crate::rows::history_bytes::{self, EntryShape, take_text};
use crate::rows::packed::{
    ALERT, COUNTER_HIGH, GBCS_IS_COUNTER, HAS_BESIDES, HAS_EXECUTION, HAS_GBCS, HAS_ID_TARGET, HAS_ID_USER,
    HAS_LAG, HAS_OTHERS, HAS_PRECEDING, HAS_RESPONSES, HAS_SCHEDULE, HAS_THROTTLE, HIGHEST, KIND, KeyId,
    RESPONSE_IS_IMPLIED, UNDER_MPXN, UNDER_USER, eight, unpack_id,
};
use gridtrail_model::{
    AlertCode, CommandVariant, DeviceId, Fragment, HistoryEntry, Leg, Mode, RequestId, ResponseId,
    ServiceReferenceVariant, Subject, Timestamp, Trail, TrailKey, UserId,
};

/// A shape.
#[derive(Debug)]
pub(crate) struct Shape {
    flags: u8,
    has: u16,
    mode: Option<Mode>,
    subject: Subject,
    history: Vec<EntryShape>,
}

/// What the tail of a row says, less its history.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TailFields {
    pub(crate) counter: Option<u64>,
    pub(crate) request_id: Option<RequestId>,
    pub(crate) response_id: Option<ResponseId>,
    pub(crate) preceding: Option<RequestId>,
    pub(crate) execution_at: Option<Timestamp>,
    pub(crate) schedule_id: Option<u64>,
    lag: i64,
}

/// Where a row lies and whose it is, as far as its tail leaves that out.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Under {
    pub(crate) user: [u8; 8],
    pub(crate) device: [u8; 8],
    pub(crate) placement_ms: i64,
}

impl Shape {
    /// Reads a shape. `None` when it is not what [`Packed::pack`](crate::rows::packed::Packed::pack) writes.
    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        let ([flags, low, high, leg, mode], mut history) =
            bytes.split_first_chunk().map(|(head, rest)| (*head, rest))?;
        let code: Option<AlertCode> =
            if flags & KIND == ALERT { Some(take_text(&mut history)?.parse().ok()?) } else { None };
        let (user, device) = (UserId::from_bytes([0; 8]), DeviceId::from_bytes([0; 8]));
        let request_id = RequestId { originator: user, target: device, counter: 0 };
        let response_id = ResponseId::mirror_of(&request_id);
        let subject = match (flags & KIND, code) {
            (1, None) => Subject::Leg(Leg { request_id, command_variant: CommandVariant::new(leg)? }),
            (2, None) => Subject::ScheduledRun(response_id),
            (ALERT, Some(code)) => Subject::Alert { response_id, code, throttle_sequence: None },
            (4, None) => Subject::Unjoined(request_id),
            _ => return None,
        };
        let mode = if mode == 0 { None } else { Some(Mode::from_number(mode)?) };
        let history = history_bytes::shapes(history)?;
        Some(Self { flags, has: u16::from_le_bytes([low, high]), mode, subject, history })
    }

    /// The trail of its rows, with made-up identifiers and times: entries of the history lie a millisecond apart. `cancels`: its execution
    /// time is the one that cancels a request.
    pub(crate) fn trail(&self, variant: Option<ServiceReferenceVariant>, cancels: bool) -> Trail {
        let mut fragment =
            Fragment::new(TrailKey { user: UserId::from_bytes([0; 8]), subject: self.subject }, Self::START);
        fragment.received.add(Self::START);
        fragment.mode.add_some(self.mode);
        fragment.variant.add_some(variant);
        if self.has_execution() {
            // 3000-01-01, or any other time.
            let at = if cancels { Timestamp::from_millis(32_503_680_000_000) } else { Some(Self::START) };
            fragment.execution_at.add_some(at);
        }
        for (number, entry) in (0..).zip(&self.history) {
            fragment.record(HistoryEntry {
                at: Self::START.plus_millis(number),
                state: entry.state,
                code: entry.code,
                instruction: entry.instruction,
                cause: entry.cause.clone(),
            });
        }
        Trail::from(&fragment)
    }

    /// When made-up histories begin.
    pub(crate) const START: Timestamp = Timestamp::MIN;

    pub(crate) const fn is_alert(&self) -> bool {
        self.flags & KIND == ALERT
    }

    /// Whether its rows wait for their request.
    pub(crate) const fn is_awaiting(&self) -> bool {
        matches!(self.subject, Subject::Unjoined(_))
    }

    pub(crate) const fn has_execution(&self) -> bool {
        self.has & HAS_EXECUTION != 0
    }

    /// Whether its rows lie under what is no Device.
    pub(crate) const fn lies_under_another(&self) -> bool {
        self.has & (UNDER_MPXN | UNDER_USER) != 0
    }

    /// Whether its rows say more than one thing of a field, or name more than their own Device and meter point.
    pub(crate) const fn says_more(&self) -> bool {
        self.has & (HAS_OTHERS | HAS_BESIDES) != 0
    }

    /// What a tail says, and the rest of it: times of the history, and what [`Shape::says_more`] is about. `None`: damaged.
    #[inline]
    pub(crate) fn fields<'a>(&self, tail: &'a [u8], of: Under) -> Option<(TailFields, BitReader<'a>)> {
        let has = |field: u16| self.has & field != 0;
        let mut tail = BitReader::new(tail);
        let low = tail.signed()?.wrapping_add(of.placement_ms).cast_unsigned();
        let counter = if self.flags & COUNTER_HIGH == 0 { low } else { low | HIGHEST };
        let user_side = if has(HAS_ID_USER) { eight(&mut tail)? } else { of.user };
        let target_side = if has(HAS_ID_TARGET) { eight(&mut tail)? } else { of.device };
        let id = KeyId { user_side, target_side, counter };
        if self.is_alert() && has(HAS_THROTTLE) {
            tail.number()?;
        }
        let gbcs = if has(HAS_GBCS) {
            Some(tail.number()?)
        } else {
            (self.flags & GBCS_IS_COUNTER != 0).then_some(counter)
        };
        let preceding = if has(HAS_PRECEDING) { Some(unpack_id(&id, &mut tail)?.request()) } else { None };
        let execution_at = if has(HAS_EXECUTION) {
            Some(Timestamp::from_millis(of.placement_ms.checked_add(tail.signed()?)?)?)
        } else {
            None
        };
        let schedule_id = if has(HAS_SCHEDULE) { Some(tail.number()?) } else { None };
        let implied = (self.flags & RESPONSE_IS_IMPLIED != 0).then(|| id.response());
        let mut response_id = implied;
        if has(HAS_RESPONSES) {
            for _ in 0..tail.number()? {
                let other = unpack_id(&id, &mut tail)?.response();
                response_id = Some(response_id.map_or(other, |least| least.min(other)));
            }
        }
        let request_id = match self.subject {
            Subject::Leg(_) | Subject::Unjoined(_) => Some(id.request()),
            Subject::ScheduledRun(_) | Subject::Alert { .. } => None,
        };
        // What mirrors the request is shown before all others.
        response_id = request_id.and(implied).or(response_id);
        let lag = if has(HAS_LAG) { tail.signed()? } else { 0 };
        let fields =
            TailFields { counter: gbcs, request_id, response_id, preceding, execution_at, schedule_id, lag };
        Some((fields, tail))
    }

    /// Calls `take` with the time of each entry of the history, in milliseconds. `None`: damaged.
    #[inline]
    pub(crate) fn times(
        &self,
        tail: &mut BitReader<'_>,
        placement_ms: i64,
        mut take: impl FnMut(i64),
    ) -> Option<()> {
        let mut at_ms = placement_ms;
        for (number, entry) in self.history.iter().enumerate() {
            let since = match (entry.same_time, number) {
                (true, _) => 0,
                (false, 0) => tail.signed()?,
                (false, _) => i64::try_from(tail.number()?).ok()?,
            };
            at_ms = at_ms.checked_add(since)?;
            take(at_ms);
        }
        Some(())
    }

    /// When the youngest event of a row was recorded.
    pub(crate) fn recorded_ms(
        &self,
        (fields, tail): (&TailFields, &mut BitReader<'_>),
        placement_ms: i64,
    ) -> Option<i64> {
        let mut last = placement_ms;
        self.times(tail, placement_ms, |at| last = at)?;
        last.checked_add(fields.lag)
    }
}

#[cfg(test)]
mod tests;
