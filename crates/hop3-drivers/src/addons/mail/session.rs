// SPDX-License-Identifier: Apache-2.0
//! One connection of an app: as much of SMTP (RFC 5321, 6409, 4954) as libraries that send mail speak. Lines end with
//! CR LF and with nothing else: what two servers read differently is how messages are smuggled.

use super::settings::{Settings, User, Way};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::fmt;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// A client that says nothing for so long is gone.
const PATIENCE: Duration = Duration::from_secs(5 * 60);

const LINE_BYTES: u64 = 64 * 1024;
const MESSAGE_BYTES: usize = 25 * 1024 * 1024;
const RECIPIENTS: usize = 100;
const WRONG_PASSWORDS: usize = 3;

/// What is sent, and to whom.
#[derive(Default)]
pub(super) struct Message {
    pub from: String,
    pub to: Vec<String>,
    /// Lines as they are, without the dots of the protocol.
    pub text: Vec<u8>,
}

/// What a server says: a code and a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reply {
    pub code: u16,
    pub text: String,
}

impl Reply {
    pub(super) fn new(code: u16, text: impl Into<String>) -> Reply {
        // It becomes one line.
        let text: String =
            text.into().chars().map(|c| if c.is_control() { ' ' } else { c }).take(400).collect();
        Reply { code, text }
    }
}

impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.code, self.text)
    }
}

type Deliver<'a> = dyn Fn(&Message, &Way) -> Reply + 'a;

pub(super) struct Session<'a> {
    stream: BufReader<TcpStream>,
    settings: &'a dyn Fn() -> io::Result<Settings>,
    deliver: &'a Deliver<'a>,
    user: Option<String>,
    wrong: usize,
    message: Option<Message>,
}

impl<'a> Session<'a> {
    pub(super) fn new(
        stream: TcpStream,
        settings: &'a dyn Fn() -> io::Result<Settings>,
        deliver: &'a Deliver<'a>,
    ) -> Session<'a> {
        Session { stream: BufReader::new(stream), settings, deliver, user: None, wrong: 0, message: None }
    }

    pub(super) fn run(mut self) -> io::Result<()> {
        self.stream.get_ref().set_read_timeout(Some(PATIENCE))?;
        self.stream.get_ref().set_write_timeout(Some(PATIENCE))?;
        self.say(220, "hop3 mail")?;
        while let Some(line) = self.line()? {
            let (verb, rest) = line.split_once(' ').unwrap_or((&line, ""));
            match verb.to_ascii_uppercase().as_str() {
                "EHLO" => self.raw(&format!(
                    "250-hop3\r\n250-AUTH PLAIN LOGIN\r\n250-8BITMIME\r\n250 SIZE {MESSAGE_BYTES}\r\n"
                ))?,
                "HELO" => self.say(250, "hop3")?,
                "AUTH" => self.auth(rest)?,
                "MAIL" => self.mail(rest)?,
                "RCPT" => self.recipient(rest)?,
                "DATA" => self.data()?,
                "RSET" => {
                    self.message = None;
                    self.say(250, "2.0.0 forgotten")?;
                }
                "NOOP" => self.say(250, "2.0.0 nothing done")?,
                "QUIT" => return self.say(221, "2.0.0 bye"),
                _ => self.say(500, "5.5.1 this is not understood")?,
            }
            if self.wrong >= WRONG_PASSWORDS {
                return self.say(421, "4.7.0 too many wrong passwords");
            }
        }
        Ok(())
    }

    fn raw(&mut self, text: &str) -> io::Result<()> {
        self.stream.get_mut().write_all(text.as_bytes())
    }

    fn say(&mut self, code: u16, text: &str) -> io::Result<()> {
        self.raw(&format!("{code} {text}\r\n"))
    }

    /// The next line without its end; nothing when there is none.
    fn bytes(&mut self) -> io::Result<Option<Vec<u8>>> {
        let mut line = Vec::new();
        if (&mut self.stream).take(LINE_BYTES).read_until(b'\n', &mut line)? == 0 {
            return Ok(None);
        }
        let whole = line.strip_suffix(b"\r\n").filter(|line| !line.contains(&b'\r') && !line.contains(&0));
        match whole {
            Some(line) => Ok(Some(line.to_vec())),
            None => {
                self.say(500, "5.5.2 lines end with CR LF, and have at most 64 KiB")?;
                Err(io::ErrorKind::InvalidData.into())
            }
        }
    }

    fn line(&mut self) -> io::Result<Option<String>> {
        Ok(self.bytes()?.map(|line| String::from_utf8_lossy(&line).into_owned()))
    }

    fn auth(&mut self, rest: &str) -> io::Result<()> {
        let (mechanism, first) = rest.split_once(' ').unwrap_or((rest, ""));
        let named = match mechanism.to_ascii_uppercase().as_str() {
            "PLAIN" => {
                let text = if first.is_empty() { self.challenge("")? } else { decoded(first) };
                let mut parts = text.split('\0').skip(1).map(str::to_owned);
                parts.next().zip(parts.next())
            }
            "LOGIN" => {
                let user = if first.is_empty() { self.challenge("VXNlcm5hbWU6")? } else { decoded(first) };
                Some((user, self.challenge("UGFzc3dvcmQ6")?))
            }
            _ => return self.say(504, "5.5.4 sign in by PLAIN or LOGIN"),
        };
        let known = |(user, password): &(String, String)| {
            self.user(user).is_some_and(|known| is_same(known.password.as_bytes(), password.as_bytes()))
        };
        match named.filter(known) {
            Some((user, _)) => {
                self.user = Some(user);
                self.say(235, "2.7.0 welcome")
            }
            None => {
                self.wrong += 1;
                self.say(535, "5.7.8 user or password are wrong")
            }
        }
    }

    fn challenge(&mut self, text: &str) -> io::Result<String> {
        self.say(334, text)?;
        Ok(self.line()?.map(|line| decoded(&line)).unwrap_or_default())
    }

    /// As the settings have him at this moment.
    fn user(&self, name: &str) -> Option<User> {
        (self.settings)().ok()?.users.get(name).cloned()
    }

    fn mail(&mut self, rest: &str) -> io::Result<()> {
        let signed_in = self.user.as_ref().is_some_and(|user| self.user(user).is_some());
        match path(rest, "FROM:") {
            _ if !signed_in => self.say(530, "5.7.0 sign in first"),
            Some(from) => {
                self.message = Some(Message { from, ..Message::default() });
                self.say(250, "2.1.0 from whom is noted")
            }
            None => self.say(501, "5.1.7 write MAIL FROM:<address>"),
        }
    }

    fn recipient(&mut self, rest: &str) -> io::Result<()> {
        let to = path(rest, "TO:").filter(|to| !to.is_empty());
        match (&mut self.message, to) {
            (None, _) => self.say(503, "5.5.1 say MAIL first"),
            (Some(message), _) if message.to.len() >= RECIPIENTS => {
                self.say(452, "4.5.3 too many recipients")
            }
            (Some(message), Some(to)) => {
                message.to.push(to);
                self.say(250, "2.1.5 to whom is noted")
            }
            (Some(_), None) => self.say(501, "5.1.3 write RCPT TO:<address>"),
        }
    }

    fn data(&mut self) -> io::Result<()> {
        let Some(mut message) = self.message.take().filter(|message| !message.to.is_empty()) else {
            return self.say(503, "5.5.1 say MAIL and RCPT first");
        };
        self.say(354, "go on; end with a line that is a dot")?;
        let mut is_large = false;
        loop {
            let Some(line) = self.bytes()? else { return Ok(()) };
            if line == b"." {
                break;
            }
            let line = line.strip_prefix(b".").unwrap_or(&line);
            is_large |= message.text.len() + line.len() > MESSAGE_BYTES;
            if !is_large {
                message.text.extend_from_slice(line);
                message.text.extend_from_slice(b"\r\n");
            }
        }
        if is_large {
            return self.say(552, "5.3.4 the message is larger than 25 MiB");
        }
        // He may have been taken away meanwhile.
        let user = self.user.as_ref().and_then(|user| self.user(user));
        let reply = match user {
            Some(user) => (self.deliver)(&message, &user.way),
            None => Reply::new(530, "5.7.0 sign in first"),
        };
        self.say(reply.code, &reply.text)
    }
}

/// `FROM:<a@b> SIZE=1`: what stands between the brackets, when it can be nothing else in the next server's eyes.
fn path(text: &str, word: &str) -> Option<String> {
    let head = text.get(..word.len()).filter(|head| head.eq_ignore_ascii_case(word))?;
    let (path, _) = text[head.len()..].trim_start().strip_prefix('<')?.split_once('>')?;
    let is_plain = |c: char| c.is_ascii_graphic() && !matches!(c, '<' | '>');
    (path.len() <= 320 && path.chars().all(is_plain)).then(|| path.to_owned())
}

fn decoded(text: &str) -> String {
    let bytes = STANDARD.decode(text.trim()).unwrap_or_default();
    String::from_utf8(bytes).unwrap_or_default()
}

/// Takes as long for a wrong one as for the right one.
fn is_same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |differs, (a, b)| differs | (a ^ b)) == 0
}
