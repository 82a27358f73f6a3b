// SPDX-License-Identifier: Apache-2.0
//! What the server does by itself: `cron` lines on their schedule, and a `watch` over instances.

mod cron;
mod watch;

use crate::server::Server;
use std::sync::Arc;

/// Starts the jobs, each on a thread of its own that ends with the process.
pub(crate) fn start(server: &Arc<Server>) -> std::io::Result<()> {
    for (name, job) in [("cron", cron::run as fn(&Arc<Server>)), ("watch", watch::run)] {
        let server = Arc::clone(server);
        std::thread::Builder::new().name(name.into()).spawn(move || job(&server))?;
    }
    Ok(())
}
