//! One pass over a DUIS document that picks the fields an event needs.

use super::gbcs;
use super::names::{self, NamedInBody};
use crate::DecodeError;
use crate::error::InField;
use crate::xml::{Node, Space, XmlReader};
use gridtrail_model::{
    AlertCode, CommandVariant, ParseError, RequestId, ResponseCode, ResponseId, ServiceReferenceVariant,
    Timestamp,
};
use std::str::FromStr;

macro_rules! tags {
    ($($tag:ident,)+) => {
        /// The elements that mean something here, by the local name that DUIS gives them.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[expect(clippy::upper_case_acronyms, reason = "the schema's own names")]
        pub(super) enum Tag { $($tag,)+ Other }

        impl Tag {
            fn of(space: Space, name: &str) -> Self {
                match (space, name) {
                    // Contents of SMETS1 responses are another namespace; one name of it is read.
                    (Space::ResponseAndAlert, "GBCSHexAlertCode") => Self::GBCSHexAlertCode,
                    $((Space::Duis, stringify!($tag)) => Self::$tag,)+
                    _ => Self::Other,
                }
            }

            /// The name of the element.
            pub(super) const fn name(self) -> &'static str {
                match self {
                    $(Self::$tag => stringify!($tag),)+
                    Self::Other => "element",
                }
            }
        }
    };
}

tags! {
    Request, Response, Header, Body,
    RequestID, ResponseID, PrecedingServiceRequestID, CommandVariant, ServiceReference, ServiceReferenceVariant,
    ResponseCode, ResponseDateTime, ExecutionDateTime,
    DeviceID, OtherDeviceID, HCALCS, OldCHFID, OldGPFID, AssociatedGPFDeviceID, CommsHubDeviceID, ESMEDeviceID,
    OldCHFDeviceID, NewCHFDeviceID, OldGPFDeviceID, NewGPFDeviceID, CHFDeviceID, PPMIDDeviceID, DeviceIDToSuspend,
    TargetDeviceID, DeviceIDList, InvalidDeviceIDList, NotCommissionedDeviceIDList, NotApplicableFirmwareDeviceIDList,
    OtherRequestInProgressList, InvalidGBCSVersionList, MeterIDs, DeviceList,
    MPxN, ImportMPxN, ImportMPAN, ImportMPRN, SecondaryImportMPAN, ExportMPAN,
    OriginalRequestID, UpdateHANDeviceLogServiceRequestID, ChangeOfSupplierServiceRequestID,
    ResponseMessage, DeviceAlertMessage, DCCAlertMessage, SMETS1ResponseMessage, SMETS1SignedResponse, SMETS1Response,
    SignedPreCommand, PreCommand, LocalCommand, GBCSPayload, DSPScheduledMessage, DSPScheduleID,
    FutureDatedDeviceAlertMessage, FutureDatedAlertCode, InstructionNumber, TotalCommandInstructions,
    AlertCode, GBCSHexAlertCode, DCCAlertCode, ThrottledAlertSequenceId, ThrottledAlertCount,
    DCCAlert, CommandFailure, CommandRequestID, QuarantinedRequest, QuarantineEventRef,
    FirmwareDistributionFailure, UpdateFirmwareRequestID,
}

/// The fields of a message, as far as it has them.
#[derive(Debug, Default)]
pub(super) struct Message {
    /// `Request` or `Response`.
    pub(super) root: Option<Tag>,
    /// The choice within `Body`.
    pub(super) body: Option<Tag>,
    /// The choice within `ResponseMessage`, or within `DCCAlert`.
    pub(super) content: Option<Tag>,
    /// Whether a SMETS1 response holds an alert.
    pub(super) smets1_alert: bool,
    pub(super) request_id: Option<RequestId>,
    pub(super) response_id: Option<ResponseId>,
    pub(super) preceding: Option<RequestId>,
    pub(super) command_variant: Option<CommandVariant>,
    pub(super) variant: Option<ServiceReferenceVariant>,
    pub(super) code: Option<ResponseCode>,
    pub(super) at: Option<Timestamp>,
    pub(super) execution_at: Option<Timestamp>,
    /// The Devices and meter points that the body names.
    pub(super) named: NamedInBody,
    pub(super) counter: Option<u64>,
    pub(super) schedule_id: Option<u64>,
    pub(super) alert_code: Option<AlertCode>,
    pub(super) throttle_sequence: Option<u32>,
    pub(super) throttle_count: Option<u32>,
    pub(super) instruction_number: Option<u16>,
    pub(super) instruction_total: Option<u16>,
    /// `CommandRequestID`, the RequestID of a quarantined request, or `UpdateFirmwareRequestID` of a distribution that failed.
    pub(super) affected: Option<RequestId>,
    pub(super) quarantine_ref: Option<String>,
}

/// Reads a whole document.
pub(super) fn read(text: &str) -> Result<Message, DecodeError> {
    let mut reader = XmlReader::new(text);
    let mut message = Message::default();
    let mut path: Vec<Tag> = Vec::with_capacity(16);
    let mut kept = String::new();
    // An element that holds another one is no field.
    let mut is_leaf = false;
    loop {
        match reader.next()? {
            Node::Open(space, start) => {
                path.push(Tag::of(space, start.local_name().as_ref()));
                kept.clear();
                is_leaf = true;
                message.open(&path, reader.position())?;
            }
            Node::Text(text) if is_leaf => {
                keep(&mut kept, &text, path.last().map_or(0, |tag| names::kept_of(*tag)));
            }
            Node::Text(_) => {}
            Node::Close => {
                if is_leaf {
                    message.leaf(&path, kept.trim_end())?;
                }
                is_leaf = false;
                path.pop();
            }
            Node::End => return Ok(message),
        }
    }
}

/// Keeps the beginning of a text, without the white space in front.
fn keep(kept: &mut String, text: &str, most: usize) {
    let text = if kept.is_empty() { text.trim_start() } else { text };
    let room = most.saturating_sub(kept.len());
    kept.push_str(&text[..text.floor_char_boundary(room.min(text.len()))]);
}

/// Takes a field that may stand once only.
fn once<T: FromStr<Err = ParseError>>(
    slot: &mut Option<T>,
    text: &str,
    field: &'static str,
) -> Result<(), DecodeError> {
    set(slot, text.parse().in_field(field)?, field, text)
}

fn set<T>(slot: &mut Option<T>, value: T, field: &'static str, text: &str) -> Result<(), DecodeError> {
    if slot.replace(value).is_some() {
        return Err(DecodeError::invalid(field, "element", "it may stand once only", text));
    }
    Ok(())
}

fn number<T: FromStr>(
    slot: &mut Option<T>,
    text: &str,
    field: &'static str,
    rule: &'static str,
) -> Result<(), DecodeError> {
    let value = text.parse().map_err(|_| DecodeError::invalid(field, "number", rule, text))?;
    set(slot, value, field, text)
}

impl Message {
    /// An element begins; `path` ends with it.
    fn open(&mut self, path: &[Tag], position: u64) -> Result<(), DecodeError> {
        use Tag::*;
        match *path {
            [root @ (Request | Response)] => self.root = Some(root),
            [_] => {
                let reason = "the root element is neither Request nor Response of DUIS";
                return Err(DecodeError::xml(position, reason));
            }
            [_, Body, choice] if self.body.replace(choice).is_some() => {
                return Err(DecodeError::xml(position, "Body holds more than one element"));
            }
            [Response, Body, ResponseMessage, ServiceReference | ServiceReferenceVariant] => {}
            [Response, Body, ResponseMessage, choice]
            | [Response, Body, DCCAlertMessage, DCCAlert, choice]
                if self.content.replace(choice).is_some() =>
            {
                return Err(DecodeError::xml(position, "a message holds more than one content"));
            }
            [
                Response,
                Body,
                SMETS1ResponseMessage,
                SMETS1SignedResponse,
                SMETS1Response,
                Body,
                DeviceAlertMessage,
            ] => {
                self.smets1_alert = true;
            }
            _ => {}
        }
        Ok(())
    }

    /// An element without children ends; `path` ends with it.
    fn leaf(&mut self, path: &[Tag], text: &str) -> Result<(), DecodeError> {
        use Tag::*;
        if let [_, Body, .., field] = *path
            && let Some(names) = names::named_by(field)
        {
            self.named.take(names, field, text)?;
        }
        match *path {
            [_, Header, field] => self.header(field, text),
            [Request, Body, .., field] => self.request_body(&path[2..], field, text),
            [Response, Body, DCCAlertMessage, DCCAlert, .., _] => self.dcc_alert(&path[4..], text),
            [Response, Body, .., _] => self.response_body(&path[2..], text),
            _ => Ok(()),
        }
    }

    fn header(&mut self, field: Tag, text: &str) -> Result<(), DecodeError> {
        match field {
            Tag::RequestID => once(&mut self.request_id, text, "Header/RequestID"),
            Tag::ResponseID => once(&mut self.response_id, text, "Header/ResponseID"),
            Tag::PrecedingServiceRequestID => {
                once(&mut self.preceding, text, "Header/PrecedingServiceRequestID")
            }
            Tag::CommandVariant => once(&mut self.command_variant, text, "Header/CommandVariant"),
            Tag::ServiceReferenceVariant => once(&mut self.variant, text, "Header/ServiceReferenceVariant"),
            Tag::ResponseCode => once(&mut self.code, text, "Header/ResponseCode"),
            Tag::ResponseDateTime => once(&mut self.at, text, "Header/ResponseDateTime"),
            _ => Ok(()),
        }
    }

    fn request_body(&mut self, within: &[Tag], field: Tag, text: &str) -> Result<(), DecodeError> {
        match field {
            Tag::ExecutionDateTime if self.execution_at.is_none() => {
                once(&mut self.execution_at, text, "ExecutionDateTime")
            }
            Tag::GBCSPayload if within == [Tag::SignedPreCommand, Tag::GBCSPayload] => {
                self.counter = gbcs::command_counter(text);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn response_body(&mut self, within: &[Tag], text: &str) -> Result<(), DecodeError> {
        use Tag::*;
        match *within {
            [ResponseMessage | SMETS1ResponseMessage, ServiceReferenceVariant] => {
                once(&mut self.variant, text, "ServiceReferenceVariant")
            }
            [ResponseMessage, GBCSPayload]
            | [ResponseMessage, PreCommand | LocalCommand | DSPScheduledMessage, GBCSPayload] => {
                self.counter = gbcs::command_counter(text);
                Ok(())
            }
            [ResponseMessage, DSPScheduledMessage, DSPScheduleID]
            | [SMETS1ResponseMessage, DSPScheduleID] => {
                number(&mut self.schedule_id, text, "DSPScheduleID", "a number from 0 to 10^12")
            }
            [ResponseMessage, FutureDatedDeviceAlertMessage, FutureDatedAlertCode] => {
                once(&mut self.alert_code, text, "FutureDatedAlertCode")
            }
            [ResponseMessage, FutureDatedDeviceAlertMessage, InstructionNumber] => {
                number(&mut self.instruction_number, text, "InstructionNumber", "a number from 1 to 65535")
            }
            [ResponseMessage, FutureDatedDeviceAlertMessage, TotalCommandInstructions] => {
                let rule = "a number from 1 to 65535";
                number(&mut self.instruction_total, text, "TotalCommandInstructions", rule)
            }
            [DeviceAlertMessage, AlertCode] => once(&mut self.alert_code, text, "AlertCode"),
            [DCCAlertMessage, DCCAlertCode] => once(&mut self.alert_code, text, "DCCAlertCode"),
            [SMETS1ResponseMessage, .., GBCSHexAlertCode] if self.smets1_alert => {
                once(&mut self.alert_code, text, "GBCSHexAlertCode")
            }
            [_, ThrottledAlertSequenceId] => {
                let rule = "a number from 0 to 4294967295";
                number(&mut self.throttle_sequence, text, "ThrottledAlertSequenceId", rule)
            }
            [_, ThrottledAlertCount] => {
                let rule = "a number from 0 to 4294967295";
                number(&mut self.throttle_count, text, "ThrottledAlertCount", rule)
            }
            _ => Ok(()),
        }
    }

    /// Routed by the element, which the schema defines, never by the alert code.
    fn dcc_alert(&mut self, within: &[Tag], text: &str) -> Result<(), DecodeError> {
        use Tag::*;
        match *within {
            [CommandFailure, CommandRequestID] => once(&mut self.affected, text, "CommandRequestID"),
            [CommandFailure, DSPScheduleID] => {
                number(&mut self.schedule_id, text, "DSPScheduleID", "a number from 0 to 10^12")
            }
            [FirmwareDistributionFailure, UpdateFirmwareRequestID] => {
                once(&mut self.affected, text, "UpdateFirmwareRequestID")
            }
            [QuarantinedRequest, _, RequestID] => {
                once(&mut self.affected, text, "QuarantinedRequest/RequestID")
            }
            [QuarantinedRequest, _, QuarantineEventRef] => {
                set(&mut self.quarantine_ref, text.to_owned(), "QuarantineEventRef", text)
            }
            _ => Ok(()),
        }
    }
}
