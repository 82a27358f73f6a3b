// SPDX-License-Identifier: Apache-2.0
//! One-off commands: builds, release commands, terminals. They live as long as their client's connection.
//!
//! The client keeps the other end of the descriptor it sent, so output never passes through the supervisor. When the
//! first process ends, whatever it left behind is killed: nothing outlives a build.

use crate::connection::Connection;
use crate::launcher::{Process, Start};
use crate::protocol::{Answer, Control};
use crate::role::World;
use hop3_core::sandbox::Job;
use rustix::fd::OwnedFd;
use rustix::fs::{Gid, Mode, Uid};
use rustix::process::Signal;
use std::io;

/// What a client gave its command.
pub(crate) struct Streams {
    pub stdout: OwnedFd,
    /// Its stdin is its stdout too.
    pub stdin: bool,
    /// Its stderr, when it is apart.
    pub errors: Option<OwnedFd>,
}

pub(crate) async fn run(
    world: &World,
    connection: &mut Connection,
    job: &Job,
    streams: Streams,
) -> io::Result<()> {
    let number = world.one_offs.get() + 1;
    world.one_offs.set(number);
    own_terminal(world, job, &streams.stdout);
    let start = Start {
        launcher: &world.options.launcher,
        reaper: &world.reaper,
        mark: format!("{}{}.{number}", world.one_off_mark(), std::process::id()),
        stdout: streams.stdout,
        stdin: streams.stdin,
        errors: streams.errors,
        dies_with_parent: true,
    };
    let mut process = match start.run(job, |_| ()).await {
        Ok(process) => process,
        Err(problem) => return connection.send(&Answer::Problem(problem)).await,
    };
    if connection.send(&Answer::Started).await.is_err() {
        process.tree.kill().await;
        return Ok(());
    }
    let is_wanted = obey(&mut process, connection).await;
    process.tree.kill().await;
    let ended = process.ended().await;
    if is_wanted { connection.send(&Answer::Ended(ended)).await } else { Ok(()) }
}

/// Waits for the end, passing on signals; false when the client has gone.
async fn obey(process: &mut Process, connection: &mut Connection) -> bool {
    loop {
        let control = tokio::select! {
            _ = process.ended() => return true,
            control = connection.receive::<Control>() => control,
        };
        match control {
            Ok(Some(Control::Kill)) => return true,
            Ok(Some(Control::Signal(number))) => {
                if let Some(signal) = Signal::from_named_raw(number) {
                    process.signal_group(signal);
                }
            }
            Ok(None) | Err(_) => return false,
        }
    }
}

/// A terminal belongs to who works in it, or `tty`-checking programs refuse it.
fn own_terminal(world: &World, job: &Job, descriptor: &OwnedFd) {
    let Some(user) = job.sandbox.user.filter(|_| world.is_privileged) else { return };
    if rustix::termios::isatty(descriptor) {
        let _ = rustix::fs::fchown(descriptor, Some(Uid::from_raw(user)), Some(Gid::from_raw(user)));
        let _ = rustix::fs::fchmod(descriptor, Mode::RUSR | Mode::WUSR);
    }
}
