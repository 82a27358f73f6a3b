// SPDX-License-Identifier: Apache-2.0
//! Certificates that are obtained and renewed by themselves (RFC 8555), for hosts of the route table and no others.
//!
//! ```text
//! table, settings, store ──▶ Keeper (one thread) ──due──▶ Errand ──▶ authority, then the next
//!                               ▲  sleeps until             │ account, order, proof
//!                               └──── Progress on disk ◀────┘ certificate ──▶ store
//! ```
//! Invariants: an account's key, an order's address with its key, and a failure are on disk before anything
//! follows from them; no more than
//! `AcmeLimits::orders` names are under way at once; the thread yields to those that serve.
//! Reading order: `keeper` (when), `order` (how), `fault` (what if not), `progress`, `account`, `proof`, `renewal`.

mod account;
mod caller;
mod fault;
mod keeper;
mod order;
mod progress;
mod proof;
mod register;
mod renewal;
mod shared;

use super::Challenges;
use hop3_core::acme::{AcmeChange, AcmeShown};
use serde::{Deserialize, Serialize};

pub(crate) use fault::{Blame, Fault};
pub(crate) use keeper::Keeper;
pub(crate) use shared::{Parts, Shared};

/// Where authorities look (RFC 8555 §8.3).
const HTTP_PREFIX: &str = "/.well-known/acme-challenge/";

/// What the control socket can ask.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Ask {
    Show,
    Set(Box<AcmeChange>),
    /// Another certificate for the name, now.
    Renew {
        name: String,
    },
}

pub(crate) fn answer(shared: &Shared, ask: Ask) -> Result<AcmeShown, hop3_core::Problem> {
    match ask {
        Ask::Show => Ok(shared.shown()),
        Ask::Set(change) => shared.set(*change),
        Ask::Renew { name } => shared.renew(&name).map(|()| shared.shown()),
    }
}

/// The whole response to a request for a path, where an authority was told to look there.
pub(crate) fn response(challenges: &Challenges, path: &str, is_head: bool) -> Option<Vec<u8>> {
    let answer = challenges.http(path.strip_prefix(HTTP_PREFIX)?)?;
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: {}\r\n\
         Cache-Control: no-store\r\nConnection: close\r\n\r\n",
        answer.len()
    );
    let body = if is_head { "" } else { &answer };
    Some([head.as_bytes(), body.as_bytes()].concat())
}
