// SPDX-License-Identifier: Apache-2.0
//! `backup restore --server`: asks no server; there is none yet.

use super::target::variable;
use crate::context::{Context, read_input};
use crate::problem;
use crate::render::{backup_news, clean};
use hop3_core::Problem;
use hop3_core::backup::{BackupNews, RebuildRequest};
use hop3_core::secret::Secret;
use std::path::Path;
use std::sync::mpsc::channel;
use std::thread;

/// Holds the recovery key of scripts.
const KEY: &str = "HOP3_RECOVERY_KEY";

pub(super) fn run(
    location: String,
    env: &[String],
    backup: Option<String>,
    cx: &mut Context,
) -> Result<(), Problem> {
    let env = env.iter().map(|pair| variable(pair)).collect::<Result<_, _>>()?;
    let backup = backup.map(|id| id.parse()).transpose()?;
    let key = Secret::new(key(cx)?);
    let request = RebuildRequest { location: Secret::new(location), env: Secret::new(env), key, backup };
    let (sender, news) = channel();
    let (rebuild, options) = (cx.program.rebuild, cx.options.clone());
    let done = thread::scope(|scope| {
        let worker = scope.spawn(move || {
            // The reader stays until the sender is gone.
            rebuild(&options, &request, &|one| drop(sender.send(one)))
        });
        for one in news {
            cx.element(&one, |cx| backup_news(&one, cx.style()));
        }
        worker.join()
    });
    let backups = done.map_err(|_| problem::stream_cut())??;
    let last = BackupNews::Done { backups: backups.clone() };
    cx.element(&last, |cx| backup_news(&last, cx.style()));
    for info in backups {
        cx.say(&format!(
            "the server of backup {} is back; start it with: hop3 server --root …",
            clean(info.id.as_str())
        ));
    }
    Ok(())
}

/// From the environment, or asked for, or the first line of standard input.
fn key(cx: &mut Context) -> Result<String, Problem> {
    let given = std::env::var(KEY).ok().filter(|key| !key.is_empty());
    let key = match given.or_else(|| cx.ask_secret("The recovery key:")) {
        Some(key) => key,
        None => String::from_utf8_lossy(&read_input(Path::new("-"))?).lines().next().unwrap_or("").to_owned(),
    };
    match key.trim() {
        "" => Err(problem::bad_argument("a recovery key", "", "type it, or set HOP3_RECOVERY_KEY")),
        key => Ok(key.to_owned()),
    }
}
