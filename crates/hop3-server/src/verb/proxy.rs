// SPDX-License-Identifier: Apache-2.0
//! `proxy show|set|unset`: what the proxy does for an app beside routing. What is set counts at once, without a
//! release, and goes on counting when releases change.

use crate::reconcile;
use crate::server::{Server, internal};
use crate::store::{App, Release};
use hop3_core::api::{PolicyChangeRequest, PolicyEntry, PolicySource};
use hop3_core::config::{self, Assignments};
use hop3_core::event::Event;
use hop3_core::name::AppName;
use hop3_core::policy::Policy;
use hop3_core::problem::{Kind, Problem};
use hop3_core::release::Artifact;
use hop3_core::source::SourceTree;
use std::sync::{Arc, Mutex, PoisonError};

/// Keys set by hand for one app.
const MAX_SETTINGS: usize = 200;

/// Every route of the app carries it.
const MAX_CLIENT_CA: usize = 256 << 10;

/// One change at a time, so that none is lost. Not the app's lock: a deployment holds that for long, and maintenance
/// must begin at once.
static CHANGES: Mutex<()> = Mutex::new(());

/// The policy in effect, key by key.
pub(crate) fn show(server: &Server, name: &AppName) -> Result<Vec<PolicyEntry>, Problem> {
    let app = server.app(name)?;
    let set = server.store.proxy_settings(&app).map_err(internal)?;
    let file = of_release(server, &app)?;
    let (policy, told) = (config::overlay(&file, &set)?, config::entries(&file));
    let source = |key: &str| {
        let is_set = set.keys().any(|set| key == set || key.starts_with(&format!("{set}.")));
        match (is_set, told.contains_key(key)) {
            (true, _) => PolicySource::Set,
            (false, true) => PolicySource::File,
            (false, false) => PolicySource::Default,
        }
    };
    let entries = config::entries(&policy).into_iter();
    Ok(entries
        .map(|(key, value)| PolicyEntry { from: source(&key), value: shown(&key, value), key })
        .collect())
}

/// A hash is of no use to a reader, and of some to a thief.
fn shown(key: &str, value: serde_json::Value) -> serde_json::Value {
    if key.starts_with("basic-auth.users.") { "(set)".into() } else { value }
}

pub(crate) fn change(
    server: &Arc<Server>,
    name: &AppName,
    request: PolicyChangeRequest,
) -> Result<Vec<PolicyEntry>, Problem> {
    let app = server.app(name)?;
    let _alone = CHANGES.lock().unwrap_or_else(PoisonError::into_inner);
    let before = server.store.proxy_settings(&app).map_err(internal)?;
    let keys: Vec<String> = request.set.keys().chain(&request.unset).cloned().collect();
    let after = changed(before.clone(), request, name)?;
    let policy = config::overlay(&of_release(server, &app)?, &after)?;
    if let Some(release) = current(server, &app)? {
        check_client_ca(server, &release.artifact, &policy)?;
    }
    server.store.replace_proxy_settings(&app, &after).map_err(internal)?;
    if let Err(problem) = reconcile::route(server, &app) {
        server.store.replace_proxy_settings(&app, &before).map_err(internal)?;
        return Err(problem);
    }
    server.record(Some(&app), None, Event::ProxyChanged { keys });
    show(server, name)
}

fn changed(
    mut settings: Assignments,
    request: PolicyChangeRequest,
    name: &AppName,
) -> Result<Assignments, Problem> {
    for key in &request.unset {
        if settings.remove(key).is_none() {
            let title = format!("\"{key}\" was not set by hand");
            return Err(Problem::new(Kind::NotFound, "proxy.not-set", title)
                .hint(format!("see what was: hop3 proxy show -a {name}")));
        }
    }
    settings.extend(config::without_passwords(request.set)?);
    if settings.len() > MAX_SETTINGS {
        return Err(Problem::new(
            Kind::Conflict,
            "proxy.too-many-settings",
            format!("more than {MAX_SETTINGS} keys cannot be set by hand"),
        )
        .hint("write them into [proxy] of hop3.toml"));
    }
    Ok(settings)
}

/// What the file of the release that serves says.
fn of_release(server: &Server, app: &App) -> Result<Policy, Problem> {
    Ok(current(server, app)?.map(|release| release.artifact.processes.proxy).unwrap_or_default())
}

fn current(server: &Server, app: &App) -> Result<Option<Release>, Problem> {
    let Some(number) = app.current else { return Ok(None) };
    server.store.release(app, number).map_err(internal)
}

/// The policy of an app whose release says this.
pub(crate) fn effective(server: &Server, app: &App, file: &Policy) -> Result<Policy, Problem> {
    let set = server.store.proxy_settings(app).map_err(internal)?;
    config::overlay(file, &set)
}

/// At a deployment, before anything is built: what was set must fit what the new file says.
pub(crate) fn check(server: &Server, app: &App, file: &Policy) -> Result<(), Problem> {
    effective(server, app, file).map(drop).map_err(|problem| {
        let hint = format!(
            "what was set by hand wins over the file; take it away with: hop3 proxy unset KEY -a {}",
            app.name
        );
        if problem.hint.is_empty() { problem.hint(hint) } else { problem }
    })
}

/// Before a release may serve: the file it names for its clients' authorities is there, and such a file.
pub(crate) fn check_release(server: &Server, app: &App, artifact: &Artifact) -> Result<(), Problem> {
    let policy = effective(server, app, &artifact.processes.proxy)?;
    check_client_ca(server, artifact, &policy)
}

fn check_client_ca(server: &Server, artifact: &Artifact, policy: &Policy) -> Result<(), Problem> {
    match client_ca(server, &artifact.id, policy)? {
        Some(pem) => server.drivers.certificates.check_client_ca(&pem).map_err(|problem| {
            let file = policy.client_ca.as_deref().unwrap_or_default();
            let detail = format!("{file}: {}", problem.detail);
            problem.detail(detail)
        }),
        None => Ok(()),
    }
}

/// What the file holds that a policy names for its clients' authorities.
pub(crate) fn client_ca(server: &Server, artifact: &str, policy: &Policy) -> Result<Option<String>, Problem> {
    let Some(file) = &policy.client_ca else { return Ok(None) };
    let tree = SourceTree::open(&server.layout.artifact(artifact).join("tree"))?;
    let found = tree.read(file)?.filter(|text| text.len() <= MAX_CLIENT_CA);
    found.map(Some).ok_or_else(|| {
        Problem::new(Kind::Config, "proxy.no-client-ca", "the file with the authorities of clients is not there")
            .detail(format!("{file} is not in the release, or is larger than 256 KiB"))
            .hint("commit the file with their certificates in PEM, and write its path: client-ca = \"certs/clients.pem\"")
    })
}
