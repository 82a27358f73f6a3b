// SPDX-License-Identifier: Apache-2.0
//! `Fault`: why there is no certificate, in the authority's own words, and whose matter it is; that decides what is
//! tried next.

use hop3_core::{Kind, Problem};
use instant_acme::Error;
use std::io;
use std::time::Duration;

/// Whose matter it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Blame {
    /// The authority does not answer: the next one may, and so may this one later.
    Away,
    /// The authority wants to be asked the same once more.
    Again,
    /// The authority will not: the next one may.
    Authority,
    /// The authority does not know the account any more.
    Account,
    /// The host cannot be shown to be ours; no authority would see it otherwise.
    Host,
    /// Something of this machine.
    Here,
}

#[derive(Clone, Debug)]
pub(crate) struct Fault {
    pub(crate) blame: Blame,
    pub(crate) problem: Problem,
    /// What the authority asks us to wait.
    pub(crate) wait: Option<Duration>,
}

/// An authority that asks for patience: 429 or 503 with `Retry-After`.
#[derive(Debug, thiserror::Error)]
#[error("{words}")]
pub(crate) struct Busy {
    pub(crate) words: String,
    pub(crate) wait: Duration,
}

/// Nothing came in time.
#[derive(Debug, thiserror::Error)]
#[error("no answer within {} seconds", .0.as_secs())]
pub(crate) struct Silent(pub(crate) Duration);

/// Authorities that limit us and do not say for how long.
const RATE_LIMIT_WAIT: Duration = Duration::from_secs(3600);

impl Fault {
    pub(crate) fn new(blame: Blame, problem: Problem) -> Fault {
        Fault { blame, problem, wait: None }
    }

    /// What the client of the protocol met.
    pub(crate) fn of(authority: &str, error: Error) -> Fault {
        match error {
            Error::Api(problem) => Fault::told(authority, &problem),
            Error::Other(error) => match error.downcast::<Busy>() {
                Ok(busy) => Fault { wait: Some(busy.wait), ..Fault::limited(authority, &busy.words) },
                Err(error) => Fault::away(authority, &causes(error.as_ref())),
            },
            other => Fault::away(authority, &causes(&other)),
        }
    }

    fn told(authority: &str, problem: &instant_acme::Problem) -> Fault {
        let words = words(problem);
        match kind_of(problem) {
            "rateLimited" => Fault::limited(authority, &words),
            "serverInternal" => Fault::away(authority, &words),
            "badNonce" => Fault { blame: Blame::Again, ..Fault::away(authority, &words) },
            "accountDoesNotExist" => Fault { blame: Blame::Account, ..Fault::refused(authority, &words) },
            _ => Fault::refused(authority, &words),
        }
    }

    /// What the authority saw when it looked whether the host is ours.
    pub(crate) fn unproven(authority: &str, host: &str, problem: &instant_acme::Problem) -> Fault {
        if kind_of(problem) == "caa" {
            // A record of the domain forbids this authority, perhaps not the next.
            return Fault::refused(authority, &words(problem));
        }
        let title = format!("{authority} does not see that {host} is served here");
        Fault::new(
            Blame::Host,
            Problem::new(Kind::Conflict, "acme.not-proven", title).detail(words(problem)).hint(format!(
                "let the DNS of {host} name this server, and the internet reach its ports 80 and 443\nthen try at \
                 once with: hop3 cert renew {host}"
            )),
        )
    }

    pub(crate) fn away(authority: &str, words: &str) -> Fault {
        let title = format!("{authority} cannot be asked for a certificate");
        Fault::new(
            Blame::Away,
            Problem::new(Kind::Unavailable, "acme.away", title)
                .detail(words)
                .hint("it is tried again by itself; see whether this machine reaches the internet"),
        )
    }

    pub(crate) fn refused(authority: &str, words: &str) -> Fault {
        let title = format!("{authority} refuses the certificate");
        Fault::new(
            Blame::Authority,
            Problem::new(Kind::Conflict, "acme.refused", title)
                .detail(words)
                .hint("see what it is asked with: hop3 cert acme show"),
        )
    }

    fn limited(authority: &str, words: &str) -> Fault {
        let title = format!("{authority} gives no more certificates for now");
        let problem = Problem::new(Kind::Unavailable, "acme.rate-limited", title)
            .detail(words)
            .hint("it is tried again when the authority allows it; a second authority helps: hop3 cert acme set --ca");
        Fault { wait: Some(RATE_LIMIT_WAIT), ..Fault::new(Blame::Authority, problem) }
    }

    pub(crate) fn here(what: &str, error: &io::Error) -> Fault {
        Fault::new(
            Blame::Here,
            Problem::new(Kind::Unavailable, "acme.disk", format!("{what} cannot be written"))
                .detail(error.to_string())
                .hint("see whether the disk is full with: hop3 doctor"),
        )
    }
}

/// The last word of `urn:ietf:params:acme:error:rateLimited`.
pub(crate) fn kind_of(problem: &instant_acme::Problem) -> &str {
    problem.r#type.as_deref().and_then(|kind| kind.rsplit(':').next()).unwrap_or_default()
}

/// All that an authority says.
fn words(problem: &instant_acme::Problem) -> String {
    let mut lines = vec![problem.detail.clone().unwrap_or_default()];
    lines.extend(problem.subproblems.iter().map(|sub| sub.to_string().trim().to_owned()));
    lines.push(kind_of(problem).to_owned());
    lines.retain(|line| !line.is_empty());
    lines.join("\n")
}

fn causes(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let more = cause.to_string();
        if !text.ends_with(&more) {
            text += &format!(": {more}");
        }
        next = cause.source();
    }
    text
}
