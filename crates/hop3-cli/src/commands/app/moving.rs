// SPDX-License-Identifier: Apache-2.0
//! `app import|move`: an app that was written to a file, or comes straight from another server.

use crate::client::{Client, encode};
use crate::connection::Target;
use crate::context::Context;
use crate::problem;
use crate::upload::Upload;
use hop3_core::Problem;
use hop3_core::api::{AppInfo, PsAction, PsRequest};
use hop3_core::name::AppName;
use hyper::Method;
use serde_json::Value;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::Instant;

pub(super) fn import(file: &Path, name: Option<&str>, cx: &mut Context) -> Result<(), Problem> {
    let from: Box<dyn Read + Send> = match file == Path::new("-") {
        true => Box::new(io::stdin()),
        false => Box::new(File::open(file).map_err(|e| problem::unreadable(file, &e))?),
    };
    let name: Option<AppName> = name.map(str::parse).transpose()?;
    let info = bring(&cx.client()?, name.as_ref(), Upload::copied_from(from))?;
    cx.answer(&info, |_| format!("{} is here: {}\n", info.name, crate::render::clean(&info.url)));
    Ok(())
}

fn bring(to: &Client, name: Option<&AppName>, upload: Upload) -> Result<AppInfo, Problem> {
    let query = name.map(|name| format!("?as={}", encode(name.as_str()))).unwrap_or_default();
    to.answer(Method::POST, &format!("/api/app-import{query}"), upload)
}

/// Stops the app here, carries it over, and leaves it stopped here: whoever looks after its names decides when visitors
/// follow, and when it is destroyed. When anything fails it serves here again.
pub(super) fn move_to(name: &AppName, to: &str, cx: &mut Context) -> Result<(), Problem> {
    let (here, there) = (cx.client()?, Client::new(other(to)?)?);
    let source = cx.client()?;
    let was: AppInfo = here.get(&format!("/api/apps/{name}"))?;
    let ps = |action| {
        let request = PsRequest { action, instance: None };
        here.send::<Value>(Method::POST, &format!("/api/apps/{name}/ps"), &request).map(drop)
    };
    ps(PsAction::Stop)?;
    let began = Instant::now();
    let path = format!("/api/apps/{name}/export");
    let upload = Upload::written_by(move |mut to| source.download(&path, &mut to));
    let info = match bring(&there, None, upload) {
        Ok(info) => info,
        Err(problem) => {
            ps(PsAction::Start)?;
            return Err(problem);
        }
    };
    let still = began.elapsed();
    cx.answer(&info, |_| {
        let (from, to) = (crate::render::clean(&was.url), crate::render::clean(&info.url));
        format!(
            "{name} stood still for {:.1} s and serves at {to}\nat {from} it is stopped; when its names lead to the other \
             server, destroy it here: hop3 app destroy {name}\n",
            still.as_secs_f64()
        )
    });
    Ok(())
}

fn other(to: &str) -> Result<Target, Problem> {
    match to.starts_with('/') {
        true => Target::find(Some(PathBuf::from(to)), None),
        false => Target::find(None, Some(to)),
    }
}
