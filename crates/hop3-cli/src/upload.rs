// SPDX-License-Identifier: Apache-2.0
//! Request bodies, among them one that a thread writes while the connection reads it.
//!
//! An upload is never whole in memory: at most four chunks wait. When its writer fails, the body ends in an error, so
//! that the server never takes a part for the whole.

use bytes::{Bytes, BytesMut};
use hop3_core::Problem;
use hyper::body::{Body, Frame};
use std::io::{self, Read, Write};
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::sync::mpsc;

const CHUNK_BYTES: usize = 64 << 10;

/// The body of a request.
pub(crate) enum Upload {
    Empty,
    Full(Bytes),
    Stream(mpsc::Receiver<Result<Bytes, Problem>>),
}

impl Upload {
    /// A body produced by `write` on a thread of its own.
    pub(crate) fn written_by(
        write: impl FnOnce(&mut ChunkWriter) -> Result<(), Problem> + Send + 'static,
    ) -> Upload {
        let (sender, receiver) = mpsc::channel(4);
        std::thread::spawn(move || {
            let mut writer = ChunkWriter { sender, chunk: BytesMut::with_capacity(CHUNK_BYTES) };
            let outcome = write(&mut writer);
            // A failed send means that the connection is gone: its own error is the one to tell.
            match outcome {
                Ok(()) => drop(writer.flush()),
                Err(problem) => drop(writer.sender.blocking_send(Err(problem))),
            }
        });
        Upload::Stream(receiver)
    }

    /// A body copied from a reader.
    pub(crate) fn copied_from(mut reader: impl Read + Send + 'static) -> Upload {
        Upload::written_by(move |writer| {
            io::copy(&mut reader, writer)
                .map(drop)
                .map_err(|e| crate::problem::system("reading the upload", e))
        })
    }
}

/// Cuts what is written into chunks and hands them to the connection.
pub(crate) struct ChunkWriter {
    sender: mpsc::Sender<Result<Bytes, Problem>>,
    chunk: BytesMut,
}

impl Write for ChunkWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.chunk.extend_from_slice(bytes);
        if self.chunk.len() >= CHUNK_BYTES {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.chunk.is_empty() {
            return Ok(());
        }
        let chunk = self.chunk.split().freeze();
        self.sender.blocking_send(Ok(chunk)).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}

impl Body for Upload {
    type Data = Bytes;
    type Error = Problem;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Problem>>> {
        match &mut *self {
            Upload::Empty => Poll::Ready(None),
            Upload::Full(bytes) if bytes.is_empty() => Poll::Ready(None),
            Upload::Full(bytes) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
            Upload::Stream(receiver) => receiver.poll_recv(cx).map(|chunk| Some(chunk?.map(Frame::data))),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Upload::Empty => true,
            Upload::Full(bytes) => bytes.is_empty(),
            Upload::Stream(_) => false,
        }
    }

    fn size_hint(&self) -> hyper::body::SizeHint {
        match self {
            Upload::Empty => hyper::body::SizeHint::with_exact(0),
            Upload::Full(bytes) => hyper::body::SizeHint::with_exact(bytes.len() as u64),
            Upload::Stream(_) => hyper::body::SizeHint::default(),
        }
    }
}
