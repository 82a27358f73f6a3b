// SPDX-License-Identifier: Apache-2.0
//! Answers: JSON, or a `Problem` with its status. And the bodies and paths handlers take, whose refusals are problems
//! too.

use crate::server::internal;
use axum::Json;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use hop3_core::problem::{Kind, Problem};
use serde::de::DeserializeOwned;

pub(super) type Reply<T> = Result<Json<T>, Failure>;

/// A problem on its way out.
pub struct Failure(pub Problem);

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Failure {
        Failure(problem)
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let status =
            StatusCode::from_u16(self.0.kind.http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        (status, Json(self.0)).into_response()
    }
}

/// Runs a verb on a thread that may block, and answers with its value.
pub(super) async fn blocking<T, F>(verb: F) -> Reply<T>
where
    T: Send + 'static,
    F: FnOnce() -> Result<T, Problem> + Send + 'static,
{
    let result = tokio::task::spawn_blocking(verb).await.map_err(|e| internal(anyhow::Error::from(e)))?;
    Ok(Json(result?))
}

/// A JSON body.
pub(super) struct Body<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = Failure;

    async fn from_request(request: Request, state: &S) -> Result<Body<T>, Failure> {
        let bytes = axum::body::Bytes::from_request(request, state)
            .await
            .map_err(|e| Failure(bad(&e.body_text())))?;
        serde_json::from_slice(&bytes).map(Body).map_err(|e| bad(&e.to_string()).into())
    }
}

impl From<Failure> for Problem {
    fn from(failure: Failure) -> Problem {
        failure.0
    }
}

/// Path parameters, parsed into their newtypes.
pub(super) struct Named<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Named<T> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Named<T>, Failure> {
        let path = axum::extract::Path::<T>::from_request_parts(parts, state).await;
        path.map(|axum::extract::Path(value)| Named(value)).map_err(|e| bad(&e.body_text()).into())
    }
}

/// Query parameters.
pub(super) struct Query<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Query<T> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Query<T>, Failure> {
        let query = axum::extract::Query::<T>::from_request_parts(parts, state).await;
        query.map(|axum::extract::Query(value)| Query(value)).map_err(|e| bad(&e.body_text()).into())
    }
}

fn bad(what: &str) -> Problem {
    Problem::new(Kind::User, "api.bad-request", "the request cannot be understood")
        .detail(what)
        .hint("the API is described at /api/openapi.json")
}
