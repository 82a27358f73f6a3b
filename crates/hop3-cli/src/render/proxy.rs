// SPDX-License-Identifier: Apache-2.0
//! What the proxy has served, a row for each route.

use super::style::Style;
use super::table::Table;
use hop3_core::api::ProxyReport;
use hop3_core::observe::RouteFigures;

pub(crate) fn proxy_report(report: &ProxyReport, style: Style) -> String {
    let ProxyReport { driver, services, requests, in_flight, unhealthy, routes } = report;
    let mut out = format!("{driver}: {services} services, {requests} requests, {in_flight} under way\n");
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
