// SPDX-License-Identifier: Apache-2.0
//! `addon expose|unexpose`: a port of the machine, which the operator must have allowed, leads to an addon's server.
//! The proxy carries the connections; a password is asked for as ever.

use super::{all, find};
use crate::server::{Server, internal};
use crate::store::Addon;
use crate::verb::tcp;
use hop3_core::api::{AddonInfo, ExposeAddonRequest};
use hop3_core::name::AddonName;
use hop3_core::problem::{Kind, Problem};
use hop3_core::route::{Address, Pool, Service, TcpRoute, Timeouts, Upstream};
use hop3_core::tcp::{Entry, Port};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

/// Clients of databases are silent for long.
const IDLE_MS: u64 = 60 * 60 * 1000;

pub(crate) fn expose(
    server: &Arc<Server>,
    name: &AddonName,
    request: &ExposeAddonRequest,
) -> Result<AddonInfo, Problem> {
    let addon = find(server, name)?;
    if addon.wanted.server.port == 0 {
        let title = format!("{name} has no server on this machine");
        return Err(Problem::new(Kind::User, "addon.no-server", title));
    }
    let port = Port::new(request.port)
        .ok_or_else(|| Problem::new(Kind::User, "addon.bad-port", "a port is 1 to 65535"))?;
    let alone = server.routing();
    tcp::allow_addon(server, port)?;
    if !server.store.set_exposed(addon.id, Some(port)).map_err(internal)? {
        let title = format!("port {port} leads to another addon");
        return Err(
            Problem::new(Kind::Conflict, "tcp.port-taken", title).hint("see them with: hop3 addon list")
        );
    }
    let put = server.drivers.proxy.put(&service(&find(server, name)?, port));
    drop(alone);
    if put.is_err() {
        server.store.set_exposed(addon.id, addon.exposed).map_err(internal)?;
    }
    put?;
    super::info(server, name)
}

pub(crate) fn unexpose(server: &Arc<Server>, name: &AddonName) -> Result<AddonInfo, Problem> {
    close(server, &find(server, name)?)?;
    super::info(server, name)
}

pub(super) fn close(server: &Server, addon: &Addon) -> Result<(), Problem> {
    if addon.exposed.is_none() {
        return Ok(());
    }
    let _alone = server.routing();
    server.store.set_exposed(addon.id, None).map_err(internal)?;
    server.drivers.proxy.remove(&service_name(addon))
}

/// What of the table leads to addons.
pub(crate) fn services(server: &Server) -> Result<Vec<Service>, Problem> {
    let open = all(server)?.into_iter().filter_map(|addon| Some((addon.exposed?, addon)));
    Ok(open
        .filter(|(_, addon)| addon.destroyed_ms.is_none())
        .map(|(port, addon)| service(&addon, port))
        .collect())
}

/// No app's name has a dot.
fn service_name(addon: &Addon) -> String {
    format!("addon.{}", addon.id)
}

fn service(addon: &Addon, port: Port) -> Service {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, addon.wanted.server.port));
    let name = service_name(addon);
    let upstream = Upstream { id: name.clone(), address: Address::Tcp(address) };
    let timeouts = Timeouts { idle_ms: IDLE_MS, ..Timeouts::default() };
    let pool = Pool { upstreams: vec![upstream], timeouts, ..Pool::default() };
    let route = TcpRoute { entry: Entry::Port(port), pool, proxy_protocol: false };
    Service { name, tcp: vec![route], ..Service::default() }
}
