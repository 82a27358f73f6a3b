// SPDX-License-Identifier: Apache-2.0
//! `Front`: stands before pebble and adds what Debian's does not know: renewal information (RFC 9773) and rate limits.
//! Everything else goes through as it is.

use super::authority::{Pebble, certify};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection, StreamOwned};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

#[derive(Default)]
pub(super) struct State {
    /// Certificates whose window was asked for.
    pub(super) asked: Vec<String>,
    /// What each order is to replace, and when it came.
    pub(super) orders: Vec<(Option<String>, Instant)>,
    /// So many orders more are refused.
    pub(super) refuse: u32,
}

pub(super) struct Front {
    pub(super) directory: String,
    pub(super) root_pem: String,
    pub(super) state: Arc<Mutex<State>>,
}

struct Message {
    /// First line and headers, without the empty line.
    head: String,
    body: Vec<u8>,
}

impl Front {
    pub(super) fn start(pebble: &Pebble) -> Front {
        let folder = tempfile::tempdir().unwrap();
        let root_pem = certify(folder.path());
        let file = |name: &str| std::fs::read(folder.path().join(name)).unwrap();
        let chain = vec![CertificateDer::from_pem_slice(&file("cert.pem")).unwrap()];
        let key = PrivateKeyDer::from_pem_slice(&file("key.pem")).unwrap();
        let server = ServerConfig::builder().with_no_client_auth().with_single_cert(chain, key).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(pebble.root_pem.as_bytes()).unwrap()).unwrap();
        let client = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (server, client, behind) = (Arc::new(server), Arc::new(client), pebble.address());
        let state: Arc<Mutex<State>> = Arc::default();
        let shared = state.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (server, client, state) = (server.clone(), client.clone(), shared.clone());
                thread::spawn(move || {
                    let tls = ServerConnection::new(server).unwrap();
                    let mut stream = StreamOwned::new(tls, stream);
                    let Ok(request) = read(&mut stream) else { return };
                    let answer = answer(&request, &state, port, |request| {
                        forward(request, &client, behind).unwrap_or_else(gone)
                    });
                    stream.write_all(&answer.bytes()).ok();
                    stream.conn.send_close_notify();
                    stream.flush().ok();
                });
            }
        });
        Front { directory: format!("https://localhost:{port}/dir"), root_pem, state }
    }
}

impl Message {
    fn bytes(&self) -> Vec<u8> {
        let kept = self.head.lines().filter(|line| {
            let line = line.to_lowercase();
            !["content-length:", "connection:"].iter().any(|name| line.starts_with(name))
        });
        let head: String = kept.map(|line| format!("{line}\r\n")).collect();
        let head = format!("{head}Content-Length: {}\r\nConnection: close\r\n\r\n", self.body.len());
        [head.as_bytes(), &self.body].concat()
    }

    fn path(&self) -> &str {
        self.head.split(' ').nth(1).unwrap_or_default()
    }

    fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

fn read(stream: &mut impl Read) -> io::Result<Message> {
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    let length = crate::tests::harness::header(&head, "content-length").and_then(|text| text.parse().ok());
    let mut body = Vec::new();
    match length {
        Some(length) if !head.starts_with("HEAD") => drop(reader.take(length).read_to_end(&mut body)?),
        // An answer whose end is the connection's.
        None if head.starts_with("HTTP/") => drop(reader.read_to_end(&mut body)),
        _ => {}
    }
    Ok(Message { head: head.trim_end().to_owned(), body })
}

fn forward(request: &Message, client: &Arc<ClientConfig>, behind: SocketAddr) -> io::Result<Message> {
    let tls = ClientConnection::new(client.clone(), "localhost".try_into().unwrap()).unwrap();
    let mut stream = StreamOwned::new(tls, TcpStream::connect(behind)?);
    let request =
        Message { head: request.head.replacen("HTTP/1.1", "HTTP/1.0", 1), body: request.body.clone() };
    stream.write_all(&request.bytes())?;
    let mut answer = read(&mut stream)?;
    answer.head = answer.head.replacen("HTTP/1.0", "HTTP/1.1", 1);
    Ok(answer)
}

/// The test is over, and pebble with it.
fn gone(_: io::Error) -> Message {
    Message { head: "HTTP/1.1 502 Bad Gateway".into(), body: b"{}".to_vec() }
}

fn answer(
    request: &Message,
    state: &Mutex<State>,
    port: u16,
    forward: impl Fn(&Message) -> Message,
) -> Message {
    if let Some(id) = request.path().strip_prefix("/ari/") {
        return window(&mut state.lock().unwrap(), id);
    }
    if request.path() == "/dir" {
        let mut answer = forward(request);
        let mut directory = answer.json();
        directory["renewalInfo"] = format!("https://localhost:{port}/ari").into();
        answer.body = directory.to_string().into_bytes();
        return answer;
    }
    if request.path() != "/order-plz" {
        return forward(request);
    }
    let replaces = payload(&request.json())["replaces"].as_str().map(str::to_owned);
    {
        let mut state = state.lock().unwrap();
        if state.refuse > 0 {
            state.refuse -= 1;
            state.orders.push((replaces, Instant::now()));
            return refusal();
        }
    }
    let mut answer = forward(request);
    // Else a nonce was not taken, and it comes again.
    if !answer.head.starts_with("HTTP/1.1 201") {
        return answer;
    }
    state.lock().unwrap().orders.push((replaces.clone(), Instant::now()));
    if let Some(replaces) = replaces {
        let mut order = answer.json();
        order["replaces"] = replaces.into();
        answer.body = order.to_string().into_bytes();
    }
    answer
}

/// What was signed.
fn payload(jws: &serde_json::Value) -> serde_json::Value {
    use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine};
    let payload = BASE64_URL_SAFE_NO_PAD.decode(jws["payload"].as_str().unwrap()).unwrap();
    serde_json::from_slice(&payload).unwrap()
}

/// The first certificate should be renewed now, those after it next month.
fn window(state: &mut State, id: &str) -> Message {
    state.asked.push(id.to_owned());
    let day = Duration::from_secs(86_400);
    let now = jiff::Timestamp::now();
    let (start, end) =
        if state.asked[0] == id { (now - day, now - day / 2) } else { (now + 30 * day, now + 31 * day) };
    let body =
        serde_json::json!({ "suggestedWindow": { "start": start.to_string(), "end": end.to_string() } });
    let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nRetry-After: 21600".into();
    Message { head, body: body.to_string().into_bytes() }
}

fn refusal() -> Message {
    let body = serde_json::json!({
        "type": "urn:ietf:params:acme:error:rateLimited",
        "detail": "too many certificates already issued for: example.org",
        "status": 429,
    });
    let head =
        "HTTP/1.1 429 Too Many Requests\r\nContent-Type: application/problem+json\r\nRetry-After: 2".into();
    Message { head, body: body.to_string().into_bytes() }
}
