// SPDX-License-Identifier: Apache-2.0
//! `addon`: databases and other backing services, and which apps are told of them.

mod restore;

use super::carry;
use crate::context::{AppArg, Context};
use crate::problem;
use crate::render::{addon_info, addon_table, clean, kind_table};
use clap::{Args, Subcommand};
use hop3_core::Problem;
use hop3_core::api::{
    AddonCredentials, AddonInfo, AddonKinds, AddonSummary, BindRequest, CreateAddonRequest,
    DestroyAddonRequest, ExposeAddonRequest, NewAddonNameRequest, ProtectAddonRequest, ReleaseMade,
    RotateAddonRequest, ScaleAddonRequest, SetCredentialsRequest, UpgradeAddonRequest,
};
use hop3_core::driver::LogLine;
use hop3_core::name::AddonName;
use hop3_core::secret::Secret;
use hyper::Method;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Databases and other backing services: make them, bind them to apps, carry their data
#[derive(Subcommand, Debug)]
pub enum AddonCommand {
    /// List what kinds of addons there are, and which versions this server has
    Kinds,
    /// Make an addon
    Create(Create),
    /// List all addons
    List,
    /// Show everything about an addon
    Info { name: String },
    /// Tell an app of an addon; the app restarts with its variables
    Bind {
        name: String,
        #[command(flatten)]
        app: AppArg,
        /// Names of its variables begin so, instead of with the addon's name
        #[arg(long = "as", value_name = "PREFIX")]
        prefix: Option<String>,
    },
    /// Tell an app of an addon no longer
    Unbind(OfApp),
    /// Let an app know this addon by the plain names, such as DATABASE_URL
    Promote(OfApp),
    /// Give an addon another name; what it holds and what apps are told stay
    Rename { name: String, new: String },
    /// Change options of an addon; an empty value takes one back
    Scale {
        name: String,
        /// For example connections=50
        #[arg(required = true, value_name = "OPTION=VALUE")]
        options: Vec<String>,
    },
    /// Move an addon to a server of another version; nobody comes in while it is carried
    #[command(disable_version_flag = true)]
    Upgrade {
        name: String,
        /// A version, as `hop3 addon kinds` lists them
        to: String,
    },
    /// Write all that an addon holds to a file, as its product writes it
    Export {
        name: String,
        /// The file; - is standard output
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Replace all that an addon holds by a file that export or the product wrote
    Import {
        name: String,
        /// The file; - is standard input
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// The addon's name again, for scripts
        #[arg(long, value_name = "NAME")]
        confirm: Option<String>,
    },
    /// Make a backup of an addon by itself; restore it with: hop3 backup restore
    Backup {
        name: String,
        /// Where to; `local` on the server's own disk unless given
        #[arg(long, value_name = "TARGET")]
        to: Option<String>,
    },
    /// Bring an addon, or a new one, to what it held at a past moment
    Restore {
        name: String,
        /// The moment, for example 2026-11-27T12:00:00Z, or without Z in the time of this machine
        #[arg(long, value_name = "TIME")]
        to: String,
        /// Into a new addon of this name, and leave the other as it is
        #[arg(long = "as", value_name = "NAME")]
        new: Option<String>,
        /// The addon's name again, for scripts; not needed with --as
        #[arg(long, value_name = "NAME")]
        confirm: Option<String>,
    },
    /// Make a second addon with the same contents
    Clone { name: String, new: String },
    /// Let a port of the machine, which the operator allowed, lead to an addon; nothing encrypts on the way
    Expose {
        name: String,
        /// One of those in `hop3 server --tcp-ports`
        #[arg(long, value_name = "PORT")]
        port: u16,
    },
    /// Close the port that leads to an addon
    Unexpose { name: String },
    /// Open the product's own client
    Shell {
        name: String,
        /// Arguments for the client
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARG")]
        argv: Vec<String>,
    },
    /// Show the newest lines that an addon's server wrote
    Logs {
        name: String,
        /// So many lines
        #[arg(short = 'n', long, default_value_t = 100, value_name = "LINES")]
        lines: usize,
    },
    /// Show or change what apps are told of an addon
    #[command(subcommand)]
    Credentials(Credentials),
    /// Keep an addon from being destroyed
    Protect {
        name: String,
        /// No longer
        #[arg(long)]
        off: bool,
    },
    /// Destroy an addon; for seven days it can be brought back
    Destroy {
        name: String,
        /// The addon's name again, for scripts
        #[arg(long, value_name = "NAME")]
        confirm: Option<String>,
        /// At once and for good
        #[arg(long)]
        now: bool,
    },
    /// Bring back an addon that was destroyed
    Recover { name: String },
}

#[derive(Args, Debug)]
#[command(disable_version_flag = true)]
pub struct Create {
    /// As `hop3 addon kinds` lists them, for example postgres
    kind: String,
    /// Lower-case letters, digits and single hyphens
    name: String,
    /// Which version; the newest that is installed unless set
    #[arg(long, value_name = "VERSION")]
    version: Option<String>,
    /// Give it a server of its own
    #[arg(long)]
    dedicated: bool,
    /// An option of the kind, for example extensions=hstore
    #[arg(short, long = "option", value_name = "OPTION=VALUE")]
    options: Vec<String>,
    /// Read what the kind needs in secret (the address of an external service) from standard input
    #[arg(long)]
    secret: bool,
    /// Bind it to this app at once
    #[arg(short, long, value_name = "APP")]
    app: Option<String>,
}

#[derive(Args, Debug)]
pub struct OfApp {
    /// The addon
    name: String,
    #[command(flatten)]
    app: AppArg,
}

/// What apps are told of an addon
#[derive(Subcommand, Debug)]
pub enum Credentials {
    /// Show the variables with their values
    Show { name: String },
    /// Change the password; bound apps get a release that knows it, and no request fails
    Rotate {
        name: String,
        /// End the former password at once, not when the last instance that knows it has ended
        #[arg(long)]
        now: bool,
    },
    /// Give another secret (the address of an external service); bound apps get a release that knows it
    Set {
        name: String,
        /// Read it from standard input; it is the only way
        #[arg(long, required = true)]
        secret: bool,
        /// End the former one at once, not when the last instance that knows it has ended
        #[arg(long)]
        now: bool,
    },
}

pub(crate) fn run(command: AddonCommand, cx: &mut Context) -> Result<u8, Problem> {
    match command {
        AddonCommand::Shell { name, argv } => {
            let name: AddonName = name.parse()?;
            return super::run::attach(&format!("/api/addons/{name}/shell"), argv, None, cx);
        }
        AddonCommand::Export { name, file } => {
            let name: AddonName = name.parse()?;
            carry::export(&format!("/api/addons/{name}"), name.as_str(), &file, cx)
        }
        AddonCommand::Import { name, file, confirm } => {
            let name: AddonName = name.parse()?;
            carry::import::<AddonInfo>(&format!("/api/addons/{name}"), name.as_str(), &file, confirm, cx)
        }
        AddonCommand::Kinds => kinds(cx),
        AddonCommand::Create(args) => create(args, cx),
        AddonCommand::List => list(cx),
        AddonCommand::Info { name } => info(&name.parse()?, cx),
        AddonCommand::Bind { name, app, prefix } => {
            let prefix = prefix.map(|prefix| prefix.parse()).transpose()?;
            let request = BindRequest { app: cx.app(&app)?, prefix };
            attach(&name.parse()?, "bind", &request, "knows", cx)
        }
        AddonCommand::Unbind(of) => of_app(&of, "unbind", "no longer knows", cx),
        AddonCommand::Promote(of) => of_app(&of, "promote", "knows by the plain names", cx),
        AddonCommand::Rename { name, new } => {
            let request = NewAddonNameRequest { name: new.parse()? };
            change(&name.parse()?, "rename", &request, &format!("{name} is now {new}"), cx)
        }
        AddonCommand::Clone { name, new } => {
            let request = NewAddonNameRequest { name: new.parse()? };
            change(&name.parse()?, "clone", &request, &format!("{new} holds what {name} holds"), cx)
        }
        AddonCommand::Backup { name, to } => super::backup::of_addon(&name, to, cx),
        AddonCommand::Restore { name, to, new, confirm } => restore::restore(&name, &to, new, confirm, cx),
        AddonCommand::Scale { name, options } => {
            let request = ScaleAddonRequest { options: pairs(&options)? };
            change(&name.parse()?, "scale", &request, &format!("{name} has these options"), cx)
        }
        AddonCommand::Upgrade { name, to } => {
            let said = format!("{name} lives on version {to}");
            change(&name.parse()?, "upgrade", &UpgradeAddonRequest { version: to }, &said, cx)
        }
        AddonCommand::Expose { name, port } => {
            let said = format!("port {port} leads to {name}");
            change(&name.parse()?, "expose", &ExposeAddonRequest { port }, &said, cx)
        }
        AddonCommand::Unexpose { name } => {
            change(&name.parse()?, "unexpose", &Value::Null, &format!("no port leads to {name}"), cx)
        }
        AddonCommand::Logs { name, lines } => logs(&name.parse()?, lines, cx),
        AddonCommand::Credentials(Credentials::Show { name }) => credentials(&name.parse()?, cx),
        AddonCommand::Credentials(Credentials::Rotate { name, now }) => {
            let said = format!("{name} has another password, and its apps know it");
            change(&name.parse()?, "rotate", &RotateAddonRequest { now }, &said, cx)
        }
        AddonCommand::Credentials(Credentials::Set { name, secret: _, now }) => {
            let secret = Secret::new(secret(cx)?);
            let said = format!("{name} has another secret, and its apps know it");
            set(&name.parse()?, &SetCredentialsRequest { secret, now }, &said, cx)
        }
        AddonCommand::Protect { name, off } => {
            let said = format!("{name} {} be destroyed", if off { "can" } else { "cannot" });
            change(&name.parse()?, "protect", &ProtectAddonRequest { protected: !off }, &said, cx)
        }
        AddonCommand::Destroy { name, confirm, now } => destroy(&name.parse()?, confirm, now, cx),
        AddonCommand::Recover { name } => {
            change(&name.parse()?, "recover", &Value::Null, &format!("{name} is back"), cx)
        }
    }
    .map(|()| 0)
}

fn kinds(cx: &mut Context) -> Result<(), Problem> {
    let kinds: AddonKinds = cx.client()?.get("/api/addon-kinds")?;
    cx.answer(&kinds, |cx| kind_table(&kinds, cx.style()));
    Ok(())
}

fn create(args: Create, cx: &mut Context) -> Result<(), Problem> {
    let secret = match args.secret {
        true => Some(Secret::new(secret(cx)?)),
        false => None,
    };
    let name: AddonName = args.name.parse()?;
    let request = CreateAddonRequest {
        name: name.clone(),
        kind: args.kind.parse()?,
        version: args.version,
        dedicated: args.dedicated,
        options: pairs(&args.options)?,
        secret,
    };
    let app = args.app.map(|app| app.parse()).transpose()?;
    let info: AddonInfo = cx.client()?.send(Method::POST, "/api/addons", &request)?;
    cx.answer(&info, |_| {
        let bind = match app {
            Some(_) => String::new(),
            None => format!("tell an app of it with: hop3 addon bind {name} -a APP\n"),
        };
        format!("{name} is there: {} {}\n{bind}", info.addon.kind, clean(&info.addon.version))
    });
    match app {
        Some(app) => attach(&name, "bind", &BindRequest { app, prefix: None }, "knows", cx),
        None => Ok(()),
    }
}

/// From standard input, without an echo on a terminal.
fn secret(cx: &mut Context) -> Result<String, Problem> {
    if let Some(typed) = cx.ask_secret("The address, with its password:") {
        return Ok(typed);
    }
    let bytes = crate::context::read_input(std::path::Path::new("-"))?;
    Ok(String::from_utf8_lossy(&bytes).trim().to_owned())
}

fn pairs(texts: &[String]) -> Result<BTreeMap<String, String>, Problem> {
    let split = |text: &String| {
        let (key, value) = text.split_once('=').ok_or_else(|| {
            problem::bad_argument("option", text, "write its name, = and its value: connections=50")
        })?;
        Ok((key.to_owned(), value.to_owned()))
    };
    texts.iter().map(split).collect()
}

fn list(cx: &mut Context) -> Result<(), Problem> {
    let addons: Vec<AddonSummary> = cx.client()?.get("/api/addons")?;
    cx.answer(&addons, |cx| match addons.is_empty() {
        true => "there are no addons yet; make one with: hop3 addon create postgres NAME\n".to_owned(),
        false => addon_table(&addons, &cx.zone(), cx.style()),
    });
    Ok(())
}

fn info(name: &AddonName, cx: &mut Context) -> Result<(), Problem> {
    let info: AddonInfo = cx.client()?.get(&format!("/api/addons/{name}"))?;
    cx.answer(&info, |cx| addon_info(&info, &cx.zone(), cx.style()));
    Ok(())
}

fn of_app(of: &OfApp, verb: &str, said: &str, cx: &mut Context) -> Result<(), Problem> {
    let request = BindRequest { app: cx.app(&of.app)?, prefix: None };
    attach(&of.name.parse()?, verb, &request, said, cx)
}

fn attach(
    name: &AddonName,
    verb: &str,
    request: &BindRequest,
    said: &str,
    cx: &mut Context,
) -> Result<(), Problem> {
    let made: ReleaseMade =
        cx.client()?.send(Method::POST, &format!("/api/addons/{name}/{verb}"), request)?;
    let release = made.release.map(|release| format!(" ({release})")).unwrap_or_default();
    cx.answer(&made, |_| format!("{} {said} {name}{release}\n", request.app));
    Ok(())
}

fn change(
    name: &AddonName,
    verb: &str,
    request: &impl serde::Serialize,
    said: &str,
    cx: &mut Context,
) -> Result<(), Problem> {
    let info: AddonInfo = cx.client()?.send(Method::POST, &format!("/api/addons/{name}/{verb}"), request)?;
    cx.answer(&info, |_| format!("{}\n", clean(said)));
    Ok(())
}

fn set(
    name: &AddonName,
    request: &SetCredentialsRequest,
    said: &str,
    cx: &mut Context,
) -> Result<(), Problem> {
    let info: AddonInfo =
        cx.client()?.send(Method::PUT, &format!("/api/addons/{name}/credentials"), request)?;
    cx.answer(&info, |_| format!("{}\n", clean(said)));
    Ok(())
}

fn logs(name: &AddonName, lines: usize, cx: &mut Context) -> Result<(), Problem> {
    let lines: Vec<LogLine> = cx.client()?.get(&format!("/api/addons/{name}/logs?n={lines}"))?;
    cx.answer(&lines, |_| lines.iter().map(|line| format!("{}\n", clean(&line.text))).collect());
    Ok(())
}

fn credentials(name: &AddonName, cx: &mut Context) -> Result<(), Problem> {
    let told: AddonCredentials = cx.client()?.get(&format!("/api/addons/{name}/credentials"))?;
    cx.answer(&told, |_| {
        told.variables.iter().map(|(key, value)| format!("{key}={}\n", clean(value))).collect()
    });
    Ok(())
}

fn destroy(name: &AddonName, confirm: Option<String>, now: bool, cx: &mut Context) -> Result<(), Problem> {
    let confirm = carry::confirm_destroying(name.as_str(), now, confirm, cx)?;
    let request = DestroyAddonRequest { confirm, now };
    let answer: Value = cx.client()?.send(Method::DELETE, &format!("/api/addons/{name}"), &request)?;
    cx.answer(&answer, |_| match now {
        true => format!("{name} is gone\n"),
        false => {
            format!("{name} is destroyed; bring it back within seven days with: hop3 addon recover {name}\n")
        }
    });
    Ok(())
}
