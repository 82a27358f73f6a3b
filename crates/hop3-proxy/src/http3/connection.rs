// SPDX-License-Identifier: Apache-2.0
//! One connection: its handshake, then its requests, each with a task of its own.
//!
//! One without requests ends when it has idled long enough; an order to end is told to the client, whose requests are
//! finished.
//!
//! Invariant: a connection is closed when its last answer was heard, since a close takes back what is still on its way.

use super::exchange;
use super::wire::Wire;
use crate::client::{Way, written};
use crate::memory::Sharing;
use crate::tls::Secure;
use crate::worker::{Order, Worker};
use bytes::Bytes;
use quinn::crypto::rustls::HandshakeData;
use quinn::{Connection, Incoming, VarInt};
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// The code of an end in peace (RFC 9114, 8.1).
const NO_ERROR: u32 = 0x100;
/// So long the end may take to be told.
const FAREWELL: Duration = Duration::from_secs(1);

pub(super) async fn serve(worker: Rc<Worker>, incoming: Incoming, orders: watch::Receiver<Order>) {
    let shaking = worker.quic.begin();
    let shaken = tokio::time::timeout(worker.limits.handshake_timeout, incoming).await;
    drop(shaking);
    if let Ok(Ok(connection)) = shaken {
        let _open = worker.quic.enter(connection.remote_address().ip());
        let error = accept(&worker, connection, orders).await.err();
        tracing::debug!(error = error.map(tracing::field::display), "HTTP/3");
    }
}

async fn accept(
    worker: &Rc<Worker>,
    connection: Connection,
    mut orders: watch::Receiver<Order>,
) -> Result<(), h3::error::ConnectionError> {
    let way = way(&connection);
    // A head that is a little too large is to be read, and answered 431.
    let (wire, latest) = Wire::new(connection.clone(), 2 * worker.limits.head_bytes);
    let mut builder = h3::server::builder();
    builder.max_field_section_size(worker.limits.head_bytes as u64).enable_extended_connect(true);
    let building = tokio::time::timeout(worker.limits.head_timeout, builder.build(wire)).await;
    let Ok(built) = building else { return Ok(()) };
    let mut frames = built?;
    let mut requests = JoinSet::new();
    let mut is_leaving = false;
    let mut ended = Ok(());
    let idle_timeout = worker.limits.idle_timeout;
    let mut idle = pin!(tokio::time::sleep(idle_timeout));
    while ended.is_ok() && !(is_leaving && requests.is_empty()) {
        tokio::select! {
            accepted = frames.accept() => match accepted {
                Ok(Some(resolver)) => {
                    let Some(aside) = latest.take() else { break };
                    requests.spawn_local(exchange::run(worker.clone(), way.clone(), resolver, aside));
                }
                Ok(None) => break,
                Err(error) => ended = Err(error),
            },
            Some(_) = requests.join_next() => idle.as_mut().reset(Instant::now() + idle_timeout),
            () = &mut idle, if requests.is_empty() && !is_leaving => {
                is_leaving = true;
                ended = farewell(&mut frames).await;
            }
            changed = orders.changed(), if !is_leaving => {
                if changed.is_err() || orders.borrow_and_update().is_end() {
                    is_leaving = true;
                    ended = farewell(&mut frames).await;
                }
            }
        }
    }
    // Those of a client that is gone see it themselves, and note it.
    while requests.join_next().await.is_some() {}
    connection.close(VarInt::from_u32(NO_ERROR), b"");
    ended
}

/// Tells the client that no more requests are taken; one that does not listen goes without.
async fn farewell(
    frames: &mut h3::server::Connection<Wire, Bytes>,
) -> Result<(), h3::error::ConnectionError> {
    tokio::time::timeout(FAREWELL, frames.shutdown(0)).await.unwrap_or(Ok(()))
}

fn way(connection: &Connection) -> Way {
    let shaken = connection.handshake_data().and_then(|data| data.downcast::<HandshakeData>().ok());
    let host = shaken.and_then(|data| data.server_name).map(|host| host.to_ascii_lowercase());
    let secure = Secure { host, version: "TLSv1.3", ..Secure::default() };
    Way {
        peer: written(connection.remote_address().ip()),
        secure: Some(Rc::new(secure)),
        protocol: "HTTP/3.0",
        is_behind: false,
        sharing: Sharing::begin(),
    }
}
