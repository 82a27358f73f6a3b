// SPDX-License-Identifier: Apache-2.0
//! How a WebSocket over HTTP/3 ends: by either side, whole or not, by time limits, and with the proxy.

use super::harness::*;
use super::http2::{block_on, serving};
use super::http3::HOST;
use super::http3_dial::*;
use super::http3_websocket::{SWITCHED, app};
use super::tls::with_tls;
use crate::Limits;
use crate::control::{self, Answer};
use bytes::Bytes;
use h3::error::Code;
use hop3_core::route::Tls;
use std::io::{Read, Write};
use std::sync::{Mutex, mpsc};
use std::time::{Duration, Instant};

/// What an app heard last: how much there was, and whether it ended well.
type Heard = (Vec<u8>, bool);

/// An app that tells what it hears, and says `bye` at a good end.
fn listening() -> (Server, mpsc::Receiver<Heard>) {
    let (tell, told) = mpsc::channel();
    let tell = Mutex::new(tell);
    let server = app(move |mut stream, _| {
        stream.write_all(SWITCHED.as_bytes())?;
        let mut heard = Vec::new();
        let is_good = stream.read_to_end(&mut heard).is_ok();
        tell.lock().unwrap().send((heard, is_good)).unwrap();
        stream.write_all(b"bye")
    });
    (server, told)
}

async fn heard(told: mpsc::Receiver<Heard>) -> Heard {
    let waiting = tokio::task::spawn_blocking(move || told.recv_timeout(Duration::from_secs(8)));
    waiting.await.unwrap().expect("the app hears of the end")
}

fn in_flight(proxy: &Proxy) -> u64 {
    let Answer::Figures(figures) = proxy.ask(&control::Request::Figures) else { panic!("no figures") };
    figures.iter().map(|route| route.in_flight).sum()
}

pub(crate) fn wait_for(proxy: &Proxy, count: u64) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while in_flight(proxy) != count {
        assert!(Instant::now() < deadline, "{} under way", in_flight(proxy));
        std::thread::yield_now();
    }
}

async fn opened(client: &mut Speaker) -> Stream {
    let mut stream = client.websocket(&[]).await;
    assert_eq!(stream.recv_response().await.unwrap().status(), 200);
    stream
}

#[test]
fn a_client_that_has_said_all_still_hears() {
    let (server, told) = listening();
    let proxy = serving(&server);
    block_on(async {
        let mut client = Speaker::connect(&proxy).await;
        let mut stream = opened(&mut client).await;
        stream.send_data(Bytes::from_static(b"all")).await.unwrap();
        stream.finish().await.unwrap();
        assert_eq!(heard(told).await, (b"all".to_vec(), true));
        assert_eq!(rest(&mut stream).await.unwrap(), b"bye");
    });
    wait_for(&proxy, 0);
}

#[test]
fn it_is_under_way_until_it_ends_and_a_client_that_breaks_off_ends_it() {
    for how in ["reset", "stop", "close"] {
        let (server, told) = listening();
        let proxy = serving(&server);
        block_on(async {
            let mut client = Speaker::connect(&proxy).await;
            let mut stream = opened(&mut client).await;
            stream.send_data(Bytes::from_static(b"half")).await.unwrap();
            tokio::time::sleep(Duration::from_millis(300)).await;
            assert_eq!(in_flight(&proxy), 1);
            match how {
                "reset" => stream.stop_stream(Code::H3_REQUEST_CANCELLED),
                "stop" => stream.stop_sending(Code::H3_REQUEST_CANCELLED),
                _ => client.quic.close(0_u32.into(), b""),
            }
            assert_eq!(heard(told).await.0, b"half", "{how}");
            if how == "reset" {
                assert_eq!(code(&rest(&mut stream).await.unwrap_err()), Some(Code::H3_REQUEST_CANCELLED));
            }
        });
        wait_for(&proxy, 0);
    }
}

#[test]
fn an_app_that_closes_ends_it_well_and_one_that_breaks_off_does_not() {
    let server = app(|mut stream, head| {
        stream.write_all(SWITCHED.as_bytes())?;
        stream.write_all(b"last words")?;
        let mut read = [0; 4];
        stream.read_exact(&mut read)?;
        if head.contains("breaks") {
            socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO))?;
        }
        Ok(())
    });
    let proxy = serving(&server);
    block_on(async {
        let mut client = Speaker::connect(&proxy).await;
        for ends_well in [true, false] {
            let mut stream =
                client.websocket(&[("x-end", if ends_well { "closes" } else { "breaks" })]).await;
            stream.recv_response().await.unwrap();
            assert_eq!(data(&mut stream).await.unwrap().unwrap(), "last words");
            stream.send_data(Bytes::from_static(b"over")).await.unwrap();
            match data(&mut stream).await {
                Ok(end) => assert!(ends_well && end.is_none(), "{end:?}"),
                Err(error) => {
                    assert!(!ends_well && code(&error) == Some(Code::H3_REQUEST_CANCELLED), "{error}")
                }
            }
            stream.finish().await.ok();
        }
    });
    wait_for(&proxy, 0);
}

fn short(limits: Limits, server: &Server) -> Proxy {
    let proxy = Proxy::secure(limits);
    proxy.put(with_tls(&[HOST], &[server], Tls::default()));
    proxy
}

#[test]
fn its_connection_does_not_idle_and_one_without_requests_does() {
    let (server, _told) = listening();
    let proxy = short(Limits { idle_timeout: Duration::from_secs(1), ..Limits::default() }, &server);
    block_on(async {
        let mut client = Speaker::connect(&proxy).await;
        let stream = opened(&mut client).await;
        tokio::time::sleep(Duration::from_secs(4)).await;
        assert_eq!(client.quic.close_reason(), None);
        assert_eq!(in_flight(&proxy), 1);
        drop(stream);
        let ended = tokio::time::timeout(Duration::from_secs(4), client.driver).await.unwrap().unwrap();
        assert!(ended.is_h3_no_error(), "{ended}");
    });
}

#[test]
fn one_that_is_silent_for_too_long_ends() {
    let (server, told) = listening();
    let limits = Limits { tunnel_idle_timeout: Duration::from_secs(1), ..Limits::default() };
    let proxy = short(limits, &server);
    block_on(async {
        let mut client = Speaker::connect(&proxy).await;
        let mut stream = opened(&mut client).await;
        assert_eq!(heard(told).await, (Vec::new(), true));
        assert_eq!(rest(&mut stream).await.unwrap_or_default(), b"");
    });
    wait_for(&proxy, 0);
}

#[test]
fn a_proxy_that_stops_lets_it_go_on_until_the_grace_is_over() {
    let (server, told) = listening();
    let proxy = short(Limits { stop_grace: Duration::from_secs(3), ..Limits::default() }, &server);
    block_on(async {
        let mut client = Speaker::connect(&proxy).await;
        let mut stream = opened(&mut client).await;
        let begun = Instant::now();
        let idle = Speaker::connect(&proxy).await;
        let stopping = std::thread::spawn(move || drop(proxy.stop()));
        // One that has nothing under way is told at once.
        idle.driver.await.unwrap();
        tokio::time::sleep(Duration::from_secs(1)).await;
        stream.send_data(Bytes::from_static(b"still")).await.unwrap();
        // What it still says arrives, and more time than that it has not.
        assert_eq!(heard(told).await.0, b"still");
        assert!(begun.elapsed() >= Duration::from_secs(2), "{:?}", begun.elapsed());
        rest(&mut stream).await.ok();
        stopping.join().unwrap();
    });
}

#[test]
fn a_drain_cuts_it_at_its_deadline() {
    let (server, told) = listening();
    let proxy = serving(&server);
    let (new, _) = listening();
    block_on(async {
        let mut client = Speaker::connect(&proxy).await;
        let mut stream = opened(&mut client).await;
        proxy.put(with_tls(&[HOST], &[&new], Tls::default()));
        let drained = proxy.drain(std::slice::from_ref(&server.id), Duration::from_millis(100));
        assert!(matches!(drained, Answer::Drained(drained) if drained.cut == 1), "{drained:?}");
        assert_eq!(heard(told).await.0, b"");
        rest(&mut stream).await.ok();
        // The connection goes on.
        opened(&mut client).await;
    });
}
