//! Signing certificates, and whether they hold.

use gridtrail_model::Timestamp;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{
    CertificateDer, CertificateRevocationListDer, SignatureVerificationAlgorithm, TrustAnchor, UnixTime,
};
use std::fmt;
use std::time::Duration;
use webpki::{
    CertRevocationList, EndEntityCert, ExpirationPolicy, ExtendedKeyUsageValidator, KeyPurposeIdIter,
    OwnedCertRevocationList, RevocationCheckDepth, RevocationOptionsBuilder, UnknownStatusPolicy,
};
use x509_cert::Certificate;
use x509_cert::der::asn1::{ObjectIdentifier, PrintableStringRef, UintRef, Utf8StringRef};
use x509_cert::der::referenced::OwnedToRef;
use x509_cert::der::{Decode, Reader, SliceReader};
use x509_cert::ext::pkix::KeyUsage;

/// Why a certificate is not accepted, or trust anchors cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CertificateFault {
    /// It cannot be read.
    #[error("{0} cannot be read")]
    Unreadable(&'static str),
    /// There is none where there must be one.
    #[error("there is no {0}")]
    None(&'static str),
    /// Its key is neither RSA of 2,048 to 8,192 bits nor on the curve P-256 or P-384.
    #[error("its key is neither RSA of 2048 to 8192 bits nor on P-256 or P-384")]
    Key,
    /// Its key may not sign.
    #[error("its key usage does not allow digital signatures")]
    KeyUsage,
    /// It belongs to an authority.
    #[error("it is the certificate of an authority, not of a signer")]
    Authority,
    /// It does not chain to a trust anchor.
    #[error("it does not chain to a trust anchor")]
    UnknownIssuer,
    /// It is not yet valid.
    #[error("it, or one above it, is not yet valid")]
    NotYetValid,
    /// It is no longer valid.
    #[error("it, or one above it, has expired")]
    Expired,
    /// It was revoked.
    #[error("it, or one above it, was revoked")]
    Revoked,
    /// No revocation list speaks of it.
    #[error("no revocation list of its issuer, or of one above it, is at hand")]
    RevocationUnknown,
    /// The revocation list that speaks of it is out of date.
    #[error("the revocation list of its issuer, or of one above it, is out of date")]
    RevocationListExpired,
    /// It breaks another rule of certification paths.
    #[error("its certification path is not valid: {0}")]
    Path(String),
}

/// A certificate whose key may sign assertions: RSA of 2,048 to 8,192 bits, or ECDSA on P-256 or P-384.
#[derive(Clone, PartialEq, Eq)]
pub struct SigningCertificate(CertificateDer<'static>);

impl SigningCertificate {
    const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
    const EC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
    const SUBJECT_SERIAL_NUMBER: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.5");
    const CURVES: [ObjectIdentifier; 2] =
        [ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7"), ObjectIdentifier::new_unwrap("1.3.132.0.34")];

    /// From DER. Whether it holds is for [`TrustAnchors::check`] to say.
    ///
    /// Errors: `Unreadable`, `Key`, `KeyUsage`.
    pub fn from_der(der: &[u8]) -> Result<Self, CertificateFault> {
        let unreadable = |_| CertificateFault::Unreadable("the certificate");
        let certificate = Certificate::from_der(der).map_err(unreadable)?.tbs_certificate;
        let key = certificate.subject_public_key_info.owned_to_ref();
        let fits = match key.algorithm.oid {
            Self::RSA => rsa_fits(key.subject_public_key.raw_bytes()),
            Self::EC => key.algorithm.parameters_oid().is_ok_and(|curve| Self::CURVES.contains(&curve)),
            _ => false,
        };
        if !fits {
            return Err(CertificateFault::Key);
        }
        match certificate.get::<KeyUsage>().map_err(unreadable)? {
            Some((_, usage)) if !usage.digital_signature() => Err(CertificateFault::KeyUsage),
            _ => Ok(Self(CertificateDer::from(der.to_vec()))),
        }
    }

    /// From DER, or from PEM that holds one. Errors: as [`SigningCertificate::from_der`]; `None`: there is none, or more than one.
    pub fn from_file(bytes: &[u8]) -> Result<Self, CertificateFault> {
        match bundle::<CertificateDer<'static>>(bytes, "the certificate")?.as_slice() {
            [only] => Self::from_der(only),
            _ => Err(CertificateFault::None("single certificate")),
        }
    }

    /// The certificate in DER.
    pub fn der(&self) -> &[u8] {
        &self.0
    }

    /// The serial number of the subject (X.520 `serialNumber`), where it has one and no more.
    pub fn subject_serial_number(&self) -> Option<String> {
        let certificate = Certificate::from_der(&self.0).ok()?;
        let parts = certificate.tbs_certificate.subject.0.iter().flat_map(|part| part.0.iter());
        let mut found = parts.filter(|part| part.oid == Self::SUBJECT_SERIAL_NUMBER);
        let value = &found.next()?.value;
        let text = value.decode_as::<PrintableStringRef<'_>>().map(|text| text.as_str().to_owned());
        let text =
            text.or_else(|_| value.decode_as::<Utf8StringRef<'_>>().map(|text| text.as_str().to_owned()));
        found.next().is_none().then_some(text.ok()).flatten()
    }

    /// Whether its key made this signature of a message: ECDSA as DER, or RSA by PKCS #1, with SHA-256, SHA-384 or SHA-512. Whether the
    /// certificate holds is for [`TrustAnchors::check`] to say.
    pub fn signed(&self, message: &[u8], signature: &[u8]) -> bool {
        let Ok(signer) = EndEntityCert::try_from(&self.0) else { return false };
        PATH_SIGNATURES.iter().any(|of| signer.verify_signature(*of, message, signature).is_ok())
    }
}

/// Whether an `RSAPublicKey` has a modulus of 2,048 to 8,192 bits.
fn rsa_fits(key: &[u8]) -> bool {
    let modulus = |key: &[u8]| {
        SliceReader::new(key)?.sequence(|parts| {
            let modulus = UintRef::decode(parts)?;
            UintRef::decode(parts)?;
            Ok(modulus.as_bytes().len())
        })
    };
    modulus(key).is_ok_and(|bytes| (2048 / 8..=8192 / 8).contains(&bytes))
}

// What a certificate says can be long, and belongs to somebody else.
impl fmt::Debug for SigningCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningCertificate").field("bytes", &self.0.len()).finish()
    }
}

/// Whom signing certificates must descend from: the anchors of the DCC Key Infrastructure (DCCKI), what stands between, and
/// the lists of what was revoked.
///
/// There is no switch that leaves revocation out: an issuer whose list is missing or out of date vouches for nobody.
pub struct TrustAnchors {
    anchors: Vec<TrustAnchor<'static>>,
    intermediates: Vec<CertificateDer<'static>>,
    revoked: Vec<CertRevocationList<'static>>,
}

/// The signatures that a certification path, or a signed file, may have.
const PATH_SIGNATURES: &[&dyn SignatureVerificationAlgorithm] = &[
    webpki::aws_lc_rs::ECDSA_P256_SHA256,
    webpki::aws_lc_rs::ECDSA_P256_SHA384,
    webpki::aws_lc_rs::ECDSA_P384_SHA256,
    webpki::aws_lc_rs::ECDSA_P384_SHA384,
    webpki::aws_lc_rs::RSA_PKCS1_2048_8192_SHA256,
    webpki::aws_lc_rs::RSA_PKCS1_2048_8192_SHA384,
    webpki::aws_lc_rs::RSA_PKCS1_2048_8192_SHA512,
];

/// Extended key usages speak of TLS, mail and code. There is none for assertions, so none is asked for and none refused.
struct AnyUse;

impl ExtendedKeyUsageValidator for AnyUse {
    fn validate(&self, _: KeyPurposeIdIter<'_, '_>) -> Result<(), webpki::Error> {
        Ok(())
    }
}

impl TrustAnchors {
    /// From the anchors, the authorities between them and the signers (may be empty), and the revocation lists of all of
    /// those: each one in DER, or any number in PEM.
    ///
    /// Errors: `Unreadable`, `None`.
    pub fn new(anchors: &[u8], intermediates: &[u8], revoked: &[u8]) -> Result<Self, CertificateFault> {
        let anchors: Vec<_> = bundle::<CertificateDer<'static>>(anchors, "a trust anchor")?
            .iter()
            .map(|anchor| webpki::anchor_from_trusted_cert(anchor).map(|anchor| anchor.to_owned()))
            .collect::<Result<_, _>>()
            .map_err(|_| CertificateFault::Unreadable("a trust anchor"))?;
        if anchors.is_empty() {
            return Err(CertificateFault::None("trust anchor"));
        }
        let revoked = bundle::<CertificateRevocationListDer<'static>>(revoked, "a revocation list")?
            .iter()
            .map(|list| OwnedCertRevocationList::from_der(list).map(CertRevocationList::from))
            .collect::<Result<Vec<_>, _>>()
            .map_err(|_| CertificateFault::Unreadable("a revocation list"))?;
        if revoked.is_empty() {
            return Err(CertificateFault::None("revocation list"));
        }
        Ok(Self { anchors, intermediates: bundle(intermediates, "an intermediate certificate")?, revoked })
    }

    /// Whether a signing certificate holds at a time: it chains to an anchor, and neither it nor one above it is out of its
    /// dates or revoked, by revocation lists that are in date themselves.
    ///
    /// Errors: what is wrong.
    pub fn check(&self, certificate: &SigningCertificate, now: Timestamp) -> Result<(), CertificateFault> {
        let seconds =
            u64::try_from(now.millis().div_euclid(1000)).map_err(|_| CertificateFault::NotYetValid)?;
        let lists: Vec<&CertRevocationList<'_>> = self.revoked.iter().collect();
        let revocation = RevocationOptionsBuilder::new(&lists)
            .map_err(|_| CertificateFault::RevocationUnknown)?
            .with_depth(RevocationCheckDepth::Chain)
            .with_status_policy(UnknownStatusPolicy::Deny)
            .with_expiration_policy(ExpirationPolicy::Enforce)
            .build();
        let signer = EndEntityCert::try_from(&certificate.0).map_err(fault_of)?;
        let time = UnixTime::since_unix_epoch(Duration::from_secs(seconds));
        signer
            .verify_for_usage(
                PATH_SIGNATURES,
                &self.anchors,
                &self.intermediates,
                time,
                AnyUse,
                Some(revocation),
                None,
            )
            .map(|_| ())
            .map_err(fault_of)
    }
}

impl fmt::Debug for TrustAnchors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TrustAnchors")
            .field("anchors", &self.anchors.len())
            .field("intermediates", &self.intermediates.len())
            .field("revoked", &self.revoked.len())
            .finish()
    }
}

/// Any number of things in PEM, one in DER, or none at all.
fn bundle<T: PemObject + From<Vec<u8>>>(
    bytes: &[u8],
    what: &'static str,
) -> Result<Vec<T>, CertificateFault> {
    const PEM: &[u8] = b"-----BEGIN ";
    if bytes.windows(PEM.len()).any(|window| window == PEM) {
        T::pem_slice_iter(bytes).collect::<Result<_, _>>().map_err(|_| CertificateFault::Unreadable(what))
    } else if bytes.is_empty() {
        Ok(Vec::new())
    } else {
        Ok(vec![T::from(bytes.to_vec())])
    }
}

fn fault_of(error: webpki::Error) -> CertificateFault {
    use webpki::Error;
    match error {
        Error::UnknownIssuer => CertificateFault::UnknownIssuer,
        Error::CertExpired { .. } => CertificateFault::Expired,
        Error::CertNotValidYet { .. } => CertificateFault::NotYetValid,
        Error::CertRevoked => CertificateFault::Revoked,
        Error::UnknownRevocationStatus => CertificateFault::RevocationUnknown,
        Error::CrlExpired { .. } => CertificateFault::RevocationListExpired,
        Error::CaUsedAsEndEntity => CertificateFault::Authority,
        other => CertificateFault::Path(other.to_string()),
    }
}
