// SPDX-License-Identifier: Apache-2.0
//! What the proxy has served, a row for each route.

use super::clean;
use super::style::Style;
use super::table::Table;
use hop3_core::api::ProxyReport;
use hop3_core::driver::{PassedOn, ProxyChosen};
use hop3_core::observe::RouteFigures;

/// Who accepts connections, and what it leaves to the proxy behind it.
pub(crate) fn proxy_chosen(chosen: &ProxyChosen) -> String {
    let ProxyChosen { driver, version, runs, passed_on } = chosen;
    let verb = if *runs { "accepts connections" } else { "does not run" };
    let mut out = format!("{} {} {verb}\n", clean(driver), clean(version));
    for PassedOn { service, why } in passed_on {
        out += &format!("passed on to the built-in proxy: {} ({})\n", clean(service), clean(&why.join(", ")));
    }
    out
}

pub(crate) fn proxy_report(report: &ProxyReport, style: Style) -> String {
    let ProxyReport { chosen, services, requests, in_flight, unhealthy, routes } = report;
    let mut out = proxy_chosen(chosen);
    out += &format!("{services} services, {requests} requests, {in_flight} under way\n");
    for upstream in unhealthy {
        out += &format!("left out: {upstream}\n");
    }
    if routes.is_empty() {
        return out;
    }
    let mut table = Table::new([
        "SERVICE", "ROUTE", "REQUESTS", "NOW", "2XX", "3XX", "4XX", "5XX", "P50", "P99", "IN", "OUT",
    ]);
    for route in routes {
        let class = |class: usize| route.statuses[class].to_string();
        let prefix = if route.prefix.is_empty() { "(none)" } else { &route.prefix };
        table.row([
            route.service.clone(),
            prefix.to_owned(),
            route.requests.to_string(),
            route.in_flight.to_string(),
            class(2),
            class(3),
            class(4),
            class(5),
            quantile(route, 0.5),
            quantile(route, 0.99),
            bytes(route.bytes_in),
            bytes(route.bytes_out),
        ]);
    }
    out += "\n";
    out += &table.render(style);
    out
}

fn quantile(route: &RouteFigures, part: f64) -> String {
    match route.quantile(part) {
        None => "-".to_owned(),
        Some(time) if time.as_millis() < 10 => format!("{:.1} ms", time.as_secs_f64() * 1e3),
        Some(time) if time.as_secs() < 10 => format!("{} ms", time.as_millis()),
        Some(time) => format!("{} s", time.as_secs()),
    }
}

fn bytes(count: u64) -> String {
    const UNITS: [&str; 5] = ["B", "kB", "MB", "GB", "TB"];
    let (mut value, mut unit) = (count as f64, 0);
    while value >= 1000.0 && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    if unit == 0 { format!("{count} B") } else { format!("{value:.1} {}", UNITS[unit]) }
}
