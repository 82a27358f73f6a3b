// SPDX-License-Identifier: Apache-2.0
//! Decoder of chunked bodies (RFC 9112, 7.1), in place and in any pieces.
//!
//! Invariant: extensions are checked and dropped, trailers are parsed and written anew without the fields that
//! could change framing or routing; so nothing of the sender's chunk framing reaches the other side.

use super::body::Piece;
use super::header::{is, push_line};
use crate::limit::{MAX_CHUNK_LINE, MAX_HEADERS, MAX_TRAILERS};

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("malformed chunked body")]
pub(crate) struct BadChunk;

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// At a size; that many digits seen.
    Size(u8),
    Extension,
    SizeLf,
    Data,
    DataCr,
    DataLf,
    Trailers,
    Done,
}

pub(crate) struct Decoder {
    state: State,
    left: u64,
    line: usize,
    trailers: Vec<u8>,
    is_strict: bool,
}

impl Default for Decoder {
    fn default() -> Decoder {
        Decoder { state: State::Size(0), left: 0, line: 0, trailers: Vec::new(), is_strict: false }
    }
}

impl Decoder {
    /// One that drops trailers with `_`, which many programs take for `-`.
    pub(crate) fn strict() -> Decoder {
        Decoder { is_strict: true, ..Decoder::default() }
    }

    pub(crate) fn is_done(&self) -> bool {
        self.state == State::Done
    }

    pub(crate) fn take_trailers(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.trailers)
    }

    /// Decodes the front of `buffer`, gathering data at its start.
    pub(crate) fn decode(&mut self, buffer: &mut [u8]) -> Result<Piece, BadChunk> {
        let (mut read, mut write) = (0, 0);
        while read < buffer.len() && self.state != State::Done {
            if self.state == State::Data {
                let run = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len() - read);
                buffer.copy_within(read..read + run, write);
                (read, write, self.left) = (read + run, write + run, self.left - run as u64);
                if self.left == 0 {
                    self.state = State::DataCr;
                }
            } else {
                self.framing_byte(buffer[read])?;
                read += 1;
            }
        }
        Ok(Piece { consumed: read, data: write })
    }

    fn framing_byte(&mut self, byte: u8) -> Result<(), BadChunk> {
        self.state = match (self.state, byte) {
            (State::Size(digits), _) => self.size_byte(digits, byte)?,
            (State::Extension, b'\r') => State::SizeLf,
            (State::Extension, b'\t' | b' '..=b'~' | 0x80..) => {
                self.line += 1;
                if self.line > MAX_CHUNK_LINE {
                    return Err(BadChunk);
                }
                State::Extension
            }
            (State::SizeLf, b'\n') if self.left == 0 => State::Trailers,
            (State::SizeLf, b'\n') => State::Data,
            (State::DataCr, b'\r') => State::DataLf,
            (State::DataLf, b'\n') => State::Size(0),
            (State::Trailers, _) => self.trailer_byte(byte)?,
            _ => return Err(BadChunk),
        };
        Ok(())
    }

    fn size_byte(&mut self, digits: u8, byte: u8) -> Result<State, BadChunk> {
        if digits == 0 {
            (self.left, self.line) = (0, 0);
        }
        match (byte as char).to_digit(16) {
            // 15 digits are a million terabytes; more would only invite an overflow somewhere.
            Some(digit) if digits < 15 => {
                self.left = self.left << 4 | u64::from(digit);
                Ok(State::Size(digits + 1))
            }
            None if digits > 0 && byte == b'\r' => Ok(State::SizeLf),
            None if digits > 0 && byte == b';' => Ok(State::Extension),
            _ => Err(BadChunk),
        }
    }

    fn trailer_byte(&mut self, byte: u8) -> Result<State, BadChunk> {
        self.trailers.push(byte);
        if self.trailers.len() > MAX_TRAILERS {
            return Err(BadChunk);
        }
        let ended = self.trailers == b"\r\n" || self.trailers.ends_with(b"\r\n\r\n");
        if !ended {
            let bare = byte == b'\n' && !self.trailers.ends_with(b"\r\n");
            return if bare { Err(BadChunk) } else { Ok(State::Trailers) };
        }
        let raw = std::mem::take(&mut self.trailers);
        rewrite_trailers(&raw, self.is_strict, &mut self.trailers)?;
        Ok(State::Done)
    }
}

fn rewrite_trailers(raw: &[u8], is_strict: bool, out: &mut Vec<u8>) -> Result<(), BadChunk> {
    const FORBIDDEN: &[&str] = &[
        "authorization",
        "connection",
        "content-encoding",
        "content-length",
        "content-range",
        "content-type",
        "cookie",
        "forwarded",
        "host",
        "keep-alive",
        "proxy-authorization",
        "set-cookie",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    ];
    if raw == b"\r\n" {
        return Ok(());
    }
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let Ok(httparse::Status::Complete((_, headers))) = httparse::parse_headers(raw, &mut headers) else {
        return Err(BadChunk);
    };
    for header in headers.iter() {
        let start = header.name.get(..12);
        let forged = start.is_some_and(|start| start.eq_ignore_ascii_case("x-forwarded-"));
        let is_doubtful = is_strict && header.name.contains('_');
        if !forged && !is_doubtful && !FORBIDDEN.iter().any(|name| is(header, name)) {
            push_line(out, header.name, header.value);
        }
    }
    Ok(())
}
