// SPDX-License-Identifier: Apache-2.0
//! What the proxy has served: the figures of each route, also as Prometheus reads them.

use crate::reconcile;
use crate::server::Server;
use hop3_core::api::ProxyReport;
use hop3_core::driver::ProxyChosen;
use hop3_core::observe::RouteFigures;
use hop3_core::problem::Problem;
use std::fmt::Write;

/// Upper bounds of the exported histogram, in microseconds: every other doubling.
const BOUNDS_US: [u64; 10] =
    [256, 1 << 10, 1 << 12, 1 << 14, 1 << 16, 1 << 18, 1 << 20, 1 << 22, 1 << 24, 1 << 26];

pub(crate) fn report(server: &Server) -> Result<ProxyReport, Problem> {
    let proxy = &server.drivers.proxy;
    let status = proxy.status()?;
    Ok(ProxyReport {
        chosen: server.drivers.proxy_choice.shown()?,
        services: status.services,
        requests: status.requests,
        in_flight: status.in_flight,
        unhealthy: status.unhealthy,
        routes: proxy.figures()?,
    })
}

/// Has another program accept the connections.
pub(crate) fn choose(server: &Server, name: &str) -> Result<ProxyChosen, Problem> {
    // No route changes between the look at the table and its effect.
    let _alone = server.routing();
    let table = reconcile::whole_table(server)?;
    server.drivers.proxy_choice.choose(name, &table)
}

/// The text format of Prometheus.
pub(crate) fn metrics(server: &Server) -> Result<String, Problem> {
    let report = report(server)?;
    let mut text = String::new();
    let lines = [
        ("hop3_services", "gauge", "Owners of hosts in the route table.", report.services),
        ("hop3_upstreams_unhealthy", "gauge", "Upstreams left out now.", report.unhealthy.len() as u64),
    ];
    for (name, kind, help, value) in lines {
        head(&mut text, name, kind, help);
        line(&mut text, name, "", value);
    }
    counters(&mut text, &report.routes);
    durations(&mut text, &report.routes);
    Ok(text)
}

fn head(text: &mut String, name: &str, kind: &str, help: &str) {
    // Writing to a string cannot fail.
    let _ = write!(text, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
}

fn line(text: &mut String, name: &str, labels: &str, value: impl std::fmt::Display) {
    let _ = match labels {
        "" => writeln!(text, "{name} {value}"),
        _ => writeln!(text, "{name}{{{labels}}} {value}"),
    };
}

fn labels(route: &RouteFigures) -> String {
    let escape = |value: &str| value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    format!("service=\"{}\",route=\"{}\"", escape(&route.service), escape(&route.prefix))
}

fn counters(text: &mut String, routes: &[RouteFigures]) {
    head(text, "hop3_requests_total", "counter", "Ended requests by class of status.");
    for route in routes {
        for (class, count) in route.statuses.iter().enumerate().filter(|(_, count)| **count > 0) {
            let class = if class == 0 { "none".to_owned() } else { format!("{class}xx") };
            line(text, "hop3_requests_total", &format!("{},status=\"{class}\"", labels(route)), *count);
        }
    }
    type Value = fn(&RouteFigures) -> u64;
    let rows: [(&str, &str, &str, Value); 3] = [
        ("hop3_requests_in_flight", "gauge", "Requests under way.", |route| route.in_flight),
        ("hop3_received_bytes_total", "counter", "Bytes of requests.", |route| route.bytes_in),
        ("hop3_sent_bytes_total", "counter", "Bytes of responses.", |route| route.bytes_out),
    ];
    for (name, kind, help, value) in rows {
        head(text, name, kind, help);
        routes.iter().for_each(|route| line(text, name, &labels(route), value(route)));
    }
}

fn durations(text: &mut String, routes: &[RouteFigures]) {
    const NAME: &str = "hop3_request_duration_seconds";
    head(text, NAME, "histogram", "From the head of a request to the last byte of its response.");
    for route in routes {
        let labels = labels(route);
        let bucket = format!("{NAME}_bucket");
        for bound in BOUNDS_US {
            let label = format!("{labels},le=\"{}\"", bound as f64 / 1e6);
            line(text, &bucket, &label, route.below(bound));
        }
        let count = route.below(u64::MAX);
        line(text, &bucket, &format!("{labels},le=\"+Inf\""), count);
        line(text, &format!("{NAME}_sum"), &labels, route.total_us as f64 / 1e6);
        line(text, &format!("{NAME}_count"), &labels, count);
    }
}
