// SPDX-License-Identifier: Apache-2.0
//! Volumes: what was destroyed goes when its time is over; one that fills is told.

use crate::server::Server;
use crate::verb::storage as verb;
use std::sync::Arc;
use std::time::Duration;

/// A look reads every directory of every volume that has a size.
const PAUSE: Duration = Duration::from_secs(15 * 60);

pub(super) fn run(server: &Arc<Server>) {
    loop {
        std::thread::sleep(PAUSE);
        for outcome in [verb::forget_destroyed(server), verb::measure_all(server)] {
            if let Err(problem) = outcome {
                tracing::warn!(problem = problem.title, detail = problem.detail, "volumes");
            }
        }
    }
}
