// SPDX-License-Identifier: Apache-2.0
//! What a service wants done with requests beside routing them. One file per feature; `judge` says in which order they
//! act and why.
//!
//! On the way back: error pages in place of the answer, compression, a copy for the cache, headers (`plan`).
//!
//! Invariant: a service without a policy pays one branch; a feature that is not asked for pays one more.

mod access;
mod answer;
mod auth;
mod cache;
mod canary;
mod canonical;
mod compress;
mod cors;
mod edit;
mod error_page;
mod forward_auth;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod hsts;
mod key;
mod live;
mod maintenance;
mod pause;
mod plan;
mod rate;
mod redirect;
mod sticky;
mod visit;
mod waf;

pub(crate) use cache::Recorder;
pub(crate) use compress::Coder;
pub(crate) use key::Key;
pub(crate) use live::Live;
pub(crate) use plan::{Plan, Replaced, Way};
pub(crate) use waf::Finding;

use crate::buffer::Buffer;
use crate::client::Client;
use crate::exchange::Ended;
use crate::http1::body::Length;
use crate::http1::forward::Request;
use crate::page;
use answer::Answer;
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use visit::Visit;

/// What becomes of a request.
pub(crate) enum Verdict {
    /// It goes on; `Client::plan` says what is done with its answer.
    Pass,
    Answered(Ended),
    /// The service has changed while the request was held: look it up again.
    Again,
}

/// Judges one request, whose head may be changed; `was_held` when it was before and has waited since.
pub(crate) async fn admit(
    client: &mut Client,
    request: &mut Request,
    head: &mut Buffer,
    live: &Arc<Live>,
    was_held: bool,
) -> Verdict {
    let mut visit = Visit::new(client.peer(), request, head);
    visit.trust(live);
    let judged = judge(client, live, &mut visit, was_held).await;
    let asked = visit.edit.is_elsewhere().then(|| visit.target.to_owned());
    let is_secure = visit.scheme == "https";
    let Visit { edit, lines, accepts, cookie, recording, is_tried, finding, .. } = visit;
    let coding = live.coding(accepts.as_deref().unwrap_or_default());
    let recording = RefCell::new(recording);
    let plan = Plan { asked, lines, coding, is_secure, is_tried, finding, ..Plan::new(live.clone()) };
    let plan = Plan { cookie, recording, ..plan };
    client.plan = Some(Rc::new(plan));
    match judged {
        Ok(()) => {
            edit.apply(request, head);
            Verdict::Pass
        }
        Err(Stop::Again) => Verdict::Again,
        Err(Stop::Answer(answer)) => Verdict::Answered(answer.send(client, request, head).await),
    }
}

/// Why a request does not go on.
enum Stop {
    Answer(Box<Answer>),
    Again,
}

impl From<Answer> for Stop {
    fn from(answer: Answer) -> Stop {
        Stop::Answer(Box::new(answer))
    }
}

/// ```text
/// access       the cheapest refusal, so first
/// maintenance  nobody but the allowed sees the service; before redirects, which would send visitors in circles
/// canonical    one name for everything after
/// rate         before passwords, so that guesses are counted; a request that was held has been counted
/// cors         answers a browser's question, which comes without a password
/// auth         a password
/// forward_auth another service's word, asked only about those who had the password
/// moved        paths that have moved, told only to those who may come in
/// body_size    a size that was announced, before anything of it is read
/// waf          reads of the body, and costs most: after everything that may refuse
/// pause        holds only requests that will be carried out
/// cache        what is kept is shown only to those who got this far
/// canary       only what the upstream is asked needs one
/// rewrite, headers   what the upstream sees
/// ```
async fn judge(
    client: &mut Client,
    live: &Arc<Live>,
    visit: &mut Visit<'_>,
    was_held: bool,
) -> Result<(), Stop> {
    access::check(live, visit)?;
    maintenance::check(live, visit)?;
    canonical::check(live, visit)?;
    if !was_held {
        rate::check(live, visit)?;
    }
    cors::check(live, visit)?;
    auth::check(live, visit).await?;
    forward_auth::check(client, live, visit).await?;
    redirect::moved(live, visit)?;
    body_size(live, visit)?;
    waf::check(client, live, visit).await?;
    pause::check(client, live, visit).await?;
    cache::check(client, live, visit).await?;
    canary::choose(live, visit);
    redirect::rewrite(live, visit);
    visit.edit.headers(&live.source.request_headers);
    Ok(())
}

/// A body that is announced as too large is refused before it is read; one that is not announced, as it comes.
fn body_size(live: &Live, visit: &Visit<'_>) -> Result<(), Answer> {
    match (live.source.max_body_size, visit.length) {
        (Some(limit), Length::Exact(length)) if length > limit => Err(Answer::page(page::TOO_LARGE)),
        _ => Ok(()),
    }
}
