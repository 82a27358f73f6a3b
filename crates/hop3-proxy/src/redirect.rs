// SPDX-License-Identifier: Apache-2.0
//! What the scheme and the connection of a request decide before its path does: plain HTTP is sent to HTTPS or refused, and a
//! request that came over a connection opened for another host is sent to a connection of its own.

use crate::buffer::Buffer;
use crate::client::{After, Client};
use crate::exchange::Ended;
use crate::http1::forward::Request;
use crate::http1::header::push_line;
use crate::http1::response::{push_connection, push_date, push_status};
use crate::page::{self, Page, reason};
use crate::table::{LiveService, normal_host};
use hop3_core::route::Https;

/// Issuers of certificates ask by plain HTTP (RFC 8555, 8.3).
const CHALLENGES: &str = "/.well-known/acme-challenge/";

/// What a client gets instead of what it asked for.
pub(crate) enum Instead {
    Page(Page),
    Redirect(String),
}

impl Instead {
    pub(crate) async fn send(self, client: &mut Client, request: &Request, head: &[u8]) -> Ended {
        match self {
            Instead::Page(page) => client.own(page, request, head).await,
            Instead::Redirect(location) => redirect(client, request, &location).await,
        }
    }
}

/// `None` when the request may be answered here.
pub(crate) fn by_scheme(
    client: &Client,
    service: &LiveService,
    request: &Request,
    head: &[u8],
) -> Option<Instead> {
    let tls = &service.source.tls;
    let https = client.worker.https.as_ref();
    let mut buffer = [0; 255];
    if let Some(secure) = &client.secure {
        let host = normal_host(&head[request.host.clone()], &mut buffer)?;
        // TLS that an app ends itself is not to be met here, whatever our certificate covers.
        let is_carried = client.worker.registry.table().passthrough(host).is_some();
        let is_for_it =
            !is_carried && https.is_none_or(|https| https.terminator.suits(secure, host, service));
        return (!is_for_it).then_some(Instead::Page(page::MISDIRECTED));
    }
    let path = std::str::from_utf8(&head[request.path.clone()]).unwrap_or("/");
    match https {
        _ if path.starts_with(CHALLENGES) && tls.client_ca.is_none() => None,
        // Sent there, a visitor whom a proxy in front brought by HTTPS would come back the same way.
        _ if is_secure_in_front(client, service, request) => {
            tls.client_ca.as_ref().map(|_| Instead::Page(page::CERTIFICATE_WANTED))
        }
        _ if tls.https == Https::Only => Some(Instead::Page(page::HTTPS_WANTED)),
        Some(https) if tls.https == Https::Redirect || tls.client_ca.is_some() => {
            let host = normal_host(&head[request.host.clone()], &mut buffer)?;
            let port = if https.port == 443 { String::new() } else { format!(":{}", https.port) };
            Some(Instead::Redirect(format!("https://{host}{port}{path}")))
        }
        // Nobody can show a certificate on a plain connection.
        None if tls.client_ca.is_some() => Some(Instead::Page(page::CERTIFICATE_WANTED)),
        _ => None,
    }
}

/// A front, or a proxy that the service trusts, says that the visitor came to it by HTTPS.
fn is_secure_in_front(client: &Client, service: &LiveService, request: &Request) -> bool {
    if client.is_secure_in_front() {
        return true;
    }
    let policy = service.policy.as_ref();
    policy.is_some_and(|policy| policy.is_secure_in_front(client.peer(), request))
}

async fn redirect(client: &mut Client, request: &Request, location: &str) -> Ended {
    // 301 lets clients turn a POST into a GET, which 308 forbids.
    let status = if request.is_safe { 301 } else { 308 };
    let is_read = request.has_no_body();
    let stays = is_read && request.keep_alive && client.worker.may_stay();
    let mut out = Buffer::default();
    push_status(out.open(), status, reason(status));
    push_line(out.open(), "Location", location.as_bytes());
    push_line(out.open(), "Content-Length", b"0");
    push_date(out.open());
    push_connection(out.open(), stays, request.is_http10);
    out.open().extend_from_slice(b"\r\n");
    let after = match client.send(&out).await {
        true if stays => After::Stay,
        true if !is_read => After::Linger,
        _ => After::Close,
    };
    Ended { status, after }
}
