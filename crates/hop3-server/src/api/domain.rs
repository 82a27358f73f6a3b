// SPDX-License-Identifier: Apache-2.0
//! `domain add|remove|list`.

use super::endpoint::{Endpoints, Nothing};
use super::reply::{Body, Named, Reply, blocking};
use crate::server::Server;
use crate::store::Grant;
use crate::verb;
use axum::Extension;
use axum::extract::State;
use axum::http::Method;
use axum::routing::{delete, get, post};
use hop3_core::api::DomainRequest;
use hop3_core::name::{AppName, DomainPath};
use std::sync::Arc;

type S = State<Arc<Server>>;

pub(super) fn endpoints(endpoints: Endpoints) -> Endpoints {
    let path = "/api/apps/{app}/domains";
    endpoints
        .on::<Nothing, Vec<DomainPath>>(&Method::GET, path, "Lists an app's domains", get(list))
        .on::<DomainRequest, Vec<DomainPath>>(
            &Method::POST,
            path,
            "Adds a domain, or a path of one",
            post(add),
        )
        .on::<Nothing, Vec<DomainPath>>(
            &Method::DELETE,
            "/api/apps/{app}/domains/{domain}",
            "Takes a domain, or a path of one, away",
            delete(remove),
        )
}

async fn list(State(server): S, Named(name): Named<AppName>) -> Reply<Vec<DomainPath>> {
    blocking(move || verb::domain::list(&server, &name)).await
}

async fn add(
    State(server): S,
    Extension(grant): Extension<Grant>,
    Named(name): Named<AppName>,
    Body(request): Body<DomainRequest>,
) -> Reply<Vec<DomainPath>> {
    // A path of a domain may be another app's, whose visitors would come here.
    if request.domain.path.is_some() && grant != Grant::Admin {
        return Err(super::auth::denied("a path of a domain is given by an administrator").into());
    }
    blocking(move || verb::domain::add(&server, &name, &request.domain)).await
}

async fn remove(
    State(server): S,
    Named((name, domain)): Named<(AppName, DomainPath)>,
) -> Reply<Vec<DomainPath>> {
    blocking(move || verb::domain::remove(&server, &name, &domain)).await
}
