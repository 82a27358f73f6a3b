// SPDX-License-Identifier: Apache-2.0
//! One client's connection: JSON lines, and descriptors that may come with the first.

use rustix::fd::OwnedFd;
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::io::{self, IoSliceMut};
use std::mem::MaybeUninit;
use tokio::io::{AsyncWriteExt as _, Interest};
use tokio::net::UnixStream;

/// Environments may be large; nothing else is.
const REQUEST_MAX_BYTES: usize = 16 * 1024 * 1024;

pub(crate) struct Connection {
    stream: UnixStream,
    received: Vec<u8>,
    pub descriptors: Vec<OwnedFd>,
}

impl Connection {
    pub(crate) fn new(stream: UnixStream) -> Connection {
        Connection { stream, received: Vec::new(), descriptors: Vec::new() }
    }

    pub(crate) fn peer_uid(&self) -> io::Result<u32> {
        Ok(self.stream.peer_cred()?.uid())
    }

    /// The next message; `None` when the client has closed. Cancelling the wait loses nothing.
    pub(crate) async fn receive<T: DeserializeOwned>(&mut self) -> io::Result<Option<T>> {
        let mut searched = 0;
        loop {
            if let Some(end) = self.received[searched..].iter().position(|b| *b == b'\n') {
                let rest = self.received.split_off(searched + end + 1);
                let line = std::mem::replace(&mut self.received, rest);
                return serde_json::from_slice(&line).map(Some).map_err(io::Error::from);
            }
            searched = self.received.len();
            if searched > REQUEST_MAX_BYTES {
                return Err(io::Error::other("the request is too large"));
            }
            if self.read().await? == 0 {
                return Ok(None);
            }
        }
    }

    pub(crate) async fn send(&mut self, message: &impl Serialize) -> io::Result<()> {
        let mut line = serde_json::to_vec(message)?;
        line.push(b'\n');
        self.stream.write_all(&line).await
    }

    async fn read(&mut self) -> io::Result<usize> {
        let mut buffer = [0; 8192];
        let stream = &self.stream;
        let (length, descriptors) =
            stream.async_io(Interest::READABLE, || receive_with_descriptors(stream, &mut buffer)).await?;
        self.received.extend_from_slice(&buffer[..length]);
        if !descriptors.is_empty() {
            self.descriptors = descriptors;
        }
        Ok(length)
    }
}

fn receive_with_descriptors(stream: &UnixStream, buffer: &mut [u8]) -> io::Result<(usize, Vec<OwnedFd>)> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let mut parts = [IoSliceMut::new(buffer)];
    let received = recvmsg(stream, &mut parts, &mut ancillary, RecvFlags::CMSG_CLOEXEC)?;
    let mut received_here = Vec::new();
    for message in ancillary.drain() {
        if let RecvAncillaryMessage::ScmRights(descriptors) = message {
            received_here.extend(descriptors);
        }
    }
    Ok((received.bytes, received_here))
}
