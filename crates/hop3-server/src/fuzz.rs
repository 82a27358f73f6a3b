// SPDX-License-Identifier: Apache-2.0
//! What must hold for any bytes, built into the tests and into the programs in the folder `fuzz` at the top
//! (`cfg(fuzzing)`). The product has none of it.

mod archive;

pub use archive::archive;

use crate::git::hook::{DeployTarget, check_branch, pre_receive};
use crate::git::key::{AuthorizedKey, PublicKey, authorized_keys, check_name};
use crate::git::{Service, shell};
use hop3_core::Problem;
use std::path::Path;

fn check_problem(problem: &Problem) {
    let shown = problem.render();
    let harmful = |c: char| c.is_control() && c != '\n' && c != '\t';
    assert!(!shown.contains(harmful), "a terminal would obey {shown:?}");
}

/// A push means one thing: at most one commit to deploy, and words that do nothing to a terminal.
pub fn ref_updates(data: &[u8]) {
    let target =
        DeployTarget { branch: "main".to_owned(), settled: data.first().is_some_and(|b| b & 1 == 1) };
    let decision = match pre_receive(data, &target) {
        Ok(decision) => decision,
        Err(problem) => return check_problem(&problem),
    };
    for note in &decision.notes {
        assert!(!note.contains(char::is_control), "a terminal would obey {note:?}");
    }
    let Some(deploy) = decision.deploy else { return };
    assert!(deploy.branch == "main" || (deploy.branch == "master" && !target.settled));
    assert!(check_branch(&deploy.branch).is_ok());
    for id in [&deploy.commit, &deploy.old] {
        assert!(matches!(id.len(), 40 | 64) && id.bytes().all(|b| b.is_ascii_hexdigit()));
    }
    assert!(deploy.commit.bytes().any(|b| b != b'0'));
}

/// A key that is taken is written as one line with nothing of its comment, and read again as the same.
pub fn ssh_key(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let key = match PublicKey::parse(&text) {
        Ok(key) => key,
        Err(problem) => return check_problem(&problem),
    };
    let line = key.to_line();
    assert_eq!(PublicKey::parse(&line).as_ref(), Ok(&key));
    assert!(line.bytes().all(|b| b.is_ascii_graphic() || b == b' ') && line.split(' ').count() == 2);
    let keys = [AuthorizedKey { name: "laptop".to_owned(), key }];
    let file = authorized_keys(Path::new("/usr/bin/hop3"), Path::new("/var/lib/hop3"), &keys);
    assert_eq!(file.expect("a plain path").lines().count(), 2);
}

/// Of what a key's owner asks for, a service and a name are used and nothing else.
pub fn ssh_command(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    if check_name(&text).is_ok() {
        assert!(!text.contains(|c: char| c.is_whitespace() || c == '"' || c == '\'' || c == '$'));
    }
    match shell::parse(&text) {
        Ok(request) => {
            let verb = match request.service {
                Service::ReceivePack => "git-receive-pack",
                Service::UploadPack => "git-upload-pack",
            };
            let again = shell::parse(&format!("{verb} '/{}.git'", request.app));
            assert_eq!(again, Ok(request));
        }
        Err(problem) => check_problem(&problem),
    }
}

/// The host that is looked at before anything is fetched is the host of the address.
pub fn fetch_url(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let (host, _) = match crate::verb::fetch::parse(&text) {
        Ok(found) => found,
        Err(problem) => return check_problem(&problem),
    };
    assert!(!host.is_empty() && !host.starts_with('-') && !host.contains(['/', '@', ' ']), "{host:?}");
    let url: axum::http::Uri = match text.parse() {
        Ok(url) => url,
        Err(_) => return,
    };
    if let Some(other) = url.host() {
        let other = other.trim_start_matches('[').trim_end_matches(']');
        assert!(host == other, "{text:?}: {host:?} is looked at, {other:?} is asked");
    }
}

#[cfg(test)]
mod tests;
