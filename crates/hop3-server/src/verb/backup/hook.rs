// SPDX-License-Identifier: Apache-2.0
//! What an app wants done around its backup: command lines of `[backup]`, run as the app like any one-off.

use super::say;
use crate::deploy;
use crate::server::Server;
use crate::store::{App, Release};
use crate::verb::run::Lines;
use hop3_core::backup::Tell;
use hop3_core::problem::{Kind, Problem};
use hop3_core::sandbox::Command;
use std::sync::Arc;
use std::time::Duration;

const DEADLINE: Duration = Duration::from_secs(60 * 60);

/// Runs the lines in their order until one fails.
pub(super) fn run(
    server: &Arc<Server>,
    (app, release): (&App, &Release),
    lines: &[String],
    tell: Tell<'_>,
) -> Result<(), Problem> {
    for line in lines {
        say(tell, format!("→ {line}"));
        let job = deploy::one_off(server, app, release, &Command::shell(line))?;
        let mut said = Lines::default();
        let exit = server.drivers.runner.run(&job, DEADLINE, &mut said)?;
        if !exit.is_success() {
            let last = said.0.iter().rev().take(20).rev().cloned().collect::<Vec<_>>().join("\n");
            let title = format!("a command that {} wants around its backup failed", app.name);
            return Err(Problem::new(Kind::User, "backup.hook-failed", title)
                .detail(format!("command: {line}\nended with: {exit}\n{last}").trim_end())
                .hint(format!(
                    "try it by hand with: hop3 run -a {} -- …; see [backup] in hop3.toml",
                    app.name
                )));
        }
    }
    Ok(())
}
