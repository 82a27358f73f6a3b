// SPDX-License-Identifier: Apache-2.0
//! `proxy show|set|unset`.

use super::endpoint::{Endpoints, Nothing};
use super::reply::{Body, Named, Reply, blocking};
use crate::server::Server;
use crate::verb;
use axum::extract::State;
use axum::http::Method;
use axum::routing::{get, patch};
use hop3_core::api::{PolicyChangeRequest, PolicyEntry};
use hop3_core::name::AppName;
use std::sync::Arc;

type S = State<Arc<Server>>;

pub(super) fn endpoints(endpoints: Endpoints) -> Endpoints {
    let path = "/api/apps/{app}/proxy";
    endpoints
        .on::<Nothing, Vec<PolicyEntry>>(
            &Method::GET,
            path,
            "Shows what the proxy does for an app, and where each value comes from",
            get(show),
        )
        .on::<PolicyChangeRequest, Vec<PolicyEntry>>(
            &Method::PATCH,
            path,
            "Sets and unsets keys of [proxy], at once",
            patch(change),
        )
}

async fn show(State(server): S, Named(name): Named<AppName>) -> Reply<Vec<PolicyEntry>> {
    blocking(move || verb::proxy::show(&server, &name)).await
}

async fn change(
    State(server): S,
    Named(name): Named<AppName>,
    Body(request): Body<PolicyChangeRequest>,
) -> Reply<Vec<PolicyEntry>> {
    blocking(move || verb::proxy::change(&server, &name, request)).await
}
