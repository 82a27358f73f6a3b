// SPDX-License-Identifier: Apache-2.0
//! A page in place of the service, for all but those who are allowed.

use super::answer::Answer;
use super::live::Live;
use super::visit::Visit;
use crate::page;

pub(super) fn check(live: &Live, visit: &Visit<'_>) -> Result<(), Answer> {
    let Some(maintenance) = live.source.maintenance.as_ref().filter(|m| m.on && !visit.is_in(&m.allow))
    else {
        return Ok(());
    };
    let answer = match (&maintenance.page, &maintenance.text) {
        (Some(file), _) => Answer::file(live, file, page::MAINTENANCE),
        (None, Some(text)) => Answer::text(503, text),
        (None, None) => Answer::page(page::MAINTENANCE),
    };
    Err(answer.line("Retry-After", &maintenance.retry_after.to_string()).line("Cache-Control", "no-store"))
}
