// SPDX-License-Identifier: Apache-2.0
//! Hostile Procfiles and hop3.toml files, uploaded: each refusal names the place or the word, and deploys nothing.

use super::{armed, assert_unharmed};
use crate::harness::{Hop, example};
use crate::probe;

/// Name, file, text and the code of the refusal.
fn refused() -> Vec<(&'static str, &'static str, String, &'static str)> {
    let toml = |text: &str| text.to_owned();
    vec![
        ("no colon", "Procfile", "web perl server.pl\n".into(), "procfile.missing-colon"),
        ("no name", "Procfile", ": perl server.pl\n".into(), "process.bad-name"),
        ("no command", "Procfile", "web:\n".into(), "procfile.empty-command"),
        ("twice", "Procfile", "web: a\nweb: b\n".into(), "procfile.duplicate"),
        ("a space in the name", "Procfile", "we b: a\n".into(), "p"),
        ("a path as a name", "Procfile", "web/../x: a\n".into(), "p"),
        ("a unit as a name", "Procfile", "web.service: a\n".into(), "p"),
        ("an instance as a name", "Procfile", "web@1: a\n".into(), "p"),
        ("a long name", "Procfile", format!("{}: a\n", "a".repeat(300)), "p"),
        ("NUL", "Procfile", "web: a\0b\n".into(), "procfile.control-character"),
        ("escape", "Procfile", "web: a\u{1b}[2Jb\n".into(), "procfile.control-character"),
        ("1 MB", "Procfile", format!("web: {}\n", "a".repeat(1 << 20)), "procfile.too-large"),
        ("no minute 61", "Procfile", "web: a\ncron: 61 25 32 13 8 a\n".into(), "c"),
        ("step 0", "Procfile", "web: a\ncron: */0 * * * * a\n".into(), "c"),
        ("unknown key", "hop3.toml", toml("[build]\nbilder = \"x\"\n"), "config.unknown-key"),
        ("twice in TOML", "hop3.toml", toml("[build]\n[build]\n"), "config.syntax"),
        ("not TOML", "hop3.toml", toml("{\"a\": 1}\n"), "config.syntax"),
        (
            "deep TOML",
            "hop3.toml",
            format!("a = {}{}\n", "[".repeat(100_000), "]".repeat(100_000)),
            "config.",
        ),
        ("a date", "hop3.toml", toml("[metadata]\nid = 1979-05-27\n"), "config."),
        ("a huge file", "hop3.toml", "#".repeat(5 << 20), "source.too-large"),
        ("static outside", "hop3.toml", toml("[static]\n\"/\" = \"../../\"\n"), "config."),
        ("static at the root", "hop3.toml", toml("[static]\n\"/\" = \"/etc\"\n"), "config."),
    ]
}

#[test]
fn hostile_files_are_refused_with_their_place() {
    let hop = Hop::start();
    let mut wrong = Vec::new();
    for (i, (what, file, text, code)) in refused().into_iter().enumerate() {
        let tree = probe::with_procfile(&hop, &format!("tree{i}"), "web: perl server.pl\n");
        std::fs::write(tree.join(file), armed(&hop, &text)).unwrap();
        let said = hop.hop3_in(&tree, ["deploy", ".", "-a", "site"]);
        let good = !said.ok && said.text.contains(&format!("error[{code}")) && !said.text.contains('\u{1b}');
        if !good || said.text.contains("hop3.internal") {
            wrong.push(format!("{what}: expected {code}: {:.600}", said.text));
        }
        assert_unharmed(&hop, what);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(std::fs::read_dir(hop.root().join("artifacts")).unwrap().count(), 0);
}

#[test]
fn files_of_other_editors_are_understood() {
    let hop = Hop::start();
    let texts = [
        "\u{feff}web: perl server.pl\n",
        "web: perl server.pl\r\n",
        "web: perl server.pl",
        "# comment\n\nweb: perl server.pl",
        "web:\tperl server.pl\n",
        "web: perl server.pl # %i %h $$ \\x\n",
    ];
    for (i, text) in texts.iter().enumerate() {
        let tree = probe::with_procfile(&hop, &format!("tree{i}"), text);
        let said = hop.hop3_in(&tree, ["deploy", ".", "-a", "site"]);
        assert!(said.ok, "{text:?}: {}", said.text);
        assert_eq!(hop.get("site", "/").text(), "probe\n");
    }
}

#[test]
fn what_a_build_prints_cannot_move_the_cursor_or_pass_for_hop3() {
    let hop = Hop::start();
    let procfile = "build: printf '\\033]0;owned\\007\\033[2J\\rgone\\b\\302\\233x\\342\\200\\256y\\n'; \
                    printf 'site v99 is live\\n'; printf '%s\\n' \"$(printf 'x%.0s' $(seq 1 100000))\"\n\
                    web: perl server.pl\n";
    let tree = probe::with_procfile(&hop, "site", procfile);
    let repository = hop.repository("site", &tree);
    let pushed = repository.push(&hop.remote("site"), "main").expect_ok();
    let logs = hop.hop3(["logs", "--build", "-a", "site"]).expect_ok();
    for text in [&pushed.text, &logs.text] {
        let odd: Vec<char> = text
            .chars()
            .filter(|c| (c.is_control() && !matches!(c, '\n' | '\r' | '\t')) || *c == '\u{202e}')
            .collect();
        assert!(odd.is_empty(), "{odd:?}");
    }
    let imitation = pushed.text.lines().find(|line| line.contains("site v99 is live")).unwrap();
    let own = pushed.text.lines().find(|line| line.contains("site v1 is live")).unwrap();
    assert_ne!(imitation.replace("v99", "v1").trim_end(), own.trim_end());
    assert!(pushed.text.lines().all(|line| line.len() < 50_000));
}

#[test]
fn a_release_command_that_lies_or_lingers_is_held() {
    let hop = Hop::start();
    let procfile = "release: echo error: broken >&2; (sleep 36109 &); setsid sleep 36109 & exit 0\nweb: perl server.pl\n";
    hop.push("site", &probe::with_procfile(&hop, "site", procfile));
    assert_eq!(hop.get("site", "/").text(), "probe\n");
    assert!(!std::fs::read_dir("/proc").unwrap().flatten().any(|entry| {
        std::fs::read(entry.path().join("cmdline")).is_ok_and(|line| line == b"sleep\x0036109\0")
    }));
    hop.push("other", &example("apps/static-hello"));
}
