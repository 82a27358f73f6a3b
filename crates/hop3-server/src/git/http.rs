// SPDX-License-Identifier: Apache-2.0
//! The HTTP door: git's smart protocol at `/APP.git` (and `/APP`), three addresses and no other.
//!
//! Invariant: no git runs and nothing is created before the app's name is parsed, the request has one of the known
//! forms, and the token is admitted. The dumb protocol is not served.

use super::access::{GitAccess, Refusal, Service};
use super::cgi::{self, Call};
use super::shell::protocol_version;
use axum::Router;
use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::http::header::{self, HeaderMap};
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hop3_core::name::AppName;
use hop3_core::secret::Secret;
use hop3_core::{Kind, Problem};

/// The routes of git. A request's extensions and headers are not trusted for anything but what is read here.
pub fn router<A: GitAccess>(access: A) -> Router {
    Router::new()
        .route("/{repository}/info/refs", get(discover::<A>))
        .route("/{repository}/git-receive-pack", post(receive_pack::<A>))
        .route("/{repository}/git-upload-pack", post(upload_pack::<A>))
        .with_state(access)
}

async fn discover<A: GitAccess>(
    State(access): State<A>,
    Path(repository): Path<String>,
    request: Request,
) -> Response {
    let service = match request.uri().query() {
        Some("service=git-receive-pack") => Service::ReceivePack,
        Some("service=git-upload-pack") => Service::UploadPack,
        _ => return refuse(&dumb_protocol()),
    };
    serve(access, repository, service, request).await
}

async fn receive_pack<A: GitAccess>(
    State(access): State<A>,
    Path(repository): Path<String>,
    request: Request,
) -> Response {
    serve(access, repository, Service::ReceivePack, request).await
}

async fn upload_pack<A: GitAccess>(
    State(access): State<A>,
    Path(repository): Path<String>,
    request: Request,
) -> Response {
    serve(access, repository, Service::UploadPack, request).await
}

async fn serve<A: GitAccess>(access: A, repository: String, service: Service, request: Request) -> Response {
    let name = repository.strip_suffix(".git").unwrap_or(&repository);
    let app: AppName = match name.parse() {
        Ok(app) => app,
        Err(problem) => return refuse(&problem),
    };
    let call = match read_call(service, &request) {
        Ok(call) => call,
        Err(problem) => return refuse(&problem),
    };
    let token = token(request.headers());
    // Asking may read the store, and make an app and its repository.
    let asked = tokio::task::spawn_blocking(move || access.admit(token.as_ref(), &app, service)).await;
    match asked {
        Ok(Ok(admitted)) => {
            cgi::run(call, &admitted, request.into_body()).await.unwrap_or_else(|p| refuse(&p))
        }
        Ok(Err(Refusal::Unauthenticated)) => ask_for_token(),
        Ok(Err(Refusal::Problem(problem))) => refuse(&problem),
        Err(panic) => {
            tracing::error!(error = %panic, "admitting a git client failed");
            refuse(&Problem::new(Kind::Bug, "git.internal", "the server could not answer"))
        }
    }
}

/// Checks everything git's backend will be told about the request against the forms git's client sends.
fn read_call(service: Service, request: &Request) -> Result<Call, Problem> {
    let headers = request.headers();
    let header = |name: header::HeaderName| headers.get(name).and_then(|v| v.to_str().ok());
    let posts = request.method() == Method::POST;
    let expected = format!("application/x-{}-request", service.as_str());
    if posts && header(header::CONTENT_TYPE) != Some(&expected) {
        return Err(bad_request("the content type is not git's"));
    }
    let gzip = match header(header::CONTENT_ENCODING) {
        None => false,
        Some("gzip" | "x-gzip") => true,
        Some(_) => return Err(bad_request("the content encoding is not gzip")),
    };
    let length = match headers.get(header::CONTENT_LENGTH).map(|v| v.to_str().ok()?.parse().ok()) {
        None => None,
        Some(Some(length)) => Some(length),
        Some(None) => return Err(bad_request("the content length is not a number")),
    };
    let protocol = headers.get("git-protocol").and_then(|v| protocol_version(v.to_str().ok()?));
    Ok(Call { service, posts, gzip, length, protocol })
}

/// git sends the token as the password, with whatever user name.
fn token(headers: &HeaderMap) -> Option<Secret<String>> {
    let (scheme, value) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some(Secret::new(value.trim().to_owned()));
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = String::from_utf8(STANDARD.decode(value.trim()).ok()?).ok()?;
    let (_, password) = decoded.split_once(':')?;
    (!password.is_empty()).then(|| Secret::new(password.to_owned()))
}

fn ask_for_token() -> Response {
    let problem =
        Problem::new(Kind::Denied, "git.token-needed", "a token is needed, and this is none that is known")
            .hint("give a token as the password; make one with: hop3 token create NAME");
    let headers = [(header::WWW_AUTHENTICATE, "Basic realm=\"Hop3\", charset=\"UTF-8\"")];
    (StatusCode::UNAUTHORIZED, headers, text(&problem)).into_response()
}

/// git's client shows the body of a refused discovery as lines of `remote:` when it is plain text.
fn refuse(problem: &Problem) -> Response {
    let status =
        StatusCode::from_u16(problem.kind.http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, text(problem)).into_response()
}

fn text(problem: &Problem) -> Response<Body> {
    ([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], problem.render()).into_response()
}

fn dumb_protocol() -> Problem {
    Problem::new(Kind::Denied, "git.dumb-protocol", "only git's smart protocol is served here")
        .hint("use git 1.6.6 or later")
}

fn bad_request(why: &str) -> Problem {
    Problem::new(Kind::User, "git.bad-request", format!("this is not a request of git's: {why}"))
}

#[cfg(test)]
mod tests;
