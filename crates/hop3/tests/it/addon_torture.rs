// SPDX-License-Identifier: Apache-2.0
//! Torture: apps write to PostgreSQL, MariaDB and Redis while processes of the databases, the supervisor, the server,
//! or all there is of the root, are killed in random order. Everything comes back by itself, and whatever an app was
//! told is kept is there.
//!
//! A second Redis has its usual durability: what it answered may wait for the disk for two seconds at most, and only
//! its own death can lose that.
//!
//! `HOP3_TORTURE=50` asks for more rounds than the usual; `HOP3_TORTURE_SEED` for the order of another time.

use crate::harness::{Hop, until};
use crate::ledger::{KINDS, Ledger, can_run};
use rustix::process::{Pid, Signal, kill_process};
use std::collections::BTreeMap;
use std::fs;
use std::hash::BuildHasher;
use std::os::unix::ffi::OsStrExt;
use std::time::{Duration, Instant};

const ROUNDS: u64 = 5;

/// The Redis that does not wait for the disk, and for how long its answers may be ahead of its file: it puts a write
/// off for two seconds at most while the disk is busy with the one before.
const CACHE: &str = "cache";
const AHEAD: Duration = Duration::from_secs(2);

/// Numbers that look random, the same for the same seed.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        // xorshift64
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit as u64) as usize
    }
}

fn asked(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|text| text.parse().unwrap())
}

#[derive(Clone, Copy, Debug)]
enum Death {
    /// The first process of a database's server.
    Database(usize),
    /// Any of its processes.
    Part(usize),
    Supervisor,
    Server,
    /// Every role, instance and database at once; then the server is started, as a machine does when it boots.
    All,
}

impl Death {
    fn of(dice: &mut Dice) -> Death {
        match dice.below(10) {
            0..=2 => Death::Database(dice.below(KINDS.len() + 1)),
            3 => Death::Part(dice.below(KINDS.len() + 1)),
            4 | 5 => Death::Supervisor,
            6 | 7 => Death::Server,
            _ => Death::All,
        }
    }
}

/// Living processes whose environment holds these bytes, oldest first. A root's directory is nobody else's.
fn processes(mark: &[u8]) -> Vec<u32> {
    let entries = fs::read_dir("/proc").unwrap().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let is_of = |pid: &u32| {
        let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environment.windows(mark.len()).any(|window| window == mark)
    };
    let started = |pid: &u32| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let (_, after_name) = stat.rsplit_once(')').unwrap_or_default();
        after_name.split(' ').nth(20).and_then(|ticks| ticks.parse::<u64>().ok()).unwrap_or(u64::MAX)
    };
    let own = std::process::id();
    let mut found: Vec<u32> = pids.filter(is_of).filter(|pid| *pid != own).collect();
    found.sort_by_key(|pid| (started(pid), *pid));
    found
}

fn kill(pids: &[u32]) {
    for pid in pids {
        // One may have gone with another.
        let _ = kill_process(Pid::from_raw(*pid as i32).unwrap(), Signal::KILL);
    }
}

struct Trial {
    hop: Hop,
    ledgers: Vec<Ledger>,
}

impl Trial {
    fn start(kinds: &[&str]) -> Trial {
        let hop = Hop::start();
        let ledgers = kinds.iter().map(|kind| Ledger::start(&hop, kind).0).collect();
        Trial { hop, ledgers }
    }

    /// Whether the Redis that does not wait dies with it.
    fn ends_cache(&self, death: Death) -> bool {
        let is_cache = |kind: usize| self.ledgers[kind % self.ledgers.len()].app.starts_with(CACHE);
        match death {
            Death::Database(kind) | Death::Part(kind) => is_cache(kind),
            Death::All => true,
            Death::Supervisor | Death::Server => false,
        }
    }

    /// Nothing that was acknowledged is lost, but of the cache what it may lose with its own death; gives how much.
    #[track_caller]
    fn judge(&self, round: u64, death: Death, moment: Instant) -> usize {
        let mut lost_of_cache = 0;
        for ledger in &self.ledgers {
            let lost = ledger.lost(&self.hop);
            if !lost.is_empty() && ledger.app.starts_with(CACHE) && self.ends_cache(death) {
                let oldest = ledger.forgive(&lost, moment);
                println!("round {round}: the cache lost {} numbers of the last {oldest:?}", lost.len());
                assert!(oldest <= AHEAD, "round {round}, {death:?}: acknowledged {oldest:?} before, lost");
                lost_of_cache = lost.len();
            } else {
                assert_eq!(lost, [0; 0], "round {round}, {death:?}: {} lost these", ledger.app);
            }
        }
        lost_of_cache
    }

    /// Processes of the server of an addon.
    fn database(&self, ledger: &Ledger) -> Vec<u32> {
        let info = self.hop.json(["addon", "info", &ledger.addon, "--json"]);
        let directory = self.hop.root().join("addons").join(info["server"].as_str().unwrap());
        processes(&[b"HOME=", directory.as_os_str().as_bytes(), b"\0"].concat())
    }

    fn inflict(&mut self, death: Death, dice: &mut Dice) {
        match death {
            Death::Database(kind) => {
                kill(self.database(&self.ledgers[kind % self.ledgers.len()]).get(..1).unwrap_or_default());
            }
            Death::Part(kind) => {
                let all = self.database(&self.ledgers[kind % self.ledgers.len()]);
                kill(
                    all.get(dice.below(all.len().max(1))..)
                        .and_then(|rest| rest.get(..1))
                        .unwrap_or_default(),
                );
            }
            Death::Supervisor => drop(self.hop.kill("supervisor")),
            Death::Server => drop(self.hop.kill("server")),
            Death::All => {
                let mark = self.hop.root().as_os_str().as_bytes().to_vec();
                // Those that live start others: until there is none.
                until("nothing of the root lives", || {
                    let living = processes(&mark);
                    kill(&living);
                    living.is_empty()
                });
                self.hop.boot();
            }
        }
    }
}

#[test]
fn whatever_is_killed_nothing_acknowledged_is_lost() {
    let test = "whatever_is_killed_nothing_acknowledged_is_lost";
    let kinds: Vec<&str> = KINDS.iter().map(|(kind, ..)| *kind).filter(|kind| can_run(test, kind)).collect();
    if kinds.is_empty() {
        return;
    }
    let by_chance = std::collections::hash_map::RandomState::new().hash_one(0) | 1;
    let (rounds, seed) =
        (asked("HOP3_TORTURE").unwrap_or(ROUNDS), asked("HOP3_TORTURE_SEED").unwrap_or(by_chance));
    println!("HOP3_TORTURE={rounds} HOP3_TORTURE_SEED={seed}");
    let mut dice = Dice(seed);
    let mut trial = Trial::start(&kinds);
    if kinds.contains(&"redis") {
        trial.ledgers.push(Ledger::start_with(&trial.hop, CACHE, "redis", "").0);
    }
    let mut lost_of_cache = 0;
    let mut back: BTreeMap<String, Vec<u128>> = BTreeMap::new();
    for round in 1..=rounds {
        trial.ledgers.iter().for_each(|ledger| ledger.more(10));
        let death = Death::of(&mut dice);
        let before = Instant::now();
        trial.inflict(death, &mut dice);
        trial.ledgers.iter().for_each(|ledger| ledger.more(10));
        let took = before.elapsed().as_millis();
        println!("round {round}: {death:?}, all write again after {took} ms");
        back.entry(format!("{death:?}")).or_default().push(took);
        until("the server answers", || trial.hop.api("GET", "/api/apps", "").status == 200);
        lost_of_cache += trial.judge(round, death, before);
    }
    println!("ms until all write again: {back:?}");
    for ledger in std::mem::take(&mut trial.ledgers) {
        let app = ledger.app.clone();
        let (acknowledged, failures) = ledger.stop();
        let lost = if app.starts_with(CACHE) { lost_of_cache } else { 0 };
        println!(
            "{app}: {acknowledged} acknowledged and there, {lost} lost; {} not acknowledged",
            failures.len()
        );
    }
}

/// An app that ends when it cannot reach its database is given up after a few tries; its database is away for longer.
#[test]
fn an_app_that_gave_up_is_started_when_its_database_is_back() {
    let test = "an_app_that_gave_up_is_started_when_its_database_is_back";
    if !can_run(test, "postgres") {
        return;
    }
    let mut trial = Trial::start(&["postgres"]);
    let app = trial.ledgers[0].app.clone();
    trial.ledgers[0].more(10);
    let state = |trial: &Trial| trial.hop.instances(&app)[0]["state"].as_str().unwrap_or_default().to_owned();
    // What cannot be opened cannot be started from.
    let directory = fs::read_dir(trial.hop.root().join("addons")).unwrap().next().unwrap().unwrap().path();
    fs::rename(directory.join("data"), directory.join("aside")).unwrap();
    trial.inflict(Death::Database(0), &mut Dice(1));
    let instance = || trial.hop.instances(&app)[0]["pid"].as_u64();
    kill(&[u32::try_from(instance().unwrap()).unwrap()]);
    until("the app is given up", || state(&trial) == "crashed");
    fs::rename(directory.join("aside"), directory.join("data")).unwrap();
    trial.ledgers[0].more(10);
    assert_eq!(state(&trial), "running");
    assert_eq!(trial.ledgers[0].lost(&trial.hop), [0; 0]);
}
