// SPDX-License-Identifier: Apache-2.0
//! The hidden role `launch`: sets up one process and becomes it.
//!
//! Runs in a fresh process with a single thread, so that namespaces and users can be changed with plain safe calls.
//! See `launcher` for the conversation with the supervisor.

use crate::launcher::Order;
use crate::problem::{launcher_failed, not_started};
use crate::sandbox;
use hop3_core::Problem;
use hop3_core::sandbox::{Job, Limits};
use rustix::fs::{Access, AtFlags, CWD, Mode, OFlags, accessat};
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::stdio::{dup2_stderr, dup2_stdin, stderr, stdout};
use std::fs::File;
use std::io::{self, BufRead as _, BufReader, IoSliceMut, Read as _, Write as _};
use std::mem::MaybeUninit;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

/// Most programs want more than the traditional 1024; those that loop over all of them want no million.
const DEFAULT_NOFILE: u64 = 65_536;

/// When memory is short, instances go before the roles of Hop3.
const OOM_SCORE: &str = "300";

/// Entry of the role. Returns only when the process could not be started.
pub fn launch_main() -> ExitCode {
    // Stays open for the report, and closes by itself at execve: that is the good news.
    let Ok(control) = rustix::io::fcntl_dupfd_cloexec(stderr(), 3) else { return ExitCode::FAILURE };
    let mut control = File::from(control);
    let Err(problem) = start(&mut control);
    let report = serde_json::to_vec(&problem).unwrap_or_default();
    let _ = control.write_all(&report);
    ExitCode::FAILURE
}

fn start(control: &mut File) -> Result<std::convert::Infallible, Problem> {
    let order: Order = serde_json::from_reader(io::stdin().lock()).map_err(launcher_failed)?;
    let job = &order.job;
    rustix::process::setsid().map_err(launcher_failed)?;
    connect(order.stdin).map_err(launcher_failed)?;
    let _ = std::fs::write("/proc/self/oom_score_adj", OOM_SCORE);
    rustix::process::umask(Mode::from_raw_mode(0o022));
    let user = job.sandbox.user.filter(|_| rustix::process::geteuid().is_root());
    if user.is_some() {
        sandbox::enter(&job.sandbox, &job.cwd)?;
        if job.limits.offline {
            sandbox::leave_network()?;
        }
    }
    // The limits are the job's: making the sandbox writes files too. Only root may raise them.
    limit(&job.limits).map_err(|error| not_started(&job.command.display(), error))?;
    user.map_or(Ok(()), |user| sandbox::become_user(user, &job.sandbox))?;
    rustix::thread::set_no_new_privs(true).map_err(launcher_failed)?;
    rustix::process::chdir(&job.cwd).map_err(|error| {
        let why = format!("its directory {} cannot be entered: {error}", job.cwd.display());
        not_started(&job.command.display(), why)
    })?;
    let argv = job.command.argv();
    let program = find_program(job, &argv)?;
    if order.dies_with_parent {
        // After the change of user, which would have cleared it.
        let signal = Some(rustix::process::Signal::KILL);
        rustix::process::set_parent_process_death_signal(signal).map_err(launcher_failed)?;
    }
    control.write_all(b"r").map_err(launcher_failed)?;
    wait_for_go(control).map_err(launcher_failed)?;
    let error = Command::new(&program).arg0(&argv[0]).args(&argv[1..]).env_clear().envs(&job.env).exec();
    Err(not_started(&job.command.display(), explain(&program, &error)))
}

/// Waits for the supervisor's word; what comes with it becomes stderr.
fn wait_for_go(control: &File) -> io::Result<()> {
    let mut go = [0];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let parts = &mut [IoSliceMut::new(&mut go)];
    let received = recvmsg(control, parts, &mut ancillary, RecvFlags::CMSG_CLOEXEC)?;
    if received.bytes == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    for message in ancillary.drain() {
        if let RecvAncillaryMessage::ScmRights(descriptors) = message {
            descriptors.last().map_or(Ok(()), dup2_stderr)?;
        }
    }
    Ok(())
}

/// Makes stdin and stderr of what the supervisor passed as stdout.
fn connect(stdin: bool) -> io::Result<()> {
    if stdin {
        dup2_stdin(stdout())?;
        if rustix::termios::isatty(stdout()) {
            rustix::process::ioctl_tiocsctty(stdout())?;
        }
    } else {
        let nothing = rustix::fs::open("/dev/null", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
        dup2_stdin(nothing)?;
    }
    Ok(dup2_stderr(stdout())?)
}

fn limit(limits: &Limits) -> io::Result<()> {
    let nofile = getrlimit(Resource::Nofile).maximum.map_or(DEFAULT_NOFILE, |hard| hard.min(DEFAULT_NOFILE));
    lower(Resource::Nofile, Some(limits.nofile.unwrap_or(nofile)), limits.nofile.is_some())?;
    lower(Resource::Nproc, limits.nproc, true)?;
    lower(Resource::Fsize, limits.fsize_bytes, true)?;
    lower(Resource::Core, Some(limits.core_bytes.unwrap_or(0)), true)
}

/// Sets a limit; `is_hard` takes away the right to raise it again.
fn lower(resource: Resource, wanted: Option<u64>, is_hard: bool) -> io::Result<()> {
    let Some(wanted) = wanted else { return Ok(()) };
    let hard = getrlimit(resource).maximum;
    let is_root = rustix::process::geteuid().is_root();
    let value = if is_root { wanted } else { hard.map_or(wanted, |hard| hard.min(wanted)) };
    if value < wanted {
        // The process's own log is where its author looks when it runs out.
        let _ = writeln!(io::stdout(), "hop3: the machine allows {value} for {resource:?}, not {wanted}");
    }
    let maximum = if is_hard { Some(value) } else { hard };
    Ok(setrlimit(resource, Rlimit { current: Some(value), maximum })?)
}

/// Finds what execve(2) needs, so that its terse "no such file" can be told in full.
fn find_program(job: &Job, argv: &[String]) -> Result<PathBuf, Problem> {
    let Some(name) = argv.first().filter(|name| !name.is_empty()) else {
        return Err(not_started("", "it is empty"));
    };
    let refuse = |why: String| Err(not_started(&job.command.display(), why));
    if name.contains('/') {
        let path = job.cwd.join(name);
        return match accessat(CWD, &path, Access::EXEC_OK, AtFlags::EACCESS) {
            Ok(()) if path.is_dir() => refuse(format!("{name} is a directory")),
            Ok(()) => Ok(path),
            Err(rustix::io::Errno::NOENT) => refuse(format!("there is no file {name}")),
            Err(rustix::io::Errno::ACCESS) => refuse(format!("{name} may not be executed")),
            Err(error) => refuse(format!("{name}: {error}")),
        };
    }
    let path = job.env.get("PATH").map_or("/usr/local/bin:/usr/bin:/bin", String::as_str);
    let is_program = |candidate: &PathBuf| {
        candidate.is_file() && accessat(CWD, candidate, Access::EXEC_OK, AtFlags::EACCESS).is_ok()
    };
    match path.split(':').map(|directory| job.cwd.join(directory).join(name)).find(is_program) {
        Some(found) => Ok(found),
        None => refuse(format!("there is no program {name} in {path}")),
    }
}

fn explain(program: &Path, error: &io::Error) -> String {
    if error.kind() != io::ErrorKind::NotFound {
        return format!("{}: {error}", program.display());
    }
    // The file is there: what is missing is what its first line names, or a dynamic loader.
    let mut first = String::new();
    let script = File::open(program).map(|file| BufReader::new(file.take(512)).read_line(&mut first));
    match (script, first.trim().strip_prefix("#!")) {
        (Ok(Ok(_)), Some(interpreter)) => {
            format!("{} wants {}, which is not there", program.display(), interpreter.trim())
        }
        _ => format!("{} was built for another system", program.display()),
    }
}
