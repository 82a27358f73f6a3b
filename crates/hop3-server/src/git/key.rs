// SPDX-License-Identifier: Apache-2.0
//! SSH public keys that may push: read strictly, written as `authorized_keys` lines that allow one command.
//!
//! Invariant: what is written is made of a checked type, checked base64, checked paths and a checked name; nothing
//! the user wrote (options, comments, line breaks) gets into the file.

use super::shown::shown;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use hop3_core::{Kind, Problem};
use rustix::fs::{CWD, Mode, OFlags};
use sha2::{Digest, Sha256};
use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

/// Shorter RSA moduli are refused, as OpenSSH does.
const MIN_RSA_BYTES: usize = 2048 / 8;
const MAX_LINE: usize = 16 << 10;
const FIRST_LINE: &str = "# Written by Hop3 from its store; changes made here are lost. See: hop3 key list\n";

/// A public key whose body is what its type says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey {
    kind: &'static str,
    body: Vec<u8>,
}

/// A key and the name its owner gave it.
#[derive(Clone, Debug)]
pub struct AuthorizedKey {
    pub name: String,
    pub key: PublicKey,
}

/// How the fields after the type are laid out (RFC 4253, RFC 5656, OpenSSH's PROTOCOL.u2f).
const KINDS: [(&str, &[Field]); 7] = [
    ("ssh-ed25519", &[Field::Bytes(32)]),
    ("ssh-rsa", &[Field::Exponent, Field::Modulus]),
    ("ecdsa-sha2-nistp256", &[Field::Text("nistp256"), Field::Bytes(65)]),
    ("ecdsa-sha2-nistp384", &[Field::Text("nistp384"), Field::Bytes(97)]),
    ("ecdsa-sha2-nistp521", &[Field::Text("nistp521"), Field::Bytes(133)]),
    ("sk-ssh-ed25519@openssh.com", &[Field::Bytes(32), Field::Application]),
    ("sk-ecdsa-sha2-nistp256@openssh.com", &[Field::Text("nistp256"), Field::Bytes(65), Field::Application]),
];

#[derive(Clone, Copy)]
enum Field {
    Text(&'static str),
    Bytes(usize),
    Exponent,
    Modulus,
    Application,
}

impl Field {
    fn fits(self, value: &[u8]) -> bool {
        match self {
            Field::Text(text) => value == text.as_bytes(),
            Field::Bytes(length) => value.len() == length,
            Field::Exponent => !value.is_empty() && value.len() <= 8,
            // A leading zero keeps the number positive.
            Field::Modulus => (MIN_RSA_BYTES..=MIN_RSA_BYTES * 8 + 1).contains(&value.len()),
            Field::Application => value.starts_with(b"ssh:") && value.len() <= 255,
        }
    }
}

impl PublicKey {
    /// Reads one line of a `.pub` file: type, base64, and a comment that is ignored.
    pub fn parse(line: &str) -> Result<PublicKey, Problem> {
        let line = line.strip_suffix('\n').map_or(line, |l| l.strip_suffix('\r').unwrap_or(l));
        if line.len() > MAX_LINE || line.chars().any(char::is_control) {
            return Err(bad_key("it is not one line of text"));
        }
        if line.starts_with("-----BEGIN") {
            return Err(bad_key("this is a private key: keep it secret, and give the .pub file beside it"));
        }
        let mut words = line.split(' ').filter(|word| !word.is_empty());
        let (Some(name), Some(text)) = (words.next(), words.next()) else {
            return Err(bad_key("a line is a type and a key"));
        };
        let Some((kind, fields)) = KINDS.iter().find(|(kind, _)| *kind == name) else {
            return Err(bad_key("it does not begin with a key type that is taken (options are not)"));
        };
        let body = STANDARD.decode(text).map_err(|_| bad_key("the key is not base64"))?;
        let fits = read_fields(&body).is_some_and(|found| {
            found.len() == fields.len() + 1
                && found[0] == kind.as_bytes()
                && found[1..].iter().zip(*fields).all(|(value, field)| field.fits(value))
        });
        if !fits {
            return Err(bad_key("the key is cut, too short, or not of the type it names"));
        }
        Ok(PublicKey { kind, body })
    }

    /// As `ssh-keygen -l` shows it: `SHA256:…`.
    pub fn fingerprint(&self) -> String {
        format!("SHA256:{}", STANDARD_NO_PAD.encode(Sha256::digest(&self.body)))
    }

    /// Type and base64, without a comment.
    pub fn to_line(&self) -> String {
        format!("{} {}", self.kind, STANDARD.encode(&self.body))
    }
}

/// Splits an SSH body into its length-prefixed fields; `None` when they do not add up.
fn read_fields(mut body: &[u8]) -> Option<Vec<&[u8]>> {
    let mut fields = Vec::new();
    while !body.is_empty() {
        let (length, rest) = body.split_at_checked(4)?;
        let length = u32::from_be_bytes(length.try_into().ok()?) as usize;
        let (field, rest) = rest.split_at_checked(length)?;
        fields.push(field);
        body = rest;
    }
    Some(fields)
}

/// Accepts a name for a key: it becomes an argument of the forced command.
pub fn check_name(name: &str) -> Result<(), Problem> {
    let good = (1..=64).contains(&name.len())
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '@'));
    if good {
        return Ok(());
    }
    let name = shown(name);
    Err(Problem::new(Kind::User, "key.bad-name", format!("\"{name}\" is not a name for a key"))
        .hint("a name is 1 to 64 letters, digits, dots, hyphens, underscores and @, and begins with a letter or digit"))
}

/// The text of `authorized_keys`: `restrict` takes away forwarding, terminals and everything to come.
pub fn authorized_keys(program: &Path, root: &Path, keys: &[AuthorizedKey]) -> Result<String, Problem> {
    let (program, root) = (plain(program)?, plain(root)?);
    let mut text = FIRST_LINE.to_owned();
    for AuthorizedKey { name, key } in keys {
        check_name(name)?;
        let line = key.to_line();
        text += &format!("restrict,command=\"{program} git-shell --root {root} --key {name}\" {line}\n");
    }
    Ok(text)
}

/// sshd gives the command to a shell, so a path must mean itself there.
fn plain(path: &Path) -> Result<&str, Problem> {
    let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '.' | '_' | '-' | '+' | '@');
    match path.to_str() {
        Some(text) if path.is_absolute() && text.chars().all(good) => Ok(text),
        _ => Err(Problem::new(
            Kind::Config,
            "ssh.path-needs-quotes",
            format!("{} cannot be part of an SSH forced command", shown(&path.to_string_lossy())),
        )
        .hint("install Hop3 under a path of letters, digits and . _ - + @ only")),
    }
}

/// Replaces the file in one step, mode 0600. A file Hop3 did not write is left alone.
pub fn write_authorized_keys(file: &Path, text: &str) -> Result<(), Problem> {
    let failed = |e: std::io::Error| {
        Problem::new(Kind::Unavailable, "ssh.not-written", format!("{} could not be written", file.display()))
            .detail(e.to_string())
    };
    match fs::read(file) {
        Ok(old) if !old.starts_with(FIRST_LINE.as_bytes()) && !old.is_empty() => {
            let title = format!("{} holds keys that Hop3 did not write", file.display());
            return Err(Problem::new(Kind::Conflict, "ssh.foreign-keys", title)
                .hint("move that file away, or give Hop3 a user of its own"));
        }
        // Every start comes by here: a write to the disk would be the longest part of it.
        Ok(old) if old == text.as_bytes() => return Ok(()),
        Ok(_) => {}
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
        Err(e) => return Err(failed(e)),
    }
    let fresh = file.with_extension("new");
    // A link left there by somebody is not followed, an older attempt is replaced.
    let _ = fs::remove_file(&fresh);
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let fd = rustix::fs::openat(CWD, &fresh, flags, Mode::RUSR | Mode::WUSR).map_err(|e| failed(e.into()))?;
    let mut written = File::from(fd);
    written.write_all(text.as_bytes()).and_then(|()| written.sync_all()).map_err(failed)?;
    fs::rename(&fresh, file).map_err(failed)
}

fn bad_key(why: &str) -> Problem {
    Problem::new(Kind::User, "key.bad-key", format!("this is not a public SSH key: {why}"))
        .hint("give one line as in ~/.ssh/id_ed25519.pub; make a key with: ssh-keygen -t ed25519")
}

#[cfg(test)]
mod tests;
