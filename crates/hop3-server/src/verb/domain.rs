// SPDX-License-Identifier: Apache-2.0
//! `domain add|remove|list`.

use crate::reconcile;
use crate::server::{Server, internal};
use hop3_core::name::{AppName, Domain};
use hop3_core::problem::{Kind, Problem};
use std::sync::Arc;

pub(crate) fn list(server: &Server, name: &AppName) -> Result<Vec<Domain>, Problem> {
    server.store.domains(&server.app(name)?).map_err(internal)
}

pub(crate) fn add(server: &Arc<Server>, name: &AppName, domain: &Domain) -> Result<Vec<Domain>, Problem> {
    let app = server.app(name)?;
    let own = server.site.domain.as_str();
    if domain.as_str() == own || domain.as_str().strip_suffix(own).is_some_and(|rest| rest.ends_with('.')) {
        return Err(Problem::new(
            Kind::Conflict,
            "domain.reserved",
            format!("{domain} belongs to the server itself"),
        )
        .detail(format!("every app has <app>.{own} already")));
    }
    if let Some(owner) = server.store.add_domain(&app, domain).map_err(internal)? {
        return Err(Problem::new(
            Kind::Conflict,
            "domain.taken",
            format!("the domain {domain} belongs to another app"),
        )
        .hint(format!("take it away there first: hop3 domain remove {domain} -a {owner}")));
    }
    reconcile::route(server, &app)?;
    list(server, name)
}

pub(crate) fn remove(server: &Arc<Server>, name: &AppName, domain: &Domain) -> Result<Vec<Domain>, Problem> {
    let app = server.app(name)?;
    if !server.store.remove_domain(&app, domain).map_err(internal)? {
        return Err(Problem::new(
            Kind::NotFound,
            "domain.unknown",
            format!("the app has no domain {domain}"),
        )
        .hint(format!("see them with: hop3 domain list -a {name}")));
    }
    reconcile::route(server, &app)?;
    list(server, name)
}
