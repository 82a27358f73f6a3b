// SPDX-License-Identifier: Apache-2.0
//! `rollback`: an older release serves again, with its code and config, without a build.

use crate::context::{AppArg, Context};
use crate::problem;
use clap::Args;
use hop3_core::Problem;
use hop3_core::api::{ReleaseMade, RollbackRequest};
use hop3_core::release::ReleaseNumber;
use hyper::Method;

/// Go back to an older release: code and config, without a build
#[derive(Args, Debug)]
pub struct RollbackArgs {
    /// The release to go back to, as in v3; without it, the one before the current
    #[arg(value_name = "RELEASE")]
    to: Option<String>,
    #[command(flatten)]
    app: AppArg,
}

pub(crate) fn run(args: RollbackArgs, cx: &mut Context) -> Result<(), Problem> {
    let app = cx.app(&args.app)?;
    let to = args.to.as_deref().map(parse_release).transpose()?;
    let path = format!("/api/apps/{app}/rollback");
    let made: ReleaseMade = cx.client()?.send(Method::POST, &path, &RollbackRequest { to })?;
    cx.answer(&made, |_| {
        let from = to.map_or_else(String::new, |to| format!(", a copy of {to},"));
        match made.release {
            Some(release) => format!("{app} {release}{from} is live\n"),
            None => format!("{app} was rolled back\n"),
        }
    });
    Ok(())
}

/// `v3` or `3`.
pub(crate) fn parse_release(text: &str) -> Result<ReleaseNumber, Problem> {
    let refuse =
        || problem::bad_argument("a release", text, "write it as v3; see them with: hop3 release list");
    let digits = text.strip_prefix('v').unwrap_or(text);
    if !digits.chars().all(|c| c.is_ascii_digit()) {
        return Err(refuse());
    }
    digits.parse().map(ReleaseNumber).map_err(|_| refuse())
}
