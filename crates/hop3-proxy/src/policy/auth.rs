// SPDX-License-Identifier: Apache-2.0
//! Basic authentication (RFC 7617). Checking a password is slow on purpose, so it is done on threads of its own, few at
//! a time, and a password that was right is remembered as a keyed digest.
//!
//! Invariant: how long an answer takes does not tell whether a user exists; the upstream never sees the password.

use super::answer::Answer;
use super::key::Key;
use super::live::Live;
use super::visit::Visit;
use crate::page;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hop3_core::policy::PasswordHash;
use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{LazyLock, Mutex, PoisonError};
use tokio::sync::Semaphore;

/// Passwords remembered for one service.
const MAX_REMEMBERED: usize = 1024;
/// Checks at the same time in the whole proxy, each on a thread with 19 MiB; and those that may wait for them.
const AT_ONCE: usize = 2;
const MAX_WAITING: usize = 64;

static CHECKS: Semaphore = Semaphore::const_new(AT_ONCE);
static WAITING: AtomicUsize = AtomicUsize::new(0);

/// Checked in place of an unknown user's.
static NOBODY: LazyLock<Option<PasswordHash>> = LazyLock::new(|| PasswordHash::of("nobody's password").ok());

/// Digests of what was right, by a key that ends with the process.
#[derive(Default)]
pub(crate) struct Verified {
    key: Key,
    digests: Mutex<HashSet<Vec<u8>>>,
}

impl Verified {
    fn digest(&self, credentials: &[u8]) -> Vec<u8> {
        self.key.sign(credentials).as_ref().to_vec()
    }

    fn has(&self, digest: &[u8]) -> bool {
        self.digests.lock().unwrap_or_else(PoisonError::into_inner).contains(digest)
    }

    fn remember(&self, digest: Vec<u8>) {
        let mut digests = self.digests.lock().unwrap_or_else(PoisonError::into_inner);
        if digests.len() >= MAX_REMEMBERED {
            digests.clear();
        }
        digests.insert(digest);
    }
}

pub(super) async fn check(live: &Live, visit: &mut Visit<'_>) -> Result<(), Answer> {
    let Some(auth) = live.source.basic_auth.as_ref().filter(|auth| auth.on) else { return Ok(()) };
    if visit.is_plainly(&auth.except) {
        return Ok(());
    }
    let asked = || {
        let question = format!("Basic realm=\"{}\", charset=\"UTF-8\"", auth.realm);
        Answer::page(page::PASSWORD_WANTED).line("WWW-Authenticate", &question)
    };
    let credentials = visit.header("authorization").and_then(basic).ok_or_else(asked)?;
    let (user, password) = split(&credentials).ok_or_else(asked)?;
    let digest = live.verified.digest(&credentials);
    if !live.verified.has(&digest) {
        let hash = auth.users.get(user).cloned();
        if !is_right(hash, password.to_vec()).await? {
            return Err(asked());
        }
        live.verified.remember(digest);
    }
    visit.edit.remove("Authorization");
    Ok(())
}

/// The decoded `user:password` of a header.
pub(super) fn basic(header: &str) -> Option<Vec<u8>> {
    let (scheme, encoded) = header.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") || encoded.len() > 1024 {
        return None;
    }
    STANDARD.decode(encoded.trim()).ok()
}

pub(super) fn split(credentials: &[u8]) -> Option<(&str, &[u8])> {
    let colon = credentials.iter().position(|b| *b == b':')?;
    Some((std::str::from_utf8(&credentials[..colon]).ok()?, &credentials[colon + 1..]))
}

async fn is_right(hash: Option<PasswordHash>, password: Vec<u8>) -> Result<bool, Answer> {
    let _waiting = Waiting::enter().ok_or_else(|| Answer::page(page::BUSY).line("Retry-After", "1"))?;
    let Ok(_permit) = CHECKS.acquire().await else { return Ok(false) };
    let check = move || {
        let is_known = hash.is_some();
        let right = hash.as_ref().or(NOBODY.as_ref()).is_some_and(|hash| hash.verify(&password));
        right && is_known
    };
    Ok(tokio::task::spawn_blocking(check).await.unwrap_or(false))
}

struct Waiting;

impl Waiting {
    fn enter() -> Option<Waiting> {
        let waiting = Waiting;
        (WAITING.fetch_add(1, Relaxed) < AT_ONCE + MAX_WAITING).then_some(waiting)
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        WAITING.fetch_sub(1, Relaxed);
    }
}
