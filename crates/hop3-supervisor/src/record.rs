// SPDX-License-Identifier: Apache-2.0
//! What the next supervisor must know of an instance: `run/supervisor/state/<id>.json`, mode 0600 since environments
//! hold secrets.
//!
//! Written before the process runs its first instruction of its own, so that nothing ever runs unrecorded; replaced
//! by rename, so that nobody reads half of it. Not synced: after a power cut there is no process to adopt.

use crate::protocol::{Change, ChangeKind, Spec, Status};
use hop3_core::workload::InstanceState;
use rustix::process::Pid;
use serde::{Deserialize, Serialize};
use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Record {
    pub spec: Spec,
    pub state: InstanceState,
    pub process: Option<Running>,
    pub started_ms: u64,
    pub restarts: u32,
    pub early_ends_ms: Vec<u64>,
    pub last_exit: Option<String>,
}

/// Names a process for ever: a pid alone is used again.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Running {
    pub pid: i32,
    pub start_time: u64,
    pub boot_id: String,
}

impl Record {
    pub(crate) fn new(spec: Spec) -> Record {
        Record {
            spec,
            state: InstanceState::Starting,
            process: None,
            started_ms: crate::log::now_ms(),
            restarts: 0,
            early_ends_ms: Vec::new(),
            last_exit: None,
        }
    }

    pub(crate) fn status(&self) -> Status {
        Status {
            id: self.spec.id.clone(),
            group: self.spec.group.clone(),
            name: self.spec.name.clone(),
            state: self.state,
            pid: self.process.as_ref().map(|p| p.pid as u32),
            started_ms: self.started_ms,
            restarts: self.restarts,
            last_exit: self.last_exit.clone(),
            labels: self.spec.labels.clone(),
        }
    }

    pub(crate) fn change(&self, what: ChangeKind) -> Change {
        Change {
            time_ms: crate::log::now_ms(),
            id: self.spec.id.clone(),
            group: self.spec.group.clone(),
            name: self.spec.name.clone(),
            what,
            how: match what {
                ChangeKind::Started => String::new(),
                _ => self.last_exit.clone().unwrap_or_default(),
            },
        }
    }

    pub(crate) fn save(&self, directory: &Path) -> io::Result<()> {
        let place = directory.join(format!("{}.json", self.spec.id));
        let fresh = directory.join(format!(".{}.new", self.spec.id));
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&fresh)?;
        file.write_all(&serde_json::to_vec(self)?)?;
        fs::rename(fresh, place)
    }

    pub(crate) fn forget(directory: &Path, id: &str) {
        // Absent is fine.
        let _ = fs::remove_file(directory.join(format!("{id}.json")));
    }

    /// Everything earlier supervisors recorded. A record that cannot be read is told and left.
    pub(crate) fn load_all(directory: &Path) -> io::Result<Vec<Record>> {
        let mut records = Vec::new();
        for entry in fs::read_dir(directory)? {
            let path = entry?.path();
            if path.extension().is_none_or(|extension| extension != "json") {
                continue;
            }
            match serde_json::from_slice(&fs::read(&path)?) {
                Ok(record) => records.push(record),
                Err(error) => tracing::error!(%error, path = %path.display(), "unreadable record"),
            }
        }
        Ok(records)
    }
}

impl Running {
    /// The pid, when it still names the recorded process.
    pub(crate) fn alive(&self) -> Option<Pid> {
        let pid = Pid::from_raw(self.pid)?;
        let stat = crate::tree::Stat::read(pid)?;
        let is_same = stat.start_time == self.start_time && !stat.is_zombie && self.boot_id == boot_id();
        is_same.then_some(pid)
    }
}

/// Changes at every boot: start times count from it.
pub(crate) fn boot_id() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_owned()
}
