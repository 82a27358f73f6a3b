// SPDX-License-Identifier: Apache-2.0
//! `run`, `exec`: one-off commands in the app's sandbox, attached over a WebSocket or detached into the app's log.
//! The protocol of the WebSocket is told at `hop3_core::api::RunRequest`.

use super::endpoint::{Endpoints, Nothing};
use super::reply::{Body, Failure, Named, Reply, blocking};
use crate::server::Server;
use crate::verb;
use axum::extract::State;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::http::Method;
use axum::response::Response;
use axum::routing::get;
use futures_util::{SinkExt, StreamExt, stream::SplitSink};
use hop3_core::api::{RunControl, RunEnded, RunRequest, RunStarted};
use hop3_core::driver::{Attached, Exit, Stdio};
use hop3_core::name::AppName;
use hop3_core::problem::{Kind, Problem};
use hop3_core::sandbox::Job;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::sync::Arc;
use tokio::sync::mpsc;

type S = State<Arc<Server>>;

pub(super) fn endpoints(endpoints: Endpoints) -> Endpoints {
    endpoints
        .on::<Nothing, Nothing>(
            &Method::GET,
            "/api/apps/{app}/run",
            "Runs a command, attached (WebSocket)",
            get(attached),
        )
        .on::<RunRequest, RunStarted>(
            &Method::POST,
            "/api/apps/{app}/run",
            "Runs a command, detached; its output goes to the app's log",
            axum::routing::post(detached),
        )
}

async fn detached(
    State(server): S,
    Named(name): Named<AppName>,
    Body(request): Body<RunRequest>,
) -> Reply<RunStarted> {
    blocking(move || verb::run::detached(&server, &name, &request)).await
}

async fn attached(
    State(server): S,
    Named(name): Named<AppName>,
    upgrade: WebSocketUpgrade,
) -> Result<Response, Failure> {
    let (owner, of) = (Arc::clone(&server), name.clone());
    let _exists = blocking(move || owner.app(&of).map(drop)).await?;
    Ok(upgrade.on_upgrade(move |socket| {
        session(server, socket, move |server, request| verb::run::job(server, &name, request))
    }))
}

/// One attached command. A problem is sent as text and ends the session.
pub(super) async fn session(
    server: Arc<Server>,
    mut socket: WebSocket,
    job: impl FnOnce(&Arc<Server>, &RunRequest) -> Result<Job, Problem> + Send + 'static,
) {
    let first = socket.recv().await;
    let started = match first {
        Some(Ok(Message::Text(text))) => start(server, text.to_string(), job).await,
        _ => return,
    };
    match started {
        Ok(attached) => carry(socket, attached).await,
        Err(problem) => {
            let text = serde_json::to_string(&problem).unwrap_or_default();
            // The other end may be gone already.
            let _ = socket.send(Message::Text(text.into())).await;
            let _ = socket.send(Message::Close(None)).await;
        }
    }
}

async fn start(
    server: Arc<Server>,
    text: String,
    job: impl FnOnce(&Arc<Server>, &RunRequest) -> Result<Job, Problem> + Send + 'static,
) -> Result<Attached, Problem> {
    let request: RunRequest = serde_json::from_str(&text).map_err(|e| {
        Problem::new(Kind::User, "api.bad-request", "the request cannot be understood").detail(e.to_string())
    })?;
    let started = blocking(move || {
        let job = job(&server, &request)?;
        let stdio = match request.terminal {
            Some((rows, columns)) => Stdio::Pty { rows, columns },
            None => Stdio::Pipe,
        };
        server.drivers.runner.attach(&job, stdio)
    });
    started.await.map(|json| json.0).map_err(|failure| failure.0)
}

/// Carries bytes both ways until the command ends.
async fn carry(socket: WebSocket, attached: Attached) {
    let Ok(input) = attached.stream.try_clone().map(File::from) else { return };
    let output = File::from(attached.stream);
    let Ok(control) = output.try_clone() else { return };
    let (mut sink, mut source) = socket.split();
    let (bytes, mut written) = mpsc::channel::<Vec<u8>>(64);
    std::thread::spawn(move || read_all(output, &bytes));
    let (typed, to_write) = mpsc::channel::<Vec<u8>>(64);
    std::thread::spawn(move || write_all(input, to_write));
    let (wait, signal) = (attached.wait, attached.signal);
    let reader = async move {
        while let Some(Ok(message)) = source.next().await {
            let sent = match message {
                Message::Binary(bytes) => typed.send(bytes.to_vec()).await.is_ok(),
                Message::Text(text) => obey(&control, &text, &typed).await,
                Message::Close(_) => false,
                _ => true,
            };
            if !sent {
                break;
            }
        }
        // SIGHUP: the terminal went away.
        signal(1);
    };
    let reading = tokio::spawn(reader);
    while let Some(bytes) = written.recv().await {
        if sink.send(Message::Binary(bytes.into())).await.is_err() {
            break;
        }
    }
    let exit = tokio::task::spawn_blocking(wait).await;
    reading.abort();
    finish(&mut sink, exit.ok().and_then(Result::ok)).await;
}

async fn finish(sink: &mut SplitSink<WebSocket, Message>, exit: Option<Exit>) {
    let status = match exit {
        Some(Exit::Status(code)) => code,
        Some(Exit::Signal(signal)) => signal.saturating_add(128),
        Some(Exit::TimedOut | Exit::Cancelled) | None => 124,
    };
    let text = serde_json::to_string(&RunEnded { status }).unwrap_or_default();
    // The other end may be gone already.
    let _ = sink.send(Message::Text(text.into())).await;
    let _ = sink.send(Message::Close(None)).await;
}

async fn obey(terminal: &File, text: &str, typed: &mpsc::Sender<Vec<u8>>) -> bool {
    match serde_json::from_str(text) {
        Ok(RunControl::Resize(rows, columns)) => {
            let size = rustix::termios::Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
            // A pipe has no size.
            let _ = rustix::termios::tcsetwinsize(terminal.as_fd(), size);
            true
        }
        // An empty message is the end of input.
        Ok(RunControl::Eof) => typed.send(Vec::new()).await.is_ok(),
        Err(_) => false,
    }
}

fn read_all(mut output: File, bytes: &mpsc::Sender<Vec<u8>>) {
    let mut buffer = vec![0; 16 * 1024];
    // A pty whose other end is closed gives EIO: the end, like 0.
    while let Ok(count) = output.read(&mut buffer) {
        if count == 0 || bytes.blocking_send(buffer[..count].to_vec()).is_err() {
            return;
        }
    }
}

fn write_all(mut input: File, mut bytes: mpsc::Receiver<Vec<u8>>) {
    while let Some(chunk) = bytes.blocking_recv() {
        if chunk.is_empty() {
            // Half-close of a socket; a terminal gets end-of-file as its control character (EOT).
            if rustix::net::shutdown(&input, rustix::net::Shutdown::Write).is_err() {
                let _ = input.write_all(&[4]);
            }
        } else if input.write_all(&chunk).is_err() {
            return;
        }
    }
}
