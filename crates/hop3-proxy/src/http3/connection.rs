// SPDX-License-Identifier: Apache-2.0
//! One connection: its handshake, then its requests, each with a task of its own.
//!
//! Idle ones end by QUIC's own time limit; an order to end is told to the client, whose requests are finished.

use super::exchange;
use crate::client::Way;
use crate::tls::Secure;
use crate::worker::{Order, Worker};
use bytes::Bytes;
use quinn::crypto::rustls::HandshakeData;
use quinn::{Connection, Incoming, VarInt};
use std::rc::Rc;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// The code of an end in peace (RFC 9114, 8.1).
const NO_ERROR: u32 = 0x100;

/// Counts a handshake that is under way.
struct Shaking(Rc<Worker>);

impl Shaking {
    fn begin(worker: &Rc<Worker>) -> Shaking {
        worker.quic_handshakes.set(worker.quic_handshakes.get() + 1);
        Shaking(worker.clone())
    }
}

impl Drop for Shaking {
    fn drop(&mut self) {
        self.0.quic_handshakes.set(self.0.quic_handshakes.get() - 1);
    }
}

pub(super) async fn serve(worker: Rc<Worker>, incoming: Incoming, orders: watch::Receiver<Order>) {
    let shaking = Shaking::begin(&worker);
    let shaken = tokio::time::timeout(worker.limits.handshake_timeout, incoming).await;
    drop(shaking);
    if let Ok(Ok(connection)) = shaken {
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
    let mut frames = h3::server::builder()
        .max_field_section_size(worker.limits.head_bytes as u64)
        .build::<_, Bytes>(h3_quinn::Connection::new(connection.clone()))
        .await?;
    let mut requests = JoinSet::new();
    let mut is_leaving = false;
    while !is_leaving || !requests.is_empty() {
        tokio::select! {
            accepted = frames.accept() => {
                let Some(resolver) = accepted? else { break };
                let (worker, way, connection) = (worker.clone(), way.clone(), connection.clone());
                requests.spawn_local(exchange::run(worker, way, resolver, connection));
            }
            Some(_) = requests.join_next() => {}
            changed = orders.changed(), if !is_leaving => {
                if changed.is_err() || orders.borrow_and_update().is_end() {
                    is_leaving = true;
                    frames.shutdown(0).await?;
                }
            }
        }
    }
    // What was answered has yet to be heard.
    while requests.join_next().await.is_some() {}
    connection.close(VarInt::from_u32(NO_ERROR), b"");
    Ok(())
}

fn way(connection: &Connection) -> Way {
    let shaken = connection.handshake_data().and_then(|data| data.downcast::<HandshakeData>().ok());
    let host = shaken.and_then(|data| data.server_name).map(|host| host.to_ascii_lowercase());
    let secure = Secure { host, version: "TLSv1.3", ..Secure::default() };
    Way {
        peer: connection.remote_address().ip(),
        secure: Some(Rc::new(secure)),
        protocol: "HTTP/3.0",
        is_behind: false,
    }
}
