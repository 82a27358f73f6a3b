// SPDX-License-Identifier: Apache-2.0
//! `logs`: an array, or a stream that follows.

use super::endpoint::{Endpoints, Nothing};
use super::reply::{Failure, Named, Query, blocking};
use crate::server::{Server, internal};
use crate::verb;
use axum::extract::State;
use axum::http::Method;
use axum::response::sse::{Event as Sse, KeepAlive, Sse as Stream};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use futures_util::stream;
use hop3_core::api::{LogEntry, LogsQuery};
use hop3_core::name::AppName;
use std::convert::Infallible;
use std::sync::Arc;
use tokio::sync::mpsc;

/// Lines waiting for a slow reader; beyond, the followed source waits too.
const BUFFERED: usize = 1_024;

pub(super) fn endpoints(endpoints: Endpoints) -> Endpoints {
    endpoints.on::<Nothing, Vec<LogEntry>>(
        &Method::GET,
        "/api/apps/{app}/logs",
        "Gives log lines of app, build and platform in order of time; a stream with ?follow=true",
        get(logs),
    )
}

async fn logs(
    State(server): State<Arc<Server>>,
    Named(name): Named<AppName>,
    Query(query): Query<LogsQuery>,
) -> Result<Response, Failure> {
    if query.follow && query.requests {
        return requests(server, name, query).await;
    }
    let follow = query.follow.then(|| follow(Arc::clone(&server), name.clone(), &query));
    let (owner, of) = (Arc::clone(&server), name);
    let past = blocking(move || verb::log::logs(&owner, &of, &query)).await?;
    Ok(match follow {
        Some(lines) => stream_of(past.0, lines),
        None => past.into_response(),
    })
}

/// Follows what the proxy notes of requests.
async fn requests(server: Arc<Server>, name: AppName, query: LogsQuery) -> Result<Response, Failure> {
    let opened =
        tokio::task::spawn_blocking(move || verb::log::follow_requests(&server, &name, &query)).await;
    let (past, tail) = opened.map_err(internal)??;
    let (sender, receiver) = mpsc::channel(BUFFERED);
    std::thread::spawn(move || {
        let ended = tail.run(|| sender.is_closed(), |entry| sender.blocking_send(entry).is_ok());
        if let Err(error) = ended {
            tracing::warn!(%error, "follow");
        }
    });
    Ok(stream_of(past, receiver))
}

fn stream_of(past: Vec<LogEntry>, lines: mpsc::Receiver<LogEntry>) -> Response {
    let start = (past.into_iter(), lines);
    let entries = stream::unfold(start, |(mut past, mut lines)| async move {
        let entry = match past.next() {
            Some(entry) => entry,
            None => lines.recv().await?,
        };
        let sse = Sse::default().json_data(&entry).ok()?;
        Some((Ok::<_, Infallible>(sse), (past, lines)))
    });
    Stream::new(entries).keep_alive(KeepAlive::default()).into_response()
}

/// Follows what the app writes and what the platform does, until the reader goes away.
fn follow(server: Arc<Server>, name: AppName, query: &LogsQuery) -> mpsc::Receiver<LogEntry> {
    let (sender, receiver) = mpsc::channel(BUFFERED);
    let process = query.process.clone();
    if process.is_none() {
        tokio::spawn(follow_events(Arc::clone(&server), name.to_string(), sender.clone()));
    }
    std::thread::spawn(move || {
        let ended = server.drivers.runtime.follow(&name, &mut |line| {
            let wanted = process.as_ref().is_none_or(|p| line.instance.split('.').next() == Some(p.as_str()));
            match line.text.is_empty() || !wanted {
                true => !sender.is_closed(),
                false => sender.blocking_send(verb::log::from_line(line)).is_ok(),
            }
        });
        if let Err(problem) = ended {
            tracing::warn!(problem = problem.title, "follow");
        }
    });
    receiver
}

async fn follow_events(server: Arc<Server>, name: String, sender: mpsc::Sender<LogEntry>) {
    let mut events = server.subscribe();
    loop {
        let row = tokio::select! {
            row = events.recv() => row,
            () = sender.closed() => return,
        };
        match row {
            Ok(row) if row.app.as_deref() == Some(&name) => {
                if let Some(entry) = verb::log::from_event(&row)
                    && sender.send(entry).await.is_err()
                {
                    return;
                }
            }
            Err(tokio::sync::broadcast::error::RecvError::Closed) => return,
            _ => {}
        }
    }
}
