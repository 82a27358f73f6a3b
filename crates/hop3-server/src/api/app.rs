// SPDX-License-Identifier: Apache-2.0
//! `app create|list|info|rename|destroy|clone|branch`.

use super::endpoint::{Endpoints, Nothing};
use super::reply::{Body, Failure, Named, Query, Reply, blocking};
use super::transfer;
use crate::server::Server;
use crate::verb;
use axum::extract::State;
use axum::http::Method;
use axum::response::Response;
use axum::routing::{delete, get, post, put};
use hop3_core::api::{
    AppInfo, AppSummary, BranchRequest, CreateAppRequest, DestroyAppRequest, NewNameRequest,
};
use hop3_core::name::AppName;
use serde::Deserialize;
use std::sync::Arc;

type S = State<Arc<Server>>;

pub(super) fn endpoints(endpoints: Endpoints) -> Endpoints {
    let endpoints = endpoints
        .on::<Nothing, Nothing>(
            &Method::GET,
            "/api/apps/{app}/export",
            "The app with all it has, in one file",
            get(export),
        )
        .on::<Nothing, AppInfo>(
            &Method::POST,
            "/api/app-import",
            "Makes an app of such a file, under another name with ?as=",
            post(import),
        );
    endpoints
        .on::<Nothing, Vec<AppSummary>>(&Method::GET, "/api/apps", "Lists the apps", get(list))
        .on::<CreateAppRequest, AppInfo>(&Method::POST, "/api/apps", "Makes an app", post(create))
        .on::<Nothing, AppInfo>(&Method::GET, "/api/apps/{app}", "Tells about an app", get(info))
        .on::<DestroyAppRequest, Nothing>(
            &Method::DELETE,
            "/api/apps/{app}",
            "Destroys an app with all it has",
            delete(destroy),
        )
        .on::<NewNameRequest, AppInfo>(
            &Method::POST,
            "/api/apps/{app}/rename",
            "Gives another name",
            post(rename),
        )
        .on::<NewNameRequest, AppInfo>(
            &Method::POST,
            "/api/apps/{app}/clone",
            "Makes a second app with the same release and config",
            post(clone),
        )
        .on::<BranchRequest, AppInfo>(
            &Method::PUT,
            "/api/apps/{app}/branch",
            "Chooses the branch whose pushes deploy",
            put(branch),
        )
}

async fn export(State(server): S, Named(name): Named<AppName>) -> Result<Response, Failure> {
    Ok(transfer::written(move |to| verb::backup::export(&server, &name, to)).await?)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct As {
    #[serde(default, rename = "as")]
    name: Option<AppName>,
}

async fn import(State(server): S, Query(query): Query<As>, body: axum::body::Body) -> Reply<AppInfo> {
    let mut from = transfer::reader(body);
    blocking(move || verb::backup::import(&server, query.name.as_ref(), &mut from)).await
}

async fn list(State(server): S) -> Reply<Vec<AppSummary>> {
    blocking(move || verb::app::list(&server)).await
}

async fn create(State(server): S, Body(request): Body<CreateAppRequest>) -> Reply<AppInfo> {
    blocking(move || {
        verb::app::create(&server, &request.name).and_then(|app| verb::app::info(&server, &app.name))
    })
    .await
}

async fn info(State(server): S, Named(name): Named<AppName>) -> Reply<AppInfo> {
    blocking(move || verb::app::info(&server, &name)).await
}

async fn destroy(
    State(server): S,
    Named(name): Named<AppName>,
    Body(request): Body<DestroyAppRequest>,
) -> Reply<Nothing> {
    blocking(move || verb::app::destroy(&server, &name, &request.confirm).map(|()| Nothing {})).await
}

async fn rename(
    State(server): S,
    Named(name): Named<AppName>,
    Body(request): Body<NewNameRequest>,
) -> Reply<AppInfo> {
    blocking(move || verb::app::rename(&server, &name, &request.name)).await
}

async fn clone(
    State(server): S,
    Named(name): Named<AppName>,
    Body(request): Body<NewNameRequest>,
) -> Reply<AppInfo> {
    blocking(move || verb::app::clone(&server, &name, &request.name)).await
}

async fn branch(
    State(server): S,
    Named(name): Named<AppName>,
    Body(request): Body<BranchRequest>,
) -> Reply<AppInfo> {
    blocking(move || verb::app::branch(&server, &name, &request.branch)).await
}
