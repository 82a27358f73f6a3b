// SPDX-License-Identifier: Apache-2.0
//! `Chosen`: the driver of an installation: the built-in proxy, and in front of it the product that the operator
//! chose, if any.
//!
//! Invariant: the built-in proxy always has the whole table, so whatever a product passes on is answered by the rules
//! of the service it belongs to. It believes whoever comes in by its own socket about visitors' addresses, and that is
//! the product.

mod certificates;
mod choose;

use super::Builtin;
use super::front::choice::Choice;
use super::front::files;
use super::front::name::HostName;
use super::front::plan::Plan;
use super::front::process::{Main, connections, wait};
use super::front::product::{Place, products};
use hop3_core::driver::{Drained, Proxy, ProxyStatus};
use hop3_core::layout::Layout;
use hop3_core::observe::RouteFigures;
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
    /// Apart from the state: whoever asks does not wait for a change.
    passed_on: Mutex<PassedOn>,
}

/// Services of which something is passed on, and why.
type PassedOn = BTreeMap<String, BTreeSet<&'static str>>;

#[derive(Default)]
struct State {
    /// Kept while a product is chosen.
    services: BTreeMap<String, Service>,
    /// Of every upstream that may be drained.
    addresses: HashMap<String, Address>,
    reloaded: Option<Instant>,
    /// The product does not start; the built-in proxy answers in its place.
    is_away: bool,
    /// Certificates have changed that the product has not read.
    is_renewed: bool,
}

impl Chosen {
    pub fn start(builtin: Arc<Builtin>, layout: &Layout, take_over: TakeOver) -> Arc<Chosen> {
        let layout = layout.clone();
        let chosen =
            Chosen { builtin, layout, take_over, state: Mutex::default(), passed_on: Mutex::default() };
        let chosen = Arc::new(chosen);
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

    fn passed_on(&self) -> MutexGuard<'_, PassedOn> {
        self.passed_on.lock().unwrap_or_else(PoisonError::into_inner)
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
        if state.is_away {
            state.is_away = Main::accepting(&self.layout.front(), choice.product.name()).is_none();
        }
        match self.lead(state, choice, plan) {
            Err(problem) if state.is_away => {
                tracing::warn!(%problem, "a product that does not run has not got its configuration");
                Ok(())
            }
            led => led,
        }
    }

    fn lead(&self, state: &mut State, choice: &Choice, plan: Plan) -> Result<(), Problem> {
        let mut place = choice.place(&self.layout)?;
        let handed = self.hand(&plan, &mut place);
        // Remembered until it has read them, whatever fails before.
        state.is_renewed |= !matches!(handed, Ok(false));
        handed?;
        let folder = files::prepare(choice, &self.layout, &choice.product.render(&plan, &place))?;
        if folder.is_none() && !state.is_renewed {
            *self.passed_on() = plan.passed_on;
            return Ok(());
        }
        let folder = folder.unwrap_or_else(|| choice.current(&self.layout));
        let folder = folder.canonicalize().unwrap_or(folder);
        let before = files::activate(choice, &self.layout, &folder)?;
        if let Err(problem) = self.reload(choice, state) {
            if let Some(before) = before {
                files::activate(choice, &self.layout, &before)?;
                // Whatever it has read by now, the former one is what it reads last.
                if let Some(main) = Main::find(&self.layout.front(), choice.product.name()) {
                    main.signal(choice.product.facts().reload);
                }
            }
            return Err(problem);
        }
        files::sweep(choice, &self.layout);
        state.is_renewed = false;
        *self.passed_on() = plan.passed_on;
        Ok(())
    }

    /// Hands certificates over, and notes for which hosts there is none. Tells whether any has changed.
    fn hand(&self, plan: &Plan, place: &mut Place) -> Result<bool, Problem> {
        if place.https.is_none() {
            return Ok(false);
        }
        let named: Vec<_> = plan.hosts().filter(|host| !host.is_address()).collect();
        let changed = self.builtin.hand(named.iter().map(|host| host.as_str().to_owned()).collect())?;
        let is_missing = |host: &HostName| !self.layout.handed_certificate(host.as_str()).exists();
        place.uncertified = named.into_iter().filter(|host| is_missing(host)).cloned().collect();
        for host in &place.uncertified {
            tracing::error!(
                host = host.as_str(),
                "no certificate can be shown; nothing is served for it by HTTPS"
            );
        }
        Ok(changed)
    }

    /// Returns when no worker of the configuration before accepts. One that does not run will read the new one.
    fn reload(&self, choice: &Choice, state: &mut State) -> Result<(), Problem> {
        let (folder, name) = (self.layout.front(), choice.product.name());
        let begun = Instant::now();
        while begun.elapsed() < RELOAD {
            let mut found = None;
            wait(if state.is_away { Duration::ZERO } else { PATIENCE }, || {
                found = Main::accepting(&folder, name);
                found.is_some()
            });
            let Some(main) = found else {
                state.is_away = true;
                return Ok(());
            };
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
    fn converge(&self, state: &mut State, choice: Option<&Choice>) -> Result<(), Problem> {
        let folder = self.layout.front();
        let is_other = |name: &str| choice.is_none_or(|choice| choice.product.name() != name);
        let stray = products()
            .into_iter()
            .any(|p| is_other(p.name()) && Main::accepting(&folder, p.name()).is_some());
        let runs = |choice: &Choice| Main::accepting(&folder, choice.product.name()).is_some();
        state.is_away = false;
        if !stray && choice.is_none_or(|choice| wait(PATIENCE, || runs(choice))) {
            return Ok(());
        }
        match (self.take_over)() {
            Err(problem) if !stray => {
                tracing::error!(%problem, "the product does not start; the built-in proxy answers in its place");
                state.is_away = true;
                Ok(())
            }
            taken => taken,
        }
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

fn upstreams(service: &Service) -> impl Iterator<Item = (String, Address)> {
    let pools = service.routes.iter().filter_map(|route| match &route.target {
        Target::Upstreams(pool) => Some(&pool.upstreams),
        _ => None,
    });
    let carried = service.tcp.iter().map(|route| &route.pool.upstreams);
    pools.chain(carried).flatten().map(|upstream| (upstream.id.clone(), upstream.address.clone()))
}

impl Proxy for Chosen {
    fn name(&self) -> &'static str {
        Choice::in_force(&self.layout).map_or(self.builtin.name(), |choice| choice.product.name())
    }

    fn apply(&self, table: &RouteTable) -> Result<(), Problem> {
        let mut state = self.state();
        let Some(choice) = Choice::in_force(&self.layout) else {
            self.builtin.apply(table)?;
            return self.converge(&mut state, None);
        };
        state.services = table.services.iter().map(|s| (s.name.clone(), s.clone())).collect();
        state.addresses.extend(table.services.iter().flat_map(upstreams));
        self.converge(&mut state, Some(&choice))?;
        self.update(&mut state, &choice, || self.builtin.apply(table))
    }

    fn put(&self, service: &Service) -> Result<(), Problem> {
        let mut state = self.state();
        let Some(choice) = Choice::in_force(&self.layout) else { return self.builtin.put(service) };
        state.addresses.extend(upstreams(service));
        let before = state.services.insert(service.name.clone(), service.clone());
        let updated = self.update(&mut state, &choice, || self.builtin.put(service));
        if updated.is_err() {
            // As it was; what was told last counts, should that fail too.
            let _ = match &before {
                Some(before) => self.builtin.put(before),
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
        let Some(choice) = Choice::in_force(&self.layout) else { return self.builtin.remove(service) };
        state.services.remove(service);
        self.update(&mut state, &choice, || self.builtin.remove(service))
    }

    fn drain(&self, upstreams: &[String], deadline: Duration) -> Result<Drained, Problem> {
        let Some(choice) = Choice::in_force(&self.layout) else {
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
