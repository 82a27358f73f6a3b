// SPDX-License-Identifier: Apache-2.0
//! `addon shell`: the product's own client for a person's terminal, as a user that owns nothing.

use super::find;
use crate::server::{Server, internal};
use hop3_core::api::RunRequest;
use hop3_core::name::AddonName;
use hop3_core::problem::{Kind, Problem};
use hop3_core::sandbox::{Command, Job, Limits, Sandbox};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// The client's job; what the request asks to run is added to its arguments.
pub(crate) fn shell(server: &Server, name: &AddonName, request: &RunRequest) -> Result<Job, Problem> {
    let addon = find(server, name)?;
    let binding = addon.binding.filter(|binding| !binding.shell.is_empty()).ok_or_else(|| {
        Problem::new(Kind::User, "addon.no-shell", format!("there is no client for {name}"))
            .hint(format!("what apps are told: hop3 addon credentials show {name}"))
    })?;
    let variables = binding.variables.iter().map(|(key, value)| (key.to_string(), value.expose().clone()));
    let mut env: BTreeMap<String, String> = variables.collect();
    env.insert("PATH".into(), "/usr/local/bin:/usr/bin:/bin".into());
    env.insert("LANG".into(), "C.UTF-8".into());
    env.insert("HOME".into(), "/tmp".into());
    if request.terminal.is_some() {
        env.insert("TERM".into(), "xterm-256color".into());
    }
    let user = match server.drivers.runner.is_privileged() {
        true => Some(server.store.next_uid().map_err(internal)?),
        false => None,
    };
    Ok(Job {
        command: Command::exec(binding.shell.into_iter().chain(request.argv.iter().cloned())),
        cwd: PathBuf::from("/tmp"),
        env,
        sandbox: Sandbox {
            user,
            user_name: "shell".to_owned(),
            home: PathBuf::from("/tmp"),
            hide: vec![server.layout.root().to_owned()],
            mounts: Vec::new(),
            ..Sandbox::default()
        },
        limits: Limits::default(),
    })
}
