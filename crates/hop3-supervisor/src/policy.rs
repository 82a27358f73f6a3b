// SPDX-License-Identifier: Apache-2.0
//! Decides, from the times at which an instance ended, whether and when it is started again. Pure.

use crate::protocol::RestartPolicy;
use std::time::Duration;

/// What to do about an instance that ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    StartAfter(Duration),
    Crashed,
}

/// Notes an end at `now_ms` after a run of `lived_ms` in `early_ends_ms` and judges.
pub(crate) fn judge(
    policy: &RestartPolicy,
    early_ends_ms: &mut Vec<u64>,
    now_ms: u64,
    lived_ms: u64,
) -> Verdict {
    if lived_ms >= policy.early_ms {
        early_ends_ms.clear();
        return Verdict::StartAfter(Duration::from_millis(policy.first_delay_ms));
    }
    early_ends_ms.push(now_ms);
    early_ends_ms.retain(|end| now_ms.saturating_sub(*end) <= policy.window_ms);
    if early_ends_ms.len() >= policy.early_ends {
        return Verdict::Crashed;
    }
    let doublings = early_ends_ms.len().saturating_sub(1).min(20) as u32;
    let delay_ms = policy.first_delay_ms.saturating_mul(1 << doublings).min(policy.max_delay_ms);
    Verdict::StartAfter(Duration::from_millis(delay_ms))
}

#[cfg(test)]
mod tests;
