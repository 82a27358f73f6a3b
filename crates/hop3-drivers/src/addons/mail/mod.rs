// SPDX-License-Identifier: Apache-2.0
//! `mail`: a submission server for apps on 127.0.0.1. Each app signs in with a password of its own. What it sends is
//! handed to the operator's smarthost while the app waits, so nothing is queued here and nothing can be lost here; or
//! it is kept as files, for development, and nothing leaves the machine.
//!
//! The server is `hop3 mail` in the addon's directory. It reads `mail.json` for every message: who is no longer in it
//! sends nothing more.

mod relay;
mod serve;
mod session;
mod settings;

pub use serve::main;

use super::Host;
use super::address::Address;
use hop3_core::addon::{AddonServer, AddonStatus, Binding, KindCapabilities, KindFacts, WantedAddon};
use hop3_core::driver::Addon;
use hop3_core::sandbox::{Job, Mount};
use hop3_core::{Kind, Problem};
use settings::{Settings, Tls, User, Way};
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::path::PathBuf;
use std::sync::Arc;

/// The operating system's name of the server's user.
const USER: &str = "mail";

pub struct Mail {
    host: Arc<Host>,
    /// This program.
    program: PathBuf,
}

impl Mail {
    pub fn new(host: Arc<Host>, program: PathBuf) -> Mail {
        Mail { host, program }
    }

    fn run(&self, server: &AddonServer, argv: &[&str]) -> Result<String, Problem> {
        self.host.ask(&self.host.job(server, USER, argv.iter().copied()), "")
    }

    fn server_job(&self, server: &AddonServer) -> Job {
        let program = self.program.to_string_lossy().into_owned();
        let mut job = self.host.job(server, USER, [program.as_str(), "mail"]);
        let (source, target) = (self.program.clone(), self.program.clone());
        job.sandbox.mounts.push(Mount { source, target, writable: false });
        job
    }

    fn settings(&self, server: &AddonServer) -> Result<Settings, Problem> {
        Settings::read(&self.run(server, &["cat", settings::FILE])?)
    }

    fn keep(&self, server: &AddonServer, settings: &Settings) -> Result<(), Problem> {
        self.host.write(server, USER, settings::FILE, &settings.text())
    }
}

impl Addon for Mail {
    fn facts(&self) -> KindFacts {
        KindFacts {
            kind: super::kind("mail"),
            title: "outgoing mail".to_owned(),
            slot: "mail".to_owned(),
            versions: vec!["built in".to_owned()],
            install: String::new(),
            capabilities: KindCapabilities {
                serves: true,
                backs_up: true,
                takes_secret: true,
                ..KindCapabilities::default()
            },
            options: super::options(&[
                ("inbox", "yes: keep messages as files, send nothing"),
                ("tls", "no: talk to the smarthost in the clear, its password too"),
            ]),
            server_options: Vec::new(),
        }
    }

    fn serve(&self, server: &AddonServer) -> Result<(), Problem> {
        let directory = self.host.make_directory(server)?;
        if !directory.join(settings::FILE).exists() {
            self.run(server, &["mkdir", "-p", "-m", "0700", "inbox"])?;
            self.keep(server, &Settings { port: server.port, users: BTreeMap::new() })?;
        }
        self.host.keep(server, self.server_job(server), 10, &|| serve::greets(server.port))
    }

    fn provision(&self, addon: &WantedAddon) -> Result<Binding, Problem> {
        let server = &addon.server;
        let before = self.settings(server)?;
        let users = addon.credentials.iter().map(|credential| {
            let way = way(addon, credential.password.expose())?;
            let password = match before.users.get(&credential.user) {
                Some(known) => known.password.clone(),
                None => settings::password()?,
            };
            Ok((credential.user.clone(), User { password, way }))
        });
        let users: BTreeMap<String, User> = users.collect::<Result<_, Problem>>()?;
        let user = &addon.credential().user;
        if let Way::Relay { url, .. } = &users[user].way {
            Address::parse(url)?.check()?;
        }
        let binding = binding(server.port, user, &users[user].password);
        self.keep(server, &Settings { port: server.port, users })?;
        Ok(binding)
    }

    fn status(&self, addon: &WantedAddon) -> Result<AddonStatus, Problem> {
        if !serve::greets(addon.server.port) {
            return Ok(super::down(format!("{} does not answer", addon.server.name)));
        }
        let trouble = match way(addon, addon.credential().password.expose())? {
            Way::Relay { url, .. } => Address::parse(&url)?.check().err(),
            Way::Inbox => None,
        };
        Ok(super::seen(trouble))
    }

    fn backup(&self, addon: &WantedAddon, _as_of_ms: Option<u64>, to: &mut dyn Write) -> Result<(), Problem> {
        let argv = ["tar", "--create", "--file=-", "--directory=inbox", "."];
        self.host.drain(&self.host.job(&addon.server, USER, argv), to)
    }

    fn restore(&self, addon: &WantedAddon, from: &mut dyn Read) -> Result<(), Problem> {
        let server = &addon.server;
        self.run(server, &["rm", "-rf", "incoming"])?;
        self.run(server, &["mkdir", "-m", "0700", "incoming"])?;
        let argv = ["tar", "--extract", "--file=-", "--no-same-owner", "--directory=incoming"];
        self.host.feed(&self.host.job(server, USER, argv), from)?;
        // A moment without an inbox: a message then is refused for now, and its app tries again.
        self.run(server, &["rm", "-rf", "inbox"])?;
        self.run(server, &["mv", "-T", "incoming", "inbox"]).map(drop)
    }

    fn destroy(&self, addon: &WantedAddon) -> Result<(), Problem> {
        let server = &addon.server;
        self.keep(server, &Settings { port: server.port, users: BTreeMap::new() })?;
        self.run(server, &["rm", "-rf", "inbox"])?;
        self.run(server, &["mkdir", "-m", "0700", "inbox"]).map(drop)
    }

    fn retire(&self, server: &AddonServer) -> Result<(), Problem> {
        self.host.retire(server)
    }
}

fn way(addon: &WantedAddon, secret: &str) -> Result<Way, Problem> {
    if super::yes_or_no(addon, "inbox", false)? {
        return Ok(Way::Inbox);
    }
    let hint = "give the smarthost's address with --secret: smtp://USER:PASSWORD@HOST:587\n\
                or keep messages here: -o inbox=yes";
    let address = Address::parse(secret).map_err(|problem| problem.hint(hint))?;
    let tls = match (address.scheme.as_str(), super::yes_or_no(addon, "tls", true)?) {
        ("smtp", true) => Tls::Upgrade,
        ("smtp", false) => Tls::No,
        ("smtps", _) => Tls::Whole,
        _ => {
            let title = "this is no address of a smarthost: it does not begin with smtp:// or smtps://";
            return Err(Problem::new(Kind::User, "addon.bad-address", title).hint(hint));
        }
    };
    Ok(Way::Relay { url: secret.to_owned(), tls })
}

fn binding(port: u16, user: &str, password: &str) -> Binding {
    let url = format!("smtp://{user}:{password}@127.0.0.1:{port}");
    super::binding(
        [
            ("SMTP_URL", url.clone()),
            ("MAIL_URL", url.clone()),
            ("EMAIL_URL", url),
            ("SMTP_HOST", "127.0.0.1".to_owned()),
            ("SMTP_PORT", port.to_string()),
            ("SMTP_USER", user.to_owned()),
            ("SMTP_PASSWORD", password.to_owned()),
        ],
        &[],
    )
}

#[cfg(test)]
mod tests;
