// SPDX-License-Identifier: Apache-2.0
//! `native`: instances are processes of this machine, kept by the supervisor.
//!
//! Nothing is remembered here: what runs is asked of the supervisor each time. An app is a group there, an instance
//! `web.v3.1` of the app `shop` is `shop.web.v3.1`, and its port is a label. No app's name has a dot, so none is
//! mistaken for another's.

use hop3_core::driver::{LogLine, LogQuery, Runtime, Session};
use hop3_core::name::{AppName, ProcessName};
use hop3_core::release::ReleaseNumber;
use hop3_core::workload::{Instance, InstanceState, WantedProcess, Workload};
use hop3_core::{Kind, Problem};
use hop3_supervisor::{Client, LogRequest, RestartPolicy, Spec, Status};
use std::collections::{BTreeMap, BTreeSet};
use std::hash::{BuildHasher, RandomState};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Mutex;

/// Below the range the kernel takes for outgoing connections (32768 on), above what services use.
const PORTS: std::ops::Range<u16> = 20_000..32_000;

const PORT_LABEL: &str = "port";

pub struct Native {
    client: Client,
    /// Where the search for a free port goes on. Held while ports are chosen and until they are the supervisor's.
    next_port: Mutex<u16>,
}

impl Native {
    pub fn new(client: Client) -> Native {
        // Several installations on one machine must not look at the same ports at the same time.
        let anywhere = RandomState::new().hash_one(std::process::id()) % PORTS.len() as u64;
        Native { client, next_port: Mutex::new(PORTS.start + anywhere as u16) }
    }

    fn statuses(&self, app: &AppName) -> Result<Vec<Status>, Problem> {
        self.client.status(Some(app.as_str()))
    }
}

impl Runtime for Native {
    fn name(&self) -> &'static str {
        "native"
    }

    fn apply(&self, workload: &Workload) -> Result<Vec<Instance>, Problem> {
        let running: Vec<Instance> = self
            .statuses(&workload.app)?
            .iter()
            .filter_map(instance)
            .filter(|instance| instance.release == workload.release)
            .collect();
        let surplus = running.iter().filter(|instance| !is_wanted(workload, instance));
        let surplus: Vec<String> =
            surplus.map(|instance| supervisor_id(&workload.app, &instance.id)).collect();
        if !surplus.is_empty() {
            self.client.stop(surplus)?;
        }
        let present: BTreeSet<&str> = running.iter().map(|instance| instance.id.as_str()).collect();
        self.start_missing(workload, &present)?;
        let frozen = running.iter().filter(|i| i.state == InstanceState::Frozen && is_wanted(workload, i));
        let frozen: Vec<String> = frozen.map(|instance| supervisor_id(&workload.app, &instance.id)).collect();
        if !frozen.is_empty() {
            self.client.thaw(frozen)?;
        }
        let mut instances: Vec<Instance> =
            self.statuses(&workload.app)?.iter().filter_map(instance).collect();
        instances.retain(|instance| instance.release == workload.release);
        Ok(instances)
    }

    fn status(&self, app: Option<&AppName>) -> Result<Vec<Instance>, Problem> {
        let statuses = self.client.status(app.map(AppName::as_str))?;
        Ok(statuses.iter().filter_map(instance).collect())
    }

    fn freeze(&self, app: &AppName, instance: &str) -> Result<(), Problem> {
        self.client.freeze(&supervisor_id(app, instance))
    }

    fn restart(&self, app: &AppName, instance: &str) -> Result<(), Problem> {
        self.client.restart(&supervisor_id(app, instance))
    }

    fn remove(&self, app: &AppName, release: Option<ReleaseNumber>) -> Result<(), Problem> {
        let statuses = self.statuses(app)?;
        let instances = statuses.iter().filter_map(instance);
        let ids: Vec<String> = instances
            .filter(|instance| release.is_none_or(|release| instance.release == release))
            .map(|instance| supervisor_id(app, &instance.id))
            .collect();
        if ids.is_empty() { Ok(()) } else { self.client.stop(ids) }
    }

    fn logs(&self, app: &AppName, query: &LogQuery) -> Result<Vec<LogLine>, Problem> {
        self.client.logs(&LogRequest {
            group: app.to_string(),
            name: query.process.as_ref().map(ProcessName::to_string),
            last: query.last,
            since_ms: query.since_ms,
        })
    }

    fn follow(&self, app: &AppName, session: Session<'_>) -> Result<(), Problem> {
        self.client.follow(app.as_str(), session)
    }

    fn note(&self, app: &AppName, instance: &str, text: &str) -> Result<(), Problem> {
        self.client.note(app.as_str(), instance, text)
    }

    fn forget_logs(&self, app: &AppName) -> Result<(), Problem> {
        self.client.forget(app.as_str())
    }
}

impl Native {
    fn start_missing(&self, workload: &Workload, present: &BTreeSet<&str>) -> Result<(), Problem> {
        let mut next_port = self.next_port.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let mut taken: Option<BTreeSet<u16>> = None;
        let mut specs = Vec::new();
        for (process, wanted) in &workload.processes {
            for number in 1..=wanted.count {
                let id = format!("{process}.{}.{number}", workload.release);
                if present.contains(id.as_str()) {
                    continue;
                }
                let port = match (wanted.serves, &mut taken) {
                    (false, _) => None,
                    (true, Some(taken)) => Some(free_port(&mut next_port, taken)?),
                    (true, None) => {
                        let taken = taken.insert(self.taken_ports()?);
                        Some(free_port(&mut next_port, taken)?)
                    }
                };
                specs.push(spec(&workload.app, (process, &id), wanted, port));
            }
        }
        if specs.is_empty() { Ok(()) } else { self.client.start(specs) }
    }

    /// Ports of all instances, also of those that wait for their next start and do not listen now.
    fn taken_ports(&self) -> Result<BTreeSet<u16>, Problem> {
        Ok(self.client.status(None)?.iter().filter_map(port).collect())
    }
}

fn is_wanted(workload: &Workload, instance: &Instance) -> bool {
    let number = instance.id.rsplit('.').next().and_then(|number| number.parse::<u32>().ok());
    let wanted = workload.processes.get(&instance.process).map_or(0, |wanted| wanted.count);
    number.is_some_and(|number| (1..=wanted).contains(&number))
}

fn spec(
    app: &AppName,
    (process, id): (&ProcessName, &str),
    wanted: &WantedProcess,
    port: Option<u16>,
) -> Spec {
    let mut job = wanted.job.clone();
    job.env.insert("HOP3_PROCESS".into(), process.to_string());
    job.env.insert("HOP3_INSTANCE".into(), id.to_owned());
    let mut labels = BTreeMap::new();
    if let Some(port) = port {
        job.env.insert("PORT".into(), port.to_string());
        job.env.insert("BIND_ADDRESS".into(), Ipv4Addr::LOCALHOST.to_string());
        labels.insert(PORT_LABEL.to_owned(), port.to_string());
    }
    Spec {
        id: supervisor_id(app, id),
        group: app.to_string(),
        name: id.to_owned(),
        job,
        stop_grace_secs: wanted.stop_grace_secs,
        stop_signal: None,
        restart: RestartPolicy::default(),
        labels,
    }
}

fn supervisor_id(app: &AppName, instance: &str) -> String {
    format!("{app}.{instance}")
}

/// The next port that no instance has and nobody listens on.
fn free_port(next: &mut u16, taken: &mut BTreeSet<u16>) -> Result<u16, Problem> {
    for _ in PORTS {
        let port = *next;
        *next = if port + 1 < PORTS.end { port + 1 } else { PORTS.start };
        let is_free = !taken.contains(&port) && TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok();
        if is_free {
            taken.insert(port);
            return Ok(port);
        }
    }
    Err(Problem::new(Kind::Unavailable, "run.no-port", "No port is free for another instance")
        .detail(format!("looked at {} to {} on 127.0.0.1", PORTS.start, PORTS.end - 1)))
}

fn port(status: &Status) -> Option<u16> {
    status.labels.get(PORT_LABEL)?.parse().ok()
}

/// Reads the supervisor's status as an instance; `None` when it is not one of ours.
fn instance(status: &Status) -> Option<Instance> {
    let mut parts = status.name.split('.');
    let process = parts.next()?.parse().ok()?;
    let release = ReleaseNumber(parts.next()?.strip_prefix('v')?.parse().ok()?);
    Some(Instance {
        id: status.name.clone(),
        app: status.group.parse().ok()?,
        process,
        release,
        state: status.state,
        pid: status.pid,
        address: port(status).map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port))),
        started_ms: status.started_ms,
        restarts: status.restarts,
        last_exit: status.last_exit.clone(),
    })
}

#[cfg(test)]
mod tests;
