// SPDX-License-Identifier: Apache-2.0
//! `redis`: Redis, or Valkey. A server for each addon, since it has no databases with users of their own and idles at
//! a few megabytes.
//!
//! Every write is appended to a file before it is answered; the file is brought to the disk once a second, or before
//! each answer with `durable=yes`. Every credential is a user of its own who cannot administer the server; the
//! server's own administrator has a password that nobody is told.

mod config;
mod keys;
mod mark;
mod restore;

use super::Host;
use hop3_core::addon::{AddonServer, AddonStatus, Binding, KindCapabilities, KindFacts, WantedAddon};
use hop3_core::driver::{Addon, Counts};
use hop3_core::sandbox::Job;
use hop3_core::{Kind, Problem};
use std::io::{Read, Write};
use std::path::Path;
use std::sync::Arc;

/// The operating system's name of the server's user.
const USER: &str = "redis";

/// Each names its programs by itself: `valkey-server`, `valkey-cli`.
const PRODUCTS: [&str; 2] = ["valkey", "redis"];

const PLACES: [&str; 2] = ["/usr/local/bin", "/usr/bin"];

pub struct Redis {
    host: Arc<Host>,
}

impl Redis {
    pub fn new(host: Arc<Host>) -> Redis {
        Redis { host }
    }

    /// A program of the server's product: `server`, `cli`, `check-rdb`.
    fn program(server: &AddonServer, what: &str) -> Result<String, Problem> {
        let name = format!("{}-{what}", server.version);
        let found =
            PLACES.iter().map(|place| format!("{place}/{name}")).find(|path| Path::new(path).exists());
        found.ok_or_else(|| {
            let title = format!("{name} is not installed on this machine");
            Problem::new(Kind::Unavailable, "addon.not-installed", title)
                .detail(format!("looked in {}", PLACES.join(" and ")))
                .hint(format!("apt-get install {}-server", server.version))
        })
    }

    /// The product's client as the server's administrator.
    fn client(&self, server: &AddonServer, arguments: &[&str]) -> Result<Job, Problem> {
        let socket = self.host.directory(server).join(config::SOCKET).display().to_string();
        let program = Redis::program(server, "cli")?;
        let own = [program.as_str(), "-s", &socket, "--user", config::ADMIN];
        let mut job = self.host.job(server, USER, own.into_iter().chain(arguments.iter().copied()));
        job.env.insert("REDISCLI_AUTH".to_owned(), server.password.expose().clone());
        Ok(job)
    }

    fn ask(&self, server: &AddonServer, commands: &str) -> Result<String, Problem> {
        self.host.ask(&self.client(server, &[])?, commands)
    }

    /// Commands that are answered with `OK` or a number; the client would not tell by its exit status.
    fn order(&self, server: &AddonServer, commands: &str) -> Result<(), Problem> {
        let answer = self.ask(server, commands)?;
        let is_done = |line: &str| line.is_empty() || line == "OK" || line.parse::<i64>().is_ok();
        match answer.lines().find(|line| !is_done(line)) {
            None => Ok(()),
            Some(said) => Err(Problem::new(Kind::Unavailable, "addon.client-failed", "the server refuses")
                .detail(said.to_owned())),
        }
    }

    /// Runs a program in the server's directory.
    fn run(&self, server: &AddonServer, argv: &[&str]) -> Result<String, Problem> {
        self.host.ask(&self.host.job(server, USER, argv.iter().copied()), "")
    }

    /// Writes a file in the server's directory, through to the disk.
    fn put(&self, server: &AddonServer, name: &str, from: &mut dyn Read) -> Result<(), Problem> {
        let to = format!("of={name}");
        let argv = ["dd", "status=none", "bs=64K", "conv=fsync", &to];
        self.host.feed(&self.host.job(server, USER, argv), from).map(drop)
    }

    fn set_up(&self, server: &AddonServer) -> Result<(), Problem> {
        let directory = self.host.directory(server);
        // Its last step makes this directory: what has it is whole.
        if directory.join("data").exists() {
            return Ok(());
        }
        if directory.join("former").exists() {
            // Whoever was about to replace the data did not come to it.
            return self.run(server, &["mv", "-T", "former", "data"]).map(drop);
        }
        self.host.make_directory(server)?;
        self.run(server, &["mkdir", "-p", "-m", "0700", "run", "conf"])?;
        self.put(server, config::USERS, &mut config::users(server)?.as_bytes())?;
        self.put(server, config::FILE, &mut config::server(server, &directory).as_bytes())?;
        self.run(server, &["mkdir", "-m", "0700", "data"]).map(drop)
    }

    /// Starts the server when it does not run.
    fn keep(&self, server: &AddonServer) -> Result<(), Problem> {
        let file = self.host.directory(server).join(config::FILE).display().to_string();
        let job = self.host.job(server, USER, [Redis::program(server, "server")?, file]);
        self.host.keep(server, job, 30, &|| self.answers(server))
    }

    fn answers(&self, server: &AddonServer) -> bool {
        Host::listens(server) && self.ask(server, "PING\n").is_ok_and(|answer| answer.trim() == "PONG")
    }

    /// Users of apps.
    fn users(&self, server: &AddonServer) -> Result<Vec<String>, Problem> {
        let answer = self.ask(server, "ACL USERS\n")?;
        let users = answer.lines().filter(|user| !["", "default", config::ADMIN].contains(user));
        Ok(users.map(str::to_owned).collect())
    }
}

impl Addon for Redis {
    fn facts(&self) -> KindFacts {
        let is_there = |product: &&str| {
            PLACES.iter().any(|place| Path::new(place).join(format!("{product}-server")).exists())
        };
        KindFacts {
            kind: super::kind("redis"),
            title: "Redis".to_owned(),
            slot: "redis".to_owned(),
            versions: PRODUCTS.iter().filter(|product| is_there(product)).map(|p| (*p).to_owned()).collect(),
            install: "apt-get install redis-server".to_owned(),
            capabilities: KindCapabilities {
                shares: false,
                serves: true,
                backs_up: true,
                rotates: true,
                ..KindCapabilities::default()
            },
            options: super::options(&config::OPTIONS),
            server_options: Vec::new(),
        }
    }

    fn serve(&self, server: &AddonServer) -> Result<(), Problem> {
        self.set_up(server)?;
        self.keep(server)
    }

    fn provision(&self, addon: &WantedAddon) -> Result<Binding, Problem> {
        let server = &addon.server;
        let settings = config::settings(addon)?;
        self.order(server, &config::let_in(addon)?)?;
        let is_valid = |user: &String| addon.credentials.iter().any(|credential| credential.user == **user);
        let former: Vec<String> = self.users(server)?.into_iter().filter(|user| !is_valid(user)).collect();
        self.order(server, &(config::keep_out(&former)? + &settings))?;
        Ok(binding(addon))
    }

    fn status(&self, addon: &WantedAddon) -> Result<AddonStatus, Problem> {
        let answer = match self.ask(&addon.server, "ACL USERS\nINFO\n") {
            Ok(answer) => answer,
            Err(problem) => return Ok(super::down(format!("{} {}", problem.title, problem.detail))),
        };
        if !answer.lines().any(|line| line == addon.credential().user) {
            return Ok(super::down(format!("it does not know {}", addon.credential().user)));
        }
        let field = |name: &str| {
            let value = answer.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
            value.map(|value| value.trim().to_owned())
        };
        let number = |name: &str| field(name).and_then(|value| value.parse::<u64>().ok());
        Ok(AddonStatus {
            is_up: true,
            version: field("valkey_version").or_else(|| field("redis_version")),
            size_bytes: number("used_memory"),
            // Not the one that asks.
            connections: number("connected_clients").map(|clients| clients.saturating_sub(1)),
            trouble: None,
            pool: None,
        })
    }

    fn backup(&self, addon: &WantedAddon, _as_of_ms: Option<u64>, to: &mut dyn Write) -> Result<(), Problem> {
        let mut data = mark::WithoutMark::new(to);
        self.host.drain(&self.client(&addon.server, &["--rdb", "-"])?, &mut data)?;
        data.end().map_err(super::unreadable)
    }

    fn restore(&self, addon: &WantedAddon, from: &mut dyn Read) -> Result<(), Problem> {
        self.replace(&addon.server, from)
    }

    fn destroy(&self, addon: &WantedAddon) -> Result<(), Problem> {
        let users = self.users(&addon.server)?;
        self.order(&addon.server, &(config::keep_out(&users)? + "FLUSHALL SYNC\n"))
    }

    fn retire(&self, server: &AddonServer) -> Result<(), Problem> {
        self.host.retire(server)
    }

    fn counts(&self) -> Option<&dyn Counts> {
        Some(self)
    }
}

fn binding(addon: &WantedAddon) -> Binding {
    let credential = addon.credential();
    let (user, password) = (&credential.user, credential.password.expose());
    let port = addon.server.port.to_string();
    let client = format!("{}-cli", addon.server.version);
    super::binding(
        [
            ("REDIS_URL", format!("redis://{user}:{password}@127.0.0.1:{port}/0")),
            ("REDIS_HOST", "127.0.0.1".to_owned()),
            ("REDIS_PORT", port.clone()),
            ("REDIS_USER", user.clone()),
            ("REDIS_PASSWORD", password.clone()),
            // Where the product's own client looks for it.
            ("REDISCLI_AUTH", password.clone()),
        ],
        &[&client, "-h", "127.0.0.1", "-p", &port, "--user", user],
    )
}
