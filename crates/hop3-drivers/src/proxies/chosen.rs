// SPDX-License-Identifier: Apache-2.0
//! `Chosen`: the driver of an installation: the built-in proxy, and in front of it the product that the operator
//! chose, if any.
//!
//! Invariant: the built-in proxy always has the whole table, so whatever a product passes on is answered by the rules
//! of the service it belongs to. It believes a product about visitors' addresses, and nobody else.

mod certificates;
mod choose;

use super::Builtin;
use super::front::choice::Choice;
use super::front::files;
use super::front::plan::Plan;
use super::front::process::{Main, connections, wait};
use super::front::product::products;
use hop3_core::driver::{Drained, Proxy, ProxyStatus};
use hop3_core::layout::Layout;
use hop3_core::observe::RouteFigures;
use hop3_core::policy::Net;
use hop3_core::problem::{Kind, Problem};
use hop3_core::route::{Address, RouteTable, Service, Target};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// A product that is being started again is waited for.
const PATIENCE: Duration = Duration::from_secs(5);
/// A product with thousands of hosts takes its time to read them.
const RELOAD: Duration = Duration::from_secs(30);
/// A retired worker may have a connection whose first request has not come; both products wait 10 seconds for it.
const FIRST_REQUEST: Duration = Duration::from_secs(11);
const LOOK: Duration = Duration::from_millis(20);

/// Has the proxy role taken over by a new one, which looks at the choice.
type TakeOver = Box<dyn Fn() -> Result<(), Problem> + Send + Sync>;

pub struct Chosen {
    builtin: Arc<Builtin>,
    layout: Layout,
    take_over: TakeOver,
    /// Held by each change from the table to its effect.
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Kept while a product is chosen.
    services: BTreeMap<String, Service>,
    passed_on: BTreeMap<String, BTreeSet<&'static str>>,
    /// Of every upstream that may be drained.
    addresses: HashMap<String, Address>,
    reloaded: Option<Instant>,
}

impl Chosen {
    pub fn start(builtin: Arc<Builtin>, layout: &Layout, take_over: TakeOver) -> Arc<Chosen> {
        let chosen = Arc::new(Chosen { builtin, layout: layout.clone(), take_over, state: Mutex::default() });
        let weak = Arc::downgrade(&chosen);
        let watch = thread::Builder::new().name("certificates".into()).stack_size(256 << 10);
        if let Err(error) = watch.spawn(move || certificates::watch(&weak)) {
            tracing::error!(%error, "new certificates are not handed over by themselves");
        }
        chosen
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a product answer by the state's services. `tell` brings them to the built-in proxy.
    fn update(
        &self,
        state: &mut State,
        choice: &Choice,
        tell: impl FnOnce() -> Result<(), Problem>,
    ) -> Result<(), Problem> {
        let table = RouteTable { services: state.services.values().cloned().collect() };
        let plan = Plan::of(&table, choice.product.abilities(), choice.product.name())?;
        tell()?;
        let place = choice.place(&self.layout)?;
        let is_renewed = self.hand(&plan, place.https.is_some())?;
        let folder = files::prepare(choice, &self.layout, &choice.product.render(&plan, &place))?;
        if folder.is_none() && !is_renewed {
            state.passed_on = plan.passed_on;
            return Ok(());
        }
        let folder = folder.unwrap_or_else(|| choice.current(&self.layout));
        let folder = folder.canonicalize().unwrap_or(folder);
        let before = files::activate(choice, &self.layout, &folder)?;
        if let Err(problem) = self.reload(choice, state) {
            if let Some(before) = before {
                files::activate(choice, &self.layout, &before)?;
            }
            return Err(problem);
        }
        files::sweep(choice, &self.layout);
        state.passed_on = plan.passed_on;
        Ok(())
    }

    fn hand(&self, plan: &Plan, is_secure: bool) -> Result<bool, Problem> {
        if !is_secure {
            return Ok(false);
        }
        let named = plan.hosts().filter(|host| !host.is_address());
        self.builtin.hand(named.map(|host| host.as_str().to_owned()).collect())
    }

    /// Returns when no worker of the configuration before accepts. One that does not run will read the new one.
    fn reload(&self, choice: &Choice, state: &mut State) -> Result<(), Problem> {
        let (folder, name) = (self.layout.front(), choice.product.name());
        let begun = Instant::now();
        while begun.elapsed() < RELOAD {
            let mut found = None;
            if !wait(PATIENCE, || {
                found = Main::accepting(&folder, name);
                found.is_some()
            }) {
                break;
            }
            let Some(main) = found else { break };
            state.reloaded = Some(Instant::now());
            if choice.product.take(main, &choice.current(&self.layout), RELOAD) {
                return Ok(());
            }
        }
        Err(Problem::new(
            Kind::Unavailable,
            "proxy.not-reloaded",
            format!("{name} has not taken its new configuration"),
        )
        .detail(format!("its words are in {}", self.layout.run_of("proxy").join("log").display()))
        .hint("see whether it runs with: hop3 doctor"))
    }

    /// Has the role be what is chosen, when it is not: a server that was killed in between left it so.
    fn converge(&self, choice: Option<&Choice>) -> Result<(), Problem> {
        let folder = self.layout.front();
        let is_other = |name: &str| choice.is_none_or(|choice| choice.product.name() != name);
        let stray = products()
            .into_iter()
            .any(|p| is_other(p.name()) && Main::accepting(&folder, p.name()).is_some());
        let runs = |choice: &Choice| Main::accepting(&folder, choice.product.name()).is_some();
        if stray || choice.is_some_and(|choice| !wait(PATIENCE, || runs(choice))) {
            (self.take_over)()?;
        }
        Ok(())
    }

    /// Waits until retired workers of a product have let these upstreams go; how many connections are left.
    fn drain_product(&self, choice: &Choice, upstreams: &[String], deadline: Instant) -> u64 {
        let (addresses, reloaded) = {
            let mut state = self.state();
            let found: Vec<_> = upstreams.iter().filter_map(|id| state.addresses.remove(id)).collect();
            (found, state.reloaded)
        };
        let tcp = |address: &Address| match address {
            Address::Tcp(address) => Some(SocketAddr::new(address.ip().to_canonical(), address.port())),
            Address::Unix(_) => None,
        };
        let known: Option<Vec<SocketAddr>> = addresses.iter().map(tcp).collect();
        let is_alone = choice.product.is_alone();
        let known = match is_alone {
            // Sockets are opened by the built-in proxy for it.
            true => Some(addresses.iter().filter_map(tcp).collect()),
            false => known.filter(|known| known.len() == upstreams.len()),
        };
        loop {
            let main = Main::find(&self.layout.front(), choice.product.name());
            let retired = match is_alone {
                true => main.map(|main| vec![main.pid]).unwrap_or_default(),
                false => main.map(|main| main.split_workers().1).unwrap_or_default(),
            };
            if retired.is_empty() {
                return 0;
            }
            let left = known.as_ref().map(|known| connections(&retired, known));
            let all_have_asked = is_alone || reloaded.is_some_and(|at| at.elapsed() > FIRST_REQUEST);
            if left == Some(0) && all_have_asked {
                return 0;
            }
            if Instant::now() >= deadline {
                return left.unwrap_or(0);
            }
            thread::sleep(LOOK);
        }
    }
}

/// The service as the built-in proxy shall have it behind a product, which names the visitor.
fn behind(service: &Service) -> Service {
    let mut service = service.clone();
    let loopback: Option<Net> = "127.0.0.0/8".parse().ok();
    service.policy.get_or_insert_default().trusted_proxies.extend(loopback);
    service
}

fn upstreams(service: &Service) -> impl Iterator<Item = (String, Address)> {
    let pools = service.routes.iter().filter_map(|route| match &route.target {
        Target::Upstreams(pool) => Some(&pool.upstreams),
        _ => None,
    });
    let carried = service.tcp.iter().map(|route| &route.pool.upstreams);
    let all = pools.chain(carried).chain(service.canaries.iter().map(|canary| &canary.upstreams)).flatten();
    all.map(|upstream| (upstream.id.clone(), upstream.address.clone()))
}

impl Proxy for Chosen {
    fn name(&self) -> &'static str {
        match Choice::read(&self.layout) {
            Ok(Some(choice)) => choice.product.name(),
            _ => self.builtin.name(),
        }
    }

    fn apply(&self, table: &RouteTable) -> Result<(), Problem> {
        let mut state = self.state();
        let Some(choice) = Choice::read(&self.layout)? else {
            self.builtin.apply(table)?;
            return self.converge(None);
        };
        state.services = table.services.iter().map(|s| (s.name.clone(), s.clone())).collect();
        state.addresses.extend(table.services.iter().flat_map(upstreams));
        self.converge(Some(&choice))?;
        let told = RouteTable { services: table.services.iter().map(behind).collect() };
        self.update(&mut state, &choice, || self.builtin.apply(&told))
    }

    fn put(&self, service: &Service) -> Result<(), Problem> {
        let mut state = self.state();
        let Some(choice) = Choice::read(&self.layout)? else { return self.builtin.put(service) };
        state.addresses.extend(upstreams(service));
        let before = state.services.insert(service.name.clone(), service.clone());
        let updated = self.update(&mut state, &choice, || self.builtin.put(&behind(service)));
        if updated.is_err() {
            // As it was; what was told last counts, should that fail too.
            let _ = match &before {
                Some(before) => self.builtin.put(&behind(before)),
                None => self.builtin.remove(&service.name),
            };
            match before {
                Some(before) => state.services.insert(service.name.clone(), before),
                None => state.services.remove(&service.name),
            };
        }
        updated
    }

    fn remove(&self, service: &str) -> Result<(), Problem> {
        let mut state = self.state();
        let Some(choice) = Choice::read(&self.layout)? else { return self.builtin.remove(service) };
        state.services.remove(service);
        self.update(&mut state, &choice, || self.builtin.remove(service))
    }

    fn drain(&self, upstreams: &[String], deadline: Duration) -> Result<Drained, Problem> {
        let Some(choice) = Choice::read(&self.layout)? else {
            return self.builtin.drain(upstreams, deadline);
        };
        let until = Instant::now() + deadline;
        let cut = self.drain_product(&choice, upstreams, until);
        let drained = self.builtin.drain(upstreams, until.saturating_duration_since(Instant::now()))?;
        Ok(Drained { cut: cut + drained.cut })
    }

    fn status(&self) -> Result<ProxyStatus, Problem> {
        self.builtin.status()
    }

    fn figures(&self) -> Result<Vec<RouteFigures>, Problem> {
        self.builtin.figures()
    }
}
