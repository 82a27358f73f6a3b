// SPDX-License-Identifier: Apache-2.0
//! `storage export|import`: all that a volume holds, as a tar archive.

use super::replace::replace;
use super::{find, inside};
use crate::server::Server;
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

/// Replaces what a volume holds; what is no archive changes nothing.
pub(crate) fn import(server: &Server, name: &VolumeName, from: &mut dyn Read) -> Result<(), Problem> {
    server.volume_turn(name, || {
        let volume = find(server, name)?;
        let argv = ["tar", "--extract", "--file=-", "--no-same-owner", "--directory=incoming"];
        replace(server, &volume, || inside::feed(server, &volume, &argv, from))
    })
}
