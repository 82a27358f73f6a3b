// SPDX-License-Identifier: Apache-2.0
//! `release list|info`, `rollback`.

use super::endpoint::{Endpoints, Nothing};
use super::reply::{Body, Named, Reply, blocking};
use crate::server::Server;
use crate::verb;
use axum::extract::State;
use axum::http::Method;
use axum::routing::{get, post};
use hop3_core::api::{ReleaseInfo, ReleaseMade, RollbackRequest};
use hop3_core::name::AppName;
use hop3_core::release::ReleaseNumber;
use std::sync::Arc;

type S = State<Arc<Server>>;

pub(super) fn endpoints(endpoints: Endpoints) -> Endpoints {
    endpoints
        .on::<Nothing, Vec<ReleaseInfo>>(
            &Method::GET,
            "/api/apps/{app}/releases",
            "Lists releases",
            get(list),
        )
        .on::<Nothing, ReleaseInfo>(
            &Method::GET,
            "/api/apps/{app}/releases/{number}",
            "Tells about a release",
            get(info),
        )
        .on::<RollbackRequest, ReleaseMade>(
            &Method::POST,
            "/api/apps/{app}/rollback",
            "Goes back to an earlier release, code and config",
            post(rollback),
        )
}

async fn list(State(server): S, Named(name): Named<AppName>) -> Reply<Vec<ReleaseInfo>> {
    blocking(move || verb::release::list(&server, &name)).await
}

async fn info(State(server): S, Named((name, number)): Named<(AppName, u32)>) -> Reply<ReleaseInfo> {
    blocking(move || verb::release::info(&server, &name, ReleaseNumber(number))).await
}

async fn rollback(
    State(server): S,
    Named(name): Named<AppName>,
    Body(request): Body<RollbackRequest>,
) -> Reply<ReleaseMade> {
    blocking(move || verb::change::rollback(&server, &name, request.to)).await
}
