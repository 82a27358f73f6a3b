// SPDX-License-Identifier: Apache-2.0
//! What single header fields mean for framing and forwarding, the same for requests, responses and trailers.

use httparse::Header;
use std::mem::MaybeUninit;

/// Room for the parser; left uninitialised because clearing it costs more than parsing a usual head.
pub(crate) type Slots<'b> = [MaybeUninit<Header<'b>>; crate::limit::MAX_HEADERS];

pub(crate) fn slots<'b>() -> Slots<'b> {
    [const { MaybeUninit::uninit() }; crate::limit::MAX_HEADERS]
}

/// Room for a head that the proxy wrote: it has lines more than what came.
pub(crate) type OwnSlots<'b> =
    [MaybeUninit<Header<'b>>; crate::limit::MAX_HEADERS + crate::limit::OWN_HEADERS];

pub(crate) fn own_slots<'b>() -> OwnSlots<'b> {
    [const { MaybeUninit::uninit() }; crate::limit::MAX_HEADERS + crate::limit::OWN_HEADERS]
}

/// Every line end is CRLF. The parser alone would take a bare LF, which another server may read differently.
pub(crate) fn has_bare_lf(head: &[u8]) -> bool {
    // Without an early end, so that the compiler can look at many bytes at once.
    let pairs = head.iter().zip(head.iter().skip(1));
    let is_bare = pairs.fold(false, |found, (before, byte)| found | ((*byte == b'\n') & (*before != b'\r')));
    is_bare | (head.first() == Some(&b'\n'))
}

/// The end of a head may have arrived: only then is parsing worth while, so that a head sent byte by byte costs
/// one parse and not one per byte. Looks at what is new since `from`.
pub(crate) fn may_be_complete(head: &[u8], from: usize) -> bool {
    let tail = &head[from.saturating_sub(3)..];
    tail.windows(2).any(|two| two == b"\n\n") || tail.windows(3).any(|three| three == b"\n\r\n")
}

/// A length is digits alone: no sign, list, space or hexadecimal. 18 digits cannot overflow.
pub(crate) fn content_length(value: &[u8]) -> Option<u64> {
    let good = (1..=18).contains(&value.len()) && value.iter().all(u8::is_ascii_digit);
    good.then(|| value.iter().fold(0, |sum, digit| sum * 10 + u64::from(digit - b'0')))
}

/// The words of a comma list.
pub(crate) fn tokens(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|b| *b == b',').map(<[u8]>::trim_ascii).filter(|token| !token.is_empty())
}

/// What the `Connection` lines of a message ask for.
#[derive(Clone, Copy, Default)]
pub(crate) struct Connection<'h, 'b> {
    pub(crate) close: bool,
    pub(crate) keep_alive: bool,
    pub(crate) upgrade: bool,
    /// Some line names other headers, which then are for one hop only.
    names_others: bool,
    headers: &'h [Header<'b>],
}

impl<'h, 'b> Connection<'h, 'b> {
    pub(crate) fn of(headers: &'h [Header<'b>]) -> Connection<'h, 'b> {
        let mut found = Connection { headers, ..Connection::default() };
        for header in headers.iter().filter(|h| is(h, "connection")) {
            for token in tokens(header.value) {
                if token.eq_ignore_ascii_case(b"close") {
                    found.close = true;
                } else if token.eq_ignore_ascii_case(b"keep-alive") {
                    found.keep_alive = true;
                } else if token.eq_ignore_ascii_case(b"upgrade") {
                    found.upgrade = true;
                } else {
                    found.names_others = true;
                }
            }
        }
        found
    }

    /// True for headers that end at this hop: the fixed ones and those `Connection` names.
    pub(crate) fn strips(&self, header: &Header) -> bool {
        const FIXED: &[&str] = &[
            "connection",
            "keep-alive",
            "proxy-connection",
            "proxy-authorization",
            "proxy-authenticate",
            "te",
            "transfer-encoding",
            "upgrade",
        ];
        if FIXED.iter().any(|name| is(header, name)) {
            return true;
        }
        self.names_others && !is_framing(header) && self.names(header.name)
    }

    fn names(&self, name: &str) -> bool {
        let lines = self.headers.iter().filter(|h| is(h, "connection"));
        lines.flat_map(|h| tokens(h.value)).any(|token| token.eq_ignore_ascii_case(name.as_bytes()))
    }
}

/// Nobody may have these stripped by naming them in `Connection`.
fn is_framing(header: &Header) -> bool {
    is(header, "host") || is(header, "content-length")
}

pub(crate) fn is(header: &Header, name: &str) -> bool {
    header.name.len() == name.len() && header.name.eq_ignore_ascii_case(name)
}

pub(crate) fn push_line(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    out.reserve(name.len() + value.len() + 4);
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}
