// SPDX-License-Identifier: Apache-2.0
//! The endpoint: takes the UDP port when it is free, accepts connections, and gives the port back.

use super::connection;
use crate::limit::Limits;
use crate::worker::{Https, Order, Worker};
use hop3_core::{Kind, Problem};
use quinn::{Endpoint, EndpointConfig, Incoming, ServerConfig, TokioRuntime, TransportConfig, VarInt};
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use tokio::sync::watch;

/// How much a client may send ahead of what an app takes: on one stream, and on all together.
const STREAM_WINDOW: u32 = 256 << 10;
const WINDOW: u32 = 1 << 20;
/// How much of all answers waits here for a client that is slow.
const SEND_WINDOW: u64 = 1 << 20;
/// What the kernel keeps for the thread while it is busy.
const SOCKET_BUFFER: usize = 2 << 20;
/// Between two looks whether the port is free.
const PATIENCE: Duration = Duration::from_millis(500);
/// So long the clients have to hear of the end.
const FAREWELL: Duration = Duration::from_secs(1);
/// A client must prove that its address is its own while more handshakes than this are under way.
const HANDSHAKES: usize = 64;

/// Serves until there is another order. Whatever happens here, HTTPS goes on by TCP.
pub(crate) async fn serve(
    worker: Rc<Worker>,
    https: Https,
    address: SocketAddr,
    orders: watch::Receiver<Order>,
) {
    if let Err(error) = try_serve(&worker, &https, address, orders).await {
        tracing::warn!(error = format!("{error:#}"), %address, "HTTP/3 is not served");
    }
}

async fn try_serve(
    worker: &Rc<Worker>,
    https: &Https,
    address: SocketAddr,
    mut orders: watch::Receiver<Order>,
) -> anyhow::Result<()> {
    let config = config(https, &worker.limits)?;
    let Some(socket) = bind(address, &mut orders).await else { return Ok(()) };
    let endpoint = Endpoint::new(EndpointConfig::default(), Some(config), socket, Arc::new(TokioRuntime))?;
    https.quic.store(true, Relaxed);
    // The thread waits for this like for a connection.
    let watch = worker.deadlines.watch();
    loop {
        tokio::select! {
            incoming = endpoint.accept() => match incoming {
                Some(incoming) => accept(worker, incoming, &endpoint, &orders),
                None => break,
            },
            changed = orders.changed() => {
                let is_over = changed.is_err() || orders.borrow_and_update().is_end();
                if is_over { break }
            }
        }
    }
    https.quic.store(false, Relaxed);
    endpoint.set_server_config(None);
    watch.in_time(endpoint.wait_idle()).await;
    endpoint.close(VarInt::from_u32(0), b"");
    tokio::time::timeout(FAREWELL, endpoint.wait_idle()).await.ok();
    Ok(())
}

/// `None` when the order to end came before the port was free. It may be had later: the proxy before this one has it
/// until its last connection has ended.
async fn bind(address: SocketAddr, orders: &mut watch::Receiver<Order>) -> Option<UdpSocket> {
    let mut is_told = false;
    loop {
        match UdpSocket::bind(address) {
            Ok(socket) => {
                let reference = socket2::SockRef::from(&socket);
                // Less is allowed, and only costs packets under load.
                reference.set_recv_buffer_size(SOCKET_BUFFER).ok();
                reference.set_send_buffer_size(SOCKET_BUFFER).ok();
                return Some(socket);
            }
            Err(error) if !is_told => {
                let problem = not_bound(address, &error);
                let Problem { code, title, detail, hint, .. } = &problem;
                tracing::warn!(code, problem = title, detail, hint, "HTTP/3 is not served yet");
                is_told = true;
            }
            Err(_) => {}
        }
        tokio::select! {
            () = tokio::time::sleep(PATIENCE) => {}
            changed = orders.changed() => {
                if changed.is_err() || orders.borrow_and_update().is_end() {
                    return None;
                }
            }
        }
    }
}

fn not_bound(address: SocketAddr, error: &io::Error) -> Problem {
    let (code, hint) = match error.kind() {
        io::ErrorKind::AddrInUse => (
            "http3.port-in-use",
            "after an upgrade the proxy before has it for some minutes; else end the program that has it",
        ),
        _ => ("http3.port-not-opened", "let the proxy's user listen on the UDP port that HTTPS has in TCP"),
    };
    Problem::new(Kind::Unavailable, code, format!("the proxy cannot listen on UDP port {}", address.port()))
        .detail(format!("{address}: {error}"))
        .hint(hint)
}

fn config(https: &Https, limits: &Limits) -> anyhow::Result<ServerConfig> {
    let mut transport = TransportConfig::default();
    transport
        .max_concurrent_bidi_streams(limits.streams.into())
        .max_concurrent_uni_streams(VarInt::from_u32(8))
        .stream_receive_window(STREAM_WINDOW.into())
        .receive_window(WINDOW.into())
        .send_window(SEND_WINDOW)
        .datagram_receive_buffer_size(None)
        // A client need not say anything while it waits, or while its WebSocket is silent; one that is gone is found out.
        .keep_alive_interval(Some(limits.idle_timeout / 5))
        .max_idle_timeout(Some(limits.idle_timeout.try_into()?));
    let mut config = ServerConfig::with_crypto(https.terminator.quic()?);
    config.transport_config(Arc::new(transport));
    Ok(config)
}

fn accept(worker: &Rc<Worker>, incoming: Incoming, endpoint: &Endpoint, orders: &watch::Receiver<Order>) {
    let (open, shaking) = (endpoint.open_connections(), worker.quic.shaking());
    let of_one = worker.quic.of(incoming.remote_address().ip());
    if open >= worker.limits.quic_connections || of_one >= worker.limits.quic_connections_of_one {
        incoming.refuse();
    } else if shaking > HANDSHAKES && !incoming.remote_address_validated() {
        incoming.retry().ok();
    } else {
        tokio::task::spawn_local(connection::serve(worker.clone(), incoming, orders.clone()));
    }
}
