// SPDX-License-Identifier: Apache-2.0
//! `[[tcp]]`: which ports and hosts of TLS an app may have. Apps of different people share the machine: a port is the
//! operator's to allow, each has one app, and the proxy's own are nobody's.

use crate::server::{Server, internal};
use crate::store::App;
use hop3_core::api::TcpPlace;
use hop3_core::name::{Domain, ProcessName};
use hop3_core::plan::BuildPlan;
use hop3_core::problem::{Kind, Problem};
use hop3_core::tcp::{Entry, Port, TcpSettings};

/// Whether the app may have what a new source asks for: before anything is built, so that its author does not wait for
/// the answer.
pub(crate) fn check(server: &Server, app: &App, wanted: &[TcpSettings]) -> Result<(), Problem> {
    wanted
        .iter()
        .filter_map(|settings| port_of(&settings.entry))
        .try_for_each(|port| allowed(server, port))?;
    check_free(server, app, wanted)
}

/// Whether no other app has one of the ports. Asked again right before the switch, by whatever way a release comes to
/// serve. A port that the operator does not allow any more keeps no app from serving; it stays closed.
pub(crate) fn check_free(server: &Server, app: &App, wanted: &[TcpSettings]) -> Result<(), Problem> {
    let ports = || wanted.iter().filter_map(|settings| port_of(&settings.entry));
    if ports().next().is_none() {
        return Ok(());
    }
    let addons = server.store.addons().map_err(internal)?;
    let exposed = |port: Port| addons.iter().find(|addon| addon.exposed == Some(port));
    if let Some((port, addon)) = ports().find_map(|port| Some((port, exposed(port)?))) {
        let title = format!("port {port} leads to an addon");
        return Err(Problem::new(Kind::Conflict, "tcp.port-taken", title)
            .detail(format!("the addon \"{}\" has it", addon.wanted.name))
            .hint("choose another port for [[tcp]] in hop3.toml"));
    }
    for (other, current) in server.store.outlines().map_err(internal)? {
        let Some((_, outline)) = current.filter(|_| other.id != app.id) else { continue };
        let mut had = outline.tcp().iter().filter_map(|settings| port_of(&settings.entry));
        if let Some(port) = had.find(|port| ports().any(|wanted| wanted == *port)) {
            let title = format!("port {port} belongs to another app");
            return Err(Problem::new(Kind::Conflict, "tcp.port-taken", title)
                .detail(format!("the app \"{}\" has it", other.name))
                .hint("choose another port for [[tcp]] in hop3.toml"));
        }
    }
    Ok(())
}

/// Whether an addon may have it: as for apps, and no app has it.
pub(crate) fn allow_addon(server: &Server, port: Port) -> Result<(), Problem> {
    allowed(server, port)?;
    let has = |settings: &TcpSettings| port_of(&settings.entry) == Some(port);
    let apps = server.store.outlines().map_err(internal)?;
    let owner = apps
        .iter()
        .find(|(_, current)| current.as_ref().is_some_and(|(_, outline)| outline.tcp().iter().any(has)));
    match owner {
        None => Ok(()),
        Some((app, _)) => {
            let title = format!("port {port} belongs to an app");
            Err(Problem::new(Kind::Conflict, "tcp.port-taken", title)
                .detail(format!("the app \"{}\" has it", app.name)))
        }
    }
}

fn port_of(entry: &Entry) -> Option<Port> {
    match entry {
        Entry::Port(port) => Some(*port),
        Entry::Host(_) => None,
    }
}

/// Whether any app may have it.
fn allowed(server: &Server, port: Port) -> Result<(), Problem> {
    let site = &server.site;
    if std::iter::once(site.http).chain(site.https).any(|own| own.port() == port.get()) {
        return Err(Problem::new(Kind::Conflict, "tcp.port-own", format!("port {port} is the server's own"))
            .hint("choose another port for [[tcp]] in hop3.toml"));
    }
    if site.tcp_ports.contains(port) {
        return Ok(());
    }
    let allowed = if site.tcp_ports.is_empty() { "none".to_owned() } else { site.tcp_ports.to_string() };
    let title = format!("the server does not let apps have port {port}");
    Err(Problem::new(Kind::Denied, "tcp.port-not-allowed", title)
        .detail(format!("allowed ports: {allowed}"))
        .hint(format!("choose one of these, or let the operator start the server with --tcp-ports {port}")))
}

/// The processes that are named must be there.
pub(crate) fn check_processes(plan: &BuildPlan, wanted: &[TcpSettings]) -> Result<(), Problem> {
    let Some(stray) = wanted.iter().find(|settings| !plan.processes.contains_key(&settings.process)) else {
        return Ok(());
    };
    let names: Vec<&str> = plan.processes.keys().map(ProcessName::as_str).collect();
    let title = format!("[[tcp]] names the process \"{}\", which the app does not have", stray.process);
    Err(Problem::new(Kind::Config, "tcp.unknown-process", title)
        .detail(format!("it has: {}", names.join(", ")))
        .hint("name one of these, or add its line to the Procfile"))
}

/// The hosts of TLS that must become domains of the app. Its own name, and what lies beneath it, are its own already.
pub(crate) fn domains<'s>(
    server: &Server,
    app: &App,
    wanted: &'s [TcpSettings],
) -> impl Iterator<Item = &'s Domain> {
    let own = server.site.host_of(&app.name);
    wanted.iter().filter_map(move |settings| match &settings.entry {
        Entry::Host(host) if !is_beneath(host, &own) => Some(host),
        _ => None,
    })
}

fn is_beneath(host: &Domain, own: &str) -> bool {
    host.as_str().strip_suffix(own).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

/// The app has it, as far as its domains and the operator go.
pub(crate) fn has(server: &Server, app: &App, domains: &[Domain], entry: &Entry) -> bool {
    match entry {
        Entry::Host(host) => is_beneath(host, &server.site.host_of(&app.name)) || domains.contains(host),
        Entry::Port(port) => allowed(server, *port).is_ok(),
    }
}

/// The places of an app as people reach them.
pub(crate) fn places(
    server: &Server,
    app: &App,
    domains: &[Domain],
    settings: &[TcpSettings],
) -> Result<Vec<TcpPlace>, Problem> {
    if settings.is_empty() {
        return Ok(Vec::new());
    }
    let closed = server.drivers.proxy.status()?.closed_ports;
    let why_closed = |entry: &Entry| match entry {
        Entry::Host(_) if server.site.https.is_none() => Some("the server has no port for HTTPS"),
        Entry::Host(_) if !has(server, app, domains, entry) => Some("the domain is not the app's"),
        Entry::Port(port) if allowed(server, *port).is_err() => Some("the server does not allow the port"),
        Entry::Port(port) if closed.contains(port) => Some("the proxy could not open the port"),
        _ => None,
    };
    let place = |settings: &TcpSettings| TcpPlace {
        process: settings.process.clone(),
        address: match &settings.entry {
            Entry::Port(port) => format!("{}:{port}", server.site.host_of(&app.name)),
            Entry::Host(host) => format!("{host}:{}", server.site.https.map_or(443, |https| https.port())),
        },
        tls: matches!(settings.entry, Entry::Host(_)),
        proxy_protocol: settings.proxy_protocol,
        closed: why_closed(&settings.entry).map(str::to_owned),
    };
    Ok(settings.iter().map(place).collect())
}
