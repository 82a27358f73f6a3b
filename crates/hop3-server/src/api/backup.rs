// SPDX-License-Identifier: Apache-2.0
//! `backup create|list|info|restore|verify|schedule|prune|targets|key`. What takes long is told as it goes (server-sent events), and goes
//! on when the caller goes away.

use super::endpoint::{Endpoints, Nothing};
use super::reply::{Body, Failure, Named, Query, Reply, blocking};
use crate::server::{Server, internal};
use crate::verb;
use axum::extract::State;
use axum::http::Method;
use axum::response::sse::{Event as Sse, KeepAlive, Sse as Stream};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post, put};
use futures_util::stream;
use hop3_core::Problem;
use hop3_core::backup::{
    AddBackupTargetRequest, BackupDetail, BackupId, BackupInfo, BackupKey, BackupNews, BackupOf,
    BackupSchedule, BackupTargetInfo, CreateBackupRequest, PruneBackupsRequest, RestoreBackupRequest, Tell,
    VerifyBackupRequest,
};
use hop3_core::name::{AddonName, AppName};
use serde::Deserialize;
use std::convert::Infallible;
use std::sync::Arc;
use tokio::sync::mpsc;

type S = State<Arc<Server>>;

pub(super) fn endpoints(endpoints: Endpoints) -> Endpoints {
    endpoints
        .on::<Nothing, Vec<BackupInfo>>(
            &Method::GET,
            "/api/backups",
            "Lists backups, of one app with ?app=",
            get(list),
        )
        .on::<CreateBackupRequest, BackupNews>(
            &Method::POST,
            "/api/backups",
            "Makes a backup of an app, of an addon or of the server; answers with a stream of news",
            post(create),
        )
        .on::<Nothing, BackupDetail>(
            &Method::GET,
            "/api/backups/{id}",
            "Tells what a backup holds",
            get(info),
        )
        .on::<RestoreBackupRequest, BackupNews>(
            &Method::POST,
            "/api/backups/{id}/restore",
            "Restores an app, in place or as a new one, or one of its files; answers with a stream of news",
            post(restore),
        )
        .on::<VerifyBackupRequest, BackupNews>(
            &Method::POST,
            "/api/backups/verify",
            "Restores backups into a scratch place and compares; answers with a stream of news",
            post(verify),
        )
        .on::<PruneBackupsRequest, BackupNews>(
            &Method::POST,
            "/api/backups/prune",
            "Forgets backups that need not be kept; answers with a stream of news",
            post(prune),
        )
}

/// When backups are made, where they go, and what opens them.
pub(super) fn settings(endpoints: Endpoints) -> Endpoints {
    endpoints
        .on::<Nothing, Vec<BackupSchedule>>(
            &Method::GET,
            "/api/backup-schedules",
            "Lists when backups are made and proven by themselves",
            get(schedules),
        )
        .on::<BackupSchedule, BackupSchedule>(
            &Method::PUT,
            "/api/backup-schedules",
            "Sets the schedule of an app, of an addon or of the server",
            put(schedule),
        )
        .on::<Nothing, Nothing>(
            &Method::DELETE,
            "/api/backup-schedules",
            "Ends the schedule of the app of ?app=, of the addon of ?addon=, or of the server",
            delete(unschedule),
        )
        .on::<Nothing, Vec<BackupTargetInfo>>(
            &Method::GET,
            "/api/backup-targets",
            "Lists the places that backups go to",
            get(targets),
        )
        .on::<AddBackupTargetRequest, BackupTargetInfo>(
            &Method::POST,
            "/api/backup-targets",
            "Adds a place that backups go to",
            post(add),
        )
        .on::<Nothing, Nothing>(
            &Method::DELETE,
            "/api/backup-targets/{name}",
            "Forgets a place; what is kept there stays",
            delete(remove),
        )
        .on::<Nothing, BackupKey>(&Method::GET, "/api/backup-key", "Shows the recovery key", get(key))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Of {
    #[serde(default)]
    app: Option<AppName>,
    #[serde(default)]
    addon: Option<AddonName>,
}

async fn list(State(server): S, Query(of): Query<Of>) -> Reply<Vec<BackupInfo>> {
    blocking(move || verb::backup::list(&server, of.app.as_ref())).await
}

async fn info(State(server): S, Named(id): Named<BackupId>) -> Reply<BackupDetail> {
    blocking(move || verb::backup::info(&server, &id)).await
}

async fn create(State(server): S, Body(request): Body<CreateBackupRequest>) -> Result<Response, Failure> {
    told(move |tell| verb::backup::create(&server, &request, false, tell).map(|info| vec![info]))
}

async fn restore(
    State(server): S,
    Named(id): Named<BackupId>,
    Body(request): Body<RestoreBackupRequest>,
) -> Result<Response, Failure> {
    told(move |tell| verb::backup::restore(&server, &id, &request, tell).map(|info| vec![info]))
}

async fn verify(State(server): S, Body(request): Body<VerifyBackupRequest>) -> Result<Response, Failure> {
    told(move |tell| verb::backup::verify(&server, &request, tell))
}

async fn prune(State(server): S, Body(request): Body<PruneBackupsRequest>) -> Result<Response, Failure> {
    told(move |tell| verb::backup::prune(&server, &request, tell))
}

async fn schedules(State(server): S) -> Reply<Vec<BackupSchedule>> {
    blocking(move || verb::backup::schedules(&server)).await
}

async fn schedule(State(server): S, Body(request): Body<BackupSchedule>) -> Reply<BackupSchedule> {
    blocking(move || verb::backup::schedule(&server, &request)).await
}

async fn unschedule(State(server): S, Query(of): Query<Of>) -> Reply<Nothing> {
    blocking(move || {
        let of = BackupOf::new(of.app.as_ref(), of.addon.as_ref());
        verb::backup::unschedule(&server, &of).map(|()| Nothing {})
    })
    .await
}

async fn targets(State(server): S) -> Reply<Vec<BackupTargetInfo>> {
    blocking(move || verb::backup::targets(&server)).await
}

async fn add(State(server): S, Body(request): Body<AddBackupTargetRequest>) -> Reply<BackupTargetInfo> {
    blocking(move || verb::backup::add(&server, request)).await
}

async fn remove(State(server): S, Named(name): Named<String>) -> Reply<Nothing> {
    blocking(move || verb::backup::remove(&server, &name).map(|()| Nothing {})).await
}

async fn key(State(server): S) -> Reply<BackupKey> {
    blocking(move || verb::backup::key(&server)).await
}

/// Runs a verb on a thread of its own and answers with its news, of which the last says how it ended.
fn told<F>(verb: F) -> Result<Response, Failure>
where
    F: FnOnce(Tell<'_>) -> Result<Vec<BackupInfo>, Problem> + Send + 'static,
{
    let (sender, receiver) = mpsc::unbounded_channel();
    let work = move || {
        // Whoever listened may have gone.
        let tell = |news| drop(sender.send(news));
        tell(match verb(&tell) {
            Ok(backups) => BackupNews::Done { backups },
            Err(problem) => BackupNews::Failed { problem },
        });
    };
    std::thread::Builder::new().name("backup".into()).spawn(work).map_err(internal)?;
    let news = stream::unfold(receiver, |mut receiver: mpsc::UnboundedReceiver<BackupNews>| async move {
        let news = receiver.recv().await?;
        let sse = Sse::default().json_data(&news).ok()?;
        Some((Ok::<_, Infallible>(sse), receiver))
    });
    Ok(Stream::new(news).keep_alive(KeepAlive::default()).into_response())
}
