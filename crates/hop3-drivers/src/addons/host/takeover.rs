// SPDX-License-Identifier: Apache-2.0
//! Other data for a server, in place of those it has. They lie beside in `restored`, whole, and become `data`; the former
//! ones wait in `former` until the server answers, and come back where it does not. Whatever dies meanwhile, the server
//! starts with all of the one or all of the other: `data` is missing only while there is `former`.

use super::{Host, SERVER};
use hop3_core::Problem;
use hop3_core::addon::AddonServer;

impl Host {
    /// Does it. `user` names the server's user, and `keep` starts the server and returns once it answers.
    pub(in crate::addons) fn take_over(
        &self,
        server: &AddonServer,
        user: &str,
        keep: &dyn Fn() -> Result<(), Problem>,
    ) -> Result<(), Problem> {
        let run = |argv: &[&str]| self.ask(&self.job(server, user, argv.iter().copied()), "").map(drop);
        self.stop(server, SERVER)?;
        run(&["mv", "-T", "data", "former"])?;
        run(&["mv", "-T", "restored", "data"])?;
        keep().inspect_err(|_| {
            // The first problem is the one to tell.
            let stopped = self.stop(server, SERVER).and_then(|()| run(&["rm", "-rf", "data"]));
            let returned = stopped.and_then(|()| run(&["mv", "-T", "former", "data"])).and_then(|()| keep());
            if let Err(problem) = returned {
                tracing::warn!(server = %server.name, problem = problem.title, "it does not start with its former data");
            }
        })
    }
}
