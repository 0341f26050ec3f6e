//! `gridtrail token`: mints a token from a local development key.

use crate::args::{Format, TokenArgs};
use crate::exit::Failure;
use crate::output;
use crate::serve::role_matrix;
use gridtrail_access::{AccessError, Bearer, DevKey, JobTypeRole, RoleMatrix};
use gridtrail_runtime::Clock;
use serde_json::json;
use std::fs::OpenOptions;
use std::io::{self, ErrorKind, Write};
use std::path::Path;

pub(crate) fn run(args: &TokenArgs, format: Format) -> Result<(), Failure> {
    let roles = role_matrix(args.job_type_roles.as_deref())?;
    let named = args.role.iter().map(|name| role_of(&roles, name)).collect::<Result<_, _>>()?;
    let key = load_or_create(&args.key, DevKey::generate, (DevKey::to_pem, DevKey::from_pem))?;
    let key = key.with_roles(roles);
    if let Some(path) = &args.public_key_out {
        std::fs::write(path, key.to_public_pem()).map_err(Failure::file("write", path))?;
    }
    let now = Clock::system().now();
    let claims = Bearer {
        subject: args.subject.clone(),
        party: args.party.clone(),
        org_id: args.org_id,
        user_ids: args.user_id.iter().copied().collect(),
        roles: named,
        valid_from: now,
        expires_at: now.plus_millis(i64::from(args.ttl.seconds()) * 1_000),
    };
    let token = key.mint(&claims).map_err(|error| match error {
        AccessError::Mint(reason) => Failure::Argument { argument: "token", reason: reason.to_owned() },
        other => other.into(),
    })?;
    let mut out = io::stdout().lock();
    match format {
        Format::Table => output::write(&mut out, format!("{token}\n").as_bytes()),
        Format::Json => {
            let expires_at = claims.expires_at.to_string();
            output::write_json(&mut out, &json!({ "token": token, "expires_at": expires_at }))
        }
    }
}

/// The role of a name or column.
fn role_of(roles: &RoleMatrix, text: &str) -> Result<JobTypeRole, Failure> {
    let by_column = || text.parse().ok().and_then(JobTypeRole::new);
    roles.role(text).or_else(by_column).ok_or_else(|| {
        let names: Vec<&str> = JobTypeRole::all().map(|role| roles.name(role)).collect();
        let reason = format!("there is no Job Type Role {text:?}; there are {}", names.join(", "));
        Failure::Argument { argument: "--role", reason }
    })
}

/// Reads a key, or makes one that only its owner can read.
pub(crate) fn load_or_create<K>(
    path: &Path,
    generate: impl FnOnce() -> Result<K, AccessError>,
    (to_pem, from_pem): (impl FnOnce(&K) -> String, impl FnOnce(&str) -> Result<K, AccessError>),
) -> Result<K, Failure> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(path) {
        Ok(mut file) => {
            let key = generate()?;
            file.write_all(to_pem(&key).as_bytes()).map_err(Failure::file("write", path))?;
            Ok(key)
        }
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            let pem = crate::text::key(path)?;
            from_pem(&pem).map_err(|error| Failure::Argument { argument: "--key", reason: error.to_string() })
        }
        Err(error) => Err(Failure::file("create", path)(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load_or_create(path: &Path) -> Result<DevKey, Failure> {
        super::load_or_create(path, DevKey::generate, (DevKey::to_pem, DevKey::from_pem))
    }

    #[test]
    fn the_key_is_made_once_and_is_its_owners_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key.pem");
        let first = load_or_create(&path).unwrap();
        let second = load_or_create(&path).unwrap();
        assert_eq!(first.to_public_pem(), second.to_public_pem());
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        }
    }

    #[test]
    fn what_is_no_key_is_neither_used_nor_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key.pem");
        std::fs::write(&path, "notes").unwrap();
        // One that others can read is not even looked into.
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
            assert!(matches!(load_or_create(&path), Err(Failure::KeyFile(_))));
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        }
        assert!(matches!(load_or_create(&path), Err(Failure::Argument { argument: "--key", .. })));
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "notes");
    }
}
