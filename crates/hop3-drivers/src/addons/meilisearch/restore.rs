// SPDX-License-Identifier: Apache-2.0
//! Other data for Meilisearch. A second server reads the dump beside the one that serves, and indexes all of it; only
//! when it has is the other one stopped, and the former data wait until it answers with the new ones. Whatever dies
//! meanwhile, the server starts with all of the former data or all of the new ones.

use super::{Meilisearch, STOP, USER, api, keys};
use hop3_core::addon::{AddonServer, WantedAddon};
use hop3_core::{Kind, Problem};
use std::io::Read;
use std::net::{Ipv4Addr, TcpListener};
use std::time::Duration;

/// The second server.
const IMPORT: &str = "import";

/// Where the dump lies meanwhile.
const DUMP: &str = "restored/import.dump";

/// Between two looks at it.
const LOOK_PAUSE: Duration = Duration::from_millis(20);

impl Meilisearch {
    pub(super) fn replace(&self, addon: &WantedAddon, from: &mut dyn Read) -> Result<(), Problem> {
        let server = &addon.server;
        let first = super::super::beginning(from, 1)?;
        self.clear(server)?;
        let filled = self
            .fill(addon, &mut first.as_slice().chain(from))
            .and_then(|()| self.host.take_over(server, USER, &|| self.keep(server)));
        let cleared = self.clear(server);
        filled.and(cleared)
    }

    /// Ends what was begun, by whomever.
    pub(super) fn clear(&self, server: &AddonServer) -> Result<(), Problem> {
        self.host.stop(server, IMPORT)?;
        self.run(server, &["rm", "-rf", "restored", "former"])
    }

    fn fill(&self, addon: &WantedAddon, from: &mut dyn Read) -> Result<(), Problem> {
        let server = &addon.server;
        self.run(server, &["mkdir", "-m", "0700", "restored"])?;
        let to = format!("of={DUMP}");
        let put = ["dd", "status=none", "bs=64K", "conv=fsync", &to];
        self.host.feed(&self.host.job(server, USER, put), from)?;
        // Its checksum is at its end, where the server does not look.
        self.run(server, &["gzip", "-t", DUMP]).map_err(|problem| no_dump(problem.detail))?;
        let beside = AddonServer { port: free_port()?, ..server.clone() };
        let address = format!("127.0.0.1:{}", beside.port);
        let own = ["--http-addr", &address, "--db-path", "restored/db", "--dump-dir", "restored/dumps"];
        let job = self.server_job(server, &[&own[..], &["--import-dump", DUMP]].concat())?;
        self.host.keep_beside(server, IMPORT, job, STOP)?;
        self.until_read(&beside)?;
        // What waited to be indexed when the dump was made.
        api::until_idle(&beside)?;
        keys::keep_out(&beside, &[])?;
        keys::set(&beside, &addon.credentials)?;
        self.host.stop(server, IMPORT)?;
        self.run(server, &["rm", DUMP])
    }

    /// It answers when it has read the dump, and ends when it cannot; how long that takes is the dump's.
    fn until_read(&self, beside: &AddonServer) -> Result<(), Problem> {
        while !api::answers(beside) {
            let kept = self.host.daemons().status(&beside.name)?;
            let import = kept.iter().find(|daemon| daemon.process == IMPORT);
            if import.is_none_or(|import| import.restarts > 0) {
                return Err(no_dump(self.host.last_lines(beside)));
            }
            std::thread::sleep(LOOK_PAUSE);
        }
        Ok(())
    }
}

fn no_dump(detail: String) -> Problem {
    Problem::new(Kind::User, "addon.not-a-backup", "this is no dump of Meilisearch, or not a whole one")
        .detail(detail)
        .hint("make one with: hop3 addon export, or POST /dumps; one of a newer version is not read")
}

fn free_port() -> Result<u16, Problem> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|listener| listener.local_addr());
    listener.map(|address| address.port()).map_err(|error| {
        Problem::new(Kind::Unavailable, "addon.no-port", "no port is free for another server")
            .detail(error.to_string())
    })
}
