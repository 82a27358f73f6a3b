// SPDX-License-Identifier: Apache-2.0
//! `deploy`: an upload comes in, the answer is the deployment's events as they happen (server-sent events).

use super::endpoint::{Endpoints, Nothing};
use super::reply::{Body, Failure, Named, Query, Reply, blocking};
use super::spool::spool;
use crate::deploy::Upload;
use crate::disk;
use crate::server::{Server, internal};
use crate::store::{App, DeploymentId, Grant};
use crate::verb;
use axum::Extension;
use axum::extract::{Request, State};
use axum::http::Method;
use axum::response::sse::{Event as Sse, KeepAlive, Sse as Stream};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use futures_util::stream;
use hop3_core::api::{DeployGitRequest, DeployQuery, DeploymentInfo, Events};
use hop3_core::event::{Event, EventRow};
use hop3_core::name::AppName;
use hop3_core::problem::Problem;
use schemars::JsonSchema;
use serde::Deserialize;
use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use tokio::sync::broadcast;

type S = State<Arc<Server>>;

pub(super) fn endpoints(endpoints: Endpoints) -> Endpoints {
    endpoints
        .on::<Nothing, Vec<DeploymentInfo>>(
            &Method::GET,
            "/api/apps/{app}/deployments",
            "Lists the newest deployments",
            get(list),
        )
        .on::<Nothing, Events>(
            &Method::POST,
            "/api/apps/{app}/deployments",
            "Deploys a tar archive; answers with a stream of events",
            post(upload),
        )
        .on::<DeployGitRequest, Events>(
            &Method::POST,
            "/api/apps/{app}/deployments/git",
            "Deploys a git repository by its address; answers with a stream of events",
            post(from_git),
        )
        .on::<Nothing, Events>(&Method::GET, "/api/apps/{app}/events", "Tells what happened", get(events))
}

async fn list(State(server): S, Named(name): Named<AppName>) -> Reply<Vec<DeploymentInfo>> {
    blocking(move || server.store.deployments(&server.app(&name)?).map_err(internal)).await
}

async fn upload(
    State(server): S,
    Named(name): Named<AppName>,
    Query(query): Query<DeployQuery>,
    Extension(grant): Extension<Grant>,
    request: Request,
) -> Result<Response, Failure> {
    let (owner, create) = (Arc::clone(&server), query.create && grant == Grant::Admin);
    let found = blocking(move || {
        disk::require_room(&owner.layout)?;
        let app = verb::app::find_or_create(&owner, &name, create)?;
        if let Some(branch) = query.branch.filter(|branch| app.current.is_none() && *branch != app.branch) {
            verb::app::branch(&owner, &name, &branch)?;
        }
        owner.app(&name)
    });
    let app = found.await?.0;
    let tar = spool(&server.layout, request.into_body()).await?;
    let label = query.source.unwrap_or_else(|| "upload".to_owned());
    Ok(stream_deployment(&server, app, Upload { tar: Box::new(tar), label }).await?.into_response())
}

async fn from_git(
    State(server): S,
    Named(name): Named<AppName>,
    Extension(grant): Extension<Grant>,
    Body(request): Body<DeployGitRequest>,
) -> Result<Response, Failure> {
    let owner = Arc::clone(&server);
    let fetched = blocking(move || {
        disk::require_room(&owner.layout)?;
        let app = verb::app::find_or_create(&owner, &name, grant == Grant::Admin)?;
        let upload = verb::fetch::fetch(&owner, &request.url, request.reference.as_deref())?;
        Ok((app, upload))
    });
    let (app, upload) = fetched.await?.0;
    Ok(stream_deployment(&server, app, upload).await?.into_response())
}

/// Starts a deployment on a thread of its own; it goes on when the caller goes away.
pub fn deploy_in_background(server: &Arc<Server>, app: App, upload: Upload) -> Result<DeploymentId, Problem> {
    let deployment = server.store.create_deployment(&app, &upload.label).map_err(internal)?;
    server.record(Some(&app), Some(deployment), Event::DeploymentStarted { source: upload.label.clone() });
    let server = Arc::clone(server);
    std::thread::Builder::new()
        .name("deploy".into())
        .spawn(move || verb::deploy::run(&server, app, deployment, upload))
        .map_err(internal)?;
    Ok(deployment)
}

async fn stream_deployment(server: &Arc<Server>, app: App, upload: Upload) -> Result<Response, Failure> {
    let woken = server.subscribe();
    let (owner, of) = (Arc::clone(server), app.clone());
    let deployment = blocking(move || deploy_in_background(&owner, of, upload)).await?.0;
    let tail = Tail { server: Arc::clone(server), app, deployment: Some(deployment), after: 0, woken };
    Ok(tail.answer())
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct EventsQuery {
    #[serde(default)]
    after: i64,
    #[serde(default)]
    follow: bool,
}

/// How many past events one answer holds.
const EVENTS_PER_ANSWER: usize = 1_000;

async fn events(
    State(server): S,
    Named(name): Named<AppName>,
    Query(query): Query<EventsQuery>,
) -> Result<Response, Failure> {
    let woken = server.subscribe();
    let owner = Arc::clone(&server);
    let app = blocking(move || owner.app(&name)).await?.0;
    if query.follow {
        return Ok(Tail { server, app, deployment: None, after: query.after, woken }.answer());
    }
    let rows =
        blocking(move || server.store.events(&app, query.after, EVENTS_PER_ANSWER).map_err(internal)).await?;
    Ok(rows.into_response())
}

/// Follows events. The store is the truth and the broadcast only the bell, so that a slow reader misses nothing.
struct Tail {
    server: Arc<Server>,
    app: App,
    deployment: Option<DeploymentId>,
    after: i64,
    woken: broadcast::Receiver<EventRow>,
}

impl Tail {
    fn answer(self) -> Response {
        let start = (self, VecDeque::new(), false);
        let rows = stream::unfold(start, |(mut tail, mut rows, ended)| async move {
            while rows.is_empty() {
                if ended {
                    return None;
                }
                rows = tail.next_rows().await?;
            }
            let row: EventRow = rows.pop_front()?;
            let ended = ended || (tail.deployment.is_some() && is_last(&row.event));
            let sse = Sse::default().json_data(&row).ok()?;
            Some((Ok::<_, Infallible>(sse), (tail, rows, ended)))
        });
        Stream::new(rows).keep_alive(KeepAlive::default()).into_response()
    }

    /// Waits until there is something new; `None` when it cannot be read.
    async fn next_rows(&mut self) -> Option<VecDeque<EventRow>> {
        loop {
            let (server, app, deployment, after) =
                (Arc::clone(&self.server), self.app.clone(), self.deployment, self.after);
            let read = tokio::task::spawn_blocking(move || match deployment {
                Some(deployment) => server.store.deployment_events(&app, deployment, after),
                None => server.store.events(&app, after, EVENTS_PER_ANSWER),
            });
            let rows: VecDeque<EventRow> = read.await.ok()?.ok()?.into();
            if let Some(last) = rows.back() {
                self.after = last.id;
                return Some(rows);
            }
            if let Err(broadcast::error::RecvError::Closed) = self.woken.recv().await {
                return None;
            }
        }
    }
}

fn is_last(event: &Event) -> bool {
    matches!(
        event,
        Event::DeploymentSucceeded { .. } | Event::DeploymentFailed { .. } | Event::DeploymentInterrupted
    )
}
