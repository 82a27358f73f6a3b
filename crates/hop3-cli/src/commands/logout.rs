// SPDX-License-Identifier: Apache-2.0
//! `logout`: forgets a server and its token.

use crate::context::Context;
use crate::login::Logins;
use clap::Args;
use hop3_core::Problem;

/// Forget the token of a server
///
/// The token itself stays valid: make it worthless with `token revoke`
#[derive(Args, Debug)]
pub struct LogoutArgs {
    /// The server; without it, the one commands talk to
    url: Option<String>,
}

pub(crate) fn run(args: LogoutArgs, cx: &mut Context) -> Result<(), Problem> {
    let mut logins = Logins::read()?;
    let removed = logins.remove(args.url.as_deref())?;
    let said = match &removed {
        Some(url) => format!("logged out of {url}\n"),
        None => format!("there was no such login in {}\n", logins.path().display()),
    };
    cx.answer(&serde_json::json!({ "server": removed }), |_| said);
    Ok(())
}
