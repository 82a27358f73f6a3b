// SPDX-License-Identifier: Apache-2.0
//! `proxy status|use`, and the same figures for Prometheus.

use super::endpoint::{Endpoints, Nothing};
use super::reply::{Body, Failure, Reply, blocking};
use crate::server::Server;
use crate::verb;
use axum::extract::State;
use axum::http::{Method, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, put};
use hop3_core::api::{ChooseProxyRequest, ProxyReport};
use hop3_core::driver::ProxyChosen;
use std::sync::Arc;

type S = State<Arc<Server>>;

pub(super) fn endpoints(endpoints: Endpoints) -> Endpoints {
    endpoints
        .on::<Nothing, ProxyReport>(
            &Method::GET,
            "/api/proxy",
            "Tells what the proxy has served, by route",
            get(report),
        )
        .on::<ChooseProxyRequest, ProxyChosen>(
            &Method::PUT,
            "/api/proxy",
            "Has another proxy accept the connections, at once",
            put(choose),
        )
        .on::<Nothing, String>(
            &Method::GET,
            "/api/metrics",
            "Gives the figures of all routes as text for Prometheus",
            get(metrics),
        )
}

async fn report(State(server): S) -> Reply<ProxyReport> {
    blocking(move || verb::traffic::report(&server)).await
}

async fn choose(State(server): S, Body(request): Body<ChooseProxyRequest>) -> Reply<ProxyChosen> {
    blocking(move || verb::traffic::choose(&server, &request.driver)).await
}

async fn metrics(State(server): S) -> Result<Response, Failure> {
    let text = blocking(move || verb::traffic::metrics(&server)).await?.0;
    Ok(([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response())
}
