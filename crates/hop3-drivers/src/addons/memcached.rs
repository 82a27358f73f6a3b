// SPDX-License-Identifier: Apache-2.0
//! `memcached`: a cache. Each addon has a server of its own, which keeps nothing when it ends.
//!
//! Clients at large speak no authentication, so there is none: whoever can connect to 127.0.0.1 comes in. Another
//! address out of 127.0.0.0/8 would keep nobody out.

use super::Host;
use super::program::Product;
use hop3_core::addon::{AddonServer, AddonStatus, Binding, KindCapabilities, KindFacts, WantedAddon};
use hop3_core::driver::Addon;
use hop3_core::sandbox::Job;
use hop3_core::{Kind, Problem};
use std::io::{self, BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

const PRODUCT: Product = Product {
    title: "Memcached",
    program: "memcached",
    places: &["/usr/bin", "/usr/local/bin", "/opt/memcached/bin"],
    install: "apt-get install --no-install-recommends memcached",
};

/// Megabytes for what is kept, unless set.
const MEMORY: &str = "64";

/// It is on this machine.
const PATIENCE: Duration = Duration::from_secs(2);

pub struct Memcached {
    host: Arc<Host>,
}

impl Memcached {
    pub fn new(host: Arc<Host>) -> Memcached {
        Memcached { host }
    }

    /// The memory it was given last is in its directory: it is started again without anybody who knows options.
    fn server_job(&self, server: &AddonServer) -> Result<Job, Problem> {
        let memory = self.host.ask(&self.host.job(server, "memcached", ["cat", "memory"]), "")?;
        let memory = super::number("memory", memory.trim())?;
        let (program, port) = (PRODUCT.find()?, server.port.to_string());
        let argv = [&program, "-l", "127.0.0.1", "-p", &port, "-U", "0", "-m", memory, "-c", "1024"];
        Ok(self.host.job(server, "memcached", argv))
    }

    fn set_memory(&self, server: &AddonServer, memory: &str) -> Result<(), Problem> {
        self.host.ask(&self.host.job(server, "memcached", ["tee", "memory"]), memory).map(drop)
    }

    fn keep(&self, server: &AddonServer) -> Result<(), Problem> {
        self.host.keep(server, self.server_job(server)?, 5, &|| ask(server, "version", 1).is_ok())
    }
}

impl Addon for Memcached {
    fn facts(&self) -> KindFacts {
        KindFacts {
            kind: super::kind("memcached"),
            title: PRODUCT.title.to_owned(),
            slot: "memcached".to_owned(),
            versions: PRODUCT.versions(),
            install: PRODUCT.install.to_owned(),
            capabilities: KindCapabilities { serves: true, ..KindCapabilities::default() },
            options: super::options(&[("memory", "megabytes for what is kept; 64 unless set")]),
            server_options: Vec::new(),
        }
    }

    fn serve(&self, server: &AddonServer) -> Result<(), Problem> {
        let directory = self.host.make_directory(server)?;
        if !directory.join("memory").exists() {
            self.set_memory(server, MEMORY)?;
        }
        self.keep(server)
    }

    fn provision(&self, addon: &WantedAddon) -> Result<Binding, Problem> {
        let server = &addon.server;
        let memory = addon.settings.get("memory").map_or(MEMORY, String::as_str);
        if !matches!(memory.parse::<u32>(), Ok(8..=1_000_000)) {
            let title = "memory is a number of megabytes from 8 to 1000000";
            return Err(Problem::new(Kind::User, "addon.bad-option", title));
        }
        // At once and without forgetting anything; the next start has it from the file.
        ask(server, &format!("cache_memlimit {memory}"), 1).map_err(|e| silent(server, &e))?;
        self.set_memory(server, memory)?;
        let port = server.port.to_string();
        let variables = [
            ("MEMCACHED_URL", format!("memcached://127.0.0.1:{port}")),
            ("MEMCACHED_SERVERS", format!("127.0.0.1:{port}")),
            ("MEMCACHED_HOST", "127.0.0.1".to_owned()),
            ("MEMCACHED_PORT", port),
        ];
        Ok(super::binding(variables, &[]))
    }

    fn status(&self, addon: &WantedAddon) -> Result<AddonStatus, Problem> {
        let lines = match ask(&addon.server, "stats", 1000) {
            Ok(lines) => lines,
            Err(e) => return Ok(super::down(silent(&addon.server, &e).title)),
        };
        let stat = |name: &str| {
            let start = format!("STAT {name} ");
            lines.iter().find_map(|line| line.strip_prefix(&start)).map(str::to_owned)
        };
        let count = |name| stat(name).and_then(|value| value.parse().ok());
        Ok(AddonStatus {
            is_up: true,
            version: stat("version"),
            size_bytes: count("bytes"),
            // This question is one of them.
            connections: count("curr_connections").map(|count: u64| count.saturating_sub(1)),
            trouble: None,
            pool: None,
        })
    }

    fn destroy(&self, addon: &WantedAddon) -> Result<(), Problem> {
        // Its server goes with it; until then it is empty.
        match ask(&addon.server, "flush_all", 1) {
            Ok(_) => Ok(()),
            Err(e) if e.kind() == io::ErrorKind::ConnectionRefused => Ok(()),
            Err(e) => Err(silent(&addon.server, &e)),
        }
    }

    fn retire(&self, server: &AddonServer) -> Result<(), Problem> {
        self.host.retire(server)
    }
}

fn silent(server: &AddonServer, error: &io::Error) -> Problem {
    let title = format!("{} does not answer", server.name);
    Problem::new(Kind::Unavailable, "addon.no-answer", title).detail(error.to_string())
}

/// Says a line and reads the answer: so many lines, or up to `END`.
fn ask(server: &AddonServer, line: &str, most: usize) -> io::Result<Vec<String>> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, server.port));
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(format!("{line}\r\n").as_bytes())?;
    let mut lines = Vec::new();
    for line in BufReader::new(stream).lines().take(most) {
        match line? {
            end if end == "END" => break,
            line => lines.push(line),
        }
    }
    match lines.first().map(String::as_str) {
        Some("ERROR") | None => Err(io::Error::other("it gave no answer that Memcached would give")),
        Some(_) => Ok(lines),
    }
}
