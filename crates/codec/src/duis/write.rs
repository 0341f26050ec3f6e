//! Writing DUIS messages: the kinds that the generator, the demo and the tests need, valid against schema 5.4.

use gridtrail_model::{
    AlertCode, CommandVariant, DeviceId, Instruction, Mpxn, RequestId, ResponseCode, ResponseId,
    ServiceReferenceVariant, Timestamp,
};
use std::fmt::Display;

/// A Service Request or Signed Pre-Command.
#[derive(Debug, Clone)]
pub struct Request {
    /// The request.
    pub request_id: RequestId,
    /// The leg.
    pub command_variant: CommandVariant,
    /// What is asked for; it must go with `body`.
    pub variant: ServiceReferenceVariant,
    /// The request that must be finished first.
    pub preceding: Option<RequestId>,
    /// The rest.
    pub body: RequestBody,
}

/// The body of a request.
#[derive(Debug, Clone)]
pub enum RequestBody {
    /// 4.8.1: half-hourly readings between these times.
    ReadActiveImportProfileData(Timestamp, Timestamp),
    /// 4.6.1: daily readings between these times.
    RetrieveImportDailyReadLog(Timestamp, Timestamp),
    /// 4.17: daily consumption between these times.
    RetrieveDailyConsumptionLog(Timestamp, Timestamp),
    /// 2.1: a new prepayment configuration, in force from this time.
    UpdatePrepayConfiguration(Option<Timestamp>),
    /// Any critical variant, Command Variants 5 to 7: a signed command in base64, to be carried out at this time.
    SignedPreCommand(Option<Timestamp>, String),
    /// 8.3: this Device is taken out of use.
    DecommissionDevice(DeviceId),
    /// 5.1: daily 4.8.1 reads of this Device from this day on.
    CreateSchedule(DeviceId, Timestamp),
}

/// A message to a User.
#[derive(Debug, Clone)]
pub struct Response {
    /// The request that it answers; none on alerts and scheduled reads.
    pub request_id: Option<RequestId>,
    /// Its own identifier; none on acknowledgements.
    pub response_id: Option<ResponseId>,
    /// `ResponseCode`.
    pub code: ResponseCode,
    /// `ResponseDateTime`.
    pub at: Timestamp,
    /// The rest.
    pub body: ResponseBody,
}

/// The body of a response. Payloads are base64; see [`synthetic::payload`](crate::synthetic::payload).
#[derive(Debug, Clone)]
pub enum ResponseBody {
    /// Nothing but what was asked for.
    Acknowledgement(ServiceReferenceVariant),
    /// A Pre-Command to be signed.
    PreCommand(ServiceReferenceVariant, String),
    /// A command for local delivery.
    LocalCommand(ServiceReferenceVariant, String),
    /// A Device's answer.
    ServiceResponse(ServiceReferenceVariant, String),
    /// The DCC's answer to 5.1: the schedule's identifier, 0 to 10^12.
    ScheduleCreated(u64),
    /// The result of one run of a schedule.
    ScheduledRead(ServiceReferenceVariant, u64, String),
    /// `8F66` (`true`) or `8F67` on one instruction of a future-dated command.
    FutureDatedAlert(ServiceReferenceVariant, bool, Instruction, String),
    /// A Device Alert, with `ThrottledAlertSequenceId` and `ThrottledAlertCount` where it was held back.
    DeviceAlert(AlertCode, Option<(u32, u32)>, String),
    /// A DCC Alert.
    DccAlert(AlertCode, DccAlertBody),
}

/// The body of a DCC Alert.
#[derive(Debug, Clone)]
pub enum DccAlertBody {
    /// A communications hub lost power at this time.
    PowerOutage(DeviceId, Timestamp, Mpxn),
    /// A command to this Device failed, perhaps a run of this schedule.
    CommandFailure(RequestId, Option<u64>, DeviceId),
    /// A request was quarantined, under this event reference.
    Quarantined(BreachKind, RequestId, u64),
}

/// Which limit a quarantined request broke.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BreachKind {
    /// The User's own threshold.
    User,
    /// The DCC's threshold.
    Dcc,
    /// A limit on a value in the request.
    Attribute,
}

/// Appends a request as a whole XML document.
pub fn write_request(request: &Request, out: &mut String) {
    let mut xml = Xml::begin("Request", out);
    xml.open("Header");
    xml.leaf("RequestID", request.request_id);
    if let Some(preceding) = request.preceding {
        xml.leaf("PrecedingServiceRequestID", preceding);
    }
    xml.leaf("CommandVariant", request.command_variant);
    xml.reference(request.variant);
    xml.close("Header");
    xml.open("Body");
    request_body(&mut xml, &request.body);
    xml.close("Body");
    xml.close("Request");
}

/// Appends a response or alert as a whole XML document.
pub fn write_response(response: &Response, out: &mut String) {
    let mut xml = Xml::begin("Response", out);
    xml.open("Header");
    if let Some(id) = response.request_id {
        xml.leaf("RequestID", id);
    }
    if let Some(id) = response.response_id {
        xml.leaf("ResponseID", id);
    }
    xml.leaf("ResponseCode", response.code);
    xml.leaf("ResponseDateTime", response.at);
    xml.close("Header");
    xml.open("Body");
    response_body(&mut xml, &response.body);
    xml.close("Body");
    xml.close("Response");
}

fn request_body(xml: &mut Xml<'_>, body: &RequestBody) {
    match body {
        RequestBody::ReadActiveImportProfileData(from, to) => {
            xml.period("ReadActiveImportProfileData", *from, *to);
        }
        RequestBody::RetrieveImportDailyReadLog(from, to) => {
            xml.period("RetrieveImportDailyReadLog", *from, *to);
        }
        RequestBody::RetrieveDailyConsumptionLog(from, to) => {
            xml.period("RetrieveDailyConsumptionLog", *from, *to);
        }
        RequestBody::UpdatePrepayConfiguration(execution_at) => prepay(xml, *execution_at),
        RequestBody::SignedPreCommand(execution_at, payload) => {
            xml.open("SignedPreCommand");
            xml.execution(*execution_at);
            xml.leaf("GBCSPayload", payload);
            xml.close("SignedPreCommand");
        }
        RequestBody::DecommissionDevice(device) => {
            xml.open("DecommissionDevice");
            xml.leaf("DeviceID", device);
            xml.close("DecommissionDevice");
        }
        RequestBody::CreateSchedule(device, first_day) => schedule(xml, *device, *first_day),
    }
}

/// One winter calendar, as short as the schema allows.
fn prepay(xml: &mut Xml<'_>, execution_at: Option<Timestamp>) {
    xml.open("UpdatePrepayConfiguration");
    xml.execution(execution_at);
    xml.open("UpdatePrepayConfigElectricity");
    xml.leaf("DebtRecoveryRateCap", 25);
    xml.leaf("EmergencyCreditLimit", 500_000);
    xml.leaf("EmergencyCreditThreshold", 150_000);
    xml.leaf("LowCreditThreshold", 300_000);
    xml.open("ElectricityNonDisablementCalendar");
    xml.empty("ElectricitySpecialDays");
    xml.open("ElectricityNonDisablementSchedule");
    xml.leaf("NonDisablementScript", "START");
    xml.empty("SpecialDaysApplicability");
    xml.open("DaysOfWeekApplicability");
    xml.open("DayOfWeekApplicability");
    xml.leaf("DayOfWeekID", "Sunday");
    xml.close("DayOfWeekApplicability");
    xml.close("DaysOfWeekApplicability");
    xml.open("ScheduleDatesAndTime");
    xml.leaf("SwitchTime", "16:30:00.00Z");
    xml.leaf("StartDate", "2026-11-01Z");
    xml.leaf("EndDate", "2027-02-28Z");
    xml.close("ScheduleDatesAndTime");
    xml.close("ElectricityNonDisablementSchedule");
    xml.close("ElectricityNonDisablementCalendar");
    xml.leaf("MaxMeterBalance", 25_000_000);
    xml.leaf("MaxCreditThreshold", 20_000_000);
    xml.close("UpdatePrepayConfigElectricity");
    xml.close("UpdatePrepayConfiguration");
}

fn schedule(xml: &mut Xml<'_>, device: DeviceId, first_day: Timestamp) {
    // RFC 3339 begins with the date, ten characters long.
    let day: String = first_day.to_string().chars().take(10).collect();
    xml.open("CreateSchedule");
    xml.leaf("ScheduleFrequency", "Daily");
    xml.leaf("ScheduleStartDate", day);
    xml.leaf("DSPScheduledServiceReference", "4.8");
    xml.leaf("DSPScheduledServiceReferenceVariant", "4.8.1");
    xml.leaf("DeviceID", device);
    xml.open("DSPReadActiveImportProfileData");
    xml.leaf("StartDateOffset", -1);
    xml.leaf("StartTime", "00:00:00.00Z");
    xml.leaf("EndDateOffset", 0);
    xml.leaf("EndTime", "00:00:00.00Z");
    xml.close("DSPReadActiveImportProfileData");
    xml.close("CreateSchedule");
}

fn response_body(xml: &mut Xml<'_>, body: &ResponseBody) {
    match body {
        ResponseBody::Acknowledgement(variant) => xml.message(*variant, |_| ()),
        ResponseBody::PreCommand(variant, payload) => xml.message(*variant, |xml| {
            xml.open("PreCommand");
            xml.leaf("GBCSVersion", "4.3");
            xml.leaf("GBCSPayload", payload);
            xml.close("PreCommand");
        }),
        ResponseBody::LocalCommand(variant, payload) => xml.message(*variant, |xml| {
            xml.open("LocalCommand");
            xml.leaf("GBCSPayload", payload);
            xml.close("LocalCommand");
        }),
        ResponseBody::ServiceResponse(variant, payload) => {
            xml.message(*variant, |xml| xml.leaf("GBCSPayload", payload));
        }
        ResponseBody::ScheduleCreated(id) => {
            xml.open("ResponseMessage");
            xml.leaf("ServiceReference", "5.1");
            xml.leaf("ServiceReferenceVariant", "5.1");
            xml.leaf("DSPScheduleID", id);
            xml.close("ResponseMessage");
        }
        ResponseBody::ScheduledRead(variant, id, payload) => xml.message(*variant, |xml| {
            xml.open("DSPScheduledMessage");
            xml.leaf("GBCSPayload", payload);
            xml.leaf("DSPScheduleID", id);
            xml.close("DSPScheduledMessage");
        }),
        ResponseBody::FutureDatedAlert(variant, carried_out, instruction, payload) => {
            xml.message(*variant, |xml| {
                xml.open("FutureDatedDeviceAlertMessage");
                xml.leaf("FutureDatedAlertCode", if *carried_out { "8F66" } else { "8F67" });
                xml.leaf("GBCSPayload", payload);
                xml.leaf("InstructionNumber", instruction.number);
                xml.leaf("TotalCommandInstructions", instruction.total);
                xml.close("FutureDatedDeviceAlertMessage");
            });
        }
        ResponseBody::DeviceAlert(code, throttle, payload) => {
            xml.open("DeviceAlertMessage");
            xml.leaf("AlertCode", code);
            if let Some((sequence, count)) = throttle {
                xml.leaf("ThrottledAlertSequenceId", sequence);
                xml.leaf("ThrottledAlertCount", count);
            }
            xml.leaf("GBCSPayload", payload);
            xml.close("DeviceAlertMessage");
        }
        ResponseBody::DccAlert(code, body) => dcc_alert(xml, *code, body),
    }
}

fn dcc_alert(xml: &mut Xml<'_>, code: AlertCode, body: &DccAlertBody) {
    xml.open("DCCAlertMessage");
    xml.leaf("DCCAlertCode", code);
    xml.open("DCCAlert");
    match body {
        DccAlertBody::PowerOutage(hub, since, mpxn) => {
            xml.open("PowerOutageEvent");
            xml.leaf("CommsHubDeviceID", hub);
            xml.leaf("StartDateTime", since);
            xml.leaf("MPxN", mpxn);
            xml.close("PowerOutageEvent");
        }
        DccAlertBody::CommandFailure(request_id, schedule_id, device) => {
            xml.open("CommandFailure");
            xml.leaf("CommandRequestID", request_id);
            if let Some(schedule_id) = schedule_id {
                xml.leaf("DSPScheduleID", schedule_id);
            }
            xml.leaf("DeviceID", device);
            xml.close("CommandFailure");
        }
        DccAlertBody::Quarantined(kind, request_id, reference) => {
            let breach = match kind {
                BreachKind::User => "ADUserThresholdBreach",
                BreachKind::Dcc => "ADDCCThresholdBreach",
                BreachKind::Attribute => "ADAttributeLimitsBreach",
            };
            xml.open("QuarantinedRequest");
            xml.open(breach);
            xml.leaf("RequestID", request_id);
            xml.leaf("QuarantineEventRef", reference);
            xml.close(breach);
            xml.close("QuarantinedRequest");
        }
    }
    xml.close("DCCAlert");
    xml.close("DCCAlertMessage");
}

/// A document in the making. Names are the schema's own, so nothing but values needs escaping.
struct Xml<'o> {
    out: &'o mut String,
}

impl<'o> Xml<'o> {
    fn begin(root: &'static str, out: &'o mut String) -> Self {
        out.push_str("<sr:");
        out.push_str(root);
        out.push_str(" xmlns:sr=\"");
        out.push_str(crate::xml::DUIS);
        out.push_str("\" schemaVersion=\"5.4\">");
        Self { out }
    }

    fn open(&mut self, name: &str) {
        for part in ["<sr:", name, ">"] {
            self.out.push_str(part);
        }
    }

    fn close(&mut self, name: &str) {
        for part in ["</sr:", name, ">"] {
            self.out.push_str(part);
        }
    }

    fn empty(&mut self, name: &str) {
        for part in ["<sr:", name, "/>"] {
            self.out.push_str(part);
        }
    }

    fn leaf(&mut self, name: &str, value: impl Display) {
        self.open(name);
        let value = value.to_string();
        self.out.push_str(&quick_xml::escape::escape(value.as_str()));
        self.close(name);
    }

    fn reference(&mut self, variant: ServiceReferenceVariant) {
        self.leaf("ServiceReference", variant.service_reference());
        self.leaf("ServiceReferenceVariant", variant);
    }

    fn execution(&mut self, at: Option<Timestamp>) {
        if let Some(at) = at {
            self.leaf("ExecutionDateTime", at);
        }
    }

    fn period(&mut self, name: &str, from: Timestamp, to: Timestamp) {
        self.open(name);
        self.open("ReadLogPeriod");
        self.leaf("StartDateTime", from);
        self.leaf("EndDateTime", to);
        self.close("ReadLogPeriod");
        self.close(name);
    }

    fn message(&mut self, variant: ServiceReferenceVariant, content: impl FnOnce(&mut Self)) {
        self.open("ResponseMessage");
        self.reference(variant);
        content(self);
        self.close("ResponseMessage");
    }
}
