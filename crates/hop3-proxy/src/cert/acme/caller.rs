// SPDX-License-Identifier: Apache-2.0
//! `Caller`: HTTPS to one authority. Keeps connections, bounds time and size, and hands up what an authority says of
//! waiting.

use super::fault::{Busy, Silent};
use bytes::Bytes;
use http::header::{HeaderValue, RETRY_AFTER, USER_AGENT};
use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use instant_acme::{BodyWrapper, BytesResponse, Error, HttpClient};
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

/// No answer of an authority is so long: chains have a few KiB.
const MAX_ANSWER: usize = 1 << 20;
const AGENT: HeaderValue = HeaderValue::from_static(concat!("hop3/", env!("CARGO_PKG_VERSION")));

#[derive(Clone)]
pub(super) struct Caller {
    client: Client<HttpsConnector<HttpConnector>, BodyWrapper<Bytes>>,
    patience: Duration,
}

impl Caller {
    /// Trusts the roots given, else those of the machine.
    pub(super) fn new(root_pem: Option<&str>, patience: Duration) -> Result<Caller, Error> {
        let roots = match root_pem {
            Some(pem) => given(pem)?,
            None => of_the_machine(),
        };
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(other)?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let connector = HttpsConnectorBuilder::new().with_tls_config(tls).https_only().enable_http1().build();
        Ok(Caller { client: Client::builder(TokioExecutor::new()).build(connector), patience })
    }

    async fn call(self, mut request: Request<BodyWrapper<Bytes>>) -> Result<BytesResponse, Error> {
        request.headers_mut().insert(USER_AGENT, AGENT);
        let answered = async {
            let (parts, body) = self.client.request(request).await.map_err(other)?.into_parts();
            let body = Limited::new(body, MAX_ANSWER).collect().await.map_err(Error::Other)?.to_bytes();
            Ok::<_, Error>((parts, body))
        };
        let answered = tokio::time::timeout(self.patience, answered).await;
        let (parts, body) = answered.map_err(|_| other(Silent(self.patience)))??;
        let asks_to_wait =
            [StatusCode::TOO_MANY_REQUESTS, StatusCode::SERVICE_UNAVAILABLE].contains(&parts.status);
        match wait(&parts.headers) {
            Some(wait) if asks_to_wait => Err(other(Busy { words: words(&body), wait })),
            _ => Ok(BytesResponse { parts, body: Box::new(body) }),
        }
    }
}

impl HttpClient for Caller {
    fn request(
        &self,
        request: Request<BodyWrapper<Bytes>>,
    ) -> Pin<Box<dyn Future<Output = Result<BytesResponse, Error>> + Send>> {
        Box::pin(self.clone().call(request))
    }
}

pub(super) fn other(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::Other(Box::new(error))
}

fn given(pem: &str) -> Result<RootCertStore, Error> {
    let mut roots = RootCertStore::empty();
    for root in CertificateDer::pem_slice_iter(pem.as_bytes()) {
        roots.add(root.map_err(other)?).map_err(other)?;
    }
    if roots.is_empty() { Err(Error::Str("no certificate is in it")) } else { Ok(roots) }
}

fn of_the_machine() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    roots
}

/// `Retry-After` as seconds or as a date (RFC 9110 §10.2.3).
fn wait(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let at = jiff::fmt::rfc2822::parse(text).ok()?.timestamp();
    Some(at.duration_since(jiff::Timestamp::now()).try_into().unwrap_or(Duration::ZERO))
}

fn words(body: &[u8]) -> String {
    let problem: Option<instant_acme::Problem> = serde_json::from_slice(body).ok();
    let text = problem.and_then(|problem| problem.detail);
    text.unwrap_or_else(|| String::from_utf8_lossy(&body[..body.len().min(500)]).into_owned())
}
