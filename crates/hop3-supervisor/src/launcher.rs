// SPDX-License-Identifier: Apache-2.0
//! The supervisor's side of a start: runs `hop3 launch`, which sets everything up and becomes the process.
//!
//! ```text
//! supervisor                         launch (stdin: order, stdout: the process's own, stderr: control socket)
//!     │ ── spawn ──────────────────►  sandbox, limits, user, find the program
//!     │ ◄── 'r' ready ─────────────   (or a Problem)
//!     │  hold namespace, write record
//!     │ ─── 'g' go (with stderr, when it is apart) ─► execve: the socket closes by itself (or a Problem comes)
//! ```
//! Nothing of the job runs before it is recorded; a supervisor that dies meanwhile leaves nothing behind.

use crate::problem::launcher_failed;
use crate::protocol::Ended;
use crate::reaper::Reaper;
use crate::record::{Running, boot_id};
use crate::tree::{self, Stat, Tree};
use hop3_core::Problem;
use hop3_core::sandbox::Job;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{MemfdFlags, memfd_create};
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{self, IoSlice, Seek as _, Write as _};
use std::mem::MaybeUninit;
use std::os::unix::net::UnixStream as StdStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;
use tokio::io::unix::AsyncFd;
use tokio::io::{AsyncReadExt as _, Interest};
use tokio::net::UnixStream;
use tokio::sync::oneshot;

/// Setting up takes milliseconds; a launcher that takes longer hangs on a dead disk.
const PATIENCE: Duration = Duration::from_secs(30);

/// What `hop3 launch` reads from its stdin.
#[derive(Serialize, Deserialize)]
pub(crate) struct Order {
    pub job: Job,
    /// Its stdin is its stdout; otherwise it is empty.
    pub stdin: bool,
    /// It ends with the supervisor.
    pub dies_with_parent: bool,
}

/// A process of ours, by birth or by adoption.
pub(crate) struct Process {
    pub pid: Pid,
    pub start_time: u64,
    pub tree: Tree,
    handle: AsyncFd<OwnedFd>,
    exit: Exit,
}

/// Only a parent is told the exit status.
enum Exit {
    Awaited(oneshot::Receiver<Ended>),
    Adopted,
    Known(Ended),
}

impl Process {
    /// Takes over what an earlier supervisor started, when it still runs.
    pub(crate) fn adopt(running: &Running, mark: String, user: Option<u32>) -> Option<Process> {
        let pid = Pid::from_raw(running.pid)?;
        let handle = pidfd_open(pid, PidfdFlags::empty()).ok()?;
        // After the handle is open the pid cannot change its meaning any more.
        running.alive()?;
        let leader = Some((pid, running.start_time));
        let tree = Tree { mark, leader, namespace: hold_namespace(pid), user };
        if !tree.has_user(pid) {
            return None;
        }
        let handle = crate::kernel::watch(handle).ok()?;
        Some(Process { pid, start_time: running.start_time, tree, handle, exit: Exit::Adopted })
    }

    pub(crate) fn running(&self) -> Running {
        let pid = self.pid.as_raw_nonzero().get();
        Running { pid, start_time: self.start_time, boot_id: boot_id() }
    }

    /// Waits for the end of the first process. Cancelling the wait loses nothing.
    pub(crate) async fn ended(&mut self) -> Ended {
        let ended = match &mut self.exit {
            Exit::Known(ended) => *ended,
            Exit::Awaited(exit) => exit.await.unwrap_or(Ended::Unknown),
            Exit::Adopted => {
                let _ = self.handle.readable().await;
                Ended::Unknown
            }
        };
        self.exit = Exit::Known(ended);
        ended
    }

    fn has_ended_unseen(&self) -> bool {
        Stat::read(self.pid).is_none_or(|stat| stat.start_time != self.start_time)
    }

    /// Asks all to end, gives them `grace`, then ends what is left.
    pub(crate) async fn stop(&mut self, (signal, grace): (Signal, Duration)) {
        self.signal_group(signal);
        let gentle = async {
            self.ended().await;
            self.tree.ask_strays();
            // The first process is often a shell that ends before those it started.
            while !self.tree.members().is_empty() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let _ = tokio::time::timeout(grace, gentle).await;
        self.tree.kill().await;
        let _ = tokio::time::timeout(Duration::from_secs(1), self.ended()).await;
    }

    /// Signals the first process's group.
    pub(crate) fn signal_group(&self, signal: Signal) {
        // Once it has been collected its number may name another group.
        if matches!(self.exit, Exit::Known(_)) || self.has_ended_unseen() {
            return;
        }
        if kill_process_group(self.pid, signal).is_err() {
            tree::signal(&self.handle, signal);
        }
    }
}

/// Everything about one start that is not the job itself.
pub(crate) struct Start<'a> {
    pub launcher: &'a Path,
    pub reaper: &'a Reaper,
    pub mark: String,
    pub stdout: OwnedFd,
    pub stdin: bool,
    /// Its stderr, when that is not its stdout.
    pub errors: Option<OwnedFd>,
    pub dies_with_parent: bool,
}

impl Start<'_> {
    /// Starts the job. `record` is called when the process exists but has not begun.
    ///
    /// # Errors
    /// `run.not-started`, `run.sandbox-failed` from the launcher; nothing is left running.
    pub(crate) async fn run(mut self, job: &Job, record: impl FnOnce(&Process)) -> Result<Process, Problem> {
        let errors = self.errors.take();
        let (mut process, mut control) = self.spawn(job).map_err(launcher_failed)?;
        let go = async {
            if let Some(problem) = until_ready(&mut control).await? {
                return Ok(Some(problem));
            }
            process.tree.namespace = hold_namespace(process.pid);
            record(&process);
            say_go(&control, errors).await?;
            let mut rest = Vec::new();
            control.read_to_end(&mut rest).await?;
            Ok((!rest.is_empty()).then(|| read_problem(&rest)))
        };
        let outcome = match tokio::time::timeout(PATIENCE, go).await {
            Ok(outcome) => outcome.unwrap_or_else(|error: io::Error| Some(launcher_failed(error))),
            Err(_) => Some(launcher_failed("it did not answer in time")),
        };
        match outcome {
            None => Ok(process),
            Some(problem) => {
                process.tree.kill().await;
                process.ended().await;
                Err(problem)
            }
        }
    }

    fn spawn(self, job: &Job) -> io::Result<(Process, UnixStream)> {
        let mut job = job.clone();
        job.env.insert(tree::MARK.to_owned(), self.mark.clone());
        let user = job.sandbox.user.filter(|_| rustix::process::geteuid().is_root());
        let order = Order { job, stdin: self.stdin, dies_with_parent: self.dies_with_parent };
        let mut file = File::from(memfd_create("order", MemfdFlags::CLOEXEC)?);
        file.write_all(&serde_json::to_vec(&order)?)?;
        file.rewind()?;
        let (ours, theirs) = StdStream::pair()?;
        let child = Command::new(self.launcher)
            .arg("launch")
            .env_clear()
            .env(tree::MARK, &self.mark)
            .current_dir("/")
            .stdin(file)
            .stdout(self.stdout)
            .stderr(Stdio::from(OwnedFd::from(theirs)))
            .spawn()?;
        let pid = Pid::from_child(&child);
        let exit = Exit::Awaited(self.reaper.watch(pid));
        // It is our child and nobody has collected it yet: the pid is its own.
        let handle = crate::kernel::watch(pidfd_open(pid, PidfdFlags::empty())?)?;
        let start_time = Stat::read(pid).map_or(0, |stat| stat.start_time);
        let tree = Tree { mark: self.mark, leader: Some((pid, start_time)), namespace: None, user };
        ours.set_nonblocking(true)?;
        Ok((Process { pid, start_time, tree, handle, exit }, UnixStream::from_std(ours)?))
    }
}

/// The byte that the launcher waits for, and the descriptor that becomes stderr.
async fn say_go(control: &UnixStream, errors: Option<OwnedFd>) -> io::Result<()> {
    let send = || {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        let descriptors: Vec<BorrowedFd<'_>> = errors.iter().map(AsFd::as_fd).collect();
        if !descriptors.is_empty() {
            ancillary.push(SendAncillaryMessage::ScmRights(&descriptors));
        }
        Ok(sendmsg(control, &[IoSlice::new(b"g")], &mut ancillary, SendFlags::NOSIGNAL)?)
    };
    control.async_io(Interest::WRITABLE, send).await.map(drop)
}

async fn until_ready(control: &mut UnixStream) -> io::Result<Option<Problem>> {
    let mut first = [0];
    if control.read(&mut first).await? == 0 {
        return Ok(Some(launcher_failed("it ended without a word")));
    }
    if first[0] == b'r' {
        return Ok(None);
    }
    let mut answer = first.to_vec();
    control.read_to_end(&mut answer).await?;
    Ok(Some(read_problem(&answer)))
}

fn read_problem(answer: &[u8]) -> Problem {
    serde_json::from_slice(answer).unwrap_or_else(|_| launcher_failed(String::from_utf8_lossy(answer)))
}

/// Opens the process's mount namespace when it has one of its own.
fn hold_namespace(pid: Pid) -> Option<OwnedFd> {
    let theirs = File::open(tree::proc(pid, "ns/mnt")).ok()?;
    let is_own = tree::mount_namespace(pid) == tree::mount_namespace(rustix::process::getpid());
    (!is_own).then(|| theirs.into())
}
