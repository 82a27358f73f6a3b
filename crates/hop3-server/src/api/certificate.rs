// SPDX-License-Identifier: Apache-2.0
//! `cert list|info|add|remove|renew|ca`.

use super::endpoint::{Endpoints, Nothing};
use super::reply::{Body, Named, Reply, blocking};
use crate::server::Server;
use crate::verb;
use axum::extract::State;
use axum::http::Method;
use axum::routing::{delete, get, post};
use hop3_core::certificate::{AddCertificateRequest, CertificateAuthority, CertificateInfo};
use std::sync::Arc;

type S = State<Arc<Server>>;

pub(super) fn endpoints(endpoints: Endpoints) -> Endpoints {
    let (all, one) = ("/api/certificates", "/api/certificates/{name}");
    endpoints
        .on::<Nothing, Vec<CertificateInfo>>(&Method::GET, all, "Lists the certificates", get(list))
        .on::<AddCertificateRequest, Vec<CertificateInfo>>(
            &Method::POST,
            all,
            "Adds a certificate of one's own",
            post(add),
        )
        .on::<Nothing, CertificateInfo>(&Method::GET, one, "Tells about a host's certificate", get(info))
        .on::<Nothing, Nothing>(
            &Method::DELETE,
            one,
            "Removes the certificate kept for a host",
            delete(remove),
        )
        .on::<Nothing, Nothing>(
            &Method::POST,
            "/api/certificates/{name}/renew",
            "Has a certificate obtained anew",
            post(renew),
        )
        .on::<Nothing, CertificateAuthority>(
            &Method::GET,
            "/api/certificate-authority",
            "Gives the certificate of this installation's own authority",
            get(ca),
        )
}

async fn list(State(server): S) -> Reply<Vec<CertificateInfo>> {
    blocking(move || verb::certificate::list(&server)).await
}

async fn info(State(server): S, Named(name): Named<String>) -> Reply<CertificateInfo> {
    blocking(move || verb::certificate::info(&server, &name)).await
}

async fn add(State(server): S, Body(request): Body<AddCertificateRequest>) -> Reply<Vec<CertificateInfo>> {
    blocking(move || verb::certificate::add(&server, &request)).await
}

async fn remove(State(server): S, Named(name): Named<String>) -> Reply<Nothing> {
    blocking(move || verb::certificate::remove(&server, &name).map(|()| Nothing {})).await
}

async fn renew(State(server): S, Named(name): Named<String>) -> Reply<Nothing> {
    blocking(move || verb::certificate::renew(&server, &name).map(|()| Nothing {})).await
}

async fn ca(State(server): S) -> Reply<CertificateAuthority> {
    blocking(move || verb::certificate::ca(&server)).await
}
