// SPDX-License-Identifier: Apache-2.0
//! One run of restic: what it sees, what goes in, what comes out.

use super::complaint;
use hop3_core::Problem;
use hop3_core::backup::is_path;
use hop3_core::driver::{Attached, BackupPlace, Exit, Runner, Stdio};
use hop3_core::layout::Layout;
use hop3_core::sandbox::{Command, Job, Limits, Mount, Sandbox};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

/// A place that has been away for so long is given up; restic itself would wait a quarter of an hour for each file.
const PATIENCE: Duration = Duration::from_secs(60);

/// Complaints that are kept for the problem.
const COMPLAINTS: usize = 20;

const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What a reader of every file has no business with.
const HIDDEN: [&str; 7] = ["/home", "/srv", "/var", "/mnt", "/media", "/opt", "/boot"];

/// Who gets what it prints.
pub(super) enum Printed<'a> {
    Lines(Box<dyn FnMut(&str) + 'a>),
    Data(&'a mut dyn Write),
}

/// What is asked of it.
pub(super) struct Call<'a> {
    argv: Vec<String>,
    mounts: Vec<Mount>,
    pub(super) cwd: Option<PathBuf>,
    pub(super) input: Option<&'a mut (dyn Read + Send)>,
    pub(super) printed: Printed<'a>,
}

impl<'a> Call<'a> {
    pub(super) fn new<'s>(words: impl IntoIterator<Item = &'s str>) -> Call<'a> {
        let mut call = Call {
            argv: vec!["restic".to_owned()],
            mounts: Vec::new(),
            cwd: None,
            input: None,
            printed: Printed::Lines(Box::new(|_| {})),
        };
        call.args(words);
        call
    }

    pub(super) fn args<'s>(&mut self, words: impl IntoIterator<Item = &'s str>) {
        self.argv.extend(words.into_iter().map(str::to_owned));
    }

    pub(super) fn show(&mut self, path: PathBuf, writable: bool) {
        self.mounts.push(Mount { source: path.clone(), target: path, writable });
    }
}

/// How it went.
pub(super) struct Ran {
    exit: Exit,
    complaints: Vec<String>,
    /// Complaints about one file each.
    pub(super) unread: Vec<String>,
}

impl Ran {
    pub(super) fn is_success(&self) -> bool {
        self.exit.is_success()
    }

    pub(super) fn ended_with(&self, status: u8) -> bool {
        self.exit == Exit::Status(status)
    }

    pub(super) fn says(&self, words: &[&str]) -> bool {
        self.complaints.iter().any(|line| words.iter().any(|word| line.contains(word)))
    }

    pub(super) fn success(self) -> Result<Ran, Problem> {
        if self.is_success() { Ok(self) } else { Err(self.problem()) }
    }

    pub(super) fn problem(&self) -> Problem {
        complaint::problem(self.exit, &self.complaints)
    }

    /// What a check finds is damage, unless it could not look.
    pub(super) fn check_problem(&self) -> Problem {
        complaint::check_problem(self.exit, &self.complaints)
    }
}

pub(super) struct Program<'p> {
    pub(super) runner: &'p dyn Runner,
    pub(super) layout: &'p Layout,
    pub(super) place: &'p BackupPlace,
}

impl Program<'_> {
    pub(super) fn run(&self, mut call: Call<'_>) -> Result<Ran, Problem> {
        let job = self.job(&mut call);
        let attached = self.runner.attach(&job, Stdio::Data).map_err(|problem| self.not_started(problem))?;
        let Attached { stream, errors, wait, signal } = attached;
        let stream = UnixStream::from(stream);
        let into = stream.try_clone().map_err(complaint::broken)?;
        let (input, kill) = (call.input.take(), || signal(9));
        let (taken, fed, heard) = thread::scope(|scope| {
            let feeder = scope.spawn(|| feed(input, into).inspect_err(|_| kill()));
            let listener = scope.spawn(|| listen(errors, self.place, &kill));
            let taken = take(&stream, &mut call.printed).inspect_err(|_| kill());
            (taken, feeder.join(), listener.join())
        });
        let exit = wait()?;
        if let Ok(Err(error)) = fed {
            return Err(complaint::input_failed(&error));
        }
        taken.map_err(complaint::broken)?;
        let (complaints, unread) = heard.unwrap_or_default();
        Ok(Ran { exit, complaints, unread })
    }

    /// A directory that is not there any more is the commonest reason.
    fn not_started(&self, problem: Problem) -> Problem {
        let location = self.place.location.expose();
        match is_path(location) && matches!(Path::new(location).try_exists(), Ok(false)) {
            true => complaint::gone(location),
            false => complaint::not_started(problem),
        }
    }

    fn job(&self, call: &mut Call<'_>) -> Job {
        let (home, location) = (self.layout.backup_home(), self.place.location.expose());
        call.show(home.clone(), true);
        if is_path(location) {
            call.show(location.into(), true);
        }
        let mut argv = std::mem::take(&mut call.argv);
        if let Some(limit) = self.place.upload_kib {
            argv.splice(1..1, ["--limit-upload".to_owned(), limit.to_string()]);
        }
        let hide = HIDDEN.iter().map(PathBuf::from).chain([self.layout.root().to_owned()]);
        let sandbox = Sandbox {
            user: self.place.user.filter(|_| self.runner.is_privileged()),
            user_name: "hop3-backup".to_owned(),
            home: home.clone(),
            hide: hide.collect(),
            mounts: std::mem::take(&mut call.mounts),
            reads_all: true,
        };
        let cwd = call.cwd.take().unwrap_or(home);
        Job { command: Command::Exec(argv), cwd, env: self.env(), sandbox, limits: Limits::default() }
    }

    fn env(&self) -> BTreeMap<String, String> {
        let home = self.layout.backup_home();
        let usual = [("PATH", PATH.to_owned()), ("HOME", shown(&home)), ("LANG", "C.UTF-8".to_owned())];
        let own = [
            ("RESTIC_CACHE_DIR", shown(&home.join("cache"))),
            ("RESTIC_PROGRESS_FPS", "2".to_owned()),
            ("RESTIC_REPOSITORY", self.place.location.expose().clone()),
            ("RESTIC_PASSWORD", self.place.key.expose().clone()),
        ];
        let named = |(name, value): (&str, String)| (name.to_owned(), value);
        let targets = self.place.env.expose().clone();
        usual.map(named).into_iter().chain(targets).chain(own.map(named)).collect()
    }
}

fn shown(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// Reads what it prints, to the end.
fn take(stream: &UnixStream, printed: &mut Printed<'_>) -> io::Result<()> {
    let outcome = match printed {
        Printed::Data(into) => io::copy(&mut &*stream, into).map(drop),
        Printed::Lines(line) => BufReader::new(stream)
            .split(b'\n')
            .try_for_each(|bytes| bytes.map(|b| line(&String::from_utf8_lossy(&b)))),
    };
    match outcome {
        // It was killed before it read all of its input.
        Err(error) if error.kind() == ErrorKind::ConnectionReset => Ok(()),
        outcome => outcome,
    }
}

/// Reads its complaints, to the end: those about all of it, and the files it could not read.
fn listen(errors: Option<OwnedFd>, place: &BackupPlace, kill: &dyn Fn()) -> (Vec<String>, Vec<String>) {
    let (mut complaints, mut unread) = (Vec::new(), Vec::new());
    let mut away_since: Option<Instant> = None;
    let lines = errors.into_iter().flat_map(|errors| BufReader::new(File::from(errors)).split(b'\n'));
    for bytes in lines.map_while(Result::ok) {
        let text = String::from_utf8_lossy(&bytes).trim().to_owned();
        if let Ok(about) = serde_json::from_str::<AboutFile>(&text) {
            unread.push(about.item);
        } else if !text.is_empty() {
            if text.contains("retrying after")
                && away_since.get_or_insert_with(Instant::now).elapsed() > PATIENCE
            {
                kill();
            }
            keep(&mut complaints, complaint::without_passwords(&text, place));
        }
    }
    (complaints, unread)
}

#[derive(Deserialize)]
struct AboutFile {
    item: String,
}

fn keep(complaints: &mut Vec<String>, text: String) {
    if complaints.len() == COMPLAINTS {
        complaints.remove(1);
    }
    complaints.push(text.chars().take(400).collect());
}

/// Writes all of it and closes. A source that fails must not look like one that ends.
fn feed(input: Option<&mut (dyn Read + Send)>, mut into: UnixStream) -> io::Result<()> {
    let mut buffer = vec![0; 64 * 1024];
    if let Some(input) = input {
        loop {
            let count = match input.read(&mut buffer) {
                Ok(0) => break,
                Ok(count) => count,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            // It ended; how, its exit tells.
            if into.write_all(&buffer[..count]).is_err() {
                return Ok(());
            }
        }
    }
    let _ = into.shutdown(Shutdown::Write);
    Ok(())
}
