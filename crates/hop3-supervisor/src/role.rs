// SPDX-License-Identifier: Apache-2.0
//! The main loop of the role: one thread, one lock, one socket.
//!
//! SIGTERM ends the role and leaves the instances running for the next one; only a `Shutdown` request stops them.
//! Whatever happened before, `run` begins by adopting what is recorded.

use crate::keeper::{self, Instance};
use crate::log::Logs;
use crate::protocol::Change;
use crate::reaper::Reaper;
use crate::record::Record;
use crate::session;
use anyhow::Context as _;
use hop3_core::layout::Layout;
use hop3_core::lock::RoleLock;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;
use tokio::net::UnixListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Notify, broadcast};
use tokio::task::LocalSet;

/// How a supervisor is set up.
#[derive(Clone, Debug)]
pub struct Options {
    pub layout: Layout,
    /// Who may connect besides root and the supervisor's own user.
    pub allowed_uid: u32,
    /// The program whose role `launch` starts processes.
    pub launcher: PathBuf,
    /// A file without which the role does not begin: whoever asked for it has changed his mind meanwhile.
    pub wanted: Option<PathBuf>,
}

/// Another supervisor serves this root.
#[derive(Debug, thiserror::Error)]
#[error("another supervisor serves this root")]
pub struct AlreadyRunning;

/// Everything the tasks of the role share.
pub(crate) struct World {
    pub options: Options,
    pub is_privileged: bool,
    pub reaper: Reaper,
    pub logs: Rc<Logs>,
    pub instances: RefCell<BTreeMap<String, Rc<Instance>>>,
    pub changes: broadcast::Sender<Change>,
    /// Notified whenever an instance is gone.
    pub gone: Notify,
    /// Notified when the role shall end.
    pub end: Notify,
    pub one_offs: Cell<u64>,
}

impl World {
    fn new(options: Options) -> World {
        World {
            is_privileged: rustix::process::geteuid().is_root(),
            reaper: Reaper::default(),
            logs: Rc::new(Logs::new(options.layout.logs())),
            instances: RefCell::default(),
            changes: broadcast::channel(256).0,
            gone: Notify::new(),
            end: Notify::new(),
            one_offs: Cell::new(0),
            options,
        }
    }

    /// The mark of a tree: two roots on one machine may use the same ids.
    pub(crate) fn mark(&self, id: &str) -> String {
        format!("{}:{id}", self.options.layout.root().display())
    }

    /// Begins the mark of every one-off; no instance id begins so.
    pub(crate) fn one_off_mark(&self) -> String {
        self.mark("!")
    }

    pub(crate) fn pipes(&self) -> PathBuf {
        self.options.layout.run_of("supervisor").join("pipes")
    }
}

/// Runs the role until SIGTERM or a shutdown request.
///
/// # Errors
/// [`AlreadyRunning`]; otherwise what could not be set up.
pub fn run(options: Options) -> anyhow::Result<()> {
    make_directories(&options)?;
    let _lock = RoleLock::take(&options.layout.lock_of("supervisor"))?.ok_or(AlreadyRunning)?;
    if options.wanted.as_ref().is_some_and(|file| !file.exists()) {
        return Ok(());
    }
    share(&options.layout.lock_of("supervisor"), &options)?;
    raise_open_files();
    // What instances leave behind comes to us instead of the machine's first process.
    let own = rustix::process::getpid();
    rustix::process::set_child_subreaper(Some(own)).context("becoming a subreaper")?;
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().max_blocking_threads(8).build()?;
    let outcome = LocalSet::new().block_on(&runtime, serve(options));
    // A thread that still reads a log or removes a tree must not hold up the successor.
    runtime.shutdown_background();
    outcome
}

async fn serve(options: Options) -> anyhow::Result<()> {
    let world = Rc::new(World::new(options));
    let mut children = signal(SignalKind::child())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    // Their clients went with the supervisor that started them.
    crate::tree::kill_marked(&world.one_off_mark());
    for record in Record::load_all(&world.options.layout.supervisor_state())? {
        // A record is as trustworthy as who may write beneath the root, so it may ask for no more than they.
        match session::check_job(&world, &record.spec.job) {
            Ok(()) => keeper::resume(&world, record),
            Err(problem) => tracing::error!(%problem, id = record.spec.id, "a record is refused"),
        }
    }
    let listener = listen(&world)?;
    tracing::info!(instances = world.instances.borrow().len(), "supervisor ready");
    loop {
        tokio::select! {
            _ = children.recv() => world.reaper.collect(),
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            () = world.end.notified() => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => drop(tokio::task::spawn_local(session::serve(world.clone(), stream))),
                // Out of descriptors, most likely: wait for some to be closed.
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            },
        }
    }
    crate::tree::kill_marked(&world.one_off_mark());
    Ok(())
}

fn listen(world: &World) -> anyhow::Result<UnixListener> {
    let socket = world.options.layout.supervisor_socket();
    // We hold the lock: a socket that lies there has no owner any more.
    let _ = fs::remove_file(&socket);
    let fresh = socket.with_extension("new");
    let _ = fs::remove_file(&fresh);
    let listener = UnixListener::bind(&fresh).with_context(|| format!("binding {}", fresh.display()))?;
    fs::set_permissions(&fresh, Permissions::from_mode(0o660))?;
    if world.is_privileged {
        chown(&fresh, Some(world.options.allowed_uid), None)?;
    }
    fs::rename(&fresh, &socket)?;
    Ok(listener)
}

fn make_directories(options: &Options) -> anyhow::Result<()> {
    let layout = &options.layout;
    let own = layout.run_of("supervisor");
    let wanted = [
        (layout.root().to_owned(), 0o755, true),
        (layout.run(), 0o755, true),
        (own.clone(), 0o711, false),
        (own.join("pipes"), 0o700, false),
        (layout.supervisor_state(), 0o700, false),
        (layout.logs(), 0o700, false),
    ];
    for (directory, mode, is_shared) in wanted {
        make_directory(&directory, mode, options, is_shared)
            .with_context(|| format!("making {}", directory.display()))?;
    }
    Ok(())
}

/// A shared directory holds things of who may connect too.
fn make_directory(directory: &Path, mode: u32, options: &Options, is_shared: bool) -> io::Result<()> {
    match DirBuilder::new().mode(mode).create(directory) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            DirBuilder::new().recursive(true).create(directory)?;
        }
        made => made?,
    }
    if is_shared { share(directory, options) } else { Ok(()) }
}

/// Gives a file or directory to who may connect.
fn share(path: &Path, options: &Options) -> io::Result<()> {
    let is_root = rustix::process::geteuid().is_root();
    if is_root { chown(path, Some(options.allowed_uid), None) } else { Ok(()) }
}

/// Each instance takes a handful of descriptors; the soft limit is made for smaller programs.
fn raise_open_files() {
    let maximum = getrlimit(Resource::Nofile).maximum;
    let _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
}
