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
use tonic::{Request, Response, Status, async_trait};

#[derive(Debug)]
pub(crate) struct Hubs {
    desk: Desk,
    search: HubSearch,
}

impl Hubs {
    pub(crate) fn server(desk: &Desk, search: HubSearch) -> HubServiceServer<Self> {
        HubServiceServer::new(Self { desk: desk.clone(), search })
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
            let message = hub_response(answer);
            record.weigh(UNWRITTEN_FACTOR * message.encoded_len())?;
            Ok(message)
        };
        self.desk.answer_within("HubService.Get", &caller, work).await
    }
}

fn hub_response(answer: HubAnswer) -> v1::GetHubResponse {
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
