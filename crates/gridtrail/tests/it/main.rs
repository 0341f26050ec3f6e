//! Tests of the real command. Because of them cargo builds it, which those in the folder `tests` of the repository need too.

use std::process::{Command, Output};

fn gridtrail(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_gridtrail")).args(args).output().expect("the binary starts")
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("output is UTF-8")
}

#[test]
fn completions_are_the_only_thing_on_standard_output() {
    for (shell, sign) in
        [("bash", "complete -F"), ("zsh", "#compdef gridtrail"), ("fish", "complete -c gridtrail")]
    {
        let output = gridtrail(&["completions", shell]);
        assert!(output.status.success());
        assert!(text(&output.stdout).contains(sign), "{shell}");
        assert_eq!(text(&output.stderr), "", "{shell}");
    }
}

#[test]
fn wrong_arguments_exit_with_2_and_say_what_is_wrong() {
    for args in
        [&["completions", "vms"][..], &["no-such-command"], &["--log", "a=b=c", "completions", "bash"]]
    {
        let output = gridtrail(args);
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        assert_eq!(text(&output.stdout), "", "{args:?}");
        assert!(!output.stderr.is_empty(), "{args:?}");
    }
}

#[test]
fn help_lists_the_exit_codes() {
    let output = gridtrail(&["--help"]);
    assert!(text(&output.stdout).contains("Exit codes:"));
}

/// What nobody typed is named with the variable that set it, whether clap refuses it or its use shows it to be wrong.
#[test]
fn an_error_names_the_variable_that_set_an_option() {
    let with = |variable: &str, value: &str, args: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_gridtrail"));
        let output = command.args(args).env(variable, value).output().expect("the binary starts");
        (output.status.code(), text(&output.stderr).to_owned())
    };
    let hold = [
        "lake",
        "hold",
        "add",
        "--device",
        "88-73-84-57-00-2F-96-1E",
        "--reason",
        "r",
        "--lake",
        "/nowhere/x",
    ];
    let (code, error) = with("GRIDTRAIL_WHO", " ", &hold);
    assert!(
        code == Some(2) && error.contains("--who is set by the environment variable GRIDTRAIL_WHO"),
        "{error}"
    );
    let (code, error) = with("GRIDTRAIL_LAKE", "/nowhere/lake", &["lake", "status"]);
    assert!(
        code == Some(2) && error.contains("--lake is set by the environment variable GRIDTRAIL_LAKE"),
        "{error}"
    );
    let whoami = ["whoami", "--token-file", "me.jwt"];
    let (code, error) = with("GRIDTRAIL_TOKEN", "x", &whoami);
    assert!(code == Some(2) && error.contains("GRIDTRAIL_TOKEN"), "two of one kind: {error}");
    let (code, error) = with("GRIDTRAIL_SERVER", "127.0.0.1:8471", &["whoami", "--token", "x"]);
    assert!(
        code == Some(2) && error.contains("--server is set by the environment variable GRIDTRAIL_SERVER"),
        "{error}"
    );
    let (_, error) = with("GRIDTRAIL_LOG", "a=b=c", &["completions", "bash"]);
    assert!(error.contains("GRIDTRAIL_LOG"), "{error}");
    // What is typed is not the variable's.
    let (_, error) = with("GRIDTRAIL_LAKE", "x", &["lake", "status", "--lake", "/nowhere/lake"]);
    assert!(!error.contains("GRIDTRAIL_LAKE"), "{error}");
    let (_, error) = with("GRIDTRAIL_LAKE", "x", &["lake", "status", "--lake"]);
    assert!(!error.contains("GRIDTRAIL_LAKE"), "{error}");
}

/// A date that is refused says which forms there are.
#[test]
fn a_date_that_is_refused_says_which_forms_there_are() {
    let search = ["search", "audit", "--token", "x", "--device", "88-73-84-57-00-2F-96-1E"];
    for (option, forms) in [
        ("--from", &["2026-03-01", "2026-03-01T09:30:00Z"][..]),
        ("--to", &["2026-03-01", "2026-03-01T09:30:00Z"]),
        ("--as-of", &["1204", "2026-03-01T09:30:00Z"]),
    ] {
        for wrong in ["yesterday", "01/03/2026", "2026-03-01T09:30:00", "2026-13-01"] {
            let output = gridtrail(&[&search[..], &[option, wrong]].concat());
            let error = text(&output.stderr);
            assert_eq!(output.status.code(), Some(2), "{option} {wrong}: {error}");
            assert!(forms.iter().all(|form| error.contains(form)), "{option} {wrong}: {error}");
        }
    }
}
