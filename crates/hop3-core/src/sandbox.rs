// SPDX-License-Identifier: Apache-2.0
//! What a process is and what it may see: the words shared by builds, instances and one-off commands.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// How a process is started.
///
/// `Shell` carries a command line that the app's author wrote; it is run by `/bin/sh -c` as the app's own user inside
/// its sandbox, and nowhere else. Everything Hop3 composes itself is `Exec`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Command {
    Exec(Vec<String>),
    Shell(String),
}

impl Command {
    pub fn exec<S: Into<String>>(argv: impl IntoIterator<Item = S>) -> Command {
        Command::Exec(argv.into_iter().map(Into::into).collect())
    }

    pub fn shell(line: impl Into<String>) -> Command {
        Command::Shell(line.into())
    }

    /// The argument array handed to the kernel.
    pub fn argv(&self) -> Vec<String> {
        match self {
            Command::Exec(argv) => argv.clone(),
            Command::Shell(line) => vec!["/bin/sh".into(), "-c".into(), line.clone()],
        }
    }

    /// For people: what runs, on one line.
    pub fn display(&self) -> String {
        match self {
            Command::Exec(argv) => argv.join(" "),
            Command::Shell(line) => line.clone(),
        }
    }
}

/// A directory or file made visible inside a sandbox.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Mount {
    /// Where it lies on the machine.
    pub source: PathBuf,
    /// Where the process sees it; mostly the same path, so that nothing changes without a sandbox.
    pub target: PathBuf,
    pub writable: bool,
}

/// The view and identity of a process.
///
/// Without `user` (an unprivileged supervisor) there is no separation: the process runs as the supervisor's own user
/// and sees what that user sees. With it, the process has its own uid, gid and mount namespace, in which `hide` is
/// empty but for `mounts`, `/tmp` is private, and no capability is left but what `reads_all` says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Sandbox {
    /// Numeric uid, also used as gid.
    pub user: Option<u32>,
    /// The name under which `/etc/passwd` inside the sandbox knows `user`.
    pub user_name: String,
    pub home: PathBuf,
    /// Directories replaced by empty ones (Hop3's root). One at the top that the machine has not is there, empty.
    pub hide: Vec<PathBuf>,
    pub mounts: Vec<Mount>,
    /// It reads what it sees whoever owns it (CAP_DAC_READ_SEARCH), and writes no more than its user may: backups.
    #[serde(default)]
    pub reads_all: bool,
}

/// Limits, most of them of resources (setrlimit(2)); values above the machine's hard limit are lowered to it and told.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Limits {
    /// Open files.
    pub nofile: Option<u64>,
    /// Processes of the user.
    pub nproc: Option<u64>,
    /// Largest file, in bytes.
    pub fsize_bytes: Option<u64>,
    /// Core dump size, in bytes; 0 unless set, since a core holds secrets.
    pub core_bytes: Option<u64>,
    /// No network at all, where processes have users of their own.
    #[serde(default)]
    pub offline: bool,
}

/// One process to start.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Job {
    pub command: Command,
    pub cwd: PathBuf,
    /// The whole environment: nothing is inherited.
    pub env: BTreeMap<String, String>,
    pub sandbox: Sandbox,
    pub limits: Limits,
}
