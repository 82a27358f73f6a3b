// SPDX-License-Identifier: Apache-2.0
//! Other contents for a volume. They are brought beside it first: what cannot be brought whole changes nothing.

use super::inside;
use crate::server::Server;
use crate::store::Volume;
use hop3_core::problem::Problem;

/// Replaces all that a volume holds by what `fill` puts into its directory `incoming`. The caller has the volume's turn.
pub(super) fn replace(
    server: &Server,
    volume: &Volume,
    fill: impl FnOnce() -> Result<(), Problem>,
) -> Result<(), Problem> {
    finish_former(server, volume)?;
    let run = |argv: &[&str]| inside::run(server, volume, argv).map(drop);
    run(&["mkdir", "incoming", "former"])?;
    // The directory itself stays: running instances have it mounted.
    let replaced = fill().and_then(|()| move_all(server, volume, "data", "former"));
    let replaced = replaced.and_then(|()| move_all(server, volume, "incoming", "data"));
    match replaced {
        Ok(()) => run(&["rm", "-rf", "incoming", "former"]),
        Err(problem) => {
            finish_former(server, volume)?;
            Err(problem)
        }
    }
}

/// Puts back what a replacement that came to no end had moved away, and removes what it had brought.
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
