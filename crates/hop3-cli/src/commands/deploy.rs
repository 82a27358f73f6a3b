// SPDX-License-Identifier: Apache-2.0
//! `deploy`: a directory or a git address becomes the app's next release.

use crate::client::json;
use crate::context::{AppArg, Context, app_of_directory};
use crate::deployment::{follow, upload_path};
use crate::pack::pack;
use crate::problem;
use crate::render::render_event;
use crate::upload::Upload;
use clap::Args;
use hop3_core::Problem;
use hop3_core::api::{AppInfo, DeployGitRequest};
use hop3_core::name::AppName;
use hyper::Method;
use std::fs;
use std::path::{Path, PathBuf};

/// Deploy a directory, or a branch of a git repository
///
/// Sends the directory (without what .gitignore and .hop3ignore name) and shows the deployment as it goes. The exit
/// status is the deployment's. Without -a the app is the one of the git remote `hop3`, else `[metadata] id` of
/// hop3.toml, else the directory's name
#[derive(Args, Debug)]
pub struct DeployArgs {
    /// The directory of the app
    #[arg(default_value = ".", conflicts_with = "git")]
    dir: PathBuf,
    #[command(flatten)]
    app: AppArg,
    /// Deploy from this git address instead of a directory
    #[arg(long, value_name = "URL")]
    git: Option<String>,
    /// The branch, tag or commit to deploy
    #[arg(long = "ref", value_name = "REF", requires = "git")]
    reference: Option<String>,
    /// Refuse to make the app when it does not exist
    #[arg(long)]
    no_create: bool,
}

pub(crate) fn run(args: DeployArgs, cx: &mut Context) -> Result<(), Problem> {
    let app = app_name(&args, cx)?;
    if args.git.is_none() && !args.dir.is_dir() {
        return Err(problem::not_a_directory(&args.dir));
    }
    let client = cx.client()?;
    let mut events = match args.git {
        Some(url) => {
            let request = DeployGitRequest { url, reference: args.reference };
            if args.no_create {
                client.get::<AppInfo>(&format!("/api/apps/{app}"))?;
            }
            client.stream(Method::POST, &format!("/api/apps/{app}/deployments/git"), json(&request))?
        }
        None => {
            let upload = Upload::written_by(move |writer| pack(&args.dir, writer));
            client.stream(Method::POST, &upload_path(&app, "upload", !args.no_create), upload)?
        }
    };
    let outcome = follow(&mut events, |row| cx.element(row, |cx| render_event(row, cx.style())));
    if outcome.is_err() && cx.style().live {
        // The line of the step that was running must not run into the problem.
        cx.print("\r\x1b[K");
    }
    outcome
}

fn app_name(args: &DeployArgs, cx: &Context) -> Result<AppName, Problem> {
    if args.app.app.is_some() || args.git.is_some() {
        return cx.app(&args.app);
    }
    match app_of_directory(&args.dir)? {
        Some(app) => Ok(app),
        None => name_of(&args.dir).parse().map_err(|_| problem::no_app()),
    }
}

/// The directory's name made into one an app can have: `My_Shop.git` is `my-shop-git`.
pub(crate) fn name_of(directory: &Path) -> String {
    let full = fs::canonicalize(directory).unwrap_or_else(|_| directory.to_owned());
    let name = full.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    let words: Vec<&str> =
        name.split(|c: char| !c.is_ascii_alphanumeric()).filter(|w| !w.is_empty()).collect();
    let joined = words.join("-");
    let from_letter = joined.trim_start_matches(|c: char| !c.is_ascii_lowercase());
    from_letter.chars().take(39).collect::<String>().trim_end_matches('-').to_owned()
}
