// SPDX-License-Identifier: Apache-2.0
//! `Net`: addresses that begin alike, written as `10.0.0.0/8`, `2001:db8::/32` or one address.

use super::as_text;
use crate::problem::{Kind, Problem};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Net {
    /// Bits after the prefix are zero.
    first: IpAddr,
    prefix: u8,
}

impl Net {
    /// All of IPv4.
    pub const V4: Net = Net { first: IpAddr::V4(Ipv4Addr::UNSPECIFIED), prefix: 0 };
    /// All of IPv6.
    pub const V6: Net = Net { first: IpAddr::V6(Ipv6Addr::UNSPECIFIED), prefix: 0 };

    /// An IPv4 address in IPv6 clothes is the IPv4 address.
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        address.is_ipv4() == self.first.is_ipv4() && masked(address, self.prefix) == self.first
    }
}

/// The address with all bits after the prefix cleared.
fn masked(address: IpAddr, prefix: u8) -> IpAddr {
    match address {
        IpAddr::V4(v4) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0);
            Ipv4Addr::from(u32::from(v4) & mask).into()
        }
        IpAddr::V6(v6) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(prefix)).unwrap_or(0);
            Ipv6Addr::from(u128::from(v6) & mask).into()
        }
    }
}

impl FromStr for Net {
    type Err = Problem;

    fn from_str(text: &str) -> Result<Net, Problem> {
        let parse = || {
            let (address, prefix) =
                text.split_once('/').map_or((text, None), |(address, prefix)| (address, Some(prefix)));
            let address = address.parse::<IpAddr>().ok()?;
            let whole = if address.is_ipv4() { 32 } else { 128 };
            let prefix = match prefix {
                None => whole,
                Some(digits) if digits.bytes().all(|b| b.is_ascii_digit()) => digits.parse().ok()?,
                Some(_) => return None,
            };
            let is_mapped = address.to_canonical().is_ipv4() != address.is_ipv4();
            (prefix <= whole && !is_mapped).then(|| Net { first: masked(address, prefix), prefix })
        };
        parse().ok_or_else(|| {
            Problem::new(Kind::Config, "config.bad-network", "this is no address and no network")
                .hint("write it as 192.0.2.7, 10.0.0.0/8 or 2001:db8::/32")
        })
    }
}

impl fmt::Display for Net {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = if self.first.is_ipv4() { 32 } else { 128 };
        write!(f, "{}", self.first)?;
        if self.prefix == whole { Ok(()) } else { write!(f, "/{}", self.prefix) }
    }
}

impl From<Net> for String {
    fn from(net: Net) -> String {
        net.to_string()
    }
}

as_text!(Net);

#[cfg(test)]
mod tests;
