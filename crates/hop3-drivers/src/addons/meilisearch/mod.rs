// SPDX-License-Identifier: Apache-2.0
//! `meilisearch`: search. A server for each addon, since it has one master key, and every index is everybody's.
//!
//! The master key is Hop3's; each credential is an API key that may do everything with documents and nothing with the
//! server. A backup is a dump, which the same and every newer version reads.

mod api;
mod config;
mod install;
mod keys;
mod restore;

use super::Host;
use super::host::SERVER;
use hop3_core::addon::{AddonServer, AddonStatus, Binding, KindCapabilities, KindFacts, WantedAddon};
use hop3_core::driver::Addon;
use hop3_core::sandbox::Job;
use hop3_core::{Kind, Problem};
use install::Install;
use std::io::{Read, Write};
use std::sync::Arc;

/// The operating system's name of the server's user.
const USER: &str = "meilisearch";

/// Seconds in which it ends.
const STOP: u32 = 30;

pub struct Meilisearch {
    host: Arc<Host>,
}

impl Meilisearch {
    pub fn new(host: Arc<Host>) -> Meilisearch {
        Meilisearch { host }
    }

    fn run(&self, server: &AddonServer, argv: &[&str]) -> Result<(), Problem> {
        self.host.ask(&self.host.job(server, USER, argv.iter().copied()), "").map(drop)
    }

    /// The server, with other arguments than its file says.
    fn server_job(&self, server: &AddonServer, arguments: &[&str]) -> Result<Job, Problem> {
        let install = Install::of(&self.host.toolchains(), &server.version)?;
        let program = install.program();
        let own = [program.as_str(), "--config-file-path", config::FILE];
        let mut job = self.host.job(server, USER, own.into_iter().chain(arguments.iter().copied()));
        // A dump is unpacked there, however large it is.
        let space = self.host.directory(server).join("tmp").to_string_lossy().into_owned();
        job.env.insert("TMPDIR".to_owned(), space);
        install.show(&mut job);
        Ok(job)
    }

    fn set_up(&self, server: &AddonServer) -> Result<(), Problem> {
        let directory = self.host.make_directory(server)?;
        if !directory.join("data").exists() && directory.join("former").exists() {
            // Whoever was about to replace the data did not come to it.
            self.run(server, &["mv", "-T", "former", "data"])?;
        }
        self.clear(server)?;
        if self.host.pid(server)?.is_none() {
            self.run(server, &["rm", "-rf", "tmp"])?;
        }
        self.run(server, &["mkdir", "-p", "-m", "0700", "data", "tmp"])?;
        self.configure(server)
    }

    /// Writes what the server is told, and ends one that was told something else.
    fn configure(&self, server: &AddonServer) -> Result<(), Problem> {
        let wanted = config::server(server)?;
        let is_there = self.host.directory(server).join(config::FILE).exists();
        let told = || self.host.ask(&self.host.job(server, USER, ["cat", config::FILE]), "");
        if is_there && told()? == wanted {
            return Ok(());
        }
        self.host.write(server, USER, config::FILE, &wanted)?;
        self.host.stop(server, SERVER)
    }

    fn keep(&self, server: &AddonServer) -> Result<(), Problem> {
        self.host.keep(server, self.server_job(server, &[])?, STOP, &|| api::answers(server))
    }

    /// Has the server write a dump; gives the file's name.
    fn dump(server: &AddonServer) -> Result<String, Problem> {
        let task = api::order(server, "POST", "/dumps", None)?;
        let task = api::until_done(server, task["taskUid"].as_u64().unwrap_or_default())?;
        let name = task["details"]["dumpUid"].as_str().unwrap_or_default();
        if name.is_empty() || !name.chars().all(|c| c.is_ascii_digit() || c == '-') {
            let title = format!("{} does not say where its dump is", server.name);
            return Err(Problem::new(Kind::Unavailable, "addon.client-failed", title));
        }
        Ok(format!("data/dumps/{name}.dump"))
    }
}

impl Addon for Meilisearch {
    fn facts(&self) -> KindFacts {
        let toolchains = self.host.toolchains();
        KindFacts {
            kind: super::kind("meilisearch"),
            title: "Meilisearch".to_owned(),
            slot: "search".to_owned(),
            versions: Install::versions(&toolchains),
            install: Install::hint(&toolchains),
            capabilities: KindCapabilities {
                serves: true,
                backs_up: true,
                rotates: true,
                ..KindCapabilities::default()
            },
            options: super::options(&[config::MEMORY]),
            server_options: vec![config::MEMORY.0.to_owned()],
        }
    }

    fn serve(&self, server: &AddonServer) -> Result<(), Problem> {
        Install::of(&self.host.toolchains(), &server.version)?;
        self.set_up(server)?;
        self.keep(server)
    }

    fn provision(&self, addon: &WantedAddon) -> Result<Binding, Problem> {
        let key = keys::set(&addon.server, &addon.credentials)?;
        Ok(binding(&addon.server, &key))
    }

    fn status(&self, addon: &WantedAddon) -> Result<AddonStatus, Problem> {
        let server = &addon.server;
        let look = || -> Result<Option<AddonStatus>, Problem> {
            if keys::find(server, addon.credential())?.is_none() {
                return Ok(None);
            }
            let version = api::order(server, "GET", "/version", None)?;
            let stats = api::order(server, "GET", "/stats", None)?;
            Ok(Some(AddonStatus {
                is_up: true,
                version: version["pkgVersion"].as_str().map(str::to_owned),
                size_bytes: stats["databaseSize"].as_u64(),
                connections: None,
                trouble: None,
                pool: None,
            }))
        };
        Ok(match look() {
            Ok(Some(status)) => status,
            Ok(None) => super::down(format!("{} does not know {}", server.name, addon.credential().user)),
            Err(problem) => super::down(format!("{}: {}", problem.title, problem.detail)),
        })
    }

    fn backup(&self, addon: &WantedAddon, _as_of_ms: Option<u64>, to: &mut dyn Write) -> Result<(), Problem> {
        let server = &addon.server;
        let file = Meilisearch::dump(server)?;
        let carried = self.host.drain(&self.host.job(server, USER, ["cat", file.as_str()]), to);
        // And those that somebody else did not come to remove.
        let old = ["find", "data/dumps", "-name", "*.dump", "-mmin", "+1440", "-delete"];
        let removed = self.run(server, &["rm", "-f", &file]).and_then(|()| self.run(server, &old));
        carried.and(removed)
    }

    fn restore(&self, addon: &WantedAddon, from: &mut dyn Read) -> Result<(), Problem> {
        self.replace(addon, from)
    }

    fn destroy(&self, addon: &WantedAddon) -> Result<(), Problem> {
        let server = &addon.server;
        self.host.stop(server, SERVER)?;
        self.clear(server)?;
        self.run(server, &["rm", "-rf", "data"])?;
        self.serve(server)
    }

    fn retire(&self, server: &AddonServer) -> Result<(), Problem> {
        self.host.retire(server)
    }
}

/// The names that Laravel, Rails, Symfony and the product's own examples use.
fn binding(server: &AddonServer, key: &str) -> Binding {
    let url = format!("http://127.0.0.1:{}", server.port);
    super::binding(
        [
            ("MEILISEARCH_URL", url.clone()),
            ("MEILISEARCH_HOST", url.clone()),
            ("MEILI_HOST", url),
            ("MEILISEARCH_KEY", key.to_owned()),
            ("MEILISEARCH_API_KEY", key.to_owned()),
            ("MEILI_API_KEY", key.to_owned()),
        ],
        &[],
    )
}

#[cfg(test)]
mod tests;
