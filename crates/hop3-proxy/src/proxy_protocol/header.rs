// SPDX-License-Identifier: Apache-2.0
//! One header, from bytes to addresses and back: a function of the bytes that have come so far.
//!
//! Strict: what does not match the protocol exactly is an error, as §2.1 and §2.2 ask for. Bounded: at most
//! `MAX_BYTES` are ever wanted.

use super::Ends;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// A line of version 1 with its end (§2.1).
const MAX_LINE: usize = 107;
/// Version 2 with its vectors. The protocol would allow 64 KiB; what balancers send has some hundred bytes, with a
/// client's certificate some thousand.
pub(crate) const MAX_BYTES: usize = 4096;
/// Begins version 2 (§2.2).
const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
/// Signature, version and command, family and transport, length.
const FIXED: usize = 16;

/// What a header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Said {
    /// The connection speaks for one with these ends.
    Proxied(Ends),
    /// It speaks for itself: a health check, or ends that have no address of ours.
    Own,
}

/// It is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Malformed(pub(super) &'static str);

/// Reads a header at the beginning of `bytes`, and tells its length. `None` when more bytes are needed; all of those
/// there belong to it then.
pub(crate) fn parse(bytes: &[u8]) -> Result<Option<(Said, usize)>, Malformed> {
    let begins = |word: &[u8]| word.starts_with(&bytes[..bytes.len().min(word.len())]);
    if begins(SIGNATURE) {
        return if bytes.len() < SIGNATURE.len() { Ok(None) } else { version_2(bytes) };
    }
    if begins(b"PROXY ") { version_1(bytes) } else { Err(Malformed("it does not begin with a header")) }
}

fn version_1(bytes: &[u8]) -> Result<Option<(Said, usize)>, Malformed> {
    let window = &bytes[..bytes.len().min(MAX_LINE)];
    let Some(end) = window.windows(2).position(|pair| pair == b"\r\n") else {
        // Neither may stand alone, so a line that has one of them cannot become good.
        let is_spoilt = window.contains(&b'\n') || window[..window.len() - 1].contains(&b'\r');
        return match bytes.len() < MAX_LINE && !is_spoilt {
            true => Ok(None),
            false => Err(Malformed("its line does not end")),
        };
    };
    let line = std::str::from_utf8(&window[..end]).map_err(|_| Malformed("its line is no text"))?;
    if line.contains(['\r', '\n']) {
        return Err(Malformed("its line does not end"));
    }
    Ok(Some((said(line)?, end + 2)))
}

/// `PROXY TCP4 192.0.2.1 198.51.100.1 56324 443`
fn said(line: &str) -> Result<Said, Malformed> {
    let words: Vec<&str> = line.split(' ').collect();
    match words[..] {
        // What follows is to be ignored (§2.1).
        [_, "UNKNOWN", ..] => Ok(Said::Own),
        [_, "TCP4", source, destination, from, to] => ends::<Ipv4Addr>([source, destination], [from, to]),
        [_, "TCP6", source, destination, from, to] => ends::<Ipv6Addr>([source, destination], [from, to]),
        _ => Err(Malformed("its line has other words")),
    }
}

fn ends<A: std::str::FromStr + Into<IpAddr>>(
    addresses: [&str; 2],
    ports: [&str; 2],
) -> Result<Said, Malformed> {
    let address = |text: &str| text.parse::<A>().map(Into::into).map_err(|_| Malformed("a bad address"));
    let end = |i: usize| Ok(SocketAddr::new(address(addresses[i])?, port(ports[i])?));
    Ok(Said::Proxied(Ends { source: end(0)?, destination: end(1)? }))
}

/// Decimal, without leading zeros (§2.1).
fn port(text: &str) -> Result<u16, Malformed> {
    let is_plain = text.bytes().all(|b| b.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    text.parse().ok().filter(|_| is_plain).ok_or(Malformed("a bad port"))
}

fn version_2(bytes: &[u8]) -> Result<Option<(Said, usize)>, Malformed> {
    let Some(fixed) = bytes.first_chunk::<FIXED>() else {
        return match bytes.get(12) {
            Some(version) if version >> 4 != 2 => Err(Malformed("another version")),
            _ => Ok(None),
        };
    };
    let [version_command, family, high, low] = [fixed[12], fixed[13], fixed[14], fixed[15]];
    let is_proxied = match version_command {
        0x20 => false,
        0x21 => true,
        _ => return Err(Malformed("another version or command")),
    };
    let whole = FIXED + usize::from(u16::from_be_bytes([high, low]));
    if whole > MAX_BYTES {
        return Err(Malformed("it is too long"));
    }
    // Known before the rest has come: a header that cannot become good is not waited for.
    let addresses = if is_proxied { address_bytes(family)? } else { 0 };
    if whole < FIXED + addresses {
        return Err(Malformed("it is too short for its addresses"));
    }
    let Some(block) = bytes.get(FIXED..whole) else { return Ok(None) };
    if !is_proxied {
        // Whatever it holds is to be skipped (§2.2, LOCAL).
        return Ok(Some((Said::Own, whole)));
    }
    skip_vectors(&block[addresses..])?;
    Ok(Some((block_ends(family, block), whole)))
}

/// How long the addresses of a family are. Combinations that are allowed but mean nothing to us say nothing (§2.2).
fn address_bytes(family: u8) -> Result<usize, Malformed> {
    match (family >> 4, family & 15) {
        (0, 0..=2) | (1..=3, 0) => Ok(0),
        (1, 1 | 2) => Ok(12),
        (2, 1 | 2) => Ok(36),
        (3, 1 | 2) => Ok(216),
        _ => Err(Malformed("another family or transport")),
    }
}

fn block_ends(family: u8, block: &[u8]) -> Said {
    let port = |at: usize| u16::from_be_bytes([block[at], block[at + 1]]);
    let (source, destination) = match family {
        0x11 => {
            let address = |at: usize| block[at..].first_chunk::<4>().map_or([0; 4], |bytes| *bytes);
            let end = |i: usize| SocketAddr::new(IpAddr::from(address(4 * i)), port(8 + 2 * i));
            (end(0), end(1))
        }
        0x21 => {
            let address = |at: usize| block[at..].first_chunk::<16>().map_or([0; 16], |bytes| *bytes);
            let end = |i: usize| SocketAddr::new(IpAddr::from(address(16 * i)), port(32 + 2 * i));
            (end(0), end(1))
        }
        // Datagrams and sockets of another machine's file system are not ours to speak to.
        _ => return Said::Own,
    };
    Said::Proxied(Ends { source, destination })
}

/// Nothing in them is of use here, but they must be whole (§2.2).
fn skip_vectors(mut rest: &[u8]) -> Result<(), Malformed> {
    while !rest.is_empty() {
        let length = rest.get(1..3).map(|length| 3 + usize::from(u16::from_be_bytes([length[0], length[1]])));
        rest = length.and_then(|length| rest.get(length..)).ok_or(Malformed("a vector is cut off"))?;
    }
    Ok(())
}

/// A header of version 2. Ends of two families are both told as IPv6.
pub(crate) fn write(ends: &Ends) -> Vec<u8> {
    let canonical = |end: SocketAddr| SocketAddr::new(end.ip().to_canonical(), end.port());
    let (source, destination) = (canonical(ends.source), canonical(ends.destination));
    let mut out = SIGNATURE.to_vec();
    match (source.ip(), destination.ip()) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            out.extend_from_slice(&[0x21, 0x11, 0, 12]);
            out.extend_from_slice(&from.octets());
            out.extend_from_slice(&to.octets());
        }
        (from, to) => {
            out.extend_from_slice(&[0x21, 0x21, 0, 36]);
            out.extend_from_slice(&wide(from));
            out.extend_from_slice(&wide(to));
        }
    }
    out.extend_from_slice(&source.port().to_be_bytes());
    out.extend_from_slice(&destination.port().to_be_bytes());
    out
}

fn wide(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
        IpAddr::V6(v6) => v6.octets(),
    }
}
