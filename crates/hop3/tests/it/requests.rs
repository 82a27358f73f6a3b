// SPDX-License-Identifier: Apache-2.0
//! What is told of requests: an app's lines of the access log, the proxy's report, the figures for Prometheus.

use crate::harness::{Hop, until};
use crate::probe;
use std::io::{BufRead, BufReader};
use std::process::Stdio;

#[test]
fn requests_are_noted_and_counted() {
    let hop = Hop::start();
    probe::push(&hop, "site");
    for path in ["/one", "/two?x=1"] {
        assert!(hop.get("site", path).status < 500);
    }
    hop.get_host("nobody.localhost", "/three");
    let shown = || hop.hop3(["logs", "--requests", "-a", "site", "-n", "2"]).expect_ok().stdout;
    // Each thread of the proxy hands its lines over when it likes.
    until("the log has both lines", || shown().contains("/one") && shown().contains("/two"));
    let text = shown();
    let lines: Vec<_> = text.lines().collect();
    assert!(lines[0].contains(" GET /one ") && lines[1].contains(" GET /two?x=1 "), "{lines:?}");
    assert!(lines[1].contains("127.0.0.1") && lines[1].contains("site/"), "{lines:?}");
    assert!(!text.contains("/three"), "{text}");
    followed(&hop);

    let report = hop.json(["proxy", "status", "--json"]);
    let routes = report["routes"].as_array().unwrap();
    let route = routes.iter().find(|route| route["service"] == "site").unwrap();
    assert!(route["requests"].as_u64() >= Some(2), "{route}");
    assert!(hop.hop3(["proxy", "status"]).expect_ok().stdout.contains("site "));

    let metrics = hop.api("GET", "/api/metrics", "");
    assert_eq!(metrics.status, 200);
    let text = metrics.text();
    assert!(text.contains("# TYPE hop3_request_duration_seconds histogram\n"), "{text}");
    assert!(text.contains("hop3_request_duration_seconds_bucket{service=\"site\",route=\"/\",le=\"+Inf\"} "));
    assert!(text.contains("hop3_requests_total{service=\"site\",route=\"/\",status="), "{text}");
}

/// The last ones, then each that comes, once.
fn followed(hop: &Hop) {
    let mut follower = hop.command(["logs", "--requests", "-f", "-a", "site", "-n", "1"]);
    let mut follower = follower.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(follower.stdout.take().unwrap()).lines().map(Result::unwrap);
    assert!(lines.next().unwrap().contains(" GET /two?x=1 "));
    for path in ["/three", "/four"] {
        hop.get("site", path);
        assert!(lines.next().unwrap().contains(&format!(" GET {path} ")));
    }
    follower.kill().unwrap();
    follower.wait().unwrap();
}
