// SPDX-License-Identifier: Apache-2.0
//! `Engine`: one thread's rules. A set is read when it is first asked for; few are kept, the longest unused goes.

use crate::library::{Library, Outcome, Request, RuleSet};
use crate::{line, rules};
use hop3_core::waf::{Answer, Ask, MAX_MATCHES, Match};
use std::ffi::CString;

/// Each takes megabytes.
const MAX_SETS: usize = 4;
/// A rule that each request over the limit fits: it says that the sum is too high, and is no match of its own.
const VERDICT: u32 = 949_110;

pub struct Engine {
    library: Library,
    /// Marks in the library's log what a request cannot have written.
    token: CString,
    /// The one used last comes last. A set that cannot be read is known too, so that it is not tried again and again.
    sets: Vec<Set>,
}

struct Set {
    paranoia: u8,
    without: Vec<u32>,
    rules: Result<RuleSet, String>,
}

impl Engine {
    /// # Errors
    /// The library does not start.
    pub fn new() -> Result<Engine, String> {
        let library = Library::new().ok_or("libmodsecurity does not start")?;
        let mut seed = [0; 16];
        rustix::rand::getrandom(&mut seed, rustix::rand::GetRandomFlags::empty())
            .map_err(|e| e.to_string())?;
        let token = CString::new(format!("{:032x}", u128::from_ne_bytes(seed))).unwrap_or_default();
        Ok(Engine { library, token, sets: Vec::new() })
    }

    /// Says what the rules make of a request; `head` as it stands in HTTP/1.1.
    pub fn judge(&mut self, ask: &Ask, head: &[u8], body: &[u8]) -> Answer {
        let Some(parts) = Parts::of(head) else { return Answer::failed("this is no head of a request") };
        let place = self.set(ask);
        let rules = match &self.sets[place].rules {
            Ok(rules) => rules,
            Err(why) => return Answer::failed(why),
        };
        let client = CString::new(ask.client.to_string()).unwrap_or_default();
        let field = (!body.is_empty() && parts.is_text()).then(|| field(body));
        let mut headers = parts.headers;
        let ours = [(ask.is_cut, rules::CUT), (field.is_some(), rules::TEXT)];
        headers.extend(ours.iter().filter(|(is_so, _)| *is_so).map(|(_, name)| (name.as_bytes(), &b"1"[..])));
        let request = Request {
            client: &client,
            server: &self.token,
            method: &parts.method,
            target: &parts.target,
            headers: &headers,
            body: field.as_deref().unwrap_or(body),
        };
        answer(&self.library.judge(rules, &request), &self.token.to_string_lossy())
    }

    /// Where the set lies, which is read first if need be.
    fn set(&mut self, ask: &Ask) -> usize {
        let known = self.sets.iter().position(|s| s.paranoia == ask.paranoia && s.without == ask.without);
        let set = match known {
            Some(place) => self.sets.remove(place),
            None => {
                if self.sets.len() >= MAX_SETS {
                    self.sets.remove(0);
                }
                let text = rules::text(ask.paranoia, &ask.without);
                let rules = text.and_then(|text| self.library.load(&text));
                Set { paranoia: ask.paranoia, without: ask.without.clone(), rules }
            }
        };
        self.sets.push(set);
        self.sets.len() - 1
    }
}

fn answer(outcome: &Outcome, token: &str) -> Answer {
    let mut matches: Vec<Match> = Vec::new();
    let mut score = 0;
    for found in outcome.lines.iter().filter_map(|line| line::read(line, token)) {
        if found.id == VERDICT {
            continue;
        }
        score += line::weight(found.severity);
        if matches.len() < MAX_MATCHES && !matches.iter().any(|known| known.id == found.id) {
            matches.push(found);
        }
    }
    Answer { stop: outcome.stop, score, matches, failed: None }
}

/// Tells whether the library and the rules can be used.
///
/// # Errors
/// Why they cannot.
pub fn check() -> Result<(), String> {
    let engine = Engine::new()?;
    engine.library.load(&rules::text(1, &[])?).map(drop)
}

/// A head taken apart.
struct Parts<'a> {
    method: CString,
    target: CString,
    headers: Vec<(&'a [u8], &'a [u8])>,
}

impl<'a> Parts<'a> {
    fn of(head: &'a [u8]) -> Option<Parts<'a>> {
        let mut lines =
            head.split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
        let mut words = lines.next()?.split(|byte| *byte == b' ');
        let (method, target) = (CString::new(words.next()?).ok()?, CString::new(words.next()?).ok()?);
        let mut headers = Vec::new();
        for line in lines.take_while(|line| !line.is_empty()) {
            let colon = line.iter().position(|byte| *byte == b':')?;
            let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
            if ![rules::CUT, rules::TEXT].iter().any(|ours| name.eq_ignore_ascii_case(ours.as_bytes())) {
                headers.push((name, value));
            }
        }
        Some(Parts { method, target, headers })
    }

    /// The body is of a type, or of none, for whose inside there are no rules.
    fn is_text(&self) -> bool {
        let named = self.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case(b"content-type"));
        let media = named.map(|(_, media)| String::from_utf8_lossy(media).to_ascii_lowercase());
        let is_text = |media: &str| media.starts_with("text/") && !media.starts_with("text/xml");
        media.is_none_or(|media| is_text(&media) || media.starts_with("application/graphql"))
    }
}

/// A text as a field of a form, whose rules look at all of it.
fn field(text: &[u8]) -> Vec<u8> {
    let mut out = b"text=".to_vec();
    for byte in text {
        match byte {
            b'%' => out.extend_from_slice(b"%25"),
            b'&' => out.extend_from_slice(b"%26"),
            b'+' => out.extend_from_slice(b"%2B"),
            _ => out.push(*byte),
        }
    }
    out
}
