// SPDX-License-Identifier: Apache-2.0
//! `run`: a one-off command in the app's environment, attached to this terminal or left to itself.
//!
//! Attached, it speaks a WebSocket: binary messages are the terminal's bytes, text messages tell size, end of input
//! and exit status. Without a terminal on both ends, plain pipes are used and nothing is changed in the bytes.

use crate::client::problem_of;
use crate::connection::Target;
use crate::context::{AppArg, Context};
use crate::problem;
use crate::terminal::{self, Mode};
use crate::wire::Wire;
use clap::Args;
use futures_util::{SinkExt, StreamExt};
use hop3_core::Problem;
use hop3_core::api::{RunControl, RunEnded, RunRequest, RunStarted};
use hyper::Method;
use serde::Serialize;
use tokio::signal::unix::{SignalKind, signal};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message};

/// What a shell says of a command that SIGTERM ended.
const TERMINATED: u8 = 128 + 15;

/// Run a one-off command in the environment of an app
///
/// Ends with the command's own exit status
#[derive(Args, Debug)]
pub struct RunArgs {
    #[command(flatten)]
    app: AppArg,
    /// Do not wait: the output goes to the app's log
    #[arg(short, long)]
    detach: bool,
    /// The command and its arguments
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true, value_name = "CMD")]
    argv: Vec<String>,
}

pub(crate) fn run(args: RunArgs, cx: &mut Context) -> Result<u8, Problem> {
    let app = cx.app(&args.app)?;
    if !args.detach {
        return attach(&format!("/api/apps/{app}/run"), args.argv, None, cx);
    }
    let request = RunRequest { argv: args.argv, terminal: None, instance: None };
    let started: RunStarted = cx.client()?.send(Method::POST, &format!("/api/apps/{app}/run"), &request)?;
    cx.answer(&started, |_| {
        let name = crate::render::clean(&started.name);
        format!("started {name}; its output is in: hop3 logs -a {app}\n")
    });
    Ok(0)
}

/// Runs a command with this terminal as its own; gives its exit status.
pub(crate) fn attach(
    path: &str,
    argv: Vec<String>,
    instance: Option<String>,
    cx: &mut Context,
) -> Result<u8, Problem> {
    let client = cx.client()?;
    client.runtime().block_on(async {
        let mut socket = open(client.target(), path).await?;
        let raw = Mode::raw();
        let request = RunRequest { argv, terminal: raw.as_ref().map(|_| terminal::size()), instance };
        send(&mut socket, &request).await?;
        converse(&mut socket, cx).await
    })
}

type Socket = WebSocketStream<Wire>;

async fn open(target: &Target, path: &str) -> Result<Socket, Problem> {
    let unreachable = |e: Error| problem::unreachable(&target.name(), e);
    let address = format!("ws://{}{path}", target.authority());
    let mut request = address.into_client_request().map_err(unreachable)?;
    if let Some(token) = target.token() {
        let value = format!("Bearer {token}").parse().map_err(|_| problem::no_token())?;
        request.headers_mut().insert("authorization", value);
    }
    let wire = target.connect().await?;
    match tokio_tungstenite::client_async(request, wire).await {
        Ok((socket, _)) => Ok(socket),
        Err(Error::Http(response)) => {
            Err(problem_of(response.status(), response.body().as_deref().unwrap_or_default()))
        }
        Err(error) => Err(unreachable(error)),
    }
}

/// Carries bytes both ways until the command ends.
async fn converse(socket: &mut Socket, cx: &mut Context) -> Result<u8, Problem> {
    let mut input = terminal::input();
    let mut is_input_open = true;
    let mut resized =
        signal(SignalKind::window_change()).map_err(|e| problem::system("watching the terminal", e))?;
    let mut terminated =
        signal(SignalKind::terminate()).map_err(|e| problem::system("watching for signals", e))?;
    loop {
        tokio::select! {
            chunk = input.recv(), if is_input_open => match chunk {
                Some(bytes) => write(socket, Message::binary(bytes)).await?,
                None => {
                    is_input_open = false;
                    send(socket, &RunControl::Eof).await?;
                }
            },
            _ = resized.recv() => {
                let (rows, columns) = terminal::size();
                send(socket, &RunControl::Resize(rows, columns)).await?;
            }
            // Returning, rather than dying, gives the terminal back as it was.
            _ = terminated.recv() => return Ok(TERMINATED),
            message = socket.next() => match message {
                Some(Ok(Message::Binary(bytes))) => cx.print_bytes(&bytes),
                Some(Ok(Message::Text(text))) => return ended(&text),
                Some(Ok(Message::Close(_))) | None => return Err(gone("it closed the connection")),
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(gone(error)),
            }
        }
    }
}

/// The last message: an exit status, or the problem that kept the command from running.
fn ended(text: &str) -> Result<u8, Problem> {
    if let Ok(RunEnded { status }) = serde_json::from_str(text) {
        return Ok(status);
    }
    match serde_json::from_str::<Problem>(text) {
        Ok(problem) => Err(problem),
        Err(error) => Err(problem::unreadable_answer(error)),
    }
}

async fn send(socket: &mut Socket, message: &impl Serialize) -> Result<(), Problem> {
    // Requests are plain data, which always serializes.
    let text = serde_json::to_string(message).expect("requests are plain data");
    write(socket, Message::text(text)).await
}

async fn write(socket: &mut Socket, message: Message) -> Result<(), Problem> {
    socket.send(message).await.map_err(gone)
}

fn gone(cause: impl ToString) -> Problem {
    problem::unreachable("the other end of the command", cause)
}
