// SPDX-License-Identifier: Apache-2.0
//! The role: takes its lock, listens, and answers questions on a few threads, each with an engine of its own.

use crate::engine::Engine;
use hop3_core::layout::Layout;
use hop3_core::lock::RoleLock;
use hop3_core::waf::{self, Answer, Ask};
use rustix::process::{Gid, Uid};
use std::io::{self, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

/// How long a question may take to come, and an answer to go.
const PATIENCE: Duration = Duration::from_secs(5);
/// Each has rules of its own in memory.
const MAX_THREADS: usize = 4;
/// Whoever has nothing else.
const NOBODY: u32 = 65_534;

/// Serves until it is killed. Ends at once when another filter works for the root; so does one that is kept, by the
/// other roles, when it is not wanted any more by the time it has the lock: whoever ends a root looks no second time.
///
/// # Errors
/// The library or the rules are not there, or the socket cannot be made.
pub fn run(layout: &Layout, is_kept: bool) -> io::Result<()> {
    crate::rules::are_there().map_err(io::Error::other)?;
    let place = layout.run_of("waf");
    if !is_kept {
        std::fs::create_dir_all(&place)?;
    }
    let is_wanted = || !is_kept || place.join("wanted").exists();
    let taken = RoleLock::take(&layout.lock_of("waf"))?.filter(|_| is_wanted());
    let Some(_lock) = taken else { return Ok(()) };
    let listener = listen(layout)?;
    let owner = rustix::process::geteuid();
    give_up_rights()?;
    let threads = thread::available_parallelism().map_or(1, usize::from).min(MAX_THREADS);
    // One that ends takes the others with it, so that the role is started again with all of them.
    let (ended, end) = channel();
    for _ in 0..threads {
        let (listener, ended) = (listener.try_clone()?, ended.clone());
        thread::Builder::new().name("judge".into()).spawn(move || {
            let work = catch_unwind(AssertUnwindSafe(|| answer_all(&listener, owner)));
            ended.send(work.unwrap_or_else(|_| Err(io::Error::other("a thread panicked"))))
        })?;
    }
    end.recv().map_err(io::Error::other)?
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

fn answer_all(listener: &UnixListener, owner: Uid) -> io::Result<()> {
    let mut engine = Engine::new().map_err(io::Error::other)?;
    loop {
        let (stream, _) = listener.accept()?;
        // Whoever asked has gone, or asked nonsense: there is nobody to tell.
        let _ = answer_one(&mut engine, stream, owner);
    }
}

fn answer_one(engine: &mut Engine, mut stream: UnixStream, owner: Uid) -> io::Result<()> {
    let peer = rustix::net::sockopt::socket_peercred(&stream)?.uid;
    if peer != owner && !peer.is_root() {
        return Ok(());
    }
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let answer = match question(&mut stream)? {
        Some((ask, head, body)) => engine.judge(&ask, &head, &body),
        None => Answer::failed("this is no question"),
    };
    stream.write_all(&answer.bytes())
}

type Question = (Ask, Vec<u8>, Vec<u8>);

fn question(stream: &mut UnixStream) -> io::Result<Option<Question>> {
    let mut lengths = [0; waf::LENGTHS];
    stream.read_exact(&mut lengths)?;
    let Some(lengths) = waf::lengths(lengths) else { return Ok(None) };
    let mut part = |length: usize| -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; length];
        stream.read_exact(&mut bytes)?;
        Ok(bytes)
    };
    let (settings, head, body) = (part(lengths[0])?, part(lengths[1])?, part(lengths[2])?);
    let ask: Option<Ask> = serde_json::from_slice(&settings).ok();
    Ok(ask.filter(|ask| (1..=4).contains(&ask.paranoia)).map(|ask| (ask, head, body)))
}
