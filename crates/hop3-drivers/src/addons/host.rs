// SPDX-License-Identifier: Apache-2.0
//! `Host`: what every kind of addon needs of this machine: directories, clients that are asked, servers that are kept
//! running until they answer.

mod beside;
mod client;
mod standing;
mod takeover;

use hop3_core::addon::AddonServer;
use hop3_core::driver::{Daemon, Daemons, Runner, Stop};
use hop3_core::layout::Layout;
use hop3_core::sandbox::{Command, Job, Limits, Mount, Sandbox};
use hop3_core::{Kind, Problem};
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// A server that recovers after a crash replays its log first.
const START_PATIENCE: Duration = Duration::from_secs(120);

/// How long a running server may take to act on what it was told.
const CHANGE_PATIENCE: Duration = Duration::from_secs(20);

/// Between two looks at a server that starts.
const LOOK_PAUSE: Duration = Duration::from_millis(10);

/// The process that has the data.
pub(super) const SERVER: &str = "server";

/// Debian's uid for it.
const NOBODY: u32 = 65_534;

pub struct Host {
    layout: Layout,
    runner: Arc<dyn Runner>,
    daemons: Arc<dyn Daemons>,
    /// Held while a server stands still.
    standing: Mutex<()>,
}

impl Host {
    pub fn new(layout: &Layout, runner: Arc<dyn Runner>, daemons: Arc<dyn Daemons>) -> Host {
        Host { layout: layout.clone(), runner, daemons, standing: Mutex::new(()) }
    }

    /// Where people put products that they bring along.
    pub(super) fn toolchains(&self) -> PathBuf {
        self.layout.toolchains()
    }

    pub(crate) fn daemons(&self) -> &dyn Daemons {
        self.daemons.as_ref()
    }

    pub(crate) fn directory(&self, server: &AddonServer) -> PathBuf {
        self.layout.addon_server(&server.name)
    }

    /// Makes the server's directory and gives it to the server's user.
    pub(crate) fn make_directory(&self, server: &AddonServer) -> Result<PathBuf, Problem> {
        let directory = self.directory(server);
        self.runner.give(&directory, server.user)?;
        Ok(directory)
    }

    /// Makes a directory beneath a server's and gives it to another user.
    pub(super) fn make_place(&self, place: &Path, user: Option<u32>) -> Result<(), Problem> {
        self.runner.give(place, user)
    }

    pub(super) fn remove_place(&self, place: &Path) -> Result<(), Problem> {
        self.runner.remove(place)
    }

    /// A command as the server's user, who sees of Hop3 only the server's directory.
    pub(crate) fn job<S: Into<String>>(
        &self,
        server: &AddonServer,
        user_name: &str,
        argv: impl IntoIterator<Item = S>,
    ) -> Job {
        let directory = self.directory(server);
        let env = [
            ("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".to_owned()),
            ("HOME", directory.to_string_lossy().into_owned()),
            ("LANG", "C.UTF-8".to_owned()),
        ];
        Job {
            command: Command::exec(argv),
            cwd: directory.clone(),
            env: env.map(|(key, value)| (key.to_owned(), value)).into_iter().collect::<BTreeMap<_, _>>(),
            sandbox: Sandbox {
                user: server.user,
                user_name: user_name.to_owned(),
                home: directory.clone(),
                hide: vec![self.layout.root().to_owned()],
                mounts: vec![Mount { source: directory.clone(), target: directory, writable: true }],
                reads_all: false,
            },
            limits: Limits::default(),
        }
    }

    /// A command as a user who owns nothing and sees nothing of Hop3: for clients that are given what others wrote,
    /// since some of them run commands that they read.
    pub(super) fn stranger_job<S: Into<String>>(
        &self,
        server: &AddonServer,
        argv: impl IntoIterator<Item = S>,
    ) -> Job {
        let mut job = self.job(server, "nobody", argv);
        let away = PathBuf::from("/tmp");
        job.env.insert("HOME".to_owned(), "/tmp".to_owned());
        job.sandbox.user = server.user.map(|_| NOBODY);
        job.sandbox.mounts.clear();
        job.sandbox.home.clone_from(&away);
        Job { cwd: away, ..job }
    }

    /// Keeps a server running, and returns when `answers` says so.
    ///
    /// # Errors
    /// `addon.not-started` with its last lines, when it ended instead, or took too long.
    pub(crate) fn keep(
        &self,
        server: &AddonServer,
        job: Job,
        stop: impl Into<Stop>,
        answers: &dyn Fn() -> bool,
    ) -> Result<(), Problem> {
        let ends = self.ends(server, SERVER)?;
        self.keep_beside(server, SERVER, job, stop)?;
        self.let_go(server)?;
        // One end may be that of a predecessor which was killed and left its files.
        self.until(server, SERVER, ends + 1, answers)
    }

    /// Keeps another process of a server running, and does not wait for it.
    pub(super) fn keep_beside(
        &self,
        server: &AddonServer,
        process: &str,
        job: Job,
        stop: impl Into<Stop>,
    ) -> Result<(), Problem> {
        let (server, process) = (server.name.clone(), process.to_owned());
        self.daemons.keep(&Daemon { server, process, job, stop: stop.into() })
    }

    /// Returns when `answers` says so.
    ///
    /// # Errors
    /// `addon.not-started` when the process ended more often than `ends`, or took too long.
    pub(super) fn until(
        &self,
        server: &AddonServer,
        process: &str,
        ends: u32,
        answers: &dyn Fn() -> bool,
    ) -> Result<(), Problem> {
        let deadline = Instant::now() + START_PATIENCE;
        loop {
            if answers() {
                return Ok(());
            }
            if self.ends(server, process)? > ends || Instant::now() > deadline {
                return Err(self.not_started(server));
            }
            std::thread::sleep(LOOK_PAUSE);
        }
    }

    /// Writes a file in the server's directory, whole or not at all, that only its user can read.
    pub(super) fn write(
        &self,
        server: &AddonServer,
        user_name: &str,
        file: &str,
        text: &str,
    ) -> Result<(), Problem> {
        self.write_by(&|argv| Ok(self.job(server, user_name, argv.iter().copied())), file, text)
    }

    /// The same as whoever has these jobs, where they are.
    pub(super) fn write_by(
        &self,
        job: &dyn Fn(&[&str]) -> Result<Job, Problem>,
        file: &str,
        text: &str,
    ) -> Result<(), Problem> {
        let run = |argv: &[&str], input: &str| self.ask(&job(argv)?, input).map(drop);
        run(&["install", "-m", "0600", "/dev/null", "draft"], "")?;
        run(&["tee", "draft"], text)?;
        run(&["mv", "-T", "draft", file], "")
    }

    /// Waits until a server that was told something acts on it.
    ///
    /// # Errors
    /// `addon.not-changed` with its last lines.
    pub(super) fn until_changed(&self, server: &AddonServer, acts: &dyn Fn() -> bool) -> Result<(), Problem> {
        let deadline = Instant::now() + CHANGE_PATIENCE;
        while !acts() {
            if Instant::now() > deadline {
                let title = format!("the server {} does not take the change", server.name);
                return Err(Problem::new(Kind::Unavailable, "addon.not-changed", title)
                    .detail(self.last_lines(server)));
            }
            std::thread::sleep(LOOK_PAUSE);
        }
        Ok(())
    }

    /// Pid of the server's process, when it runs.
    pub(super) fn pid(&self, server: &AddonServer) -> Result<Option<u32>, Problem> {
        let kept = self.daemons.status(&server.name)?;
        Ok(kept.into_iter().find(|daemon| daemon.process == SERVER).and_then(|daemon| daemon.pid))
    }

    pub(super) fn ends(&self, server: &AddonServer, process: &str) -> Result<u32, Problem> {
        let kept = self.daemons.status(&server.name)?;
        Ok(kept.iter().find(|daemon| daemon.process == process).map_or(0, |daemon| daemon.restarts))
    }

    /// Stops one process of a server.
    pub(super) fn stop(&self, server: &AddonServer, process: &str) -> Result<(), Problem> {
        self.daemons.stop(&server.name, Some(process))
    }

    pub(super) fn last_lines(&self, server: &AddonServer) -> String {
        let lines = self.daemons.logs(&server.name, 20).unwrap_or_default();
        let lines: Vec<String> = lines.into_iter().map(|line| line.text).collect();
        lines.join("\n")
    }

    fn not_started(&self, server: &AddonServer) -> Problem {
        let title = format!("the server {} does not start", server.name);
        Problem::new(Kind::Unavailable, "addon.not-started", title).detail(self.last_lines(server))
    }

    /// Somebody listens on the server's port.
    pub(crate) fn listens(server: &AddonServer) -> bool {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, server.port));
        TcpStream::connect_timeout(&address, Duration::from_secs(1)).is_ok()
    }

    /// Stops the server and removes all it has.
    pub(crate) fn retire(&self, server: &AddonServer) -> Result<(), Problem> {
        self.daemons.stop(&server.name, None)?;
        self.daemons.forget_logs(&server.name)?;
        self.runner.remove(&self.directory(server))
    }
}
