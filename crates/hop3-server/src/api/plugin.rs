// SPDX-License-Identifier: Apache-2.0
//! `plugin install|list|info|enable|disable|check|logs|remove|run|panel`, `plugin key …`.

use super::endpoint::{Endpoints, Nothing};
use super::reply::{Body, Failure, Named, Query, Reply, blocking};
use super::spool::spool;
use crate::disk;
use crate::server::Server;
use crate::verb;
use axum::extract::{Request, State};
use axum::http::Method;
use axum::routing::{delete, get, post};
use hop3_core::driver::LogLine;
use hop3_core::name::PluginName;
use hop3_core::plugin::{
    CommandAnswer, CommandCall, EnablePluginRequest, InstallQuery, Panel, PanelCall, PluginInfo, PluginKey,
    PluginReport, TrustKeyRequest,
};
use serde::Deserialize;
use std::sync::Arc;

type S = State<Arc<Server>>;

pub(super) fn endpoints(endpoints: Endpoints) -> Endpoints {
    let all = "/api/plugins";
    let one = "/api/plugins/{plugin}";
    let keys = "/api/plugin-keys";
    let verb = |verb: &str| format!("{one}/{verb}");
    endpoints
        .on::<Nothing, Vec<PluginInfo>>(&Method::GET, all, "Lists the plugins", get(list))
        .on::<Nothing, PluginInfo>(
            &Method::POST,
            all,
            "Installs a plugin from a tar archive of its folder, or a bundle; it is not enabled yet",
            post(install),
        )
        .on::<Nothing, PluginInfo>(&Method::GET, one, "Tells what a plugin has and is allowed", get(info))
        .on::<Nothing, Nothing>(&Method::DELETE, one, "Removes a plugin with what it kept", delete(remove))
        .on::<EnablePluginRequest, PluginInfo>(
            &Method::POST,
            &verb("enable"),
            "Has a plugin asked from now on, with what it is allowed",
            post(enable),
        )
        .on::<Nothing, PluginInfo>(&Method::POST, &verb("disable"), "Has it asked no more", post(disable))
        .on::<Nothing, PluginReport>(
            &Method::POST,
            &verb("check"),
            "Judges what it provides by the contracts of drivers",
            post(check),
        )
        .on::<Nothing, PluginReport>(
            &Method::POST,
            "/api/plugin-check",
            "Judges a plugin from a tar archive of its folder, without installing it",
            post(check_folder),
        )
        .on::<Nothing, Vec<LogLine>>(&Method::GET, &verb("logs"), "Gives what it wrote to stderr", get(logs))
        .on::<Nothing, Vec<PluginKey>>(
            &Method::GET,
            keys,
            "Lists keys whose bundles are taken",
            get(list_keys),
        )
        .on::<TrustKeyRequest, Vec<PluginKey>>(&Method::POST, keys, "Takes bundles of a key", post(trust))
        .on::<Nothing, Nothing>(
            &Method::DELETE,
            "/api/plugin-keys/{name}",
            "Takes no more bundles of a key",
            delete(distrust),
        )
        .on::<CommandCall, CommandAnswer>(&Method::POST, &verb("run"), "Runs one of its commands", post(run))
        .on::<PanelCall, Panel>(
            &Method::POST,
            &verb("panel"),
            "Gives what one of its panels shows",
            post(panel),
        )
}

async fn list(State(server): S) -> Reply<Vec<PluginInfo>> {
    blocking(move || verb::plugin::list(&server)).await
}

async fn install(
    State(server): S,
    Query(query): Query<InstallQuery>,
    request: Request,
) -> Result<axum::Json<PluginInfo>, Failure> {
    disk::require_room(&server.layout)?;
    let tar = spool(&server.layout, request.into_body()).await?;
    blocking(move || verb::plugin::install(&server, tar, &query)).await
}

async fn info(State(server): S, Named(name): Named<PluginName>) -> Reply<PluginInfo> {
    blocking(move || verb::plugin::info(&server, &name)).await
}

async fn remove(State(server): S, Named(name): Named<PluginName>) -> Reply<()> {
    blocking(move || verb::plugin::remove(&server, &name)).await
}

async fn enable(
    State(server): S,
    Named(name): Named<PluginName>,
    Body(request): Body<EnablePluginRequest>,
) -> Reply<PluginInfo> {
    blocking(move || verb::plugin::enable(&server, &name, &request)).await
}

async fn disable(State(server): S, Named(name): Named<PluginName>) -> Reply<PluginInfo> {
    blocking(move || verb::plugin::disable(&server, &name)).await
}

async fn check(State(server): S, Named(name): Named<PluginName>) -> Reply<PluginReport> {
    blocking(move || verb::plugin::check(&server, &name)).await
}

async fn check_folder(State(server): S, request: Request) -> Result<axum::Json<PluginReport>, Failure> {
    disk::require_room(&server.layout)?;
    let tar = spool(&server.layout, request.into_body()).await?;
    blocking(move || verb::plugin::check_folder(&server, tar)).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PluginLogsQuery {
    #[serde(default = "usual_lines")]
    last: usize,
}

fn usual_lines() -> usize {
    100
}

async fn logs(
    State(server): S,
    Named(name): Named<PluginName>,
    Query(query): Query<PluginLogsQuery>,
) -> Reply<Vec<LogLine>> {
    blocking(move || verb::plugin::logs(&server, &name, query.last)).await
}

async fn panel(
    State(server): S,
    Named(name): Named<PluginName>,
    Body(call): Body<PanelCall>,
) -> Reply<Panel> {
    blocking(move || verb::plugin::panel(&server, &name, &call)).await
}

async fn list_keys(State(server): S) -> Reply<Vec<PluginKey>> {
    blocking(move || verb::plugin::keys(&server)).await
}

async fn trust(State(server): S, Body(request): Body<TrustKeyRequest>) -> Reply<Vec<PluginKey>> {
    blocking(move || verb::plugin::trust(&server, &request)).await
}

async fn distrust(State(server): S, Named(name): Named<String>) -> Reply<()> {
    blocking(move || verb::plugin::distrust(&server, &name)).await
}

async fn run(
    State(server): S,
    Named(name): Named<PluginName>,
    Body(call): Body<CommandCall>,
) -> Reply<CommandAnswer> {
    blocking(move || verb::plugin::run(&server, &name, &call)).await
}
