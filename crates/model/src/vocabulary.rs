//! The closed vocabularies of the specification. Each value has the text that the SSI or DUIS uses and a
//! number for storage that never changes meaning.

use crate::ParseError;
use std::fmt;
use std::str::FromStr;

macro_rules! vocabulary {
    ($(#[$doc:meta])* $name:ident, $what:literal, $rule:literal, { $($(#[$vdoc:meta])* $variant:ident = $number:literal $text:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum $name { $($(#[$vdoc])* $variant = $number,)+ }

        impl $name {
            /// Every value, in order.
            pub const ALL: &[Self] = &[$(Self::$variant),+];
            /// The specification's text for this value.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }
            /// The number that stands for this value in storage.
            pub const fn number(self) -> u8 {
                self as u8
            }
            /// The value of a storage number.
            pub const fn from_number(number: u8) -> Option<Self> {
                match number { $($number => Some(Self::$variant),)+ _ => None }
            }
        }

        impl FromStr for $name {
            type Err = ParseError;
            fn from_str(text: &str) -> Result<Self, ParseError> {
                match text { $($text => Ok(Self::$variant),)+ _ => Err(ParseError::new($what, $rule, text)) }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }
    };
}

pub(crate) use vocabulary;

vocabulary! {
    /// The mode of operation, one of the seven of UC_ServiceAudit_001.
    Mode, "mode of operation", "one of the seven modes of UC_ServiceAudit_001, such as \"On Demand\"", {
        /// A command to be carried out at once.
        OnDemand = 1 "On Demand",
        /// A command with an execution time, held by the DCC or by the Device until then.
        FutureDate = 2 "Future Date",
        /// One run of a schedule that the DCC keeps.
        DspScheduled = 3 "DSP Scheduled",
        /// A request that the DCC answers itself (Command Variant 8).
        DccOnly = 4 "DCC Only",
        /// An alert that a Device sent.
        DeviceAlert = 5 "Device Alert",
        /// An alert that the DCC generated.
        DccAlert = 6 "DCC Alert",
        /// A push from the meter's own billing calendar.
        MeterScheduled = 7 "Meter Scheduled",
    }
}

vocabulary! {
    /// The Communications Service Provider Region as DUIS 5.4 writes it (`sr:CSPRegion`), kept raw.
    CspRegion, "CSP Region", "one of North, Central, South, 4G North, 4G Central, 4G South, SMETS1, Unknown", {
        /// North.
        North = 1 "North",
        /// Central.
        Central = 2 "Central",
        /// South.
        South = 3 "South",
        /// North, over 4G.
        FourGNorth = 4 "4G North",
        /// Central, over 4G.
        FourGCentral = 5 "4G Central",
        /// South, over 4G.
        FourGSouth = 6 "4G South",
        /// A SMETS1 installation, served by no regional provider.
        Smets1 = 7 "SMETS1",
        /// The source says that it does not know.
        Unknown = 8 "Unknown",
    }
}

vocabulary! {
    /// The CSP Region as the SSI shows it (UC_MeterRead_001).
    SsiRegion, "CSP Region", "one of North, Central, South, Unknown", {
        /// North.
        North = 1 "North",
        /// Central.
        Central = 2 "Central",
        /// South.
        South = 3 "South",
        /// None of the three, or not known.
        Unknown = 4 "Unknown",
    }
}

impl CspRegion {
    /// The region that the SSI shows: 4G regions count as the region they lie in, SMETS1 as Unknown
    /// (domain trap 10).
    pub const fn to_ssi(self) -> SsiRegion {
        match self {
            Self::North | Self::FourGNorth => SsiRegion::North,
            Self::Central | Self::FourGCentral => SsiRegion::Central,
            Self::South | Self::FourGSouth => SsiRegion::South,
            Self::Smets1 | Self::Unknown => SsiRegion::Unknown,
        }
    }
}

vocabulary! {
    /// A state in the life of a request, response or alert, in the order of an ordinary life: at equal times
    /// the later state counts as the later fact.
    State, "state", "a lifecycle state such as RECEIVED or RESPONSE_SENT", {
        /// The DCC stored the request: "Service Request Received Date/Time".
        Received = 1 "RECEIVED",
        /// The DCC accepted the request (`I99`) and passes it on.
        Acknowledged = 2 "ACKNOWLEDGED",
        /// Refused by a validation check.
        RejectedValidation = 3 "REJECTED_VALIDATION",
        /// Refused by an authorisation check.
        RejectedAuthorisation = 4 "REJECTED_AUTHORISATION",
        /// Waiting for the request named by `PrecedingServiceRequestID`.
        WaitingPreceding = 5 "WAITING_PRECEDING",
        /// Held by the DCC until its execution time.
        StoredFutureDated = 6 "STORED_FUTURE_DATED",
        /// One run of a schedule was generated.
        ScheduledInstance = 7 "SCHEDULED_INSTANCE",
        /// Held by anomaly detection.
        Quarantined = 8 "QUARANTINED",
        /// Released from quarantine by its User.
        Released = 9 "RELEASED",
        /// Removed from quarantine by its User.
        Deleted = 10 "DELETED",
        /// Not collected from quarantine within 120 hours.
        Archived = 11 "ARCHIVED",
        /// Deleted for good, 30 days after it was archived.
        Purged = 12 "PURGED",
        /// Passed to the Communications Service Provider.
        SentToCsp = 13 "SENT_TO_CSP",
        /// Passed to the Device.
        SentToDevice = 14 "SENT_TO_DEVICE",
        /// Being tried again.
        Retrying = 15 "RETRYING",
        /// The Device accepted a future-dated command and holds it.
        HeldByDevice = 16 "HELD_BY_DEVICE",
        /// The transform leg is done; the User has not sent the Signed Pre-Command yet.
        AwaitingSignedPreCommand = 17 "AWAITING_SIGNED_PRE_COMMAND",
        /// The Device's answer reached the DCC.
        ResponseReceived = 18 "RESPONSE_RECEIVED",
        /// An alert reached the DCC, or the DCC generated one.
        AlertReceived = 19 "ALERT_RECEIVED",
        /// The command could not be delivered (`E20`).
        FailedDelivery = 20 "FAILED_DELIVERY",
        /// The Device did not answer in time (`E21`).
        NoResponse = 21 "NO_RESPONSE",
        /// A future-dated command timed out (`E30`).
        TimedOut = 22 "TIMED_OUT",
        /// Cancelled before it took effect.
        Cancelled = 23 "CANCELLED",
        /// One instruction of a future-dated command was carried out (`8F66`).
        InstructionDone = 24 "INSTRUCTION_DONE",
        /// One instruction of a future-dated command failed (`8F67`).
        InstructionFailed = 25 "INSTRUCTION_FAILED",
        /// A Pre-Command was returned for signing (Command Variant 4).
        PreCommandReturned = 26 "PRE_COMMAND_RETURNED",
        /// A command for local delivery was returned.
        LocalCommandReturned = 27 "LOCAL_COMMAND_RETURNED",
        /// A non-device request was answered by the DCC.
        CompletedDccOnly = 28 "COMPLETED_DCC_ONLY",
        /// The Service Response was sent to the User: "Service Response Sent Date/Time".
        ResponseSent = 29 "RESPONSE_SENT",
        /// The alert was sent to the User.
        AlertSent = 30 "ALERT_SENT",
    }
}

/// The Command Variant of a Service Request, 1 to 9 (DUIS `sr:CommandVariant`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CommandVariant(u8);

impl CommandVariant {
    /// The transform leg of a critical request: a Service Request in, a Pre-Command out.
    pub const TRANSFORM: Self = Self(4);
    /// A non-device request, answered by the DCC.
    pub const DCC_ONLY: Self = Self(8);

    /// The variant of this number, 1 to 9.
    pub fn new(number: u8) -> Option<Self> {
        (1..=9).contains(&number).then_some(Self(number))
    }
    /// Every variant, in order.
    pub fn all() -> impl Iterator<Item = Self> {
        (1..=9).map(Self)
    }
    /// The number, 1 to 9.
    pub const fn number(self) -> u8 {
        self.0
    }
    /// Whether the command also goes over the SM WAN after a copy went to the User for local delivery (3, 7).
    pub const fn is_local_and_remote(self) -> bool {
        matches!(self.0, 3 | 7)
    }
}

impl FromStr for CommandVariant {
    type Err = ParseError;
    fn from_str(text: &str) -> Result<Self, ParseError> {
        text.parse()
            .ok()
            .and_then(Self::new)
            .ok_or_else(|| ParseError::new("Command Variant", "a number from 1 to 9", text))
    }
}

impl fmt::Display for CommandVariant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_reads_back_from_text_and_number() {
        for state in State::ALL {
            assert_eq!(state.as_str().parse::<State>().unwrap(), *state);
            assert_eq!(State::from_number(state.number()), Some(*state));
        }
        assert_eq!(Mode::ALL.len(), 7);
        assert_eq!(State::from_number(0), None);
    }

    #[test]
    fn trap_10_regions_fold_for_the_ssi_and_stay_raw_beneath() {
        let shown: Vec<_> = CspRegion::ALL.iter().map(|r| (r.as_str(), r.to_ssi().as_str())).collect();
        assert_eq!(
            shown,
            [
                ("North", "North"),
                ("Central", "Central"),
                ("South", "South"),
                ("4G North", "North"),
                ("4G Central", "Central"),
                ("4G South", "South"),
                ("SMETS1", "Unknown"),
                ("Unknown", "Unknown"),
            ]
        );
    }
}
