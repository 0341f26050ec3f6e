//! A lake of one meter, a server over it with few files, and honest callers.

use super::attacker::of_meter;
use crate::support::{Server, gridtrail, succeed};
use gridtrail_access::{AccessEvent, AccessRecord, Assignment, DevKey};
use gridtrail_lake::{Batch, Lake, LakeSettings};
use gridtrail_model::{
    Body, Correlation, DeviceId, Event, Fold, Fragment, HistoryEntry, RequestReceived, State, Timestamp,
    UserId, UserRole,
};
use gridtrail_proto::query::v1::audit_trail_service_client::AuditTrailServiceClient;
use gridtrail_runtime::Clock;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, IsCa, Issuer, KeyIdMethod, KeyPair,
    KeyUsagePurpose, SerialNumber, date_time_ymd,
};
use std::io::BufRead as _;
use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::Instant;
use tonic::Request;
use tonic::transport::Channel;

/// What attackers ask for, and honest callers.
pub(super) const METER: &str = "00-DB-12-34-56-78-90-A0";
const OWN_METER: &str = "00-DB-12-34-56-78-90-A1";
const USER: &str = "90-B3-D5-1F-30-01-00-00";

/// Somebody with a token.
#[derive(Debug, Clone)]
pub(super) struct Caller {
    pub(super) token: String,
}

impl Caller {
    pub(super) fn by<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        let header = format!("Bearer {}", self.token).parse().unwrap();
        request.metadata_mut().insert("authorization", header);
        request
    }
}

/// The files of a lake and its keys.
pub(super) struct Stage {
    folder: TempDir,
    honest: Caller,
    attacker: Caller,
}

/// A read that was tried again so many times, each for a long reason.
fn tried_again(meter: &str, counter: u64, times: usize) -> Fragment {
    let received: Timestamp = "2026-03-01T12:00:00Z".parse().unwrap();
    let correlation = Correlation {
        request_id: Some(format!("{USER}:{meter}:{counter}").parse().unwrap()),
        request_received_at: Some(received),
        command_variant: Some("1".parse().unwrap()),
        device_id: Some(meter.parse::<DeviceId>().unwrap()),
        variant: Some("4.8.1".parse().unwrap()),
        ..Correlation::of_user(USER.parse::<UserId>().unwrap())
    };
    let (id, body) = ("1".parse().unwrap(), Body::RequestReceived(RequestReceived::default()));
    let mut fold = Fold::default();
    fold.add(Event { id, recorded_at: received, correlation, body }).unwrap();
    let mut row = fold.into_fragments().remove(0);
    for number in 0..times {
        let at = received.plus_millis(i64::try_from(number).unwrap());
        let cause = Some(format!("no answer from the Communications Hub {number:0>82}").parse().unwrap());
        row.record(HistoryEntry { cause, ..HistoryEntry::new(State::Retrying, at) });
    }
    row
}

impl Stage {
    /// A lake of so many versions, each with a row, of which the last so many are large.
    pub(super) async fn set(versions: u64, large: u64) -> Self {
        // This process holds many connections, too.
        gridtrail_port::FileLimit::raised();
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
        let lake = Lake::open(LakeSettings::at(at("lake")), Clock::system()).await.unwrap();
        let mut writer = lake.writer().await.unwrap();
        let to =
            Some(Assignment { party: "supplier-1".parse().unwrap(), role: UserRole::IS, descriptor: None });
        let from = "2026-01-01T00:00:00Z".parse().unwrap();
        let event = AccessEvent::Assigned { user_id: USER.parse().unwrap(), to, from };
        let access = vec![AccessRecord { id: "a-1".parse().unwrap(), recorded_at: from, event }];
        writer.commit(Batch { access, ..Batch::default() }).await.unwrap();
        for version in 0..versions {
            let fragments = vec![tried_again(METER, version, 0)];
            writer.commit(Batch { fragments, ..Batch::default() }).await.unwrap();
        }
        let large = (0..large).map(|row| tried_again(METER, 1_000_000 + row, 600));
        let fragments = large.chain([tried_again(OWN_METER, 1, 1)]).collect();
        writer.commit(Batch { fragments, ..Batch::default() }).await.unwrap();
        let caller = |subject: &str| {
            let (key, public) = (at("key.pem"), at("key.pub.pem"));
            let key = ["token", "--key", &key, "--public-key-out", &public, "--subject", subject];
            let of = ["--party", "supplier-1", "--user-id", USER, "--role", "role-01"];
            Caller { token: succeed(&[&key[..], &of].concat()).trim().to_owned() }
        };
        let (honest, attacker) = (caller("honest"), caller("attacker"));
        Self { folder, honest, attacker }
    }

    pub(super) fn at(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }

    pub(super) fn attacker(&self) -> Caller {
        self.attacker.clone()
    }

    /// The arguments with which people log in, and browsers on a port of their own.
    pub(super) fn logins(&self) -> Vec<&'static str> {
        let (certificate, list) = authority();
        let key = DevKey::generate().unwrap().to_pem();
        let write = |name: &str, text: &str| -> &'static str {
            let path = self.at(name);
            std::fs::write(&path, text).unwrap();
            private(&path);
            path.leak()
        };
        vec![
            "--saml-entity-id",
            "https://ssi.example/saml",
            "--saml-acs-url",
            "https://ssi.example/saml/acs",
            "--session-key",
            write("session.pem", &key),
            "--saml-anchors",
            write("dccki.pem", &certificate),
            "--saml-revoked",
            write("dccki.crl.pem", &list),
            "--saml-listen",
            "127.0.0.1:0",
        ]
    }

    /// A server that may open so many files.
    pub(super) async fn serve(&self, files: u64, more: &[&str]) -> Attacked {
        self.start(files, &[&["--plain-text"], more].concat(), more.contains(&"--saml-listen")).await
    }

    /// The same, encrypted.
    pub(super) async fn serve_encrypted(&self, files: u64) -> Attacked {
        let (certificate, key) = (self.at("server.pem"), self.at("server.key"));
        succeed(&["dev-certificate", "--certificate", &certificate, "--key", &key]);
        self.start(files, &["--tls-certificate", &certificate, "--tls-key", &key], false).await
    }

    async fn start(&self, files: u64, more: &[&str], has_pages: bool) -> Attacked {
        let (lake, key) = (self.at("lake"), self.at("key.pub.pem"));
        let fixed = [
            "serve",
            "--log",
            "off",
            "--lake",
            &lake,
            "--public-key",
            &key,
            "--listen",
            "127.0.0.1:0",
            "--no-maintenance",
        ];
        let mut command = Command::new("bash");
        let program = gridtrail().get_program().to_owned();
        command
            .args(["-c", &format!("ulimit -n {files} && exec \"$0\" \"$@\"")])
            .arg(program)
            .args(fixed)
            .args(more);
        let (server, mut out) = Server::spawn(command);
        let address = |url: &str| url.trim().split("//").last().unwrap().parse::<SocketAddr>().unwrap();
        let pages = has_pages.then(|| {
            let mut url = String::new();
            out.read_line(&mut url).unwrap();
            address(&url)
        });
        Attacked { calls: address(&server.url), pages, honest: self.honest.clone(), server }
    }
}

#[cfg(unix)]
fn private(path: &str) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

/// An authority's certificate, and its list of revoked ones, which is empty.
fn authority() -> (String, String) {
    let mut params = CertificateParams::new([]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.distinguished_name.push(rcgen::DnType::CommonName, "Authority");
    let key = KeyPair::generate().unwrap();
    let certificate = params.self_signed(&key).unwrap().pem();
    let list = CertificateRevocationListParams {
        this_update: date_time_ymd(2020, 1, 1),
        next_update: date_time_ymd(2100, 1, 1),
        crl_number: SerialNumber::from(1_u64),
        issuing_distribution_point: None,
        revoked_certs: Vec::new(),
        key_identifier_method: KeyIdMethod::Sha256,
    };
    let list = list.signed_by(&Issuer::new(params, key)).unwrap().pem().unwrap();
    (certificate, list)
}

/// A server process, and who calls it honestly.
pub(super) struct Attacked {
    pub(super) calls: SocketAddr,
    pub(super) pages: Option<SocketAddr>,
    honest: Caller,
    server: Server,
}

impl Attacked {
    /// So many honest searches, each by a connection of its own, all of which must be answered. Gives how long they took.
    pub(super) async fn searches(&self, many: usize) -> Vec<Duration> {
        let mut took = Vec::new();
        for _ in 0..many {
            let began = Instant::now();
            let channel = Channel::from_shared(format!("http://{}", self.calls)).unwrap();
            let mut client = AuditTrailServiceClient::new(channel.connect().await.unwrap());
            let request = self
                .honest
                .by(gridtrail_proto::query::v1::SearchRequest { page_size: 1, ..of_meter(OWN_METER, "") });
            let found = client.search(request).await.unwrap().into_inner();
            assert_eq!(found.rows.len(), 1);
            took.push(began.elapsed());
        }
        took
    }

    /// A search by the command, encrypted.
    pub(super) async fn search_encrypted(&self, stage: &Stage) {
        let (url, anchors, token) =
            (self.server.url.clone(), stage.at("server.pem"), self.honest.token.clone());
        let asked = tokio::task::spawn_blocking(move || {
            let args = ["search", "audit", "--server", &url, "--server-anchors", &anchors, "--token", &token];
            succeed(&[&args[..], &["--device", OWN_METER, "--format", "json"]].concat())
        });
        assert!(asked.await.unwrap().contains(OWN_METER));
    }

    /// A page for browsers, which must be answered.
    pub(super) async fn metadata(&self) {
        let mut stream = TcpStream::connect(self.pages.unwrap()).await.unwrap();
        stream
            .write_all(b"GET /saml/metadata HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
            .await
            .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }

    /// The most memory that the process has had.
    pub(super) fn peak_mib(&self) -> u64 {
        self.server.peak_mib()
    }
}

/// The median of some times.
pub(super) fn median_ms(mut took: Vec<Duration>) -> f64 {
    took.sort();
    took.get(took.len() / 2).map_or(f64::NAN, |time| time.as_secs_f64() * 1_000.0)
}
