//! Files of private keys: who may have read or changed one.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

/// Why a file of a private key is not used. Nothing that stands in it is ever told.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// It cannot be read.
    #[error("read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Others than its owner, or, for one of root's, its group, can read or change it.
    #[error("others can read or change the private key in {}, whose mode is {mode:04o}: {mend}", path.display())]
    Loose {
        /// The file.
        path: PathBuf,
        /// Its mode, without its kind.
        mode: u32,
        /// The command that mends it.
        mend: String,
    },
    /// It is neither of the user that this process runs as nor of root.
    #[error("the private key in {} is the user's with the number {owner}, who can change it: {mend}", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
        /// Whose it is.
        owner: u32,
        /// The command that mends it.
        mend: String,
    },
}

/// Reads a file that holds a private key, or another secret, as PostgreSQL takes one: with mode 0600 or less if it is the user's that this
/// process runs as, with 0640 or less if it is root's, so that a group may be given it. Links are followed: what they lead to counts.
///
/// Errors: `Read`; `Loose` and `Foreign` say which command mends it.
pub fn read_key_file(path: &Path) -> Result<Vec<u8>, KeyFileError> {
    let failed = |source| KeyFileError::Read { path: path.to_owned(), source };
    // The file that is judged is the one that is read.
    let mut file = File::open(path).map_err(failed)?;
    check(path, &file)?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).map_err(failed)?;
    Ok(bytes)
}

/// Judges a file of a private key that something else will read, as [`read_key_file`] does.
///
/// Errors: as there.
pub fn check_key_file(path: &Path) -> Result<(), KeyFileError> {
    let file = File::open(path).map_err(|source| KeyFileError::Read { path: path.to_owned(), source })?;
    check(path, &file)
}

/// Bits of a mode: what the group may, but read; what the group may; what all others may.
#[cfg(unix)]
const GROUP_CHANGES: u32 = 0o030;
#[cfg(unix)]
const GROUP: u32 = 0o070;
#[cfg(unix)]
const OTHERS: u32 = 0o007;

#[cfg(unix)]
fn check(path: &Path, file: &File) -> Result<(), KeyFileError> {
    use std::os::unix::fs::MetadataExt as _;
    let found = file.metadata().map_err(|source| KeyFileError::Read { path: path.to_owned(), source })?;
    judge(path, (found.uid(), found.mode() & 0o7777), rustix::process::geteuid().as_raw())
}

/// Whether a file of this owner and mode may be used by a process of this user.
#[cfg(unix)]
fn judge(path: &Path, (owner, mode): (u32, u32), user: u32) -> Result<(), KeyFileError> {
    const ROOT: u32 = 0;
    let (loose, right) = match owner {
        ROOT => (GROUP_CHANGES | OTHERS, "0640"),
        owner if owner == user => (GROUP | OTHERS, "0600"),
        owner => {
            let mend = format!("chown {user} {0} && chmod 0600 {0}", quoted(path));
            return Err(KeyFileError::Foreign { path: path.to_owned(), owner, mend });
        }
    };
    if mode & loose == 0 {
        return Ok(());
    }
    // Root's own processes need no group.
    let right = if owner == user { "0600" } else { right };
    let mend = format!("chmod {right} {}", quoted(path));
    Err(KeyFileError::Loose { path: path.to_owned(), mode, mend })
}

/// A path as a shell takes it.
#[cfg(unix)]
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+=:@%".contains(c);
    if !text.is_empty() && !text.starts_with('-') && text.chars().all(plain) {
        return text;
    }
    let text = text.replace('\'', r"'\''");
    if text.starts_with('-') { format!("'./{text}'") } else { format!("'{text}'") }
}

#[cfg(not(unix))]
fn check(_: &Path, _: &File) -> Result<(), KeyFileError> {
    Ok(())
}

/// From here on, all files and folders that this process makes are its user's alone: 0600 and 0700. Returns nothing to put back: no part of
/// a process may loosen it.
pub fn keep_files_private() {
    #[cfg(unix)]
    {
        use rustix::fs::Mode;
        let before = rustix::process::umask(Mode::RWXG | Mode::RWXO);
        rustix::process::umask(before | Mode::RWXG | Mode::RWXO);
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::fs::{self, Permissions};
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    const ROOT: u32 = 0;
    const OURS: u32 = 1000;

    fn judged(owner: u32, mode: u32, user: u32) -> Result<(), String> {
        judge(Path::new("/keys/tls.key"), (owner, mode), user).map_err(|error| error.to_string())
    }

    /// All modes, against the rule in words.
    #[test]
    fn the_owner_alone_may_read_it_and_of_roots_the_group() {
        for mode in 0..=0o777_u32 {
            let (group, others) = (mode >> 3 & 7, mode & 7);
            assert_eq!(judged(OURS, mode, OURS).is_ok(), group == 0 && others == 0, "{mode:o}");
            for user in [ROOT, OURS] {
                let may = (group == 0 || group == 4) && others == 0;
                assert_eq!(judged(ROOT, mode, user).is_ok(), may, "{mode:o}");
            }
            assert!(judged(OURS + 1, mode, OURS).is_err(), "{mode:o}");
        }
    }

    #[test]
    fn what_is_refused_says_which_command_mends_it() {
        let told = judged(OURS, 0o644, OURS).unwrap_err();
        assert!(told.contains("0644") && told.ends_with(": chmod 0600 /keys/tls.key"), "{told}");
        let told = judged(ROOT, 0o644, OURS).unwrap_err();
        assert!(told.ends_with(": chmod 0640 /keys/tls.key"), "{told}");
        let told = judged(OURS + 1, 0o600, OURS).unwrap_err();
        assert!(told.ends_with(": chown 1000 /keys/tls.key && chmod 0600 /keys/tls.key"), "{told}");
        assert_eq!(quoted(Path::new("a b's")), r"'a b'\''s'");
        assert_eq!(quoted(Path::new("-rf")), "'./-rf'");
    }

    #[test]
    fn a_link_counts_as_what_it_leads_to() {
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("..data"), folder.path().join("tls.key"));
        fs::write(&file, "secret").unwrap();
        symlink(&file, &link).unwrap();
        for (mode, taken) in [(0o600, true), (0o400, true), (0o644, false), (0o604, false), (0o660, false)] {
            fs::set_permissions(&file, Permissions::from_mode(mode)).unwrap();
            let read = read_key_file(&link);
            assert_eq!(read.is_ok(), taken, "{mode:o}: {read:?}");
            assert_eq!(check_key_file(&link).is_ok(), taken, "{mode:o}");
            if let Err(error) = read {
                let told = error.to_string();
                assert!(
                    told.contains("chmod") && told.contains("tls.key") && !told.contains("secret"),
                    "{told}"
                );
            }
        }
        assert!(matches!(read_key_file(&folder.path().join("none")), Err(KeyFileError::Read { .. })));
    }
}
