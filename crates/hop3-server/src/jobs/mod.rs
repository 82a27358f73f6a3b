// SPDX-License-Identifier: Apache-2.0
//! What the server does by itself: the servers of each `addon`, `cron` lines and each `backup` on their schedule, a
//! `watch` over instances, sleep for those `idle`, company for those with a `crowd`, each `volume` that fills, warnings
//! before a certificate's `expiry`, and what happened told to plugins (`tell`).

mod addon;
mod backup;
mod cron;
mod crowd;
mod expiry;
mod idle;
mod tell;
mod volume;
mod watch;

pub(crate) use expiry::warn_of_expiry;

use crate::server::Server;
use std::sync::Arc;

/// Starts the jobs, each on a thread of its own that ends with the process.
pub(crate) fn start(server: &Arc<Server>) -> std::io::Result<()> {
    let jobs = [
        ("addon", addon::run as fn(&Arc<Server>)),
        ("backups", backup::run),
        ("cron", cron::run),
        ("watch", watch::run),
        ("idle", idle::run),
        ("crowd", crowd::run),
        ("expiry", expiry::run),
        ("tell", tell::run),
        ("volume", volume::run),
    ];
    for (name, job) in jobs {
        let server = Arc::clone(server);
        std::thread::Builder::new().name(name.into()).spawn(move || job(&server))?;
    }
    Ok(())
}
