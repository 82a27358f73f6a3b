// SPDX-License-Identifier: Apache-2.0
//! What a named command line means, whichever file it came from: a process of the app, or one of the special names
//! `wsgi asgi static release prebuild build postbuild prerun cron`.

use super::path;
use crate::cron::Schedule;
use crate::name::ProcessName;
use crate::problem::{Kind, Problem, Span};
use crate::settings::{Cron, Settings};

/// A named command line and where it was written.
pub(super) struct Entry {
    pub name: String,
    pub command: String,
    pub span: Span,
}

/// Names that fill the same place: whoever says `wsgi` in one file replaces `web` in the other.
pub(super) fn role(name: &str) -> &str {
    match name {
        "wsgi" | "asgi" | "jwsgi" | "rwsgi" => "web",
        name if is_cron(name) => "cron",
        name => name,
    }
}

/// `cron`, and `cron1`, `cron2`, … of those who may not repeat a name.
fn is_cron(name: &str) -> bool {
    name.strip_prefix("cron").is_some_and(|rest| rest.bytes().all(|b| b.is_ascii_digit()))
}

/// Puts every entry where it belongs.
pub(super) fn assign(entries: Vec<Entry>, settings: &mut Settings) -> Result<(), Problem> {
    let mut web: Option<String> = None;
    for entry in entries {
        if role(&entry.name) == "web"
            && let Some(other) = web.replace(entry.name.clone())
        {
            return Err(conflict(&other, &entry));
        }
        let span = entry.span.clone();
        assign_one(entry, settings).map_err(|problem| match problem.span {
            Some(_) => problem,
            None => problem.span(span),
        })?;
    }
    Ok(())
}

fn conflict(other: &str, entry: &Entry) -> Problem {
    Problem::new(
        Kind::Config,
        "procfile.two-web",
        format!("\"{other}\" and \"{}\" both say what answers requests", entry.name),
    )
    .hint("keep one of the two lines")
    .span(entry.span.clone())
}

fn assign_one(entry: Entry, settings: &mut Settings) -> Result<(), Problem> {
    let Entry { name, command, .. } = entry;
    match name.as_str() {
        "wsgi" => settings.run.wsgi = Some(callable(command, "wsgi")?),
        "asgi" => settings.run.asgi = Some(callable(command, "asgi")?),
        "static" => settings.run.statics.extend(statics(&command)?),
        "release" => settings.run.release.push(command),
        "prebuild" => settings.build.before.push(command),
        "build" => settings.build.command.push(command),
        "postbuild" => settings.build.after.push(command),
        "prerun" => settings.run.before.push(command),
        name if is_cron(name) => settings.run.cron.push(cron(&command)?),
        "jwsgi" | "rwsgi" => return Err(no_server(&name)),
        name => {
            let name: ProcessName = name.parse().map_err(|p: Problem| Problem { kind: Kind::Config, ..p })?;
            settings.run.processes.insert(name, command);
        }
    }
    Ok(())
}

fn no_server(name: &str) -> Problem {
    Problem::new(Kind::Config, "procfile.no-server", format!("there is no server for \"{name}:\" lines"))
        .hint("write a \"web:\" line with the server's own command, for example \"web: bundle exec puma -p $PORT\"")
}

/// `package.module:callable`, or a module alone for the callable both servers look for.
fn callable(text: String, kind: &str) -> Result<String, Problem> {
    let (module, name) = text.split_once(':').unwrap_or((&text, "application"));
    let is_word = |word: &str| {
        !word.starts_with(|c: char| c.is_ascii_digit())
            && !word.is_empty()
            && word.chars().all(|c| c.is_alphanumeric() || c == '_')
    };
    if module.split('.').all(is_word) && is_word(name.trim_end_matches("()")) {
        return Ok(format!("{module}:{name}"));
    }
    Err(Problem::new(
        Kind::Config,
        "procfile.bad-callable",
        format!("\"{kind}\" does not name a module and a callable"),
    )
    .hint(format!("write \"{kind}: package.module:callable\"; for any other command use \"web:\"")))
}

/// `public`, `/url:public` or several of them with commas between.
fn statics(text: &str) -> Result<Vec<(String, String)>, Problem> {
    let pair = |item: &str| {
        let item = item.trim();
        let (prefix, directory) = match item.split_once([':', '=']) {
            Some(both) if item.starts_with('/') => both,
            _ => ("/", item),
        };
        Ok((path::url_path(prefix.trim())?, path::directory(directory.trim())?))
    };
    text.split(',').map(pair).collect()
}

/// Five fields, then the command.
pub(super) fn cron(text: &str) -> Result<Cron, Problem> {
    let mut rest = text.trim_start();
    let begin = text.len() - rest.len();
    for _ in 0..if rest.starts_with('@') { 1 } else { 5 } {
        let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
        rest = rest[end..].trim_start();
    }
    let schedule = text[begin..text.len() - rest.len()].trim().to_owned();
    Schedule::parse(&schedule)?;
    if rest.is_empty() {
        return Err(Problem::new(Kind::Config, "cron.no-command", "there is no command after the schedule")
            .hint("write five fields, then the command: \"*/5 * * * * python tidy.py\""));
    }
    Ok(Cron { schedule, command: rest.trim_end().to_owned() })
}
