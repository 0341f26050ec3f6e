//! `gridtrail search inventory` and `gridtrail search device`: ask a server for Devices of the inventory and print them.

use crate::args::{InventoryArgs, InventoryCallArgs, InventoryDeviceArgs, ListFormat};
use crate::client::{Caller, token_of};
use crate::exit::Failure;
use crate::output::inventory;
use gridtrail_proto::query::v1::get_device_request::Key;
use gridtrail_proto::query::v1::{
    GetDeviceRequest, GetDeviceResponse, InventorySearchRequest, InventorySearchResponse,
};
use std::io;

pub(crate) async fn run(args: &InventoryArgs, format: ListFormat) -> Result<(), Failure> {
    let caller = connect(&args.call).await?;
    let mut request = InventorySearchRequest {
        mpxn: text(args.key.mpxn),
        device_id: text(args.key.device),
        uprn: text(args.key.uprn),
        postcode: text(args.key.postcode.as_ref()),
        property_filter: text(args.key.property.as_ref()),
        include_not_commissioned: args.call.include_not_commissioned,
        as_of: text(args.call.as_of),
        page_size: args.page.page_size,
        page_token: text(args.page.page_token.as_ref()),
    };
    let mut answer = InventorySearchResponse::default();
    loop {
        let page = caller.search_inventory(&request).await?;
        let mut devices = std::mem::take(&mut answer.devices);
        devices.extend(page.devices);
        let not_commissioned_left_out = answer.not_commissioned_left_out + page.not_commissioned_left_out;
        answer = InventorySearchResponse { devices, not_commissioned_left_out, ..page };
        if !args.page.all || answer.next_page_token.is_empty() {
            return inventory::write_listed(&mut io::stdout().lock(), &answer, format);
        }
        request.page_token.clone_from(&answer.next_page_token);
    }
}

pub(crate) async fn run_device(args: &InventoryDeviceArgs, format: ListFormat) -> Result<(), Failure> {
    let caller = connect(&args.call).await?;
    let mut request = GetDeviceRequest {
        key: key_of(args),
        property_filter: text(args.key.property.as_ref()),
        include_not_commissioned: args.call.include_not_commissioned,
        as_of: text(args.call.as_of),
        page_size: args.page_size,
        page_token: text(args.page_token.as_ref()),
    };
    let mut answer = GetDeviceResponse::default();
    loop {
        let page = caller.get_device(&request).await?;
        let mut devices = std::mem::take(&mut answer.devices);
        devices.extend(page.devices);
        let not_commissioned_left_out = answer.not_commissioned_left_out + page.not_commissioned_left_out;
        answer = GetDeviceResponse { devices, not_commissioned_left_out, ..page };
        if !args.all || answer.next_page_token.is_empty() {
            return inventory::write_devices(&mut io::stdout().lock(), &answer, format);
        }
        request.page_token.clone_from(&answer.next_page_token);
    }
}

async fn connect(args: &InventoryCallArgs) -> Result<Caller, Failure> {
    Caller::connect(&args.server, &token_of(&args.credential)?).await
}

fn key_of(args: &InventoryDeviceArgs) -> Option<Key> {
    let device = args.key.device.map(|device| Key::DeviceId(device.to_string()));
    let mpxn = || args.key.mpxn.map(|mpxn| Key::Mpxn(mpxn.to_string()));
    let uprn = || args.key.uprn.map(|uprn| Key::Uprn(uprn.to_string()));
    let postcode = || args.key.postcode.clone().map(Key::Postcode);
    device.or_else(mpxn).or_else(uprn).or_else(postcode)
}

fn text(value: Option<impl ToString>) -> String {
    value.map(|value| value.to_string()).unwrap_or_default()
}
