// SPDX-License-Identifier: Apache-2.0
//! `addon export|import|restore|shell`: what goes in and out of an addon as it is.

use crate::context::Context;
use crate::problem;
use crate::render::clock;
use crate::upload::Upload;
use hop3_core::Problem;
use hop3_core::api::{AddonInfo, RestoreAddonRequest};
use hop3_core::name::AddonName;
use hyper::Method;
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

pub(super) fn export(name: &AddonName, file: &Path, cx: &mut Context) -> Result<(), Problem> {
    let path = format!("/api/addons/{name}/export");
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

pub(super) fn import(
    name: &AddonName,
    file: &Path,
    confirm: Option<String>,
    cx: &mut Context,
) -> Result<(), Problem> {
    let from: Box<dyn Read + Send> = match file == Path::new("-") {
        true => Box::new(io::stdin()),
        false => Box::new(File::open(file).map_err(|e| problem::unreadable(file, &e))?),
    };
    let question = format!("This replaces all that {name} holds. Type its name to confirm:");
    let confirm = confirm.or_else(|| cx.ask(&question)).filter(|typed| typed == name.as_str());
    confirm.ok_or_else(|| problem::not_confirmed(name.as_str()))?;
    let path = format!("/api/addons/{name}/import");
    let info: AddonInfo = cx.client()?.answer(Method::POST, &path, Upload::copied_from(from))?;
    cx.answer(&info, |_| format!("{name} holds what was in the file\n"));
    Ok(())
}

pub(super) fn restore(
    name: &str,
    to: &str,
    new: Option<String>,
    confirm: Option<String>,
    cx: &mut Context,
) -> Result<(), Problem> {
    let name: AddonName = name.parse()?;
    let as_of_ms = moment(to, &cx.zone())?;
    let new = new.map(|new| new.parse::<AddonName>()).transpose()?;
    if new.is_none() {
        let question = format!("This replaces all that {name} holds. Type its name to confirm:");
        let confirm = confirm.or_else(|| cx.ask(&question)).filter(|typed| typed == name.as_str());
        confirm.ok_or_else(|| problem::not_confirmed(name.as_str()))?;
    }
    let target = new.clone().unwrap_or_else(|| name.clone());
    let request = RestoreAddonRequest { as_of_ms, name: new };
    let info: AddonInfo =
        cx.client()?.send(Method::POST, &format!("/api/addons/{name}/restore"), &request)?;
    cx.answer(&info, |cx| format!("{target} holds what {name} held at {}\n", clock(as_of_ms, &cx.zone())));
    Ok(())
}

/// Unix milliseconds of a moment with its zone, or of one in this machine's.
fn moment(text: &str, zone: &TimeZone) -> Result<u64, Problem> {
    let with_zone = text.parse::<Timestamp>();
    let moment = with_zone.or_else(|_| {
        let local: DateTime = text.parse()?;
        local.to_zoned(zone.clone()).map(|zoned| zoned.timestamp())
    });
    let ms = moment.ok().and_then(|moment| u64::try_from(moment.as_millisecond()).ok());
    ms.ok_or_else(|| problem::bad_argument("time", text, "write it so: 2026-11-27T12:00:00Z"))
}

pub(super) fn shell(name: &AddonName, argv: Vec<String>, cx: &mut Context) -> Result<u8, Problem> {
    crate::commands::run::attach(&format!("/api/addons/{name}/shell"), argv, None, cx)
}
