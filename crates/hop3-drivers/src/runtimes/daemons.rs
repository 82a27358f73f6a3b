// SPDX-License-Identifier: Apache-2.0
//! The servers of addons as the supervisor keeps them. The processes of the server `postgres-3` are the group
//! `addon.postgres-3` there: no app's name has a dot, so none is taken for an app's.

use hop3_core::Problem;
use hop3_core::driver::{Daemon, Daemons, KeptDaemon, LogLine};
use hop3_core::name::ServerName;
use hop3_supervisor::{Client, LogRequest, RestartPolicy, Spec, Status};
use std::collections::BTreeMap;

pub struct Kept {
    client: Client,
}

impl Kept {
    pub fn new(client: Client) -> Kept {
        Kept { client }
    }

    fn statuses(&self, server: &ServerName) -> Result<Vec<Status>, Problem> {
        self.client.status(Some(&group(server)))
    }
}

impl Daemons for Kept {
    fn keep(&self, daemon: &Daemon) -> Result<(), Problem> {
        let id = id(&daemon.server, &daemon.process);
        if self.statuses(&daemon.server)?.iter().any(|status| status.id == id) {
            return Ok(());
        }
        self.client.start(vec![Spec {
            id,
            group: group(&daemon.server),
            name: daemon.process.clone(),
            job: daemon.job.clone(),
            stop_grace_secs: daemon.stop.grace_secs,
            stop_signal: daemon.stop.signal,
            restart: for_ever(),
            labels: BTreeMap::new(),
        }])
    }

    fn status(&self, server: &ServerName) -> Result<Vec<KeptDaemon>, Problem> {
        let kept = self.statuses(server)?.into_iter().map(|status| KeptDaemon {
            process: status.name,
            state: status.state,
            pid: status.pid,
            restarts: status.restarts,
            last_exit: status.last_exit,
        });
        Ok(kept.collect())
    }

    fn stop(&self, server: &ServerName, process: Option<&str>) -> Result<(), Problem> {
        let of_process = |status: &Status| process.is_none_or(|process| status.name == process);
        let ids: Vec<String> =
            self.statuses(server)?.into_iter().filter(of_process).map(|status| status.id).collect();
        if ids.is_empty() { Ok(()) } else { self.client.stop(ids) }
    }

    fn freeze(&self, server: &ServerName, process: &str) -> Result<(), Problem> {
        self.client.freeze(&id(server, process))
    }

    fn thaw(&self, server: &ServerName, process: &str) -> Result<(), Problem> {
        self.client.thaw(vec![id(server, process)])
    }

    fn logs(&self, server: &ServerName, last: usize) -> Result<Vec<LogLine>, Problem> {
        let last = Some(last);
        self.client.logs(&LogRequest { group: group(server), last, ..LogRequest::default() })
    }

    fn forget_logs(&self, server: &ServerName) -> Result<(), Problem> {
        self.client.forget(&group(server))
    }
}

fn group(server: &ServerName) -> String {
    format!("addon.{server}")
}

fn id(server: &ServerName, process: &str) -> String {
    format!("{}.{process}", group(server))
}

/// Data wait for their server: it is never given up.
fn for_ever() -> RestartPolicy {
    RestartPolicy {
        first_delay_ms: 100,
        max_delay_ms: 10_000,
        early_ends: usize::MAX,
        ..RestartPolicy::default()
    }
}
