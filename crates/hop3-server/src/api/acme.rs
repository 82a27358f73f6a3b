// SPDX-License-Identifier: Apache-2.0
//! `cert acme set|show|off`.

use super::endpoint::{Endpoints, Nothing};
use super::reply::{Body, Reply, blocking};
use crate::server::Server;
use crate::verb;
use axum::extract::State;
use axum::http::Method;
use axum::routing::{get, patch};
use hop3_core::acme::{AcmeChange, AcmeShown};
use std::sync::Arc;

type S = State<Arc<Server>>;

pub(super) fn endpoints(endpoints: Endpoints) -> Endpoints {
    let path = "/api/acme";
    endpoints
        .on::<Nothing, AcmeShown>(
            &Method::GET,
            path,
            "Tells who is asked for certificates, and how",
            get(show),
        )
        .on::<AcmeChange, AcmeShown>(
            &Method::PATCH,
            path,
            "Changes who is asked for certificates, and how",
            patch(set),
        )
}

async fn show(State(server): S) -> Reply<AcmeShown> {
    blocking(move || verb::acme::show(&server)).await
}

async fn set(State(server): S, Body(change): Body<AcmeChange>) -> Reply<AcmeShown> {
    blocking(move || verb::acme::set(&server, &change)).await
}
