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
