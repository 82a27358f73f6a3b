// SPDX-License-Identifier: Apache-2.0
//! Every `Problem` the supervisor and its client tell, in one place.

use hop3_core::{Kind, Problem};
use std::path::Path;

pub(crate) fn not_started(what: &str, why: impl std::fmt::Display) -> Problem {
    Problem::new(Kind::User, "run.not-started", format!("The command \"{what}\" cannot be started: {why}"))
}

pub(crate) fn sandbox_failed(step: &str, why: impl std::fmt::Display) -> Problem {
    Problem::new(Kind::Unavailable, "run.sandbox-failed", "The sandbox of the process cannot be made")
        .detail(format!("{step}: {why}"))
        .hint("hop3 doctor tells what this machine allows")
}

pub(crate) fn launcher_failed(why: impl std::fmt::Display) -> Problem {
    Problem::new(Kind::Unavailable, "run.launcher-failed", "The process launcher failed")
        .detail(why.to_string())
}

pub(crate) fn bad_request(why: impl std::fmt::Display) -> Problem {
    Problem::new(Kind::Bug, "supervisor.bad-request", "The supervisor does not understand a request")
        .detail(why.to_string())
}

pub(crate) fn user_required() -> Problem {
    Problem::new(Kind::Denied, "run.no-user", "The supervisor starts nothing as root for another user")
        .hint("give the job a sandbox user other than 0")
}

pub(crate) fn not_running(id: &str) -> Problem {
    Problem::new(Kind::Conflict, "instance.not-running", format!("{id} does not run, so it cannot be frozen"))
}

pub(crate) fn unknown_instance(id: &str) -> Problem {
    Problem::new(Kind::NotFound, "instance.not-found", format!("There is no instance {id}"))
        .hint("hop3 ps lists the instances")
}

pub(crate) fn outside_root(path: &Path) -> Problem {
    Problem::new(
        Kind::Denied,
        "path.outside-root",
        format!("{} does not lie beneath Hop3's root", path.display()),
    )
}

pub(crate) fn place_failed(path: &Path, why: impl std::fmt::Display) -> Problem {
    Problem::new(Kind::Unavailable, "path.failed", format!("{} cannot be changed", path.display()))
        .detail(why.to_string())
}

pub(crate) fn logs_failed(why: impl std::fmt::Display) -> Problem {
    Problem::new(Kind::Unavailable, "log.failed", "The log cannot be read or written").detail(why.to_string())
}

pub(crate) fn unreachable(socket: &Path, why: impl std::fmt::Display) -> Problem {
    Problem::new(Kind::Unavailable, "supervisor.unreachable", "The supervisor does not answer")
        .detail(format!("{}: {why}", socket.display()))
        .hint("hop3 doctor tells which roles run")
}

pub(crate) fn interrupted() -> Problem {
    Problem::new(Kind::Unavailable, "run.interrupted", "The supervisor ended while the command ran")
        .hint("run it again")
}
