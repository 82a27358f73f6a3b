// SPDX-License-Identifier: Apache-2.0
//! What happens to the arguments before clap sees them: `noun:verb` becomes `noun verb`, and an unknown command
//! `foo` becomes the program `hop3-foo` of PATH, as with git.
//!
//! Only the first word that is not an option is looked at; nothing after it is changed, but for `backup … --server`,
//! which means the whole server there, and the address of one everywhere else.

use crate::problem;
use clap::{Command, Parser};
use hop3_core::Problem;
use std::ffi::{OsStr, OsString};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Usage errors end with the status shells use for them.
const USAGE: u8 = 2;

/// Parses the program's own arguments; on the error side is the exit status of what was done instead.
pub fn parse<P: Parser>() -> Result<P, ExitCode> {
    let argv: Vec<OsString> = std::env::args_os().collect();
    let argv = match route(&P::command(), argv, std::env::var_os("PATH").as_deref()) {
        Route::Own(argv) => argv,
        Route::External(program, arguments) => {
            let error = std::process::Command::new(&program).args(arguments).exec();
            return Err(tell(&problem::not_started(&program, &error)));
        }
        Route::Unknown(problem) => return Err(tell(&problem)),
    };
    P::try_parse_from(argv).map_err(|error| {
        // Help and version are answers on standard output; a closed one is nobody's error.
        drop(error.print());
        ExitCode::from(if error.use_stderr() { USAGE } else { 0 })
    })
}

fn tell(problem: &Problem) -> ExitCode {
    drop(std::io::stderr().write_all(problem.render().as_bytes()));
    ExitCode::from(problem.kind.exit_code())
}

/// Who handles a command line.
#[derive(Debug)]
pub(crate) enum Route {
    Own(Vec<OsString>),
    External(PathBuf, Vec<OsString>),
    Unknown(Problem),
}

/// Decides who handles a command line.
pub(crate) fn route(command: &Command, mut argv: Vec<OsString>, path: Option<&OsStr>) -> Route {
    let Some(at) = first_word(command, &argv) else { return Route::Own(argv) };
    let word = argv[at].to_string_lossy().into_owned();
    let parts: Vec<&str> = word.split(':').collect();
    if command.find_subcommand(parts[0]).is_some() || word == "help" {
        let is_backup = matches!(parts[0], "backup" | "backups");
        argv.splice(at..=at, parts.into_iter().map(OsString::from));
        if is_backup {
            mean_whole_server(&mut argv[at..]);
        }
        return Route::Own(argv);
    }
    match external(&word, path) {
        Some(program) => Route::External(program, argv.split_off(at + 1)),
        None => Route::Unknown(problem::unknown_command(&word, nearest(command, parts[0]))),
    }
}

/// `--server` without an address after it.
fn mean_whole_server(argv: &mut [OsString]) {
    for at in 0..argv.len() {
        let address = argv.get(at + 1).is_some_and(|next| next.to_string_lossy().contains("://"));
        if argv[at] == "--server" && !address {
            argv[at] = "--whole-server".into();
        }
    }
}

/// The position of the command word: the first argument that is neither an option nor an option's value.
fn first_word(command: &Command, argv: &[OsString]) -> Option<usize> {
    let mut takes_value = false;
    for (i, argument) in argv.iter().enumerate().skip(1) {
        let text = argument.to_string_lossy();
        if std::mem::take(&mut takes_value) {
            continue;
        }
        if text == "--" {
            return None;
        }
        if !text.starts_with('-') {
            return Some(i);
        }
        takes_value = option_takes_value(command, &text);
    }
    None
}

fn option_takes_value(command: &Command, text: &str) -> bool {
    let named = |arg: &&clap::Arg| match text.strip_prefix("--") {
        Some(long) => arg.get_long() == Some(long),
        None => text.len() == 2 && arg.get_short() == text.chars().nth(1),
    };
    command.get_arguments().find(named).is_some_and(|arg| arg.get_action().takes_values())
}

/// `hop3-NAME` in PATH, for names that cannot be paths.
fn external(name: &str, path: Option<&OsStr>) -> Option<PathBuf> {
    if !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_') {
        return None;
    }
    std::env::split_paths(path?).map(|dir| dir.join(format!("hop3-{name}"))).find(|file| is_program(file))
}

fn is_program(file: &Path) -> bool {
    file.metadata().is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0)
}

/// The command that differs least, when it differs little.
fn nearest<'a>(command: &'a Command, word: &str) -> Option<&'a str> {
    command
        .get_subcommands()
        .filter(|c| !c.is_hide_set())
        .map(|c| (strsim::damerau_levenshtein(c.get_name(), word), c.get_name()))
        .filter(|(distance, name)| *distance <= (name.len() / 3).max(1))
        .min()
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests;
