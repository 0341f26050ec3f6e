//! Encrypted connections from the command line: who may connect, and what is said to whoever may not.

use crate::support::{Server, run, succeed, text};
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::time::Duration;

/// How often, and how many times at most, a server is looked at until it has taken in new files.
const LOOK_EVERY: Duration = Duration::from_millis(250);
const LOOKS: u32 = 240;

struct Stage {
    folder: tempfile::TempDir,
}

impl Stage {
    fn set() -> Self {
        let stage = Self { folder: tempfile::tempdir().unwrap() };
        succeed(&[
            "generate",
            "--out",
            &stage.at("events"),
            "--events",
            "1000",
            "--meters",
            &stage.at("meters"),
        ]);
        succeed(&["ingest", &stage.at("events"), "--lake", &stage.at("lake")]);
        let user = ["--party", "supplier-1", "--user-id", "90-B3-D5-1F-30-02-00-00", "--role", "role-01"];
        let key = ["token", "--key", &stage.at("key.pem"), "--public-key-out", &stage.at("key.pub.pem")];
        std::fs::write(stage.at("token"), succeed(&[&key[..], &user].concat())).unwrap();
        for name in ["server", "client", "stranger"] {
            let (certificate, key) = (stage.at(&format!("{name}.pem")), stage.at(&format!("{name}.key")));
            succeed(&["dev-certificate", "--certificate", &certificate, "--key", &key]);
        }
        stage
    }

    fn at(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }

    fn serve(&self, more: &[&str]) -> Server {
        let own = ["--tls-certificate", &self.at("server.pem"), "--tls-key", &self.at("server.key")];
        Server::start_encrypted(&self.at("lake"), &self.at("key.pub.pem"), &[&own[..], more].concat())
    }

    /// A search of the first meter: its exit code, and what it says of errors.
    fn search(&self, server: &str, more: &[&str]) -> (Option<i32>, String) {
        let meters = std::fs::read_to_string(self.at("meters")).unwrap();
        let device = meters.lines().next().unwrap();
        let token = self.at("token");
        let fixed = [
            "search",
            "meter-reads",
            "--server",
            server,
            "--token-file",
            &token,
            "--device",
            device,
            "--all",
        ];
        let output = run(&[&fixed[..], more].concat());
        (output.status.code(), text(&output.stderr))
    }
}

#[test]
fn a_server_with_a_certificate_is_asked_by_whoever_trusts_it() {
    let stage = Stage::set();
    let server = stage.serve(&[]);
    assert!(server.url.starts_with("https://127.0.0.1:"), "{}", server.url);
    assert_eq!(
        stage.search(&server.url, &["--server-anchors", &stage.at("server.pem")]),
        (Some(0), String::new())
    );
    let (code, error) = stage.search(&server.url, &["--server-anchors", &stage.at("stranger.pem")]);
    assert!(code == Some(2) && error.contains("not trusted") && !error.contains("try again"), "{error}");
    let (code, error) = stage.search(&server.url, &[]);
    assert!(code == Some(2) && error.contains("trust anchors"), "{error}");
    let plain = server.url.replace("https", "http");
    let (code, error) = stage.search(&plain, &[]);
    assert!(
        code == Some(2) && error.contains("the server encrypts"),
        "nothing is said in plain text: {error}"
    );
    // Nor to whoever is no client of ours.
    let told = told_plainly(server.url.trim_start_matches("https://"));
    assert!(told.starts_with("HTTP/1.1 400") && told.contains("https"), "{told}");
    server.stop();
    let log = succeed(&["access", "log", "--lake", &stage.at("lake"), "--format", "json"]);
    assert!(log.contains("\"peer\":\"127.0.0.1:"), "who is encrypted has an address all the same: {log}");
}

/// What a server says to a request in plain HTTP.
fn told_plainly(address: &str) -> String {
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
    let mut told = String::new();
    stream.read_to_string(&mut told).unwrap();
    told
}

#[test]
fn whoever_encrypts_to_a_server_that_does_not_is_told_so() {
    let stage = Stage::set();
    let server = Server::start(&stage.at("lake"), &stage.at("key.pub.pem"), &[]);
    let encrypted = server.url.replace("http:", "https:");
    let (code, error) = stage.search(&encrypted, &["--server-anchors", &stage.at("server.pem")]);
    assert!(code == Some(2) && error.contains("does not encrypt"), "{error}");
    // Without a scheme it is no URL; a server that is not there may be there the next time.
    let bare = server.url.replace("http://", "");
    let (code, error) = stage.search(&bare, &[]);
    assert!(code == Some(2) && error.contains("no URL such as"), "{error}");
    let gone = server.url.clone();
    server.stop();
    assert_eq!(stage.search(&gone, &[]).0, Some(6));
}

#[test]
fn a_new_certificate_is_taken_in_while_the_server_runs() {
    let stage = Stage::set();
    let server = stage.serve(&[]);
    let code = |trusted: &str| stage.search(&server.url, &["--server-anchors", &stage.at(trusted)]).0;
    assert_eq!((code("server.pem"), code("stranger.pem")), (Some(0), Some(2)));
    let old = stage.at("old.pem");
    std::fs::copy(stage.at("server.pem"), &old).unwrap();
    // For a moment the key is not that of the certificate: then the old ones stay.
    for (new, place) in [("stranger.pem", "server.pem"), ("stranger.key", "server.key")] {
        std::fs::copy(stage.at(new), stage.at(place)).unwrap();
    }
    let mut looks = 0;
    while code("stranger.pem") != Some(0) {
        assert!(looks < LOOKS, "the new certificate is not in use");
        looks += 1;
        std::thread::sleep(LOOK_EVERY);
    }
    assert_eq!(code("old.pem"), Some(2));
    let log = server.stop();
    assert!(log.contains("new certificates are in use"), "{log}");
}

#[test]
fn a_server_that_wants_certificates_lets_nobody_else_in() {
    let stage = Stage::set();
    let server = stage.serve(&["--client-anchors", &stage.at("client.pem")]);
    let trusting = ["--server-anchors", &stage.at("server.pem")];
    let showing = |name: &str| {
        let (certificate, key) = (stage.at(&format!("{name}.pem")), stage.at(&format!("{name}.key")));
        let shown = ["--client-certificate", &certificate, "--client-key", &key];
        stage.search(&server.url, &[&trusting[..], &shown].concat()).0
    };
    assert_eq!(showing("client"), Some(0));
    // The server's word on it may be lost with the connection that it closes: then it is told as one that broke.
    assert!(matches!(showing("stranger"), Some(4 | 6)));
    let (code, error) = stage.search(&server.url, &trusting);
    let is_told = code == Some(4) && error.contains("--client-certificate");
    assert!(is_told || code == Some(6), "{error}");
    server.stop();
}

#[test]
fn plain_text_is_for_this_machine_and_wrong_files_are_named() {
    let stage = Stage::set();
    let fixed = ["serve", "--lake", &stage.at("lake"), "--public-key", &stage.at("key.pub.pem"), "--listen"];
    let refused = |more: &[&str], words: &str| {
        let output = run(&[&fixed[..], more].concat());
        let error = text(&output.stderr);
        assert!(output.status.code() == Some(2) && error.contains(words), "{error}");
    };
    refused(&["0.0.0.0:0", "--plain-text"], "no loopback address");
    let (certificate, other) = (stage.at("server.pem"), stage.at("client.key"));
    refused(&["127.0.0.1:0", "--tls-certificate", &certificate, "--tls-key", &other], "server.pem");
    let gone = stage.at("gone.key");
    refused(&["127.0.0.1:0", "--tls-certificate", &certificate, "--tls-key", &gone], "gone.key");
}

/// Of every kind of key that a command takes, with the command that mends it.
#[cfg(unix)]
#[test]
fn a_key_that_others_can_read_is_refused_with_the_command_that_mends_it() {
    use std::os::unix::fs::PermissionsExt as _;
    let stage = Stage::set();
    let copied = |name: &str| {
        let loose = stage.at(&format!("loose-{name}"));
        std::fs::copy(stage.at(name), &loose).unwrap();
        std::fs::set_permissions(&loose, std::fs::Permissions::from_mode(0o644)).unwrap();
        loose
    };
    let (lake, anchors) = (stage.at("lake"), stage.at("server.pem"));
    let (key, server_key, client_key) = (copied("key.pem"), copied("server.key"), copied("client.key"));
    std::fs::write(stage.at("page.key"), "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=").unwrap();
    std::fs::write(stage.at("kafka.conf"), "sasl.password=hunter2").unwrap();
    let (page_key, config) = (copied("page.key"), copied("kafka.conf"));
    let public = stage.at("key.pub.pem");
    let serve = ["serve", "--lake", &lake, "--listen", "127.0.0.1:0", "--public-key", &public];
    let sso =
        ["--saml-entity-id", "urn:x", "--saml-acs-url", "https://x/saml/acs", "--saml-anchors", &anchors];
    let sessions = ["--saml-revoked", &anchors, "--session-key", &key, "--plain-text"];
    let search: Vec<&str> =
        "search audit --server https://127.0.0.1:1 --token x --device 00-DB-00-00-00-00-00-01"
            .split(' ')
            .collect();
    let token: Vec<&str> =
        "token --party a --role role-01 --user-id 90-B3-D5-1F-30-02-00-00 --key".split(' ').collect();
    let shown = ["--server-anchors", &anchors, "--client-certificate", &anchors, "--client-key", &client_key];
    let commands: [(Vec<&str>, &str); 6] = [
        ([&token[..], &[&key]].concat(), &key),
        ([&serve[..], &["--tls-certificate", &anchors, "--tls-key", &server_key]].concat(), &server_key),
        ([&serve[..], &["--plain-text", "--page-key", &page_key]].concat(), &page_key),
        ([&serve[..], &sso, &sessions].concat(), &key),
        ([&search[..], &shown].concat(), &client_key),
        (["ingest", "--lake", &lake, "--kafka", "127.0.0.1:1", "--kafka-config", &config].to_vec(), &config),
    ];
    for (command, file) in commands {
        let output = run(&command);
        let told = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{command:?}: {told}");
        assert!(told.contains(&format!("chmod 0600 {file}")), "{command:?}: {told}");
        assert!(!told.contains("hunter2"), "{told}");
    }
}

/// Whatever the command makes: lakes, files and keys.
#[cfg(unix)]
#[test]
fn what_the_command_makes_is_its_users_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    succeed(&["generate", "--out", &at("events"), "--events", "500"]);
    succeed(&["ingest", &at("events"), "--lake", &at("lake")]);
    succeed(&["dev-certificate", "--certificate", &at("tls.pem"), "--key", &at("tls.key")]);
    let (mut folders, mut seen) = (vec![folder.path().to_owned()], 0);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let found = path.metadata().unwrap();
            assert_eq!(found.permissions().mode() & 0o077, 0, "{}", path.display());
            folders.extend(found.is_dir().then_some(path));
            seen += 1;
        }
    }
    assert!(seen > 20, "{seen} files and folders");
}

#[cfg(unix)]
#[test]
fn the_key_of_a_certificate_is_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let path = |path: &Path| path.to_str().unwrap().to_owned();
    // One that everybody could read is not merely written over.
    std::fs::write(at("key"), "open").unwrap();
    succeed(&["dev-certificate", "--certificate", &path(&at("certificate")), "--key", &path(&at("key"))]);
    assert_eq!(at("key").metadata().unwrap().permissions().mode() & 0o777, 0o600);
}
