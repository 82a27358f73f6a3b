// SPDX-License-Identifier: Apache-2.0
//! The route table, derived from the store and from what runs. Nobody else makes routes.

use crate::server::Server;
use crate::store::{App, Outline};
use hop3_core::name::{Domain, ProcessName};
use hop3_core::observe::Observe;
use hop3_core::plan::StaticSite;
use hop3_core::release::Artifact;
use hop3_core::route::{Address, Host, Page, Pool, Route, Service, StaticFiles, Target, Timeouts, Upstream};
use hop3_core::workload::Instance;
use std::path::PathBuf;

/// What routes need to know of a release.
pub(crate) struct Served<'a> {
    artifact: &'a str,
    has_web: bool,
    statics: &'a [StaticSite],
    health_path: Option<&'a str>,
}

impl<'a> From<&'a Artifact> for Served<'a> {
    fn from(artifact: &'a Artifact) -> Served<'a> {
        let table = &artifact.processes;
        Served {
            artifact: &artifact.id,
            has_web: table.processes.contains_key(&ProcessName::web()),
            statics: &table.statics,
            health_path: table.health.path.as_deref(),
        }
    }
}

impl<'a> From<&'a Outline> for Served<'a> {
    fn from(outline: &'a Outline) -> Served<'a> {
        Served {
            artifact: &outline.id,
            has_web: outline.processes().any(|process| *process == ProcessName::web()),
            statics: outline.statics(),
            health_path: outline.health_path(),
        }
    }
}

/// The service of an app. Without an artifact nothing was deployed; a stopped app gets a page that says so.
pub(crate) fn service(
    server: &Server,
    app: &App,
    domains: &[Domain],
    serves: Option<Served<'_>>,
    instances: &[Instance],
) -> Service {
    let own = Host(server.site.host_of(&app.name));
    let hosts = std::iter::once(own).chain(domains.iter().map(Host::from)).collect();
    let routes = match serves {
        None => vec![page(Page::NotDeployed)],
        Some(serves) => routes_of(server, &serves, instances),
    };
    Service { name: app.name.to_string(), hosts, routes, observe: Observe::default() }
}

/// The service of an app that was stopped on purpose.
pub(crate) fn stopped(server: &Server, app: &App, domains: &[Domain]) -> Service {
    Service { routes: vec![page(Page::Stopped)], ..service(server, app, domains, None, &[]) }
}

/// The control plane itself: API and git at the server's own host.
pub(crate) fn control_plane(server: &Server) -> Service {
    let upstream = Upstream { id: "hop3".into(), address: Address::Unix(server.layout.http_socket()) };
    let hosts = vec![Host(server.site.domain.clone()), Host(server.site.http.ip().to_string())];
    // Deployments, followed logs and pushes are long; the server itself decides when they end.
    let timeouts = Timeouts { response_ms: 0, idle_ms: 0, ..Timeouts::default() };
    let pool = Pool { upstreams: vec![upstream], timeouts, health_path: None };
    let route = Route { prefix: "/".into(), target: Target::Upstreams(pool) };
    Service { name: "hop3".into(), hosts, routes: vec![route], observe: Observe::default() }
}

/// Unique among all upstreams alive: an instance's id is unique within its app.
pub(crate) fn upstream_id(instance: &Instance) -> String {
    format!("{}/{}", instance.app, instance.id)
}

fn routes_of(server: &Server, serves: &Served<'_>, instances: &[Instance]) -> Vec<Route> {
    let mut routes: Vec<Route> = serves
        .statics
        .iter()
        .map(|site| {
            let files =
                StaticFiles { root: static_root(server, serves.artifact, &site.directory), spa: site.spa };
            Route { prefix: site.prefix.clone(), target: Target::Static(files) }
        })
        .collect();
    if serves.has_web {
        let upstreams = instances
            .iter()
            .filter(|i| i.process == ProcessName::web())
            .filter_map(|i| Some(Upstream { id: upstream_id(i), address: Address::Tcp(i.address?) }))
            .collect();
        let pool = Pool {
            upstreams,
            timeouts: Timeouts::default(),
            health_path: serves.health_path.map(str::to_owned),
        };
        routes.retain(|r| r.prefix != "/");
        routes.push(Route { prefix: "/".into(), target: Target::Upstreams(pool) });
    }
    if routes.is_empty() {
        routes.push(page(Page::NotDeployed));
    }
    routes
}

/// Directories are inside the tree or inside a layer; the builders and the config parser let nothing else through.
fn static_root(server: &Server, artifact: &str, directory: &str) -> PathBuf {
    let tree = server.layout.artifact(artifact).join("tree");
    let inside = directory.strip_prefix("{app}").unwrap_or(directory).trim_start_matches('/');
    if inside.is_empty() || inside == "." { tree } else { tree.join(inside) }
}

fn page(page: Page) -> Route {
    Route { prefix: "/".into(), target: Target::Page(page) }
}
