// SPDX-License-Identifier: Apache-2.0
//! `Program`: a plugin that is enabled. It runs from its first call on, is asked one thing at a time, and is started
//! anew after it failed.

use super::problem::Failure;
use super::process::Process;
use crate::builders;
use hop3_core::driver::{Attached, Runner, Stdio};
use hop3_core::layout::Layout;
use hop3_core::name::PluginName;
use hop3_core::plugin::{Accepted, Hello, Introduction, PROGRAM_PREFIX, PROTOCOL, method};
use hop3_core::sandbox::{Command, Job, Limits, Mount, Sandbox};
use hop3_core::{Kind, Problem};
use hop3_supervisor::Client;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// To start and say who it is.
const HELLO_DEADLINE: Duration = Duration::from_secs(10);
const PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// Whether a program reaches the network. Before anybody has agreed to that it does not.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Network {
    Open,
    Closed,
}

/// How programs are started.
pub(super) struct Starter {
    pub(super) client: Client,
    pub(super) layout: Layout,
}

/// The group whose log has what a plugin writes to stderr. No app has a dot in its name.
pub(super) fn log_group(name: &PluginName) -> String {
    format!("plugin.{name}")
}

impl Starter {
    /// Starts the program and says hello.
    fn start(
        &self,
        name: &PluginName,
        user: u32,
        folder: &Path,
        network: Network,
    ) -> Result<(Process, Introduction), Failure> {
        let attached = self.attach(name, user, folder, network).map_err(Failure::NotStarted)?;
        let (client, group) = (self.client.clone(), log_group(name));
        let note = move |text: &str| {
            // A log that cannot be written fails no call.
            let _ = client.note(&group, "stderr", text);
        };
        let mut process = Process::new(attached, note);
        let hello = Hello { protocol: PROTOCOL, hop3: env!("CARGO_PKG_VERSION").to_owned() };
        let answer = process.call(method::HELLO, value(&hello), HELLO_DEADLINE)?;
        let introduction: Introduction = read(answer)?;
        check(&introduction, name)?;
        Ok((process, introduction))
    }

    fn attach(
        &self,
        name: &PluginName,
        user: u32,
        folder: &Path,
        network: Network,
    ) -> Result<Attached, Problem> {
        let user = self.client.is_privileged().then_some(user);
        let data = self.layout.plugin_data(name);
        self.client.give(&data, user)?;
        let shown = |path: &Path| path.to_string_lossy().into_owned();
        let mount = |path: &Path, writable| Mount { source: path.into(), target: path.into(), writable };
        let env = [("PATH", PATH.to_owned()), ("HOME", shown(&data)), ("LANG", "C.UTF-8".to_owned())];
        let job = Job {
            command: Command::exec([shown(&folder.join(format!("{PROGRAM_PREFIX}{name}")))]),
            cwd: data.clone(),
            env: env.map(|(key, value)| (key.to_owned(), value)).into_iter().collect::<BTreeMap<_, _>>(),
            sandbox: Sandbox {
                user,
                user_name: name.to_string(),
                home: data.clone(),
                hide: vec![self.layout.root().to_owned()],
                mounts: vec![mount(folder, false), mount(&data, true)],
                ..Sandbox::default()
            },
            limits: Limits {
                nofile: Some(4_096),
                nproc: Some(256),
                offline: network == Network::Closed,
                ..Limits::default()
            },
        };
        self.client.attach(&job, Stdio::Data)
    }

    /// Who the program in a folder says it is.
    pub(super) fn introduce(
        &self,
        name: &PluginName,
        user: u32,
        folder: &Path,
    ) -> Result<Introduction, Problem> {
        let started = self.start(name, user, folder, Network::Closed);
        started.map(|(_, introduction)| introduction).map_err(|failure| failure.problem(name, method::HELLO))
    }
}

fn check(introduction: &Introduction, name: &PluginName) -> Result<(), Failure> {
    if introduction.protocol != PROTOCOL {
        let theirs = introduction.protocol;
        return Err(Failure::BadAnswer(format!(
            "it speaks protocol {theirs}, and this Hop3 speaks {PROTOCOL}"
        )));
    }
    if introduction.name != *name {
        return Err(Failure::BadAnswer(format!("it says that its name is \"{}\"", introduction.name)));
    }
    let own = builders::builders();
    let offers = &introduction.provides.builders;
    if let Some(taken) = offers.iter().find(|offer| own.iter().any(|builder| builder.name() == offer.name)) {
        return Err(Failure::BadAnswer(format!(
            "its builder \"{}\" has the name of a built-in one",
            taken.name
        )));
    }
    Ok(())
}

pub(super) struct Program {
    starter: Arc<Starter>,
    folder: PathBuf,
    pub(super) accepted: Accepted,
    turn: Mutex<Turn>,
    free: Condvar,
}

/// The process, for whoever has the turn.
#[derive(Default)]
struct Turn {
    is_taken: bool,
    process: Option<Process>,
    /// When it was asked last.
    used: Option<Instant>,
}

impl Program {
    pub(super) fn new(starter: Arc<Starter>, accepted: Accepted, folder: PathBuf) -> Program {
        Program { starter, folder, accepted, turn: Mutex::default(), free: Condvar::new() }
    }

    pub(super) fn name(&self) -> &PluginName {
        &self.accepted.introduction.name
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Asks one thing. Whatever goes wrong is a problem of this call alone.
    pub(super) fn call<A: DeserializeOwned>(
        &self,
        method: &str,
        params: &impl Serialize,
    ) -> Result<A, Problem> {
        let within = self.accepted.introduction.deadline();
        let outcome = self.take(within).and_then(|mut process| {
            let outcome = self.ask(&mut process, method, value(params), within).and_then(read);
            // After any other failure nobody knows what it will say next.
            let is_sound = matches!(outcome, Ok(_) | Err(Failure::Refused(_)));
            self.give_back(process.filter(|_| is_sound));
            outcome
        });
        outcome.map_err(|failure| failure.problem(self.name(), method))
    }

    fn ask(
        &self,
        process: &mut Option<Process>,
        method: &str,
        params: Value,
        within: Duration,
    ) -> Result<Value, Failure> {
        let process = match process {
            Some(process) if process.is_alive() => process,
            _ => {
                let is_open = self.accepted.introduction.permissions.network;
                let network = if is_open { Network::Open } else { Network::Closed };
                let (started, introduction) =
                    self.starter.start(self.name(), self.accepted.user, &self.folder, network)?;
                self.check_granted(&introduction)?;
                process.insert(started)
            }
        };
        process.call(method, params, within)
    }

    /// A program that was changed beneath us gets nothing that nobody agreed to.
    fn check_granted(&self, introduction: &Introduction) -> Result<(), Failure> {
        if introduction.permissions.are_within(&self.accepted.introduction.permissions) {
            return Ok(());
        }
        let title = "it asks for more than it was allowed when it was installed";
        let hint =
            format!("see what: hop3 plugin install, with the folder it came from, for {}", self.name());
        Err(Failure::NotStarted(Problem::new(Kind::Plugin, "plugin.asks-for-more", title).hint(hint)))
    }

    fn take(&self, within: Duration) -> Result<Option<Process>, Failure> {
        let deadline = Instant::now() + within;
        let mut turn = self.locked();
        while turn.is_taken {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(Failure::Busy(within));
            }
            let waited = self.free.wait_timeout(turn, left);
            turn = waited.map_or_else(|poisoned| poisoned.into_inner().0, |(turn, _)| turn);
        }
        turn.is_taken = true;
        Ok(turn.process.take())
    }

    fn give_back(&self, process: Option<Process>) {
        let mut turn = self.locked();
        *turn = Turn { is_taken: false, process, used: Some(Instant::now()) };
        drop(turn);
        self.free.notify_one();
    }

    /// Ends a process that nobody has asked for so long; it is started at the next call.
    pub(super) fn rest(&self, after: Duration) {
        let mut turn = self.locked();
        if turn.used.is_some_and(|used| used.elapsed() >= after) {
            turn.process = None;
        }
    }

    fn locked(&self) -> MutexGuard<'_, Turn> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Calls are plain data.
fn value(params: &impl Serialize) -> Value {
    serde_json::to_value(params).unwrap_or_default()
}

fn read<A: DeserializeOwned>(result: Value) -> Result<A, Failure> {
    let shown: String = result.to_string().chars().take(200).collect();
    serde_json::from_value(result)
        .map_err(|error| Failure::BadAnswer(format!("{error}\nthe result: {shown}")))
}
