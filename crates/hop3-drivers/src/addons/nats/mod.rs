// SPDX-License-Identifier: Apache-2.0
//! `nats`: NATS with JetStream. Addons share one server; each is an account of its own, so neither subjects nor
//! streams of one are seen by another. Every credential is a user of the account.
//!
//! A file for each account lies beneath `accounts/`; the server reads all of them when it is told to. Whether it has
//! is seen by a user whose password is made of what the files say.

mod config;
mod knock;

use super::Host;
use super::program::Product;
use hop3_core::Problem;
use hop3_core::addon::{AddonServer, AddonStatus, Binding, KindCapabilities, KindFacts, WantedAddon};
use hop3_core::driver::Addon;
use hop3_core::sandbox::Job;
use std::sync::Arc;

const PRODUCT: Product = Product {
    title: "NATS",
    program: "nats-server",
    places: &["/usr/sbin", "/usr/bin", "/usr/local/bin", "/opt/nats/bin"],
    install: "apt-get install --no-install-recommends nats-server",
};

/// The operating system's name of the server's user.
const USER: &str = "nats";

pub struct Nats {
    host: Arc<Host>,
}

impl Nats {
    pub fn new(host: Arc<Host>) -> Nats {
        Nats { host }
    }

    fn run<const N: usize>(
        &self,
        server: &AddonServer,
        argv: [&str; N],
        input: &str,
    ) -> Result<String, Problem> {
        self.host.ask(&self.host.job(server, USER, argv), input)
    }

    fn write(&self, server: &AddonServer, file: &str, text: &str) -> Result<(), Problem> {
        self.host.write(server, USER, file, text)
    }

    fn server_job(&self, server: &AddonServer) -> Result<Job, Problem> {
        Ok(self.host.job(server, USER, [PRODUCT.find()?.as_str(), "--config", "server.conf"]))
    }

    /// Writes which accounts there are, and returns once the server lets exactly those in.
    fn apply(&self, server: &AddonServer) -> Result<(), Problem> {
        let files = self.run(server, ["find", "accounts", "-name", "*.conf"], "")?;
        let mut files: Vec<&str> = files.lines().collect();
        files.sort_unstable();
        let contents = files.iter().map(|file| self.run(server, ["cat", file], ""));
        let accounts: String = contents.collect::<Result<_, _>>()?;
        let mark = config::mark(&accounts);
        self.write(server, "accounts.conf", &config::accounts(server, &accounts, &mark)?)?;
        let Some(pid) = self.host.pid(server)? else { return Ok(()) };
        let reload = format!("reload={pid}");
        self.run(server, [PRODUCT.find()?.as_str(), "--signal", &reload], "")?;
        self.host.until_changed(server, &|| knock::comes_in(server, config::MARK, &mark))
    }
}

impl Addon for Nats {
    fn facts(&self) -> KindFacts {
        KindFacts {
            kind: super::kind("nats"),
            title: PRODUCT.title.to_owned(),
            slot: "nats".to_owned(),
            versions: PRODUCT.versions(),
            install: PRODUCT.install.to_owned(),
            capabilities: KindCapabilities {
                shares: true,
                serves: true,
                rotates: true,
                ..KindCapabilities::default()
            },
            options: super::options(&[
                ("disk", "megabytes of streams on disk; 1024 unless set"),
                ("memory", "megabytes of streams in memory; 64 unless set"),
            ]),
            server_options: Vec::new(),
        }
    }

    fn serve(&self, server: &AddonServer) -> Result<(), Problem> {
        let directory = self.host.make_directory(server)?;
        if !directory.join("server.conf").exists() {
            self.run(server, ["mkdir", "-p", "-m", "0700", "accounts", "jetstream"], "")?;
            let mark = config::mark("");
            self.write(server, "accounts.conf", &config::accounts(server, "", &mark)?)?;
            self.write(server, "server.conf", &config::server(server))?;
        }
        self.host.keep(server, self.server_job(server)?, 30, &|| {
            knock::comes_in(server, config::ADMIN, server.password.expose())
        })
    }

    fn provision(&self, addon: &WantedAddon) -> Result<Binding, Problem> {
        let file = format!("accounts/{}.conf", super::plain(&addon.database)?);
        self.write(&addon.server, &file, &config::account(addon)?)?;
        self.apply(&addon.server)?;
        let credential = addon.credential();
        let (user, password, port) = (&credential.user, credential.password.expose(), addon.server.port);
        let variables = [
            ("NATS_URL", format!("nats://{user}:{password}@127.0.0.1:{port}")),
            ("NATS_HOST", "127.0.0.1".to_owned()),
            ("NATS_PORT", port.to_string()),
            ("NATS_USER", user.clone()),
            ("NATS_PASSWORD", password.clone()),
        ];
        Ok(super::binding(variables, &[]))
    }

    fn status(&self, addon: &WantedAddon) -> Result<AddonStatus, Problem> {
        let credential = addon.credential();
        match knock::knock(&addon.server, &credential.user, credential.password.expose()) {
            Ok(version) => Ok(AddonStatus {
                is_up: true,
                version: Some(version),
                size_bytes: None,
                connections: None,
                trouble: None,
                pool: None,
            }),
            Err(e) => Ok(super::down(format!("{} does not let in: {e}", addon.server.name))),
        }
    }

    fn destroy(&self, addon: &WantedAddon) -> Result<(), Problem> {
        let database = super::plain(&addon.database)?;
        self.run(&addon.server, ["rm", "-f", &format!("accounts/{database}.conf")], "")?;
        self.apply(&addon.server)?;
        self.run(&addon.server, ["rm", "-rf", &format!("jetstream/jetstream/{database}")], "").map(drop)
    }

    fn retire(&self, server: &AddonServer) -> Result<(), Problem> {
        self.host.retire(server)
    }
}
