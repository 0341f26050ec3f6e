//! What DUIS messages say of the inventory: each kind of message, and the DCC's own samples.

use crate::it::support::{duis, receipt, samples};
use gridtrail_codec::Receipt;
use gridtrail_codec::duis::{SaidOfInventory, inventory, is_of_inventory};
use gridtrail_inventory::{
    DeviceDetails, FactOrigin, HubFields, InventoryEvent, InventoryFact, InventoryFragment,
    InventoryStatement, PendingFacts, Timeline,
};
use gridtrail_model::{CspRegion, DeviceId, DeviceType, Mpxn, Named, RequestId, SmiStatus, Timestamp};
use std::collections::{BTreeMap, BTreeSet};

pub(crate) const USER: &str = "90-B3-D5-1F-30-02-00-00";
pub(crate) const DCC: &str = "90-B3-D5-1F-30-00-00-02";
const METER: &str = "88-73-84-57-00-2F-96-1E";
const HUB: &str = "88-73-84-57-00-2F-96-20";
const GPF: &str = "88-73-84-57-00-2F-96-21";
const ANSWERED: &str = "2026-01-05T06:07:00.000Z";

pub(crate) fn message(root: &str, header: &str, body: &str) -> String {
    format!(
        "<sr:{root} xmlns:sr='http://www.dccinterface.co.uk/ServiceUserGateway' schemaVersion='5.4'>\
         <sr:Header>{header}</sr:Header><sr:Body>{body}</sr:Body></sr:{root}>"
    )
}

/// Elements of DUIS from a short form: `<` without the prefix of the namespace.
pub(crate) fn duis_of(short: &str) -> String {
    short.replace("</", "\u{1}").replace('<', "<sr:").replace('\u{1}', "</sr:")
}

pub(crate) fn request(target: &str, command_variant: u8, variant: &str, body: &str) -> String {
    let (reference, _) =
        variant.rsplit_once('.').filter(|(head, _)| head.contains('.')).unwrap_or((variant, ""));
    let header = duis_of(&format!(
        "<RequestID>{USER}:{target}:7</RequestID><CommandVariant>{command_variant}</CommandVariant>\
         <ServiceReference>{reference}</ServiceReference><ServiceReferenceVariant>{variant}</ServiceReferenceVariant>"
    ));
    message("Request", &header, &duis_of(body))
}

pub(crate) fn response(target: &str, variant: &str, code: &str, content: &str) -> String {
    let response_id =
        if target == DCC { String::new() } else { format!("<ResponseID>{target}:{USER}:7</ResponseID>") };
    let header = duis_of(&format!(
        "<RequestID>{USER}:{target}:7</RequestID>{response_id}<ResponseCode>{code}</ResponseCode>\
         <ResponseDateTime>{ANSWERED}</ResponseDateTime>"
    ));
    let body = format!(
        "<ResponseMessage><ServiceReference>8.1</ServiceReference>\
         <ServiceReferenceVariant>{variant}</ServiceReferenceVariant>{content}</ResponseMessage>"
    );
    message("Response", &header, &duis_of(&body))
}

pub(crate) fn alert(code: &str, body: &str) -> String {
    let header = duis_of(&format!(
        "<ResponseID>{DCC}:{USER}:9</ResponseID><ResponseCode>I0</ResponseCode>\
         <ResponseDateTime>{ANSWERED}</ResponseDateTime>"
    ));
    let body = format!(
        "<DCCAlertMessage><DCCAlertCode>{code}</DCCAlertCode><DCCAlert>{body}</DCCAlert></DCCAlertMessage>"
    );
    message("Response", &header, &duis_of(&body))
}

/// Reads a message both ways: whatever says anything of the inventory is an event that may.
fn said(xml: &str) -> SaidOfInventory {
    let event = duis(xml.as_bytes()).unwrap_or_else(|error| panic!("{error}: {xml}"));
    let said = inventory(xml.as_bytes(), &receipt()).unwrap();
    assert!(said.is_empty() || is_of_inventory(&event), "{xml}");
    said
}

fn device(text: &str) -> DeviceId {
    text.parse().unwrap()
}

fn mpxn(text: &str) -> Mpxn {
    text.parse().unwrap()
}

fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn status(of: &str, status: SmiStatus) -> InventoryFact {
    InventoryFact::SmiStatus { device: device(of), status: Some(status) }
}

fn of_type(of: &str, device_type: DeviceType) -> InventoryFact {
    let details = DeviceDetails { device_type: Some(device_type), ..DeviceDetails::default() };
    InventoryFact::Device { device: device(of), details }
}

fn installed(of: &str, at: &str, installed: bool) -> InventoryFact {
    InventoryFact::Installation { device: device(of), mpxn: mpxn(at), installed }
}

fn associated(of: &str, with: &str, associated: bool) -> InventoryFact {
    InventoryFact::Association { device: device(of), with: device(with), associated }
}

/// The facts of events, in order, and since when they are so.
fn facts(events: &[InventoryEvent]) -> (Vec<InventoryFact>, BTreeSet<Timestamp>) {
    let stated = events.iter().map(|event| {
        assert_eq!(event.origin, FactOrigin::Duis);
        match &event.told {
            InventoryStatement::Fact(stated) => (stated.fact.clone(), stated.effective.from()),
            InventoryStatement::Withdrawal(_) => panic!("a message withdraws nothing"),
        }
    });
    stated.unzip()
}

/// What comes of a request and its answer.
fn came_about(request: &str, answers: &[String]) -> (Vec<InventoryFact>, BTreeSet<Timestamp>) {
    let asked = said(request);
    assert!(asked.facts.is_empty() && asked.outcome.is_none(), "a request is no fact");
    let Some(asked) = asked.asked else { return (Vec::new(), BTreeSet::new()) };
    let mut pending = PendingFacts::new(asked.request_id);
    pending.ask(asked);
    assert!(pending.facts().is_empty(), "a request alone is no fact");
    for answer in answers {
        let answer = said(answer);
        assert!(answer.facts.is_empty() && answer.asked.is_none());
        answer.outcome.into_iter().for_each(|outcome| pending.answer(outcome));
    }
    facts(&pending.facts())
}

/// Requests that the DCC answers itself: variant, body, and what is so once it is done.
fn answered_by_the_dcc() -> Vec<(&'static str, String, Vec<InventoryFact>)> {
    let notified = format!(
        "<DevicePrenotification><DeviceID>{HUB}</DeviceID><DeviceManufacturer>AB01</DeviceManufacturer>\
         <DeviceModel>010A030B</DeviceModel><DeviceType>CHF</DeviceType><SMETSCHTSVersion>CHTS V1.4</SMETSCHTSVersion>\
         <FirmwareVersion>0002012F</FirmwareVersion><AssociatedGPFDeviceID>{GPF}</AssociatedGPFDeviceID>\
         </DevicePrenotification>"
    );
    let details = DeviceDetails {
        device_type: Some(DeviceType::Chf),
        manufacturer: "AB01".parse().ok(),
        model: "010A030B".parse().ok(),
        smets_chts_version: "CHTS V1.4".parse().ok(),
        firmware_version: "0002012F".parse().ok(),
        ..DeviceDetails::default()
    };
    let esme = DeviceDetails { esme_variant: "ADE".parse().ok(), ..DeviceDetails::default() };
    let update =
        |what: &str| format!("<UpdateInventory><DeviceID>{METER}</DeviceID>{what}</UpdateInventory>");
    let aerial = InventoryFact::Hub {
        hub: device(HUB),
        fields: HubFields { aerial_installed: Some(true), ..HubFields::default() },
    };
    vec![
        (
            "12.2",
            notified,
            vec![
                InventoryFact::Device { device: device(HUB), details },
                status(HUB, SmiStatus::Pending),
                of_type(GPF, DeviceType::Gpf),
                status(GPF, SmiStatus::Pending),
                associated(GPF, HUB, true),
            ],
        ),
        (
            "8.3",
            format!("<DecommissionDevice><DeviceID>{METER}</DeviceID></DecommissionDevice>"),
            vec![status(METER, SmiStatus::Decommissioned)],
        ),
        (
            "8.4",
            update("<UpdateDeviceStatusExceptCH>InstalledNotCommissioned</UpdateDeviceStatusExceptCH>"),
            vec![status(METER, SmiStatus::InstalledNotCommissioned)],
        ),
        (
            "8.4",
            update("<UpdateDeviceStatusCH>Withdrawn</UpdateDeviceStatusCH>"),
            vec![status(METER, SmiStatus::Withdrawn)],
        ),
        (
            "8.4",
            update("<UpdateDeviceDetails><ESMEVariant>ADE</ESMEVariant></UpdateDeviceDetails>"),
            vec![InventoryFact::Device { device: device(METER), details: esme }],
        ),
        ("8.4", update("<DeleteDevice/>"), vec![InventoryFact::DeviceRemoved { device: device(METER) }]),
        (
            "8.4",
            update("<UpdateMPxN><ImportMPxN>1312345678111</ImportMPxN></UpdateMPxN>"),
            vec![installed(METER, "1312345678111", true)],
        ),
        (
            "8.6",
            format!(
                "<ServiceOptIn><DeviceID>{METER}</DeviceID><DeviceType>ESME</DeviceType><MPxNs>\
                 <ImportMPxN>1312345678111</ImportMPxN><ExportMPAN>1312345678333</ExportMPAN></MPxNs>\
                 <OptInDate>2026-02-01</OptInDate></ServiceOptIn>"
            ),
            vec![
                of_type(METER, DeviceType::Esme),
                installed(METER, "1312345678111", true),
                installed(METER, "1312345678333", true),
            ],
        ),
        (
            "8.14.1",
            format!(
                "<CHFInstallSuccessSMWAN><DeviceID>{HUB}</DeviceID><CHFInstallType>New CHF Install</CHFInstallType>\
                 <MPxN>1000999888</MPxN><AerialInstall>true</AerialInstall></CHFInstallSuccessSMWAN>"
            ),
            vec![of_type(HUB, DeviceType::Chf), installed(HUB, "1000999888", true), aerial],
        ),
        (
            "8.14.4",
            format!("<CHFNoFaultReturn><DeviceID>{HUB}</DeviceID></CHFNoFaultReturn>"),
            vec![of_type(HUB, DeviceType::Chf)],
        ),
    ]
}

#[test]
fn requests_to_the_dcc_are_facts_once_it_says_that_they_are_done() {
    for (variant, body, expected) in answered_by_the_dcc() {
        let request = request(DCC, 8, variant, &body);
        for code in ["I0", "I99"] {
            let (found, since) = came_about(&request, &[response(DCC, variant, code, "")]);
            assert_eq!(found, expected, "{variant} {code}");
            assert_eq!(since, BTreeSet::from([time(ANSWERED)]), "{variant}");
        }
        for answer in [response(DCC, variant, "E12", ""), response(DCC, "8.2", "I0", "")] {
            assert!(came_about(&request, &[answer]).0.is_empty(), "{variant}");
        }
    }
    let body = format!(
        "<CHFInstallSuccessNoSMWAN><DeviceID>{HUB}</DeviceID><InstallDateTime>2026-01-02T10:00:00Z</InstallDateTime>\
         <MPxN>none</MPxN><AerialInstall>0</AerialInstall></CHFInstallSuccessNoSMWAN>"
    );
    let (found, since) = came_about(&request(DCC, 8, "8.14.2", &body), &[response(DCC, "8.14.2", "I99", "")]);
    assert_eq!((found.len(), since), (2, BTreeSet::from([time("2026-01-02T10:00:00Z")])));
}

#[test]
fn requests_to_devices_are_facts_once_their_response_says_so() {
    let payload = "<GBCSPayload>3QAAAAAAAIGV</GBCSPayload>";
    let add = format!(
        "<UpdateHANDeviceLog><DeviceID>{METER}</DeviceID><RequestType>Add</RequestType><AddDeviceToCHFWhitelist>\
         <JoinTimePeriod>90</JoinTimePeriod><ImportMPxN>1312345678111</ImportMPxN></AddDeviceToCHFWhitelist></UpdateHANDeviceLog>"
    );
    let remove = format!(
        "<UpdateHANDeviceLog><DeviceID>{METER}</DeviceID><RequestType>Remove</RequestType></UpdateHANDeviceLog>"
    );
    let join = |name: &str, other: &str| format!("<{name}><OtherDeviceID>{other}</OtherDeviceID></{name}>");
    let commission = "<CommissionDeviceSynchroniseClock/>".to_owned();
    let listed = vec![status(METER, SmiStatus::Whitelisted), installed(METER, "1312345678111", true)];
    for (target, command_variant, variant, body, expected) in [
        (METER, 4, "8.1.1", commission, vec![status(METER, SmiStatus::Commissioned)]),
        (METER, 4, "8.7.1", join("JoinServiceCritical", HUB), vec![associated(METER, HUB, true)]),
        (METER, 1, "8.7.2", join("JoinServiceNonCritical", GPF), vec![associated(METER, GPF, true)]),
        (METER, 4, "8.8.1", join("UnjoinServiceCritical", HUB), vec![associated(METER, HUB, false)]),
        (METER, 1, "8.8.2", join("UnjoinServiceNonCritical", GPF), vec![associated(METER, GPF, false)]),
        (METER, 1, "8.7.2", join("JoinServiceNonCritical", METER), vec![]),
        (HUB, 1, "8.11", add.clone(), listed),
        (HUB, 1, "8.11", remove, vec![associated(METER, HUB, false)]),
    ] {
        let request = request(target, command_variant, variant, &body);
        assert_eq!(
            came_about(&request, &[response(target, variant, "I0", payload)]).0,
            expected,
            "{variant}"
        );
        // What is no outcome: accepted and on its way, a Pre-Command to sign, a copy to deliver, a failure.
        for answer in [
            response(target, variant, "I99", ""),
            response(target, variant, "I0", &format!("<PreCommand>{payload}</PreCommand>")),
            response(target, variant, "I0", &format!("<LocalCommand>{payload}</LocalCommand>")),
            response(target, variant, "E20", ""),
        ] {
            assert!(came_about(&request, &[answer]).0.is_empty(), "{variant}");
        }
    }
    // The result of an update of the HAN Device Log says that the Device has joined.
    let result = |code| {
        let id = format!("{USER}:{HUB}:7");
        let body = "<UpdateHANDeviceLogServiceRequestID>";
        alert(
            code,
            &format!(
                "<UpdateHANDeviceLogResult>{body}{id}{}</UpdateHANDeviceLogResult>",
                body.replace('<', "</")
            ),
        )
    };
    let request = request(HUB, 1, "8.11", &add);
    assert_eq!(came_about(&request, &[result("N24")]).0, [associated(METER, HUB, true)]);
    assert!(came_about(&request, &[result("N25")]).0.is_empty());
}

/// A Signed Pre-Command holds a payload alone, and asks for nothing; its response answers the leg that was to be transformed.
#[test]
fn what_says_nothing_of_the_inventory_says_nothing() {
    let signed = "<SignedPreCommand><GBCSPayload>3QAAAAAAAIGV</GBCSPayload></SignedPreCommand>";
    assert!(said(&request(METER, 5, "8.1.1", signed)).is_empty());
    assert!(said(&request(METER, 1, "4.8.1", "<ReadActiveImportProfileData/>")).is_empty());
    assert!(said(&response(METER, "4.8.1", "I0", "<GBCSPayload>3QAAAAAAAIGV</GBCSPayload>")).is_empty());
    assert!(said(&alert("N13", &format!(
        "<CommandFailure><CommandRequestID>{USER}:{METER}:7</CommandRequestID><DeviceID>{METER}</DeviceID></CommandFailure>"
    ))).is_empty());
    // Of another namespace.
    let foreign = request(DCC, 8, "8.3", "<DecommissionDevice/>").replace(
        "<sr:DecommissionDevice/>",
        &format!(
            "<sr:DecommissionDevice><x:DeviceID xmlns:x='urn:x'>{METER}</x:DeviceID></sr:DecommissionDevice>"
        ),
    );
    assert!(said(&foreign).is_empty());
}

#[test]
fn an_inventory_is_facts_and_no_registration_data() {
    let listed = format!(
        "<DSPInventory><Device><DeviceID>{HUB}</DeviceID><DeviceType>CHF</DeviceType><DeviceStatus>Commissioned</DeviceStatus>\
         <DeviceManufacturer>106C</DeviceManufacturer><DeviceModel>433100AC</DeviceModel><DeviceFirmwareVersion>9001</DeviceFirmwareVersion>\
         <DateCommissioned>2025-12-28Z</DateCommissioned><UPRN>123456789012</UPRN><PropertyFilter><PostCode>SW1A 1AA</PostCode>\
         <AddressIdentifier>1</AddressIdentifier></PropertyFilter><CSPRegion>4G Central</CSPRegion><HANVariant>Single Band</HANVariant></Device>\
         <Device><DeviceID>{METER}</DeviceID><DeviceType>ESME</DeviceType><DeviceStatus>Pending</DeviceStatus>\
         <DeviceManufacturer>GFI</DeviceManufacturer><DeviceModel>{}</DeviceModel><ImportMPxN>1312345678111</ImportMPxN>\
         <ExportMPAN>1312345678333</ExportMPAN><ESMEVariant>A</ESMEVariant><UPRN>123456789012</UPRN><CSPRegion>North</CSPRegion></Device>\
         <Device><DeviceID>88-73</DeviceID><DeviceType>CAD</DeviceType></Device></DSPInventory>",
        "x".repeat(40),
    );
    // The reader of events refuses a Device that is none; nothing of it is a fact either.
    let xml = response(DCC, "8.2", "I0", &listed);
    assert!(duis(xml.as_bytes()).is_err());
    let SaidOfInventory { facts: told, asked, outcome } = inventory(xml.as_bytes(), &receipt()).unwrap();
    assert_eq!((asked, outcome.map(|outcome| outcome.code.to_string())), (None, Some("I0".to_owned())));
    let hub = DeviceDetails {
        device_type: Some(DeviceType::Chf),
        manufacturer: "106C".parse().ok(),
        model: "433100AC".parse().ok(),
        firmware_version: "9001".parse().ok(),
        han_variant: "Single Band".parse().ok(),
        ..DeviceDetails::default()
    };
    let meter = DeviceDetails {
        device_type: Some(DeviceType::Esme),
        manufacturer: "GFI".parse().ok(),
        esme_variant: "A".parse().ok(),
        ..DeviceDetails::default()
    };
    let (found, since) = facts(&told);
    assert_eq!(
        found,
        [
            InventoryFact::Device { device: device(HUB), details: hub },
            status(HUB, SmiStatus::Commissioned),
            InventoryFact::Region { hub: device(HUB), region: CspRegion::FourGCentral },
            InventoryFact::Device { device: device(METER), details: meter },
            status(METER, SmiStatus::Pending),
            installed(METER, "1312345678111", true),
            installed(METER, "1312345678333", true),
        ]
    );
    assert_eq!(since, BTreeSet::from([time("2025-12-28"), time(ANSWERED)]));
    let refused = inventory(response(DCC, "8.2", "E12", &listed).as_bytes(), &receipt()).unwrap();
    assert!(refused.facts.is_empty());
}

#[test]
fn alerts_are_facts_by_their_elements() {
    let change = |what: &str| {
        format!(
            "<DeviceStatusChangeEvent><DeviceID>{METER}</DeviceID><DeviceStatusChange>{what}</DeviceStatusChange>\
             </DeviceStatusChangeEvent>"
        )
    };
    let points = "<ImportMPxN>1312345678111</ImportMPxN>";
    let firmware = |of: &str, device_type, version: &str| {
        let details = DeviceDetails {
            device_type: Some(device_type),
            firmware_version: version.parse().ok(),
            ..DeviceDetails::default()
        };
        InventoryFact::Device { device: device(of), details }
    };
    let activation = |name: &str, rest: &str| {
        format!(
            "<{name}><DeviceID>{HUB}</DeviceID><FirmwareVersion>0000000A</FirmwareVersion>{rest}</{name}>"
        )
    };
    let notification = |state: &str| {
        let rest = format!("<FirmwareVersionUpdateStatus>{state}</FirmwareVersionUpdateStatus>");
        activation("SMETS1CHFirmwareNotification", &rest)
    };
    let outage = HubFields { last_outage: Some(time("2026-01-05T06:00:00Z")), ..HubFields::default() };
    let variant = DeviceDetails { esme_variant: "AD".parse().ok(), ..DeviceDetails::default() };
    let configured = DeviceDetails { device_type: Some(DeviceType::Esme), ..variant.clone() };
    for (body, expected) in [
        (
            change(&format!(
                "<MeterIdentity><MeterMPxNs>{points}</MeterMPxNs><ESMEVariant>AD</ESMEVariant></MeterIdentity>"
            )),
            vec![
                installed(METER, "1312345678111", true),
                InventoryFact::Device { device: device(METER), details: variant.clone() },
            ],
        ),
        (
            change(&format!(
                "<MeterDecommissioningOrWithdrawal><MeterDecommissionOrWithdrawal>{points}</MeterDecommissionOrWithdrawal>\
                 <AssociatedType1Device><DeviceID>{GPF}</DeviceID><DeviceType>GPF</DeviceType></AssociatedType1Device>\
                 </MeterDecommissioningOrWithdrawal>"
            )),
            vec![
                status(METER, SmiStatus::Decommissioned),
                installed(METER, "1312345678111", false),
                of_type(GPF, DeviceType::Gpf),
            ],
        ),
        (
            change("<DeviceRemovedFromInventory/>"),
            vec![InventoryFact::DeviceRemoved { device: device(METER) }],
        ),
        (
            change("<CHFDecommissioning/>"),
            vec![of_type(METER, DeviceType::Chf), status(METER, SmiStatus::Decommissioned)],
        ),
        (change("<DeviceSuspended/>"), vec![status(METER, SmiStatus::Suspended)]),
        (change("<DeviceRestored/>"), vec![InventoryFact::SmiStatus { device: device(METER), status: None }]),
        (change("<RecoveryComplete/>"), vec![status(METER, SmiStatus::Recovered)]),
        (
            format!(
                "<PowerOutageEvent><CommsHubDeviceID>{HUB}</CommsHubDeviceID><StartDateTime>2026-01-05T06:00:00Z</StartDateTime>\
                 <MPxN>1312345678111</MPxN></PowerOutageEvent>"
            ),
            vec![of_type(HUB, DeviceType::Chf), InventoryFact::Hub { hub: device(HUB), fields: outage }],
        ),
        (
            format!(
                "<FirmwareVersionMismatch><DeviceID>{METER}</DeviceID><DeviceType>ESME</DeviceType>\
                 <FirmwareVersionSMI>1</FirmwareVersionSMI><FirmwareVersionDevice>2</FirmwareVersionDevice></FirmwareVersionMismatch>"
            ),
            vec![firmware(METER, DeviceType::Esme, "2")],
        ),
        (activation("CommsHubFirmwareActivation", ""), vec![firmware(HUB, DeviceType::Chf, "0000000A")]),
        (notification("ActivationSuccessful"), vec![firmware(HUB, DeviceType::Chf, "0000000A")]),
        (notification("UpdateRequested"), vec![]),
        (
            format!(
                "<ALCSHCALCSConfigurationChange><ESMEDeviceID>{METER}</ESMEDeviceID><ESMEVariant>AD</ESMEVariant></ALCSHCALCSConfigurationChange>"
            ),
            vec![InventoryFact::Device { device: device(METER), details: configured }],
        ),
        (
            format!(
                "<PPMIDRemoval><PPMIDDeviceID>{METER}</PPMIDDeviceID><CHFDeviceID>{HUB}</CHFDeviceID></PPMIDRemoval>"
            ),
            vec![
                of_type(METER, DeviceType::Ppmid),
                of_type(HUB, DeviceType::Chf),
                associated(METER, HUB, false),
            ],
        ),
        (
            format!(
                "<ChangeOfSupplier><DeviceChangeOfSupplier><DeviceID>{METER}</DeviceID><DeviceType>ESME</DeviceType></DeviceChangeOfSupplier></ChangeOfSupplier>"
            ),
            vec![],
        ),
    ] {
        // Whatever the code: the element tells.
        for code in ["N1", "N999"] {
            let told = said(&alert(code, &body));
            let (found, since) = facts(&told.facts);
            assert_eq!(found, expected, "{body}");
            assert!(since.iter().all(|time_| *time_ == time(ANSWERED)), "{body}");
        }
    }
}

/// A message of more elements than any of the inventory has says nothing, and costs no more than its own size.
#[test]
fn a_message_without_measure_says_nothing() {
    let body = format!(
        "<DecommissionDevice><DeviceID>{METER}</DeviceID>{}</DecommissionDevice>",
        "<A/>".repeat(5_000)
    );
    assert!(said(&request(DCC, 8, "8.3", &body)).is_empty());
}

/// Counts of what the samples say, as they would be shown.
#[derive(Debug, Default, PartialEq, Eq)]
struct Counted {
    messages: usize,
    asked: usize,
    outcomes: usize,
    events: usize,
    devices: usize,
    with_status: usize,
    statuses: usize,
    associations: usize,
    installations: usize,
    regions: usize,
}

fn counted(folders: &[&str], root: &std::path::Path) -> Counted {
    let mut counted = Counted::default();
    let mut pending: BTreeMap<RequestId, PendingFacts> = BTreeMap::new();
    let mut events: Vec<InventoryEvent> = Vec::new();
    let receipt = Receipt { event_id: None, ..receipt() };
    for folder in folders {
        for entry in std::fs::read_dir(root.join(folder)).unwrap() {
            let path = entry.unwrap().path();
            if !path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("xml")) {
                continue;
            }
            let bytes = std::fs::read(&path).unwrap();
            let said = inventory(&bytes, &receipt).unwrap();
            assert!(said.is_empty() || is_of_inventory(&duis(&bytes).unwrap()), "{}", path.display());
            counted.messages += usize::from(!said.is_empty());
            counted.asked += usize::from(said.asked.is_some());
            counted.outcomes += usize::from(said.outcome.is_some());
            events.extend(said.facts);
            if let Some(asked) = said.asked {
                pending
                    .entry(asked.request_id)
                    .or_insert_with(|| PendingFacts::new(asked.request_id))
                    .ask(asked);
            }
            if let Some(outcome) = said.outcome {
                let of = pending.entry(outcome.request_id);
                of.or_insert_with(|| PendingFacts::new(outcome.request_id)).answer(outcome);
            }
        }
    }
    events.extend(pending.values().flat_map(PendingFacts::facts));
    let mut fragments: BTreeMap<Named, InventoryFragment> = BTreeMap::new();
    for event in events {
        for named in event.about() {
            counted.events += usize::from(
                fragments.entry(named).or_insert_with(|| InventoryFragment::new(named)).add(event.clone()),
            );
        }
    }
    for fragment in fragments.values() {
        let view = fragment.known();
        if !matches!(fragment.about(), Named::Device(_)) {
            continue;
        }
        counted.devices += 1;
        counted.with_status += usize::from(!view.smi_statuses().periods().is_empty());
        counted.statuses += view.smi_statuses().periods().len();
        let ever = |when: &Timeline<()>| !when.periods().is_empty();
        counted.associations += view.associated_with().values().filter(|when| ever(when)).count();
        counted.installations += view.installations().values().filter(|when| ever(when)).count();
        counted.regions += view.regions().periods().len();
    }
    counted
}

/// The DCC's own messages give an inventory.
#[test]
fn the_samples_give_an_inventory() {
    let Some(root) = samples() else {
        return crate::it::skipped(
            "what the DUIS samples say of the inventory; DUIS_SAMPLES names their folder",
        );
    };
    let real = counted(&["duis-responses"], &root);
    let all =
        counted(&["duis-requests", "duis-responses", "duis-responses-derived", "duis-alerts-derived"], &root);
    println!("real responses: {real:?}\nall samples: {all:?}");
    assert_eq!((real.devices, real.with_status), (5, 4), "{real:?}");
    assert!(all.devices > real.devices && all.associations > 0 && all.installations > 0, "{all:?}");
}
