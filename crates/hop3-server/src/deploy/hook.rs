// SPDX-License-Identifier: Apache-2.0
//! Hooks: plugins that are asked before and after a step. Before it they may refuse; a plugin that gives no answer is
//! told of and passed over, unless it said that nothing goes on without it.

use super::context::Context;
use crate::server::internal;
use crate::store::Plugin;
use hop3_core::event::DeployStep;
use hop3_core::plugin::{HookAnswer, HookCall, Refusal, When};
use hop3_core::problem::{Kind, Problem};

/// Lines of one answer that are told.
const NOTES: usize = 50;

pub(super) fn before(cx: &Context<'_>, step: DeployStep) -> Result<(), Problem> {
    for (plugin, is_required) in plugins(cx, When::Before, step) {
        let name = plugin.name();
        match ask(cx, &plugin, When::Before, step) {
            Ok(HookAnswer { refusal: Some(refusal), .. }) => refused(cx, &plugin, step, refusal)?,
            Ok(_) => {}
            Err(problem) if is_required && can_stop(step) => return Err(problem),
            Err(problem) => cx.warn(&format!("{}; the deployment goes on without \"{name}\"", problem.title)),
        }
    }
    Ok(())
}

/// Nothing that a plugin says afterwards undoes the step.
pub(super) fn after(cx: &Context<'_>, step: DeployStep) {
    for (plugin, _) in plugins(cx, When::After, step) {
        if let Err(problem) = ask(cx, &plugin, When::After, step) {
            cx.warn(&problem.title);
        }
    }
}

/// After Switch nothing fails a deployment.
fn can_stop(step: DeployStep) -> bool {
    step != DeployStep::Retire
}

fn refused(cx: &Context<'_>, plugin: &Plugin, step: DeployStep, refusal: Refusal) -> Result<(), Problem> {
    let title = format!("the plugin \"{}\" refuses: {}", plugin.name(), refusal.title);
    let problem =
        Problem::new(Kind::Denied, "plugin.refused", title).detail(refusal.detail).hint(refusal.hint);
    if can_stop(step) {
        return Err(problem);
    }
    cx.warn(&problem.title);
    Ok(())
}

/// Those that have a hook there, and whether it is required.
fn plugins(cx: &Context<'_>, when: When, step: DeployStep) -> Vec<(Plugin, bool)> {
    let all = cx.server.store.plugins().unwrap_or_else(|error| {
        tracing::error!(error = format!("{error:#}"), "plugins cannot be read");
        Vec::new()
    });
    let at = |plugin: Plugin| {
        let hook = plugin.info.introduction.permissions.hook(when, step)?.required;
        plugin.info.enabled.then_some((plugin, hook))
    };
    all.into_iter().filter_map(at).collect()
}

fn ask(cx: &Context<'_>, plugin: &Plugin, when: When, step: DeployStep) -> Result<HookAnswer, Problem> {
    let config = match plugin.info.introduction.permissions.config {
        true => cx.server.store.config(&cx.app).map_err(internal)?,
        false => Default::default(),
    };
    cx.hide(config.values());
    let call = HookCall {
        when,
        step,
        app: cx.app.name.to_string(),
        url: cx.server.site.app_url(&cx.app.name),
        deployment: cx.deployment.map(|deployment| deployment.0),
        config: config.into_iter().map(|(key, value)| (key.to_string(), value)).collect(),
    };
    let answer = cx.server.drivers.plugins.hook(plugin.name(), &call)?;
    for note in answer.notes.iter().take(NOTES).flat_map(|note| note.lines().next()) {
        cx.say(&format!("{}: {note}", plugin.name()));
    }
    Ok(answer)
}
