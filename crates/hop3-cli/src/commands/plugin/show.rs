// SPDX-License-Identifier: Apache-2.0
//! What people read about plugins.

use crate::context::Context;
use crate::render::{Table, clean, clean_lines, clock};
use hop3_core::driver::LogLine;
use hop3_core::plugin::{Panel, PluginInfo, PluginReport};

pub(super) fn table(plugins: &[PluginInfo], cx: &Context) -> String {
    if plugins.is_empty() {
        return "there are no plugins; write one with: hop3 plugin new NAME --lang python\n".to_owned();
    }
    let mut table = Table::new(["PLUGIN", "VERSION", "STATE", "SIGNED BY", "PROVIDES"]);
    for plugin in plugins {
        let signed = plugin.signed_by.clone().unwrap_or_else(|| "nobody".to_owned());
        let version = plugin.introduction.version.clone();
        table.row([plugin.name().to_string(), version, state(plugin), signed, provided(plugin).join(", ")]);
    }
    table.render(cx.style())
}

fn state(plugin: &PluginInfo) -> String {
    if plugin.enabled { "enabled" } else { "disabled" }.to_owned()
}

fn provided(plugin: &PluginInfo) -> Vec<String> {
    let provides = &plugin.introduction.provides;
    let builders = provides.builders.iter().map(|offer| format!("builder {}", offer.name));
    let addons = provides.addons.iter().map(|facts| format!("addon {}", facts.kind));
    let commands = provides.commands.iter().map(|offer| format!("command {}", offer.name));
    let panels = provides.panels.iter().map(|offer| format!("panel {}", offer.name));
    let apps = provides.catalog.iter().map(|entry| format!("app {}", entry.name));
    builders.chain(addons).chain(commands).chain(panels).chain(apps).collect()
}

pub(super) fn info(plugin: &PluginInfo, cx: &Context) -> String {
    let mut table = Table::headless();
    table.row(["plugin".into(), plugin.name().to_string()]);
    table.row(["version".into(), plugin.introduction.version.clone()]);
    if !plugin.introduction.description.is_empty() {
        table.row(["about".into(), plugin.introduction.description.clone()]);
    }
    table.row(["state".into(), state(plugin)]);
    table.row(["signed by".into(), plugin.signed_by.clone().unwrap_or_else(|| "nobody".into())]);
    table.row(["installed".into(), clock(plugin.installed_ms, &cx.zone())]);
    table.row(["provides".into(), provided(plugin).join(", ")]);
    let mut text = table.render(cx.style());
    text += &permissions(plugin);
    text
}

/// A row that is longer or shorter than the head is made as long.
pub(super) fn panel(panel: &Panel, cx: &Context) -> String {
    let mut table = Table::of(panel.columns.iter().map(|column| column.to_uppercase()).collect());
    for row in &panel.rows {
        let mut row = row.clone();
        row.resize(panel.columns.len(), String::new());
        table.row_of(row);
    }
    table.render(cx.style())
}

/// What it wants to be allowed, a line for each.
pub(super) fn permissions(plugin: &PluginInfo) -> String {
    let told = plugin.introduction.permissions.told();
    if told.is_empty() {
        return "it asks for no permission\n".to_owned();
    }
    let lines: String = told.iter().map(|line| format!("  - {line}\n")).collect();
    clean_lines(&format!("it asks to:\n{lines}"))
}

pub(super) fn report(report: &PluginReport, _cx: &Context) -> String {
    let checked = report.checked.iter().map(|what| format!("checked {}\n", clean(what)));
    let broken = report.broken.iter().map(|rule| format!("broken: {}\n", clean(rule)));
    let end = if report.broken.is_empty() { "every rule is kept\n" } else { "" };
    checked.chain(broken).collect::<String>() + end
}

pub(super) fn log(lines: &[LogLine], cx: &Context) -> String {
    lines.iter().map(|line| format!("{} {}\n", clock(line.time_ms, &cx.zone()), clean(&line.text))).collect()
}
