// SPDX-License-Identifier: Apache-2.0
//! A product's processes: its first one, found again by whoever asks through a file with its pid and start time, and
//! the workers in its process group.
//!
//! Who accepts is whoever of them has a listening TCP socket open: products close it when they retire a worker.

use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use std::collections::HashSet;
use std::fs;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Between two looks at what no event tells.
const LOOK: Duration = Duration::from_millis(5);

/// The first process of a product that lives, or did a moment ago.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Main {
    pub(crate) pid: i32,
    start: u64,
}

/// What `/proc/PID/stat` tells.
struct Stat {
    parent: i32,
    group: i32,
    start: u64,
    is_gone: bool,
}

impl Main {
    pub(crate) fn of(pid: u32) -> Option<Main> {
        let pid = i32::try_from(pid).ok()?;
        Some(Main { pid, start: stat(pid)?.start })
    }

    pub(crate) fn record(self, folder: &Path, product: &str) -> io::Result<()> {
        let (file, beside) = (file(folder, product), folder.join(format!("{product}.pid.new")));
        fs::write(&beside, format!("{} {}", self.pid, self.start))?;
        fs::rename(beside, file)
    }

    /// The one on record, if that very process lives.
    pub(crate) fn find(folder: &Path, product: &str) -> Option<Main> {
        Main::recorded(folder, product).filter(|main| main.lives())
    }

    /// The one on record, if it accepts connections, itself or by its workers.
    pub(crate) fn accepting(folder: &Path, product: &str) -> Option<Main> {
        let is_alone = super::product::product(product).is_some_and(|product| product.is_alone());
        let accepts =
            |main: &Main| if is_alone { main.any_accepts() } else { !main.split_workers().0.is_empty() };
        Main::find(folder, product).filter(accepts)
    }

    /// Nobody shall find it any more.
    pub(crate) fn forget(self, folder: &Path, product: &str) {
        if Main::recorded(folder, product) == Some(self) {
            // Absent is what is asked for.
            let _ = fs::remove_file(file(folder, product));
        }
    }

    pub(crate) fn recorded(folder: &Path, product: &str) -> Option<Main> {
        let text = fs::read_to_string(file(folder, product)).ok()?;
        let (pid, start) = text.trim().split_once(' ')?;
        Some(Main { pid: pid.parse().ok()?, start: start.parse().ok()? })
    }

    pub(crate) fn lives(self) -> bool {
        stat(self.pid).is_some_and(|stat| stat.start == self.start && !stat.is_gone)
    }

    pub(crate) fn signal(self, signal: Signal) {
        if let Some(pid) = Pid::from_raw(self.pid).filter(|_| self.lives()) {
            // It may end at this very moment.
            let _ = kill_process(pid, signal);
        }
    }

    /// To every process of its group. A group's number is not given away while one of them lives, and one that
    /// lives is looked for first.
    pub(crate) fn signal_all(self, signal: Signal) {
        if let Some(pid) = Pid::from_raw(self.pid).filter(|_| !self.members().is_empty()) {
            let _ = kill_process_group(pid, signal);
        }
    }

    /// The processes of its group, itself among them. None of another group that came to the same number: those
    /// that began before it.
    pub(crate) fn members(self) -> Vec<i32> {
        let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
        let pids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
        pids.filter(|pid| {
            stat(*pid).is_some_and(|stat| stat.group == self.pid && stat.start >= self.start && !stat.is_gone)
        })
        .collect()
    }

    fn workers(self) -> Vec<i32> {
        let is_worker = |pid: &i32| stat(*pid).is_some_and(|stat| stat.parent == self.pid);
        self.members().into_iter().filter(|pid| *pid != self.pid).filter(is_worker).collect()
    }

    /// Those of its workers that accept connections, and those that no longer do.
    pub(crate) fn split_workers(self) -> (Vec<i32>, Vec<i32>) {
        let listening = listening();
        self.workers()
            .into_iter()
            .partition(|pid| sockets(*pid).iter().any(|socket| listening.contains(socket)))
    }

    /// Any process of its group accepts connections.
    pub(crate) fn any_accepts(self) -> bool {
        let listening = listening();
        self.members().into_iter().any(|pid| sockets(pid).iter().any(|socket| listening.contains(socket)))
    }

    /// No listening socket is open in this process more than once. Some keep what they were handed for as long as they
    /// live, and accept from a copy.
    pub(crate) fn holds_no_copy(self) -> bool {
        let listening = listening();
        let mut seen = HashSet::new();
        sockets(self.pid).into_iter().filter(|socket| listening.contains(socket)).all(|s| seen.insert(s))
    }

    /// The addresses where this process itself listens.
    pub(crate) fn listens(self) -> Vec<SocketAddr> {
        let open: HashSet<u64> = sockets(self.pid).into_iter().collect();
        let table = tcp_table().into_iter().filter(|entry| entry.state == LISTENING);
        table.filter(|entry| open.contains(&entry.inode)).filter_map(|entry| entry.local).collect()
    }

    /// It has a worker that accepts and was not among those, and none of those does.
    pub(crate) fn has_others(self, former: &[i32]) -> bool {
        let (accept, _) = self.split_workers();
        let (old, new): (Vec<i32>, Vec<i32>) = accept.into_iter().partition(|pid| former.contains(pid));
        old.is_empty() && !new.is_empty()
    }

    /// Waits until every process of the group has ended.
    pub(crate) fn wait_for_end(self, patience: Duration) -> bool {
        wait(patience, || self.members().is_empty())
    }
}

/// Looks until something holds; false when it did not in time.
pub(crate) fn wait(patience: Duration, mut holds: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + patience;
    while !holds() {
        if Instant::now() >= deadline {
            return false;
        }
        std::thread::sleep(LOOK);
    }
    true
}

/// How many connections these processes have to these addresses.
pub(crate) fn connections(pids: &[i32], addresses: &[SocketAddr]) -> u64 {
    let open: HashSet<u64> = pids.iter().flat_map(|pid| sockets(*pid)).collect();
    let table = tcp_table();
    let is_meant =
        |entry: &Entry| entry.state == ESTABLISHED && entry.remote.is_some_and(|r| addresses.contains(&r));
    table.iter().filter(|entry| is_meant(entry) && open.contains(&entry.inode)).count() as u64
}

fn file(folder: &Path, product: &str) -> PathBuf {
    folder.join(format!("{product}.pid"))
}

fn stat(pid: i32) -> Option<Stat> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name before may hold spaces and parentheses.
    let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
    let number = |place: usize| fields.get(place)?.parse().ok();
    Some(Stat {
        is_gone: matches!(*fields.first()?, "Z" | "X"),
        parent: number(1)?,
        group: number(2)?,
        start: fields.get(19)?.parse().ok()?,
    })
}

fn sockets(pid: i32) -> Vec<u64> {
    let Ok(entries) = fs::read_dir(format!("/proc/{pid}/fd")) else { return Vec::new() };
    let links = entries.flatten().filter_map(|entry| fs::read_link(entry.path()).ok());
    links
        .filter_map(|link| link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok())
        .collect()
}

fn listening() -> HashSet<u64> {
    tcp_table().into_iter().filter(|entry| entry.state == LISTENING).map(|entry| entry.inode).collect()
}

const ESTABLISHED: u8 = 1;
const LISTENING: u8 = 10;

struct Entry {
    local: Option<SocketAddr>,
    remote: Option<SocketAddr>,
    state: u8,
    inode: u64,
}

/// The TCP sockets of this network namespace (proc(5)).
fn tcp_table() -> Vec<Entry> {
    let mut entries = Vec::new();
    for file in ["/proc/net/tcp", "/proc/net/tcp6"] {
        let text = fs::read_to_string(file).unwrap_or_default();
        entries.extend(text.lines().skip(1).filter_map(|line| {
            let fields: Vec<&str> = line.split_whitespace().collect();
            Some(Entry {
                local: endpoint(fields.get(1)?),
                remote: endpoint(fields.get(2)?),
                state: u8::from_str_radix(fields.get(3)?, 16).ok()?,
                inode: fields.get(9)?.parse().ok()?,
            })
        }));
    }
    entries
}

/// `0100007F:1F90`: words of the address in the machine's order.
fn endpoint(text: &str) -> Option<SocketAddr> {
    let (address, port) = text.split_once(':')?;
    let words = (0..address.len() / 8).map(|i| u32::from_str_radix(address.get(i * 8..i * 8 + 8)?, 16).ok());
    let bytes: Vec<u8> =
        words.collect::<Option<Vec<u32>>>()?.into_iter().flat_map(u32::to_ne_bytes).collect();
    let address = match bytes.len() {
        4 => IpAddr::from(<[u8; 4]>::try_from(bytes).ok()?),
        16 => IpAddr::from(<[u8; 16]>::try_from(bytes).ok()?).to_canonical(),
        _ => return None,
    };
    Some(SocketAddr::new(address, u16::from_str_radix(port, 16).ok()?))
}
