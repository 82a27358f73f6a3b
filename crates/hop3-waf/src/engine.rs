// SPDX-License-Identifier: Apache-2.0
//! `Engine`: one thread's rules, and what they make of a request.

use crate::library::{Library, Outcome, Request, RuleSet};
use crate::sets::{Choice, Sets};
use crate::{line, rules};
use hop3_core::waf::{Answer, Ask, MAX_MATCHES, Match};
use std::ffi::CString;
use std::time::Instant;

/// A rule that each request over the limit fits: it says that the sum is too high, and is no match of its own.
const VERDICT: u32 = 949_110;

pub struct Engine {
    library: Library,
    /// Marks in the library's log what a request cannot have written.
    token: CString,
    sets: Sets<RuleSet>,
    /// The choice whose rules were read last, until somebody asks.
    news: Option<Choice>,
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
        Ok(Engine { library, token, sets: Sets::new(), news: None })
    }

    /// Says what the rules make of a request; `head` as it stands in HTTP/1.1.
    pub fn judge(&mut self, ask: &Ask, head: &[u8], body: &[u8]) -> Answer {
        let Some(parts) = Parts::of(head) else { return Answer::failed("this is no head of a request") };
        let read =
            |choice: &Choice| load(&self.library, choice).inspect(|_| self.news = Some(choice.clone()));
        let rules = match self.sets.get(Choice::of(ask), Instant::now(), read) {
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

    /// Reads rules before they are asked for.
    pub(crate) fn prepare(&mut self, choice: Choice) -> Result<(), String> {
        let read = |choice: &Choice| load(&self.library, choice);
        self.sets.get(choice, Instant::now(), read).map(drop).map_err(str::to_owned)
    }

    /// The choice whose rules were read since this was last asked.
    pub(crate) fn news(&mut self) -> Option<Choice> {
        self.news.take()
    }
}

fn load(library: &Library, choice: &Choice) -> Result<RuleSet, String> {
    library.load(&rules::text(choice.paranoia, &choice.without)?)
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
    load(&engine.library, &Choice::usual()).map(drop)
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
