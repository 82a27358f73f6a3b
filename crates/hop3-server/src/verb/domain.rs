// SPDX-License-Identifier: Apache-2.0
//! `domain add|remove|list`.

use crate::reconcile;
use crate::server::{Server, internal};
use hop3_core::name::{AppName, Domain, DomainPath};
use hop3_core::problem::{Kind, Problem};
use std::sync::Arc;

pub(crate) fn list(server: &Server, name: &AppName) -> Result<Vec<DomainPath>, Problem> {
    let app = server.app(name)?;
    let domains = server.store.domains(&app).map_err(internal)?;
    let mounts = server.store.mounts(&app).map_err(internal)?;
    Ok(domains.into_iter().map(DomainPath::from).chain(mounts).collect())
}

pub(crate) fn add(
    server: &Arc<Server>,
    name: &AppName,
    place: &DomainPath,
) -> Result<Vec<DomainPath>, Problem> {
    let app = server.app(name)?;
    let domain = &place.domain;
    check(server, domain)?;
    let owner = match &place.path {
        None => server.store.add_domain(&app, domain),
        Some(path) => server.store.add_mount(&app, domain, path),
    };
    if let Some(owner) = owner.map_err(internal)? {
        return Err(Problem::new(
            Kind::Conflict,
            "domain.taken",
            format!("the domain {place} belongs to another app"),
        )
        .hint(format!("take it away there first: hop3 domain remove {place} -a {owner}")));
    }
    reconcile::route(server, &app)?;
    list(server, name)
}

/// No app may have the server's own name, or another app's.
pub(crate) fn check(server: &Server, domain: &Domain) -> Result<(), Problem> {
    let own = server.site.domain.as_str();
    if domain.as_str() != own && !domain.as_str().strip_suffix(own).is_some_and(|rest| rest.ends_with('.')) {
        return Ok(());
    }
    let title = format!("{domain} belongs to the server itself");
    Err(Problem::new(Kind::Conflict, "domain.reserved", title)
        .detail(format!("every app has <app>.{own} already")))
}

pub(crate) fn remove(
    server: &Arc<Server>,
    name: &AppName,
    place: &DomainPath,
) -> Result<Vec<DomainPath>, Problem> {
    let app = server.app(name)?;
    let removed = match &place.path {
        None => server.store.remove_domain(&app, &place.domain),
        Some(path) => server.store.remove_mount(&app, &place.domain, path),
    };
    if !removed.map_err(internal)? {
        return Err(Problem::new(Kind::NotFound, "domain.unknown", format!("the app has no domain {place}"))
            .hint(format!("see them with: hop3 domain list -a {name}")));
    }
    reconcile::route(server, &app)?;
    list(server, name)
}
