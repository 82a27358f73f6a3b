// SPDX-License-Identifier: Apache-2.0
//! A real HTTP server on the API socket of a temporary root. It answers what it was told to, and remembers every
//! request: method, path, body.

use crate::upload::Upload;
use bytes::Bytes;
use hop3_core::Problem;
use hop3_core::event::{Event, EventRow};
use hop3_core::layout::Layout;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::path::Path;
use std::sync::{Arc, Mutex};
use tempfile::TempDir;
use tokio::net::UnixListener;

/// What a request said.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    /// `POST /api/apps`
    pub(super) line: String,
    pub(super) body: Bytes,
}

/// Answers by request line: status and chunks of the body.
type Answers = BTreeMap<String, (u16, Vec<String>)>;

pub(super) struct Server {
    root: TempDir,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Server {
    pub(super) fn start(answers: &[(&str, u16, Vec<String>)]) -> Server {
        let answers: Answers = answers
            .iter()
            .map(|(line, status, body)| ((*line).to_owned(), (*status, body.clone())))
            .collect();
        let (root, listener) = listen();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let kept = seen.clone();
        std::thread::spawn(move || serve(listener, answers, kept));
        Server { root, seen }
    }

    /// A root whose socket something else answers.
    pub(super) fn bare() -> (Server, std::os::unix::net::UnixListener) {
        let (root, listener) = listen();
        (Server { root, seen: Arc::default() }, listener)
    }

    pub(super) fn root(&self) -> &Path {
        self.root.path()
    }

    pub(super) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// The requests, one a line, with their JSON.
    pub(super) fn requests(&self) -> String {
        let text = |seen: &Seen| format!("{} {}", seen.line, String::from_utf8_lossy(&seen.body));
        self.seen().iter().map(|seen| text(seen).trim_end().to_owned() + "\n").collect()
    }
}

/// Server-sent events, one chunk each.
pub(super) fn events(list: Vec<Event>) -> Vec<String> {
    let rows = list.into_iter().enumerate().map(|(i, event)| EventRow {
        id: i as i64,
        time_ms: 0,
        app: Some("shop".into()),
        deployment: Some(1),
        event,
    });
    rows.map(|row| format!("data: {}\n\n", serde_json::to_string(&row).unwrap())).collect()
}

pub(super) fn problem(problem: &Problem) -> Vec<String> {
    vec![serde_json::to_string(problem).unwrap()]
}

fn listen() -> (TempDir, std::os::unix::net::UnixListener) {
    let root = tempfile::tempdir().unwrap();
    let socket = Layout::new(root.path()).api_socket();
    std::fs::create_dir_all(socket.parent().unwrap()).unwrap();
    let listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    (root, listener)
}

fn serve(listener: std::os::unix::net::UnixListener, answers: Answers, seen: Arc<Mutex<Vec<Seen>>>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let answers = Arc::new(answers);
    runtime.block_on(async move {
        listener.set_nonblocking(true).unwrap();
        let listener = UnixListener::from_std(listener).unwrap();
        while let Ok((stream, _)) = listener.accept().await {
            let (answers, seen) = (answers.clone(), seen.clone());
            let service = service_fn(move |request| answer(request, answers.clone(), seen.clone()));
            tokio::spawn(
                hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service),
            );
        }
    });
}

async fn answer(
    request: Request<Incoming>,
    answers: Arc<Answers>,
    seen: Arc<Mutex<Vec<Seen>>>,
) -> Result<Response<Upload>, Infallible> {
    let line = format!("{} {}", request.method(), request.uri());
    // A body that breaks off is a request that never came.
    let body = match request.into_body().collect().await {
        Ok(body) => body.to_bytes(),
        Err(_) => Bytes::from_static(b"(broken off)"),
    };
    seen.lock().unwrap().push(Seen { line: line.clone(), body });
    let (status, chunks) =
        answers.get(&line).cloned().unwrap_or((500, vec![format!("no answer for {line}")]));
    let (sender, receiver) = tokio::sync::mpsc::channel(1);
    tokio::spawn(async move {
        for chunk in chunks {
            if sender.send(Ok(Bytes::from(chunk))).await.is_err() {
                return;
            }
        }
    });
    Ok(Response::builder().status(status).body(Upload::Stream(receiver)).unwrap())
}
