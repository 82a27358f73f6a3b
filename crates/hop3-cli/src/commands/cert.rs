// SPDX-License-Identifier: Apache-2.0
//! `cert`: the certificates that hosts are shown with.

mod acme;

use crate::client::encode;
use crate::context::{Context, read_input};
use crate::problem;
use crate::render::{Table, clean, clean_lines, clock};
use acme::AcmeCommand;
use clap::{Args, Subcommand};
use hop3_core::Problem;
use hop3_core::certificate::{AddCertificateRequest, CertificateAuthority, CertificateInfo};
use hyper::Method;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// See the certificates of host names, bring your own, trust the server's authority
#[derive(Subcommand, Debug)]
pub enum CertCommand {
    /// List the certificates of all hosts
    List,
    /// Tell about the certificate a host is shown with
    Info { host: String },
    /// Use a certificate of your own; it takes the place of the automatic one
    Add(AddArgs),
    /// Forget the certificate kept for a host; the automatic one takes its place
    Remove { host: String },
    /// Have the certificate of a host obtained anew, now
    Renew { host: String },
    /// Print the certificate of the server's own authority, to be trusted by your machine
    Ca,
    #[command(subcommand)]
    Acme(AcmeCommand),
}

#[derive(Args, Debug)]
pub struct AddArgs {
    /// The hosts to use it for; every name in it when none is given
    hosts: Vec<String>,
    /// PEM file with the certificate, then those that lead to the root (fullchain.pem)
    #[arg(long, value_name = "FILE")]
    cert: PathBuf,
    /// PEM file with its private key
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
}

pub(crate) fn run(command: CertCommand, cx: &mut Context) -> Result<(), Problem> {
    match command {
        CertCommand::List => {
            let all: Vec<CertificateInfo> = cx.client()?.get("/api/certificates")?;
            cx.answer(&all, |cx| table(&all, cx));
        }
        CertCommand::Info { host } => {
            let one: CertificateInfo = cx.client()?.get(&path(&host))?;
            cx.answer(&one, |cx| told(&one, cx));
        }
        CertCommand::Add(args) => add(args, cx)?,
        CertCommand::Remove { host } => {
            cx.client()?.delete(&path(&host))?;
            cx.say(&format!("the certificate of {host} is removed"));
        }
        CertCommand::Renew { host } => {
            let path = format!("{}/renew", path(&host));
            let _: Value = cx.client()?.send(Method::POST, &path, &json!({}))?;
            cx.say(&format!("the certificate of {host} is being obtained anew"));
        }
        CertCommand::Acme(command) => acme::run(command, cx)?,
        CertCommand::Ca => {
            let ca: CertificateAuthority = cx.client()?.get("/api/certificate-authority")?;
            cx.answer(&ca, |_| ca.certificate.clone());
        }
    }
    Ok(())
}

fn path(host: &str) -> String {
    format!("/api/certificates/{}", encode(host))
}

fn add(args: AddArgs, cx: &mut Context) -> Result<(), Problem> {
    let request =
        AddCertificateRequest { names: args.hosts, chain: text(&args.cert)?, key: text(&args.key)? };
    let added: Vec<CertificateInfo> = cx.client()?.send(Method::POST, "/api/certificates", &request)?;
    cx.answer(&added, |cx| table(&added, cx));
    Ok(())
}

fn text(path: &Path) -> Result<String, Problem> {
    let invalid = |e| problem::unreadable(path, &std::io::Error::new(std::io::ErrorKind::InvalidData, e));
    String::from_utf8(read_input(path)?).map_err(invalid)
}

fn table(certificates: &[CertificateInfo], cx: &Context) -> String {
    let mut table = Table::new(["HOST", "ORIGIN", "ISSUER", "EXPIRES", "NOTE"]);
    for one in certificates {
        let expires = clock(one.not_after_ms, &cx.zone());
        let note = one.waiting.as_ref().map_or_else(String::new, |waiting| {
            let next = clock(waiting.next_ms, &cx.zone());
            format!("{}; next try not before {next}", clean(&waiting.problem.title))
        });
        table.row([one.name.clone(), one.origin.as_str().to_owned(), one.issuer.clone(), expires, note]);
    }
    table.render(cx.style())
}

fn told(one: &CertificateInfo, cx: &Context) -> String {
    let mut table = Table::headless();
    let served = if one.served { "yes" } else { "no: no app answers it" };
    table.row(["host".into(), one.name.clone()]);
    table.row(["served".into(), served.into()]);
    table.row(["origin".into(), one.origin.as_str().into()]);
    table.row(["issuer".into(), one.issuer.clone()]);
    table.row(["names".into(), one.names.join(", ")]);
    table.row(["from".into(), clock(one.not_before_ms, &cx.zone())]);
    table.row(["expires".into(), clock(one.not_after_ms, &cx.zone())]);
    table.row(["key".into(), one.key.clone()]);
    table.row(["sha-256".into(), one.fingerprint.clone()]);
    let Some(waiting) = &one.waiting else { return table.render(cx.style()) };
    table.row(["failed tries".into(), waiting.failures.to_string()]);
    table.row(["next try".into(), format!("not before {}", clock(waiting.next_ms, &cx.zone()))]);
    clean_lines(&format!("{}\n{}", table.render(cx.style()), waiting.problem.render()))
}
