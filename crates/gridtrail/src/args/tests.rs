//! Tests of the arguments: what is accepted, what is refused, and what the defaults are.

use super::*;
use clap::{CommandFactory, error::ErrorKind};

#[derive(Debug, Parser)]
struct Tool<A: clap::Args> {
    #[command(flatten)]
    args: A,
}

fn read<A: clap::Args>(line: &str) -> Result<A, ErrorKind> {
    let words = std::iter::once("tool").chain(line.split_whitespace());
    Tool::try_parse_from(words).map(|tool: Tool<A>| tool.args).map_err(|error| error.kind())
}

const DEVICE: &str = "--device 88-73-84-57-00-2F-96-1E";

/// Clap's own checks: no two arguments of one name, no default that its parser refuses.
#[test]
fn the_definitions_are_sound() {
    Cli::command().debug_assert();
    Tool::<DemoArgs>::command().debug_assert();
    Tool::<GenerateArgs>::command().debug_assert();
    Tool::<IngestArgs>::command().debug_assert();
    Tool::<ServeArgs>::command().debug_assert();
    Tool::<SearchArgs>::command().debug_assert();
    Tool::<VerifyArgs>::command().debug_assert();
    Tool::<RetainArgs>::command().debug_assert();
    Tool::<FreshnessArgs>::command().debug_assert();
    Tool::<TokenArgs>::command().debug_assert();
    Tool::<BenchSearchArgs>::command().debug_assert();
    Tool::<BenchLookupArgs>::command().debug_assert();
}

#[test]
fn the_limits_of_callers_are_those_of_the_server() {
    let args = read::<CallerArgs>("").unwrap();
    assert_eq!(args.limits(), gridtrail_server::Limits::default());
    assert_eq!(read::<CallerArgs>("--person-calls 0").unwrap_err(), ErrorKind::ValueValidation);
}

#[test]
fn logins_want_all_that_they_need() {
    let serve = |more: &str| read::<ServeArgs>(&format!("--plain-text {more}"));
    assert!(serve("--public-key k").is_ok());
    assert_eq!(serve("").unwrap_err(), ErrorKind::MissingRequiredArgument);
    let all = "--saml-entity-id urn:x --saml-acs-url https://x/saml/acs --saml-anchors a --saml-revoked r --session-key s";
    assert!(serve(all).is_ok());
    for left_out in
        ["--saml-acs-url https://x/saml/acs", "--saml-anchors a", "--saml-revoked r", "--session-key s"]
    {
        assert_eq!(
            serve(&all.replace(left_out, "")).unwrap_err(),
            ErrorKind::MissingRequiredArgument,
            "{left_out}"
        );
    }
    assert_eq!(serve("--public-key k --session-key s").unwrap_err(), ErrorKind::MissingRequiredArgument);
}

#[test]
fn an_open_copy_is_of_all_parties_or_of_one() {
    let export = |more: &str| {
        let line = format!("tool --to data/open --who j.smith {more}");
        Tool::<ExportArgs>::try_parse_from(line.split_whitespace()).map(|tool| tool.args)
    };
    assert!(export("--all-parties").is_ok());
    assert!(export("--party region --access-lapse 1h").is_ok());
    let of_nobody = export("").unwrap_err();
    assert_eq!(of_nobody.kind(), ErrorKind::MissingRequiredArgument);
    let told = of_nobody.to_string();
    assert!(told.contains("--all-parties") && told.contains("--party"), "{told}");
    assert_eq!(export("--all-parties --party region").unwrap_err().kind(), ErrorKind::ArgumentConflict);
    let lapse = export("--all-parties --access-lapse 1h").unwrap_err();
    assert_eq!(lapse.kind(), ErrorKind::ArgumentConflict);
    assert!(lapse.to_string().contains("--access-lapse"), "{lapse}");
}

#[test]
fn a_search_takes_exactly_one_key_and_one_credential() {
    let search = read::<SearchArgs>;
    assert!(search(&format!("{DEVICE} --token x")).is_ok());
    assert_eq!(search("--token x").unwrap_err(), ErrorKind::MissingRequiredArgument);
    assert_eq!(search(DEVICE).unwrap_err(), ErrorKind::MissingRequiredArgument);
    let two_keys = format!("{DEVICE} --uprn 1 --token x");
    assert_eq!(search(&two_keys).unwrap_err(), ErrorKind::ArgumentConflict);
    let two_credentials = format!("{DEVICE} --token x --token-file y");
    assert_eq!(search(&two_credentials).unwrap_err(), ErrorKind::ArgumentConflict);
}

#[test]
fn a_malformed_value_is_refused_before_anything_is_sent() {
    for wrong in ["--device 88-73", "--mpxn 12", "--uprn x"] {
        assert_eq!(
            read::<SearchArgs>(&format!("{wrong} --token x")).unwrap_err(),
            ErrorKind::ValueValidation
        );
    }
    for wrong in ["--srv 4.8.1,x", "--from yesterday", "--page-size 0", "--page-size 1001"] {
        let line = format!("{DEVICE} --token x {wrong}");
        assert_eq!(read::<SearchArgs>(&line).unwrap_err(), ErrorKind::ValueValidation, "{wrong}");
    }
}

#[test]
fn variants_come_as_a_list_or_one_by_one() {
    let args: SearchArgs = read(&format!("{DEVICE} --token x --srv 4.8.1,4.17 --srv 11.2")).unwrap();
    let texts: Vec<_> = args.srv.iter().map(ToString::to_string).collect();
    assert_eq!(texts, ["4.8.1", "4.17", "11.2"]);
}

#[test]
fn a_day_ends_with_its_last_millisecond_and_an_instant_with_itself() {
    let day: Bound = "2026-03-01".parse().unwrap();
    assert_eq!(day.first().to_string(), "2026-03-01T00:00:00.000Z");
    assert_eq!(day.last().to_string(), "2026-03-01T23:59:59.999Z");
    let instant: Bound = "2026-03-01T01:00:00+01:00".parse().unwrap();
    assert_eq!(instant.first(), instant.last());
    assert_eq!(instant.first(), day.first());
}

#[test]
fn a_token_names_users_and_roles_and_ends_within_a_day() {
    let one = "--party Avon --user-id 90-B3-D5-1F-30-01-00-00 --role role-01,2";
    let args: TokenArgs = read(one).unwrap();
    assert_eq!((args.role, args.ttl.seconds()), (vec!["role-01".to_owned(), "2".to_owned()], 8 * 3_600));
    assert_eq!((args.party.as_str(), args.org_id), ("Avon", gridtrail_access::OrgId::All));
    assert_eq!(read::<TokenArgs>("--role 1").unwrap_err(), ErrorKind::MissingRequiredArgument);
    for wrong in [
        "--org-id granted",
        "--user-id 90",
        "--ttl 25h",
        "--ttl 0s",
        "--ttl 8",
        "--ttl h",
        "--ttl 4294967295h",
    ] {
        assert_eq!(read::<TokenArgs>(&format!("{one} {wrong}")).unwrap_err(), ErrorKind::ValueValidation);
    }
}

#[test]
fn a_page_token_and_all_pages_exclude_each_other() {
    let line = format!("{DEVICE} --token x --page-token y --all");
    assert_eq!(read::<SearchArgs>(&line).unwrap_err(), ErrorKind::ArgumentConflict);
}

#[test]
fn the_server_wants_a_key_and_listens_on_this_machine_only() {
    assert_eq!(read::<ServeArgs>("").unwrap_err(), ErrorKind::MissingRequiredArgument);
    let args: ServeArgs = read("--public-key k.pem --plain-text").unwrap();
    assert!(args.listen.ip().is_loopback());
}

#[test]
fn how_a_server_encrypts_is_never_left_open() {
    let serve = |line: &str| read::<ServeArgs>(&format!("--public-key k.pem {line}")).map(drop);
    for missing in ["", "--tls-certificate c", "--tls-key k", "--plain-text --client-anchors a"] {
        assert_eq!(serve(missing), Err(ErrorKind::MissingRequiredArgument), "{missing}");
    }
    assert_eq!(serve("--plain-text --tls-certificate c --tls-key k"), Err(ErrorKind::ArgumentConflict));
    assert_eq!(
        serve("--tls-certificate c --tls-key k --client-revoked r"),
        Err(ErrorKind::MissingRequiredArgument)
    );
    assert_eq!(serve("--tls-certificate c --tls-key k --client-anchors a --client-revoked r"), Ok(()));
}

#[test]
fn freshness_is_asked_of_a_server_with_a_token_or_of_a_lake_without() {
    let freshness = read::<FreshnessArgs>;
    assert_eq!(freshness("").unwrap_err(), ErrorKind::MissingRequiredArgument);
    for line in ["--token x", "--token-file x --server http://[::1]:1", "--lake data/lake --check"] {
        assert!(freshness(line).is_ok(), "{line}");
    }
    for line in ["--lake x --server http://[::1]:1", "--lake x --token-file y", "--token x --token-file y"] {
        assert_eq!(freshness(line).unwrap_err(), ErrorKind::ArgumentConflict, "{line}");
    }
    let csv = |line| freshness(line).unwrap().csv;
    assert_eq!(csv("--lake x"), None);
    assert_eq!(csv("--lake x --csv"), Some("-".into()));
    assert_eq!(csv("--lake x --csv days.csv --check"), Some("days.csv".into()));
}

#[test]
fn levels_that_do_not_ascend_are_refused() {
    let levels = |line: &str| read::<FreshnessArgs>(&format!("--lake x {line}")).unwrap().levels.levels();
    assert_eq!(levels(""), Ok(gridtrail_freshness::Levels::default()));
    assert!(levels("--freshness-warn 1s --freshness-critical 2s --freshness-breach 3s").is_ok());
    for line in ["--freshness-warn 20h", "--freshness-critical 24h", "--freshness-breach 1h"] {
        assert!(levels(line).is_err(), "{line}");
    }
}

#[test]
fn metrics_are_shown_only_when_asked_for() {
    assert_eq!(read::<ServeArgs>("--public-key k.pem --plain-text").unwrap().metrics.metrics, None);
    let args: ServeArgs = read("--public-key k.pem --plain-text --metrics 127.0.0.1:9471").unwrap();
    assert!(args.metrics.metrics.is_some_and(|address| address.ip().is_loopback()));
    assert!(!args.metrics.metrics_open);
    assert!(read::<ServeArgs>("--public-key k.pem --plain-text --metrics-open").is_err());
}

/// The words of a line as a shell reads it, as far as examples need that: words in quotes, and no redirection.
fn words(line: &str) -> Vec<String> {
    let line = line.split(" > ").next().unwrap_or_default();
    let mut words = Vec::new();
    for (number, part) in line.split(['"', '\'']).enumerate() {
        if number % 2 == 1 {
            words.push(part.to_owned());
        } else {
            words.extend(part.split_whitespace().map(str::to_owned));
        }
    }
    words
}

/// The examples in the help of a command and of those beneath it.
fn examples(command: &clap::Command, found: &mut Vec<String>) {
    let help = command.get_after_help().map(ToString::to_string).unwrap_or_default().replace("\\\n", " ");
    let lines = help.lines().map(str::trim).filter(|line| line.starts_with("gridtrail "));
    found.extend(lines.map(str::to_owned));
    command.get_subcommands().for_each(|command| examples(command, found));
}

#[test]
fn every_example_of_the_help_is_a_line_that_is_read() {
    let mut found = Vec::new();
    examples(&Cli::command(), &mut found);
    assert!(found.len() > 40, "{found:#?}");
    for example in found {
        if let Err(error) = Cli::try_parse_from(words(&example)) {
            panic!("{example}\n{error}");
        }
    }
}

/// What is said of topics and of files goes over the kinds of records.
#[test]
fn help_names_every_kind_of_records() {
    let help = |command: &str| {
        let mut cli = Cli::command();
        let command = cli.find_subcommand_mut(command).unwrap();
        command.render_long_help().to_string().split_whitespace().collect::<Vec<_>>().join(" ")
    };
    let (ingest, publish) = (help("ingest"), help("publish"));
    for kind in gridtrail_ingest::KINDS {
        assert!(ingest.contains(kind.topic) && ingest.contains(kind.name), "{kind:?}: {ingest}");
        if let Some(mark) = kind.topic_mark {
            assert!(ingest.contains(&format!("with `{mark}` in its name, of {}", kind.name)), "{ingest}");
        }
        if let Some(mark) = kind.file_mark {
            assert!(publish.contains(&format!("{} (.{mark}.binpb, .{mark}.jsonl)", kind.name)), "{publish}");
        }
    }
}

/// What a server is to say is not taken and left out, nor is a file that nothing is written to.
#[test]
fn sql_refuses_what_it_would_not_heed() {
    let sql = |more: &str| read::<SqlArgs>(&format!("--token t {more}"));
    assert!(sql("").is_ok() && sql("-c x --parquet f").is_ok() && sql("-f x --parquet f").is_ok());
    assert_eq!(sql("--parquet f").unwrap_err(), ErrorKind::MissingRequiredArgument);
    assert_eq!(sql("-c x -f x").unwrap_err(), ErrorKind::ArgumentConflict);
    for over_a_lake in [
        "--memory 64",
        "--spill /tmp",
        "--parts 4",
        "--time 1m",
        "--key k",
        "--access-lapse 1h",
        "--operator",
        "--read-only",
    ] {
        assert!(sql(over_a_lake).is_ok(), "{over_a_lake}");
        let refused = sql(&format!("--server http://localhost:1 {over_a_lake}")).unwrap_err();
        assert_eq!(refused, ErrorKind::ArgumentConflict, "{over_a_lake}");
    }
    assert!(sql("--server http://localhost:1 -c x --parquet f").is_ok());
    for not_by_a_user in ["--key k", "--access-lapse 1h"] {
        assert_eq!(sql(&format!("--operator {not_by_a_user}")).unwrap_err(), ErrorKind::ArgumentConflict);
    }
}

/// What a variable may set for all commands is refused where it is typed beside what does not heed it, by name, and is no mistake otherwise.
#[test]
fn what_is_typed_and_not_heeded_is_refused() {
    let read = |line: &str| parse(line.split_whitespace().map(Into::into)).map(drop);
    let server = "--server http://localhost:1 --token t";
    for command in ["gridtrail sql -c x", "gridtrail report run load-balance"] {
        assert!(read(&format!("{command} {server}")).is_ok(), "{command}");
        for over_a_lake in ["--lake l", "--job-type-roles r"] {
            assert!(read(&format!("{command} --token t {over_a_lake}")).is_ok(), "{command} {over_a_lake}");
            let refused = read(&format!("{command} {server} {over_a_lake}")).unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::ArgumentConflict, "{command} {over_a_lake}");
            let (option, told) = (over_a_lake.split(' ').next().unwrap(), refused.to_string());
            assert!(told.contains(option) && told.contains("--server"), "{told}");
        }
    }
    for (line, ok) in [
        ("sql --operator --lake l -c x", true),
        ("sql --operator --token t -c x", false),
        ("sql --operator --job-type-roles r -c x", false),
        ("sql --token t --history h", true),
        ("sql --token t --history h -c x", false),
        ("sql --token t --history h -f x", false),
        // Both are asked there.
        ("freshness --server http://localhost:1 --token t", true),
    ] {
        let read = read(&format!("gridtrail {line}"));
        assert_eq!(read.is_ok(), ok, "{line}: {read:?}");
    }
}

/// What a server is to say of reports is not taken and left out.
#[test]
fn reports_of_a_server_refuse_what_it_would_not_heed() {
    let report = |more: &str| read::<RunReportArgs>(&format!("load-balance --token t {more}"));
    assert!(report("--server http://localhost:1 --output o --user-id 90-B3-D5-1F-30-02-00-00").is_ok());
    for over_a_lake in
        ["--memory 64", "--parts 4", "--time 1m", "--key k", "--access-lapse 1h", "--read-only"]
    {
        assert!(report(over_a_lake).is_ok(), "{over_a_lake}");
        let refused = report(&format!("--server http://localhost:1 {over_a_lake}")).unwrap_err();
        assert_eq!(refused, ErrorKind::ArgumentConflict, "{over_a_lake}");
    }
    let list = |more: &str| read::<ListReportsArgs>(more).map(drop);
    assert!(list("").is_ok() && list("--server http://localhost:1 --token-file f").is_ok());
    assert_eq!(list("--token-file f").unwrap_err(), ErrorKind::MissingRequiredArgument);
}
