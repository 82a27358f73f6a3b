// SPDX-License-Identifier: Apache-2.0
//! Sockets of a ring against sockets of the standard library.

use super::driver::{Driver, current};
use super::socket::Socket;
use crate::buffer::PIECE;
use std::future::poll_fn;
use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;

/// More than both ends of a loopback connection hold.
const LARGE: usize = 16 << 20;

/// Runs the test's work with one end of a connection on a thread that has a ring and ends with the work. The other end
/// is for `peer`.
fn with_ring<T: Send>(work: impl AsyncFnOnce(Socket), peer: impl FnOnce(TcpStream) -> T + Send) -> Option<T> {
    if let Err(error) = Driver::look() {
        assert!(std::env::var_os("HOP3_NO_SKIP").is_none(), "io_uring: {error}");
        println!("SKIP what needs io_uring: {error}");
        return None;
    }
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::scope(|scope| {
        let peer = scope.spawn(move || peer(TcpStream::connect(address).unwrap()));
        let stream = listener.accept().unwrap().0;
        stream.set_nonblocking(true).unwrap();
        let options = tokio::runtime::LocalOptions::default();
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build_local(options).unwrap();
        let ring = runtime.block_on(async { Driver::begin().unwrap() });
        runtime.block_on(work(Socket::new(current().unwrap(), stream.into())));
        drop(runtime);
        ring.end();
        Some(peer.join().unwrap())
    })
}

fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|i| (i / 7) as u8).collect()
}

async fn write(socket: &Socket, bytes: &[u8]) {
    let mut sent = 0;
    while sent < bytes.len() {
        let end = bytes.len().min(sent + 5_000);
        sent += poll_fn(|cx| socket.poll_write(cx, &bytes[sent..end])).await.unwrap();
    }
}

#[test]
fn what_was_written_arrives_though_the_socket_and_the_thread_are_gone() {
    // Two pieces: one is under way, one is behind it, and no turn comes between them and the end.
    let bytes = pattern(PIECE);
    let sent = bytes.clone();
    let got = with_ring(
        async move |socket| write(&socket, &sent).await,
        |mut peer| {
            let mut got = Vec::new();
            peer.read_to_end(&mut got).map(|_| got)
        },
    );
    assert!(got.is_none_or(|got| got.unwrap() == bytes));
}

#[test]
fn a_slow_reader_gets_everything_and_holds_the_writer_up() {
    let bytes = pattern(LARGE);
    let sent = bytes.clone();
    let got = with_ring(
        async move |socket| {
            write(&socket, &sent).await;
            poll_fn(|cx| socket.poll_finish(cx)).await.unwrap();
            // The other side's end.
            assert_eq!(poll_fn(|cx| socket.poll_read(cx, &mut [0; 1])).await.unwrap(), 0);
        },
        |mut peer| {
            let mut got = Vec::new();
            peer.read_to_end(&mut got).unwrap();
            got
        },
    );
    assert!(got.is_none_or(|got| got == bytes));
}

#[test]
fn what_nobody_reads_stays_with_the_sender() {
    let bytes = pattern(LARGE);
    let sent = bytes.clone();
    let (stuck, is_stuck) = tokio::sync::oneshot::channel();
    with_ring(
        async move |socket| {
            let mut first = [0; 1];
            // Once something is received, more comes than is asked for.
            assert_eq!(poll_fn(|cx| socket.poll_read(cx, &mut first)).await.unwrap(), 1);
            is_stuck.await.unwrap();
            let (mut got, mut room) = (first.to_vec(), vec![0; PIECE]);
            loop {
                match poll_fn(|cx| socket.poll_read(cx, &mut room)).await.unwrap() {
                    0 => break,
                    count => got.extend_from_slice(&room[..count]),
                }
            }
            assert!(got == bytes);
        },
        |mut peer| {
            peer.set_nonblocking(true).unwrap();
            let (mut sent_bytes, mut full) = (0, 0);
            // Full a thousand times, with turns between: nothing more is taken.
            while full < 1_000 {
                match peer.write(&sent[sent_bytes..]) {
                    Ok(count) => (sent_bytes, full) = (sent_bytes + count, 0),
                    Err(error) if error.kind() == ErrorKind::WouldBlock => full += 1,
                    Err(error) => panic!("{error}"),
                }
                thread::yield_now();
            }
            assert!(sent_bytes < LARGE);
            stuck.send(()).unwrap();
            peer.set_nonblocking(false).unwrap();
            peer.write_all(&sent[sent_bytes..]).unwrap();
        },
    );
}

#[test]
fn an_aborted_socket_is_reset() {
    let got = with_ring(
        async |socket| {
            write(&socket, b"half").await;
            socket.abort();
        },
        |mut peer| {
            let mut got = Vec::new();
            (peer.read_to_end(&mut got).unwrap_err().kind(), got)
        },
    );
    assert!(got.is_none_or(|got| got == (ErrorKind::ConnectionReset, b"half".to_vec())));
}

#[test]
fn a_socket_that_is_dropped_while_it_waits_is_closed_at_once() {
    let (told, is_told) = std::sync::mpsc::channel();
    with_ring(
        async move |socket| {
            // Something is under way in the kernel.
            let waiting = poll_fn(|cx| socket.poll_read(cx, &mut [0; 1]));
            tokio::select! { biased; _ = waiting => panic!("nothing was sent"), () = tokio::task::yield_now() => {} }
            drop(socket);
            // The thread goes on; the peer sees the end none the less.
            while is_told.try_recv().is_err() {
                tokio::task::yield_now().await;
            }
        },
        move |mut peer| {
            assert_eq!(peer.read(&mut [0; 1]).unwrap(), 0);
            told.send(()).unwrap();
        },
    );
}

#[test]
fn bytes_received_before_the_kernel_carries_the_rest_are_told() {
    with_ring(
        async |socket| {
            let mut first = [0; 1];
            assert_eq!(poll_fn(|cx| socket.poll_read(cx, &mut first)).await.unwrap(), 1);
            poll_fn(|cx| socket.poll_rest(cx)).await;
            assert!(socket.has_unread());
            let mut rest = [0; 16];
            assert_eq!(poll_fn(|cx| socket.poll_read(cx, &mut rest)).await.unwrap(), 2);
            let mut call = |fd: std::os::fd::BorrowedFd<'_>| {
                Ok(rustix::net::recv(fd, &mut rest, rustix::net::RecvFlags::empty())?.0)
            };
            write(&socket, b"go on").await;
            assert_eq!(poll_fn(|cx| socket.poll_take(cx, &mut call)).await.unwrap(), 5);
        },
        |mut peer| {
            peer.write_all(b"abc").unwrap();
            peer.read_exact(&mut [0; 5]).unwrap();
            peer.write_all(b"later").unwrap();
        },
    );
}
