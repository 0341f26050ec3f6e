//! Rows to be, and the events that tell of them.

use super::{DAY_MS, HOUR_MS, OPEN};
use gridtrail_model::{
    Affected, Alert, Body, CommandVariant, Correlation, CspRegion, DeviceId, Event, Mode, RequestId,
    RequestReceived, ResponseContent, ResponseId, ResponseSent, ServiceReferenceVariant, State,
    StatusChanged, Timestamp, UserId,
};

/// Users who send.
pub(super) const USERS: usize = 7;
const CLOSED: [&str; 4] = ["6.11", "8.2", "4.8", "2.2"];
const DCC: DeviceId = DeviceId::from_bytes([0x90, 0xB3, 0xD5, 0x1F, 0x30, 0, 0, 2]);
/// A Device that nothing lies under.
const NOWHERE: usize = 1_000;

/// Numbers from a seed (SplitMix64).
pub(super) struct Chance(pub(super) u64);

impl Chance {
    pub(super) fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^= mixed >> 31;
        usize::try_from(mixed % bound as u64).unwrap()
    }

    pub(super) fn percent(&mut self, chance: usize) -> bool {
        self.below(100) < chance
    }

    pub(super) fn of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())]
    }

    pub(super) fn ms(&mut self, bound: i64) -> i64 {
        i64::try_from(self.below(usize::try_from(bound).unwrap())).unwrap()
    }
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Size {
    pub(super) devices: usize,
    pub(super) rows: usize,
    pub(super) batches: usize,
}

pub(super) fn device(number: usize) -> DeviceId {
    DeviceId::from_bytes((0x00DB_0000_0000_0000 + number as u64).to_be_bytes())
}

pub(super) fn user(number: usize) -> UserId {
    UserId::from_bytes((0x90B3_D51F_3001_0000 + number as u64).to_be_bytes())
}

/// Noon of the last day of a month, so that receipts lie in several.
pub(super) fn base() -> Timestamp {
    "2026-08-31T12:00:00Z".parse().unwrap()
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Request,
    Run,
    Alert,
}

/// A row to be, known in answers by the GBCS Transaction Sequence Number that all its events but bare answers name.
#[derive(Debug, Clone, Copy)]
pub(super) struct Plot {
    number: u64,
    user: usize,
    kind: Kind,
    /// The Device that its id names.
    target: DeviceId,
    /// The Device that most of its events name.
    home: DeviceId,
    received: Timestamp,
    variant: &'static str,
}

/// An event, and the number of the row that it is of.
pub(super) type Told = (u64, Event);

impl Plot {
    pub(super) fn made(number: u64, size: Size, chance: &mut Chance) -> Self {
        let home = device(chance.below(size.devices));
        let kind = chance.of(&[Kind::Request, Kind::Request, Kind::Request, Kind::Run, Kind::Alert]);
        // A request to the DCC is about a Device, too; now and then some other is addressed than the one that it is about.
        let target = match (kind, chance.below(20)) {
            (Kind::Request, 0) => DCC,
            (Kind::Request, 1) => device(chance.below(size.devices)),
            _ => home,
        };
        let variant = if chance.percent(75) { chance.of(&OPEN) } else { chance.of(&CLOSED) };
        let received = base().plus_millis(chance.ms(3 * DAY_MS) - DAY_MS);
        Self { number, user: chance.below(USERS), kind, target, home, received, variant }
    }

    fn request_id(&self) -> RequestId {
        RequestId { originator: user(self.user), target: self.target, counter: self.number }
    }

    fn response_id(&self) -> ResponseId {
        ResponseId::mirror_of(&self.request_id())
    }

    pub(super) fn events(&self, size: Size, chance: &mut Chance) -> Vec<Told> {
        let count = 1 + chance.below(5);
        (0..count).map(|step| (self.number, self.event(step, size, chance))).collect()
    }

    fn event(&self, step: usize, size: Size, chance: &mut Chance) -> Event {
        let at = self.received.plus_millis(1_000 + chance.ms(40 * DAY_MS));
        let is_bare = self.kind == Kind::Request && step > 0 && chance.percent(20);
        let correlation = if is_bare { self.bare(size, chance) } else { self.correlation(size, chance) };
        let body = match self.kind {
            Kind::Alert => self.alert(chance),
            Kind::Run => {
                self.response(ResponseContent::ScheduledRead { schedule_id: self.number }, at, chance)
            }
            Kind::Request if is_bare || chance.percent(40) => {
                self.response(ResponseContent::ServiceResponse, at, chance)
            }
            Kind::Request if step == 0 || chance.percent(30) => {
                let execution_at = chance.percent(20).then(|| self.received.plus_millis(DAY_MS));
                Body::RequestReceived(RequestReceived { execution_at })
            }
            Kind::Request => Body::StatusChanged(StatusChanged {
                state: chance.of(&[State::SentToDevice, State::Quarantined, State::Retrying]),
                at,
                code: None,
                cause: chance.percent(80).then(|| format!("threshold {}", self.number).parse().unwrap()),
            }),
        };
        Event { id: format!("{}-{step}", self.number).parse().unwrap(), recorded_at: at, correlation, body }
    }

    /// What names the request alone, but perhaps a variant and a Device.
    fn bare(&self, size: Size, chance: &mut Chance) -> Correlation {
        let mut bare =
            Correlation { request_id: Some(self.request_id()), ..Correlation::of_user(user(self.user)) };
        bare.variant = chance.percent(60).then(|| self.claimed(chance)).flatten();
        bare.device_id = chance.percent(20).then(|| device(chance.below(size.devices)));
        bare
    }

    fn correlation(&self, size: Size, chance: &mut Chance) -> Correlation {
        let apart = match chance.below(12) {
            0 => chance.ms(HOUR_MS),
            1 => chance.ms(2 * DAY_MS),
            2 => chance.ms(60 * DAY_MS),
            _ => 0,
        };
        let is_elsewhere = chance.percent(12);
        let is_of_request = self.kind == Kind::Request;
        let other = device(chance.below(size.devices));
        Correlation {
            request_id: is_of_request.then(|| self.request_id()),
            request_received_at: Some(self.received.plus_millis(apart)),
            command_variant: is_of_request.then_some(CommandVariant::new(1)).flatten(),
            scheduled_run: (self.kind == Kind::Run).then(|| self.response_id()),
            device_id: Some(if is_elsewhere { other } else { self.home }),
            concerned_devices: if chance.percent(5) { vec![device(NOWHERE)] } else { Vec::new() },
            mpxn: chance.percent(30).then(|| "1217290354420".parse().unwrap()),
            concerned_mpxns: Vec::new(),
            csp_region: chance.percent(70).then(|| chance.of(&[CspRegion::FourGNorth, CspRegion::South])),
            variant: self.claimed(chance),
            mode: chance.percent(30).then(|| chance.of(&[Mode::OnDemand, Mode::DspScheduled])),
            preceding_request_id: chance.percent(10).then(|| self.request_id()),
            gbcs_originator_counter: Some(self.number),
            ..Correlation::of_user(user(self.user))
        }
    }

    fn claimed(&self, chance: &mut Chance) -> Option<ServiceReferenceVariant> {
        let variant = match chance.below(20) {
            0 => return None,
            1 => chance.of(&CLOSED),
            2 | 3 => chance.of(&OPEN),
            _ => self.variant,
        };
        Some(variant.parse().unwrap())
    }

    fn response(&self, content: ResponseContent, at: Timestamp, chance: &mut Chance) -> Body {
        let (response_id, code) = (Some(self.response_id()), chance.of(&["I0", "E20"]).parse().unwrap());
        Body::ResponseSent(ResponseSent { response_id, code, at, content })
    }

    fn alert(&self, chance: &mut Chance) -> Body {
        let affects = chance.percent(30).then(|| Affected {
            request_id: RequestId { counter: 1 + chance.ms(40).cast_unsigned(), ..self.request_id() },
            state: State::Quarantined,
            cause: Some("event 7".parse().unwrap()),
        });
        let is_of_device = affects.is_none();
        let alert = Alert {
            response_id: self.response_id(),
            code: if is_of_device { "8F36" } else { "N16" }.parse().unwrap(),
            at: self.received,
            sent_at: None,
            throttle_sequence: None,
            throttle_count: None,
            affects,
        };
        if is_of_device { Body::DeviceAlert(alert) } else { Body::DccAlert(alert) }
    }
}
