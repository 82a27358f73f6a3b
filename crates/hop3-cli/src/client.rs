// SPDX-License-Identifier: Apache-2.0
//! Calls to the API: a request, an answer or a problem; or a stream of server-sent events.
//!
//! Blocking on the outside, one tokio thread inside. An error answer of the server is its own `Problem`, untouched.

use crate::connection::Target;
use crate::problem;
use crate::upload::Upload;
use bytes::{Bytes, BytesMut};
use hop3_core::Problem;
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::{Method, Request, Response, StatusCode, header};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::error::Error;
use std::io::Write;
use tokio::runtime::Runtime;

/// Beyond this an answer is refused rather than kept in memory.
const ANSWER_MAX_BYTES: usize = 64 << 20;

/// A server, ready for calls.
pub(crate) struct Client {
    target: Target,
    runtime: Runtime,
}

impl Client {
    pub(crate) fn new(target: Target) -> Result<Client, Problem> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|e| problem::system("starting the client", e))?;
        Ok(Client { target, runtime })
    }

    pub(crate) fn target(&self) -> &Target {
        &self.target
    }

    pub(crate) fn runtime(&self) -> &Runtime {
        &self.runtime
    }

    pub(crate) fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Problem> {
        self.answer(Method::GET, path, Upload::Empty)
    }

    /// Sends `body` as JSON; an answer without content reads as `null`.
    pub(crate) fn send<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, Problem> {
        self.answer(method, path, json(body))
    }

    pub(crate) fn delete(&self, path: &str) -> Result<(), Problem> {
        self.answer::<serde_json::Value>(Method::DELETE, path, Upload::Empty).map(drop)
    }

    /// Sends a body and reads the answer.
    pub(crate) fn upload<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Upload,
    ) -> Result<T, Problem> {
        self.answer(method, path, body)
    }

    /// Sends a body and reads the answer as server-sent events.
    pub(crate) fn stream(
        &self,
        method: Method,
        path: &str,
        body: Upload,
    ) -> Result<EventStream<'_>, Problem> {
        let response = self.runtime.block_on(self.request(method, path, body, "text/event-stream"))?;
        Ok(EventStream { runtime: &self.runtime, body: response.into_body(), buffer: BytesMut::new() })
    }

    /// Reads an answer that is data into `to`; one that was cut off is a problem.
    pub(crate) fn download(&self, path: &str, to: &mut dyn Write) -> Result<(), Problem> {
        let response = self.runtime.block_on(self.request(Method::GET, path, Upload::Empty, "*/*"))?;
        let mut body = response.into_body();
        while let Some(frame) = self.runtime.block_on(body.frame()) {
            let frame = frame.map_err(|_| problem::stream_cut())?;
            let data = frame.data_ref().map_or(&[][..], Bytes::as_ref);
            to.write_all(data).map_err(|e| problem::system("writing the data", e))?;
        }
        Ok(())
    }

    pub(crate) fn answer<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Upload,
    ) -> Result<T, Problem> {
        let bytes = self.runtime.block_on(async {
            let response = self.request(method, path, body, "application/json").await?;
            self.collect(response).await
        })?;
        let text: &[u8] = if bytes.is_empty() { b"null" } else { &bytes };
        serde_json::from_slice(text).map_err(problem::unreadable_answer)
    }

    /// Sends one request over a connection of its own; an error status becomes a problem.
    async fn request(
        &self,
        method: Method,
        path: &str,
        body: Upload,
        accept: &str,
    ) -> Result<Response<Incoming>, Problem> {
        let wire = TokioIo::new(self.target.connect().await?);
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(wire).await.map_err(|e| self.broken(&e))?;
        tokio::spawn(connection);
        let request = self.head(method, path, &body).header(header::ACCEPT, accept).body(body);
        let request = request.map_err(|e| problem::system("making the request", e))?;
        let response = sender.send_request(request).await.map_err(|e| self.broken(&e))?;
        if response.status().is_success() {
            return Ok(response);
        }
        let status = response.status();
        let body = self.collect(response).await?;
        Err(problem_of(status, &body))
    }

    fn head(&self, method: Method, path: &str, body: &Upload) -> hyper::http::request::Builder {
        let mut head =
            Request::builder().method(method).uri(path).header(header::HOST, self.target.authority());
        if let Some(token) = self.target.token() {
            head = head.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        match body {
            Upload::Empty => head,
            Upload::Full(_) => head.header(header::CONTENT_TYPE, "application/json"),
            Upload::Stream(_) => head.header(header::CONTENT_TYPE, "application/x-tar"),
        }
    }

    async fn collect(&self, response: Response<Incoming>) -> Result<Bytes, Problem> {
        let body = Limited::new(response.into_body(), ANSWER_MAX_BYTES);
        let collected = body.collect().await.map_err(|e| problem::unreachable(&self.target.name(), e))?;
        Ok(collected.to_bytes())
    }

    /// A connection that broke; when our own upload broke it, that is the thing to tell.
    fn broken(&self, error: &hyper::Error) -> Problem {
        match error.source().and_then(|cause| cause.downcast_ref::<Problem>()) {
            Some(problem) => problem.clone(),
            None => problem::unreachable(&self.target.name(), error),
        }
    }
}

/// The body of a JSON request.
pub(crate) fn json(body: &impl Serialize) -> Upload {
    // Request types are maps with string keys: serde_json has nothing to refuse.
    Upload::Full(serde_json::to_vec(body).expect("requests are plain data").into())
}

/// The problem in an error answer.
pub(crate) fn problem_of(status: StatusCode, body: &[u8]) -> Problem {
    serde_json::from_slice(body)
        .unwrap_or_else(|_| problem::not_hop3(status.as_u16(), &String::from_utf8_lossy(body)))
}

/// Makes text safe as one segment of a path or one value of a query (RFC 3986, unreserved characters stay).
pub(crate) fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(byte as char),
            _ => out += &format!("%{byte:02X}"),
        }
    }
    out
}

/// Server-sent events, each one JSON value.
pub(crate) struct EventStream<'a> {
    runtime: &'a Runtime,
    body: Incoming,
    buffer: BytesMut,
}

impl EventStream<'_> {
    /// Waits for the next event; `None` when the server ended the stream or the connection did.
    pub(crate) fn next<T: DeserializeOwned>(&mut self) -> Result<Option<T>, Problem> {
        loop {
            if let Some(data) = next_data(&mut self.buffer) {
                return serde_json::from_str(&data).map(Some).map_err(problem::unreadable_answer);
            }
            match self.runtime.block_on(self.body.frame()) {
                Some(Ok(frame)) => self.buffer.extend_from_slice(frame.data_ref().unwrap_or(&Bytes::new())),
                // A cut is told by the caller, who knows whether the last event was the last one wanted.
                Some(Err(_)) | None => return Ok(None),
            }
        }
    }
}

/// Takes the data of the next complete event out of the buffer (WHATWG HTML, 9.2.6); comments are keep-alives.
fn next_data(buffer: &mut BytesMut) -> Option<String> {
    loop {
        let end = event_end(buffer)?;
        let event = buffer.split_to(end);
        let text = String::from_utf8_lossy(&event);
        let data: Vec<&str> = text
            .lines()
            .filter_map(|line| line.strip_prefix("data:"))
            .map(|data| data.strip_prefix(' ').unwrap_or(data))
            .collect();
        if !data.is_empty() {
            return Some(data.join("\n"));
        }
    }
}

/// The offset after the empty line that ends the first event.
fn event_end(buffer: &[u8]) -> Option<usize> {
    let mut line_start = 0;
    for (i, _) in buffer.iter().enumerate().filter(|(_, byte)| **byte == b'\n') {
        let line = &buffer[line_start..i];
        if line.is_empty() || line == b"\r" {
            return Some(i + 1);
        }
        line_start = i + 1;
    }
    None
}

#[cfg(test)]
mod tests;
