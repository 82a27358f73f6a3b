// SPDX-License-Identifier: Apache-2.0
//! Certificates that change while a product ends TLS: handed over again, and the product told.

use super::Chosen;
use crate::proxies::front::choice::Choice;
use hop3_core::problem::Problem;
use std::sync::Weak;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

/// Looks whether certificates have changed; those that are signed here are looked at from time to time.
pub(super) fn watch(chosen: &Weak<Chosen>) {
    const PAUSE: Duration = Duration::from_secs(1);
    const HOUR: Duration = Duration::from_secs(3600);
    let mut seen: Option<(SystemTime, Instant)> = None;
    loop {
        thread::sleep(PAUSE);
        let Some(chosen) = chosen.upgrade() else { return };
        if !chosen.layout.front_choice().exists() {
            continue;
        }
        let changed = std::fs::metadata(chosen.layout.certificates()).and_then(|folder| folder.modified());
        let Ok(changed) = changed else { continue };
        if seen.is_some_and(|(last, at)| last == changed && at.elapsed() < HOUR) {
            continue;
        }
        match chosen.renew() {
            Ok(()) => seen = Some((changed, Instant::now())),
            Err(problem) => tracing::error!(%problem, "certificates were not handed over"),
        }
    }
}

impl Chosen {
    /// Hands certificates over that have changed.
    fn renew(&self) -> Result<(), Problem> {
        let mut state = self.state();
        let Some(choice) = Choice::in_force(&self.layout) else { return Ok(()) };
        if state.services.is_empty() {
            return Ok(());
        }
        self.update(&mut state, &choice, || Ok(()))
    }
}
