// SPDX-License-Identifier: Apache-2.0
//! The role: takes its lock and listens, or has both handed over, and looks after the threads that answer.

use crate::desk::{Desk, Event};
use crate::handover::{self, Place};
use hop3_core::layout::Layout;
use hop3_core::lock::RoleLock;
use rustix::fs::{AtFlags, statat};
use rustix::io::Errno;
use rustix::process::{Gid, Uid};
use std::fs::File;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Barrier, Mutex};
use std::thread::{self, JoinHandle};

/// Each has rules of its own in memory.
const MAX_THREADS: usize = 4;
/// Whoever has nothing else.
const NOBODY: u32 = 65_534;

/// How the role begins.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// By the other roles: it ends at once when it is not wanted any more.
    pub is_kept: bool,
    /// In the place of the filter that runs.
    pub takes_over: bool,
}

/// Serves until it is killed, or another has taken its place. Ends at once when another filter works for the root; so
/// does one that is kept when it is not wanted any more by the time it has the lock: whoever ends a root looks no
/// second time.
///
/// # Errors
/// The library or the rules are not there, the socket cannot be made, or nobody hands over a place.
pub fn run(layout: &Layout, options: Options) -> io::Result<()> {
    crate::rules::are_there().map_err(io::Error::other)?;
    let directory = layout.run_of("waf");
    if !options.is_kept {
        std::fs::create_dir_all(&directory)?;
    }
    // Looked at through a descriptor: the way there may be closed to whom this becomes.
    let directory = File::open(directory)?;
    let is_gone = || statat(&directory, "wanted", AtFlags::empty()).err() == Some(Errno::NOENT);
    let is_wanted = || !options.is_kept || !is_gone();
    let place = match options.takes_over {
        true => Some(handover::receive(layout)?),
        false => take(layout, is_wanted)?,
    };
    place.map_or(Ok(()), |place| serve(place, is_wanted))
}

/// A place that nobody has; `None` when somebody does, or nobody should.
fn take(layout: &Layout, is_wanted: impl Fn() -> bool) -> io::Result<Option<Place>> {
    let Some(lock) = RoleLock::take(&layout.lock_of("waf"))?.filter(|_| is_wanted()) else { return Ok(None) };
    let listener = listen(layout)?;
    let owner = rustix::process::geteuid();
    Ok(Some(Place { lock, listener, owner, known: Vec::new(), predecessor: None }))
}

fn listen(layout: &Layout) -> io::Result<UnixListener> {
    let socket = layout.waf_socket();
    match std::fs::remove_file(&socket) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(&socket)?;
    std::fs::set_permissions(&socket, std::fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

fn serve(place: Place, is_wanted: impl Fn() -> bool) -> io::Result<()> {
    let Place { lock, listener, owner, known, predecessor } = place;
    listener.set_nonblocking(true)?;
    give_up_rights()?;
    let count = thread::available_parallelism().map_or(1, usize::from).min(MAX_THREADS);
    let (opened, closing) = UnixStream::pair()?;
    let (tell, events) = channel();
    let desk = Arc::new(Desk {
        listener,
        owner,
        lock: Mutex::new(Some(lock)),
        known: Mutex::new(known),
        is_giving: AtomicBool::new(false),
        open: Barrier::new(count + 1),
        closing,
        tell,
    });
    let threads = (0..count).map(|_| judge(&desk)).collect::<io::Result<Vec<_>>>()?;
    // Of all of them: a process that ends while the library works in one may not end well.
    let begun: Vec<_> = events.iter().take(count).collect();
    if let Some(error) = begun.into_iter().find_map(Event::error) {
        return Err(error);
    }
    if let Some(predecessor) = predecessor {
        desk.lock().as_ref().map_or(Ok(()), RoleLock::sign)?;
        // Whoever ends the root may have seen the pid of the old one, and looks no second time.
        if !is_wanted() {
            return Ok(());
        }
        handover::relieve(predecessor);
    }
    desk.open.wait();
    look_after(&desk, &events)?;
    // What was let in is answered yet.
    drop(opened);
    threads.into_iter().for_each(|thread| drop(thread.join()));
    Ok(())
}

/// A thread that cannot go on takes the others with it, so that the role is started again with all of them.
fn judge(desk: &Arc<Desk>) -> io::Result<JoinHandle<()>> {
    let desk = Arc::clone(desk);
    thread::Builder::new().name("judge".into()).spawn(move || {
        let work = catch_unwind(AssertUnwindSafe(|| desk.answer_all()));
        let work = work.unwrap_or_else(|_| Err(io::Error::other("a thread panicked")));
        work.unwrap_or_else(|error| desk.send(Event::Failed(error)));
    })
}

/// Until another process has this one's place.
fn look_after(desk: &Arc<Desk>, events: &Receiver<Event>) -> io::Result<()> {
    loop {
        match events.recv().map_err(io::Error::other)? {
            // A second one is left without an answer, and ends.
            Event::Asked(connection) if !desk.is_giving.swap(true, SeqCst) => hand_over(desk, connection)?,
            Event::Asked(_) | Event::Ready => {}
            Event::Replaced => return Ok(()),
            Event::Failed(error) => return Err(error),
        }
    }
}

fn hand_over(desk: &Arc<Desk>, connection: UnixStream) -> io::Result<()> {
    let desk = Arc::clone(desk);
    let work = move || match handover::give(&desk, connection) {
        true => desk.send(Event::Replaced),
        false => desk.is_giving.store(false, SeqCst),
    };
    thread::Builder::new().name("hand-over".into()).spawn(work).map(drop)
}

/// What strangers send is read by a large C++ library, so the process keeps no right that it can do without.
fn give_up_rights() -> io::Result<()> {
    rustix::thread::set_no_new_privs(true)?;
    if rustix::process::geteuid().is_root() {
        let (uid, gid) = (Uid::from_raw(NOBODY), Gid::from_raw(NOBODY));
        rustix::thread::set_thread_groups(&[])?;
        rustix::thread::set_thread_res_gid(gid, gid, gid)?;
        rustix::thread::set_thread_res_uid(uid, uid, uid)?;
    }
    Ok(())
}
