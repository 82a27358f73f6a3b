// SPDX-License-Identifier: Apache-2.0
//! One request served by git's own `http-backend`: request body to its input, its output to the response.
//!
//! Invariant: both directions are read only as fast as the other side takes them, and when the client goes away the
//! whole process group ends, first asked, then killed.

use super::access::{Admitted, Service};
use super::command;
use super::repository::git_missing;
use axum::body::{Body, Bytes};
use axum::http::StatusCode;
use axum::response::Response;
use bytes::BytesMut;
use futures_util::stream;
use hop3_core::{Kind, Problem};
use http_body_util::BodyExt;
use rustix::process::{Pid, Signal, kill_process_group};
use std::future::Future;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout};
use tokio::sync::oneshot;
use tokio::time::timeout;

/// A client that stops sending in the middle of its request is gone. The answer may take as long as a build takes.
const SILENCE: Duration = Duration::from_secs(60);
/// Time for git to remove its quarantine after SIGTERM.
const GRACE: Duration = Duration::from_secs(5);
const MAX_HEADER: usize = 16 << 10;
const CHUNK: usize = 64 << 10;

/// What the backend is told of a request; every field is checked or a number.
pub(super) struct Call {
    pub(super) service: Service,
    /// Discovery when false.
    pub(super) posts: bool,
    pub(super) gzip: bool,
    pub(super) length: Option<u64>,
    pub(super) protocol: Option<&'static str>,
}

pub(super) async fn run(call: Call, admitted: &Admitted, body: Body) -> Result<Response, Problem> {
    let mut child = start(&call, admitted)?;
    let (Some(stdin), Some(mut stdout), Some(stderr)) =
        (child.stdin.take(), child.stdout.take(), child.stderr.take())
    else {
        return Err(Problem::new(Kind::Bug, "git.internal", "the server could not answer"));
    };
    // Dropped unsent when this future or the response body is dropped: the client went away.
    let (finished, answered) = oneshot::channel();
    tokio::spawn(log(stderr));
    tokio::spawn(attend(child, feed(body, stdin), answered));
    let mut start = BytesMut::with_capacity(CHUNK);
    let header = read_header(&mut stdout, &mut start).await?;
    let mut response = Response::builder().status(header.status).header("cache-control", "no-cache");
    if let Some(kind) = header.content_type {
        response = response.header("content-type", kind);
    }
    let rest = Body::from_stream(output(stdout, start.freeze(), finished));
    response.body(rest).map_err(|e| no_answer(&e.to_string()))
}

fn start(call: &Call, admitted: &Admitted) -> Result<Child, Problem> {
    let path = admitted.repository.path();
    let (Some(parent), Some(name)) = (path.parent(), path.file_name().and_then(|n| n.to_str())) else {
        return Err(Problem::new(Kind::Bug, "git.internal", "the repository has no name"));
    };
    let mut git = command::git(path);
    let service = call.service.as_str();
    git.arg("http-backend")
        .env("GIT_PROJECT_ROOT", parent)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("REMOTE_USER", "hop3")
        .envs(admitted.hook.variables());
    if call.posts {
        git.env("REQUEST_METHOD", "POST")
            .env("PATH_INFO", format!("/{name}/{service}"))
            .env("CONTENT_TYPE", format!("application/x-{service}-request"));
    } else {
        git.env("REQUEST_METHOD", "GET")
            .env("PATH_INFO", format!("/{name}/info/refs"))
            .env("QUERY_STRING", format!("service={service}"));
    }
    if let Some(length) = call.length {
        git.env("CONTENT_LENGTH", length.to_string());
    }
    if call.gzip {
        git.env("HTTP_CONTENT_ENCODING", "gzip");
    }
    if let Some(version) = call.protocol {
        git.env("GIT_PROTOCOL", version);
    }
    let mut git = tokio::process::Command::from(git);
    git.process_group(0).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    git.spawn().map_err(git_missing)
}

/// Stays with the process to its end. The process is not reaped before, so its group id cannot be another's.
async fn attend(mut child: Child, feed: impl Future<Output = Fed>, mut answered: oneshot::Receiver<()>) {
    tokio::pin!(feed);
    let (mut fed, mut told) = (false, false);
    loop {
        tokio::select! {
            _ = child.wait() => {
                // A client that is still sending reads the answer only afterwards.
                if !fed {
                    let _ = timeout(SILENCE, feed).await;
                }
                return;
            }
            how = &mut feed, if !fed => match how {
                Fed::Whole => fed = true,
                Fed::Cut => return terminate(child).await,
            },
            how = &mut answered, if !told => match how {
                Ok(()) => told = true,
                Err(_) => return terminate(child).await,
            },
        }
    }
}

async fn terminate(mut child: Child) {
    let Some(group) = child.id().and_then(|id| Pid::from_raw(id as i32)) else { return };
    // ESRCH only: the group ended by itself.
    let _ = kill_process_group(group, Signal::TERM);
    if timeout(GRACE, child.wait()).await.is_err() {
        let _ = kill_process_group(group, Signal::KILL);
        let _ = child.wait().await;
    }
}

enum Fed {
    Whole,
    /// The client went away, or fell silent, in the middle of its request.
    Cut,
}

async fn feed(mut body: Body, stdin: ChildStdin) -> Fed {
    let mut stdin = Some(stdin);
    loop {
        let data = match timeout(SILENCE, body.frame()).await {
            Err(_) | Ok(Some(Err(_))) => return Fed::Cut,
            Ok(None) => return Fed::Whole,
            Ok(Some(Ok(frame))) => frame.into_data().unwrap_or_default(),
        };
        let Some(pipe) = &mut stdin else { continue };
        if pipe.write_all(&data).await.is_err() {
            // git has heard enough and says why in its answer; the rest is read and dropped.
            stdin = None;
        }
    }
}

async fn log(mut stderr: ChildStderr) {
    let mut text = Vec::new();
    let mut buffer = [0; 1024];
    while let Ok(n @ 1..) = stderr.read(&mut buffer).await {
        if text.len() < MAX_HEADER {
            text.extend_from_slice(&buffer[..n]);
        }
    }
    if !text.is_empty() {
        tracing::warn!(said = %String::from_utf8_lossy(&text).escape_debug(), "git http-backend");
    }
}

struct Header {
    status: StatusCode,
    content_type: Option<String>,
}

/// Reads the CGI header; what follows it stays in `start`.
async fn read_header(stdout: &mut ChildStdout, start: &mut BytesMut) -> Result<Header, Problem> {
    let end = loop {
        if let Some(at) = start.windows(4).position(|w| w == b"\r\n\r\n") {
            break at;
        }
        if start.len() > MAX_HEADER {
            return Err(no_answer("the header does not end"));
        }
        if stdout.read_buf(start).await.map_err(|e| no_answer(&e.to_string()))? == 0 {
            return Err(no_answer("it ended without an answer"));
        }
    };
    let text = start.split_to(end + 4);
    let text = std::str::from_utf8(&text).map_err(|e| no_answer(&e.to_string()))?;
    let mut header = Header { status: StatusCode::OK, content_type: None };
    for (name, value) in text.lines().filter_map(|line| line.split_once(": ")) {
        if name.eq_ignore_ascii_case("status") {
            let code = value.split(' ').next().and_then(|code| code.parse().ok());
            header.status = code.ok_or_else(|| no_answer("the status is not one"))?;
        } else if name.eq_ignore_ascii_case("content-type") {
            header.content_type = Some(value.to_owned());
        }
    }
    Ok(header)
}

/// The rest of git's output, read when the client asks for more.
fn output(
    stdout: ChildStdout,
    start: Bytes,
    finished: oneshot::Sender<()>,
) -> impl stream::Stream<Item = std::io::Result<Bytes>> {
    let begin = (stdout, start, finished, BytesMut::new());
    stream::try_unfold(begin, |(mut stdout, start, finished, mut buffer)| async move {
        if !start.is_empty() {
            return Ok(Some((start, (stdout, Bytes::new(), finished, buffer))));
        }
        buffer.reserve(CHUNK);
        if stdout.read_buf(&mut buffer).await? == 0 {
            let _ = finished.send(());
            return Ok(None);
        }
        let data = buffer.split().freeze();
        Ok(Some((data, (stdout, Bytes::new(), finished, buffer))))
    })
}

fn no_answer(why: &str) -> Problem {
    tracing::error!(why, "git http-backend gave no answer");
    Problem::new(Kind::Bug, "git.internal", "git gave no answer on the server").hint("see the server's log")
}
