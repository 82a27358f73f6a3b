// SPDX-License-Identifier: Apache-2.0
//! The server behind every proxy: as cheap as possible, so that what is measured is not it.

use crate::Options;
use crate::epoll::{Epoll, key, listen};
use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;

const LARGE: usize = 100 << 20;

struct Connection {
    stream: TcpStream,
    /// Bytes of requests that are not whole.
    input: Vec<u8>,
    output: Vec<u8>,
    /// Bytes of a large body that are still to be sent.
    large: usize,
    /// Bytes of a request's body that are still to come.
    body: usize,
    is_echo: bool,
}

struct Answers {
    small: Vec<u8>,
    page: Vec<u8>,
    large: Vec<u8>,
    taken: Vec<u8>,
    filler: Vec<u8>,
}

fn head(name: &str, length: usize) -> Vec<u8> {
    format!(
        "HTTP/1.1 200 OK\r\nServer: upstream\r\nContent-Type: text/plain\r\nCache-Control: no-store\r\n\
         X-Release: {name}\r\nContent-Length: {length}\r\n\r\n"
    )
    .into_bytes()
}

impl Answers {
    fn new(name: &str) -> Answers {
        let whole = |length: usize| {
            let mut answer = head(name, length);
            answer.resize(answer.len() + length - name.len(), b'x');
            answer.extend_from_slice(name.as_bytes());
            answer
        };
        Answers {
            small: whole(200),
            page: whole(10 << 10),
            large: head(name, LARGE),
            taken: whole(name.len()),
            filler: vec![b'x'; 256 << 10],
        }
    }
}

pub fn run(options: &Options) -> io::Result<()> {
    let listener = listen(&options.text("listen", "127.0.0.1:0"))?;
    let answers = Answers::new(&options.text("name", "A"));
    let epoll = Epoll::new()?;
    epoll.add(&listener, usize::MAX)?;
    let mut connections: Vec<Option<Connection>> = Vec::new();
    let mut free = Vec::new();
    let mut events = Vec::with_capacity(512);
    let mut buffer = vec![0; 256 << 10];
    loop {
        epoll.wait(&mut events)?;
        for event in &events {
            let key = key(event);
            if key == usize::MAX {
                while let Ok((stream, _)) = listener.accept() {
                    stream.set_nonblocking(true)?;
                    stream.set_nodelay(true)?;
                    let place = free.pop().unwrap_or_else(|| {
                        connections.push(None);
                        connections.len() - 1
                    });
                    epoll.add(&stream, place)?;
                    let (input, output) = (Vec::new(), Vec::new());
                    connections[place] =
                        Some(Connection { stream, input, output, large: 0, body: 0, is_echo: false });
                }
            } else if let Some(connection) = &mut connections[key]
                && connection.serve(&answers, &mut buffer).is_err()
            {
                connections[key] = None;
                free.push(key);
            }
        }
    }
}

impl Connection {
    fn serve(&mut self, answers: &Answers, buffer: &mut [u8]) -> io::Result<()> {
        self.flush(answers)?;
        while self.output.is_empty() && self.large == 0 {
            let count = match self.stream.read(buffer) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(count) => count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            };
            if self.is_echo {
                self.output.extend_from_slice(&buffer[..count]);
            } else {
                self.take(&buffer[..count], answers);
            }
            self.flush(answers)?;
            if count < buffer.len() {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Answers each whole request.
    fn take(&mut self, mut bytes: &[u8], answers: &Answers) {
        if self.body > 0 {
            let count = self.body.min(bytes.len());
            self.body -= count;
            bytes = &bytes[count..];
            if self.body == 0 {
                self.output.extend_from_slice(&answers.taken);
            }
        }
        self.input.extend_from_slice(bytes);
        while let Some(end) = find(&self.input, b"\r\n\r\n") {
            let rest = self.input.split_off(end + 4);
            let head = std::mem::replace(&mut self.input, rest);
            self.answer(&head, answers);
        }
    }

    fn answer(&mut self, head: &[u8], answers: &Answers) {
        let path = head.split(|byte| *byte == b' ').nth(1).unwrap_or_default();
        let length = find(head, b"Content-Length: ").map_or(0, |at| {
            let digits = head[at + 16..].iter().take_while(|byte| byte.is_ascii_digit());
            digits.fold(0, |sum, digit| sum * 10 + usize::from(digit - b'0'))
        });
        if length > 0 {
            let here = length.min(self.input.len());
            self.input.drain(..here);
            self.body = length - here;
            if self.body == 0 {
                self.output.extend_from_slice(&answers.taken);
            }
            return;
        }
        match path {
            b"/k" => self.output.extend_from_slice(&answers.page),
            b"/l" => {
                self.output.extend_from_slice(&answers.large);
                self.large = LARGE;
            }
            b"/echo" => {
                self.is_echo = true;
                let answer = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                    Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
                self.output.extend_from_slice(answer);
            }
            _ => self.output.extend_from_slice(&answers.small),
        }
    }

    fn flush(&mut self, answers: &Answers) -> io::Result<()> {
        let mut sent = 0;
        let result = loop {
            let from = if sent < self.output.len() {
                &self.output[sent..]
            } else if self.large > 0 {
                &answers.filler[..self.large.min(answers.filler.len())]
            } else {
                break Ok(());
            };
            match self.stream.write(from) {
                Ok(count) if sent < self.output.len() => sent += count,
                Ok(count) => self.large -= count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break Ok(()),
                Err(error) => break Err(error),
            }
        };
        self.output.drain(..sent);
        result
    }
}

fn find(bytes: &[u8], word: &[u8]) -> Option<usize> {
    bytes.windows(word.len()).position(|window| window == word)
}
