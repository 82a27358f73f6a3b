// SPDX-License-Identifier: Apache-2.0
//! Who may come in, by address. Where anybody is allowed by name, nobody else is.

use super::answer::Answer;
use super::live::Live;
use super::visit::Visit;
use crate::page;
use hop3_core::policy::Net;
use std::net::IpAddr;

impl Live {
    /// The same for a connection that is no request, by the address at its other end.
    pub(crate) fn lets_in(&self, client: IpAddr) -> bool {
        let is_in = |nets: &[Net]| nets.iter().any(|net| net.contains(client));
        !is_in(&self.source.deny) && (self.source.allow.is_empty() || is_in(&self.source.allow))
    }
}

pub(super) fn check(live: &Live, visit: &Visit<'_>) -> Result<(), Answer> {
    let (allow, deny) = (&live.source.allow, &live.source.deny);
    let is_out = visit.is_in(deny) || !(allow.is_empty() || visit.is_in(allow));
    if is_out { Err(Answer::page(page::FORBIDDEN)) } else { Ok(()) }
}
