//! What a server shows and demands, and how it is read anew.

use crate::TlsError;
use gridtrail_runtime::read_key_file;
use rustls::RootCertStore;
use rustls::ServerConfig;
use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::{self, cipher_suite};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use sha2::{Digest as _, Sha256};
use std::convert::Infallible;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

/// The files of a server, all in PEM.
#[derive(Debug, Clone)]
pub struct TlsFiles {
    /// The certificate, and those between it and its anchor.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
    /// What clients must show; `None`: nothing.
    pub clients: Option<ClientCheck>,
}

/// What clients must show: a certificate of their own that chains to an anchor (mutual TLS).
#[derive(Debug, Clone)]
pub struct ClientCheck {
    /// The trust anchors, such as those of DCCKI.
    pub anchors: PathBuf,
    /// Lists of revoked certificates (CRL). With it, a certificate whose issuer has no list here is refused, too.
    pub revoked: Option<PathBuf>,
}

/// What a server shows and demands now. Clones are not needed: share it.
#[derive(Debug)]
pub struct Tls {
    files: TlsFiles,
    current: RwLock<Current>,
}

#[derive(Debug)]
struct Current {
    config: Arc<ServerConfig>,
    contents: [u8; 32],
}

impl Tls {
    /// Reads the files. They are small, and read in place.
    ///
    /// Errors: a file that cannot be read or does not hold what it should; a key that is not the certificate's.
    pub fn open(files: TlsFiles) -> Result<Self, TlsError> {
        let read = Contents::read(&files)?;
        let config = Arc::new(read.config(&files)?);
        Ok(Self { files, current: RwLock::new(Current { config, contents: read.hash() }) })
    }

    /// Takes the files in anew where they changed; whether they did. What cannot be used changes nothing.
    ///
    /// Errors: as [`Tls::open`].
    pub fn reload(&self) -> Result<bool, TlsError> {
        let read = Contents::read(&self.files)?;
        let contents = read.hash();
        if self.current.read().unwrap_or_else(PoisonError::into_inner).contents == contents {
            return Ok(false);
        }
        let config = Arc::new(read.config(&self.files)?);
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Current { config, contents };
        Ok(true)
    }

    /// Looks for changed files every so often, without end. What is wrong with them is told once, in the log.
    pub async fn keep_current(self: &Arc<Self>, every: Duration) -> Infallible {
        let mut told = None;
        loop {
            tokio::time::sleep(every).await;
            let tls = Arc::clone(self);
            // The files may lie on a disk that hangs, which must hold up no connection.
            match tokio::task::spawn_blocking(move || tls.reload()).await {
                // The panic hook has told of it.
                Err(_panicked) => {}
                Ok(Ok(false)) => told = None,
                Ok(Ok(true)) => {
                    told = None;
                    tracing::info!("new certificates are in use");
                }
                Ok(Err(error)) => {
                    let text = error.to_string();
                    if told.as_ref() != Some(&text) {
                        tracing::warn!(error = text, "the changed certificates are not used");
                        told = Some(text);
                    }
                }
            }
        }
    }

    /// What a connection that begins now gets.
    pub(crate) fn current(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner).config)
    }
}

/// The bytes of all files, read together.
struct Contents {
    certificate: Vec<u8>,
    key: Vec<u8>,
    anchors: Vec<u8>,
    revoked: Vec<u8>,
}

impl Contents {
    fn read(files: &TlsFiles) -> Result<Self, TlsError> {
        let read = |path: &Path| -> Result<Vec<u8>, TlsError> {
            let bytes = fs::read(path).map_err(|source| TlsError::Read { path: path.to_owned(), source })?;
            Ok(unmarked(bytes))
        };
        let clients = files.clients.as_ref();
        let revoked = clients.and_then(|check| check.revoked.as_ref());
        Ok(Self {
            certificate: read(&files.certificate)?,
            key: unmarked(read_key_file(&files.key)?),
            anchors: clients.map(|check| read(&check.anchors)).transpose()?.unwrap_or_default(),
            revoked: revoked.map(|path| read(path)).transpose()?.unwrap_or_default(),
        })
    }

    fn hash(&self) -> [u8; 32] {
        let mut hasher = Sha256::new();
        for part in [&self.certificate, &self.key, &self.anchors, &self.revoked] {
            hasher.update((part.len() as u64).to_be_bytes());
            hasher.update(part);
        }
        hasher.finalize().into()
    }

    fn config(&self, files: &TlsFiles) -> Result<ServerConfig, TlsError> {
        let provider = Arc::new(provider());
        let chain: Vec<CertificateDer<'static>> =
            all_of(&self.certificate, &files.certificate, "certificate")?;
        let key = PrivateKeyDer::from_pem_slice(&self.key)
            .map_err(|_| TlsError::Empty { path: files.key.clone(), what: "private key" })?;
        let failed = |source| TlsError::Certificate { path: files.certificate.clone(), source };
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
            .map_err(failed)?;
        let builder = match &files.clients {
            None => builder.with_no_client_auth(),
            Some(check) => builder.with_client_cert_verifier(self.clients(check, &provider)?),
        };
        let mut config = builder.with_single_cert(chain, key).map_err(failed)?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(config)
    }

    fn clients(
        &self,
        check: &ClientCheck,
        provider: &Arc<CryptoProvider>,
    ) -> Result<Arc<dyn rustls::server::danger::ClientCertVerifier>, TlsError> {
        let failed = |reason: String| TlsError::Anchors { path: check.anchors.clone(), reason };
        let mut anchors = RootCertStore::empty();
        for anchor in all_of(&self.anchors, &check.anchors, "certificate")? {
            anchors.add(anchor).map_err(|error| failed(error.to_string()))?;
        }
        let mut builder =
            WebPkiClientVerifier::builder_with_provider(Arc::new(anchors), Arc::clone(provider));
        if let Some(path) = &check.revoked {
            let lists: Vec<CertificateRevocationListDer<'static>> =
                all_of(&self.revoked, path, "list of revoked certificates")?;
            // An expired list no longer says who is revoked since.
            builder = builder.with_crls(lists).enforce_revocation_expiration();
        }
        let verifier = builder.build().map_err(|error| failed(error.to_string()))?;
        Ok(verifier)
    }
}

/// Behind a byte order mark the first line of PEM is none.
fn unmarked(bytes: Vec<u8>) -> Vec<u8> {
    bytes.strip_prefix(b"\xef\xbb\xbf").map(<[u8]>::to_vec).unwrap_or(bytes)
}

/// Everything of one kind in a PEM file; at least one.
fn all_of<T: PemObject>(pem: &[u8], path: &Path, what: &'static str) -> Result<Vec<T>, TlsError> {
    let empty = || TlsError::Empty { path: path.to_owned(), what };
    let found: Vec<T> = T::pem_slice_iter(pem).collect::<Result<_, _>>().map_err(|_| empty())?;
    if found.is_empty() { Err(empty()) } else { Ok(found) }
}

/// The suites that are used, and nothing else.
fn provider() -> CryptoProvider {
    CryptoProvider {
        cipher_suites: vec![
            cipher_suite::TLS13_AES_256_GCM_SHA384,
            cipher_suite::TLS13_AES_128_GCM_SHA256,
            cipher_suite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
            cipher_suite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
        ],
        ..aws_lc_rs::default_provider()
    }
}
