//! The inventory service: from requests to plain queries, and from plain Devices to messages.

mod message;
mod request;

use crate::callers::Allowance;
use crate::limits::{PAGE_BYTES_MAX, REQUEST_BYTES_MAX, RESPONSE_BYTES_MAX, ROW_BYTES, UNWRITTEN_FACTOR};
use crate::record::{Caller, Record};
use crate::row::{count, field_bytes, wire_time};
use crate::service::Desk;
use crate::status::CallError;
use gridtrail_proto::query::v1;
use gridtrail_proto::query::v1::inventory_service_server::{InventoryService, InventoryServiceServer};
use gridtrail_search::{
    ByDevice, DEVICE_PAGE_DEFAULT, DEVICE_PAGE_MAX, DeviceWithGroups, InventoryPage, InventoryQuery,
    ListedDevice, PAGE_SIZE_DEFAULT, PAGE_SIZE_MAX, SearchError,
};
use message::{grouped_device, listed_device};
use prost::Message;
use request::{device_query_of, search_query_of};
use tonic::{Request, Response, Status, async_trait};

/// How large a page is, and what each Device of it counts for while it is made.
struct Paging {
    default: u32,
    most: u32,
    bytes: usize,
}

const LISTED: Paging = Paging { default: PAGE_SIZE_DEFAULT, most: PAGE_SIZE_MAX, bytes: ROW_BYTES };
/// With those around it a Device counts as ten.
const GROUPED: Paging = Paging { default: DEVICE_PAGE_DEFAULT, most: DEVICE_PAGE_MAX, bytes: 10 * ROW_BYTES };

#[derive(Debug)]
pub(crate) struct Inventory(Desk);

impl Desk {
    pub(crate) fn inventory(&self) -> InventoryServiceServer<Inventory> {
        InventoryServiceServer::new(Inventory(self.clone()))
            .max_decoding_message_size(REQUEST_BYTES_MAX)
            .max_encoding_message_size(RESPONSE_BYTES_MAX)
    }
}

#[async_trait]
impl InventoryService for Inventory {
    async fn search(
        &self,
        request: Request<v1::InventorySearchRequest>,
    ) -> Result<Response<v1::InventorySearchResponse>, Status> {
        let (caller, message) = Caller::of(request);
        let work = async |who, left: &Allowance, record: &mut Record| {
            let query = search_query_of(&message)?;
            take(left, record, &query, LISTED)?;
            let mut page = self.0.inventory_search().search(&who, &query).await?;
            self.0.confirm(&who, &caller).await?;
            let devices = shown(&mut page, record, listed_device)?;
            Ok((search_response(&page, devices), page.cost))
        };
        let answer = self.0.answer_within("InventoryService.Search", &caller, work).await;
        answer.map(|answer| self.0.told(answer))
    }

    async fn get_device(
        &self,
        request: Request<v1::GetDeviceRequest>,
    ) -> Result<Response<v1::GetDeviceResponse>, Status> {
        let (caller, message) = Caller::of(request);
        let work = async |who, left: &Allowance, record: &mut Record| {
            let query = device_query_of(&message)?;
            take(left, record, &query, GROUPED)?;
            let mut page = self.0.inventory_search().devices(&who, &query).await?;
            self.0.confirm(&who, &caller).await?;
            let devices = shown(&mut page, record, grouped_device)?;
            Ok((device_response(&page, devices), page.cost))
        };
        let answer = self.0.answer_within("InventoryService.GetDevice", &caller, work).await;
        answer.map(|answer| self.0.told(answer))
    }
}

/// Notes what is asked, and takes what its page may cost. A page above the largest counts as the largest, and is refused later.
fn take(
    left: &Allowance,
    record: &mut Record,
    query: &InventoryQuery,
    Paging { default, most, bytes }: Paging,
) -> Result<(), CallError> {
    record.asked_inventory(query);
    let devices = query.page_size.unwrap_or(default).min(most);
    left.take_rows(devices)?;
    record.weigh(devices as usize * bytes)
}

/// The messages of a page, and notes what is shown.
fn shown<T: ByDevice, M: Message>(
    page: &mut InventoryPage<T>,
    record: &mut Record,
    message_of: impl Fn(&T, bool) -> M,
) -> Result<Vec<M>, CallError> {
    let (devices, bytes) = devices_that_fit(page, message_of)?;
    record.weigh(UNWRITTEN_FACTOR * bytes.iter().sum::<usize>())?;
    record.shown_devices(&page.version, page.page_size, &bytes);
    Ok(devices)
}

/// The messages of a page's Devices, as many as there is room for, and how many bytes each has. The page ends where the messages do.
///
/// Errors: `Seal`; `TooWide`, of a Device that no answer has room for.
fn devices_that_fit<T: ByDevice, M: Message>(
    page: &mut InventoryPage<T>,
    message_of: impl Fn(&T, bool) -> M,
) -> Result<(Vec<M>, Vec<usize>), SearchError> {
    let (mut devices, mut sizes) = (Vec::with_capacity(page.devices.len()), Vec::new());
    let mut room = PAGE_BYTES_MAX;
    while let Some(next) = page.devices.get(devices.len()) {
        let device = message_of(next, page.may_follow_audit_trail);
        let bytes = field_bytes(&device);
        if bytes > room && devices.is_empty() {
            return Err(SearchError::TooWide { what: "bytes of one Device", most: PAGE_BYTES_MAX });
        }
        if bytes > room {
            page.end_after(devices.len())?;
            break;
        }
        room -= bytes;
        devices.push(device);
        sizes.push(bytes);
    }
    Ok((devices, sizes))
}

fn search_response(
    page: &InventoryPage<ListedDevice>,
    devices: Vec<v1::ListedDevice>,
) -> v1::InventorySearchResponse {
    v1::InventorySearchResponse {
        devices,
        next_page_token: page.next_page_token.clone().unwrap_or_default(),
        complete_up_to: page.complete_up_to.map(wire_time),
        snapshot_version: page.version.to_string(),
        as_at: Some(wire_time(page.as_at)),
        premises_matched: count(page.premises_matched),
        not_commissioned_left_out: count(page.not_commissioned_left_out()),
    }
}

fn device_response(
    page: &InventoryPage<DeviceWithGroups>,
    devices: Vec<v1::DeviceWithGroups>,
) -> v1::GetDeviceResponse {
    v1::GetDeviceResponse {
        devices,
        next_page_token: page.next_page_token.clone().unwrap_or_default(),
        complete_up_to: page.complete_up_to.map(wire_time),
        snapshot_version: page.version.to_string(),
        as_at: Some(wire_time(page.as_at)),
        premises_matched: count(page.premises_matched),
        not_commissioned_left_out: count(page.not_commissioned_left_out()),
    }
}
