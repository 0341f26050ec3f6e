//! Where options come from: an error about one that nobody typed names the variable that set it.

use super::Cli;
use clap::builder::StyledStr;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, Command, CommandFactory, Error, FromArgMatches};
use std::ffi::OsString;

/// The options that environment variables set, with those.
#[derive(Debug, Default)]
pub struct Origins(Vec<(String, String)>);

impl Origins {
    /// The variables behind the options that a text names; empty where there are none.
    pub fn note_on(&self, arguments: &str) -> String {
        let named = |option: &str| arguments.split([' ', ',']).any(|word| word == option);
        let set = self.0.iter().filter(|(option, _)| named(option));
        set.map(|(option, variable)| format!(" ({option} is set by the environment variable {variable})"))
            .collect()
    }

    fn of(command: &Command, matches: &ArgMatches) -> Self {
        let mut found = Vec::new();
        let (mut command, mut matches) = (command, matches);
        loop {
            let by_variable =
                |arg: &&Arg| matches.value_source(arg.get_id().as_str()) == Some(ValueSource::EnvVariable);
            // Global options are asked for where they were defined.
            let defined = command.get_arguments().filter(|arg| matches.ids().any(|id| id == arg.get_id()));
            for one in defined.filter(by_variable).filter_map(option_and_variable) {
                // A global option is one of every subcommand, too.
                if !found.contains(&one) {
                    found.push(one);
                }
            }
            let Some((name, within)) = matches.subcommand() else { return Self(found) };
            let Some(next) = command.find_subcommand(name) else { return Self(found) };
            (command, matches) = (next, within);
        }
    }
}

fn option_and_variable(arg: &Arg) -> Option<(String, String)> {
    Some((format!("--{}", arg.get_long()?), arg.get_env()?.to_str()?.to_owned()))
}

/// Reads a command line.
///
/// Errors: what is wrong with it, and which variable set the options that are named there.
pub fn parse(words: impl IntoIterator<Item = OsString>) -> Result<(Cli, Origins), Error> {
    let words: Vec<OsString> = words.into_iter().collect();
    let mut command = Cli::command();
    let matches =
        command.try_get_matches_from_mut(&words).map_err(|error| with_variables(error, &command, &words))?;
    refuse_unheeded(&mut command, &matches)?;
    let origins = Origins::of(&command, &matches);
    Ok((Cli::from_arg_matches(&matches)?, origins))
}

/// What is not heeded beside an argument, of those that a variable may set for all commands: that one is set so is no mistake, that it is typed is.
const UNHEEDED: &[(&str, &[&str])] = &[
    ("server", &["lake", "job_type_roles"]),
    ("operator", &["token", "job_type_roles"]),
    ("command", &["history"]),
    ("file", &["history"]),
];

/// Commands that ask either a server or a lake.
const OF_EITHER: &[&[&str]] = &[&["sql"], &["report", "run"]];

/// Refuses what is typed and would not be heeded.
fn refuse_unheeded(command: &mut Command, matches: &ArgMatches) -> Result<(), Error> {
    let (mut command, mut matches, mut path) = (command, matches, Vec::new());
    while let Some((name, within)) = matches.subcommand() {
        let Some(next) = command.find_subcommand_mut(name) else { return Ok(()) };
        path.push(name);
        (command, matches) = (next, within);
    }
    if !OF_EITHER.contains(&path.as_slice()) {
        return Ok(());
    }
    let is_there = |id: &str| matches.ids().any(|one| one == id);
    let source = |id: &str| is_there(id).then(|| matches.value_source(id)).flatten();
    for (beside, unheeded) in UNHEEDED {
        let is_given = source(beside).is_some_and(|of| of != ValueSource::DefaultValue);
        let typed = unheeded.iter().find(|id| source(id) == Some(ValueSource::CommandLine));
        if let Some(typed) = typed.filter(|_| is_given) {
            let shown = |id: &str| {
                let arg = command.get_arguments().find(|arg| arg.get_id() == id);
                arg.map(ToString::to_string).unwrap_or_default()
            };
            let told = format!("the argument '{}' cannot be used with '{}'", shown(typed), shown(beside));
            return Err(command.error(ErrorKind::ArgumentConflict, told));
        }
    }
    Ok(())
}

fn with_variables(mut error: Error, command: &Command, words: &[OsString]) -> Error {
    let mut known = Vec::new();
    collect(command, &mut known);
    let mut notes: Vec<StyledStr> = Vec::new();
    for named in
        [ContextKind::InvalidArg, ContextKind::PriorArg].into_iter().filter_map(|kind| error.get(kind))
    {
        let named = match named {
            ContextValue::String(one) => vec![one.clone()],
            ContextValue::Strings(several) => several.clone(),
            _ => Vec::new(),
        };
        for (option, variable) in &known {
            let is_named = named.iter().any(|text| text.split(' ').next() == Some(option));
            let is_typed = words.iter().filter_map(|word| word.to_str()).any(|word| {
                word.strip_prefix(option.as_str())
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with('='))
            });
            if is_named && !is_typed && std::env::var_os(variable).is_some() {
                let note = format!("{option} is set by the environment variable {variable}");
                notes.push(note.into());
            }
        }
    }
    if !notes.is_empty() {
        error.insert(ContextKind::Suggested, ContextValue::StyledStrs(notes));
    }
    error
}

/// Every option of a command and those below it that a variable may set, each once.
fn collect(command: &Command, found: &mut Vec<(String, String)>) {
    for one in command.get_arguments().filter_map(option_and_variable) {
        if !found.contains(&one) {
            found.push(one);
        }
    }
    command.get_subcommands().for_each(|within| collect(within, found));
}
