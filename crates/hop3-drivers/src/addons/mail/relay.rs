// SPDX-License-Identifier: Apache-2.0
//! Handing a message to the operator's smarthost: one connection for each, and its answer is the app's.

use super::session::{Message, Reply};
use super::settings::Tls;
use crate::addons::address::Address;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hop3_core::Problem;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;

const CONNECT_PATIENCE: Duration = Duration::from_secs(15);

/// A smarthost may look at a message for a while.
const PATIENCE: Duration = Duration::from_secs(2 * 60);

const LINE_BYTES: u64 = 4096;
const LINES: usize = 100;

pub(super) struct Smarthost {
    address: Address,
    tls: Tls,
    roots: RootCertStore,
}

enum Wire {
    Plain(TcpStream),
    Secure(Box<StreamOwned<ClientConnection, TcpStream>>),
}

impl Read for Wire {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Wire::Plain(stream) => stream.read(buffer),
            Wire::Secure(stream) => stream.read(buffer),
        }
    }
}

impl Wire {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Wire::Plain(stream) => stream.write_all(bytes),
            Wire::Secure(stream) => stream.write_all(bytes).and_then(|()| stream.flush()),
        }
    }
}

impl Smarthost {
    pub(super) fn of(url: &str, tls: Tls) -> Result<Smarthost, Problem> {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        Smarthost::trusting(url, tls, roots)
    }

    pub(super) fn trusting(url: &str, tls: Tls, roots: RootCertStore) -> Result<Smarthost, Problem> {
        Ok(Smarthost { address: Address::parse(url)?, tls, roots })
    }

    /// Gives what the smarthost said at the end.
    ///
    /// # Errors
    /// What it said before, or that it could not be talked to, as a reply for now.
    pub(super) fn send(&self, message: &Message) -> Result<Reply, Reply> {
        let mut wire = BufReader::new(self.connect().map_err(|e| away(&e))?);
        expect(&mut wire, None, 2)?;
        let mut offers = self.hello(&mut wire)?;
        if self.tls == Tls::Upgrade {
            if !offers.iter().any(|offer| offer == "STARTTLS") {
                return Err(Reply::new(451, "4.7.0 the smarthost offers no STARTTLS"));
            }
            expect(&mut wire, Some("STARTTLS"), 2)?;
            wire = self.upgrade(wire).map_err(|e| away(&e))?;
            offers = self.hello(&mut wire)?;
        }
        self.sign_in(&mut wire, &offers)?;
        let body = match offers.iter().any(|offer| offer == "8BITMIME") && !message.text.is_ascii() {
            true => " BODY=8BITMIME",
            false => "",
        };
        expect(&mut wire, Some(&format!("MAIL FROM:<{}>{body}", message.from)), 2)?;
        for to in &message.to {
            // All or none: an app that is told of one failure would send to the others again.
            expect(&mut wire, Some(&format!("RCPT TO:<{to}>")), 2)?;
        }
        expect(&mut wire, Some("DATA"), 3)?;
        wire.get_mut().write(&stuffed(&message.text)).map_err(|e| away(&e))?;
        let last = expect(&mut wire, None, 2)?;
        // It has the message; whether it hears the end does not matter.
        let _ = wire.get_mut().write(b"QUIT\r\n");
        Ok(last)
    }

    fn connect(&self) -> io::Result<Wire> {
        let mut failed = io::Error::other("its name has no address");
        for place in (self.address.host.as_str(), self.address.port).to_socket_addrs()? {
            match TcpStream::connect_timeout(&place, CONNECT_PATIENCE) {
                Ok(stream) => {
                    stream.set_read_timeout(Some(PATIENCE))?;
                    stream.set_write_timeout(Some(PATIENCE))?;
                    return if self.tls == Tls::Whole {
                        self.secure(stream)
                    } else {
                        Ok(Wire::Plain(stream))
                    };
                }
                Err(e) => failed = e,
            }
        }
        Err(failed)
    }

    fn upgrade(&self, wire: BufReader<Wire>) -> io::Result<BufReader<Wire>> {
        // What came before the handshake is not the smarthost's.
        match (wire.buffer().is_empty(), wire.into_inner()) {
            (true, Wire::Plain(stream)) => self.secure(stream).map(BufReader::new),
            _ => Err(io::Error::other("something was said before TLS began")),
        }
    }

    fn secure(&self, stream: TcpStream) -> io::Result<Wire> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?
            .with_root_certificates(self.roots.clone())
            .with_no_client_auth();
        let name = ServerName::try_from(self.address.host.clone()).map_err(io::Error::other)?;
        let connection = ClientConnection::new(Arc::new(config), name).map_err(io::Error::other)?;
        Ok(Wire::Secure(Box::new(StreamOwned::new(connection, stream))))
    }

    /// What it can do.
    fn hello(&self, wire: &mut BufReader<Wire>) -> Result<Vec<String>, Reply> {
        wire.get_mut().write(b"EHLO localhost\r\n").map_err(|e| away(&e))?;
        let (code, lines) = reply(wire).map_err(|e| away(&e))?;
        match code {
            250 => Ok(lines.iter().map(|line| line.to_ascii_uppercase()).collect()),
            _ => Err(refused(code, &lines)),
        }
    }

    fn sign_in(&self, wire: &mut BufReader<Wire>, offers: &[String]) -> Result<(), Reply> {
        let (Some(user), Some(password)) = (&self.address.user, &self.address.password) else {
            return Ok(());
        };
        let offers = |mechanism: &str| {
            let auth = offers.iter().find_map(|offer| offer.strip_prefix("AUTH "));
            auth.is_some_and(|words| words.split(' ').any(|word| word == mechanism))
        };
        let outcome = if offers("PLAIN") {
            let words = STANDARD.encode(format!("\0{user}\0{password}"));
            expect(wire, Some(&format!("AUTH PLAIN {words}")), 2)
        } else if offers("LOGIN") {
            expect(wire, Some("AUTH LOGIN"), 3)?;
            expect(wire, Some(&STANDARD.encode(user)), 3)?;
            expect(wire, Some(&STANDARD.encode(password)), 2)
        } else {
            return Err(Reply::new(451, "4.7.0 the smarthost lets nobody sign in by PLAIN or LOGIN"));
        };
        // It is the operator's password that is wrong, not the app's.
        outcome.map(drop).map_err(|reply| {
            Reply::new(451, format!("4.7.0 the smarthost refuses its user: {} {}", reply.code, reply.text))
        })
    }
}

/// Says a line and waits for an answer whose code begins so.
fn expect(wire: &mut BufReader<Wire>, line: Option<&str>, hundred: u16) -> Result<Reply, Reply> {
    if let Some(line) = line {
        wire.get_mut().write(format!("{line}\r\n").as_bytes()).map_err(|e| away(&e))?;
    }
    let (code, lines) = reply(wire).map_err(|e| away(&e))?;
    let said = Reply::new(code, lines.join(" "));
    if code / 100 == hundred { Ok(said) } else { Err(refused(code, &lines)) }
}

fn reply(wire: &mut BufReader<Wire>) -> io::Result<(u16, Vec<String>)> {
    let mut lines = Vec::new();
    while lines.len() < LINES {
        let mut line = String::new();
        wire.take(LINE_BYTES).read_line(&mut line)?;
        let line = line.trim_end();
        let code = line.get(..3).and_then(|code| code.parse().ok());
        let code: u16 = code.ok_or_else(|| io::Error::other("it does not speak SMTP"))?;
        lines.push(line.get(4..).unwrap_or_default().to_owned());
        if line.as_bytes().get(3) != Some(&b'-') {
            return Ok((code, lines));
        }
    }
    Err(io::Error::other("it does not come to an end"))
}

/// For good or for now, as the smarthost says.
fn refused(code: u16, lines: &[String]) -> Reply {
    match code {
        400..600 => Reply::new(code, lines.join(" ")),
        _ => Reply::new(451, format!("4.3.0 the smarthost said {code} {}", lines.join(" "))),
    }
}

fn away(error: &io::Error) -> Reply {
    Reply::new(451, format!("4.4.1 the smarthost cannot be talked to: {error}"))
}

/// With the dots and the end of the protocol.
fn stuffed(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len() + 8);
    for line in text.split_inclusive(|byte| *byte == b'\n') {
        if line.starts_with(b".") {
            out.push(b'.');
        }
        out.extend_from_slice(line);
    }
    out.extend_from_slice(b".\r\n");
    out
}
