// SPDX-License-Identifier: Apache-2.0
//! Text as people read it, with and without colour.

use super::{Style, clean, clean_lines, plan, proxy_report, render_event, time};
use expect_test::{Expect, expect};
use hop3_core::api::ProxyReport;
use hop3_core::driver::ProxyChosen;
use hop3_core::event::{DeployStep, Event, EventRow};
use hop3_core::observe::RouteFigures;
use hop3_core::plan::{BuildPlan, Layer, StaticSite, Step, Toolchain};
use hop3_core::release::ReleaseNumber;
use hop3_core::sandbox::Command;

fn row(event: Event) -> EventRow {
    EventRow { id: 1, time_ms: 0, app: Some("shop".into()), deployment: Some(1), event }
}

fn check(style: Style, list: Vec<Event>, expected: Expect) {
    let text: String = list.into_iter().map(|event| render_event(&row(event), style)).collect();
    expected.assert_eq(&text.replace('\x1b', "␛").replace('\r', "␍"));
}

#[test]
fn a_live_terminal_sees_the_running_step() {
    let live = Style { colour: true, live: true };
    check(
        live,
        vec![
            Event::StepStarted { step: DeployStep::Healthy },
            Event::StepFinished { step: DeployStep::Healthy, millis: 210 },
            Event::StepStarted { step: DeployStep::Build },
            Event::StepOutput { step: DeployStep::Build, text: "two\nlines".into() },
        ],
        expect![[r#"
            ␍␛[K␛[2m· healthy …␛[0m␍␛[K␛[32m✓␛[0m healthy    ␛[2m210 ms␛[0m
            ␍␛[K␛[2m· build␛[0m
            ␍␛[K    ␛[2mtwo␛[0m
                ␛[2mlines␛[0m
        "#]],
    );
}

#[test]
fn events_outside_a_deployment_are_sentences() {
    check(
        Style::PLAIN,
        vec![
            Event::AppCreated,
            Event::StepUndone { text: "removed the artifact".into() },
            Event::RolledBack { to: ReleaseNumber(2), release: ReleaseNumber(5) },
            Event::Scaled { process: "web".into(), from: 1, to: 3 },
            Event::InstanceCrashed { instance: "web.v3.1".into(), how: "exit status 1".into() },
            Event::ConfigChanged { keys: vec!["A".into(), "B".into()] },
        ],
        expect![[r#"
            Created app shop
              undone: removed the artifact
            rolled back to v2 as v5
            scaled web from 1 to 3
            web.v3.1 crashes again and again: exit status 1
            config changed: A, B
        "#]],
    );
}

#[test]
fn terminals_are_protected() {
    let attacks = [
        "\x1b[2Jcleared",
        "\x1b]0;title\x07text",
        "\x1b]52;c;cGF5bG9hZA==\x1b\\text",
        "\x1b]8;;http://x\x1b\\link",
        "over\rwritten",
        "back\x08space",
        "bidi\u{202e}evil",
        "c1\u{9b}2J",
        "zero\u{200b}width",
        "tab\tkept",
        "\x1b",
        "\x1b[",
        "\x1b]never ends",
        "\x1bPdcs\x1b\\x",
        "line\nfeed",
        "nul\0",
    ];
    let shown: String = attacks.iter().map(|text| format!("{:?}\n", clean(text))).collect();
    expect![[r#"
        "cleared"
        "text"
        "text"
        "link"
        "overwritten"
        "backspace"
        "bidievil"
        "c12J"
        "zerowidth"
        "tab\tkept"
        ""
        ""
        ""
        "x"
        "linefeed"
        "nul"
    "#]]
    .assert_eq(&shown);
    assert_eq!(clean_lines("a\x1b[1m\nb\n"), "a\nb\n");
}

#[test]
fn durations_fit_their_size() {
    let millis = [0, 999, 1_000, 1_940, 59_949, 59_950, 60_000, 123_000, 3_900_000, 90_000_000];
    let shown: Vec<String> = millis.iter().map(|m| time::duration(*m)).collect();
    expect![["0 ms, 999 ms, 1.0 s, 1.9 s, 59.9 s, 60.0 s, 1 min 00 s, 2 min 03 s, 1 h 05 min, 25 h 00 min"]]
        .assert_eq(&shown.join(", "));
}

#[test]
fn a_plan_reads_from_top_to_bottom() {
    let install = Step::new("Installing dependencies with uv", Command::exec(["uv", "sync", "--locked"]));
    let mut build = Step::new("Building the front end", Command::shell("npm run build"));
    build.cwd = "web".into();
    let shown = plan(
        &BuildPlan {
            builder: "python".into(),
            reason: "pyproject.toml is there".into(),
            toolchains: vec![
                Toolchain { name: "python".into(), version: "3.12".into(), source: ".python-version".into() },
                Toolchain { name: "node".into(), version: String::new(), source: String::new() },
            ],
            layers: vec![Layer {
                name: "venv".into(),
                inputs: vec!["uv.lock".into(), "pyproject.toml".into()],
                steps: vec![install],
                links: [(".venv".to_owned(), "venv".to_owned())].into(),
            }],
            steps: vec![build],
            env: [("PATH".to_owned(), "{layer:venv}/bin".to_owned())].into(),
            processes: [("web".parse().unwrap(), Command::exec(["gunicorn", "app:app"]))].into(),
            statics: vec![StaticSite { prefix: "/".into(), directory: "web/dist".into(), spa: true }],
            warnings: vec!["there is no lock file".into()],
            ..Default::default()
        },
        Style::PLAIN,
    );
    expect![[r#"
        builder: python (pyproject.toml is there)
        toolchains:
          python 3.12 (from .python-version)
          node any version
        layer venv (made again when one of these changes: uv.lock, pyproject.toml):
          Installing dependencies with uv
            $ uv sync --locked
        steps:
          Building the front end
            $ npm run build  (in web)
        environment:
          PATH={layer:venv}/bin
        processes:
          web: gunicorn app:app
        static files:
          / from web/dist (unknown paths answer index.html)
        warning: there is no lock file
    "#]]
    .assert_eq(&shown);
}

#[test]
fn a_report_of_the_proxy_has_a_row_for_each_route() {
    let route = RouteFigures {
        service: "shop".into(),
        prefix: "/".into(),
        requests: 101,
        in_flight: 1,
        statuses: [0, 0, 98, 0, 1, 1],
        bytes_in: 40_400,
        bytes_out: 12_345_678,
        total_us: 150_000,
        latency: vec![(1_280, 90), (10_240, 9), (1_048_576, 1)],
    };
    let quiet = RouteFigures { service: "blog".into(), prefix: "/static".into(), ..RouteFigures::default() };
    let report = ProxyReport {
        chosen: ProxyChosen {
            driver: "built-in".into(),
            version: "1.2.3".into(),
            runs: true,
            passed_on: Vec::new(),
        },
        services: 2,
        requests: 101,
        in_flight: 1,
        unhealthy: vec!["shop/web.v3.1".into()],
        routes: vec![quiet, route],
    };
    expect![[r#"
        built-in 1.2.3 accepts connections
        2 services, 101 requests, 1 under way
        left out: shop/web.v3.1

        SERVICE  ROUTE    REQUESTS  NOW  2XX  3XX  4XX  5XX  P50     P99    IN       OUT
        blog     /static  0         0    0    0    0    0    -       -      0 B      0 B
        shop     /        101       1    98   0    1    1    1.3 ms  10 ms  40.4 kB  12.3 MB
    "#]]
    .assert_eq(&proxy_report(&report, Style::PLAIN));
}
