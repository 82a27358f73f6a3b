// SPDX-License-Identifier: Apache-2.0
//! `scale`, `ps stop|start|restart`.

use super::endpoint::Endpoints;
use super::reply::{Body, Named, Reply, blocking};
use crate::server::Server;
use crate::verb;
use axum::extract::State;
use axum::http::Method;
use axum::routing::post;
use hop3_core::api::{AppInfo, PsRequest, ReleaseMade, ScaleRequest};
use hop3_core::name::AppName;
use std::sync::Arc;

type S = State<Arc<Server>>;

pub(super) fn endpoints(endpoints: Endpoints) -> Endpoints {
    endpoints
        .on::<ScaleRequest, AppInfo>(
            &Method::POST,
            "/api/apps/{app}/scale",
            "Sets instances per process, and when web sleeps",
            post(scale),
        )
        .on::<PsRequest, ReleaseMade>(
            &Method::POST,
            "/api/apps/{app}/ps",
            "Stops, starts, restarts, puts to sleep",
            post(ps),
        )
}

async fn scale(
    State(server): S,
    Named(name): Named<AppName>,
    Body(request): Body<ScaleRequest>,
) -> Reply<AppInfo> {
    blocking(move || {
        verb::change::scale(&server, &name, &request)?;
        verb::app::info(&server, &name)
    })
    .await
}

async fn ps(
    State(server): S,
    Named(name): Named<AppName>,
    Body(request): Body<PsRequest>,
) -> Reply<ReleaseMade> {
    blocking(move || verb::change::ps(&server, &name, &request)).await
}
