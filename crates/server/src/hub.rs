//! The service of Communications Hubs.

use crate::callers::Allowance;
use crate::limits::{HUB_ROWS, REQUEST_BYTES_MAX, RESPONSE_BYTES_MAX, UNWRITTEN_FACTOR};
use crate::record::{Caller, Record};
use crate::row::wire_time;
use crate::service::Desk;
use gridtrail_access::Access;
use gridtrail_model::{DeviceId, ParseError};
use gridtrail_proto::query::v1;
use gridtrail_proto::query::v1::hub_service_server::{HubService, HubServiceServer};
use gridtrail_search::{
    HubAnswer, HubCommand, HubField, HubFieldName, HubSearch, HubTablesShown, SearchError,
};
use prost::Message as _;
use std::str::FromStr;
use tonic::codegen::http::Uri;
use tonic::{Request, Response, Status, async_trait};

/// What stands for the Device ID in an address.
const DEVICE: &str = "{device}";

/// Where a person asks for a communication with a Device: an address of another system, with a place for the Device ID. Pages lead there, and
/// nothing is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceLink(String);

/// The text is no such address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "it is not an address of the form https://host/path with {DEVICE} where the Device ID belongs, such as https://adaptor.example/diagnostics?device={DEVICE}"
)]
pub struct NoDeviceLink;

impl FromStr for DeviceLink {
    type Err = NoDeviceLink;

    fn from_str(text: &str) -> Result<Self, NoDeviceLink> {
        // Whoever clicks goes there by what a page shows: it is to be an address of the web, and no script.
        let url = text.replace(DEVICE, "0");
        let is_of_web = url.parse::<Uri>().is_ok_and(|uri| {
            matches!(uri.scheme_str(), Some("https" | "http"))
                && uri.host().is_some_and(|host| !host.is_empty())
        });
        let is_placed = text
            .split_once("://")
            .and_then(|(_, rest)| rest.split_once('/'))
            .is_some_and(|(host, path)| !host.contains(DEVICE) && path.contains(DEVICE));
        if is_of_web && is_placed { Ok(Self(text.to_owned())) } else { Err(NoDeviceLink) }
    }
}

impl DeviceLink {
    /// The address for a Device.
    fn of(&self, device: DeviceId) -> String {
        self.0.replace(DEVICE, &device.to_string())
    }
}

#[derive(Debug)]
pub(crate) struct Hubs {
    desk: Desk,
    search: HubSearch,
    communicate_with: Option<DeviceLink>,
}

impl Hubs {
    pub(crate) fn server(
        desk: &Desk,
        (search, communicate_with): (HubSearch, Option<DeviceLink>),
    ) -> HubServiceServer<Self> {
        HubServiceServer::new(Self { desk: desk.clone(), search, communicate_with })
            .max_decoding_message_size(REQUEST_BYTES_MAX)
            .max_encoding_message_size(RESPONSE_BYTES_MAX)
    }
}

#[async_trait]
impl HubService for Hubs {
    async fn get(&self, request: Request<v1::GetHubRequest>) -> Result<Response<v1::GetHubResponse>, Status> {
        let (caller, message) = Caller::of(request);
        let work = async |who: Access, left: &Allowance, record: &mut Record| {
            let wrong = |error: ParseError| SearchError::invalid("device_id", error.to_string());
            let device: DeviceId = message.device_id.parse().map_err(wrong)?;
            record.asked_device(device);
            left.take_rows(HUB_ROWS)?;
            let answer = self.search.get(&who, device).await?;
            self.desk.confirm(&who, &caller).await?;
            let commands = answer.tables.as_ref().map_or(0, |tables| tables.last_commands.len());
            record.shown_commands(&answer.version, commands);
            let link = self.communicate_with.as_ref().filter(|_| answer.may_communicate);
            let communicate_with = link.map(|link| link.of(device)).unwrap_or_default();
            let message = hub_response(answer, communicate_with);
            record.weigh(UNWRITTEN_FACTOR * message.encoded_len())?;
            Ok(message)
        };
        self.desk.answer_within("HubService.Get", &caller, work).await
    }
}

fn hub_response(answer: HubAnswer, communicate_with: String) -> v1::GetHubResponse {
    let HubAnswer { device, may_communicate, tables, complete_up_to, version, cost: _ } = answer;
    let tables_open = tables.is_some();
    let (last_commands, csp) = match tables {
        Some(HubTablesShown { last_commands, csp }) => {
            (last_commands.into_iter().map(command).collect(), Some(csp_data(csp)))
        }
        None => (Vec::new(), None),
    };
    v1::GetHubResponse {
        device_id: device.to_string(),
        may_communicate,
        tables_open,
        last_commands,
        csp,
        complete_up_to: complete_up_to.map(wire_time),
        snapshot_version: version.to_string(),
        communicate_with,
    }
}

fn command(HubCommand { at, status }: HubCommand) -> v1::HubCommand {
    v1::HubCommand { at: Some(wire_time(at)), success_status: status.to_string() }
}

fn csp_data(fields: Vec<(HubFieldName, HubField)>) -> v1::HubCspData {
    let mut data = v1::HubCspData::default();
    for (name, value) in fields {
        let place = match name {
            HubFieldName::AerialInstalled => &mut data.aerial_installed,
            HubFieldName::AerialType => &mut data.aerial_type,
            HubFieldName::BirthEvent => &mut data.birth_event,
            HubFieldName::NetworkStatus => &mut data.network_status,
            HubFieldName::Deactivation => &mut data.deactivation,
            HubFieldName::SmwanConnectivityStatus => &mut data.smwan_connectivity_status,
            HubFieldName::HanStatus => &mut data.han_status,
            HubFieldName::LastConnection => &mut data.last_connection,
            HubFieldName::LastTamper => &mut data.last_tamper,
            HubFieldName::LastOutage => &mut data.last_outage,
            HubFieldName::LastRestore => &mut data.last_restore,
        };
        *place = Some(field(value));
    }
    data
}

fn field(value: HubField) -> v1::HubField {
    let (state, text, at) = match value {
        HubField::Text(text) => (v1::HubFieldState::Provided, text, None),
        HubField::At(at) => (v1::HubFieldState::Provided, at.to_string(), Some(wire_time(at))),
        HubField::Unknown => (v1::HubFieldState::Unknown, String::new(), None),
        HubField::OnDevice => (v1::HubFieldState::OnDevice, HubField::ON_DEVICE.to_owned(), None),
    };
    v1::HubField { state: state.into(), text, at }
}
