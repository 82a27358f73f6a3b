// SPDX-License-Identifier: Apache-2.0
//! The operator's choice: what has to be there before another program accepts the connections, and the switch.

use super::{Chosen, State, upstreams};
use crate::proxies::front::choice::Choice;
use crate::proxies::front::files;
use crate::proxies::front::plan::Plan;
use crate::proxies::front::process::Main;
use crate::proxies::front::product::{expect_new_enough, product, products, version};
use hop3_core::driver::{PassedOn, ProxyChoice, ProxyChosen};
use hop3_core::problem::{Kind, Problem};
use hop3_core::route::RouteTable;
use std::collections::BTreeSet;
use std::time::Instant;

/// The word for the built-in proxy.
const BUILT_IN: &str = "built-in";

impl ProxyChoice for Chosen {
    fn shown(&self) -> Result<ProxyChosen, Problem> {
        let Some(choice) = Choice::read(&self.layout)? else {
            let version = env!("CARGO_PKG_VERSION").to_owned();
            return Ok(ProxyChosen {
                driver: BUILT_IN.to_owned(),
                version,
                passed_on: Vec::new(),
                runs: true,
            });
        };
        let told = |(service, why): (&String, &BTreeSet<&'static str>)| PassedOn {
            service: service.clone(),
            why: why.iter().map(|why| (*why).to_owned()).collect(),
        };
        let passed_on = self.passed_on().iter().map(told).collect();
        Ok(ProxyChosen {
            driver: choice.product.name().to_owned(),
            version: version(choice.product).unwrap_or_else(|_| "not installed".to_owned()),
            passed_on,
            runs: self.runs(&choice),
        })
    }

    fn choose(&self, name: &str, table: &RouteTable) -> Result<ProxyChosen, Problem> {
        let mut state = self.state();
        let written = Choice::read(&self.layout);
        let is_same = written.as_ref().is_ok_and(|choice| match choice {
            None => name == BUILT_IN,
            Some(choice) => choice.product.name() == name && self.runs(choice),
        });
        let before = written.unwrap_or_default();
        if !is_same {
            match name {
                BUILT_IN => self.choose_builtin(&mut state, before)?,
                name => self.choose_product(&mut state, before, name, table)?,
            }
        }
        drop(state);
        self.shown()
    }
}

impl Chosen {
    fn runs(&self, choice: &Choice) -> bool {
        Main::accepting(&self.layout.front(), choice.product.name()).is_some()
    }

    fn choose_builtin(&self, state: &mut State, before: Option<Choice>) -> Result<(), Problem> {
        self.switch(before.as_ref(), None)?;
        *state = State { addresses: std::mem::take(&mut state.addresses), ..State::default() };
        Ok(())
    }

    fn choose_product(
        &self,
        state: &mut State,
        before: Option<Choice>,
        name: &str,
        table: &RouteTable,
    ) -> Result<(), Problem> {
        let product = product(name).ok_or_else(|| unknown(name))?;
        expect_new_enough(product)?;
        self.refuse_introducers(product.name())?;
        let choice = Choice { product };
        let plan = Plan::of(table, product.abilities(), product.name())?;
        let mut place = choice.place(&self.layout)?;
        self.hand(&plan, &mut place)?;
        if let Some(folder) = files::prepare(&choice, &self.layout, &product.render(&plan, &place))? {
            files::activate(&choice, &self.layout, &folder)?;
            files::sweep(&choice, &self.layout);
        }
        self.switch(before.as_ref(), Some(&choice))?;
        state.services = table.services.iter().map(|s| (s.name.clone(), s.clone())).collect();
        state.addresses.extend(table.services.iter().flat_map(upstreams));
        *self.passed_on() = plan.passed_on;
        (state.is_away, state.is_renewed) = (false, false);
        state.reloaded = Some(Instant::now());
        Ok(())
    }

    /// Connections that begin with a header of the PROXY protocol are read by the built-in proxy alone.
    fn refuse_introducers(&self, name: &str) -> Result<(), Problem> {
        let wanted = std::fs::read_to_string(self.layout.run_of("proxy").join("wanted")).unwrap_or_default();
        if !wanted.lines().any(|word| word.starts_with("--proxy-protocol-from")) {
            return Ok(());
        }
        let title = format!("{name} cannot serve here: the server was started with --proxy-protocol-from");
        Err(Problem::new(Kind::Conflict, "proxy.cannot", title)
            .hint("only the built-in proxy reads the PROXY protocol"))
    }

    /// Writes the choice and has the role be it; as it was when that fails.
    fn switch(&self, before: Option<&Choice>, after: Option<&Choice>) -> Result<(), Problem> {
        let write = |choice| Choice::write(&self.layout, choice).map_err(|error| files::disk(&error));
        write(after)?;
        (self.take_over)().inspect_err(|_| {
            if let Err(problem) = write(before) {
                tracing::error!(%problem, "the choice of a proxy is not as it was");
            }
        })
    }
}

fn unknown(name: &str) -> Problem {
    let names: Vec<_> = products().iter().map(|product| product.name()).collect();
    Problem::new(Kind::User, "proxy.unknown", format!("there is no proxy {name:?}"))
        .hint(format!("choose one of: {BUILT_IN}, {}", names.join(", ")))
}
