// SPDX-License-Identifier: Apache-2.0
//! The only file that names concrete drivers.

use crate::command::Arguments;
use crate::role::upgrade;
use clap::CommandFactory;
use hop3_core::Problem;
use hop3_core::driver::Registry;
use hop3_core::layout::Layout;
use hop3_core::plan::BuildPlan;
use hop3_core::source::SourceTree;
use hop3_drivers::{addons, backups, builders, plugin, proxies, runtimes, toolchains};
use std::path::Path;
use std::sync::Arc;

/// The drivers of an installation.
pub(crate) fn registry(layout: &Layout) -> Registry {
    let supervisor = hop3_supervisor::Client::new(layout.supervisor_socket());
    let runner = Arc::new(supervisor.clone());
    // Not `vars()`: it would panic on a variable that is not UTF-8.
    let environment = std::env::vars_os()
        .filter_map(|(key, value)| Some((key.into_string().ok()?, value.into_string().ok()?)))
        .collect();
    let builtin = Arc::new(proxies::Builtin::new(layout));
    let place = layout.clone();
    let take_over = Box::new(move || upgrade::proxy(&place).map(drop));
    let proxy = proxies::Chosen::start(builtin.clone(), layout, take_over);
    let daemons = Arc::new(runtimes::Kept::new(supervisor.clone()));
    let host = Arc::new(addons::Host::new(layout, runner.clone(), daemons.clone()));
    let plugins = Arc::new(plugin::Host::new(supervisor.clone(), layout, host.clone()));
    let (planners, more) = (plugins.clone(), plugins.clone());
    Registry {
        plan: Arc::new(move |tree, settings| planners.plan(tree, settings)),
        runner: runner.clone(),
        runtime: Arc::new(runtimes::Native::new(supervisor)),
        proxy: proxy.clone(),
        proxy_choice: proxy,
        certificates: builtin.clone(),
        authorities: builtin,
        addons: Arc::new(move || [addons::addons(&host), more.addons()].concat()),
        daemons,
        toolchains: Arc::new(toolchains::Installed::new(layout, &environment, runner.clone())),
        backups: Arc::new(backups::Restic::new(layout, runner)),
        plugins,
    }
}

/// What only the whole program knows and the client needs.
pub(crate) fn program() -> hop3_cli::Program {
    hop3_cli::Program {
        plan,
        checks: hop3_server::local_checks,
        rebuild: crate::role::rebuild::run,
        command: Arguments::command,
    }
}

/// `hop3 build plan`: without a server.
fn plan(directory: &Path) -> Result<BuildPlan, Problem> {
    let tree = SourceTree::open(directory)?;
    let settings = hop3_core::config::load(&tree)?;
    builders::plan(&builders::builders(), &tree, &settings)
}

/// `hop3 mail`: what a mail addon runs.
pub(crate) fn mail() -> std::process::ExitCode {
    addons::mail_main()
}

/// `hop3 front`: becomes the proxy that is chosen.
pub(crate) fn become_front(layout: &Layout) -> String {
    proxies::become_front(layout)
}

/// A program accepts connections in the proxy's place, whether or not the role lives.
pub(crate) fn front_accepts(layout: &Layout) -> bool {
    proxies::front_accepts(layout)
}

/// Refuses the PROXY protocol where another program accepts the connections.
pub(crate) fn refuse_introducers(layout: &Layout) -> Result<(), Problem> {
    proxies::refuse_introducers(layout)
}

/// Ends what a proxy role has left to accept connections in its place.
pub(crate) fn end_fronts(layout: &Layout) {
    proxies::end_fronts(layout);
}

/// Who accepts connections in the proxy's place, by the operator's choice.
pub(crate) fn front(layout: &Layout, takes_over: bool) -> anyhow::Result<Option<Arc<dyn hop3_proxy::Front>>> {
    if !takes_over {
        proxies::end_leftovers(layout);
    }
    let keeper = proxies::Keeper::of_choice(layout, crate::role::program()?);
    Ok(keeper.map(|keeper| Arc::new(keeper) as Arc<dyn hop3_proxy::Front>))
}
