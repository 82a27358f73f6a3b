// SPDX-License-Identifier: Apache-2.0
//! `domain add|remove|list`.

use super::endpoint::{Endpoints, Nothing};
use super::reply::{Body, Named, Reply, blocking};
use crate::server::Server;
use crate::verb;
use axum::extract::State;
use axum::http::Method;
use axum::routing::{delete, get, post};
use hop3_core::api::DomainRequest;
use hop3_core::name::{AppName, Domain};
use std::sync::Arc;

type S = State<Arc<Server>>;

pub(super) fn endpoints(endpoints: Endpoints) -> Endpoints {
    let path = "/api/apps/{app}/domains";
    endpoints
        .on::<Nothing, Vec<Domain>>(&Method::GET, path, "Lists an app's domains", get(list))
        .on::<DomainRequest, Vec<Domain>>(&Method::POST, path, "Adds a domain", post(add))
        .on::<Nothing, Vec<Domain>>(
            &Method::DELETE,
            "/api/apps/{app}/domains/{domain}",
            "Takes a domain away",
            delete(remove),
        )
}

async fn list(State(server): S, Named(name): Named<AppName>) -> Reply<Vec<Domain>> {
    blocking(move || verb::domain::list(&server, &name)).await
}

async fn add(
    State(server): S,
    Named(name): Named<AppName>,
    Body(request): Body<DomainRequest>,
) -> Reply<Vec<Domain>> {
    blocking(move || verb::domain::add(&server, &name, &request.domain)).await
}

async fn remove(State(server): S, Named((name, domain)): Named<(AppName, Domain)>) -> Reply<Vec<Domain>> {
    blocking(move || verb::domain::remove(&server, &name, &domain)).await
}
