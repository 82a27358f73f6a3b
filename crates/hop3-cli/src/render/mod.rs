// SPDX-License-Identifier: Apache-2.0
//! How answers look: data in, text out. Everything reads well without colour.
//!
//! Text that came from outside passes `clean` before it reaches a terminal.

mod addon;
mod app;
mod backup;
mod event;
mod log;
mod plan;
mod proxy;
mod size;
mod storage;
mod style;
mod table;
mod time;

pub(crate) use addon::{addon_info, addon_table, kind_table};
pub(crate) use app::{app_info, app_table, instance_table, scale, server_info};
pub(crate) use backup::{backup_detail, backup_news, size};
pub use event::render_event;
pub(crate) use log::log_line;
pub(crate) use plan::plan;
pub(crate) use proxy::{proxy_chosen, proxy_report};
pub(crate) use storage::{snapshot_table, volume_table};
pub use style::Style;
pub(crate) use style::{Tone, clean, clean_lines};
pub(crate) use table::Table;
pub(crate) use time::clock;

#[cfg(test)]
mod tests;
