// SPDX-License-Identifier: Apache-2.0
//! What a plugin gets wrong, as problems that name it.

use hop3_core::name::PluginName;
use hop3_core::plugin;
use hop3_core::{Kind, Problem};
use std::time::Duration;

/// How a call failed. The program is ended after each but `Refused`.
#[derive(Debug)]
pub(super) enum Failure {
    /// It gave no answer in time.
    TimedOut(Duration),
    /// It ended before it answered; how.
    Ended(String),
    /// It answered what the protocol does not allow; why.
    BadAnswer(String),
    /// It wrote too much; what.
    Flooded(String),
    /// It answered with an error of its own.
    Refused(plugin::Failure),
    /// It could not be started.
    NotStarted(Problem),
    /// Others were asking it for as long as the call may take.
    Busy(Duration),
}

impl Failure {
    pub(super) fn problem(self, name: &PluginName, method: &str) -> Problem {
        let told = |code: &str, title: String| Problem::new(Kind::Plugin, code, title);
        let asked = format!("asked for: {method}");
        let problem = match self {
            Failure::TimedOut(after) => {
                let title = format!("the plugin \"{name}\" gave no answer within {} s", after.as_secs());
                told("plugin.timed-out", title).detail(asked)
            }
            Failure::Busy(after) => {
                let title = format!("the plugin \"{name}\" was busy for {} s", after.as_secs());
                told("plugin.busy", title).detail(asked)
            }
            Failure::Ended(how) => {
                let title = format!("the plugin \"{name}\" ended before it answered");
                told("plugin.ended", title).detail(format!("{asked}\nended with: {how}"))
            }
            Failure::BadAnswer(why) => {
                let title = format!("the plugin \"{name}\" gave an answer that is none");
                told("plugin.bad-answer", title).detail(format!("{asked}\n{why}"))
            }
            Failure::Flooded(what) => {
                let title = format!("the plugin \"{name}\" wrote too much");
                told("plugin.flooded", title).detail(format!("{asked}\n{what}"))
            }
            Failure::NotStarted(problem) => {
                let title = format!("the plugin \"{name}\" could not be started");
                told("plugin.not-started", title).detail(problem.render())
            }
            // A plugin that tells a whole problem means it for the user.
            Failure::Refused(plugin::Failure { data: Some(problem), .. }) => return own(name, problem),
            Failure::Refused(failure) => {
                let title = format!("the plugin \"{name}\" failed");
                told("plugin.failed", title).detail(format!("{asked}\n{}", failure.message))
            }
        };
        problem.hint(format!("what it wrote: hop3 plugin logs {name}"))
    }
}

/// A problem that the plugin made, its texts made harmless, with a code that says whose it is.
fn own(name: &PluginName, problem: Problem) -> Problem {
    let code = match problem.code.contains('.') {
        true => problem.code.clone(),
        false => format!("{name}.{}", problem.code),
    };
    let made = Problem::new(problem.kind, &code, problem.title).detail(problem.detail).hint(problem.hint);
    match problem.span {
        Some(span) => made.span(span),
        None => made,
    }
}
