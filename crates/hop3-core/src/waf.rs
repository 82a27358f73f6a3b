// SPDX-License-Identifier: Apache-2.0
//! What the proxy asks the request filter about a request, and what that answers.
//!
//! ```text
//! question:  length of settings, of head, of body (u32, big end first) · settings (JSON, `Ask`) · head · body
//! answer:    length (u32) · JSON, an `Answer`
//! ```
//! One question for each connection. Every length is bounded on both sides.

use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// What comes before the parts of a question.
pub const LENGTHS: usize = 12;
pub const MAX_SETTINGS: usize = 16 << 10;
pub const MAX_HEAD: usize = 512 << 10;
/// So much of a body is looked at.
pub const MAX_BODY: usize = 128 << 10;
pub const MAX_ANSWER: usize = 64 << 10;
/// No answer names more.
pub const MAX_MATCHES: usize = 64;

/// How a request is to be looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ask {
    pub client: IpAddr,
    /// From 1, few rules, to 4, all of them.
    pub paranoia: u8,
    /// Rules that are left out.
    pub without: Vec<u32>,
    /// The body goes on after what is sent here.
    pub is_cut: bool,
}

/// What the rules say.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Answer {
    /// The rules would not let it pass.
    pub stop: bool,
    /// The sum of the matches: 5 for a critical one, 4 for an error, 3 for a warning, 2 for a notice.
    pub score: u32,
    pub matches: Vec<Match>,
    /// There is no answer, and why.
    pub failed: Option<String>,
}

/// A rule that fits a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Match {
    pub id: u32,
    pub message: String,
    /// From 0, emergency, over 2, critical, to 7.
    pub severity: u8,
}

impl Ask {
    /// A whole question. `None` when a part is longer than anybody takes.
    pub fn question(&self, head: &[u8], body: &[u8]) -> Option<Vec<u8>> {
        let settings = serde_json::to_vec(self).ok()?;
        let parts = [(&settings[..], MAX_SETTINGS), (head, MAX_HEAD), (body, MAX_BODY)];
        let mut out = Vec::with_capacity(LENGTHS + settings.len() + head.len() + body.len());
        for (part, most) in parts {
            let length = u32::try_from(part.len()).ok().filter(|_| part.len() <= most)?;
            out.extend_from_slice(&length.to_be_bytes());
        }
        parts.iter().for_each(|(part, _)| out.extend_from_slice(part));
        Some(out)
    }
}

/// How long the parts of a question are. `None` when one is longer than it may be.
pub fn lengths(bytes: [u8; LENGTHS]) -> Option<[usize; 3]> {
    let length =
        |at: usize| u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]) as usize;
    let found = [length(0), length(4), length(8)];
    let fits = found.iter().zip([MAX_SETTINGS, MAX_HEAD, MAX_BODY]).all(|(length, most)| *length <= most);
    fits.then_some(found)
}

impl Answer {
    pub fn failed(why: impl ToString) -> Answer {
        Answer { failed: Some(why.to_string()), ..Answer::default() }
    }

    /// As it is sent.
    pub fn bytes(&self) -> Vec<u8> {
        let json = serde_json::to_vec(self).unwrap_or_default();
        let mut out = (json.len() as u32).to_be_bytes().to_vec();
        out.extend_from_slice(&json);
        out
    }

    /// The answer at the beginning of what was received; `None` while it is not whole.
    ///
    /// # Errors
    /// It is longer than an answer may be, or none.
    pub fn read(bytes: &[u8]) -> Result<Option<Answer>, String> {
        let Some((length, rest)) = bytes.split_first_chunk::<4>() else { return Ok(None) };
        let length = u32::from_be_bytes(*length) as usize;
        if length > MAX_ANSWER {
            return Err("the answer is too long".into());
        }
        let Some(json) = rest.get(..length) else { return Ok(None) };
        serde_json::from_slice(json).map(Some).map_err(|e| e.to_string())
    }
}
