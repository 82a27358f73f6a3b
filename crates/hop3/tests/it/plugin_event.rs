// SPDX-License-Identifier: Apache-2.0
//! Plugins that are asked at the steps of deployments and told of events.

use crate::harness::{Hop, example, fixture, until};
use crate::plugin::{install, lacks_tools};
use serde_json::Value;
use std::path::PathBuf;
use std::process::Command;

fn noted(hop: &Hop) -> Vec<Value> {
    let text = std::fs::read_to_string(hop.root().join("plugins/teller/data/events.log")).unwrap_or_default();
    text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["params"]["event"].clone()).collect()
}

fn kinds(hop: &Hop) -> Vec<String> {
    noted(hop).iter().map(|row| row["event"]["kind"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_listener_is_told_what_it_asked_for_also_of_what_happened_while_it_was_away() {
    let hop = Hop::start();
    install(&hop, &example("plugins/teller"));
    let repository = hop.push("shop", &example("apps/static-hello"));
    until("the first deployment is told", || kinds(&hop) == ["deployment-succeeded"]);
    assert_eq!(noted(&hop)[0]["app"], "shop");

    hop.hop3(["plugin", "disable", "teller"]).expect_ok();
    repository.write("hop3.toml", "nonsense = 1\n");
    repository.commit("wrong");
    assert!(!repository.push(&hop.remote("shop"), "main").ok);
    repository.write("hop3.toml", "");
    repository.commit("right");
    assert!(repository.push(&hop.remote("shop"), "main").ok);
    assert_eq!(kinds(&hop).len(), 1);

    // Neither a rest nor the end of the server loses one.
    let server = hop.kill("server");
    until("another server", || hop.pid_of("server").is_some_and(|pid| pid != server));
    until("the server answers", || hop.api("GET", "/api/plugins", "").status == 200);
    hop.hop3(["plugin", "enable", "teller", "--yes"]).expect_ok();
    let all = ["deployment-succeeded", "deployment-failed", "deployment-succeeded"];
    until("the others are told, in order", || kinds(&hop) == all);
    let log = hop.json(["plugin", "logs", "teller", "--json"]);
    assert_eq!(log[0]["text"], "an event was noted");
    hop.hop3(["plugin", "remove", "teller", "--confirm", "teller"]).expect_ok();
    for left in ["plugins/teller", "logs/plugin.teller"] {
        assert!(!hop.root().join(left).exists(), "{left} is left");
    }
}

#[test]
fn an_event_that_was_not_answered_comes_again_before_the_next() {
    let Some(hop) = with_hooks("an_event_that_was_not_answered_comes_again_before_the_next") else { return };
    for app in ["one", "two", "three"] {
        hop.hop3(["app", "create", app]).expect_ok();
    }
    let taken = || {
        let log = hop.root().join("plugins/faulty/data/events.log");
        std::fs::read_to_string(log)
            .unwrap_or_default()
            .split_whitespace()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    until("all are told, the second one twice", || taken() == ["one", "two", "two", "three"]);
}

#[test]
fn a_hook_may_refuse_and_notes_are_told() {
    let Some(hop) = with_hooks("a_hook_may_refuse_and_notes_are_told") else { return };
    let repository = hop.push("shop", &example("apps/static-hello"));
    let log = hop.hop3(["logs", "--build", "-a", "shop"]).expect_ok();
    assert!(log.text.contains("faulty: seen before build"), "{}", log.text);
    assert!(log.text.contains("faulty: seen after build"), "{}", log.text);

    hop.hop3(["config", "set", "HOOK_BEFORE_BUILD=refuse", "-a", "shop"]).expect_ok();
    repository.commit("again");
    let refused = repository.push(&hop.remote("shop"), "main");
    assert!(!refused.ok, "{}", refused.text);
    for part in ["plugin.refused", "the plugin \"faulty\" refuses: not on a Friday", "come back on Monday"] {
        assert!(refused.text.contains(part), "no {part} in {}", refused.text);
    }
    assert_eq!(hop.get("shop", "/").status, 200, "the old release serves");
}

#[test]
fn a_hook_that_fails_stops_a_deployment_only_where_it_is_required() {
    let Some(hop) = with_hooks("a_hook_that_fails_stops_a_deployment_only_where_it_is_required") else {
        return;
    };
    let repository = hop.push("shop", &example("apps/static-hello"));
    let push = |setting: &str| {
        hop.hop3(["config", "set", setting, "-a", "shop"]).expect_ok();
        repository.commit(setting);
        repository.push(&hop.remote("shop"), "main")
    };
    let pushed = push("HOOK_BEFORE_BUILD=end");
    assert!(pushed.ok && pushed.text.contains("goes on without \"faulty\""), "{}", pushed.text);
    let pushed = push("HOOK_AFTER_BUILD=hang");
    assert!(pushed.ok && pushed.text.contains("gave no answer within 2 s"), "{}", pushed.text);
    let refused = push("HOOK_BEFORE_PLAN=end");
    assert!(!refused.ok && refused.text.contains("plugin.ended"), "{}", refused.text);
}

fn with_hooks(test: &str) -> Option<Hop> {
    if lacks_tools(test) {
        return None;
    }
    let hop = Hop::start();
    install(&hop, &fixture("plugins/faulty"));
    Some(hop)
}

/// The sample in Rust: a hook that holds, a command, a panel.
#[test]
fn a_gate_in_rust_holds_deployments_and_tells_of_them() {
    let hop = Hop::start();
    hop.hop3_in(hop.scratch(), ["plugin", "new", "porter", "--lang", "rust"]).expect_ok();
    let folder = hop.scratch().join("porter");
    // What it needs the workspace has too.
    let built =
        Command::new(env!("CARGO")).args(["build", "--quiet", "--offline"]).current_dir(&folder).status();
    assert!(built.is_ok_and(|status| status.success()));
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| folder.join("target"), PathBuf::from);
    let program = target.join("debug/hop3-plugin-porter");
    hop.hop3(["plugin", "check", program.to_str().unwrap()]).expect_ok();
    let asked = hop.hop3(["plugin", "install", program.to_str().unwrap(), "--unsigned"]);
    for permission in
        ["read the config of apps", "be asked before the step checkout of deployments; may refuse it"]
    {
        assert!(asked.text.contains(permission), "{}", asked.text);
    }
    hop.hop3(["plugin", "enable", "porter", "--yes"]).expect_ok();

    let repository = hop.push("shop", &example("apps/static-hello"));
    hop.hop3(["config", "set", "HOLD=stocktaking", "-a", "shop"]).expect_ok();
    repository.commit("again");
    let refused = repository.push(&hop.remote("shop"), "main");
    assert!(!refused.ok && refused.text.contains("refuses: shop is on hold"), "{}", refused.text);
    assert_eq!(hop.hop3(["plugin", "run", "porter", "seen"]).expect_ok().stdout, "2 deployments\n");
    let panel = hop.hop3(["plugin", "panel", "porter", "seen"]).expect_ok();
    assert_eq!(panel.stdout, "APP   PASSED  HELD\nshop  1       1\n");
    assert!(hop.hop3(["plugin", "panel", "porter", "other"]).text.contains("plugin.no-panel"));
}

#[test]
fn check_judges_a_folder_and_an_installed_plugin() {
    if lacks_tools("check_judges_a_folder_and_an_installed_plugin") {
        return;
    }
    let hop = Hop::start();
    let maker = example("plugins/maker");
    let good = hop.hop3(["plugin", "check", maker.to_str().unwrap()]).expect_ok();
    assert!(
        good.text.contains("checked builder maker") && good.text.contains("every rule is kept"),
        "{}",
        good.text
    );
    assert!(!hop.root().join("plugins/maker").exists());
    install(&hop, &example("plugins/teller"));
    let good = hop.hop3(["plugin", "check", "teller"]).expect_ok();
    assert!(good.text.contains("checked event"), "{}", good.text);
    // A plan that leaves the app's directory.
    let text = std::fs::read_to_string(maker.join("hop3-plugin-maker")).unwrap();
    let bad = hop.scratch().join("bad");
    std::fs::create_dir_all(bad.join("examples/app")).unwrap();
    std::fs::write(bad.join("examples/app/Makefile"), "run:\n\ttrue\n").unwrap();
    let program = bad.join("hop3-plugin-maker");
    std::fs::copy(maker.join("hop3-plugin-maker"), &program).unwrap();
    std::fs::write(
        &program,
        text.replace("\"title\": \"Running make\"", "\"title\": \"x\", \"cwd\": \"../..\""),
    )
    .unwrap();
    let report = hop.hop3(["plugin", "check", bad.to_str().unwrap()]);
    assert_eq!(report.code, Some(7), "{}", report.text);
    assert!(report.text.contains("works outside the app"), "{}", report.text);
}
