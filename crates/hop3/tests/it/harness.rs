// SPDX-License-Identifier: Apache-2.0
//! `Hop`: a real installation in a temporary root, with the verbs tests use. Ends everything it started when dropped.
//! Tests wait for events and answers, never for time.

mod answer;
mod repository;

pub(crate) use answer::{Answer, Said};
use answer::{answer, said};
pub(crate) use repository::Repository;

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Nothing here takes so long; a test that waits longer has failed.
const PATIENCE: Duration = Duration::from_secs(30);

/// Variables a build needs to reach package registries as this machine is set up.
const KEPT: &[&str] = &[
    "proxy",
    "ssl_cert",
    "ca_bundle",
    "ca_certs",
    "cainfo",
    "pip_",
    "npm_config",
    "uv_",
    "goproxy",
    "gosumdb",
    "maven_opts",
];

/// Debian's uid for it.
const NOBODY: u32 = 65_534;

pub(crate) struct Hop {
    directory: TempDir,
    root_name: &'static str,
    /// The `hop3` that is run.
    program: PathBuf,
    /// Whose everything is; the test's own otherwise.
    user: Option<u32>,
    /// Variables of the server's environment beside the usual.
    variables: Vec<(&'static str, &'static str)>,
    /// Options of `hop3 server` beside the usual.
    pub(crate) options: Vec<String>,
    server: Option<Child>,
    pub(crate) port: u16,
    /// Where HTTPS is served, when it is.
    pub(crate) https: Option<u16>,
    pub(crate) token: String,
    since: Instant,
}

impl Hop {
    /// Boots a server on a free port.
    pub(crate) fn start() -> Hop {
        Hop::start_in(tempfile::tempdir().unwrap())
    }

    /// Boots a server whose root lies in that directory.
    pub(crate) fn start_in(directory: TempDir) -> Hop {
        Hop::start_as(directory, env!("CARGO_BIN_EXE_hop3").into(), Vec::new())
    }

    /// Boots a server whose every role is an ordinary user's.
    pub(crate) fn start_unprivileged() -> Hop {
        let directory = tempfile::tempdir().unwrap();
        let user = rustix::process::geteuid().is_root().then_some(NOBODY);
        std::os::unix::fs::chown(directory.path(), user, user).unwrap();
        // Where it was built, an ordinary user may not come.
        let program = directory.path().join("hop3");
        std::fs::copy(env!("CARGO_BIN_EXE_hop3"), &program).unwrap();
        Hop::of_user(directory, program, (user, Vec::new()), (None, Vec::new()))
    }

    /// Boots a server that listens for HTTPS too.
    pub(crate) fn start_secure() -> Hop {
        Hop::start_secure_with(&[])
    }

    /// The same with more options.
    pub(crate) fn start_secure_with(options: &[&str]) -> Hop {
        let options = options.iter().map(|option| (*option).to_owned()).collect();
        let program = env!("CARGO_BIN_EXE_hop3").into();
        Hop::with(tempfile::tempdir().unwrap(), program, Vec::new(), (Some(0), options))
    }

    /// Boots that program with these variables in its environment.
    pub(crate) fn start_as(
        directory: TempDir,
        program: PathBuf,
        variables: Vec<(&'static str, &'static str)>,
    ) -> Hop {
        Hop::with(directory, program, variables, (None, Vec::new()))
    }

    fn with(
        directory: TempDir,
        program: PathBuf,
        variables: Vec<(&'static str, &'static str)>,
        listening: (Option<u16>, Vec<String>),
    ) -> Hop {
        Hop::of_user(directory, program, (None, variables), listening)
    }

    fn of_user(
        directory: TempDir,
        program: PathBuf,
        (user, variables): (Option<u32>, Vec<(&'static str, &'static str)>),
        (https, options): (Option<u16>, Vec<String>),
    ) -> Hop {
        let home = directory.path().join("home");
        std::fs::create_dir(&home).unwrap();
        std::os::unix::fs::chown(home, user, user).unwrap();
        let mut hop = Hop {
            directory,
            root_name: "root",
            program,
            user,
            variables,
            options,
            server: None,
            port: 0,
            https,
            token: String::new(),
            since: Instant::now(),
        };
        hop.boot();
        let made = hop.hop3(["token", "create", "test", "--json"]).expect_ok();
        let made: serde_json::Value = serde_json::from_str(&made.stdout).unwrap();
        hop.token = made["token"].as_str().unwrap().to_owned();
        hop
    }

    /// Starts the server role and waits for its `ready` line. The address stays the same from boot to boot.
    pub(crate) fn boot(&mut self) {
        let http = format!("127.0.0.1:{}", self.port);
        let https = self.https.map(|port| format!("127.0.0.1:{port}"));
        let secure = https.iter().flat_map(|address| ["--https", address]);
        let options = self.options.iter().map(String::as_str);
        let mut server = self
            .command(["server", "--http", &http].into_iter().chain(secure).chain(options))
            .stdout(Stdio::piped())
            .stderr(std::fs::File::options().create(true).append(true).open(self.log()).unwrap())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(server.stdout.take().unwrap()).lines();
        let ready = lines.next().transpose().unwrap().unwrap_or_default();
        let port = ready.rsplit_once(':').and_then(|(_, port)| port.parse().ok());
        let scheme = if self.https.is_some() { "https" } else { "http" };
        assert!(
            port.is_some() && ready.starts_with(&format!("ready {scheme}://localhost:")),
            "the server is not ready: {ready:?}\n{}",
            self.operator_log()
        );
        self.port = self.port_of("http");
        self.https = self.https.map(|_| self.port_of("https"));
        assert_eq!(port, Some(self.https.unwrap_or(self.port)));
        self.server = Some(server);
    }

    fn port_of(&self, listener: &str) -> u16 {
        let address = std::fs::read_to_string(self.root().join("run/proxy").join(listener)).unwrap();
        address.rsplit_once(':').unwrap().1.parse().unwrap()
    }

    pub(crate) fn root(&self) -> PathBuf {
        self.directory.path().join(self.root_name)
    }

    /// The root is another directory beside the one before, from the next boot on.
    pub(crate) fn move_root(&mut self, name: &'static str) {
        self.root_name = name;
    }

    /// A directory for the test's own files.
    pub(crate) fn scratch(&self) -> &Path {
        self.directory.path()
    }

    /// What the roles wrote for their operator.
    pub(crate) fn operator_log(&self) -> String {
        let mut text = std::fs::read_to_string(self.log()).unwrap_or_default();
        for role in ["supervisor", "proxy", "server"] {
            let log = self.root().join("run").join(role).join("log");
            text += &std::fs::read_to_string(log).unwrap_or_default();
        }
        text
    }

    fn log(&self) -> PathBuf {
        self.directory.path().join("server.log")
    }

    /// The program with these arguments, ready to start.
    pub(crate) fn command<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Command {
        let mut command = Command::new(&self.program);
        command.args(arguments).envs(environment(&self.directory.path().join("home")));
        command.env("HOP3_ROOT", self.root()).stdin(Stdio::null());
        command.envs(self.variables.iter().copied());
        if let Some(user) = self.user {
            command.uid(user).gid(user);
        }
        command
    }

    /// Runs the command line as a local administrator.
    pub(crate) fn hop3<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Said {
        said(self.command(arguments).output().unwrap())
    }

    /// Runs a command to its end.
    pub(crate) fn said(&self, command: &mut Command) -> Said {
        said(command.output().unwrap())
    }

    /// Runs the command line in a directory.
    pub(crate) fn hop3_in<A: AsRef<OsStr>>(
        &self,
        directory: &Path,
        arguments: impl IntoIterator<Item = A>,
    ) -> Said {
        said(self.command(arguments).current_dir(directory).output().unwrap())
    }

    /// Starts the command line in a directory; nobody reads what it prints.
    pub(crate) fn begin<A: AsRef<OsStr>>(
        &self,
        directory: &Path,
        arguments: impl IntoIterator<Item = A>,
    ) -> Child {
        let mut command = self.command(arguments);
        command.current_dir(directory).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    }

    /// Answer of a command with `--json`.
    pub(crate) fn json<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> serde_json::Value {
        let said = self.hop3(arguments).expect_ok();
        serde_json::from_str(&said.stdout).unwrap_or_else(|e| panic!("{e}: {}", said.text))
    }

    /// A git repository on branch `main` with a copy of that tree, committed.
    pub(crate) fn repository(&self, name: &str, tree: &Path) -> Repository {
        self.repository_in(&self.directory.path().join("work").join(name), tree)
    }

    /// The same at a place of the test's choice.
    pub(crate) fn repository_in(&self, path: &Path, tree: &Path) -> Repository {
        Repository::of(path, tree, self.directory.path().join("home"))
    }

    /// Address to push to, with the token in it.
    pub(crate) fn remote(&self, app: &str) -> String {
        format!("http://test:{}@localhost:{}/git/{app}.git", self.token, self.port)
    }

    /// Pushes an example app and expects it to be live.
    pub(crate) fn push(&self, app: &str, tree: &Path) -> Repository {
        let repository = self.repository(app, tree);
        let pushed = repository.push(&self.remote(app), "main");
        assert!(pushed.ok, "{}\n{}", pushed.text, self.operator_log());
        repository
    }

    /// GET through the proxy at the app's own host name.
    pub(crate) fn get(&self, app: &str, path: &str) -> Answer {
        self.get_host(&format!("{app}.localhost:{}", self.port), path)
    }

    pub(crate) fn get_host(&self, host: &str, path: &str) -> Answer {
        self.ask(format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"))
    }

    /// Sends a request as it is and reads the answer to its end.
    pub(crate) fn ask(&self, request: impl AsRef<[u8]>) -> Answer {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(request.as_ref()).unwrap();
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).unwrap();
        answer(&bytes)
    }

    /// A call of the API through the proxy, with the token.
    pub(crate) fn api(&self, method: &str, path: &str, body: &str) -> Answer {
        self.ask(format!(
            "{method} {path} HTTP/1.1\r\nHost: localhost:{}\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
            self.port,
            self.token,
            body.len()
        ))
    }

    /// What the next proxy would route: the saved table and the changes since, by service.
    pub(crate) fn saved_routes(&self) -> BTreeMap<String, serde_json::Value> {
        let read = |name| std::fs::read_to_string(self.root().join("run/proxy").join(name));
        let table = read("table.json").unwrap_or_else(|_| "{}".to_owned());
        let table: serde_json::Value = serde_json::from_str(&table).unwrap();
        let named =
            |service: &serde_json::Value| (service["name"].as_str().unwrap().to_owned(), service.clone());
        let mut routes: BTreeMap<_, _> =
            table["services"].as_array().into_iter().flatten().map(named).collect();
        let changes = read("table.changes").unwrap_or_default();
        let mut changes =
            changes.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
        let generation = changes.next().and_then(|first| first["generation"].as_u64());
        if generation != Some(table["generation"].as_u64().unwrap_or(0)) {
            return routes;
        }
        for change in changes {
            match change["remove"].as_str() {
                Some(name) => drop(routes.remove(name)),
                None => routes.extend([named(&change["put"])]),
            }
        }
        routes
    }

    /// Pid of the process that is that role now.
    pub(crate) fn pid_of(&self, role: &str) -> Option<u32> {
        hop3_core::lock::holder(&self.root().join("run").join(role).join("lock"))
    }

    /// Instances of an app as `hop3 ps --json` tells them.
    pub(crate) fn instances(&self, app: &str) -> Vec<serde_json::Value> {
        self.json(["ps", "-a", app, "--json"]).as_array().unwrap().clone()
    }

    /// SIGKILL to a role; gives the pid it had.
    pub(crate) fn kill(&self, role: &str) -> u32 {
        let pid = self.pid_of(role).unwrap_or_else(|| panic!("no {role} lives"));
        let raw = rustix::process::Pid::from_raw(pid as i32).unwrap();
        rustix::process::kill_process(raw, rustix::process::Signal::KILL).unwrap();
        pid
    }
}

impl Drop for Hop {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("operator's log:\n{}", self.operator_log());
        }
        let stopped = self.command(["server", "stop", "--all"]).output().map(said);
        if let Some(mut server) = self.server.take() {
            server.wait().ok();
        }
        // scripts/test tells the slowest from this.
        let test = std::thread::current();
        println!("TIME {} {}", test.name().unwrap_or("?"), self.since.elapsed().as_millis());
        // A second panic would end all other tests with this one.
        if !std::thread::panicking() {
            let stopped = stopped.unwrap();
            assert!(stopped.ok, "not stopped: {}", stopped.text);
        }
    }
}

/// The folder of an example.
pub(crate) fn example(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples").join(path)
}

/// A tree for tests alone.
pub(crate) fn fixture(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(path)
}

/// Waits until something holds, by looking again and again; for what no event tells to the outside.
#[track_caller]
pub(crate) fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "waited in vain: {what}");
        std::thread::yield_now();
        std::thread::park_timeout(Duration::from_millis(5));
    }
}

/// Says loudly that a test cannot run on this machine; where nothing may be skipped, it fails.
#[track_caller]
pub(crate) fn skip(name: &str, reason: &str) {
    assert!(std::env::var_os("HOP3_NO_SKIP").is_none(), "{name} may not be skipped: {reason}");
    println!("SKIP {name}: {reason}");
}

fn environment(home: &Path) -> Vec<(String, String)> {
    // A cleared environment, but for the programs and what the registries' clients need.
    let kept = std::env::vars().filter(|(name, _)| {
        let name = name.to_lowercase();
        name == "path" || KEPT.iter().any(|part| name.contains(part))
    });
    let mut kept: Vec<(String, String)> = kept.collect();
    // Where rustup manages Rust, `rustc` on the path is rustup's; the toolchain that runs the tests is what apps get.
    let toolchain = std::env::var_os("CARGO").and_then(|cargo| Some(Path::new(&cargo).parent()?.to_owned()));
    for (_, path) in kept.iter_mut().filter(|(name, _)| name == "PATH") {
        let found = toolchain.iter().cloned().chain(std::env::split_paths(path));
        *path = std::env::join_paths(found).unwrap().into_string().unwrap();
    }
    kept.into_iter()
        .chain([("HOME".to_owned(), home.display().to_string()), ("LANG".to_owned(), "C.UTF-8".to_owned())])
        .collect()
}
