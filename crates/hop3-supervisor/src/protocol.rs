// SPDX-License-Identifier: Apache-2.0
//! What can be asked of the supervisor: JSON, one object a line, one request per connection.
//!
//! Groups, names and labels are opaque here: whoever asks gives them a meaning. A group is matched whole, never by
//! prefix.

use hop3_core::Problem;
use hop3_core::driver::{Exit, LogLine};
use hop3_core::sandbox::Job;
use hop3_core::workload::InstanceState;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// An instance to keep running.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Spec {
    /// Unique on this machine; `[a-z0-9._-]`, at most 128 characters.
    pub id: String,
    /// Instances of one group share a log.
    pub group: String,
    /// The word in front of its lines in that log.
    pub name: String,
    pub job: Job,
    pub stop_grace_secs: u32,
    /// What asks it to end; SIGTERM unless set.
    #[serde(default)]
    pub stop_signal: Option<i32>,
    #[serde(default)]
    pub restart: RestartPolicy,
    /// Given back with the status.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
}

/// When an instance that ended is started again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RestartPolicy {
    /// Wait before the first start after an early end; doubled each time.
    pub first_delay_ms: u64,
    pub max_delay_ms: u64,
    /// A run shorter than this is an early end.
    pub early_ms: u64,
    /// So many early ends within `window_ms` are a crash loop.
    pub early_ends: usize,
    pub window_ms: u64,
}

impl Default for RestartPolicy {
    fn default() -> RestartPolicy {
        RestartPolicy {
            first_delay_ms: 500,
            max_delay_ms: 60_000,
            early_ms: 10_000,
            early_ends: 5,
            window_ms: 60_000,
        }
    }
}

/// What the supervisor knows of an instance.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Status {
    pub id: String,
    pub group: String,
    pub name: String,
    pub state: InstanceState,
    pub pid: Option<u32>,
    pub started_ms: u64,
    pub restarts: u32,
    pub last_exit: Option<String>,
    pub labels: BTreeMap<String, String>,
}

/// Something that happened to an instance.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Change {
    pub time_ms: u64,
    pub id: String,
    pub group: String,
    pub name: String,
    pub what: ChangeKind,
    /// How it ended; empty for a start.
    pub how: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ChangeKind {
    Started,
    Exited,
    /// The crash-loop verdict: it is not started again.
    Crashed,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Request {
    Hello,
    Start {
        specs: Vec<Spec>,
    },
    Stop {
        ids: Vec<String>,
    },
    Restart {
        id: String,
    },
    Freeze {
        id: String,
    },
    Thaw {
        ids: Vec<String>,
    },
    Status {
        group: Option<String>,
    },
    Logs(LogRequest),
    Follow {
        group: String,
    },
    Note {
        group: String,
        name: String,
        text: String,
    },
    Forget {
        group: String,
    },
    /// Comes with one descriptor, which becomes stdout and stderr (and stdin), or with a second one for stderr.
    Run {
        job: Job,
        stdin: bool,
    },
    Give {
        directory: PathBuf,
        user: Option<u32>,
    },
    Remove {
        directory: PathBuf,
    },
    Events,
    Shutdown,
}

/// Which lines of a group's log.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct LogRequest {
    pub group: String,
    /// The whole name, or its part before the first dot.
    pub name: Option<String>,
    pub last: Option<usize>,
    pub since_ms: Option<u64>,
}

/// Follows a `Run` on the same connection.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Control {
    Signal(i32),
    Kill,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Answer {
    Done,
    Hello { version: String, privileged: bool },
    Instances(Vec<Status>),
    Line(LogLine),
    Change(Change),
    Started,
    Ended(Ended),
    Problem(Problem),
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Ended {
    Status(u8),
    Signal(u8),
    /// It was started by an earlier supervisor; only its parent is told how it ended.
    Unknown,
}

impl Ended {
    pub(crate) fn exit(self) -> Exit {
        match self {
            Ended::Status(status) => Exit::Status(status),
            Ended::Signal(signal) => Exit::Signal(signal),
            Ended::Unknown => Exit::Cancelled,
        }
    }
}

impl std::fmt::Display for Ended {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Ended::Status(status) => write!(f, "exit status {status}"),
            Ended::Signal(signal) => write!(f, "signal {signal} ({})", signal_name(*signal)),
            Ended::Unknown => f.write_str("exit status unknown (adopted)"),
        }
    }
}

fn signal_name(signal: u8) -> &'static str {
    match signal {
        1 => "SIGHUP",
        2 => "SIGINT",
        3 => "SIGQUIT",
        4 => "SIGILL",
        6 => "SIGABRT",
        7 => "SIGBUS",
        8 => "SIGFPE",
        9 => "SIGKILL",
        11 => "SIGSEGV",
        13 => "SIGPIPE",
        14 => "SIGALRM",
        15 => "SIGTERM",
        24 => "SIGXCPU",
        25 => "SIGXFSZ",
        31 => "SIGSYS",
        _ => "see signal(7)",
    }
}
