// SPDX-License-Identifier: Apache-2.0
//! Config: keys and values. They count inside the app alone, and a secret is nowhere but there.

use super::{armed, assert_unharmed, canary};
use crate::harness::Hop;
use crate::probe::{self, holders, inside};
use serde_json::json;
use std::os::unix::fs::PermissionsExt;

const SECRET: &str = "canary-8c61e0b7a2";

#[test]
fn bad_keys_and_values_are_refused() {
    let hop = Hop::start();
    hop.hop3(["app", "create", "site"]).expect_ok();
    let long = "A".repeat(129);
    for key in ["", "A B", "A=B", "A;id", "$(id)", "A\n", "1A", "É", "A-B", "A.B", "A\0", &long] {
        let answer = hop.api("PATCH", "/api/apps/site/config", &json!({ "set": { key: "1" } }).to_string());
        assert_eq!(answer.status, 422, "{key:?}: {}", answer.text());
    }
    let large = "x".repeat(1 << 20);
    for (value, code) in [("a\0b", "config.bad-value"), (&large, "config.too-large")] {
        let body = json!({ "set": { "GOOD": "1", "A": value } }).to_string();
        let answer = hop.api("PATCH", "/api/apps/site/config", &body);
        assert!(answer.status == 422 && answer.text().contains(code), "{code}: {}", answer.text());
    }
    assert_eq!(hop.json(["config", "list", "-a", "site", "--json"]), json!({}));
}

#[test]
fn values_reach_the_app_byte_for_byte() {
    let hop = Hop::start();
    probe::push(&hop, "site");
    let pem = format!("-----BEGIN KEY-----\n{}\n-----END KEY-----\n", "abc/+=\n".repeat(20));
    let values = [
        "line\nline",
        "cr\r\nlf",
        "'\"",
        "$HOME `id` $(id) ${A}",
        "# not a comment",
        "%d %s",
        "\\n \\",
        "trailing ",
        " leading",
        "=first",
        "",
        "${OTHER}",
        "${{svc.X}}",
        "ünï 🚀",
        "\t",
        "{app} {data} {layer:x}",
        &pem,
    ];
    let set: serde_json::Map<_, _> =
        values.iter().enumerate().map(|(i, value)| (format!("V{i}"), json!(value))).collect();
    let body = json!({ "set": set }).to_string();
    let answer = hop.api("PATCH", "/api/apps/site/config", &body);
    assert_eq!(answer.status, 200, "{}", answer.text());
    for (i, value) in values.iter().enumerate() {
        let seen = inside(&hop, "site", &format!("printf '%s|' \"$V{i}\""));
        assert_eq!(seen, format!("{value}|"));
        assert_eq!(
            hop.hop3(["config", "get", &format!("V{i}"), "-a", "site"]).expect_ok().stdout,
            format!("{value}\n")
        );
    }
    // What list --show writes, import reads.
    let shown = hop.hop3(["config", "list", "--show", "-a", "site"]).expect_ok().stdout;
    let file = hop.scratch().join("env");
    std::fs::write(&file, shown).unwrap();
    hop.hop3(["app", "create", "other"]).expect_ok();
    hop.hop3(["config", "import", file.to_str().unwrap(), "-a", "other"]).expect_ok();
    let all = |app| hop.json(["config", "list", "--show", "-a", app, "--json"]);
    assert_eq!(all("site"), all("other"));
}

#[test]
fn variables_of_loaders_and_git_count_in_the_app_alone() {
    let hop = Hop::start();
    let repository = probe::push(&hop, "site");
    let touch = armed(&hop, "touch {canary}");
    let set = json!({ "set": {
        "LD_PRELOAD": "/nonexistent/evil.so", "LD_LIBRARY_PATH": "/nonexistent", "BASH_ENV": "/nonexistent", "IFS": "x",
        "GIT_SSH_COMMAND": touch, "GIT_EXTERNAL_DIFF": touch, "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": "core.fsmonitor", "GIT_CONFIG_VALUE_0": touch, "GIT_DIR": "/nonexistent",
        "PERL5OPT": "-w", "PYTHONSTARTUP": "/nonexistent", "NODE_OPTIONS": "--bad", "JAVA_TOOL_OPTIONS": "-bad",
        "HTTP_PROXY": "http://127.0.0.1:1", "PORT": "1", "BIND_ADDRESS": "0.0.0.0", "HOP3_APP": "other",
        "HOP3_ROOT": "/nonexistent", "HOP3_PROGRAM": touch, "HOP3_DATA_DIR": "/", "HOP3_RELEASE": "99",
    }});
    let answer = hop.api("PATCH", "/api/apps/site/config", &set.to_string());
    assert_eq!(answer.status, 200, "{}", answer.text());
    repository.write("second.txt", "second");
    repository.commit("second");
    repository.push(&hop.remote("site"), "main").expect_ok();
    // What Hop3 says of the app wins; what the app's author says otherwise reaches the app.
    let seen = inside(
        &hop,
        "site",
        "echo $HOP3_APP $HOP3_RELEASE $GIT_DIR $BIND_ADDRESS; test $PORT -gt 1024 && echo high",
    );
    assert!(seen.contains("site v3 /nonexistent 127.0.0.1"), "{seen}");
    assert!(seen.contains("high"), "{seen}");
    for role in ["server", "proxy", "supervisor"] {
        let environment = std::fs::read(format!("/proc/{}/environ", hop.pid_of(role).unwrap())).unwrap();
        assert!(!String::from_utf8_lossy(&environment).contains("nonexistent"), "{role}");
    }
    assert_unharmed(&hop, "config");
    assert!(!canary(&hop).exists());
}

#[test]
fn a_search_path_of_the_app_is_not_the_builders() {
    let hop = Hop::start();
    let repository = probe::push(&hop, "site");
    repository.write("bin/sh", &armed(&hop, "#!/bin/sh\ntouch {canary}\n"));
    repository.git(["update-index", "--add", "--chmod=+x", "bin/sh"]).expect_ok();
    repository.commit("evil");
    hop.hop3(["config", "set", "PATH=bin:.", "--no-restart", "-a", "site"]).expect_ok();
    // With that PATH the app itself finds no perl: it fails to start, and says so.
    let pushed = repository.push(&hop.remote("site"), "main");
    assert!(!pushed.ok && pushed.text.contains("perl"), "{}", pushed.text);
    assert_unharmed(&hop, "PATH");
}

#[test]
fn a_secret_is_nowhere_but_in_its_app() {
    let hop = Hop::start();
    let tree = probe::with_procfile(&hop, "site", "build: env\nweb: perl server.pl\n");
    let repository = hop.repository("site", &tree);
    hop.hop3(["app", "create", "site"]).expect_ok();
    let file = hop.scratch().join("env");
    std::fs::write(&file, format!("SECRET={SECRET}\n")).unwrap();
    hop.hop3(["config", "import", file.to_str().unwrap(), "-a", "site"]).expect_ok();
    std::fs::remove_file(file).unwrap();
    let pushed = repository.push(&hop.remote("site"), "main").expect_ok();
    assert!(pushed.text.contains("SECRET=[redacted]"), "{}", pushed.text);
    assert!(inside(&hop, "site", "env").contains(SECRET));
    // A change and a failure that quote the environment.
    hop.hop3(["config", "set", "OTHER=1", "-a", "site"]).expect_ok();
    repository.write("Procfile", "build: env; exit 1\nweb: perl server.pl\n");
    repository.commit("broken");
    let failed = repository.push(&hop.remote("site"), "main");
    assert!(!failed.ok);

    let mut told = vec![
        ("the push".to_owned(), pushed.text + &failed.text),
        ("the operator's log".into(), hop.operator_log()),
    ];
    for arguments in [
        &["logs", "-n", "1000"][..],
        &["logs", "--build", "-n", "1000"],
        &["ps"],
        &["config", "list"],
        &["release", "list"],
        &["release", "info", "v1"],
        &["release", "info", "v2"],
        &["app", "info"],
    ] {
        for json in [&[][..], &["--json"]] {
            let said = hop.hop3([arguments, json, &["-a", "site"]].concat()).expect_ok();
            told.push((arguments.join(" "), said.text));
        }
    }
    for path in [
        "",
        "/events",
        "/deployments",
        "/releases",
        "/config",
        "/config?show=false",
        "/logs?n=1000",
        "/domains",
    ] {
        told.push((path.to_owned(), hop.api("GET", &format!("/api/apps/site{path}"), "").text()));
    }
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        told.push((format!("{:?}", entry.path()), String::from_utf8_lossy(&line).into_owned()));
    }
    for (what, text) in told {
        assert!(!text.contains(SECRET), "the secret is in {what}:\n{text}");
    }
    // On disk it is sealed. Only the supervisor remembers how to start what runs, for as long as it runs.
    let state = hop.root().join("run/supervisor/state");
    for file in holders(&hop.root(), SECRET) {
        assert!(file.starts_with(&state), "the secret is in {}", file.display());
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    }
    assert_eq!(hop.hop3(["config", "get", "SECRET", "-a", "site"]).expect_ok().stdout, format!("{SECRET}\n"));
    hop.hop3(["ps", "stop", "-a", "site"]).expect_ok();
    assert_eq!(holders(&hop.root(), SECRET), Vec::<std::path::PathBuf>::new());
}
