//! `gridtrail dev-certificate`: a self-signed certificate for local development.

use crate::args::DevCertificateArgs;
use crate::exit::Failure;
use rcgen::{CertificateParams, DnType, KeyPair, PKCS_RSA_SHA256, RsaKeySize};
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::Path;

pub(crate) fn run(args: &DevCertificateArgs) -> Result<(), Failure> {
    let failed = |error: rcgen::Error| Failure::Argument { argument: "--name", reason: error.to_string() };
    let mut params = CertificateParams::new(args.name.clone()).map_err(failed)?;
    params.distinguished_name.push(DnType::CommonName, "gridtrail development");
    // RSA, for that is what the suites of TLS 1.2 are for.
    let key = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).map_err(failed)?;
    let certificate = params.self_signed(&key).map_err(failed)?;
    write_secret(&args.key, key.serialize_pem().as_bytes())?;
    fs::write(&args.certificate, certificate.pem()).map_err(Failure::file("write", &args.certificate))
}

/// Writes a file anew that only its owner can read.
pub(crate) fn write_secret(path: &Path, contents: &[u8]) -> Result<(), Failure> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(Failure::file("replace", path)(error));
        }
        _ => {}
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path).map_err(Failure::file("create", path))?;
    file.write_all(contents).map_err(Failure::file("write", path))
}
