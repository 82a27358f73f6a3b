// SPDX-License-Identifier: Apache-2.0
//! Who may call what. Deny by default: everything beneath `/api` needs a grant but for the routes in `PUBLIC`.
//!
//! On the local socket the kernel says who calls (SO_PEERCRED): root and the server's own user are admin. Everybody
//! else brings a token, as `Authorization: Bearer` or as the password of `Basic` (RFC 6750, RFC 7617).

use super::reply::Failure;
use crate::server::{Server, internal};
use crate::store::Grant;
use axum::extract::connect_info::Connected;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::serve::IncomingStream;
use base64::Engine;
use hop3_core::problem::{Kind, Problem};
use std::sync::Arc;
use tokio::net::UnixListener;

/// Paths anybody may read: the golden list.
pub(super) const PUBLIC: &[&str] = &["/health", "/api/openapi.json"];

/// The user at the other end of a local connection.
#[derive(Clone, Copy, Debug)]
pub struct Peer {
    pub uid: Option<u32>,
}

impl Connected<IncomingStream<'_, UnixListener>> for Peer {
    fn connect_info(stream: IncomingStream<'_, UnixListener>) -> Peer {
        Peer { uid: stream.io().peer_cred().ok().map(|cred| cred.uid()) }
    }
}

/// Middleware of the listener the proxy forwards to: tokens only.
pub async fn admit(State(server): State<Arc<Server>>, mut request: Request, next: Next) -> Response {
    let path = request.uri().path().to_owned();
    if PUBLIC.contains(&path.as_str()) || !path.starts_with("/api") {
        return next.run(request).await;
    }
    match token_grant(&server, request.headers()).and_then(|grant| permit(grant, request.method(), &path)) {
        Ok(grant) => {
            request.extensions_mut().insert(grant);
            next.run(request).await
        }
        Err(problem) => Failure(problem).into_response(),
    }
}

/// Middleware of the local socket: root and the server's own user.
pub async fn admit_local(ConnectInfo(peer): ConnectInfo<Peer>, mut request: Request, next: Next) -> Response {
    let own = rustix::process::getuid().as_raw();
    if peer.uid != Some(0) && peer.uid != Some(own) {
        return Failure(denied("this socket is for root and the server's own user")).into_response();
    }
    request.extensions_mut().insert(Grant::Admin);
    next.run(request).await
}

/// The grant of the token a request brings.
pub fn token_grant(server: &Server, headers: &HeaderMap) -> Result<Grant, Problem> {
    let token = token(headers).ok_or_else(|| {
        Problem::new(Kind::Denied, "auth.missing", "this needs a token")
            .hint("make one on the server with: hop3 token create NAME; then: hop3 login URL --token TOKEN")
    })?;
    server.store.grant_of_token(&token).map_err(internal)?.ok_or_else(|| {
        Problem::new(Kind::Denied, "auth.unknown-token", "this token is not known here")
            .hint("it may have been revoked; make a new one with: hop3 token create NAME")
    })
}

fn token(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, rest) = value.split_once(' ')?;
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some(rest.trim().to_owned());
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = base64::engine::general_purpose::STANDARD.decode(rest.trim()).ok()?;
    let (_, password) = std::str::from_utf8(&decoded).ok()?.split_once(':')?;
    Some(password.to_owned())
}

/// A grant for one app reaches that app and nothing else; destroying, renaming and cloning need admin.
fn permit(grant: Grant, method: &Method, path: &str) -> Result<Grant, Problem> {
    let Grant::App(own) = &grant else { return Ok(grant) };
    let parts: Vec<&str> = path.trim_start_matches('/').split('/').collect();
    let allowed = match parts.as_slice() {
        ["api", "server"] => method == Method::GET,
        ["api", "apps", name] => *name == own.as_str() && method == Method::GET,
        ["api", "apps", name, verb, ..] => *name == own.as_str() && !matches!(*verb, "rename" | "clone"),
        _ => false,
    };
    if allowed { Ok(grant) } else { Err(denied("this token is for one app and may not do this")) }
}

pub(super) fn denied(title: &str) -> Problem {
    Problem::new(Kind::Denied, "auth.denied", title)
}
