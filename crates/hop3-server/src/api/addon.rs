// SPDX-License-Identifier: Apache-2.0
//! `addon …`.

use super::endpoint::{Endpoints, Nothing};
use super::reply::{Body, Failure, Named, Query, Reply, blocking};
use super::{run, transfer};
use crate::server::Server;
use crate::verb::addon as verb;
use axum::extract::State;
use axum::extract::ws::WebSocketUpgrade;
use axum::http::Method;
use axum::response::Response;
use axum::routing::{delete, get, post, put};
use hop3_core::api::{
    AddonCredentials, AddonInfo, AddonKinds, AddonSummary, BindRequest, CreateAddonRequest,
    DestroyAddonRequest, ExposeAddonRequest, NewAddonNameRequest, ProtectAddonRequest, ReleaseMade,
    RestoreAddonRequest, RotateAddonRequest, ScaleAddonRequest, SetCredentialsRequest, UpgradeAddonRequest,
};
use hop3_core::driver::LogLine;
use hop3_core::name::AddonName;
use serde::Deserialize;
use std::sync::Arc;

type S = State<Arc<Server>>;

/// One addon.
const ONE: &str = "/api/addons/{addon}";

fn of(verb: &str) -> String {
    format!("{ONE}/{verb}")
}

pub(super) fn endpoints(endpoints: Endpoints) -> Endpoints {
    carried(bound(life(endpoints)))
}

/// That there is one.
fn life(endpoints: Endpoints) -> Endpoints {
    endpoints
        .on::<Nothing, AddonKinds>(&Method::GET, "/api/addon-kinds", "Lists the kinds of addons", get(kinds))
        .on::<Nothing, Vec<AddonSummary>>(&Method::GET, "/api/addons", "Lists the addons", get(list))
        .on::<CreateAddonRequest, AddonInfo>(&Method::POST, "/api/addons", "Makes an addon", post(create))
        .on::<Nothing, AddonInfo>(&Method::GET, ONE, "Tells about an addon", get(info))
        .on::<DestroyAddonRequest, Nothing>(
            &Method::DELETE,
            ONE,
            "Destroys an addon; for seven days it can be recovered",
            delete(destroy),
        )
        .on::<Nothing, AddonInfo>(
            &Method::POST,
            &of("recover"),
            "Brings a destroyed addon back",
            post(recover),
        )
        .on::<ProtectAddonRequest, AddonInfo>(
            &Method::POST,
            &of("protect"),
            "Keeps an addon from being destroyed, or no longer",
            post(protect),
        )
        .on::<NewAddonNameRequest, AddonInfo>(
            &Method::POST,
            &of("rename"),
            "Gives another name",
            post(rename),
        )
        .on::<ScaleAddonRequest, AddonInfo>(&Method::POST, &of("scale"), "Changes options", post(scale))
        .on::<ExposeAddonRequest, AddonInfo>(
            &Method::POST,
            &of("expose"),
            "Lets a port of the machine lead to it",
            post(expose),
        )
        .on::<Nothing, AddonInfo>(&Method::POST, &of("unexpose"), "Closes that port", post(unexpose))
        .on::<Nothing, Vec<LogLine>>(&Method::GET, &of("logs"), "The newest lines of its server", get(logs))
}

/// Who is told of it.
fn bound(endpoints: Endpoints) -> Endpoints {
    endpoints
        .on::<BindRequest, ReleaseMade>(&Method::POST, &of("bind"), "Tells an app of an addon", post(bind))
        .on::<BindRequest, ReleaseMade>(&Method::POST, &of("unbind"), "Tells an app no longer", post(unbind))
        .on::<BindRequest, ReleaseMade>(
            &Method::POST,
            &of("promote"),
            "Gives a bound addon the plain variable names",
            post(promote),
        )
        .on::<RotateAddonRequest, AddonInfo>(
            &Method::POST,
            &of("rotate"),
            "Changes the password, and tells bound apps",
            post(rotate),
        )
        .on::<SetCredentialsRequest, AddonInfo>(
            &Method::PUT,
            &of("credentials"),
            "Gives another secret, and tells bound apps",
            put(set),
        )
        .on::<Nothing, AddonCredentials>(
            &Method::GET,
            &of("credentials"),
            "What apps are told, with values",
            get(credentials),
        )
        .on::<Nothing, Nothing>(&Method::GET, &of("shell"), "Its client, attached (WebSocket)", get(shell))
}

/// What it holds.
fn carried(endpoints: Endpoints) -> Endpoints {
    endpoints
        .on::<NewAddonNameRequest, AddonInfo>(
            &Method::POST,
            &of("clone"),
            "Makes a second addon with the same contents",
            post(clone),
        )
        .on::<RestoreAddonRequest, AddonInfo>(
            &Method::POST,
            &of("restore"),
            "Brings it, or a new one, to what it held at a past moment",
            post(restore),
        )
        .on::<UpgradeAddonRequest, AddonInfo>(
            &Method::POST,
            &of("upgrade"),
            "Moves it to a server of another version",
            post(upgrade),
        )
        .on::<Nothing, Nothing>(
            &Method::GET,
            &of("export"),
            "All it holds, as its product writes it",
            get(export),
        )
        .on::<Nothing, AddonInfo>(
            &Method::POST,
            &of("import"),
            "Replaces all it holds by the body",
            post(import),
        )
}

async fn kinds(State(server): S) -> Reply<AddonKinds> {
    blocking(move || Ok(verb::kinds(&server))).await
}

async fn list(State(server): S) -> Reply<Vec<AddonSummary>> {
    blocking(move || verb::list(&server)).await
}

async fn create(State(server): S, Body(request): Body<CreateAddonRequest>) -> Reply<AddonInfo> {
    blocking(move || verb::create(&server, &request)).await
}

async fn info(State(server): S, Named(name): Named<AddonName>) -> Reply<AddonInfo> {
    blocking(move || verb::info(&server, &name)).await
}

async fn destroy(
    State(server): S,
    Named(name): Named<AddonName>,
    Body(request): Body<DestroyAddonRequest>,
) -> Reply<Nothing> {
    blocking(move || verb::destroy(&server, &name, &request).map(|()| Nothing {})).await
}

async fn recover(State(server): S, Named(name): Named<AddonName>) -> Reply<AddonInfo> {
    blocking(move || verb::recover(&server, &name)).await
}

async fn protect(
    State(server): S,
    Named(name): Named<AddonName>,
    Body(request): Body<ProtectAddonRequest>,
) -> Reply<AddonInfo> {
    blocking(move || verb::protect(&server, &name, request.protected)).await
}

async fn bind(
    State(server): S,
    Named(name): Named<AddonName>,
    Body(request): Body<BindRequest>,
) -> Reply<ReleaseMade> {
    blocking(move || verb::bind(&server, &name, &request)).await
}

async fn unbind(
    State(server): S,
    Named(name): Named<AddonName>,
    Body(request): Body<BindRequest>,
) -> Reply<ReleaseMade> {
    blocking(move || verb::unbind(&server, &name, &request)).await
}

async fn promote(
    State(server): S,
    Named(name): Named<AddonName>,
    Body(request): Body<BindRequest>,
) -> Reply<ReleaseMade> {
    blocking(move || verb::promote(&server, &name, &request)).await
}

async fn rotate(
    State(server): S,
    Named(name): Named<AddonName>,
    Body(request): Body<RotateAddonRequest>,
) -> Reply<AddonInfo> {
    blocking(move || verb::rotate(&server, &name, &request)).await
}

async fn set(
    State(server): S,
    Named(name): Named<AddonName>,
    Body(request): Body<SetCredentialsRequest>,
) -> Reply<AddonInfo> {
    blocking(move || verb::set(&server, &name, &request)).await
}

async fn credentials(State(server): S, Named(name): Named<AddonName>) -> Reply<AddonCredentials> {
    blocking(move || verb::credentials(&server, &name)).await
}

async fn rename(
    State(server): S,
    Named(name): Named<AddonName>,
    Body(request): Body<NewAddonNameRequest>,
) -> Reply<AddonInfo> {
    blocking(move || verb::rename(&server, &name, &request.name)).await
}

async fn clone(
    State(server): S,
    Named(name): Named<AddonName>,
    Body(request): Body<NewAddonNameRequest>,
) -> Reply<AddonInfo> {
    blocking(move || verb::clone(&server, &name, &request.name)).await
}

async fn scale(
    State(server): S,
    Named(name): Named<AddonName>,
    Body(request): Body<ScaleAddonRequest>,
) -> Reply<AddonInfo> {
    blocking(move || verb::scale(&server, &name, &request)).await
}

async fn upgrade(
    State(server): S,
    Named(name): Named<AddonName>,
    Body(request): Body<UpgradeAddonRequest>,
) -> Reply<AddonInfo> {
    blocking(move || verb::upgrade(&server, &name, &request)).await
}

async fn expose(
    State(server): S,
    Named(name): Named<AddonName>,
    Body(request): Body<ExposeAddonRequest>,
) -> Reply<AddonInfo> {
    blocking(move || verb::expose(&server, &name, &request)).await
}

async fn unexpose(State(server): S, Named(name): Named<AddonName>) -> Reply<AddonInfo> {
    blocking(move || verb::unexpose(&server, &name)).await
}

async fn restore(
    State(server): S,
    Named(name): Named<AddonName>,
    Body(request): Body<RestoreAddonRequest>,
) -> Reply<AddonInfo> {
    blocking(move || verb::restore(&server, &name, &request)).await
}

async fn export(State(server): S, Named(name): Named<AddonName>) -> Result<Response, Failure> {
    Ok(transfer::written(move |to| verb::export(&server, &name, to)).await?)
}

async fn import(State(server): S, Named(name): Named<AddonName>, body: axum::body::Body) -> Reply<AddonInfo> {
    let mut from = transfer::reader(body);
    blocking(move || verb::import(&server, &name, None, &mut from).and_then(|()| verb::info(&server, &name)))
        .await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LogsQuery {
    #[serde(default = "some_lines")]
    n: usize,
}

fn some_lines() -> usize {
    100
}

async fn logs(
    State(server): S,
    Named(name): Named<AddonName>,
    Query(query): Query<LogsQuery>,
) -> Reply<Vec<LogLine>> {
    blocking(move || verb::logs(&server, &name, query.n)).await
}

async fn shell(
    State(server): S,
    Named(name): Named<AddonName>,
    upgrade: WebSocketUpgrade,
) -> Result<Response, Failure> {
    let (owner, of) = (Arc::clone(&server), name.clone());
    let _exists = blocking(move || verb::find(&owner, &of).map(drop)).await?;
    let job = move |server: &Arc<Server>, request: &_| verb::shell(server, &name, request);
    Ok(upgrade.on_upgrade(move |socket| run::session(server, socket, job)))
}
