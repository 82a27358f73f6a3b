// SPDX-License-Identifier: Apache-2.0
//! `hop3 backup restore --server`: an empty root becomes the server that was saved, without a server that runs. The
//! supervisor is started for it, and ended again; `hop3 server` then starts everything.

use super::{keep, layout, server, stop};
use crate::{environment, wire};
use hop3_cli::GlobalArgs;
use hop3_core::backup::{BackupInfo, RebuildRequest, Tell};
use hop3_core::layout::Layout;
use hop3_core::lock::RoleLock;
use hop3_core::problem::{Kind, Problem};
use hop3_core::tcp::Ports;
use hop3_server::{Parts, Server, Site, Store, rebuild};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

pub(crate) fn run(
    options: &GlobalArgs,
    request: &RebuildRequest,
    tell: Tell<'_>,
) -> Result<Vec<BackupInfo>, Problem> {
    let layout = server::prepare(&layout(options)).map_err(failed)?;
    let Some(_lock) = RoleLock::take(&layout.lock_of("server")).map_err(|e| failed(e.into()))? else {
        let title = format!("a server runs on {} already", layout.root().display());
        return Err(Problem::new(Kind::Conflict, "server.already-running", title)
            .hint("name an empty directory with --root"));
    };
    let arguments =
        ["supervise".into(), "--root".into(), layout.root().as_os_str().to_owned(), "--kept".into()];
    keep::want(&layout, "supervisor", &arguments).map_err(failed)?;
    keep::ensure(&layout, "supervisor").map_err(failed)?;
    let rebuilt = fill(&layout, request, tell);
    let ended = stop::others(&layout);
    rebuilt.and_then(|backups| ended.map(|()| backups))
}

fn fill(layout: &Layout, request: &RebuildRequest, tell: Tell<'_>) -> Result<Vec<BackupInfo>, Problem> {
    let drivers = wire::registry(layout);
    let fetched = rebuild::fetch(layout, (&*drivers.runner, &*drivers.backups), request, tell)?;
    let nowhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let server = Arc::new(Server::new(Parts {
        store: Store::open(layout).map_err(failed)?,
        drivers,
        site: Site { domain: "localhost".into(), http: nowhere, https: None, tcp_ports: Ports::default() },
        program: super::program().map_err(|e| failed(e.into()))?,
        build_environment: environment::for_builds(),
        stop: Box::new(|_| {}),
        layout: layout.clone(),
    }));
    rebuild::finish(&server, &fetched, tell)
}

fn failed(error: anyhow::Error) -> Problem {
    error.downcast().unwrap_or_else(|error| {
        Problem::new(Kind::Unavailable, "backup.not-rebuilt", "the server cannot be brought back")
            .detail(format!("{error:#}"))
    })
}
