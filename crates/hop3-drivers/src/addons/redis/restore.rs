// SPDX-License-Identifier: Apache-2.0
//! Another file of data for Redis. It is written beside, and looked through from its beginning to its checksum; only
//! then is the server stopped, and the former data wait until it answers with the new ones. Whatever dies meanwhile,
//! the server starts with all of the former data or all of the new ones.

use super::{Redis, USER};
use hop3_core::addon::AddonServer;
use hop3_core::{Kind, Problem};
use std::io::Read;

/// Where it lies for a server that appends what comes later to a second file.
const BASE: &str = "restored/appendonlydir/appendonly.aof.1.base.rdb";
const MANIFEST: &str = "restored/appendonlydir/appendonly.aof.manifest";
const LISTED: &str = "file appendonly.aof.1.base.rdb seq 1 type b\n";

impl Redis {
    pub(super) fn replace(&self, server: &AddonServer, from: &mut dyn Read) -> Result<(), Problem> {
        let first = super::super::beginning(from, 1)?;
        self.run(server, &["rm", "-rf", "restored", "former"])?;
        self.run(server, &["mkdir", "-p", "-m", "0700", "restored", "restored/appendonlydir"])?;
        let swapped = self
            .fill(server, &mut first.as_slice().chain(from))
            .and_then(|()| self.host.take_over(server, USER, &|| self.keep(server)));
        // What replaced the data, or what should have.
        let cleared = self.run(server, &["rm", "-rf", "restored", "former"]);
        swapped.and(cleared.map(drop))
    }

    fn fill(&self, server: &AddonServer, from: &mut dyn Read) -> Result<(), Problem> {
        self.put(server, BASE, from)?;
        self.put(server, MANIFEST, &mut LISTED.as_bytes())?;
        let argv = [Redis::program(server, "check-rdb")?, BASE.to_owned()];
        self.host.ask(&self.host.job(server, USER, argv), "").map(drop).map_err(|problem| {
            Problem::new(
                Kind::User,
                "addon.not-a-backup",
                "this is no data file of Redis, or not a whole one",
            )
            .detail(problem.detail)
            .hint("make one with: hop3 addon export, or redis-cli --rdb")
        })
    }
}
