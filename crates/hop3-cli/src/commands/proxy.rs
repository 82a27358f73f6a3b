// SPDX-License-Identifier: Apache-2.0
//! `proxy status|use|set|unset|show|pause|resume|purge|password`: the verbs beside the `proxy` role, which the program itself owns.

use crate::context::{AppArg, Context};
use crate::problem;
use crate::render::{Table, clean, proxy_chosen, proxy_report};
use clap::Subcommand;
use hop3_core::Problem;
use hop3_core::api::{ChooseProxyRequest, PolicyChangeRequest, PolicyEntry, PolicySource, ProxyReport};
use hop3_core::config::assignment;
use hop3_core::driver::ProxyChosen;
use hop3_core::name::AppName;
use hop3_core::policy::PasswordHash;
use hyper::Method;
use serde_json::{Value, json};
use std::io::{self, IsTerminal, Read};
use std::time::{SystemTime, UNIX_EPOCH};

/// Say what the proxy does for an app beside routing: passwords, limits, redirects, headers, maintenance
#[derive(Subcommand, Debug)]
pub enum ProxyCommand {
    /// Show which proxy accepts connections, and what each route has served
    Status,
    /// Have nginx, HAProxy, Traefik or Caddy accept the connections, or Hop3's own proxy again
    ///
    /// What the product cannot do for a service is done by Hop3's own proxy, which goes on behind it
    Use {
        /// built-in, nginx, haproxy, traefik or caddy
        #[arg(value_name = "PROXY")]
        proxy: String,
    },
    /// Set keys of [proxy] at once, without a release; they win over hop3.toml
    Set {
        /// For example maintenance.on=true; a value is written as in hop3.toml, text needs no quotes
        #[arg(required = true, value_name = "KEY=VALUE")]
        pairs: Vec<String>,
        #[command(flatten)]
        app: AppArg,
    },
    /// Take back what was set; hop3.toml counts again
    Unset {
        #[arg(required = true, value_name = "KEY")]
        keys: Vec<String>,
        #[command(flatten)]
        app: AppArg,
    },
    /// Show what counts, and whether the file or a command said so
    Show {
        #[command(flatten)]
        app: AppArg,
    },
    /// Hold requests back; they wait, and are answered after resume
    Pause {
        /// Seconds a request waits at most
        #[arg(long, value_name = "SECONDS", default_value_t = 30)]
        max_wait: u32,
        #[command(flatten)]
        app: AppArg,
    },
    /// Answer requests again, first those that wait
    Resume {
        #[command(flatten)]
        app: AppArg,
    },
    /// Forget the answers that are kept
    Purge {
        #[command(flatten)]
        app: AppArg,
    },
    /// Make the hash of a password for [proxy.basic-auth.users] in hop3.toml
    ///
    /// The password is asked for, or read from standard input
    Password,
}

pub(crate) fn run(command: ProxyCommand, cx: &mut Context) -> Result<(), Problem> {
    match command {
        ProxyCommand::Status => {
            let report: ProxyReport = cx.client()?.get("/api/proxy")?;
            cx.answer(&report, |cx| proxy_report(&report, cx.style()));
            Ok(())
        }
        ProxyCommand::Use { proxy } => {
            let request = ChooseProxyRequest { driver: proxy };
            let chosen: ProxyChosen = cx.client()?.send(Method::PUT, "/api/proxy", &request)?;
            cx.answer(&chosen, |_| proxy_chosen(&chosen));
            Ok(())
        }
        ProxyCommand::Set { pairs, app } => {
            let set = pairs.iter().map(|pair| assignment(pair)).collect::<Result<_, _>>()?;
            let said =
                if pairs.len() == 1 { "1 key is".to_owned() } else { format!("{} keys are", pairs.len()) };
            change(&app, PolicyChangeRequest { set, unset: Vec::new() }, &format!("{said} set"), cx)
        }
        ProxyCommand::Unset { keys, app } => {
            let said =
                if keys.len() == 1 { "1 key is".to_owned() } else { format!("{} keys are", keys.len()) };
            let request = PolicyChangeRequest { unset: keys, ..PolicyChangeRequest::default() };
            change(&app, request, &format!("{said} as in hop3.toml again"), cx)
        }
        ProxyCommand::Show { app } => show(&app, cx),
        ProxyCommand::Pause { max_wait, app } => {
            let set = [("pause.on".to_owned(), json!(true)), ("pause.max-wait".to_owned(), json!(max_wait))];
            let request = PolicyChangeRequest { set: set.into(), unset: Vec::new() };
            change(&app, request, &format!("requests wait, each up to {max_wait} s"), cx)
        }
        ProxyCommand::Resume { app } => {
            let name = cx.app(&app)?;
            let set = fetch(&name, cx)?.into_iter().filter(|entry| entry.from == PolicySource::Set);
            let unset = set.map(|entry| entry.key).filter(|key| key.starts_with("pause.")).collect();
            let request = PolicyChangeRequest { unset, ..PolicyChangeRequest::default() };
            change(&app, request, "requests are answered", cx)
        }
        ProxyCommand::Purge { app } => purge(&app, cx),
        ProxyCommand::Password => password(cx),
    }
}

fn change(app: &AppArg, request: PolicyChangeRequest, said: &str, cx: &mut Context) -> Result<(), Problem> {
    let app = cx.app(app)?;
    let path = format!("/api/apps/{app}/proxy");
    let entries: Vec<PolicyEntry> = cx.client()?.send(Method::PATCH, &path, &request)?;
    cx.answer(&entries, |_| format!("{app}: {said}\n"));
    Ok(())
}

fn fetch(app: &AppName, cx: &Context) -> Result<Vec<PolicyEntry>, Problem> {
    cx.client()?.get(&format!("/api/apps/{app}/proxy"))
}

fn show(app: &AppArg, cx: &mut Context) -> Result<(), Problem> {
    let app = cx.app(app)?;
    let entries = fetch(&app, cx)?;
    cx.answer(&entries, |cx| {
        let mut table = Table::new(["KEY", "VALUE", "FROM"]);
        for entry in &entries {
            let value = match &entry.value {
                Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            let from = match entry.from {
                PolicySource::File => "hop3.toml",
                PolicySource::Default => "default",
                PolicySource::Set => "set",
            };
            table.row([clean(&entry.key), clean(&value), from.to_owned()]);
        }
        match table.is_empty() {
            true => format!("the proxy does nothing for {app} but routing\n"),
            false => table.render(cx.style()),
        }
    });
    Ok(())
}

fn purge(app: &AppArg, cx: &mut Context) -> Result<(), Problem> {
    let name = cx.app(app)?;
    // Setting one key of a cache would make one.
    if !fetch(&name, cx)?.iter().any(|entry| entry.key == "cache.on" && entry.value == json!(true)) {
        return Err(problem::no_cache(&name));
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |since| since.as_millis() as u64);
    let set = [("cache.purged".to_owned(), json!(now))];
    change(app, PolicyChangeRequest { set: set.into(), unset: Vec::new() }, "no answers are kept", cx)
}

fn password(cx: &mut Context) -> Result<(), Problem> {
    let mut password = String::new();
    if io::stdin().is_terminal() {
        password = cx.ask_secret("Password:").ok_or_else(problem::no_password)?;
    } else {
        // A password is short; a file piped in by mistake is not read to its end.
        io::stdin().take(4096).read_to_string(&mut password).map_err(|_| problem::no_password())?;
    }
    let hash = PasswordHash::of(password.trim_end_matches(['\r', '\n']))?;
    cx.answer(&json!({ "hash": hash }), |_| format!("{}\n", hash.as_str()));
    Ok(())
}
