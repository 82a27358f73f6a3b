// SPDX-License-Identifier: Apache-2.0
//! `open`: the app in the browser.

use crate::context::{AppArg, Context};
use clap::Args;
use hop3_core::Problem;
use hop3_core::api::AppInfo;
use std::process::{Command, Stdio};

/// Open an app in the browser, or print its address
#[derive(Args, Debug)]
pub struct OpenArgs {
    #[command(flatten)]
    app: AppArg,
}

pub(crate) fn run(args: OpenArgs, cx: &mut Context) -> Result<(), Problem> {
    let app = cx.app(&args.app)?;
    let info: AppInfo = cx.client()?.get(&format!("/api/apps/{app}"))?;
    cx.answer(&serde_json::json!({ "url": info.url }), |_| format!("{}\n", crate::render::clean(&info.url)));
    // A browser is a convenience of a desktop; anywhere else the printed address is the answer.
    let is_desktop = std::env::var_os("DISPLAY").or_else(|| std::env::var_os("WAYLAND_DISPLAY")).is_some();
    let is_web = info.url.starts_with("http://") || info.url.starts_with("https://");
    if cx.style().live && is_desktop && is_web {
        let mut browser = Command::new("xdg-open");
        drop(browser.arg(&info.url).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn());
    }
    Ok(())
}
