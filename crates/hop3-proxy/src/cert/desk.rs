// SPDX-License-Identifier: Apache-2.0
//! What the control socket can ask about certificates.

use super::acme::Keeper;
use super::facts::Facts;
use super::hand;
use super::own;
use super::resolver::{Resolver, Wanted};
use super::store::{Bundle, Origin};
use crate::control::Answer;
use hop3_core::certificate::{AddCertificateRequest, CertificateInfo, CertificateOrigin};
use hop3_core::problem::{Kind, Problem};
use hop3_core::secret::Secret;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::io;
use std::net::IpAddr;

/// One question.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum Ask {
    List,
    Info {
        host: String,
    },
    Add(AddCertificateRequest),
    Remove {
        name: String,
    },
    Renew {
        name: String,
    },
    Ca,
    /// Makes the files for another program that ends TLS those of these hosts.
    Hand {
        hosts: Vec<String>,
    },
}

/// Answers it.
pub(crate) fn answer(resolver: &Resolver, keeper: &Keeper, ask: Ask) -> Answer {
    let answered = match ask {
        Ask::List => list(resolver, keeper).map(Answer::Certificates),
        Ask::Info { host } => info(resolver, keeper, &host).map(|info| Answer::Certificates(vec![info])),
        Ask::Add(request) => add(resolver, &request).inspect(|_| keeper.wake()).map(Answer::Certificates),
        Ask::Remove { name } => remove(resolver, &name).inspect(|()| keeper.wake()).map(|()| Answer::Done),
        Ask::Renew { name } => renew(resolver, keeper, &name).map(|()| Answer::Done),
        Ask::Ca => resolver
            .ca()
            .map(|ca| Answer::Authority(ca.pem().to_owned()))
            .map_err(|error| disk("made", &error)),
        Ask::Hand { hosts } => hand::hand(resolver, &hosts)
            .map(Answer::Handed)
            .map_err(|error| disk("handed over", &io::Error::other(error))),
    };
    answered.unwrap_or_else(Answer::Problem)
}

fn list(resolver: &Resolver, keeper: &Keeper) -> Result<Vec<CertificateInfo>, Problem> {
    let mut names: BTreeSet<String> = resolver.store.list().into_iter().collect();
    let services = resolver.registry.services();
    let hosts = services.iter().flat_map(|service| service.source.all_hosts());
    let hosts = hosts.map(|host| host.0.to_ascii_lowercase());
    let table = resolver.registry.table();
    for host in hosts.filter(|host| host.parse::<IpAddr>().is_err()) {
        match resolver.wanted(&table, Some(&host)) {
            Some(Wanted::Kept(name, _)) => names.insert(name),
            _ => names.insert(host),
        };
    }
    // One that is damaged must not hide the others.
    Ok(names.iter().filter_map(|name| info(resolver, keeper, name).ok()).collect())
}

/// With what keeps it from being obtained anew. Whoever brought one does not wait for another.
fn info(resolver: &Resolver, keeper: &Keeper, host: &str) -> Result<CertificateInfo, Problem> {
    let mut info = found(resolver, host)?;
    if info.origin != CertificateOrigin::Own {
        info.waiting = keeper.waiting(&info.name);
    }
    Ok(info)
}

fn found(resolver: &Resolver, host: &str) -> Result<CertificateInfo, Problem> {
    let table = resolver.registry.table();
    let served = table.owner(host).is_some() || table.serves_beneath(host);
    if let Some((name, _)) = resolver.store.find(host) {
        let bundle = resolver.store.get(&name).map_err(|error| disk("read", &error))?;
        if let Some(bundle) = bundle {
            return kept(&name, &bundle, served);
        }
    }
    let shown = resolver.certificate(Some(host)).filter(|_| served).ok_or_else(|| unknown(host))?;
    let facts = shown.cert.first().and_then(Facts::of).ok_or_else(|| unknown(host))?;
    Ok(facts.info(host, CertificateOrigin::Internal, served))
}

fn kept(name: &str, bundle: &Bundle, served: bool) -> Result<CertificateInfo, Problem> {
    let leaf = CertificateDer::from_pem_slice(bundle.chain_pem.as_bytes()).ok();
    let facts = leaf.as_ref().and_then(Facts::of).ok_or_else(|| {
        Problem::new(Kind::Conflict, "cert.damaged", format!("the certificate kept for {name} is damaged"))
            .hint(format!("remove it, or add it again: hop3 cert remove {name}"))
    })?;
    let origin = match bundle.origin {
        Origin::Acme { .. } => CertificateOrigin::Acme,
        Origin::Own => CertificateOrigin::Own,
        Origin::Internal => CertificateOrigin::Internal,
    };
    Ok(facts.info(name, origin, served))
}

fn add(resolver: &Resolver, request: &AddCertificateRequest) -> Result<Vec<CertificateInfo>, Problem> {
    let names = own::check(request)?;
    let bundle = Bundle {
        chain_pem: request.chain.clone(),
        key_pem: Secret::new(request.key.clone()),
        origin: Origin::Own,
    };
    for name in &names {
        resolver.store.put(name, &bundle).map_err(|error| disk("kept", &error))?;
    }
    names.iter().map(|name| found(resolver, name)).collect()
}

fn remove(resolver: &Resolver, name: &str) -> Result<(), Problem> {
    match resolver.store.remove(name) {
        Ok(true) => Ok(()),
        Ok(false) => Err(unknown(name)),
        Err(error) => Err(disk("removed", &error)),
    }
}

/// What was brought is replaced by whoever brought it; everything else is asked for.
fn renew(resolver: &Resolver, keeper: &Keeper, name: &str) -> Result<(), Problem> {
    if found(resolver, name)?.origin != CertificateOrigin::Own {
        return keeper.renew(name);
    }
    let title = format!("the certificate of {name} is not renewed");
    Err(Problem::new(Kind::Conflict, "cert.not-renewable", title)
        .detail("it was brought, and whoever brought it replaces it")
        .hint("bring another with: hop3 cert add"))
}

fn unknown(name: &str) -> Problem {
    Problem::new(Kind::NotFound, "cert.unknown", format!("there is no certificate for {name}"))
        .hint("see those there are with: hop3 cert list")
}

fn disk(what: &str, error: &io::Error) -> Problem {
    tracing::error!(%error, "a certificate could not be {what}");
    Problem::new(Kind::Unavailable, "cert.disk", format!("the certificate could not be {what}"))
        .detail(error.to_string())
        .hint("see the proxy's log; is the disk full?")
}
