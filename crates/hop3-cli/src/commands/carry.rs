// SPDX-License-Identifier: Apache-2.0
//! What commands about addons and volumes share: `export|import` to and from a file, and asking before one is destroyed.

use crate::context::Context;
use crate::problem;
use crate::upload::Upload;
use hop3_core::Problem;
use hyper::Method;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

pub(super) fn export(of: &str, name: &str, file: &Path, cx: &mut Context) -> Result<(), Problem> {
    let path = format!("{of}/export");
    let client = cx.client()?;
    if file == Path::new("-") {
        return client.download(&path, &mut io::stdout().lock());
    }
    // Beside it first: what has the name is whole.
    let mut draft = file.as_os_str().to_owned();
    draft.push(".part");
    let draft = Path::new(&draft);
    let unwritable = |e: io::Error| problem::unwritable(file, &e);
    let mut to = File::create(draft).map_err(unwritable)?;
    let outcome = client.download(&path, &mut to).and_then(|()| to.flush().map_err(unwritable));
    match outcome {
        Ok(()) => std::fs::rename(draft, file).map_err(unwritable)?,
        Err(problem) => {
            // It is of no use to anybody.
            let _ = std::fs::remove_file(draft);
            return Err(problem);
        }
    }
    cx.say(&format!("{name} is in {}", file.display()));
    Ok(())
}

/// Asks before something is destroyed that holds data.
pub(super) fn confirm_destroying(
    name: &str,
    now: bool,
    said: Option<String>,
    cx: &mut Context,
) -> Result<String, Problem> {
    let what = if now { " for good, at once" } else { "; for seven days it can be brought back" };
    cx.confirm(&format!("This destroys {name} with all it holds{what}."), name, said)
}

pub(super) fn import<A: DeserializeOwned + Serialize>(
    of: &str,
    name: &str,
    file: &Path,
    confirm: Option<String>,
    cx: &mut Context,
) -> Result<(), Problem> {
    let from: Box<dyn Read + Send> = match file == Path::new("-") {
        true => Box::new(io::stdin()),
        false => Box::new(File::open(file).map_err(|e| problem::unreadable(file, &e))?),
    };
    cx.confirm(&format!("This replaces all that {name} holds."), name, confirm)?;
    let path = format!("{of}/import");
    let info: A = cx.client()?.answer(Method::POST, &path, Upload::copied_from(from))?;
    cx.answer(&info, |_| format!("{name} holds what was in the file\n"));
    Ok(())
}
