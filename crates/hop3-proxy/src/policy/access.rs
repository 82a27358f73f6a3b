// SPDX-License-Identifier: Apache-2.0
//! Who may come in, by address. Where anybody is allowed by name, nobody else is.

use super::answer::Answer;
use super::live::Live;
use super::visit::Visit;
use crate::page;

pub(super) fn check(live: &Live, visit: &Visit<'_>) -> Result<(), Answer> {
    let (allow, deny) = (&live.source.allow, &live.source.deny);
    let is_out = visit.is_in(deny) || !(allow.is_empty() || visit.is_in(allow));
    if is_out { Err(Answer::page(page::FORBIDDEN)) } else { Ok(()) }
}
