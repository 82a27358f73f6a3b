// SPDX-License-Identifier: Apache-2.0
//! `cert acme`: which authorities are asked for certificates, on whose behalf, and how.

use crate::context::{Context, read_input};
use crate::problem;
use crate::render::{Table, clean_lines, clock};
use clap::{Args, Subcommand};
use hop3_core::acme::{AcmeChange, AcmeShown, ChallengeKind, DnsDriver, DnsUpdate, Eab};
use hop3_core::secret::Secret;
use hop3_core::{Kind, Problem};
use hyper::Method;
use std::io::{Error, ErrorKind};
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

const PATH: &str = "/api/acme";

/// Say who is asked for certificates, so that they are obtained and renewed by themselves
#[derive(Subcommand, Debug)]
pub enum AcmeCommand {
    /// Change what is named; the rest stays as it is
    ///
    /// Begin with: hop3 cert acme set --contact you@example.org --agree-tos
    Set(Box<SetArgs>),
    /// Show the settings, without their secrets
    Show,
    /// Ask nobody any more; the certificates there are stay in use until they expire
    Off,
}

#[derive(Args, Debug)]
pub struct SetArgs {
    /// letsencrypt, letsencrypt-staging, zerossl or the address of a directory; repeat it in the order to ask
    #[arg(long = "ca", value_name = "NAME|URL")]
    authorities: Vec<String>,
    /// A mail address the authorities may write to
    #[arg(long, value_name = "MAIL")]
    contact: Vec<String>,
    /// Agree to the terms of service of the authorities that are asked
    #[arg(long)]
    agree_tos: bool,
    /// The key identifier that the last --ca handed out for an external account binding
    #[arg(long, value_name = "KID", requires = "eab_hmac")]
    eab_kid: Option<String>,
    /// File with the key that belongs to it; - is standard input
    #[arg(long, value_name = "FILE", requires = "eab_kid")]
    eab_hmac: Option<PathBuf>,
    /// PEM file with the roots that the last --ca is trusted by, when it is a private one
    #[arg(long, value_name = "FILE")]
    ca_root: Option<PathBuf>,
    /// How a host is proven to be yours: http-01, tls-alpn-01 or dns-01
    #[arg(long, value_name = "KIND")]
    challenge: Option<ChallengeKind>,
    #[command(flatten)]
    dns: DnsArgs,
}

#[derive(Args, Debug)]
struct DnsArgs {
    /// A program on the server that writes DNS records, run as PATH present|cleanup FQDN VALUE
    #[arg(long, value_name = "PATH", conflicts_with = "dns_server")]
    dns_hook: Option<PathBuf>,
    /// Whom to ask whether the record is seen, instead of the server's resolver
    #[arg(long, value_name = "ADDRESS", requires = "dns_hook", value_parser = dns_address)]
    dns_resolver: Option<SocketAddr>,
    /// A DNS server that takes dynamic updates (RFC 2136)
    #[arg(long, value_name = "ADDRESS", value_parser = dns_address)]
    dns_server: Option<SocketAddr>,
    /// The name of the key that updates are signed with
    #[arg(long, value_name = "NAME", requires = "dns_server", requires = "dns_key")]
    dns_key_name: Option<String>,
    /// hmac-sha256, hmac-sha384 or hmac-sha512
    #[arg(long, value_name = "NAME", requires = "dns_key_name")]
    dns_key_algorithm: Option<String>,
    /// File with the key, in base64; - is standard input
    #[arg(long, value_name = "FILE", requires = "dns_key_name")]
    dns_key: Option<PathBuf>,
}

pub(crate) fn run(command: AcmeCommand, cx: &mut Context) -> Result<(), Problem> {
    let shown: AcmeShown = match command {
        AcmeCommand::Show => cx.client()?.get(PATH)?,
        AcmeCommand::Set(args) => {
            let change = change(*args)?;
            cx.client()?.send(Method::PATCH, PATH, &change)?
        }
        AcmeCommand::Off => {
            let change = AcmeChange { agree_tos: Some(false), ..AcmeChange::default() };
            cx.client()?.send(Method::PATCH, PATH, &change)?
        }
    };
    cx.answer(&shown, |cx| told(&shown, cx));
    Ok(())
}

fn change(args: SetArgs) -> Result<AcmeChange, Problem> {
    let eab = match (args.eab_kid, args.eab_hmac) {
        (Some(kid), Some(file)) => Some(Eab { kid, hmac: secret(&file)? }),
        _ => None,
    };
    Ok(AcmeChange {
        authorities: some(args.authorities),
        contact: some(args.contact),
        agree_tos: args.agree_tos.then_some(true),
        eab,
        root_pem: args.ca_root.as_deref().map(text).transpose()?,
        challenge: args.challenge,
        dns: driver(args.dns)?,
    })
}

fn driver(args: DnsArgs) -> Result<Option<DnsDriver>, Problem> {
    if let Some(path) = args.dns_hook {
        return Ok(Some(DnsDriver::Hook { path, resolver: args.dns_resolver }));
    }
    let Some(server) = args.dns_server else { return Ok(None) };
    Ok(Some(DnsDriver::Update(DnsUpdate {
        server,
        key_name: args.dns_key_name,
        key_algorithm: args.dns_key_algorithm,
        key: args.dns_key.as_deref().map(secret).transpose()?,
    })))
}

fn some(list: Vec<String>) -> Option<Vec<String>> {
    (!list.is_empty()).then_some(list)
}

/// Port 53 unless another is named.
fn dns_address(text: &str) -> Result<SocketAddr, String> {
    let ip = text.parse::<IpAddr>().map(|ip| SocketAddr::new(ip, 53));
    ip.or_else(|_| text.parse()).map_err(|_| "it is not an address, with or without a port".into())
}

fn text(path: &Path) -> Result<String, Problem> {
    let invalid = |e| problem::unreadable(path, &Error::new(ErrorKind::InvalidData, e));
    String::from_utf8(read_input(path)?).map_err(invalid)
}

fn secret(path: &Path) -> Result<Secret<String>, Problem> {
    let text = text(path)?.trim().to_owned();
    if text.is_empty() {
        let title = format!("{} holds no key", path.display());
        return Err(Problem::new(Kind::User, "acme.empty-key", title));
    }
    Ok(Secret::new(text))
}

fn told(shown: &AcmeShown, cx: &Context) -> String {
    let mut table = Table::headless();
    let on = match (shown.on, shown.agreed) {
        (true, _) => "yes",
        (false, false) => "no: agree to the terms of service with: hop3 cert acme set --agree-tos",
        (false, true) => "no: name an authority with: hop3 cert acme set --ca letsencrypt",
    };
    table.row(["obtains certificates".into(), on.into()]);
    for one in &shown.authorities {
        let mut words = one.name.clone();
        if let Some(kid) = &one.eab_kid {
            words += &format!(", bound to account {kid}");
        }
        if one.own_root {
            words += ", trusted by its own root";
        }
        table.row(["authority".into(), words]);
    }
    for mail in &shown.contact {
        table.row(["contact".into(), mail.clone()]);
    }
    table.row(["challenge".into(), shown.challenge.as_str().into()]);
    if let Some(dns) = &shown.dns {
        table.row(["DNS".into(), dns.clone()]);
    }
    let mut text = table.render(cx.style());
    for one in &shown.waiting {
        let at = clock(one.next_ms, &cx.zone());
        text += &format!("\n{} waits since {} tries; the next is not before {at}\n", one.name, one.failures);
        text += &one.problem.render();
    }
    clean_lines(&text)
}
