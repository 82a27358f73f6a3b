// SPDX-License-Identifier: Apache-2.0
//! `run` and `exec` over a real WebSocket.

use super::program::hop3;
use super::server::Server;
use expect_test::expect;
use futures_util::{SinkExt, StreamExt};
use tokio_tungstenite::tungstenite::Message;

/// Accepts one WebSocket, reads the request, sends the given messages; gives the request's text.
fn talk(
    listener: std::os::unix::net::UnixListener,
    messages: Vec<Message>,
) -> std::thread::JoinHandle<String> {
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async move {
            listener.set_nonblocking(true).unwrap();
            let listener = tokio::net::UnixListener::from_std(listener).unwrap();
            let (stream, _) = listener.accept().await.unwrap();
            let mut socket = tokio_tungstenite::accept_async(stream).await.unwrap();
            let request = socket.next().await.unwrap().unwrap().into_text().unwrap().to_string();
            for message in messages {
                socket.send(message).await.unwrap();
            }
            // The client may still be sending its end of input; it closes when it has the status.
            while let Some(Ok(_)) = socket.next().await {}
            request
        })
    })
}

#[test]
fn run_passes_bytes_and_ends_with_the_commands_status() {
    let (server, listener) = Server::bare();
    let messages = vec![Message::binary(&b"one\n"[..]), Message::text(r#"{"status":42}"#)];
    let far_end = talk(listener, messages);
    let done = hop3(&server, &["run", "-a", "shop", "python", "-c", "print(1)", "--json"]);
    expect![[r#"
        {"argv":["python","-c","print(1)","--json"],"terminal":null,"instance":null}
        one
        exit status 42
    "#]]
    .assert_eq(&format!("{}\n{}", far_end.join().unwrap(), done.text()));
}

#[test]
fn exec_names_the_instance_and_shows_its_problem() {
    let (server, listener) = Server::bare();
    let problem = r#"{"code":"instance.unknown","kind":"not-found","title":"there is no instance web.v9.1"}"#;
    let far_end = talk(listener, vec![Message::text(problem)]);
    let done = hop3(&server, &["exec", "-a", "shop", "web.v9.1", "ls", "-l"]);
    expect![[r#"
        {"argv":["ls","-l"],"terminal":null,"instance":"web.v9.1"}
        error[instance.unknown]: there is no instance web.v9.1
        exit status 3
    "#]]
    .assert_eq(&format!("{}\n{}", far_end.join().unwrap(), done.text()));
}

#[test]
fn a_refused_run_shows_the_servers_problem() {
    let body = r#"{"code":"app.unknown","kind":"not-found","title":"there is no app shop"}"#;
    let server = Server::start(&[("GET /api/apps/shop/run", 404, vec![body.into()])]);
    let done = hop3(&server, &["run", "-a", "shop", "ls"]);
    assert_eq!(done.status, 3, "{}", done.text());
}

#[test]
fn a_detached_run_tells_where_its_output_is() {
    let answer = vec![r#"{"name":"run.1"}"#.to_owned()];
    let server = Server::start(&[("POST /api/apps/shop/run", 200, answer)]);
    let done = hop3(&server, &["run", "-d", "-a", "shop", "rake", "db:seed"]);
    expect![[r#"
        POST /api/apps/shop/run {"argv":["rake","db:seed"],"terminal":null,"instance":null}
        started run.1; its output is in: hop3 logs -a shop
        exit status 0
    "#]]
    .assert_eq(&format!("{}{}", server.requests(), done.text()));
}
