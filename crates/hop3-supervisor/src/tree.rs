// SPDX-License-Identifier: Apache-2.0
//! Finds every process that came out of one start, also those that daemonised, and kills them.
//!
//! A process belongs to a tree when it shares the tree's mount namespace, or its session, or carries its mark in the
//! environment. One that left all three must have tried hard. Zombies are gone already.

use rustix::fd::{AsFd, OwnedFd};
use rustix::process::{Pid, PidfdFlags, Signal, getpid, pidfd_open, pidfd_send_signal};
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::time::{Duration, Instant};

/// The environment variable that marks every process of a tree.
pub(crate) const MARK: &str = "HOP3_TREE";

/// A process stuck in the kernel cannot be killed; nobody waits for it longer.
const KILL_PATIENCE: Duration = Duration::from_secs(10);

/// One that sleeps in the kernel stands still when it comes back.
const FREEZE_PATIENCE: Duration = Duration::from_secs(2);

/// How long a process may take from one program to the next.
const EXEC_PATIENCE: Duration = Duration::from_secs(1);

/// `PF_KTHREAD` of the kernel: a thread of its own.
const KERNEL_THREAD: u64 = 0x0020_0000;

/// What identifies the processes of one start.
pub(crate) struct Tree {
    /// Value of `MARK`.
    pub mark: String,
    /// Pid and start time of the first process, which leads the session.
    pub leader: Option<(Pid, u64)>,
    /// Held open: while it is, its number names no other namespace.
    pub namespace: Option<OwnedFd>,
    /// The user of all processes, when it is not the supervisor's.
    pub user: Option<u32>,
}

impl Tree {
    pub(crate) fn members(&self) -> Vec<Member> {
        let namespace = self.namespace.as_ref().and_then(|fd| rustix::fs::fstat(fd).ok()).map(|s| s.st_ino);
        let mark = format!("{MARK}={}", self.mark).into_bytes();
        let session = self.session();
        let own = getpid();
        let member = |pid: Pid| {
            let stat = Stat::read(pid).filter(|stat| !stat.is_zombie)?;
            let is_ours = session.is_some_and(|session| stat.session == session)
                || namespace.is_some_and(|ino| mount_namespace(pid) == Some(ino))
                || has_environment(pid, &mark);
            is_ours.then_some(Member { pid, stat })
        };
        processes().filter(|pid| *pid != own && self.has_user(*pid)).filter_map(member).collect()
    }

    /// Asks those to end that left the session and so did not hear what its group was told.
    pub(crate) fn ask_strays(&self) {
        let session = self.session();
        for stray in self.members().iter().filter(|member| Some(member.stat.session) != session) {
            stray.send(Signal::TERM);
        }
    }

    /// Stops all members; gives them once each is seen to stand still. A process that was just forked is found at the
    /// next look, and one that stands still forks no more.
    pub(crate) async fn freeze(&self) -> Vec<Member> {
        let deadline = Instant::now() + FREEZE_PATIENCE;
        loop {
            let members = self.members();
            if members.iter().all(|member| member.stat.is_stopped) || Instant::now() > deadline {
                return members;
            }
            members.iter().filter(|member| !member.stat.is_stopped).for_each(|m| m.send(Signal::STOP));
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// Kills all members until none is left.
    pub(crate) async fn kill(&self) {
        let deadline = Instant::now() + KILL_PATIENCE;
        loop {
            let members = self.members();
            if members.is_empty() {
                return;
            }
            if Instant::now() > deadline {
                tracing::warn!(tree = self.mark, left = members.len(), "processes cannot be killed");
                return;
            }
            members.iter().for_each(|member| member.send(Signal::KILL));
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    /// The session number, unless the leader's pid names another process by now.
    fn session(&self) -> Option<i32> {
        let (pid, start_time) = self.leader?;
        let is_recycled = Stat::read(pid).is_some_and(|stat| stat.start_time != start_time);
        (!is_recycled).then(|| pid.as_raw_nonzero().get())
    }

    /// Tells whether the process belongs to the tree's user; every one does when the tree has none of its own.
    pub(crate) fn has_user(&self, pid: Pid) -> bool {
        let Some(user) = self.user else { return true };
        // The directory of a process that dropped its dumpable flag belongs to root; its status tells more.
        fs::metadata(proc(pid, "")).is_ok_and(|m| m.uid() == user || m.uid() == 0 && has_real_user(pid, user))
    }
}

/// A process that was seen to belong to a tree.
pub(crate) struct Member {
    pid: Pid,
    stat: Stat,
}

impl Member {
    pub(crate) fn send(&self, which: Signal) {
        let Ok(process) = pidfd_open(self.pid, PidfdFlags::empty()) else { return };
        // Since it was seen it may have ended, and its pid name another process by now.
        if Stat::read(self.pid).is_some_and(|stat| stat.start_time == self.stat.start_time) {
            signal(process, which);
        }
    }
}

/// The fields of /proc/PID/stat that matter here.
pub(crate) struct Stat {
    pub is_zombie: bool,
    /// By a signal, until SIGCONT.
    pub is_stopped: bool,
    pub session: i32,
    /// In clock ticks since boot: with the pid it names a process for ever.
    pub start_time: u64,
    /// How many bytes the environment has; unknown while it becomes another program.
    environment: Option<u64>,
}

impl Stat {
    pub(crate) fn read(pid: Pid) -> Option<Stat> {
        let text = fs::read_to_string(proc(pid, "stat")).ok()?;
        // The command's name is in parentheses and may hold anything, parentheses too.
        let fields: Vec<&str> = text[text.rfind(')')? + 1..].split_ascii_whitespace().collect();
        let number = |field: usize| fields.get(field)?.parse::<u64>().ok();
        let is_zombie = matches!(*fields.first()?, "Z" | "X" | "x");
        // Where the program begins in memory, 0 until all of the new one lies there; then the environment's two ends.
        let (program, begin, end) = (number(23)?, number(47)?, number(48)?);
        let has_none = is_zombie || number(6)? & KERNEL_THREAD != 0;
        Some(Stat {
            is_zombie,
            is_stopped: *fields.first()? == "T",
            session: fields.get(3)?.parse().ok()?,
            start_time: number(19)?,
            environment: (program != 0 || has_none).then_some(end.saturating_sub(begin)),
        })
    }
}

/// Kills what an earlier supervisor's one-off commands left: every process whose mark begins like that.
pub(crate) fn kill_marked(prefix: &str) {
    let prefix = format!("{MARK}={prefix}").into_bytes();
    let is_marked = |entry: &[u8]| entry.starts_with(&prefix);
    let marked = |pid: Pid| {
        let stat = Stat::read(pid).filter(|stat| !stat.is_zombie)?;
        environment(pid)?.split(|b| *b == 0).any(is_marked).then_some(Member { pid, stat })
    };
    let deadline = Instant::now() + KILL_PATIENCE;
    // One that was seen may have had a child since the list was made.
    while Instant::now() < deadline {
        let members: Vec<Member> = processes().filter(|pid| *pid != getpid()).filter_map(marked).collect();
        if members.is_empty() {
            return;
        }
        members.iter().for_each(|member| member.send(Signal::KILL));
        std::thread::sleep(Duration::from_millis(2));
    }
}

pub(crate) fn signal(process: impl AsFd, signal: Signal) {
    // Fails only when the process has ended, which is what was wanted.
    let _ = pidfd_send_signal(process, signal);
}

pub(crate) fn mount_namespace(pid: Pid) -> Option<u64> {
    fs::metadata(proc(pid, "ns/mnt")).ok().map(|m| m.ino())
}

pub(crate) fn proc(pid: Pid, file: &str) -> String {
    format!("/proc/{}/{file}", pid.as_raw_nonzero())
}

fn processes() -> impl Iterator<Item = Pid> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| Pid::from_raw(entry.file_name().to_str()?.parse().ok()?))
}

fn has_environment(pid: Pid, entry: &[u8]) -> bool {
    environment(pid).is_some_and(|env| env.split(|b| *b == 0).any(|e| e == entry))
}

/// The environment, waited for while the process becomes another program: then it is empty or cut off.
fn environment(pid: Pid) -> Option<Vec<u8>> {
    let deadline = Instant::now() + EXEC_PATIENCE;
    loop {
        let environment = fs::read(proc(pid, "environ")).ok()?;
        let is_whole = |stat: Stat| stat.is_zombie || stat.environment == Some(environment.len() as u64);
        if Stat::read(pid).is_none_or(is_whole) || Instant::now() > deadline {
            return Some(environment);
        }
        std::thread::sleep(Duration::from_micros(200));
    }
}

fn has_real_user(pid: Pid, user: u32) -> bool {
    let status = fs::read_to_string(proc(pid, "status")).unwrap_or_default();
    let real = status.lines().find_map(|line| line.strip_prefix("Uid:")?.split_ascii_whitespace().next());
    real == Some(user.to_string().as_str())
}

#[cfg(test)]
mod tests;
