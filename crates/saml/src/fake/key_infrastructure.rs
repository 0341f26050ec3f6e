//! A key infrastructure like the DCC's: a root, an issuing authority below it, signers, and lists of what was revoked.

use crate::{SigningCertificate, TrustAnchors};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING,
    EcdsaKeyPair, RSA_PKCS1_SHA256, RsaKeyPair,
};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer, DnType, IsCa,
    KeyIdMethod, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_RSA_SHA256,
    RevokedCertParams, SerialNumber, date_time_ymd,
};
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

/// The kind of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Key {
    /// RSA of 2,048 bits.
    Rsa,
    /// On the curve P-256.
    P256,
    /// On the curve P-384.
    P384,
}

/// A key with its certificate.
pub struct Signer {
    key: KeyPair,
    /// What kind of key.
    pub kind: Key,
    /// Its certificate.
    pub certificate: SigningCertificate,
    /// The serial number of the certificate.
    pub serial: u64,
}

impl Signer {
    /// The signature as XML Signature writes it: for ECDSA both numbers side by side.
    pub fn sign(&self, bytes: &[u8]) -> Vec<u8> {
        let (pkcs8, random) = (self.key.serialized_der(), SystemRandom::new());
        match self.kind {
            Key::Rsa => {
                let pair = RsaKeyPair::from_pkcs8(pkcs8).unwrap();
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, bytes, &mut signature).unwrap();
                signature
            }
            Key::P256 => {
                let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8).unwrap();
                pair.sign(&random, bytes).unwrap().as_ref().to_vec()
            }
            Key::P384 => panic!("aws-lc-rs does not sign SHA-256 digests with P-384"),
        }
    }

    /// The signature of a file: for ECDSA as DER.
    pub fn sign_file(&self, bytes: &[u8]) -> Vec<u8> {
        let (pkcs8, random) = (self.key.serialized_der(), SystemRandom::new());
        let signing = match self.kind {
            Key::Rsa => return self.sign(bytes),
            Key::P256 => &ECDSA_P256_SHA256_ASN1_SIGNING,
            Key::P384 => &ECDSA_P384_SHA384_ASN1_SIGNING,
        };
        let pair = EcdsaKeyPair::from_pkcs8(signing, pkcs8).unwrap();
        pair.sign(&random, bytes).unwrap().as_ref().to_vec()
    }

    /// The private key.
    pub fn private_pem(&self) -> String {
        self.key.serialize_pem()
    }

    /// The public key, bare.
    pub fn public_key(&self) -> &[u8] {
        self.key.public_key_raw()
    }

    /// The public key as somebody who knows only the certificate would write it down.
    pub fn public_pem(&self) -> String {
        self.key.public_key_pem()
    }
}

/// A root, an issuing authority, and the serial number of the next certificate.
pub struct KeyInfrastructure {
    root: CertifiedIssuer<'static, KeyPair>,
    issuing: CertifiedIssuer<'static, KeyPair>,
    next_serial: AtomicU64,
}

impl KeyInfrastructure {
    /// New keys for both authorities.
    pub fn new() -> Self {
        let root_key = KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).unwrap();
        let root = CertifiedIssuer::self_signed(authority("Root"), root_key).unwrap();
        let issuing_key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
        let issuing = CertifiedIssuer::signed_by(authority("Issuing"), issuing_key, &root).unwrap();
        Self { root, issuing, next_serial: AtomicU64::new(100) }
    }

    /// A new key with a certificate of 2026 and 2027 that may sign; `change` makes it another one.
    pub fn issue(&self, kind: Key, change: impl FnOnce(&mut CertificateParams)) -> Signer {
        let algorithm = match kind {
            Key::Rsa => &PKCS_RSA_SHA256,
            Key::P256 => &PKCS_ECDSA_P256_SHA256,
            Key::P384 => &PKCS_ECDSA_P384_SHA384,
        };
        self.certify(KeyPair::generate_for(algorithm).unwrap(), kind, change)
    }

    /// Another certificate for the key of a signer.
    pub fn renew(&self, signer: &Signer, change: impl FnOnce(&mut CertificateParams)) -> Signer {
        self.certify(KeyPair::from_pem(&signer.private_pem()).unwrap(), signer.kind, change)
    }

    fn certify(&self, key: KeyPair, kind: Key, change: impl FnOnce(&mut CertificateParams)) -> Signer {
        let serial = self.next_serial.fetch_add(1, Ordering::Relaxed);
        let mut params = named("Identity Provider");
        params.serial_number = Some(serial.into());
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        change(&mut params);
        let certificate = params.signed_by(&key, &self.issuing).unwrap();
        let certificate = SigningCertificate::from_der(certificate.der()).unwrap();
        Signer { key, kind, certificate, serial }
    }

    /// A new key that vouches for itself.
    pub fn issue_self_signed(&self) -> Signer {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
        let certificate = named("Identity Provider").self_signed(&key).unwrap();
        let certificate = SigningCertificate::from_der(certificate.der()).unwrap();
        Signer { key, kind: Key::P256, certificate, serial: 0 }
    }

    /// Anchors that have revoked nothing.
    pub fn anchors(&self) -> TrustAnchors {
        self.anchors_revoking(&[])
    }

    /// Anchors that have revoked these serial numbers.
    pub fn anchors_revoking(&self, serials: &[u64]) -> TrustAnchors {
        let lists = self.root_list(&[]) + &self.list(serials, 2027);
        TrustAnchors::new(self.root_pem().as_bytes(), self.issuing_pem().as_bytes(), lists.as_bytes())
            .unwrap()
    }

    /// The certificate of the root.
    pub fn root_pem(&self) -> String {
        self.root.pem()
    }

    /// The certificate of the issuing authority.
    pub fn issuing_pem(&self) -> String {
        self.issuing.pem()
    }

    /// The issuing authority's list, due to be replaced at the start of a year.
    pub fn list(&self, serials: &[u64], until_year: i32) -> String {
        let list = revocation_list(serials, until_year).signed_by(&self.issuing).unwrap();
        list.pem().unwrap()
    }

    /// The root's list; what it revokes are authorities.
    pub fn root_list(&self, serials: &[u64]) -> String {
        revocation_list(serials, 2027).signed_by(&self.root).unwrap().pem().unwrap()
    }

    /// The serial of every authority here.
    pub const AUTHORITY_SERIAL: u64 = 7;
}

fn revocation_list(serials: &[u64], until_year: i32) -> CertificateRevocationListParams {
    let revoked = |serial: &u64| RevokedCertParams {
        serial_number: SerialNumber::from(*serial),
        revocation_time: date_time_ymd(2026, 2, 1),
        reason_code: None,
        invalidity_date: None,
    };
    CertificateRevocationListParams {
        this_update: date_time_ymd(2025, 12, 1),
        next_update: date_time_ymd(until_year, 1, 1),
        crl_number: 1.into(),
        issuing_distribution_point: None,
        revoked_certs: serials.iter().map(revoked).collect(),
        key_identifier_method: KeyIdMethod::Sha256,
    }
}

fn named(name: &str) -> CertificateParams {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_before = date_time_ymd(2026, 1, 1);
    params.not_after = date_time_ymd(2028, 1, 1);
    params
}

fn authority(name: &str) -> CertificateParams {
    let mut params = named(name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.serial_number = Some(KeyInfrastructure::AUTHORITY_SERIAL.into());
    params
}

impl Default for KeyInfrastructure {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for KeyInfrastructure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyInfrastructure").finish_non_exhaustive()
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signer")
            .field("kind", &self.kind)
            .field("serial", &self.serial)
            .finish_non_exhaustive()
    }
}
