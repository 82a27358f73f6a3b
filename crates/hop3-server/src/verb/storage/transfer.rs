// SPDX-License-Identifier: Apache-2.0
//! `storage export|import`: all that a volume holds, as a tar archive.

use super::{find, inside};
use crate::server::Server;
use crate::store::Volume;
use hop3_core::name::VolumeName;
use hop3_core::problem::Problem;
use std::io::{Read, Write};

/// tar's word for files that changed while it read them.
const CHANGED: u8 = 1;

pub(crate) fn export(server: &Server, name: &VolumeName, to: &mut dyn Write) -> Result<(), Problem> {
    let volume = find(server, name)?;
    let argv =
        ["tar", "--create", "--file=-", "--numeric-owner", "--owner=0", "--group=0", "--directory=data", "."];
    inside::drain(server, &volume, &argv, Some(CHANGED), to)
}

/// Replaces what a volume holds. It is read whole beside it first: what is no archive changes nothing.
pub(crate) fn import(server: &Server, name: &VolumeName, from: &mut dyn Read) -> Result<(), Problem> {
    server.volume_turn(name, || {
        let volume = find(server, name)?;
        finish_former(server, &volume)?;
        let run = |argv: &[&str]| inside::run(server, &volume, argv).map(drop);
        run(&["mkdir", "incoming", "former"])?;
        let argv = ["tar", "--extract", "--file=-", "--no-same-owner", "--directory=incoming"];
        let read = inside::feed(server, &volume, &argv, from);
        // The directory itself stays: running instances have it mounted.
        let replaced = read.and_then(|()| move_all(server, &volume, "data", "former"));
        let replaced = replaced.and_then(|()| move_all(server, &volume, "incoming", "data"));
        match replaced {
            Ok(()) => run(&["rm", "-rf", "incoming", "former"]),
            Err(problem) => {
                finish_former(server, &volume)?;
                Err(problem)
            }
        }
    })
}

/// Puts back what an import that came to no end had moved away, and removes what it had read.
fn finish_former(server: &Server, volume: &Volume) -> Result<(), Problem> {
    let run = |argv: &[&str]| inside::run(server, volume, argv).map(drop);
    run(&["mkdir", "-p", "former"])?;
    move_all(server, volume, "former", "data")?;
    run(&["rm", "-rf", "incoming", "former"])
}

fn move_all(server: &Server, volume: &Volume, from: &str, to: &str) -> Result<(), Problem> {
    let argv =
        ["find", from, "-mindepth", "1", "-maxdepth", "1", "-exec", "mv", "-n", "-t", to, "--", "{}", "+"];
    inside::run(server, volume, &argv).map(drop)
}
