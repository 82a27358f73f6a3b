// SPDX-License-Identifier: Apache-2.0
//! Watch: tells instances that ended, came back or crashed, and repairs apps that lost some. Asks the runtime every
//! few seconds; requests never wait for it, since the proxy notices a dead instance by itself.

use crate::reconcile;
use crate::server::Server;
use hop3_core::event::Event;
use hop3_core::workload::{Instance, InstanceState};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

const PAUSE: Duration = Duration::from_secs(3);

type Seen = HashMap<(String, String), (InstanceState, u32)>;

pub(super) fn run(server: &Arc<Server>) {
    // What ended before the server started is not news; what ends from here on is.
    let mut seen: Option<Seen> = look(server);
    loop {
        std::thread::sleep(PAUSE);
        // A supervisor that is being started again gives no answer; the next look will.
        let Ok(instances) = server.drivers.runtime.status(None) else { continue };
        if let Some(before) = &seen {
            instances.iter().for_each(|instance| tell(server, before, instance));
        }
        let lost = seen.as_ref().is_some_and(|before| before.len() > instances.len());
        seen = Some(instances.iter().map(entry).collect());
        if lost && let Err(problem) = reconcile::repair_missing(server) {
            tracing::warn!(problem = problem.title, "repair");
        }
    }
}

fn look(server: &Server) -> Option<Seen> {
    Some(server.drivers.runtime.status(None).ok()?.iter().map(entry).collect())
}

fn entry(i: &Instance) -> ((String, String), (InstanceState, u32)) {
    ((i.app.to_string(), i.id.clone()), (i.state, i.restarts))
}

fn tell(server: &Server, before: &Seen, now: &Instance) {
    // One that was not there at the last look has ended and come back within a pause, if ever.
    let (state, restarts) = before.get(&entry(now).0).copied().unwrap_or((InstanceState::Starting, 0));
    let how = now.last_exit.clone().unwrap_or_else(|| "unknown".into());
    let instance = now.id.clone();
    let event = match now.state {
        InstanceState::Crashed if state != InstanceState::Crashed => Event::InstanceCrashed { instance, how },
        _ if now.restarts > restarts => Event::InstanceExited { instance, how },
        _ => return,
    };
    let app = server.store.app(&now.app).ok().flatten();
    server.record(app.as_ref(), None, event);
}
