//! Further settings of the Kafka client, and whose eyes the secrets among them are for.

use crate::args::TopicArgs;
use crate::exit::Failure;
use crate::text;
use std::path::Path;

/// Settings whose value is a secret.
const SECRETS: [&str; 8] = [
    "sasl.oauthbearer.assertion.private.key.passphrase",
    "sasl.oauthbearer.assertion.private.key.pem",
    "sasl.oauthbearer.client.secret",
    "sasl.oauthbearer.config",
    "sasl.password",
    "ssl.key.password",
    "ssl.key.pem",
    "ssl.keystore.password",
];

/// Settings that name a file which holds a private key or a secret.
const SECRET_FILES: [&str; 3] =
    ["sasl.oauthbearer.assertion.private.key.file", "ssl.key.location", "ssl.keystore.location"];

/// The settings of `--kafka-config` and then those of `--kafka-set`. A file that holds a secret, and one that they name, is one that
/// others can neither read nor change.
pub(crate) fn kafka_properties(
    file: Option<&Path>,
    set: &[(String, String)],
) -> Result<Vec<(String, String)>, Failure> {
    let mut properties = Vec::new();
    if let Some(path) = file {
        properties = TopicArgs::settings_of(&text::read(path)?).map_err(|why| Failure::Argument {
            argument: "--kafka-config",
            reason: format!("{}: {why}", path.display()),
        })?;
        if path.as_os_str() != "-" && properties.iter().any(|(name, _)| SECRETS.contains(&name.as_str())) {
            text::check_key(path)?;
        }
    }
    properties.extend(set.iter().cloned());
    for (name, value) in &properties {
        if SECRET_FILES.contains(&name.as_str()) {
            text::check_key(Path::new(value))?;
        }
    }
    Ok(properties)
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt as _;

    /// What is no secret may be read by all.
    #[test]
    fn secrets_and_keys_of_the_client_are_its_users_alone() {
        let folder = tempfile::tempdir().unwrap();
        let (file, key) = (folder.path().join("kafka.conf"), folder.path().join("kafka.key"));
        fs::write(&key, "key").unwrap();
        let named = format!("ssl.key.location={}", key.display());
        let config = |text: &str, mode: u32, key_mode: u32| {
            fs::write(&file, text).unwrap();
            fs::set_permissions(&file, Permissions::from_mode(mode)).unwrap();
            fs::set_permissions(&key, Permissions::from_mode(key_mode)).unwrap();
            kafka_properties(Some(&file), &[]).map_err(|failure| failure.report())
        };
        assert!(config("security.protocol=SSL\n", 0o644, 0o644).is_ok());
        assert!(config("sasl.password=hunter2\n", 0o600, 0o644).is_ok());
        assert!(config(&named, 0o644, 0o600).is_ok());
        let told = config("sasl.password=hunter2\n", 0o644, 0o600).unwrap_err();
        assert!(
            told.contains("chmod 0600") && told.contains("kafka.conf") && !told.contains("hunter2"),
            "{told}"
        );
        let told = config(&named, 0o600, 0o644).unwrap_err();
        assert!(told.contains("chmod 0600") && told.contains("kafka.key"), "{told}");
        let set = ("ssl.key.location".to_owned(), key.display().to_string());
        assert!(kafka_properties(None, &[set]).is_err());
    }
}
