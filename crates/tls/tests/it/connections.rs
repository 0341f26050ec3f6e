//! Clients with and without certificates, and servers whose certificates change.

use crate::it::authority::{Authority, Issued, set_mode};
use gridtrail_tls::{ClientCheck, Tls, TlsError, TlsFiles};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion, version};
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsConnector;
use tokio_util::task::AbortOnDropHandle;

/// A server that says "hello" on each connection.
pub(crate) struct Served {
    pub(crate) address: SocketAddr,
    pub(crate) tls: Arc<Tls>,
    authority: Authority,
    folder: TempDir,
    _serving: AbortOnDropHandle<()>,
}

impl Served {
    pub(crate) async fn plainly() -> Self {
        Self::new(None, None).await
    }

    /// One that lets only clients of an authority in, less those revoked.
    async fn for_clients_of(clients: &Authority, revoked: Option<String>) -> Self {
        Self::new(Some(clients), revoked).await
    }

    async fn new(clients: Option<&Authority>, revoked: Option<String>) -> Self {
        let (folder, authority) = (tempfile::tempdir().unwrap(), Authority::new("servers"));
        let (certificate, key) = authority.issue("localhost", 1, 2100, false).write(folder.path(), "server");
        let clients = clients.map(|clients| {
            let anchors = folder.path().join("clients.pem");
            fs::write(&anchors, &clients.pem).unwrap();
            let revoked = revoked.map(|list| {
                let path = folder.path().join("revoked.pem");
                fs::write(&path, list).unwrap();
                path
            });
            ClientCheck { anchors, revoked }
        });
        let tls = Arc::new(Tls::open(TlsFiles { certificate, key, clients }).unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let of_server = Arc::clone(&tls);
        let serving = AbortOnDropHandle::new(tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let tls = Arc::clone(&of_server);
                tokio::spawn(async move {
                    // A client that is refused or went away is its own affair.
                    if let Ok(Some(mut stream)) = tls.shake_hands(stream).await {
                        let _ = stream.write_all(b"hello").await;
                        let _ = stream.shutdown().await;
                    }
                });
            }
        }));
        Self { address, tls, authority, folder, _serving: serving }
    }

    /// What a client gets that trusts the server's authority.
    async fn ask(
        &self,
        client: Option<&Issued>,
        only: &'static SupportedProtocolVersion,
    ) -> io::Result<Greeted> {
        let mut anchors = RootCertStore::empty();
        anchors.add(CertificateDer::from_pem_slice(self.authority.pem.as_bytes()).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[only])
            .unwrap()
            .with_root_certificates(anchors);
        let config = match client {
            None => builder.with_no_client_auth(),
            Some(issued) => {
                let chain = vec![CertificateDer::from_pem_slice(issued.certificate.as_bytes()).unwrap()];
                let key = PrivateKeyDer::from_pem_slice(issued.key.as_bytes()).unwrap();
                builder.with_client_auth_cert(chain, key).unwrap()
            }
        };
        let stream = TcpStream::connect(self.address).await?;
        let name = ServerName::try_from("localhost").unwrap();
        let mut stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await?;
        let shown = stream.get_ref().1.peer_certificates().unwrap()[0].to_vec();
        let suite = format!("{:?}", stream.get_ref().1.negotiated_cipher_suite().unwrap().suite());
        let mut text = String::new();
        stream.read_to_string(&mut text).await?;
        assert_eq!(text, "hello");
        Ok(Greeted { shown, suite })
    }
}

struct Greeted {
    shown: Vec<u8>,
    suite: String,
}

#[tokio::test]
async fn both_versions_of_tls_are_spoken_with_the_suites_of_the_specification() {
    let served = Served::plainly().await;
    assert_eq!(served.ask(None, &version::TLS13).await.unwrap().suite, "TLS13_AES_256_GCM_SHA384");
    let older = served.ask(None, &version::TLS12).await.unwrap();
    assert_eq!(older.suite, "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384");
}

#[tokio::test]
async fn only_clients_with_a_good_certificate_come_in() {
    let (ours, others) = (Authority::new("clients"), Authority::new("strangers"));
    let good = ours.issue("user", 7, 2100, true);
    let revoked = ours.issue("user", 8, 2100, true);
    let expired = ours.issue("user", 9, 2001, true);
    let stranger = others.issue("user", 7, 2100, true);
    // A certificate for servers is none for clients.
    let server = ours.issue("user", 10, 2100, false);
    let served = Served::for_clients_of(&ours, Some(ours.revoke(&[8], 2100))).await;
    for tls in [&version::TLS12, &version::TLS13] {
        assert!(served.ask(Some(&good), tls).await.is_ok());
        for (what, client) in [
            ("none", None),
            ("revoked", Some(&revoked)),
            ("expired", Some(&expired)),
            ("of a stranger", Some(&stranger)),
            ("of a server", Some(&server)),
        ] {
            assert!(served.ask(client, tls).await.is_err(), "{what}");
        }
    }
    assert!(served.ask(Some(&good), &version::TLS13).await.is_ok(), "what was refused held nobody up");
}

#[tokio::test]
async fn an_outdated_list_of_revoked_certificates_lets_nobody_in() {
    let ours = Authority::new("clients");
    let good = ours.issue("user", 7, 2100, true);
    let served = Served::for_clients_of(&ours, Some(ours.revoke(&[], 2026))).await;
    assert!(served.ask(Some(&good), &version::TLS13).await.is_err());
}

#[tokio::test]
async fn a_certificate_changes_while_the_server_runs() {
    let served = Served::plainly().await;
    let before = served.ask(None, &version::TLS13).await.unwrap().shown;
    assert!(!served.tls.reload().unwrap(), "nothing changed");
    // Half of a change: the key is still the old one. It is told, and the old pair stays in use.
    let next = served.authority.issue("localhost", 2, 2100, false);
    fs::write(served.folder.path().join("server.pem"), &next.certificate).unwrap();
    assert!(matches!(served.tls.reload(), Err(TlsError::Certificate { .. })));
    assert_eq!(served.ask(None, &version::TLS13).await.unwrap().shown, before);
    fs::write(served.folder.path().join("server.key"), &next.key).unwrap();
    assert!(served.tls.reload().unwrap());
    let after = served.ask(None, &version::TLS13).await.unwrap().shown;
    assert_eq!(after, CertificateDer::from_pem_slice(next.certificate.as_bytes()).unwrap().to_vec());
}

#[tokio::test]
async fn a_client_revoked_while_the_server_runs_comes_in_no_more() {
    let ours = Authority::new("clients");
    let good = ours.issue("user", 7, 2100, true);
    let served = Served::for_clients_of(&ours, Some(ours.revoke(&[], 2100))).await;
    assert!(served.ask(Some(&good), &version::TLS13).await.is_ok());
    fs::write(served.folder.path().join("revoked.pem"), ours.revoke(&[7], 2100)).unwrap();
    assert!(served.tls.reload().unwrap());
    assert!(served.ask(Some(&good), &version::TLS13).await.is_err());
}

#[test]
fn what_is_wrong_with_a_file_is_told_by_name() {
    let (folder, authority) = (tempfile::tempdir().unwrap(), Authority::new("servers"));
    let (certificate, key) = authority.issue("localhost", 1, 2100, false).write(folder.path(), "server");
    let files = TlsFiles { certificate: certificate.clone(), key: key.clone(), clients: None };
    let told = |files| Tls::open(files).unwrap_err().to_string();
    let missing = TlsFiles { key: folder.path().join("gone"), ..files.clone() };
    assert!(told(missing).contains("gone"));
    let swapped = TlsFiles { certificate: key, key: certificate.clone(), clients: None };
    assert!(told(swapped).contains("server.key holds no certificate"), "the key is named, its text is not");
    let clients = Some(ClientCheck { anchors: certificate, revoked: Some(files.key.clone()) });
    assert!(told(TlsFiles { clients, ..files }).contains("list of revoked certificates"));
}

/// Also one that becomes so while the server runs: the pair before stays in use.
#[cfg(unix)]
#[tokio::test]
async fn a_key_that_others_can_read_is_not_used() {
    let served = Served::plainly().await;
    let key = served.folder.path().join("server.key");
    let next = served.authority.issue("localhost", 2, 2100, false);
    next.write(served.folder.path(), "server");
    set_mode(&key, 0o644);
    let told = served.tls.reload().unwrap_err().to_string();
    assert!(told.contains("chmod 0600") && told.contains("server.key"), "{told}");
    set_mode(&key, 0o600);
    assert!(served.tls.reload().unwrap());
}
