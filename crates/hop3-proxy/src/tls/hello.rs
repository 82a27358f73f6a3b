// SPDX-License-Identifier: Apache-2.0
//! `Hello`: the first message of a client, read before it is known with which configuration it is answered.

use super::session::with_wire;
use crate::buffer::Buffer;
use rustls::server::{Accepted, Acceptor};
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// Hellos with the key shares of today have 2 KiB; a fragmented one this long is no browser's.
const MAX_HELLO: usize = 64 << 10;
/// The protocol in which an issuer asks for its proof (RFC 8737).
const CHALLENGE: &[u8] = b"acme-tls/1";

pub(super) struct Hello {
    /// As it came, for the session.
    pub(super) raw: Buffer,
    /// In lower case, checked to be a host name.
    pub(super) host: Option<String>,
    /// It comes from an issuer that wants its proof.
    pub(super) is_challenge: bool,
}

/// Reads it. What is malformed is answered with an alert.
pub(super) async fn read(tcp: &mut TcpStream) -> io::Result<Hello> {
    let mut acceptor = Acceptor::default();
    let mut raw = Buffer::default();
    loop {
        poll_fn(|cx| poll_more(tcp, cx, &mut acceptor, &mut raw)).await?;
        match acceptor.accept() {
            Ok(Some(accepted)) => return Ok(Hello::new(raw, &accepted)),
            Ok(None) if raw.len() > MAX_HELLO => return Err(io::ErrorKind::InvalidData.into()),
            Ok(None) => {}
            Err((error, mut alert)) => {
                let mut bytes = Vec::new();
                alert.write_all(&mut bytes).ok();
                poll_fn(|cx| Pin::new(&mut *tcp).poll_write(cx, &bytes)).await.ok();
                return Err(io::Error::new(io::ErrorKind::InvalidData, error));
            }
        }
    }
}

fn poll_more(
    tcp: &mut TcpStream,
    cx: &mut Context<'_>,
    acceptor: &mut Acceptor,
    raw: &mut Buffer,
) -> Poll<io::Result<()>> {
    with_wire(|wire| {
        let mut read = ReadBuf::new(wire);
        ready!(Pin::new(tcp).poll_read(cx, &mut read))?;
        if read.filled().is_empty() {
            return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
        }
        raw.open().extend_from_slice(read.filled());
        let mut rest = read.filled();
        while !rest.is_empty() {
            acceptor.read_tls(&mut rest)?;
        }
        Poll::Ready(Ok(()))
    })
}

impl Hello {
    fn new(raw: Buffer, accepted: &Accepted) -> Hello {
        let hello = accepted.client_hello();
        let is_challenge = hello.alpn().is_some_and(|mut protocols| protocols.any(|one| one == CHALLENGE));
        Hello { raw, host: hello.server_name().map(str::to_ascii_lowercase), is_challenge }
    }
}
