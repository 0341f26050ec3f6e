//! A row is found by every Device and every meter point that its message names, whichever element names it.
//!
//! `duis_bodies.txt` is the table: every request, response and alert body of DUIS schema 5.4 with the elements that name one. It is
//! held against the schema where that lies beside the repository, and a message of each body goes the whole way.

use crate::support::{Server, succeed};
use gridtrail_proto::query::v1::audit_trail_service_client::AuditTrailServiceClient;
use gridtrail_proto::query::v1::{SearchRequest, TrailRow, search_request::Key};
use gridtrail_tests::skipped;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use tonic::Request;
use tonic::transport::Channel;

const USER: &str = "90-B3-D5-1F-30-01-00-00";
const DCC: &str = "90-B3-D5-1F-30-00-00-02";
const NAMESPACE: &str = "http://www.dccinterface.co.uk/ServiceUserGateway";

/// What an element names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Names {
    Device,
    Devices,
    MeterPoint,
    Request,
    Neither,
}

/// A body of the table.
#[derive(Debug)]
struct Body {
    /// `request`, `response` or `alert`.
    of: &'static str,
    name: &'static str,
    /// The variant of a request that the DCC answers itself.
    variant: Option<&'static str>,
    /// The elements, by their path within the body.
    elements: Vec<(Names, &'static str)>,
}

fn table() -> Vec<Body> {
    let lines = include_str!("duis_bodies.txt").lines();
    lines.filter(|line| !line.is_empty() && !line.starts_with('#')).map(body).collect()
}

fn body(line: &'static str) -> Body {
    let (head, elements) = line.split_once(": ").unwrap_or((line, ""));
    let mut head = head.split(' ');
    let element = |text: &'static str| {
        let (kind, path) = text.split_once(' ').unwrap();
        let kind = match kind {
            "D" => Names::Device,
            "L" => Names::Devices,
            "M" => Names::MeterPoint,
            "R" => Names::Request,
            "-" => Names::Neither,
            other => panic!("{other} in {line}"),
        };
        (kind, path)
    };
    let elements = elements.split(", ").filter(|text| !text.is_empty()).map(element).collect();
    Body { of: head.next().unwrap(), name: head.next().unwrap(), variant: head.next(), elements }
}

/// The messages, and by what each is found.
#[derive(Default)]
struct Messages {
    next: u32,
    files: Vec<String>,
    /// Rows by their Request ID or, for an alert, their Response ID; with every key that finds them.
    rows: BTreeMap<String, BTreeSet<String>>,
    /// Rows that name neither Device nor meter point, or whose request does not.
    of_user: BTreeSet<String>,
}

impl Messages {
    fn number(&mut self) -> u32 {
        self.next += 1;
        self.next
    }

    fn device(&mut self) -> String {
        let [_, a, b, c] = self.number().to_be_bytes();
        format!("00-DB-12-34-56-{a:02X}-{b:02X}-{c:02X}")
    }

    /// A value for an element, and the keys that it stands for.
    fn value(&mut self, kind: Names) -> (String, Vec<String>) {
        match kind {
            Names::Device => {
                let device = self.device();
                (device.clone(), vec![device])
            }
            Names::Devices => {
                let devices = [self.device(), self.device(), self.device()];
                (devices.join(","), devices.to_vec())
            }
            Names::MeterPoint => {
                let mpxn = format!("13{:011}", self.number());
                (mpxn.clone(), vec![mpxn])
            }
            Names::Request => {
                let device = self.device();
                (format!("{USER}:{device}:{}", self.number()), vec![device])
            }
            Names::Neither => (format!("{USER}:{DCC}:{}", self.number()), Vec::new()),
        }
    }

    /// The content of a body with some of its elements, each as often as it may come, and the keys that it names.
    fn content(&mut self, elements: &[(Names, &str)]) -> (String, BTreeSet<String>) {
        let (mut xml, mut keys) = (String::new(), BTreeSet::new());
        for (kind, path) in elements {
            for _ in 0..if path.contains('*') { 2 } else { 1 } {
                let (value, named) = self.value(*kind);
                let names: Vec<&str> = path.split('/').map(|name| name.trim_end_matches('*')).collect();
                names.iter().for_each(|name| write!(xml, "<sr:{name}>").unwrap());
                xml += &value;
                names.iter().rev().for_each(|name| write!(xml, "</sr:{name}>").unwrap());
                keys.extend(named);
            }
        }
        (xml, keys)
    }

    fn add(&mut self, root: &str, header: &str, body: &str) {
        let whole = format!("<sr:Header>{header}</sr:Header><sr:Body>{body}</sr:Body>");
        let attributes = format!("xmlns:sr=\"{NAMESPACE}\" schemaVersion=\"5.4\"");
        self.files.push(format!("<sr:{root} {attributes}>{whole}</sr:{root}>"));
    }

    /// A message of a body with these elements. Gives what it is known by.
    fn message(&mut self, body: &Body, elements: &[(Names, &'static str)]) {
        let (content, mut keys) = self.content(elements);
        let content = format!("<sr:{0}>{content}</sr:{0}>", body.name);
        let number = self.number();
        let id = match body.of {
            "request" => {
                let target = if body.variant.is_some() { DCC.to_owned() } else { self.device() };
                if body.variant.is_none() {
                    keys.insert(target.clone());
                }
                let id = format!("{USER}:{target}:{number}");
                self.request(&id, body.variant, &content);
                id
            }
            "response" => {
                // The request names nothing itself: what finds the row besides its User is the answer.
                let id = format!("{USER}:{DCC}:{number}");
                self.request(&id, Some("5.3"), "<sr:DeleteSchedule/>");
                let header = format!(
                    "<sr:RequestID>{id}</sr:RequestID><sr:ResponseID>{DCC}:{USER}:{number}</sr:ResponseID>{SENT}"
                );
                let message = format!(
                    "<sr:ServiceReference>5.3</sr:ServiceReference>\
                     <sr:ServiceReferenceVariant>5.3</sr:ServiceReferenceVariant>{content}"
                );
                self.add("Response", &header, &format!("<sr:ResponseMessage>{message}</sr:ResponseMessage>"));
                self.of_user.insert(id.clone());
                id
            }
            _ => {
                let id = format!("{DCC}:{USER}:{number}");
                let header = format!("<sr:ResponseID>{id}</sr:ResponseID>{SENT}");
                let alert =
                    format!("<sr:DCCAlertCode>N999</sr:DCCAlertCode><sr:DCCAlert>{content}</sr:DCCAlert>");
                self.add("Response", &header, &format!("<sr:DCCAlertMessage>{alert}</sr:DCCAlertMessage>"));
                id
            }
        };
        if keys.is_empty() {
            self.of_user.insert(id.clone());
        }
        self.rows.insert(id, keys);
    }

    fn request(&mut self, id: &str, variant: Option<&str>, content: &str) {
        let command_variant = if variant.is_some() { 8 } else { 1 };
        let variant = variant.unwrap_or("4.1.1");
        let reference = variant.split('.').take(2).collect::<Vec<_>>().join(".");
        let header = format!(
            "<sr:RequestID>{id}</sr:RequestID><sr:CommandVariant>{command_variant}</sr:CommandVariant>\
             <sr:ServiceReference>{reference}</sr:ServiceReference>\
             <sr:ServiceReferenceVariant>{variant}</sr:ServiceReferenceVariant>"
        );
        self.add("Request", &header, content);
    }
}

const SENT: &str = "<sr:ResponseCode>I0</sr:ResponseCode><sr:ResponseDateTime>2026-03-01T10:05:00.000Z</sr:ResponseDateTime>";

/// Contents of a response that have rules of their own, or are no answer to a request that the DCC answers itself.
const OTHER_RESPONSES: [&str; 5] =
    ["CINMessage", "DSPScheduledMessage", "FutureDatedDeviceAlertMessage", "LocalCommand", "PreCommand"];

/// Every body once with all of its elements, and once with each of them alone.
fn messages() -> Messages {
    let mut messages = Messages::default();
    for body in table().iter().filter(|body| !OTHER_RESPONSES.contains(&body.name)) {
        // One of three breaches, each of one request; and a failure is that of a command and a Device.
        if body.name != "QuarantinedRequest" {
            messages.message(body, &body.elements);
        }
        if body.elements.len() > 1 && body.name != "CommandFailure" {
            body.elements.iter().for_each(|element| messages.message(body, std::slice::from_ref(element)));
        }
    }
    messages
}

/// A served lake of some messages, and its User's token.
struct Served {
    _folder: tempfile::TempDir,
    lake: PathBuf,
    server: Server,
    token: String,
}

impl Served {
    fn of(files: &[String]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
        std::fs::create_dir(at("events")).unwrap();
        for (number, xml) in files.iter().enumerate() {
            std::fs::write(at(&format!("events/{number}.xml")), xml).unwrap();
        }
        let assigned = format!(
            r#"{{"eventId":"a","recordedAt":"2020-01-01T00:00:00Z","assigned":{{"userId":"{USER}","party":"p","role":"USER_ROLE_IMPORT_SUPPLIER"}}}}"#
        );
        std::fs::write(at("events/p.access.jsonl"), assigned + "\n").unwrap();
        succeed(&["ingest", &at("events"), "--lake", &at("lake"), "--recorded-at", "2026-03-01T10:00:00Z"]);
        let key = ["--key", &at("key.pem"), "--public-key-out", &at("key.pub.pem")].map(str::to_owned);
        let who = ["--party", "p", "--user-id", USER, "--role", "1"].map(str::to_owned);
        let args: Vec<&str> =
            std::iter::once("token").chain(key.iter().chain(&who).map(String::as_str)).collect();
        let token = succeed(&args).trim().to_owned();
        let server = Server::start(&at("lake"), &at("key.pub.pem"), &[]);
        Self { lake: folder.path().join("lake"), _folder: folder, server, token }
    }

    async fn rows(&self, client: &mut AuditTrailServiceClient<Channel>, key: Key) -> Vec<TrailRow> {
        let mut request = SearchRequest { key: Some(key), page_size: 1000, ..SearchRequest::default() };
        let mut rows = Vec::new();
        loop {
            let mut call = Request::new(request.clone());
            let bearer = format!("Bearer {}", self.token);
            call.metadata_mut().insert("authorization", bearer.parse().unwrap());
            let page = client.search(call).await.unwrap().into_inner();
            // An alert about a request that is not on record makes a row of what it says of that, too.
            let is_awaiting = |row: &TrailRow| row.details.as_ref().unwrap().awaiting_request;
            rows.extend(page.rows.into_iter().filter(|row| !is_awaiting(row)));
            request.page_token = page.next_page_token;
            if request.page_token.is_empty() {
                return rows;
            }
        }
    }

    async fn client(&self) -> AuditTrailServiceClient<Channel> {
        AuditTrailServiceClient::connect(self.server.url.clone()).await.unwrap()
    }
}

fn id_of(row: &TrailRow) -> String {
    let details = row.details.as_ref().unwrap();
    if details.request_id.is_empty() { details.response_id.clone() } else { details.request_id.clone() }
}

#[test]
fn every_message_is_found_by_each_identifier_that_it_names() {
    let messages = messages();
    let served = Served::of(&messages.files);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut found = 0;
    runtime.block_on(async {
        let mut client = served.client().await;
        for (id, keys) in &messages.rows {
            for key in keys {
                let is_device = key.contains('-');
                let asked = if is_device { Key::DeviceId(key.clone()) } else { Key::Mpxn(key.clone()) };
                let rows = served.rows(&mut client, asked).await;
                let ids: Vec<String> = rows.iter().map(id_of).collect();
                assert_eq!(ids, [id.as_str()], "by {key}");
                if is_device {
                    assert_eq!(rows[0].matched_device_id, *key, "{id} names the Device that it matched");
                }
                found += 1;
            }
        }
        let of_user = served.rows(&mut client, Key::UserId(USER.to_owned())).await;
        let ids: BTreeSet<String> = of_user.iter().map(id_of).collect();
        assert_eq!((ids.len(), &ids), (of_user.len(), &messages.of_user), "what names neither, by its User");
        let others = served.rows(&mut client, Key::UserId("88-73-84-57-00-2F-96-1E".to_owned())).await;
        assert!(others.is_empty());
    });
    println!(
        "{} messages of {} bodies: {found} identifiers, each of which finds its row; {} rows of the User alone",
        messages.files.len(),
        table().len(),
        messages.of_user.len()
    );
}

/// 50,000 Devices of one firmware update are one row, which each of them finds.
#[test]
fn a_list_of_fifty_thousand_devices_is_one_trail() {
    let device = |n: u64| {
        let bytes = (0x00DB_1234_0000_0000 | n.wrapping_mul(0x9E37_79B9) & 0xFFFF_FFFF).to_be_bytes();
        bytes.map(|byte| format!("{byte:02X}")).join("-")
    };
    let all: Vec<String> = (0..50_000).map(device).collect();
    let mut messages = Messages::default();
    let content = format!(
        "<sr:UpdateFirmware><sr:DeviceIDList>{}</sr:DeviceIDList></sr:UpdateFirmware>",
        all.join(",")
    );
    messages.request(&format!("{USER}:{DCC}:1"), Some("11.1"), &content);
    let served = Served::of(&messages.files);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut client = served.client().await;
        for n in [0, 1, 24_999, 49_999] {
            let rows = served.rows(&mut client, Key::DeviceId(all[n].clone())).await;
            let [row] = &rows[..] else { panic!("{} rows by Device {n}", rows.len()) };
            assert_eq!(
                (row.matched_device_id.as_str(), row.device_id.as_str()),
                (all[n].as_str(), all[0].as_str())
            );
            let details = row.details.as_ref().unwrap();
            assert_eq!((details.concerned_device_count, details.concerned_device_ids.len()), (49_999, 100));
        }
    });
    let status = succeed(&["lake", "status", "--lake", served.lake.to_str().unwrap(), "--format", "json"]);
    let status: serde_json::Value = serde_json::from_str(&status).unwrap();
    println!(
        "50,000 Devices: {} bytes of trails, {} of links; {status}",
        size(&served.lake, "trails"),
        size(&served.lake, "named_rows")
    );
}

/// The bytes of the Parquet files of a table.
fn size(lake: &Path, table: &str) -> u64 {
    let mut folders = vec![lake.join(table)];
    let mut bytes = 0;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| ending == "parquet") {
                bytes += path.metadata().unwrap().len();
            }
        }
    }
    bytes
}

/// An element of the schema.
#[derive(Debug, Default)]
struct Node {
    name: String,
    attributes: BTreeMap<String, String>,
    children: Vec<Node>,
}

impl Node {
    fn get(&self, attribute: &str) -> &str {
        self.attributes.get(attribute).map_or("", String::as_str)
    }

    fn read(text: &str) -> Self {
        use quick_xml::events::Event;
        let mut reader = quick_xml::Reader::from_str(text);
        reader.config_mut().expand_empty_elements = true;
        let mut open = vec![Self::default()];
        loop {
            match reader.read_event().unwrap() {
                Event::Start(start) => {
                    let attributes = start.attributes().map(|attribute| {
                        let attribute = attribute.unwrap();
                        let name = attribute.key.local_name();
                        (name.as_ref().to_owned(), attribute.value.to_string())
                    });
                    let (name, attributes) = (start.local_name().as_ref().to_owned(), attributes.collect());
                    open.push(Self { name, attributes, children: Vec::new() });
                }
                Event::End(_) => {
                    let node = open.pop().unwrap();
                    open.last_mut().unwrap().children.push(node);
                }
                Event::Eof => return open.remove(0).children.remove(0),
                _ => {}
            }
        }
    }
}

/// The schema, as far as the walk needs it.
struct Schema(Node);

/// What the walk over a body comes to: paths within it, with the names of the types that each leaf is of.
type Leaves = Vec<(Vec<String>, BTreeSet<String>)>;

impl Schema {
    fn type_of(&self, name: &str) -> Option<&Node> {
        let name = name.rsplit(':').next().unwrap();
        let is_type = |node: &&Node| matches!(node.name.as_str(), "complexType" | "simpleType");
        self.0.children.iter().filter(is_type).find(|node| node.get("name") == name)
    }

    fn element(&self, name: &str) -> &Node {
        self.0.children.iter().find(|node| node.name == "element" && node.get("name") == name).unwrap()
    }

    /// The names of a simple type and of all that it restricts; `list` for a pattern of EUI-64s with commas.
    fn types(&self, node: &Node, out: &mut BTreeSet<String>) {
        out.insert(node.get("name").to_owned());
        for restriction in node.children.iter().filter(|child| child.name == "restriction") {
            let base = restriction.get("base");
            out.insert(base.rsplit(':').next().unwrap().to_owned());
            if let Some(base) = self.type_of(base).filter(|_| base.starts_with("sr:")) {
                self.types(base, out);
            }
            let is_list = |child: &Node| child.name == "pattern" && child.get("value").contains("{2},)*");
            if restriction.children.iter().any(is_list) {
                out.insert("list".to_owned());
            }
        }
    }

    fn walk_element(&self, element: &Node, path: &mut Vec<String>, leaves: &mut Leaves) {
        let many = !matches!(element.get("maxOccurs"), "" | "1");
        let element = match element.attributes.get("ref").map(|name| name.split_once(':')) {
            Some(Some(("sr", name))) => self.element(name),
            // Signatures are another schema.
            Some(_) => return,
            None => element,
        };
        let Some(name) = element.attributes.get("name") else { return };
        path.push(if many { format!("{name}*") } else { name.clone() });
        let named = element.get("type");
        let inline = element.children.iter().find(|child| child.name.ends_with("Type"));
        // Answers of SMETS1 Devices are another schema, too, and opaque.
        match inline.or_else(|| self.type_of(named).filter(|_| named.starts_with("sr:"))) {
            Some(node) if node.name == "complexType" => self.walk(node, path, leaves),
            Some(node) => {
                let mut types = BTreeSet::new();
                self.types(node, &mut types);
                leaves.push((path.clone(), types));
            }
            None => leaves.push((path.clone(), BTreeSet::from([named.to_owned()]))),
        }
        path.pop();
    }

    fn walk(&self, node: &Node, path: &mut Vec<String>, leaves: &mut Leaves) {
        for child in &node.children {
            match child.name.as_str() {
                "element" => self.walk_element(child, path, leaves),
                "extension" => {
                    if let Some(base) = self.type_of(child.get("base")) {
                        self.walk(base, path, leaves);
                    }
                    self.walk(child, path, leaves);
                }
                "sequence" | "choice" | "all" | "complexContent" | "simpleContent" | "restriction" => {
                    self.walk(child, path, leaves);
                }
                _ => {}
            }
        }
    }

    /// The bodies of the schema with the elements that name something, as the table has them.
    fn bodies(&self) -> BTreeMap<(&'static str, String), BTreeSet<(Names, String)>> {
        let mut bodies: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
        for root in ["Request", "Response"] {
            let mut leaves = Vec::new();
            self.walk_element(self.element(root), &mut Vec::new(), &mut leaves);
            let paths = leaves.into_iter().filter(|(path, _)| path.get(1).is_some_and(|at| at == "Body"));
            for (path, types) in paths {
                let parts: Vec<&str> = path.iter().map(String::as_str).collect();
                let (of, body, within) = match &parts[..] {
                    ["Request", "Body", body, within @ ..] => ("request", body, within),
                    ["Response", "Body", "ResponseMessage", body, within @ ..] => ("response", body, within),
                    ["Response", "Body", "DCCAlertMessage", "DCCAlert", body, within @ ..] => {
                        ("alert", body, within)
                    }
                    _ => continue,
                };
                let named = bodies.entry((of, (*body).to_owned())).or_default();
                named.extend(kind_of(&path, &types).map(|kind| (kind, within.join("/"))));
            }
        }
        bodies
    }
}

fn kind_of(path: &[String], types: &BTreeSet<String>) -> Option<Names> {
    let is = |names: &[&str]| names.iter().any(|name| types.contains(*name));
    let last = path.last()?.as_str();
    Some(match () {
        () if matches!(last, "UpdateFirmwareRequestID" | "AlertID") => Names::Neither,
        () if is(&["list", "DeviceIDList"]) => Names::Devices,
        () if is(&["EUI"]) => Names::Device,
        () if is(&["MPxN", "ImportMPxN", "MPAN", "MPRN"]) => Names::MeterPoint,
        () if is(&["RequestIDType", "ResponseIDType"]) => Names::Request,
        () => return None,
    })
}

/// An element of an identifier's type that the table lacks, or one that it has and the schema has not, fails.
#[test]
fn the_table_is_that_of_the_schema() {
    let folder = std::env::var_os("DUIS_SAMPLES").map(PathBuf::from);
    let folder = folder.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/samples"));
    let Ok(text) = std::fs::read_to_string(folder.join("schema/DUIS Schema V5.4.xsd")) else {
        let bodies = table().len();
        return skipped(&format!(
            "no DUIS schema to hold {bodies} bodies against; DUIS_SAMPLES names its folder"
        ));
    };
    let schema = Schema(Node::read(text.trim_start_matches('\u{feff}')));
    let mut expected = schema.bodies();
    // Fields of a response that are no body.
    for name in ["ServiceReference", "ServiceReferenceVariant", "DSPScheduleID", "GBCSPayload"] {
        expected.remove(&("response", name.to_owned()));
    }
    let ours = table().into_iter().map(|body| {
        let elements = body.elements.into_iter().map(|(kind, path)| (kind, path.to_owned()));
        ((body.of, body.name.to_owned()), elements.collect::<BTreeSet<_>>())
    });
    let ours: BTreeMap<_, _> = ours.collect();
    for (body, elements) in &expected {
        assert_eq!(ours.get(body).unwrap_or(&BTreeSet::new()), elements, "{body:?}");
    }
    // A body without any element of its own gives the walk nothing.
    let unknown: Vec<_> =
        ours.iter().filter(|(body, e)| !expected.contains_key(*body) && !e.is_empty()).collect();
    assert!(unknown.is_empty(), "{unknown:?}");
    let elements: usize = expected.values().map(BTreeSet::len).sum();
    println!("{} bodies of the schema, {elements} elements that name something", expected.len());
}
