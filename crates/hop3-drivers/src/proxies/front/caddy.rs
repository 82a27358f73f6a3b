// SPDX-License-Identifier: Apache-2.0
//! Caddy: accepts the connections, ends TLS, and passes every request on. At each configuration that it loads, it closes
//! connections whose first request has not come; so what it is told names certificates, and no route.

mod admin;
mod config;

use super::launch::Numbers;
use super::plan::{Abilities, Plan};
use super::process::Main;
use super::product::{Dress, Facts, Files, Judged, Place, Product, Start};
use rustix::process::Signal;
use std::fs;
use std::io;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::Duration;

#[derive(Debug)]
pub(crate) struct Caddy;

const FACTS: Facts = Facts {
    name: "caddy",
    package: "caddy",
    limits_bodies: false,
    // It takes what it is told over its socket, and nothing at this signal.
    reload: Signal::HUP,
    end: Signal::TERM,
};

const CONFIG: &str = "caddy.json";
/// The same with the numbers of its sockets.
const STARTED: &str = "started.json";
/// Beside the configurations: the numbers that its sockets have.
const SOCKETS: &str = "caddy.sockets";
const PAUSE: Duration = Duration::from_secs(1);

impl Product for Caddy {
    fn facts(&self) -> &'static Facts {
        &FACTS
    }

    fn render(&self, plan: &Plan, place: &Place) -> Files {
        vec![(CONFIG.to_owned(), config::config(plan, place))]
    }

    fn check(&self, folder: &Path, _: &Place) -> Vec<String> {
        vec!["validate".into(), "--config".into(), folder.join(CONFIG).display().to_string()]
    }

    /// It wants a folder of its own, and asks by these variables where that is.
    fn judge(&self, mut command: Command, folder: &Path) -> io::Result<Judged> {
        let output = command.envs(folders(folder)).current_dir(folder).output()?;
        Ok(Judged { is_good: output.status.success(), said: [output.stdout, output.stderr].concat() })
    }

    fn start(&self, folder: &Path, _: &Place) -> Start {
        let arguments = vec!["run".into(), "--config".into(), folder.join(STARTED).display().to_string()];
        Start { arguments, handed: Vec::new() }
    }

    fn dress(&self, numbers: &Numbers, folder: &Path, place: &Place) -> io::Result<Dress> {
        admin::prepare(&place.folder)?;
        let sockets = config::sockets(&numbers.http, &numbers.https);
        fs::write(place.folder.join(SOCKETS), &sockets)?;
        fs::write(folder.join(STARTED), told(folder, &sockets)?)?;
        let mut variables = folders(folder);
        let own = admin::socket(&place.folder, std::process::id());
        variables.push((config::ADMIN.into(), format!("unix/{}|0600", own.display())));
        Ok(Dress { arguments: Vec::new(), variables, folder: Some(folder.to_owned()) })
    }

    fn is_alone(&self) -> bool {
        true
    }

    fn abilities(&self) -> Abilities {
        Abilities { limits_bodies: FACTS.limits_bodies, opens_sockets: false, routes: false }
    }

    fn is_up(&self, main: Main, folder: &Path) -> bool {
        let own = admin::socket(beside(folder), main.pid.unsigned_abs());
        admin::ask(&own, "GET", "/config/apps/http/servers/http/listen", "")
            .is_ok_and(|answer| answer.starts_with(admin::GOOD) && answer.contains("fd/"))
    }

    fn has_closed(&self, main: Main) -> bool {
        main.holds_no_copy()
    }

    /// It answers when the new one counts, or that it goes on with the former.
    fn take(&self, main: Main, folder: &Path, _: Duration) -> bool {
        let own = admin::socket(beside(folder), main.pid.unsigned_abs());
        let taken = fs::read_to_string(beside(folder).join(SOCKETS))
            .and_then(|sockets| told(folder, &sockets))
            .and_then(|text| admin::ask(&own, "POST", "/load", &text));
        match taken {
            Ok(answer) if answer.starts_with(admin::GOOD) => return true,
            Ok(answer) => tracing::error!(answer, "caddy does not take its configuration"),
            Err(error) => tracing::error!(%error, "caddy cannot be told its configuration"),
        }
        // Whoever has it tried again does so at once.
        thread::sleep(PAUSE);
        false
    }

    fn version_word(&self) -> &'static str {
        "version"
    }

    /// Older ones know no sockets that are handed over.
    fn oldest(&self) -> Option<(u32, u32)> {
        Some((2, 10))
    }

    fn where_to_get(&self) -> String {
        "its maker has it (https://github.com/caddyserver/caddy/releases); put it into /usr/local/bin, and remove Debian's"
            .to_owned()
    }
}

/// Its configuration as it is told, with the numbers of its sockets.
fn told(folder: &Path, sockets: &str) -> io::Result<String> {
    config::with_sockets(&fs::read_to_string(folder.join(CONFIG))?, sockets)
}

/// Where the configurations lie: `folder` is the link to the one that counts.
fn beside(folder: &Path) -> &Path {
    folder.parent().unwrap_or(folder)
}

fn folders(folder: &Path) -> Vec<(String, String)> {
    ["XDG_CONFIG_HOME", "XDG_DATA_HOME"].map(|name| (name.to_owned(), folder.display().to_string())).to_vec()
}

#[cfg(test)]
mod tests;
