// SPDX-License-Identifier: Apache-2.0
//! A server that stands still for a moment, so that what its directory holds is of that moment.

use super::{CHANGE_PATIENCE, Host, LOOK_PAUSE, SERVER};
use hop3_core::Problem;
use hop3_core::addon::AddonServer;
use hop3_core::workload::InstanceState;
use std::sync::PoisonError;
use std::time::Instant;

impl Host {
    /// Does something while the server stands still; whoever asks it meanwhile waits. However this ends it goes on: a
    /// Hop3 that dies here finds it standing still when it comes back, and lets it go.
    pub(in crate::addons) fn standing_still<T>(
        &self,
        server: &AddonServer,
        body: impl FnOnce() -> Result<T, Problem>,
    ) -> Result<T, Problem> {
        let _alone = self.standing.lock().unwrap_or_else(PoisonError::into_inner);
        let frozen = self.daemons.freeze(&server.name, SERVER);
        let outcome = frozen.and_then(|()| body());
        let deadline = Instant::now() + CHANGE_PATIENCE;
        // A supervisor that is being started again gives no answer for a moment.
        while let Err(problem) = self.daemons.thaw(&server.name, SERVER) {
            if Instant::now() > deadline {
                return Err(problem);
            }
            std::thread::sleep(LOOK_PAUSE);
        }
        outcome
    }

    /// Lets a server go on that stands still for nobody.
    pub(super) fn let_go(&self, server: &AddonServer) -> Result<(), Problem> {
        let _alone = self.standing.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = self.daemons.status(&server.name)?;
        match kept.iter().any(|daemon| daemon.state == InstanceState::Frozen) {
            true => self.daemons.thaw(&server.name, SERVER),
            false => Ok(()),
        }
    }
}
