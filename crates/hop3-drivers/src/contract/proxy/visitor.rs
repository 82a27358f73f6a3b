// SPDX-License-Identifier: Apache-2.0
//! A visitor who sends what he is told and reads what comes.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// A proxy that takes longer has failed.
const PATIENCE: Duration = Duration::from_secs(20);

pub(super) struct Answer {
    /// 0 when there was none.
    pub(super) status: u16,
    pub(super) body: String,
}

pub(super) struct Visitor(BufReader<TcpStream>);

impl Visitor {
    pub(super) fn connect(at: SocketAddr) -> io::Result<Visitor> {
        let stream = TcpStream::connect(at)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Visitor(BufReader::new(stream)))
    }

    pub(super) fn send(&mut self, text: &str) -> io::Result<()> {
        self.0.get_mut().write_all(text.as_bytes())
    }

    pub(super) fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        self.0.read_line(&mut line)?;
        Ok(line)
    }

    pub(super) fn head(&mut self) -> io::Result<String> {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") && self.0.read_line(&mut head)? > 0 {}
        Ok(head)
    }
}

/// One request on a connection of its own. What fails is an answer without status.
pub(super) fn get(at: SocketAddr, host: &str, path: &str, headers: &str) -> Answer {
    let asked = || {
        let mut visitor = Visitor::connect(at)?;
        visitor
            .send(&format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n{headers}Connection: close\r\n\r\n"))?;
        let head = visitor.head()?;
        let mut body = Vec::new();
        visitor.0.read_to_end(&mut body)?;
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
        io::Result::Ok(Answer { status, body: String::from_utf8_lossy(&body).into_owned() })
    };
    asked().unwrap_or_else(|error| Answer { status: 0, body: error.to_string() })
}
