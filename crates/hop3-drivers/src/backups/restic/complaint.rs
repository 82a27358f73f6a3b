// SPDX-License-Identifier: Apache-2.0
//! What restic's complaints mean, for those who read them: its version 0.14 has one exit status for all of them.

use hop3_core::Problem;
use hop3_core::backup::shown_location;
use hop3_core::driver::{BackupPlace, Exit};
use hop3_core::problem::Kind;
use std::io;

/// A word of a complaint, and what it means. The first that is found counts.
const MEANINGS: &[(&str, Meaning)] = &[
    ("wrong password or no key found", Meaning::WrongKey),
    ("no space left on device", Meaning::NoRoom),
    ("disk quota exceeded", Meaning::NoRoom),
    ("Host key verification failed", Meaning::Stranger),
    ("HOST IDENTIFICATION HAS CHANGED", Meaning::Stranger),
    ("Permission denied (", Meaning::NoKey),
    ("connection refused", Meaning::Unreachable),
    ("Connection refused", Meaning::Unreachable),
    ("no such host", Meaning::Unreachable),
    ("i/o timeout", Meaning::Unreachable),
    ("network is unreachable", Meaning::Unreachable),
    ("no route to host", Meaning::Unreachable),
    ("connection reset", Meaning::Unreachable),
    ("retrying after", Meaning::Unreachable),
    ("unable to start the sftp session", Meaning::NoSession),
    ("already locked", Meaning::Locked),
    ("ciphertext verification failed", Meaning::Damaged),
    ("hash mismatch", Meaning::Damaged),
    ("hash does not match", Meaning::Damaged),
    ("invalid data returned", Meaning::Damaged),
    ("unexpected EOF", Meaning::Damaged),
    ("not found in index", Meaning::Damaged),
    ("not found in repository", Meaning::Damaged),
    ("Is there a repository at the following location", Meaning::Absent),
    ("no matching ID found", Meaning::NoSnapshot),
    ("no snapshot found", Meaning::NoSnapshot),
    ("permission denied", Meaning::Denied),
    // What servers of S3 say.
    ("Access Denied", Meaning::Denied),
    ("signature we calculated does not match", Meaning::Denied),
    ("Access Key Id you provided does not exist", Meaning::Denied),
];

#[derive(Clone, Copy)]
enum Meaning {
    WrongKey,
    NoRoom,
    Unreachable,
    Stranger,
    NoKey,
    /// Nothing is known of why: restic may end before it has passed on what ssh said.
    NoSession,
    Locked,
    Damaged,
    Absent,
    NoSnapshot,
    Denied,
}

pub(super) fn problem(exit: Exit, complaints: &[String]) -> Problem {
    let found = |word: &str| complaints.iter().any(|line| line.contains(word));
    let meaning = MEANINGS.iter().find(|(word, _)| found(word)).map(|(_, meaning)| *meaning);
    told(meaning).detail(detail(exit, complaints))
}

pub(super) fn check_problem(exit: Exit, complaints: &[String]) -> Problem {
    let plain = problem(exit, complaints);
    match plain.code.as_str() {
        "backup.failed" | "backup.no-snapshot" if matches!(exit, Exit::Status(_)) => {
            told(Some(Meaning::Damaged)).detail(detail(exit, complaints))
        }
        _ => plain,
    }
}

pub(super) fn gone(location: &str) -> Problem {
    Problem::new(Kind::Unavailable, "backup.unreachable", "the directory of the backups is not there")
        .detail(location)
        .hint("is its disk plugged in and mounted? where backups go: hop3 backup targets list")
}

fn detail(exit: Exit, complaints: &[String]) -> String {
    format!("restic ended with: {exit}\n{}", complaints.join("\n")).trim_end().to_owned()
}

fn told(meaning: Option<Meaning>) -> Problem {
    match meaning {
        Some(Meaning::WrongKey) => {
            Problem::new(Kind::Denied, "backup.wrong-key", "the recovery key does not open the backups there")
                .hint("the place belongs to another server: use its key, or choose an empty place")
        }
        Some(Meaning::NoRoom) => {
            Problem::new(Kind::Unavailable, "backup.no-room", "there is no room left for backups")
                .hint("make room there, or keep fewer: hop3 backup prune; earlier backups are intact")
        }
        Some(Meaning::Unreachable) => {
            Problem::new(Kind::Unavailable, "backup.unreachable", "the place of the backups does not answer")
                .hint("look whether it is up and how it is reached: hop3 backup targets list; then try again")
        }
        Some(Meaning::Stranger) => Problem::new(
            Kind::Denied,
            "backup.stranger",
            "the machine of the backups is not known by its key, or has another one",
        )
        .hint("where the key is the right one, add it: ssh-keyscan -p PORT HOST >> backups/home/.ssh/known_hosts, beneath the root"),
        Some(Meaning::NoKey) => {
            Problem::new(Kind::Denied, "backup.denied", "the machine of the backups does not let Hop3 in")
                .hint("let the key in backups/home/.ssh, beneath the root, in there: ssh-copy-id -i KEY USER@HOST")
        }
        Some(Meaning::NoSession) => {
            Problem::new(Kind::Unavailable, "backup.unreachable", "the machine of the backups gives no session")
                .hint(
                    "look whether it is up, whether its key is in backups/home/.ssh/known_hosts beneath the root, and whether it \
                     lets the key there in: ssh -v says it",
                )
        }
        Some(Meaning::Locked) => {
            Problem::new(Kind::Conflict, "backup.locked", "another program works on the backups there")
                .hint("try again when it has ended")
        }
        Some(Meaning::Damaged) => {
            Problem::new(Kind::Conflict, "backup.damaged", "some of what is kept there is damaged")
                .hint("see which backups still restore with: hop3 backup verify; make a new one with: hop3 backup create")
        }
        Some(Meaning::Absent) => {
            Problem::new(Kind::NotFound, "backup.no-repository", "there are no backups at that place")
                .hint("look whether the location is right and mounted: hop3 backup targets list")
        }
        Some(Meaning::NoSnapshot) => {
            Problem::new(Kind::NotFound, "backup.no-snapshot", "a snapshot is not there any more")
        }
        Some(Meaning::Denied) => {
            Problem::new(Kind::Denied, "backup.denied", "the place of the backups may not be used")
                .hint("look at the access keys of the target, or at whom its directory belongs to")
        }
        None => Problem::new(Kind::Unavailable, "backup.failed", "the backup program failed"),
    }
}

/// What is full is not the place of the backups.
pub(super) fn of_restore(problem: Problem) -> Problem {
    if problem.code != "backup.no-room" {
        return problem;
    }
    let title = "the server's disk has no room for what is restored";
    Problem::new(Kind::Unavailable, "backup.no-room-here", title)
        .detail(problem.detail.lines().take(3).collect::<Vec<_>>().join("\n"))
        .hint("make room on it, then do the same again; see how much there is with: hop3 doctor")
}

pub(super) fn not_started(problem: Problem) -> Problem {
    if problem.code != "run.not-started" {
        return problem;
    }
    Problem::new(Kind::Unavailable, "backup.no-program", "restic, which keeps the backups, cannot be started")
        .detail(problem.title)
        .hint("install it: apt-get install restic")
}

pub(super) fn broken(error: io::Error) -> Problem {
    Problem::new(Kind::Unavailable, "backup.cut", "the backup program was cut off").detail(error.to_string())
}

pub(super) fn input_failed(error: &io::Error) -> Problem {
    Problem::new(
        Kind::Unavailable,
        "backup.source-failed",
        "what was to be saved could not be read to its end",
    )
    .detail(error.to_string())
}

/// The text with the location as it may be shown, and without the values of the target's variables.
pub(super) fn without_passwords(text: &str, place: &BackupPlace) -> String {
    let location = place.location.expose();
    let text = text.replace(location.as_str(), &shown_location(location));
    let secrets = place.env.expose().values().chain([place.key.expose()]).filter(|value| value.len() >= 8);
    secrets.fold(text, |text, secret| text.replace(secret.as_str(), "[redacted]"))
}
