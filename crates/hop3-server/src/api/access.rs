// SPDX-License-Identifier: Apache-2.0
//! `token create|list|revoke`, `user key add|list|remove`.

use super::endpoint::{Endpoints, Nothing};
use super::reply::{Body, Named, Reply, blocking};
use crate::server::Server;
use crate::verb;
use axum::extract::State;
use axum::http::Method;
use axum::routing::{delete, get, post};
use hop3_core::api::{AddKeyRequest, CreateTokenRequest, KeyInfo, TokenCreated, TokenInfo};
use std::sync::Arc;

type S = State<Arc<Server>>;

pub(super) fn endpoints(endpoints: Endpoints) -> Endpoints {
    endpoints
        .on::<Nothing, Vec<TokenInfo>>(&Method::GET, "/api/tokens", "Lists tokens", get(tokens))
        .on::<CreateTokenRequest, TokenCreated>(
            &Method::POST,
            "/api/tokens",
            "Makes a token, shown this once",
            post(create),
        )
        .on::<Nothing, Nothing>(&Method::DELETE, "/api/tokens/{name}", "Revokes a token", delete(revoke))
        .on::<Nothing, Vec<KeyInfo>>(&Method::GET, "/api/keys", "Lists SSH keys that may push", get(keys))
        .on::<AddKeyRequest, KeyInfo>(&Method::POST, "/api/keys", "Adds an SSH key", post(add))
        .on::<Nothing, Nothing>(&Method::DELETE, "/api/keys/{name}", "Removes an SSH key", delete(remove))
}

async fn tokens(State(server): S) -> Reply<Vec<TokenInfo>> {
    blocking(move || verb::access::tokens(&server)).await
}

async fn create(State(server): S, Body(request): Body<CreateTokenRequest>) -> Reply<TokenCreated> {
    blocking(move || verb::access::create_token(&server, &request)).await
}

async fn revoke(State(server): S, Named(name): Named<String>) -> Reply<Nothing> {
    blocking(move || verb::access::revoke_token(&server, &name).map(|()| Nothing {})).await
}

async fn keys(State(server): S) -> Reply<Vec<KeyInfo>> {
    blocking(move || verb::access::key_list(&server)).await
}

async fn add(State(server): S, Body(request): Body<AddKeyRequest>) -> Reply<KeyInfo> {
    blocking(move || verb::access::add_key(&server, &request)).await
}

async fn remove(State(server): S, Named(name): Named<String>) -> Reply<Nothing> {
    blocking(move || verb::access::remove_key(&server, &name).map(|()| Nothing {})).await
}
