// SPDX-License-Identifier: Apache-2.0
//! The one way git is started: arguments as a list, environment made here, configuration from here.
//!
//! Invariant: no file but the repository's own config is read, and the settings below win over it, so that a
//! repository restored from anywhere behaves like one made now.

use std::path::Path;
use std::process::Command;

/// What every git of Hop3 obeys. Passed in the environment, so that git's own children obey it too.
const SETTINGS: &[(&str, &str)] = &[
    ("http.receivepack", "true"),
    ("http.uploadpack", "true"),
    // Broken or hostile objects are refused before the hook sees them; the three exceptions are harmless
    // flaws that old, honest histories have.
    ("receive.fsckObjects", "true"),
    ("receive.fsck.zeroPaddedFilemode", "ignore"),
    ("receive.fsck.missingSpaceBeforeDate", "ignore"),
    ("receive.fsck.badTimezone", "ignore"),
    ("receive.maxInputSize", "1g"),
    ("receive.advertisePushOptions", "false"),
    ("receive.denyCurrentBranch", "ignore"),
    ("receive.autogc", "false"),
    ("gc.auto", "0"),
    ("maintenance.auto", "false"),
    ("core.attributesFile", "/dev/null"),
    ("core.excludesFile", "/dev/null"),
    ("core.fsmonitor", "false"),
    ("core.logAllRefUpdates", "false"),
    // Large objects are streamed, deltas and threads bounded: a push may not eat the server's memory.
    ("core.bigFileThreshold", "16m"),
    ("core.deltaBaseCacheLimit", "32m"),
    ("pack.threads", "1"),
    ("pack.windowMemory", "64m"),
    ("protocol.allow", "never"),
];

/// A `git` command on that repository. Standard streams are the caller's business.
pub(crate) fn git(repository: &Path) -> Command {
    let mut command = Command::new("git");
    command.env_clear().envs(environment(repository));
    // git looks at the directory it is started in, and the server's may be one that its user may not enter.
    command.current_dir("/");
    command
}

fn environment(repository: &Path) -> Vec<(String, std::ffi::OsString)> {
    let mut variables = vec![
        (
            "PATH".to_owned(),
            std::env::var_os("PATH").unwrap_or_else(|| "/usr/local/bin:/usr/bin:/bin".into()),
        ),
        ("HOME".to_owned(), "/nonexistent".into()),
        ("LC_ALL".to_owned(), "C".into()),
        ("GIT_CONFIG_NOSYSTEM".to_owned(), "1".into()),
        ("GIT_CONFIG_GLOBAL".to_owned(), "/dev/null".into()),
        ("GIT_ATTR_NOSYSTEM".to_owned(), "1".into()),
        // A pushed object that claims gigabytes may not have them. Large files are streamed and do not count.
        ("GIT_ALLOC_LIMIT".to_owned(), "256m".into()),
        ("GIT_TERMINAL_PROMPT".to_owned(), "0".into()),
        ("GIT_COMMITTER_NAME".to_owned(), "Hop3".into()),
        ("GIT_COMMITTER_EMAIL".to_owned(), "hop3@localhost".into()),
        ("GIT_CONFIG_COUNT".to_owned(), (SETTINGS.len() + 1).to_string().into()),
        // The repository may belong to the user `hop3` while root repairs something.
        ("GIT_CONFIG_KEY_0".to_owned(), "safe.directory".into()),
        ("GIT_CONFIG_VALUE_0".to_owned(), repository.into()),
    ];
    for (i, (key, value)) in SETTINGS.iter().enumerate() {
        variables.push((format!("GIT_CONFIG_KEY_{}", i + 1), key.into()));
        variables.push((format!("GIT_CONFIG_VALUE_{}", i + 1), value.into()));
    }
    variables
}
