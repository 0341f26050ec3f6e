//! What of a fragment only gridtrail reads, in two columns.
//!
//! A look-up pays for each column that it reads, however few of its values it needs. So all that no other engine filters or
//! groups by lies in two columns, whatever the number of fields:
//!
//! - **shape**: what repeats from row to row, and so goes into a dictionary: what kind of row it is, which fields the tail
//!   has, and the states, codes and causes of the history;
//! - **tail**: what hardly repeats: counters, times and identifiers, as [`crate::rows::bits`] writes numbers.
//!
//! Shape: a byte of kind and flags, two of what the tail has, the Command Variant, the mode, the code of an alert, the history.
//! Tail: the counter, what the shape says of the rest, the times of the history. A counter is kept as its distance from
//! the receipt time: most senders count by the clock, some with the highest bit set. At the end of the tail stand the Devices and
//! meter points that the row names besides its own, and times that cannot be, ascending, each as its distance from the one before: a list of 50,000 Devices
//! of a few makers takes about 5 bytes for each.

use crate::rows::bits::{BitReader, BitWriter};
use crate::rows::history_bytes::{self, put_text, take_text};
use gridtrail_model::{
    AlertCode, Anchor, Claims, CommandVariant, DeviceId, Fragment, Leg, Mode, Mpxn, RequestId, ResponseId,
    Subject, Timestamp, TrailKey, UserId,
};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::str::FromStr;

pub(super) const KIND: u8 = 7;
pub(super) const ALERT: u8 = 3;
pub(super) const COUNTER_HIGH: u8 = 8;
pub(super) const GBCS_IS_COUNTER: u8 = 16;
pub(super) const RESPONSE_IS_IMPLIED: u8 = 32;

pub(super) const HAS_ID_USER: u16 = 1;
pub(super) const HAS_ID_TARGET: u16 = 2;
pub(super) const HAS_THROTTLE: u16 = 4;
pub(super) const HAS_GBCS: u16 = 8;
pub(super) const HAS_PRECEDING: u16 = 16;
pub(super) const HAS_EXECUTION: u16 = 32;
pub(super) const HAS_SCHEDULE: u16 = 64;
pub(super) const HAS_RESPONSES: u16 = 128;
pub(super) const HAS_LAG: u16 = 256;
pub(super) const HAS_OTHERS: u16 = 512;
/// What the row lies under stands for its meter point.
pub(super) const UNDER_MPXN: u16 = 1024;
/// What the row lies under stands for its User.
pub(super) const UNDER_USER: u16 = 2048;
pub(super) const HAS_BESIDES: u16 = 4096;

pub(super) const HIGHEST: u64 = 1 << 63;

/// The id inside a trail key, with the two sides named by whose they usually are.
#[derive(Debug, Clone, Copy)]
pub(super) struct KeyId {
    pub(super) user_side: [u8; 8],
    pub(super) target_side: [u8; 8],
    pub(super) counter: u64,
}

impl KeyId {
    fn of(key: &TrailKey) -> Self {
        match &key.subject {
            Subject::ScheduledRun(id) | Subject::Alert { response_id: id, .. } => Self {
                user_side: id.second.to_bytes(),
                target_side: id.first.to_bytes(),
                counter: id.counter,
            },
            Subject::Leg(Leg { request_id: id, .. }) | Subject::Unjoined(id) => Self {
                user_side: id.originator.to_bytes(),
                target_side: id.target.to_bytes(),
                counter: id.counter,
            },
        }
    }

    pub(super) fn request(self) -> RequestId {
        RequestId {
            originator: UserId::from_bytes(self.user_side),
            target: DeviceId::from_bytes(self.target_side),
            counter: self.counter,
        }
    }

    /// The ResponseID that a key implies: the alert's or run's own, or the mirror of the RequestID.
    pub(super) fn response(self) -> ResponseId {
        ResponseId {
            first: DeviceId::from_bytes(self.target_side),
            second: DeviceId::from_bytes(self.user_side),
            counter: self.counter,
        }
    }
}

/// The bytes of a key's id: both sides, and the counter.
pub(crate) fn id_bytes(key: &TrailKey) -> [u8; 24] {
    let id = KeyId::of(key);
    let mut bytes = [0; 24];
    bytes[..8].copy_from_slice(&id.user_side);
    bytes[8..16].copy_from_slice(&id.target_side);
    bytes[16..].copy_from_slice(&id.counter.to_be_bytes());
    bytes
}

/// What a run is searched by for the rows of a key: the Device that its id names, and the counter, for a row that lies under another.
pub(crate) fn searched_by(key: &TrailKey) -> (DeviceId, i64) {
    let id = KeyId::of(key);
    (DeviceId::from_bytes(id.target_side), id.counter.cast_signed())
}

/// What rows of one key have in common, and nearly no others: its User and its counter, mixed. It is cheaper to read than a key, and
/// so tells which keys are worth reading.
pub(crate) fn print_of(key: &TrailKey) -> u64 {
    print(key.user.to_bytes(), KeyId::of(key).counter)
}

/// The same of a row as it is stored, of its tail alone. `None` when that is not what [`Packed::pack`] writes.
pub(crate) fn print_in(user: [u8; 8], tail: &[u8], placement: Timestamp) -> Option<u64> {
    let counter = BitReader::new(tail).signed()?.wrapping_add(placement.millis());
    Some(print(user, counter.cast_unsigned()))
}

/// A key's print, made to tell the legs of a request apart, too, and one kind of row from another.
pub(crate) fn key_print_of(print: u64, key: &TrailKey) -> u64 {
    let leg = key.command_variant().map_or(0, CommandVariant::number);
    let of_alert = match &key.subject {
        Subject::Alert { code, throttle_sequence, .. } => {
            of_alert(code.as_str(), throttle_sequence.map(u64::from))
        }
        _ => 0,
    };
    apart(print ^ of_alert, leg, kind_of(key))
}

/// What tells a row from nearly all of other keys, read as it is stored and without its key.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Print {
    /// The key's print, as [`key_print_of`] makes it.
    pub(crate) key: u64,
    /// The counter of the key's id, as [`searched_by`] has it.
    pub(crate) counter: i64,
    /// Whether the row lies under the Device that its id names.
    pub(crate) is_own: bool,
}

impl Print {
    /// `None` when that is not what [`Packed::pack`] writes.
    pub(crate) fn read((shape, tail): (&[u8], &[u8]), user: [u8; 8], placement: Timestamp) -> Option<Self> {
        let ([flags, low, high, leg, _], mut rest) =
            shape.split_first_chunk().map(|(head, rest)| (*head, rest))?;
        let has = u16::from_le_bytes([low, high]);
        let mut tail = BitReader::new(tail);
        let low_counter = tail.signed()?.wrapping_add(placement.millis()).cast_unsigned();
        let counter = if flags & COUNTER_HIGH == 0 { low_counter } else { low_counter | HIGHEST };
        let mut key = print(user, counter);
        if flags & KIND == ALERT {
            for side in [HAS_ID_USER, HAS_ID_TARGET] {
                if has & side != 0 {
                    eight(&mut tail)?;
                }
            }
            let sequence = if has & HAS_THROTTLE == 0 { None } else { Some(tail.number()?) };
            key ^= of_alert(take_text(&mut rest)?, sequence);
        }
        Some(Self {
            key: apart(key, leg, flags & KIND),
            counter: counter.cast_signed(),
            is_own: has & HAS_ID_TARGET == 0,
        })
    }
}

/// What tells alerts of one id apart: a throttled sequence has as many as it stands for, each a row.
fn of_alert(code: &str, sequence: Option<u64>) -> u64 {
    let code = code.bytes().fold(0, |mixed: u64, byte| mixed << 8 ^ u64::from(byte));
    let sequence = sequence.map_or(0, |sequence| sequence.wrapping_add(1));
    (code ^ sequence << 32).wrapping_mul(0xD1B5_4A32_D192_ED03)
}

const fn print(user: [u8; 8], counter: u64) -> u64 {
    // Odd numbers without a pattern: of the fractions of the golden ratio and of pi.
    let mixed = u64::from_le_bytes(user).wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ (counter & !HIGHEST);
    mixed.wrapping_mul(0x2B7E_1516_28AE_D2A7)
}

fn apart(print: u64, leg: u8, kind: u8) -> u64 {
    print ^ u64::from(leg) << 8 ^ u64::from(kind)
}

/// The counter of a row whose id names another target than its Device: such rows are found by it.
pub(crate) fn foreign_counter(fragment: &Fragment) -> Option<u64> {
    let id = KeyId::of(&fragment.key);
    let is_own = fragment.device.value().is_some_and(|device| device.to_bytes() == id.target_side);
    (!is_own).then_some(id.counter)
}

/// Whether a row, as it is stored, is an alert; and whether not all of its claims are shown. What cannot be told is so.
pub(crate) fn is_alert_and_disputed(shape: &[u8]) -> (bool, bool) {
    let Some([flags, low, high]) = shape.first_chunk() else { return (false, true) };
    (flags & KIND == ALERT, u16::from_le_bytes([*low, *high]) & HAS_OTHERS != 0)
}

/// Whether not all claims of a fragment are shown.
pub(crate) fn is_disputed(fragment: &Fragment) -> bool {
    other_claims(fragment).is_some()
}

/// What the bytes in the Device column are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StandsFor {
    /// The Device itself.
    Device,
    /// What stands for a meter point.
    Mpxn,
    /// What stands for the User.
    User,
}

/// Both columns of one row. One is used for many rows, to spare their memory.
#[derive(Debug, Default)]
pub(crate) struct Packed {
    pub(crate) shape: Vec<u8>,
    pub(crate) tail: Vec<u8>,
}

impl Packed {
    /// Packs a fragment that lies at a placement time.
    pub(crate) fn pack(&mut self, fragment: &Fragment, placement: Timestamp) {
        let Self { shape, tail } = self;
        shape.clear();
        tail.clear();
        let key = &fragment.key;
        let id = KeyId::of(key);
        let others = other_claims(fragment);
        let (has, flags) = (fields_of(fragment, &id, placement, others.is_some()), flags_of(fragment, &id));
        let [low, high] = has.to_le_bytes();
        let command_variant = key.command_variant().map_or(0, CommandVariant::number);
        let mode = fragment.mode.value().map_or(0, |mode| mode.number());
        shape.extend_from_slice(&[flags, low, high, command_variant, mode]);
        if let Subject::Alert { code, .. } = &key.subject {
            put_text(code.as_str(), shape);
        }
        let mut tail = BitWriter::new(tail);
        tail.signed((id.counter & !HIGHEST).cast_signed().wrapping_sub(placement.millis()));
        if has & HAS_ID_USER != 0 {
            tail.bytes(&id.user_side);
        }
        if has & HAS_ID_TARGET != 0 {
            tail.bytes(&id.target_side);
        }
        if let Subject::Alert { throttle_sequence: Some(sequence), .. } = &key.subject {
            tail.number((*sequence).into());
        }
        pack_fields(fragment, &id, placement, has, &mut tail);
        history_bytes::encode(fragment.history(), placement, shape, &mut tail);
        if let Some(others) = others {
            tail.number(others.len() as u64);
            tail.bytes(others.as_bytes());
        }
        if has & HAS_BESIDES != 0 {
            pack_besides(fragment, &mut tail);
        }
        tail.finish();
    }
}

/// Which fields the tail has.
fn fields_of(fragment: &Fragment, id: &KeyId, placement: Timestamp, others: bool) -> u16 {
    let gbcs = fragment.originator_counter.value();
    let throttled = matches!(fragment.key.subject, Subject::Alert { throttle_sequence: Some(_), .. });
    let implied = id.response();
    let field = |present: bool, field: u16| if present { field } else { 0 };
    field(id.user_side != fragment.key.user.to_bytes(), HAS_ID_USER)
        | field(foreign_counter(fragment).is_some(), HAS_ID_TARGET)
        | field(throttled, HAS_THROTTLE)
        | field(gbcs.is_some_and(|counter| *counter != id.counter), HAS_GBCS)
        | field(fragment.preceding.value().is_some(), HAS_PRECEDING)
        | field(fragment.execution_at.value().is_some(), HAS_EXECUTION)
        | field(fragment.schedule_id.value().is_some(), HAS_SCHEDULE)
        | field(fragment.response_ids.iter().any(|id| *id != implied), HAS_RESPONSES)
        | field(lag_of(fragment, placement) != 0, HAS_LAG)
        | field(others, HAS_OTHERS)
        | match fragment.anchor() {
            Anchor::Device(_) | Anchor::Nothing => 0,
            Anchor::Mpxn(_) => UNDER_MPXN,
            Anchor::User(_) => UNDER_USER,
        }
        | field(has_besides(fragment), HAS_BESIDES)
}

fn has_besides(fragment: &Fragment) -> bool {
    let named = !fragment.concerned_devices().is_empty() || !fragment.concerned_mpxns().is_empty();
    named || !fragment.impossible_times().is_empty()
}

/// Devices, meter points and times, each ascending and as its distance from the one before.
fn pack_besides(fragment: &Fragment, tail: &mut BitWriter<'_>) {
    let devices = fragment.concerned_devices().iter().map(|device| u64::from_be_bytes(device.to_bytes()));
    pack_ascending(fragment.concerned_devices().len(), devices, tail);
    // A code is no negative number, and longer references have larger codes: so these ascend, too.
    let mut codes: Vec<u64> =
        fragment.concerned_mpxns().iter().map(|m| m.to_code().cast_unsigned()).collect();
    codes.sort_unstable();
    pack_ascending(codes.len(), codes.into_iter(), tail);
    let times =
        fragment.impossible_times().iter().map(|time| time.millis().abs_diff(Timestamp::MIN.millis()));
    pack_ascending(fragment.impossible_times().len(), times, tail);
}

fn pack_ascending(count: usize, numbers: impl Iterator<Item = u64>, tail: &mut BitWriter<'_>) {
    tail.number(count as u64);
    let mut last = 0;
    for number in numbers {
        tail.number(number - last);
        last = number;
    }
}

/// What [`pack_ascending`] wrote. A count is no reason to reserve memory: the bytes that follow bear it out or end.
fn unpack_ascending(tail: &mut BitReader<'_>) -> Option<Vec<u64>> {
    let (mut numbers, mut last) = (Vec::new(), 0u64);
    for _ in 0..tail.number()? {
        last = last.checked_add(tail.number()?)?;
        numbers.push(last);
    }
    Some(numbers)
}

fn unpack_besides(fragment: &mut Fragment, tail: &mut BitReader<'_>) -> Option<()> {
    let device = |number: u64| DeviceId::from_bytes(number.to_be_bytes());
    let devices: Vec<DeviceId> = unpack_ascending(tail)?.into_iter().map(device).collect();
    let codes = unpack_ascending(tail)?.into_iter();
    let mpxns: Vec<Mpxn> = codes.map(|code| Mpxn::from_code(code.cast_signed())).collect::<Option<_>>()?;
    fragment.add_besides(devices.into_iter(), mpxns.into_iter());
    let time = |past: u64| Timestamp::from_millis(Timestamp::MIN.millis().checked_add_unsigned(past)?);
    let times: Vec<Timestamp> = unpack_ascending(tail)?.into_iter().map(time).collect::<Option<_>>()?;
    fragment.add_impossible_times(times.into_iter());
    Some(())
}

fn kind_of(key: &TrailKey) -> u8 {
    match &key.subject {
        Subject::Leg(_) => 1,
        Subject::ScheduledRun(_) => 2,
        Subject::Alert { .. } => ALERT,
        Subject::Unjoined(_) => 4,
    }
}

fn flags_of(fragment: &Fragment, id: &KeyId) -> u8 {
    let kind = kind_of(&fragment.key);
    let implied = id.response();
    let flag = |present: bool, flag: u8| if present { flag } else { 0 };
    kind | flag(id.counter & HIGHEST != 0, COUNTER_HIGH)
        | flag(fragment.originator_counter.value() == Some(&id.counter), GBCS_IS_COUNTER)
        | flag(fragment.response_ids.iter().any(|id| *id == implied), RESPONSE_IS_IMPLIED)
}

/// How long after the last entry of the history its youngest event was recorded, in milliseconds.
fn lag_of(fragment: &Fragment, placement: Timestamp) -> i64 {
    let last = fragment.history().last().map_or(placement, |entry| entry.at);
    fragment.recorded_at_max.millis() - last.millis()
}

fn pack_fields(fragment: &Fragment, id: &KeyId, placement: Timestamp, has: u16, tail: &mut BitWriter<'_>) {
    if has & HAS_GBCS != 0 {
        tail.number(fragment.originator_counter.value().copied().unwrap_or_default());
    }
    if let Some(preceding) = fragment.preceding.value() {
        let sides = [preceding.originator.to_bytes(), preceding.target.to_bytes()];
        pack_id(id, sides, preceding.counter, tail);
    }
    if let Some(at) = fragment.execution_at.value() {
        tail.signed(at.millis() - placement.millis());
    }
    if let Some(schedule_id) = fragment.schedule_id.value() {
        tail.number(*schedule_id);
    }
    if has & HAS_RESPONSES != 0 {
        let implied = id.response();
        let responses = || fragment.response_ids.iter().filter(|response| **response != implied);
        tail.number(responses().count() as u64);
        for response in responses() {
            pack_id(id, [response.second.to_bytes(), response.first.to_bytes()], response.counter, tail);
        }
    }
    if has & HAS_LAG != 0 {
        tail.signed(lag_of(fragment, placement));
    }
}

/// An id, as what it has that the key's own has not.
fn pack_id(own: &KeyId, sides: [[u8; 8]; 2], counter: u64, tail: &mut BitWriter<'_>) {
    for (side, own) in sides.into_iter().zip([own.user_side, own.target_side]) {
        tail.flag(side == own);
        if side != own {
            tail.bytes(&side);
        }
    }
    tail.number(counter);
}

pub(super) fn unpack_id(own: &KeyId, tail: &mut BitReader<'_>) -> Option<KeyId> {
    let mut side = |own: [u8; 8]| if tail.flag()? { Some(own) } else { eight(tail) };
    let (user_side, target_side) = (side(own.user_side)?, side(own.target_side)?);
    Some(KeyId { user_side, target_side, counter: tail.number()? })
}

pub(super) fn eight(tail: &mut BitReader<'_>) -> Option<[u8; 8]> {
    // Written byte by byte from the first, the lowest bits first.
    tail.bits(64).map(u64::to_le_bytes)
}

/// A row's key, and what follows it in both columns.
#[derive(Debug, Clone)]
pub(crate) struct Unpacked<'a> {
    pub(crate) key: TrailKey,
    id: KeyId,
    flags: u8,
    has: u16,
    mode: Option<Mode>,
    history: &'a [u8],
    tail: BitReader<'a>,
}

impl<'a> Unpacked<'a> {
    /// Reads what both columns say of a row's key. `None` when they are not what [`Packed::pack`] writes.
    pub(crate) fn read(
        (shape, tail): (&'a [u8], &'a [u8]),
        user: [u8; 8],
        device: Option<[u8; 8]>,
        placement: Timestamp,
    ) -> Option<Self> {
        let ([flags, low, high, command_variant, mode], mut history) =
            shape.split_first_chunk().map(|(head, rest)| (*head, rest))?;
        let has = u16::from_le_bytes([low, high]);
        let kind = flags & KIND;
        let code: Option<AlertCode> =
            if kind == ALERT { Some(take_text(&mut history)?.parse().ok()?) } else { None };
        let mut tail = BitReader::new(tail);
        let low_counter = tail.signed()?.wrapping_add(placement.millis()).cast_unsigned();
        let counter = if flags & COUNTER_HIGH == 0 { low_counter } else { low_counter | HIGHEST };
        let user_side = if has & HAS_ID_USER == 0 { user } else { eight(&mut tail)? };
        let target_side = if has & HAS_ID_TARGET == 0 { device? } else { eight(&mut tail)? };
        let id = KeyId { user_side, target_side, counter };
        let subject = match (kind, code) {
            (1, None) => {
                let command_variant = CommandVariant::new(command_variant)?;
                Subject::Leg(Leg { request_id: id.request(), command_variant })
            }
            (2, None) => Subject::ScheduledRun(id.response()),
            (ALERT, Some(code)) => {
                let throttle_sequence =
                    if has & HAS_THROTTLE == 0 { None } else { Some(u32::try_from(tail.number()?).ok()?) };
                Subject::Alert { response_id: id.response(), code, throttle_sequence }
            }
            (4, None) => Subject::Unjoined(id.request()),
            _ => return None,
        };
        let mode = if mode == 0 { None } else { Some(Mode::from_number(mode)?) };
        Some(Self {
            key: TrailKey { user: UserId::from_bytes(user), subject },
            id,
            flags,
            has,
            mode,
            history,
            tail,
        })
    }

    /// What the bytes in the Device column are.
    pub(crate) const fn stands_for(&self) -> StandsFor {
        match (self.has & UNDER_MPXN != 0, self.has & UNDER_USER != 0) {
            (true, _) => StandsFor::Mpxn,
            (false, true) => StandsFor::User,
            (false, false) => StandsFor::Device,
        }
    }

    /// The fragment, as far as both columns say.
    pub(crate) fn fragment(mut self, placement: Timestamp) -> Option<Fragment> {
        let mut fragment = Fragment::new(self.key, placement);
        fragment.received.add(placement);
        fragment.mode.add_some(self.mode);
        let lag = self.unpack_fields(&mut fragment, placement)?;
        let history = history_bytes::decode(self.history, &mut self.tail, placement)?;
        let last = history.last().map_or(placement, |entry| entry.at);
        fragment.recorded_at_max = last.plus_millis(lag);
        for entry in history {
            fragment.record(entry);
        }
        if self.has & HAS_OTHERS != 0 {
            let length = usize::try_from(self.tail.number()?).ok()?;
            add_others(&mut fragment, &self.tail.bytes(length)?)?;
        }
        if self.has & HAS_BESIDES != 0 {
            unpack_besides(&mut fragment, &mut self.tail)?;
        }
        self.tail.is_at_end().then_some(fragment)
    }

    /// When the youngest event of the fragment was recorded: as [`Unpacked::fragment`] would say, without its history.
    pub(crate) fn recorded_at_max(mut self, placement: Timestamp) -> Option<Timestamp> {
        let lag = self.unpack_fields(&mut Fragment::new(self.key, placement), placement)?;
        Some(history_bytes::end(self.history, &mut self.tail, placement)?.plus_millis(lag))
    }

    /// Adds the fields that the tail has before the history. Gives the lag.
    fn unpack_fields(&mut self, fragment: &mut Fragment, placement: Timestamp) -> Option<i64> {
        let Self { id, flags, has, tail, .. } = self;
        if *has & HAS_GBCS != 0 {
            fragment.originator_counter.add(tail.number()?);
        } else if *flags & GBCS_IS_COUNTER != 0 {
            fragment.originator_counter.add(id.counter);
        }
        if *has & HAS_PRECEDING != 0 {
            fragment.preceding.add(unpack_id(id, tail)?.request());
        }
        if *has & HAS_EXECUTION != 0 {
            let at = placement.millis().checked_add(tail.signed()?)?;
            fragment.execution_at.add(Timestamp::from_millis(at)?);
        }
        if *has & HAS_SCHEDULE != 0 {
            fragment.schedule_id.add(tail.number()?);
        }
        if *flags & RESPONSE_IS_IMPLIED != 0 {
            fragment.response_ids.add(id.response());
        }
        if *has & HAS_RESPONSES != 0 {
            for _ in 0..tail.number()? {
                fragment.response_ids.add(unpack_id(id, tail)?.response());
            }
        }
        if *has & HAS_LAG == 0 { Some(0) } else { tail.signed() }
    }
}

/// The claims that are not shown, as JSON: `{"mpxn": ["..."]}`. `None`, nearly always, when there is no dispute.
fn other_claims(fragment: &Fragment) -> Option<String> {
    let mut claims = Map::new();
    add(&mut claims, "device", &fragment.device);
    add(&mut claims, "received", &fragment.received);
    add(&mut claims, "mpxn", &fragment.mpxn);
    add(&mut claims, "region", &fragment.region);
    add(&mut claims, "variant", &fragment.variant);
    add(&mut claims, "mode", &fragment.mode);
    add(&mut claims, "preceding", &fragment.preceding);
    add(&mut claims, "gbcs_counter", &fragment.originator_counter);
    add(&mut claims, "execution_at", &fragment.execution_at);
    add(&mut claims, "schedule_id", &fragment.schedule_id);
    (!claims.is_empty()).then(|| Value::Object(claims).to_string())
}

fn add<T: Ord + ToString>(claims: &mut Map<String, Value>, field: &str, set: &Claims<T>) {
    if !set.others().is_empty() {
        let others = set.others().iter().map(|claim| Value::String(claim.to_string())).collect();
        claims.insert(field.to_owned(), Value::Array(others));
    }
}

fn add_others(fragment: &mut Fragment, json: &[u8]) -> Option<()> {
    fn add<T: Ord + FromStr>(set: &mut Claims<T>, claims: &[String]) -> Option<()> {
        for claim in claims {
            set.add(claim.parse().ok()?);
        }
        Some(())
    }
    let fields: BTreeMap<String, Vec<String>> = serde_json::from_slice(json).ok()?;
    for (field, claims) in &fields {
        match field.as_str() {
            "device" => add(&mut fragment.device, claims),
            "received" => add(&mut fragment.received, claims),
            "mpxn" => add(&mut fragment.mpxn, claims),
            "region" => add(&mut fragment.region, claims),
            "variant" => add(&mut fragment.variant, claims),
            "mode" => add(&mut fragment.mode, claims),
            "preceding" => add(&mut fragment.preceding, claims),
            "gbcs_counter" => add(&mut fragment.originator_counter, claims),
            "execution_at" => add(&mut fragment.execution_at, claims),
            "schedule_id" => add(&mut fragment.schedule_id, claims),
            _ => None,
        }?;
    }
    Some(())
}
