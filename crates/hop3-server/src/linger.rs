// SPDX-License-Identifier: Apache-2.0
//! An answer that comes before the request is whole: a client that is still sending may read it only afterwards, and a
//! connection that closed meanwhile would have lost it (RFC 9112, 9.6). So the rest is heard, and dropped, for a while.

use axum::Router;
use axum::body::{Body, BodyDataStream, Bytes, HttpBody};
use axum::extract::Request;
use axum::middleware;
use futures_util::{Stream, StreamExt};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::timeout;

/// Whoever sends for longer has no answer coming.
const WHILE: Duration = Duration::from_secs(30);

/// Put around everything that may refuse a request.
pub(crate) fn around(router: Router) -> Router {
    router.layer(middleware::map_request(|request: Request| async { request.map(heard) }))
}

fn heard(body: Body) -> Body {
    if body.is_end_stream() {
        return body;
    }
    Body::from_stream(Heard { rest: Some(body.into_data_stream()) })
}

/// A body that is heard to its end by somebody, whenever it is dropped.
struct Heard {
    /// Until it has ended.
    rest: Option<BodyDataStream>,
}

impl Stream for Heard {
    type Item = Result<Bytes, axum::Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Some(rest) = &mut self.rest else { return Poll::Ready(None) };
        let next = rest.poll_next_unpin(context);
        if matches!(next, Poll::Ready(None | Some(Err(_)))) {
            self.rest = None;
        }
        next
    }
}

impl Drop for Heard {
    fn drop(&mut self) {
        // Without a runtime the server is ending, and its connections with it.
        if let (Some(mut rest), Ok(runtime)) = (self.rest.take(), tokio::runtime::Handle::try_current()) {
            runtime.spawn(timeout(WHILE, async move { while let Some(Ok(_)) = rest.next().await {} }));
        }
    }
}
