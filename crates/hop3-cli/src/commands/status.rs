// SPDX-License-Identifier: Apache-2.0
//! `status`: how an app is, or how everything is.

use crate::context::{AppArg, Context};
use crate::render::{app_info, app_table, server_info};
use clap::Args;
use hop3_core::Problem;
use hop3_core::api::{AppInfo, AppSummary, ServerInfo};

/// Show how an app is; without an app, the server and all apps
#[derive(Args, Debug)]
pub struct StatusArgs {
    #[command(flatten)]
    app: AppArg,
}

pub(crate) fn run(args: StatusArgs, cx: &mut Context) -> Result<(), Problem> {
    let client = cx.client()?;
    if let Some(app) = cx.app_if_any(&args.app)? {
        let info: AppInfo = client.get(&format!("/api/apps/{app}"))?;
        cx.answer(&info, |cx| app_info(&info, &cx.zone(), cx.style()));
        return Ok(());
    }
    let server: ServerInfo = client.get("/api/server")?;
    let apps: Vec<AppSummary> = client.get("/api/apps")?;
    cx.answer(&serde_json::json!({ "server": server, "apps": apps }), |cx| {
        let apps = app_table(&apps, &cx.zone(), cx.style());
        format!("{}\n{apps}", server_info(&server, cx.style()))
    });
    Ok(())
}
