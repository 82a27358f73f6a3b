// SPDX-License-Identifier: Apache-2.0
//! A line that brings open descriptors along (unix(7), SCM_RIGHTS): how a role hands its lock and its sockets over.

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, recvmsg, sendmsg,
};
use std::io::{self, BufRead, BufReader, IoSlice, IoSliceMut, Write};
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;

/// The kernel passes no more at once.
pub const MAX_DESCRIPTORS: usize = 253;

/// Sends a line, which has no end yet, and descriptors with it.
pub fn send(mut connection: &UnixStream, mut line: String, descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
    line.push('\n');
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_DESCRIPTORS))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    ancillary.push(SendAncillaryMessage::ScmRights(descriptors));
    let sent = sendmsg(connection, &[IoSlice::new(line.as_bytes())], &mut ancillary, SendFlags::NOSIGNAL)?;
    // The descriptors went with the first byte.
    connection.write_all(&line.as_bytes()[sent..])
}

/// Receives a line and the descriptors that come with it.
pub fn receive(connection: &UnixStream) -> io::Result<(String, Vec<OwnedFd>)> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_DESCRIPTORS))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let mut buffer = [0; 4096];
    let received =
        recvmsg(connection, &mut [IoSliceMut::new(&mut buffer)], &mut ancillary, RecvFlags::CMSG_CLOEXEC)?;
    let mut descriptors = Vec::new();
    for message in ancillary.drain() {
        if let RecvAncillaryMessage::ScmRights(passed) = message {
            descriptors.extend(passed);
        }
    }
    let mut line = buffer[..received.bytes].to_vec();
    if !line.ends_with(b"\n") {
        BufReader::new(connection).read_until(b'\n', &mut line)?;
    }
    String::from_utf8(line).map(|line| (line, descriptors)).map_err(|_| io::ErrorKind::InvalidData.into())
}
