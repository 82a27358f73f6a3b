// SPDX-License-Identifier: Apache-2.0
//! A request to the server, signed as AWS' version 4 has it. The product's own command line cannot set a policy, and
//! takes passwords among its arguments.

use super::super::door;
use super::told::REGION;
use aws_lc_rs::{digest, hmac};
use hop3_core::addon::AddonServer;
use jiff::Timestamp;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

/// It is on this machine.
const PATIENCE: Duration = Duration::from_secs(10);

/// What is read of an answer.
const ANSWER_BYTES: u64 = 64 * 1024;

/// About a bucket, or about the server when that is empty; `query` as it is signed.
pub(super) struct Request<'a> {
    pub method: &'a str,
    pub bucket: &'a str,
    pub query: &'a str,
    pub body: &'a str,
}

/// Its status, and what it said.
pub(super) struct Answer {
    status: u16,
    said: String,
}

/// A refusal is an error.
pub(super) fn done(answer: Answer) -> io::Result<()> {
    if (200..300).contains(&answer.status) {
        return Ok(());
    }
    Err(io::Error::other(format!("{} {}", answer.status, answer.said).trim().to_owned()))
}

/// Asks as the one with that key and secret.
pub(super) fn ask(server: &AddonServer, who: (&str, &str), request: &Request<'_>) -> io::Result<Answer> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, server.port));
    let mut stream = door::open(server, PATIENCE)?;
    let now = Timestamp::now().strftime("%Y%m%dT%H%M%SZ").to_string();
    stream.write_all(text(request, who, &address.to_string(), &now).as_bytes())?;
    let mut bytes = Vec::new();
    stream.take(ANSWER_BYTES).read_to_end(&mut bytes)?;
    let answer = String::from_utf8_lossy(&bytes);
    let (head, said) = answer.split_once("\r\n\r\n").ok_or(io::ErrorKind::UnexpectedEof)?;
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    let status = status.ok_or_else(|| io::Error::other("it does not speak HTTP"))?;
    Ok(Answer { status, said: said.to_owned() })
}

fn text(request: &Request<'_>, (key, secret): (&str, &str), host: &str, now: &str) -> String {
    let Request { method, bucket, query, body } = request;
    let hash = hex(digest::digest(&digest::SHA256, body.as_bytes()).as_ref());
    let headers = format!("host:{host}\nx-amz-content-sha256:{hash}\nx-amz-date:{now}\n");
    let names = "host;x-amz-content-sha256;x-amz-date";
    let canonical = format!("{method}\n/{bucket}\n{query}\n{headers}\n{names}\n{hash}");
    let day = &now[..8];
    let scope = format!("{day}/{REGION}/s3/aws4_request");
    let canonical = hex(digest::digest(&digest::SHA256, canonical.as_bytes()).as_ref());
    let to_sign = format!("AWS4-HMAC-SHA256\n{now}\n{scope}\n{canonical}");
    let first = format!("AWS4{secret}").into_bytes();
    let signing = [day, REGION, "s3", "aws4_request"].iter().fold(first, |key, word| keyed(&key, word));
    let signature = hex(&keyed(&signing, &to_sign));
    let mark = if query.is_empty() { "" } else { "?" };
    format!(
        "{method} /{bucket}{mark}{query} HTTP/1.1\r\nHost: {host}\r\nX-Amz-Content-Sha256: {hash}\r\n\
         X-Amz-Date: {now}\r\nAuthorization: AWS4-HMAC-SHA256 Credential={key}/{scope}, \
         SignedHeaders={names}, Signature={signature}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
}

fn keyed(key: &[u8], text: &str) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes()).as_ref().to_vec()
}

pub(super) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
