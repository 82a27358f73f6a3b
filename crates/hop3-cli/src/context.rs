// SPDX-License-Identifier: Apache-2.0
//! What every command is given: the options, the way to the server, and where answers go.

use crate::cli::{GlobalArgs, Program};
use crate::client::Client;
use crate::connection::Target;
use crate::problem;
use crate::render::{Style, clean_lines};
use crate::terminal::Mode;
use clap::Args;
use hop3_core::Problem;
use hop3_core::name::AppName;
use jiff::tz::TimeZone;
use serde::Serialize;
use std::io::{self, BufRead, IsTerminal, Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};

/// Which app a command is about.
#[derive(Args, Clone, Debug, Default)]
pub struct AppArg {
    /// The app; without it, the one the git remote `hop3` of this directory points at
    #[arg(short, long, env = "HOP3_APP", hide_env_values = true)]
    pub app: Option<String>,
}

impl AppArg {
    /// `ps -a shop stop` is `ps stop -a shop`.
    pub(crate) fn or(self, before: AppArg) -> AppArg {
        AppArg { app: self.app.or(before.app) }
    }
}

/// The surroundings of one command.
pub(crate) struct Context {
    pub(crate) options: GlobalArgs,
    pub(crate) program: Program,
    out: Box<dyn Write>,
    style: Style,
    zone: TimeZone,
    is_out_open: bool,
}

impl Context {
    pub(crate) fn new(options: GlobalArgs, program: Program) -> Context {
        let style = Style::of(io::stdout().is_terminal() && !options.json);
        Context::writing_to(Box::new(io::stdout()), style, options, program, TimeZone::system())
    }

    pub(crate) fn writing_to(
        out: Box<dyn Write>,
        style: Style,
        options: GlobalArgs,
        program: Program,
        zone: TimeZone,
    ) -> Context {
        Context { options, program, out, style, zone, is_out_open: true }
    }

    pub(crate) fn client(&self) -> Result<Client, Problem> {
        Client::new(Target::find(self.options.root.clone(), self.options.server.as_deref())?)
    }

    pub(crate) fn style(&self) -> Style {
        self.style
    }

    pub(crate) fn zone(&self) -> TimeZone {
        self.zone.clone()
    }

    /// The app named by `-a`, HOP3_APP, the git remote, or `[metadata] id` of `hop3.toml`, in this order.
    pub(crate) fn app(&self, arg: &AppArg) -> Result<AppName, Problem> {
        match &arg.app {
            Some(name) => name.parse(),
            None => app_of_directory(Path::new("."))?.ok_or_else(problem::no_app),
        }
    }

    /// Like `app`, where a command also means something without one.
    pub(crate) fn app_if_any(&self, arg: &AppArg) -> Result<Option<AppName>, Problem> {
        match &arg.app {
            Some(name) => name.parse().map(Some),
            None => app_of_directory(Path::new(".")),
        }
    }

    /// Writes text that is already fit for the screen.
    pub(crate) fn print(&mut self, text: &str) {
        self.print_bytes(text.as_bytes());
    }

    /// Writes bytes as they are. A reader that went away (`| head`) ends the output, not the command.
    pub(crate) fn print_bytes(&mut self, bytes: &[u8]) {
        if self.is_out_open && self.out.write_all(bytes).and_then(|()| self.out.flush()).is_err() {
            self.is_out_open = false;
        }
    }

    /// Writes a sentence of the CLI's own, unless the answer is wanted as JSON.
    pub(crate) fn say(&mut self, sentence: &str) {
        if !self.options.json {
            self.print(&format!("{}\n", clean_lines(sentence)));
        }
    }

    /// Writes an answer as JSON when that is wanted, else as `text` makes it.
    pub(crate) fn answer<T: Serialize>(&mut self, value: &T, text: impl FnOnce(&Context) -> String) {
        if self.options.json {
            // Answers are plain data with string keys, which always serialize.
            let json = serde_json::to_string_pretty(value).expect("answers are plain data");
            self.print(&format!("{json}\n"));
        } else {
            let text = text(self);
            self.print(&text);
        }
    }

    /// Writes one element of a stream: a line of JSON, or `text`.
    pub(crate) fn element<T: Serialize>(&mut self, value: &T, text: impl FnOnce(&Context) -> String) {
        if self.options.json {
            let json = serde_json::to_string(value).expect("answers are plain data");
            self.print(&format!("{json}\n"));
        } else {
            let text = text(self);
            self.print(&text);
        }
    }

    /// Tells whether somebody still reads the output.
    pub(crate) fn is_out_open(&self) -> bool {
        self.is_out_open
    }

    /// Asks a person; `None` when nobody is there to answer.
    pub(crate) fn ask(&mut self, question: &str) -> Option<String> {
        if !io::stdin().is_terminal() {
            return None;
        }
        let mut line = String::new();
        let mut err = io::stderr();
        write!(err, "{question} ").and_then(|()| err.flush()).ok()?;
        io::stdin().lock().read_line(&mut line).ok()?;
        Some(line.trim().to_owned())
    }

    /// Says what is going to happen, and gives the name once it was typed, or said beforehand, by whoever wants that.
    pub(crate) fn confirm(
        &mut self,
        happens: &str,
        name: &str,
        said: Option<String>,
    ) -> Result<String, Problem> {
        let typed = said.or_else(|| self.ask(&format!("{happens} Type its name to confirm:")));
        typed.filter(|typed| typed == name).ok_or_else(|| problem::not_confirmed(name))
    }

    /// Asks for something that does not appear on the screen.
    pub(crate) fn ask_secret(&mut self, question: &str) -> Option<String> {
        let _quiet = Mode::quiet();
        let answer = self.ask(question);
        drop(io::stderr().write_all(b"\n"));
        answer
    }
}

/// Reads a file, or standard input for `-`.
pub(crate) fn read_input(path: &Path) -> Result<Vec<u8>, Problem> {
    let mut bytes = Vec::new();
    let read = if path == Path::new("-") {
        io::stdin().read_to_end(&mut bytes).map(drop)
    } else {
        std::fs::read(path).map(|read| bytes = read)
    };
    read.map_err(|e| problem::unreadable(path, &e)).map(|()| bytes)
}

/// The app a directory belongs to, when it says so.
pub(crate) fn app_of_directory(directory: &Path) -> Result<Option<AppName>, Problem> {
    match git_remote(directory).or_else(|| metadata_id(directory)) {
        Some(name) => name.parse().map(Some),
        None => Ok(None),
    }
}

/// The last part of the remote's address: `ssh://hop3@host/shop.git` and `hop3@host:shop` are the app `shop`.
fn git_remote(directory: &Path) -> Option<String> {
    let output = Command::new("git")
        .args(["config", "--get", "remote.hop3.url"])
        .current_dir(directory)
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .ok()?;
    let url = String::from_utf8(output.stdout).ok().filter(|_| output.status.success())?;
    name_in_url(url.trim())
}

pub(crate) fn name_in_url(url: &str) -> Option<String> {
    let last = url.trim_end_matches('/').rsplit(['/', ':']).next()?;
    let name = last.strip_suffix(".git").unwrap_or(last);
    (!name.is_empty()).then(|| name.to_owned())
}

/// `[metadata] id` of `hop3.toml`. A file that is not TOML is told by the deployment, with its place.
fn metadata_id(directory: &Path) -> Option<String> {
    let places = [directory.join("hop3.toml"), directory.join("hop3/hop3.toml")];
    let text = places.iter().find_map(|path| std::fs::read_to_string(path).ok())?;
    let table: toml::Table = text.parse().ok()?;
    table.get("metadata")?.get("id")?.as_str().map(str::to_owned)
}
