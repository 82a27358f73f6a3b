// SPDX-License-Identifier: Apache-2.0
//! `Session`: bytes through TLS over a socket, read and written by one task.
//!
//! rustls encrypts and decrypts in memory of ours: reads and writes pass through one buffer of the thread, and a
//! session keeps only what is unfinished. So a connection that waits owns no buffer, whatever it has carried.
//!
//! Invariants: bytes are reported as written once the socket has taken their ciphertext, so nothing waits for a flush;
//! the end is told to the other side (close_notify) by `finish` and `farewell` alone, so that a connection that is
//! dropped or aborted half-way never looks whole.

use super::wire::Wire;
use crate::buffer::{Buffer, PIECE};
use rustls::ServerConfig;
use rustls::server::UnbufferedServerConnection;
use rustls::unbuffered::{ConnectionState, EncodeError, UnbufferedStatus, WriteTraffic};
use std::cell::RefCell;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// Room for what encryption adds to a piece: at most 29 bytes for each 16 KiB, and messages of the protocol's own.
const WIRE: usize = PIECE + (4 << 10);

thread_local! {
    static WIRE_BUFFER: RefCell<Vec<u8>> = RefCell::new(vec![0; WIRE]);
}

/// Lends the thread's buffer for ciphertext for the time of one poll.
pub(super) fn with_wire<T>(work: impl FnOnce(&mut [u8]) -> T) -> T {
    WIRE_BUFFER.with_borrow_mut(|wire| work(wire))
}

type Server = rustls::server::ServerConnectionData;

pub(crate) struct Session {
    tcp: Wire,
    tls: UnbufferedServerConnection,
    /// The beginning of a record whose end has not arrived.
    partial: Buffer,
    /// Decrypted and not yet taken.
    plain: Buffer,
    /// Encrypted and not yet sent.
    sealed: Buffer,
    /// So much of what the caller wants to write is in `sealed` already.
    claimed: usize,
    /// The other side said that no more comes.
    is_over: bool,
    /// We said so, or never shall.
    is_silent: bool,
}

impl Session {
    /// A session whose first bytes are those of `raw`.
    pub(super) fn new(tcp: TcpStream, config: Arc<ServerConfig>, raw: Buffer) -> io::Result<Session> {
        let tls = UnbufferedServerConnection::new(config).map_err(invalid)?;
        Ok(Session {
            tcp: Wire::new(tcp)?,
            tls,
            partial: raw,
            plain: Buffer::default(),
            sealed: Buffer::default(),
            claimed: 0,
            is_over: false,
            is_silent: false,
        })
    }

    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.tcp.as_fd()
    }

    /// What the last wait for events told: nothing came, and nothing waits to be read.
    pub(crate) fn is_silent(&self) -> bool {
        self.is_drained() && self.tcp.is_silent()
    }

    /// Facts of the handshake.
    pub(super) fn state(&self) -> &rustls::CommonState {
        &self.tls
    }

    /// Brings the handshake to its end, or the error's alert to the other side.
    pub(super) fn poll_handshake(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            // What came with the hello first.
            let mut kept = std::mem::take(&mut self.partial);
            let opened = self.open(&mut kept, &mut []);
            ready!(self.poll_flush(cx))?;
            opened?;
            if !self.tls.is_handshaking() {
                return Poll::Ready(Ok(()));
            }
            if self.is_over {
                return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
            }
            ready!(self.poll_wire(cx, &mut []))?;
        }
    }

    /// Reads once; 0 is the end that the other side told. An end that it did not tell is an error.
    fn poll_read(&mut self, cx: &mut Context<'_>, out: &mut [u8]) -> Poll<io::Result<usize>> {
        if !self.sealed.is_empty() {
            // Answers of the protocol's own; when they do not leave now, a later poll sees to it.
            let _ = self.poll_flush(cx)?;
        }
        loop {
            if !self.plain.is_empty() {
                let count = self.plain.len().min(out.len());
                out[..count].copy_from_slice(&self.plain[..count]);
                self.plain.consume(count);
                return Poll::Ready(Ok(count));
            }
            if self.is_over {
                return Poll::Ready(Ok(0));
            }
            let count = ready!(self.poll_wire(cx, out))?;
            if count > 0 {
                return Poll::Ready(Ok(count));
            }
        }
    }

    /// Reads from the socket and decrypts: into `out` as much as fits, the rest into `plain`.
    fn poll_wire(&mut self, cx: &mut Context<'_>, out: &mut [u8]) -> Poll<io::Result<usize>> {
        with_wire(|wire| {
            let kept = self.partial.len();
            if kept >= wire.len() {
                return Poll::Ready(Err(io::ErrorKind::InvalidData.into()));
            }
            wire[..kept].copy_from_slice(&self.partial);
            let count = ready!(self.tcp.poll_read(cx, &mut wire[kept..]))?;
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
            }
            self.partial.release();
            Poll::Ready(self.open(&mut wire[..kept + count], out))
        })
    }

    /// Takes every whole record; what is left of the last becomes `partial`. Tells how much of `out` was filled.
    fn open(&mut self, wire: &mut [u8], out: &mut [u8]) -> io::Result<usize> {
        let (mut start, mut filled) = (0, 0);
        loop {
            let UnbufferedStatus { discard, state, .. } = self.tls.process_tls_records(&mut wire[start..]);
            let mut more = 0;
            match state {
                Ok(ConnectionState::ReadTraffic(mut traffic)) => {
                    while let Some(record) = traffic.next_record() {
                        let record = record.map_err(invalid)?;
                        more += record.discard;
                        // Order: nothing goes into `out` once something waits.
                        let room = if self.plain.is_empty() { out.len() - filled } else { 0 };
                        let (now, later) = record.payload.split_at(record.payload.len().min(room));
                        out[filled..filled + now.len()].copy_from_slice(now);
                        filled += now.len();
                        if !later.is_empty() {
                            self.plain.open().extend_from_slice(later);
                        }
                    }
                }
                Ok(ConnectionState::EncodeTlsData(mut data)) => {
                    append(&mut self.sealed, |room| data.encode(room))?
                }
                // `sealed` is in order, and sent before anything else.
                Ok(ConnectionState::TransmitTlsData(data)) => data.done(),
                Ok(ConnectionState::PeerClosed) => self.is_over = true,
                Ok(ConnectionState::WriteTraffic(_) | ConnectionState::BlockedHandshake) => {
                    start += discard;
                    break;
                }
                Ok(ConnectionState::Closed) => {
                    self.is_over = true;
                    start += discard;
                    break;
                }
                Ok(_) => return Err(io::ErrorKind::InvalidData.into()),
                Err(error) => {
                    self.send_alert(&mut wire[start + discard..]);
                    return Err(invalid(error));
                }
            }
            start += discard + more;
        }
        if start < wire.len() && !self.is_over {
            self.partial.open().extend_from_slice(&wire[start..]);
        }
        Ok(filled)
    }

    /// After an error: the alert that tells the other side why, sent as far as the socket takes it at once.
    fn send_alert(&mut self, rest: &mut [u8]) {
        self.is_silent = true;
        // Once: whoever asks on has the record that was refused read again.
        if let Ok(ConnectionState::EncodeTlsData(mut data)) = self.tls.process_tls_records(rest).state {
            append(&mut self.sealed, |room| data.encode(room)).ok();
        }
        if let Ok(sent) = self.tcp.write_now(&self.sealed) {
            self.sealed.consume(sent);
        }
    }

    /// Writes some. Until what was encrypted has left, the caller must come back with the same bytes.
    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        ready!(self.poll_flush(cx))?;
        if self.claimed > 0 {
            return Poll::Ready(Ok(std::mem::take(&mut self.claimed).min(bytes.len())));
        }
        let piece = &bytes[..bytes.len().min(PIECE)];
        if piece.is_empty() {
            return Poll::Ready(Ok(0));
        }
        with_wire(|wire| {
            let count =
                self.seal(|traffic, room| traffic.encrypt(piece, room).map_err(io::Error::other), wire)?;
            let mut sent = 0;
            while sent < count {
                match self.tcp.poll_write(cx, &wire[sent..count])? {
                    Poll::Ready(0) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                    Poll::Ready(some) => sent += some,
                    Poll::Pending => {
                        self.sealed.open().extend_from_slice(&wire[sent..count]);
                        self.claimed = piece.len();
                        return Poll::Pending;
                    }
                }
            }
            Poll::Ready(Ok(piece.len()))
        })
    }

    /// Encrypts into `wire`, behind messages of the protocol's own that are due. `sealed` is empty.
    fn seal(
        &mut self,
        encrypt: impl FnOnce(&mut WriteTraffic<'_, Server>, &mut [u8]) -> io::Result<usize>,
        wire: &mut [u8],
    ) -> io::Result<usize> {
        let mut count = 0;
        loop {
            // Always with what is there of an unfinished record: the session remembers places in it.
            let UnbufferedStatus { state, .. } = self.tls.process_tls_records(&mut self.partial);
            match state.map_err(invalid)? {
                ConnectionState::EncodeTlsData(mut data) => {
                    count += data.encode(&mut wire[count..]).map_err(io::Error::other)?;
                }
                ConnectionState::TransmitTlsData(data) => data.done(),
                ConnectionState::WriteTraffic(mut traffic) => {
                    return Ok(count + encrypt(&mut traffic, &mut wire[count..])?);
                }
                ConnectionState::PeerClosed => self.is_over = true,
                _ => return Err(io::ErrorKind::BrokenPipe.into()),
            }
        }
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.sealed.is_empty() {
            let sent = ready!(self.tcp.poll_write(cx, &self.sealed))?;
            if sent == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.sealed.consume(sent);
        }
        Poll::Ready(Ok(()))
    }

    /// Tells the other side that no more is coming, and ends this direction.
    fn poll_finish(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_flush(cx))?;
        if !self.is_silent {
            self.is_silent = true;
            self.seal_end()?;
            ready!(self.poll_flush(cx))?;
        }
        self.tcp.poll_shutdown(cx)
    }

    /// Tells the end of what was sent whole, as far as the socket takes it at once; the drop comes next.
    pub(crate) fn farewell(&mut self) {
        if self.is_silent || !self.sealed.is_empty() {
            return;
        }
        self.is_silent = true;
        if self.seal_end().is_ok() {
            self.tcp.write_now(&self.sealed).ok();
        }
    }

    /// Nothing says that what was sent is whole, and the coming drop is a reset.
    pub(crate) fn abort(&mut self) {
        self.is_silent = true;
        self.tcp.abort();
    }

    fn seal_end(&mut self) -> io::Result<()> {
        let mut end = [0; 512];
        let count =
            self.seal(|traffic, room| traffic.queue_close_notify(room).map_err(io::Error::other), &mut end)?;
        self.sealed.open().extend_from_slice(&end[..count]);
        Ok(())
    }

    /// Nothing decrypted waits to be read.
    pub(crate) fn is_drained(&self) -> bool {
        self.plain.is_empty() && !self.is_over && self.tcp.is_drained()
    }
}

/// Gives `encode` the room it says it needs at the end of a buffer.
fn append(
    buffer: &mut Buffer,
    mut encode: impl FnMut(&mut [u8]) -> Result<usize, EncodeError>,
) -> io::Result<()> {
    let bytes = buffer.open();
    let start = bytes.len();
    let mut room = 1 << 10;
    loop {
        bytes.resize(start + room, 0);
        match encode(&mut bytes[start..]) {
            Ok(count) => {
                bytes.truncate(start + count);
                return Ok(());
            }
            Err(EncodeError::InsufficientSize(wanted)) => room = wanted.required_size,
            Err(error) => return Err(io::Error::other(error)),
        }
    }
}

fn invalid(error: rustls::Error) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

impl AsyncRead for Session {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let count = ready!(Session::poll_read(self.get_mut(), cx, out.initialize_unfilled()))?;
        out.advance(count);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Session {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Session::poll_write(self.get_mut(), cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Session::poll_flush(self.get_mut(), cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().poll_finish(cx)
    }
}
