// SPDX-License-Identifier: Apache-2.0
//! The API: one router, denied by default, from which the OpenAPI document is made too.
//!
//! Every route is added by `Endpoints::on`, with the types of its request and answer; there is no other way in, so
//! the document cannot miss one. Handlers are thin: parse, call a verb on a blocking thread, answer.

mod access;
mod acme;
mod addon;
mod app;
mod auth;
mod backup;
mod certificate;
mod config;
mod deployment;
mod domain;
mod endpoint;
mod log;
mod plugin;
mod process;
mod proxy;
mod release;
mod reply;
mod run;
mod server;
mod spool;
mod storage;
mod traffic;
mod transfer;

pub use auth::{Peer, admit, admit_local, token_grant};
pub use deployment::deploy_in_background;
pub use endpoint::{Endpoints, openapi};

use crate::server::Server;
use axum::Router;
use std::sync::Arc;

/// The whole API, without authentication: `admit` is put around it by the listeners.
pub fn router(server: Arc<Server>) -> Router {
    endpoints().router(server)
}

/// Every endpoint, in the order of the document.
pub fn endpoints() -> Endpoints {
    let endpoints = Endpoints::default();
    let endpoints = app::endpoints(endpoints);
    let endpoints = deployment::endpoints(endpoints);
    let endpoints = process::endpoints(endpoints);
    let endpoints = run::endpoints(endpoints);
    let endpoints = config::endpoints(endpoints);
    let endpoints = release::endpoints(endpoints);
    let endpoints = addon::endpoints(endpoints);
    let endpoints = storage::endpoints(endpoints);
    let endpoints = domain::endpoints(endpoints);
    let endpoints = acme::endpoints(endpoints);
    let endpoints = proxy::endpoints(endpoints);
    let endpoints = certificate::endpoints(endpoints);
    let endpoints = backup::settings(backup::endpoints(endpoints));
    let endpoints = log::endpoints(endpoints);
    let endpoints = traffic::endpoints(endpoints);
    let endpoints = plugin::endpoints(endpoints);
    let endpoints = access::endpoints(endpoints);
    server::endpoints(endpoints)
}
