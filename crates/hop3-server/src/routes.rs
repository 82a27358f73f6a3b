// SPDX-License-Identifier: Apache-2.0
//! The route table, derived from the store and from what runs. Nobody else makes routes.

use crate::server::{Server, internal};
use crate::sleep;
use crate::store::{App, Outline};
use crate::verb;
use hop3_core::config::{self, Assignments};
use hop3_core::name::{Domain, DomainPath, ProcessName};
use hop3_core::plan::StaticSite;
use hop3_core::policy::{self, Policy};
use hop3_core::problem::Problem;
use hop3_core::release::Artifact;
use hop3_core::route::{
    Address, Canary, Host, Https, Mount, OnDemand, Page, Pool, Route, Service, Speaks, StaticFiles, Target,
    TcpRoute, Timeouts, Tls, Upstream,
};
use hop3_core::sleep::SleepTimes;
use hop3_core::tcp::TcpSettings;
use hop3_core::workload::Instance;
use std::collections::HashMap;
use std::path::PathBuf;

/// Releases whose static files are bridged, beside the one that serves.
const BRIDGED: u32 = 2;

/// What routes need to know of a release.
pub(crate) struct Served<'a> {
    artifact: &'a str,
    has_web: bool,
    statics: &'a [StaticSite],
    health_path: Option<&'a str>,
    sleep: Option<SleepTimes>,
    proxy: &'a Policy,
    tcp: &'a [TcpSettings],
}

impl<'a> From<&'a Artifact> for Served<'a> {
    fn from(artifact: &'a Artifact) -> Served<'a> {
        let table = &artifact.processes;
        Served {
            artifact: &artifact.id,
            has_web: table.processes.contains_key(&ProcessName::web()),
            statics: &table.statics,
            health_path: table.health.path.as_deref(),
            sleep: table.sleep,
            proxy: &table.proxy,
            tcp: &table.tcp,
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
            sleep: outline.sleep(),
            proxy: outline.proxy(),
            tcp: outline.tcp(),
        }
    }
}

/// What was set for an app by hand and lies beside its releases.
#[derive(Default)]
pub(crate) struct Set {
    pub(crate) domains: Vec<Domain>,
    mounts: Vec<DomainPath>,
    proxy: Assignments,
}

impl Set {
    pub(crate) fn of(server: &Server, app: &App) -> Result<Set, Problem> {
        let store = &server.store;
        Ok(Set {
            domains: store.domains(app).map_err(internal)?,
            mounts: store.mounts(app).map_err(internal)?,
            proxy: store.proxy_settings(app).map_err(internal)?,
        })
    }

    /// Of every app for which something was, by row id: a start does not ask the store for each app.
    pub(crate) fn all(server: &Server) -> Result<HashMap<i64, Set>, Problem> {
        let mut all: HashMap<i64, Set> = HashMap::new();
        for (app, domain) in server.store.all_domains().map_err(internal)? {
            all.entry(app).or_default().domains.push(domain);
        }
        for (app, mount) in server.store.all_mounts().map_err(internal)? {
            all.entry(app).or_default().mounts.push(mount);
        }
        for (app, proxy) in server.store.all_proxy_settings().map_err(internal)? {
            all.entry(app).or_default().proxy = proxy;
        }
        Ok(all)
    }
}

/// The service of an app. What was set by hand and the release's file no longer agree about shuts visitors out: that
/// is what cannot be taken for a permission. Without an artifact nothing was deployed; a stopped app gets a page that says so.
pub(crate) fn service(
    server: &Server,
    app: &App,
    set: &Set,
    serves: Option<Served<'_>>,
    instances: &[Instance],
) -> Result<Service, Problem> {
    let own = Host(server.site.host_of(&app.name));
    let hosts = std::iter::once(own).chain(set.domains.iter().map(Host::from)).collect();
    let name = app.name.to_string();
    let mount =
        |place: &DomainPath| Some(Mount { host: Host::from(&place.domain), prefix: place.path.clone()? });
    let mounts = set.mounts.iter().filter_map(mount).collect();
    let Some(serves) = serves else {
        return Ok(Service {
            name,
            hosts,
            mounts,
            routes: vec![page(Page::NotDeployed)],
            ..Service::default()
        });
    };
    let mut policy = config::overlay(serves.proxy, &set.proxy).unwrap_or_else(|problem| {
        tracing::error!(app = %app.name, problem = problem.title, "what was set of [proxy] does not fit; closed");
        Policy::closed()
    });
    let former = match policy.asset_bridge {
        true => server.store.former_artifacts(app, serves.artifact, BRIDGED).map_err(internal)?,
        false => Vec::new(),
    };
    let tls = tls(server, serves.artifact, &mut policy).unwrap_or_else(|problem| {
        tracing::error!(app = %app.name, problem = problem.title, "the authorities of its clients are not there; closed");
        policy = Policy::closed();
        Tls::default()
    });
    let routes = routes_of((server, app), &serves, instances, (&policy, &former));
    let tcp = tcp_routes((server, app), &serves, instances, &set.domains);
    let observe = std::mem::take(&mut policy.log);
    let canary = policy.canary.take().map(|policy::Canary { app, percent, header, cookie }| {
        Box::new(Canary { host: Host(server.site.host_of(&app)), percent, header, cookie })
    });
    policy.app_protocol = Speaks::default();
    let policy = (!policy.is_none()).then(|| Box::new(policy));
    let pages = policy.as_ref().map(|_| static_root(server, serves.artifact, "."));
    Ok(Service { name, hosts, mounts, routes, canary, policy, pages, observe, tls, tcp })
}

/// Takes out of a policy what routes say in words of their own.
fn tls(server: &Server, artifact: &str, policy: &mut Policy) -> Result<Tls, Problem> {
    let client_ca = verb::proxy::client_ca(server, artifact, policy)?;
    policy.client_ca = None;
    Ok(Tls { https: std::mem::take(&mut policy.https), client_ca, ..Tls::default() })
}

/// The service of an app that was stopped on purpose.
pub(crate) fn stopped(server: &Server, app: &App, set: &Set) -> Result<Service, Problem> {
    Ok(Service { routes: vec![page(Page::Stopped)], ..service(server, app, set, None, &[])? })
}

/// The control plane itself: API and git at the server's own host.
pub(crate) fn control_plane(server: &Server) -> Service {
    let upstream = Upstream { id: "hop3".into(), address: Address::Unix(server.layout.http_socket()) };
    let site = &server.site;
    let mut hosts = vec![Host(site.domain.clone()), Host(site.http.ip().to_string())];
    hosts.extend(site.https.map(|https| Host(https.ip().to_string())).filter(|host| !hosts.contains(host)));
    // Deployments, followed logs and pushes are long; the server itself decides when they end.
    let timeouts = Timeouts { response_ms: 0, idle_ms: 0, ..Timeouts::default() };
    let pool = Pool { upstreams: vec![upstream], timeouts, ..Pool::default() };
    let route = Route { prefix: "/".into(), target: Target::Upstreams(pool) };
    // Clients with a token do not follow a redirect; what they speak is theirs to choose.
    let tls = Tls { https: Https::Both, for_unnamed: true, ..Tls::default() };
    Service { name: "hop3".into(), hosts, routes: vec![route], tls, ..Service::default() }
}

/// Unique among all upstreams alive: an instance's id is unique within its app.
pub(crate) fn upstream_id(instance: &Instance) -> String {
    format!("{}/{}", instance.app, instance.id)
}

fn routes_of(
    (server, app): (&Server, &App),
    serves: &Served<'_>,
    instances: &[Instance],
    (policy, former): (&Policy, &[String]),
) -> Vec<Route> {
    let mut routes: Vec<Route> = serves
        .statics
        .iter()
        .map(|site| {
            let root = |artifact: &str| static_root(server, artifact, &site.directory);
            let former = former.iter().map(|artifact| root(artifact)).collect();
            let files = StaticFiles { root: root(serves.artifact), spa: site.spa, former };
            Route { prefix: site.prefix.clone(), target: Target::Static(files) }
        })
        .collect();
    if serves.has_web {
        let pool = Pool {
            timeouts: timeouts(policy),
            speaks: policy.app_protocol,
            health_path: serves.health_path.map(str::to_owned),
            ..pool((server, app), serves, instances, &ProcessName::web())
        };
        routes.retain(|r| r.prefix != "/");
        routes.push(Route { prefix: "/".into(), target: Target::Upstreams(pool) });
    }
    if routes.is_empty() {
        routes.push(page(Page::NotDeployed));
    }
    routes
}

/// The instances of a process. The web process may be away until somebody asks for it.
fn pool(
    (server, app): (&Server, &App),
    serves: &Served<'_>,
    instances: &[Instance],
    process: &ProcessName,
) -> Pool {
    let is_web = *process == ProcessName::web();
    let sleeps = app.asleep.is_some() || sleep::times(app, serves.sleep).is_some();
    // Its requests are counted for whoever changes the number of its instances.
    let is_ranged = app.sleep.ranges.get(process).is_some_and(|range| range.least < range.most);
    let upstreams = instances
        .iter()
        .filter(|i| i.process == *process && !(is_web && app.asleep.is_some()))
        .filter_map(|i| Some(Upstream { id: upstream_id(i), address: Address::Tcp(i.address?) }))
        .collect();
    let on_demand = (is_web && (sleeps || is_ranged)).then(|| OnDemand::new(server.layout.wake_socket()));
    Pool { upstreams, on_demand, ..Pool::default() }
}

/// What of `[[tcp]]` the app has. A port that the operator allowed once and does not any more is closed.
fn tcp_routes(
    of: (&Server, &App),
    serves: &Served<'_>,
    instances: &[Instance],
    domains: &[Domain],
) -> Vec<TcpRoute> {
    let (server, app) = of;
    let had = serves.tcp.iter().filter(|settings| verb::tcp::has(server, app, domains, &settings.entry));
    had.map(|settings| {
        let mut pool = pool(of, serves, instances, &settings.process);
        pool.timeouts.idle_ms = u64::from(settings.idle_timeout_secs) * 1000;
        TcpRoute { entry: settings.entry.clone(), pool, proxy_protocol: settings.proxy_protocol }
    })
    .collect()
}

fn timeouts(policy: &Policy) -> Timeouts {
    let default = Timeouts::default();
    let ms = |secs: Option<u32>, default: u64| secs.map_or(default, |secs| u64::from(secs) * 1000);
    Timeouts {
        connect_ms: ms(policy.connect_timeout, default.connect_ms),
        response_ms: ms(policy.response_timeout, default.response_ms),
        idle_ms: ms(policy.idle_timeout, default.idle_ms),
    }
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
