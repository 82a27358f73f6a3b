// SPDX-License-Identifier: Apache-2.0
//! `addon restore`: what an addon held at a past moment.

use crate::context::Context;
use crate::problem;
use crate::render::clock;
use hop3_core::Problem;
use hop3_core::api::{AddonInfo, RestoreAddonRequest};
use hop3_core::name::AddonName;
use hyper::Method;
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

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
        cx.confirm(&format!("This replaces all that {name} holds."), name.as_str(), confirm)?;
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
