// SPDX-License-Identifier: Apache-2.0
//! Addons and their kinds.

use super::style::Style;
use super::table::Table;
use super::time::clock;
use hop3_core::addon::KindFacts;
use hop3_core::api::{AddonApp, AddonInfo, AddonSummary};
use jiff::tz::TimeZone;

pub(crate) fn kind_table(kinds: &[KindFacts], style: Style) -> String {
    let mut table = Table::new(["KIND", "PRODUCT", "VERSIONS", "SERVER", "OPTIONS"]);
    for kind in kinds {
        let versions = match kind.versions.is_empty() {
            true => format!("none: {}", kind.install),
            false => kind.versions.join(", "),
        };
        let server = match (kind.capabilities.serves, kind.capabilities.shares) {
            (false, _) => "-",
            (true, true) => "shared",
            (true, false) => "its own",
        };
        let options: Vec<&str> = kind.options.keys().map(String::as_str).collect();
        table.row([
            kind.kind.to_string(),
            kind.title.clone(),
            versions,
            server.to_owned(),
            or_dash(options.join(", ")),
        ]);
    }
    table.render(style)
}

pub(crate) fn addon_table(addons: &[AddonSummary], zone: &TimeZone, style: Style) -> String {
    let mut table = Table::new(["ADDON", "KIND", "VERSION", "APPS", "STATE", "CREATED"]);
    for addon in addons {
        table.row([
            addon.name.to_string(),
            addon.kind.to_string(),
            or_dash(addon.version.clone()),
            or_dash(apps(&addon.apps)),
            state(addon, zone),
            clock(addon.created_ms, zone),
        ]);
    }
    table.render(style)
}

pub(crate) fn addon_info(info: &AddonInfo, zone: &TimeZone, style: Style) -> String {
    let mut table = Table::headless();
    let mut line = |key: &str, value: String| table.row([key.to_owned(), value]);
    let addon = &info.addon;
    line("addon", addon.name.to_string());
    line("kind", format!("{} {}", addon.kind, addon.version));
    line("state", if info.status.is_up { "up".to_owned() } else { "down".to_owned() });
    if let Some(trouble) = &info.status.trouble {
        line("trouble", trouble.clone());
    }
    if let Some(version) = &info.status.version {
        line("version", version.clone());
    }
    if let Some(size) = info.status.size_bytes {
        line("size", format!("{:.1} MiB", size as f64 / f64::from(1 << 20)));
    }
    if let Some(connections) = info.status.connections {
        line("connections", connections.to_string());
    }
    if let Some(pool) = &info.status.pool {
        let carries = format!("{} clients share {} connections", pool.clients, pool.connections);
        let waiting = if pool.waiting > 0 { format!(", {} wait", pool.waiting) } else { String::new() };
        line("pooler", format!("127.0.0.1:{}, {carries}{waiting}", pool.port));
    }
    if info.port != 0 {
        let shared = if info.shared { ", shared" } else { "" };
        line("server", format!("{} on 127.0.0.1:{}{shared}", info.server, info.port));
    }
    if let Some(port) = info.exposed {
        line("exposed", format!("port {port}"));
    }
    line("apps", or_dash(apps(&addon.apps)));
    for (option, value) in &info.options {
        line(option, value.clone());
    }
    let variables: Vec<&str> = info.variables.iter().map(|key| key.as_str()).collect();
    line("variables", or_dash(variables.join(" ")));
    line("protected", if addon.protected { "yes" } else { "no" }.to_owned());
    line("created", clock(addon.created_ms, zone));
    table.render(style)
}

fn state(addon: &AddonSummary, zone: &TimeZone) -> String {
    match (addon.gone_ms, addon.protected) {
        (Some(gone), _) => format!("destroyed, gone {}", clock(gone, zone)),
        (None, true) => "protected".to_owned(),
        (None, false) => "-".to_owned(),
    }
}

fn apps(apps: &[AddonApp]) -> String {
    let names: Vec<&str> = apps.iter().map(|app| app.app.as_str()).collect();
    names.join(", ")
}

fn or_dash(text: String) -> String {
    if text.is_empty() { "-".to_owned() } else { text }
}
