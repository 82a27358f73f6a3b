// SPDX-License-Identifier: Apache-2.0
//! `Load`: how many handshakes are under way, and how many connections each address has.
//!
//! Invariant: only who has answered from an address is counted for it; nobody fills another's room with packets that
//! claim to be his.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};

#[derive(Default)]
pub(crate) struct Load {
    shaking: Cell<usize>,
    open: RefCell<HashMap<IpAddr, usize>>,
}

/// A handshake that is under way.
pub(super) struct Shaking<'a>(&'a Load);

/// A connection, counted for where it came from at first.
pub(super) struct Open<'a>(&'a Load, IpAddr);

impl Load {
    pub(super) fn begin(&self) -> Shaking<'_> {
        self.shaking.set(self.shaking.get() + 1);
        Shaking(self)
    }

    pub(super) fn shaking(&self) -> usize {
        self.shaking.get()
    }

    pub(super) fn enter(&self, peer: IpAddr) -> Open<'_> {
        let peer = one(peer);
        *self.open.borrow_mut().entry(peer).or_default() += 1;
        Open(self, peer)
    }

    /// The connections that this one has.
    pub(super) fn of(&self, peer: IpAddr) -> usize {
        self.open.borrow().get(&one(peer)).copied().unwrap_or_default()
    }
}

impl Drop for Shaking<'_> {
    fn drop(&mut self) {
        self.0.shaking.set(self.0.shaking.get() - 1);
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        let mut open = self.0.open.borrow_mut();
        if let Some(count) = open.get_mut(&self.1) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.1);
            }
        }
    }
}

/// Who has one address of IPv6 has all of its /64.
fn one(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
        address => address,
    }
}
