// SPDX-License-Identifier: Apache-2.0
//! Backups: how one goes, and what it holds.

use super::style::{Style, Tone, clean};
use super::table::Table;
use super::time::clock;
use hop3_core::backup::{BackupDetail, BackupNews};
use jiff::tz::TimeZone;

/// The lines for one piece of news; empty when there is nothing to show.
pub(crate) fn backup_news(news: &BackupNews, style: Style) -> String {
    match news {
        BackupNews::Said { text } => {
            let begin = if style.live { "\r\x1b[K" } else { "" };
            format!("{begin}{}\n", style.paint(Tone::Faint, &clean(text)))
        }
        BackupNews::Progress { done_bytes, total_bytes } if style.live && *total_bytes > 0 => {
            let tenths = (done_bytes * 20 / total_bytes).min(20) as usize;
            let bar = format!("{}{}", "█".repeat(tenths), "░".repeat(20 - tenths));
            let percent = (done_bytes * 100 / total_bytes).min(100);
            format!("\r\x1b[K{bar} {percent:>3} %  {} of {}", size(*done_bytes), size(*total_bytes))
        }
        BackupNews::Done { .. } if style.live => "\r\x1b[K".to_owned(),
        _ => String::new(),
    }
}

pub(crate) fn backup_detail(detail: &BackupDetail, style: Style, zone: &TimeZone) -> String {
    let info = &detail.backup;
    let mut table = Table::headless();
    table.row(["backup".to_owned(), info.id.to_string()]);
    table.row(["of".to_owned(), info.of().to_string()]);
    table.row(["target".to_owned(), info.target.clone()]);
    table.row(["made".to_owned(), format!("{} by hop3 {}", clock(info.made_ms, zone), detail.hop3)]);
    table.row(["holds".to_owned(), format!("{} files, {}", info.files, size(info.bytes))]);
    table.row(["proven".to_owned(), info.proven_ms.map_or_else(|| "never".to_owned(), |ms| clock(ms, zone))]);
    let mut text = table.render(style);
    let mut apps = Table::new(["APP", "RELEASE", "PARTS", "DOMAINS"]);
    for app in &detail.apps {
        let release = app.release.clone().unwrap_or_else(|| "-".to_owned());
        apps.row([app.name.to_string(), release, app.parts.join(" "), app.domains.join(" ")]);
    }
    if !apps.is_empty() {
        text += "\n";
        text += &apps.render(style);
    }
    if !detail.addons.is_empty() {
        text.push('\n');
    }
    for addon in &detail.addons {
        let holds = addon.holds.clone().unwrap_or_else(|| size(addon.bytes));
        text += &format!("{}: {holds}\n", addon.name);
    }
    for path in &detail.unread {
        text += &format!("not read: {}\n", clean(path));
    }
    text
}

/// `12 B`, `3.4 kB`, `1.2 GB`
pub(crate) fn size(bytes: u64) -> String {
    let units = ["kB", "MB", "GB", "TB", "PB"];
    if bytes < 1000 {
        return format!("{bytes} B");
    }
    let mut value = bytes as f64 / 1000.0;
    let mut unit = 0;
    while value >= 999.95 && unit + 1 < units.len() {
        value /= 1000.0;
        unit += 1;
    }
    format!("{value:.1} {}", units[unit])
}
