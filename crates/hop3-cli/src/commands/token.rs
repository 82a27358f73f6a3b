// SPDX-License-Identifier: Apache-2.0
//! `token`: what lets a person, a machine or `git push` in.

use crate::client::encode;
use crate::context::Context;
use crate::render::{Table, clock};
use clap::Subcommand;
use hop3_core::Problem;
use hop3_core::api::{CreateTokenRequest, TokenCreated, TokenInfo};
use hyper::Method;

/// Make, list and revoke tokens
#[derive(Subcommand, Debug)]
pub enum TokenCommand {
    /// Make a token; it is shown this once
    Create {
        /// What it is for, for example laptop
        name: String,
        /// Let it deploy and manage only this app
        #[arg(short, long)]
        app: Option<String>,
    },
    /// List the tokens, without their secrets
    List,
    /// Make a token worthless at once
    Revoke { name: String },
}

pub(crate) fn run(command: TokenCommand, cx: &mut Context) -> Result<(), Problem> {
    match command {
        TokenCommand::Create { name, app } => {
            let app = app.map(|app| app.parse()).transpose()?;
            let request = CreateTokenRequest { name, app };
            let made: TokenCreated = cx.client()?.send(Method::POST, "/api/tokens", &request)?;
            cx.answer(&made, |_| format!("{}\n", crate::render::clean(&made.token)));
        }
        TokenCommand::List => {
            let tokens: Vec<TokenInfo> = cx.client()?.get("/api/tokens")?;
            cx.answer(&tokens, |cx| {
                let mut table = Table::new(["TOKEN", "APP", "CREATED"]);
                for token in &tokens {
                    let app = token.app.as_ref().map_or_else(|| "all".to_owned(), ToString::to_string);
                    table.row([token.name.clone(), app, clock(token.created_ms, &cx.zone())]);
                }
                table.render(cx.style())
            });
        }
        TokenCommand::Revoke { name } => {
            cx.client()?.delete(&format!("/api/tokens/{}", encode(&name)))?;
            cx.say(&format!("token {name} is revoked"));
        }
    }
    Ok(())
}
