// SPDX-License-Identifier: Apache-2.0
//! `server info|stop`, `doctor`, health and the OpenAPI document.

use super::endpoint::{Endpoints, Nothing, openapi};
use super::reply::{Body, Reply, blocking};
use crate::server::{Server, StopScope};
use crate::verb;
use axum::Json;
use axum::extract::State;
use axum::http::Method;
use axum::routing::{get, post};
use hop3_core::api::ServerInfo;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::sync::Arc;

type S = State<Arc<Server>>;

/// `POST /api/server/stop`
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct StopRequest {
    /// Proxy, supervisor and every app too.
    #[serde(default)]
    all: bool,
}

pub(super) fn endpoints(endpoints: Endpoints) -> Endpoints {
    endpoints
        .on::<Nothing, ServerInfo>(
            &Method::GET,
            "/api/server",
            "Tells about the server and its machine",
            get(info),
        )
        .on::<StopRequest, Nothing>(&Method::POST, "/api/server/stop", "Ends the server", post(stop))
        .on::<Nothing, Nothing>(&Method::GET, "/health", "Answers when the server does", get(health))
        .on::<Nothing, Value>(&Method::GET, "/api/openapi.json", "Gives this document", get(document))
}

async fn info(State(server): S) -> Reply<ServerInfo> {
    blocking(move || verb::doctor::info(&server)).await
}

async fn stop(State(server): S, Body(request): Body<StopRequest>) -> Reply<Nothing> {
    let scope = if request.all { StopScope::All } else { StopScope::Server };
    blocking(move || {
        (server.stop)(scope);
        Ok(Nothing {})
    })
    .await
}

async fn health() -> Json<Nothing> {
    Json(Nothing {})
}

async fn document() -> Json<Value> {
    Json(openapi())
}
