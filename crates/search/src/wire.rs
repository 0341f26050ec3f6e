//! The bytes of a trail key and of what stands around it in page tokens and row references.
//!
//! Numbers are big-endian. A reader never panics: bytes that end early or do not fit give `None`.

use gridtrail_lake::RowPosition;
use gridtrail_model::{
    AlertCode, CommandVariant, DeviceId, Leg, RequestId, ResponseId, Subject, Timestamp, TrailKey, UserId,
};

const LEG: u8 = 1;
const SCHEDULED_RUN: u8 = 2;
const ALERT: u8 = 3;
const UNJOINED: u8 = 4;

pub(crate) fn put_position(out: &mut Vec<u8>, position: &RowPosition) {
    out.extend(position.placement.millis().to_be_bytes());
    put_key(out, &position.key);
}

pub(crate) fn put_text(out: &mut Vec<u8>, text: &str) {
    // Every text here is far below 64 KiB; one that were not would be cut, and the reader would refuse it.
    let length = u16::try_from(text.len()).unwrap_or(u16::MAX);
    out.extend(length.to_be_bytes());
    out.extend(text.as_bytes().iter().take(usize::from(length)));
}

pub(crate) fn put_key(out: &mut Vec<u8>, key: &TrailKey) {
    out.extend(key.user.to_bytes());
    match key.subject {
        Subject::Leg(Leg { request_id, command_variant }) => {
            out.push(LEG);
            out.extend(request_id.to_bytes());
            out.push(command_variant.number());
        }
        Subject::ScheduledRun(response_id) => {
            out.push(SCHEDULED_RUN);
            out.extend(response_id.to_bytes());
        }
        Subject::Alert { response_id, code, throttle_sequence } => {
            out.push(ALERT);
            out.extend(response_id.to_bytes());
            put_text(out, code.as_str());
            out.push(u8::from(throttle_sequence.is_some()));
            out.extend(throttle_sequence.unwrap_or_default().to_be_bytes());
        }
        Subject::Unjoined(request_id) => {
            out.push(UNJOINED);
            out.extend(request_id.to_bytes());
        }
    }
}

/// Reads from the front of a slice.
pub(crate) struct Reader<'a>(pub(crate) &'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*taken)
    }

    pub(crate) fn byte(&mut self) -> Option<u8> {
        self.take::<1>().map(|[byte]| byte)
    }

    pub(crate) fn count(&mut self) -> Option<usize> {
        self.take().map(u16::from_be_bytes).map(usize::from)
    }

    pub(crate) fn time(&mut self) -> Option<Timestamp> {
        self.take().map(i64::from_be_bytes).and_then(Timestamp::from_millis)
    }

    pub(crate) fn text(&mut self) -> Option<&'a str> {
        let length = self.count()?;
        let (text, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        std::str::from_utf8(text).ok()
    }

    pub(crate) fn device(&mut self) -> Option<DeviceId> {
        self.take().map(DeviceId::from_bytes)
    }

    pub(crate) fn user(&mut self) -> Option<UserId> {
        self.take().map(UserId::from_bytes)
    }

    pub(crate) fn position(&mut self) -> Option<RowPosition> {
        Some(RowPosition { placement: self.time()?, key: self.key()? })
    }

    /// Whether nothing is left over.
    pub(crate) const fn is_done(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn number(&mut self) -> Option<u64> {
        self.take().map(u64::from_be_bytes)
    }

    fn key(&mut self) -> Option<TrailKey> {
        let user = self.user()?;
        let subject = match self.byte()? {
            LEG => {
                let request_id = self.request_id()?;
                let command_variant = CommandVariant::new(self.byte()?)?;
                Subject::Leg(Leg { request_id, command_variant })
            }
            SCHEDULED_RUN => Subject::ScheduledRun(self.response_id()?),
            ALERT => self.alert()?,
            UNJOINED => Subject::Unjoined(self.request_id()?),
            _ => return None,
        };
        Some(TrailKey { user, subject })
    }

    fn alert(&mut self) -> Option<Subject> {
        let response_id = self.response_id()?;
        let text = self.text()?;
        // The one canonical spelling, so that no two references name one row.
        let code: AlertCode = text.parse().ok().filter(|code: &AlertCode| code.as_str() == text)?;
        let throttle_sequence = match (self.byte()?, self.take().map(u32::from_be_bytes)?) {
            (0, 0) => None,
            (1, sequence) => Some(sequence),
            _ => return None,
        };
        Some(Subject::Alert { response_id, code, throttle_sequence })
    }

    fn request_id(&mut self) -> Option<RequestId> {
        self.take().map(RequestId::from_bytes)
    }

    fn response_id(&mut self) -> Option<ResponseId> {
        self.take().map(ResponseId::from_bytes)
    }
}
