// SPDX-License-Identifier: Apache-2.0
//! Data of any length that go through a verb: a body as a reader, a writer as a body. Neither is ever whole in memory.

use axum::body::{Body, Bytes};
use axum::response::{IntoResponse, Response};
use futures_util::StreamExt;
use hop3_core::problem::Problem;
use std::io::{self, Read, Write};
use tokio::sync::mpsc;

/// Pieces that may wait for whoever is slower.
const PIECES: usize = 16;

type Piece = Result<Bytes, io::Error>;

/// What a client sends, for a thread that may block.
pub(super) fn reader(body: Body) -> impl Read + Send {
    let (sender, receiver) = mpsc::channel::<Piece>(PIECES);
    tokio::spawn(async move {
        let mut data = body.into_data_stream();
        while let Some(piece) = data.next().await {
            if sender.send(piece.map_err(io::Error::other)).await.is_err() {
                return;
            }
        }
    });
    Pieces { receiver, current: Bytes::new() }
}

struct Pieces {
    receiver: mpsc::Receiver<Piece>,
    current: Bytes,
}

impl Read for Pieces {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.current.is_empty() {
            match self.receiver.blocking_recv() {
                Some(piece) => self.current = piece?,
                None => return Ok(0),
            }
        }
        let length = self.current.len().min(buffer.len());
        buffer[..length].copy_from_slice(&self.current.split_to(length));
        Ok(length)
    }
}

/// An answer that `write` writes on a thread of its own. Its first piece is waited for, so that what fails at once is
/// a problem; what fails later cuts the answer off, which a client sees.
pub(super) async fn written<F>(write: F) -> Result<Response, Problem>
where
    F: FnOnce(&mut dyn Write) -> Result<(), Problem> + Send + 'static,
{
    let (sender, mut receiver) = mpsc::channel::<Piece>(PIECES);
    let writing = tokio::task::spawn_blocking(move || {
        let mut to = Sink { sender: sender.clone() };
        let outcome = write(&mut to);
        if let Err(problem) = &outcome {
            // A client that is gone is told nothing.
            let _ = sender.blocking_send(Err(io::Error::other(problem.title.clone())));
        }
        outcome
    });
    match receiver.recv().await {
        Some(Ok(first)) => {
            let rest = futures_util::stream::poll_fn(move |cx| receiver.poll_recv(cx));
            let whole = futures_util::stream::iter([Ok(first)]).chain(rest);
            Ok(([("content-type", "application/octet-stream")], Body::from_stream(whole)).into_response())
        }
        Some(Err(_)) | None => {
            let outcome = writing.await.map_err(|e| crate::server::internal(anyhow::Error::from(e)))?;
            outcome.map(|()| Body::empty().into_response())
        }
    }
}

struct Sink {
    sender: mpsc::Sender<Piece>,
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let sent = self.sender.blocking_send(Ok(Bytes::copy_from_slice(bytes)));
        sent.map(|()| bytes.len()).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
