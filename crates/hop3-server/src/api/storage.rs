// SPDX-License-Identifier: Apache-2.0
//! `storage …`.

use super::endpoint::{Endpoints, Nothing};
use super::reply::{Body, Failure, Named, Reply, blocking};
use super::transfer;
use crate::server::Server;
use crate::verb::storage as verb;
use axum::extract::State;
use axum::http::Method;
use axum::response::Response;
use axum::routing::{delete, get, post};
use hop3_core::api::{
    AttachVolumeRequest, CreateVolumeRequest, DestroyVolumeRequest, DetachVolumeRequest, ReleaseMade,
    SnapshotVolumeRequest, VolumeInfo,
};
use hop3_core::name::{SnapshotName, VolumeName};
use hop3_core::problem::Problem;
use std::sync::Arc;

type S = State<Arc<Server>>;

/// One volume.
const ONE: &str = "/api/storage/{volume}";

fn of(verb: &str) -> String {
    format!("{ONE}/{verb}")
}

pub(super) fn endpoints(endpoints: Endpoints) -> Endpoints {
    endpoints
        .on::<Nothing, Vec<VolumeInfo>>(&Method::GET, "/api/storage", "Lists the volumes", get(list))
        .on::<CreateVolumeRequest, VolumeInfo>(&Method::POST, "/api/storage", "Makes a volume", post(create))
        .on::<Nothing, VolumeInfo>(&Method::GET, ONE, "Tells about a volume", get(info))
        .on::<DestroyVolumeRequest, Nothing>(
            &Method::DELETE,
            ONE,
            "Destroys a volume; for seven days it can be recovered",
            delete(destroy),
        )
        .on::<Nothing, VolumeInfo>(
            &Method::POST,
            &of("recover"),
            "Brings a destroyed volume back",
            post(recover),
        )
        .on::<AttachVolumeRequest, ReleaseMade>(
            &Method::POST,
            &of("attach"),
            "Lets an app see a volume",
            post(attach),
        )
        .on::<DetachVolumeRequest, ReleaseMade>(
            &Method::POST,
            &of("detach"),
            "Lets an app see it no longer",
            post(detach),
        )
        .on::<Nothing, Nothing>(&Method::GET, &of("export"), "All it holds, as a tar archive", get(export))
        .on::<Nothing, VolumeInfo>(
            &Method::POST,
            &of("import"),
            "Replaces all it holds by the body, a tar archive",
            post(import),
        )
        .on::<SnapshotVolumeRequest, VolumeInfo>(
            &Method::POST,
            &of("snapshots"),
            "Keeps what it holds now beside it",
            post(snapshot),
        )
        .on::<Nothing, VolumeInfo>(
            &Method::POST,
            &of("snapshots/{snapshot}/restore"),
            "Replaces all it holds by what it held at that snapshot",
            post(restore),
        )
        .on::<Nothing, VolumeInfo>(
            &Method::DELETE,
            &of("snapshots/{snapshot}"),
            "Removes a snapshot",
            delete(forget),
        )
}

async fn list(State(server): S) -> Reply<Vec<VolumeInfo>> {
    blocking(move || verb::list(&server)).await
}

async fn create(State(server): S, Body(request): Body<CreateVolumeRequest>) -> Reply<VolumeInfo> {
    blocking(move || verb::create(&server, &request)).await
}

async fn info(State(server): S, Named(name): Named<VolumeName>) -> Reply<VolumeInfo> {
    blocking(move || verb::info(&server, &name)).await
}

async fn destroy(
    State(server): S,
    Named(name): Named<VolumeName>,
    Body(request): Body<DestroyVolumeRequest>,
) -> Reply<Nothing> {
    blocking(move || verb::destroy(&server, &name, &request).map(|()| Nothing {})).await
}

async fn recover(State(server): S, Named(name): Named<VolumeName>) -> Reply<VolumeInfo> {
    blocking(move || verb::recover(&server, &name)).await
}

async fn attach(
    State(server): S,
    Named(name): Named<VolumeName>,
    Body(request): Body<AttachVolumeRequest>,
) -> Reply<ReleaseMade> {
    blocking(move || verb::attach(&server, &name, &request)).await
}

async fn detach(
    State(server): S,
    Named(name): Named<VolumeName>,
    Body(request): Body<DetachVolumeRequest>,
) -> Reply<ReleaseMade> {
    blocking(move || verb::detach(&server, &name, &request)).await
}

async fn export(State(server): S, Named(name): Named<VolumeName>) -> Result<Response, Failure> {
    Ok(transfer::written(move |to| verb::export(&server, &name, to)).await?)
}

async fn import(
    State(server): S,
    Named(name): Named<VolumeName>,
    body: axum::body::Body,
) -> Reply<VolumeInfo> {
    let mut from = transfer::reader(body);
    changed(server, name, move |server, name| verb::import(server, name, &mut from)).await
}

async fn snapshot(
    State(server): S,
    Named(name): Named<VolumeName>,
    Body(request): Body<SnapshotVolumeRequest>,
) -> Reply<VolumeInfo> {
    changed(server, name, move |server, name| verb::snapshot(server, name, request.name)).await
}

async fn restore(
    State(server): S,
    Named((name, snapshot)): Named<(VolumeName, SnapshotName)>,
) -> Reply<VolumeInfo> {
    changed(server, name, move |server, name| verb::restore(server, name, &snapshot)).await
}

async fn forget(
    State(server): S,
    Named((name, snapshot)): Named<(VolumeName, SnapshotName)>,
) -> Reply<VolumeInfo> {
    changed(server, name, move |server, name| verb::forget(server, name, &snapshot)).await
}

/// Answers with the volume as it is after a change.
async fn changed(
    server: Arc<Server>,
    name: VolumeName,
    change: impl FnOnce(&Server, &VolumeName) -> Result<(), Problem> + Send + 'static,
) -> Reply<VolumeInfo> {
    blocking(move || change(&server, &name).and_then(|()| verb::info(&server, &name))).await
}
