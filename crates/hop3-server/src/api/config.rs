// SPDX-License-Identifier: Apache-2.0
//! `config set|unset|get|list`.

use super::endpoint::{Endpoints, Nothing};
use super::reply::{Body, Named, Query, Reply, blocking};
use crate::server::{Server, internal};
use crate::verb;
use axum::extract::State;
use axum::http::Method;
use axum::routing::{get, patch};
use hop3_core::api::{ConfigChangeRequest, ConfigList, ReleaseMade};
use hop3_core::name::AppName;
use serde::Deserialize;
use std::sync::Arc;

type S = State<Arc<Server>>;

pub(super) fn endpoints(endpoints: Endpoints) -> Endpoints {
    let path = "/api/apps/{app}/config";
    endpoints
        .on::<Nothing, ConfigList>(
            &Method::GET,
            path,
            "Lists config keys, with values when ?show=true",
            get(list),
        )
        .on::<ConfigChangeRequest, ReleaseMade>(&Method::PATCH, path, "Sets and unsets config", patch(change))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Show {
    #[serde(default)]
    show: bool,
}

async fn list(State(server): S, Named(name): Named<AppName>, Query(query): Query<Show>) -> Reply<ConfigList> {
    blocking(move || {
        let config = server.store.config(&server.app(&name)?).map_err(internal)?;
        let shown = |value: String| query.show.then_some(value);
        Ok(ConfigList { variables: config.into_iter().map(|(key, value)| (key, shown(value))).collect() })
    })
    .await
}

async fn change(
    State(server): S,
    Named(name): Named<AppName>,
    Body(request): Body<ConfigChangeRequest>,
) -> Reply<ReleaseMade> {
    blocking(move || verb::change::config(&server, &name, request)).await
}
