// SPDX-License-Identifier: Apache-2.0
//! `domain`: the host names an app answers.

use crate::client::encode;
use crate::context::{AppArg, Context};
use clap::Subcommand;
use hop3_core::Problem;
use hop3_core::api::DomainRequest;
use hop3_core::name::DomainPath;
use hyper::Method;
use serde_json::Value;

/// Add, remove and list the host names an app answers
#[derive(Subcommand, Debug)]
pub enum DomainCommand {
    /// Let the app answer a host name; point its DNS at the server first
    Add {
        /// For example shop.example.org, *.example.org, or example.org/api for one path of it
        domain: String,
        #[command(flatten)]
        app: AppArg,
    },
    /// Stop answering a host name
    Remove {
        domain: String,
        #[command(flatten)]
        app: AppArg,
    },
    /// List the host names
    List {
        #[command(flatten)]
        app: AppArg,
    },
}

pub(crate) fn run(command: DomainCommand, cx: &mut Context) -> Result<(), Problem> {
    match command {
        DomainCommand::Add { domain, app } => {
            let (app, domain) = (cx.app(&app)?, domain.parse::<DomainPath>()?);
            let said = format!("{app} answers {domain}\n");
            let path = format!("/api/apps/{app}/domains");
            let answer: Value = cx.client()?.send(Method::POST, &path, &DomainRequest { domain })?;
            cx.answer(&answer, |_| said);
        }
        DomainCommand::Remove { domain, app } => {
            let (app, domain) = (cx.app(&app)?, domain.parse::<DomainPath>()?);
            cx.client()?.delete(&format!("/api/apps/{app}/domains/{}", encode(&domain.to_string())))?;
            cx.say(&format!("{app} no longer answers {domain}"));
        }
        DomainCommand::List { app } => {
            let app = cx.app(&app)?;
            let domains: Vec<DomainPath> = cx.client()?.get(&format!("/api/apps/{app}/domains"))?;
            cx.answer(&domains, |_| domains.iter().map(|domain| format!("{domain}\n")).collect());
        }
    }
    Ok(())
}
