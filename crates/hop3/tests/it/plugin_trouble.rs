// SPDX-License-Identifier: Apache-2.0
//! A plugin that hangs, ends, lies or floods fails only its own call, and answers the next one.

use crate::harness::{Hop, example, fixture, until};
use crate::plugin::{install, lacks_tools};
use rustix::process::Pid;
use std::path::PathBuf;

fn faulty(test: &str) -> Option<Hop> {
    if lacks_tools(test) {
        return None;
    }
    let hop = Hop::start();
    install(&hop, &fixture("plugins/faulty"));
    Some(hop)
}

/// Has the plugin do that, sees what is told, and that it answers afterwards.
#[track_caller]
fn fails_with(hop: &Hop, wrong: &str, code: &str) -> String {
    let said = hop.hop3(["plugin", "run", "faulty", wrong]);
    assert_eq!(said.code, Some(7), "{}", said.text);
    for part in [&format!("error[{code}]"), "\"faulty\"", "hop3 plugin logs faulty"] {
        assert!(said.text.contains(part), "no {part} in {}", said.text);
    }
    assert_eq!(hop.hop3(["plugin", "run", "faulty", "good"]).expect_ok().stdout, "all is well\n");
    said.text
}

#[test]
fn a_plugin_that_hangs_is_ended() {
    let Some(hop) = faulty("a_plugin_that_hangs_is_ended") else { return };
    let told = fails_with(&hop, "hang", "plugin.timed-out");
    assert!(told.contains("within 2 s"), "{told}");
    fails_with(&hop, "mute", "plugin.timed-out");
}

#[test]
fn a_plugin_that_ends_tells_how() {
    let Some(hop) = faulty("a_plugin_that_ends_tells_how") else { return };
    let told = fails_with(&hop, "end", "plugin.ended");
    assert!(told.contains("exit status 3"), "{told}");
}

#[test]
fn a_plugin_that_lies_is_not_believed() {
    let Some(hop) = faulty("a_plugin_that_lies_is_not_believed") else { return };
    fails_with(&hop, "garbage", "plugin.bad-answer");
    fails_with(&hop, "other-id", "plugin.bad-answer");
    fails_with(&hop, "other-type", "plugin.bad-answer");
    let told = fails_with(&hop, "error", "plugin.failed");
    assert!(told.contains("no luck today"), "{told}");
}

#[test]
fn a_plugin_that_floods_is_ended() {
    let Some(hop) = faulty("a_plugin_that_floods_is_ended") else { return };
    fails_with(&hop, "long-line", "plugin.flooded");
    fails_with(&hop, "many-lines", "plugin.flooded");
    // What it writes to its log is slowed down and bounded.
    hop.hop3(["plugin", "run", "faulty", "chatter"]).expect_ok();
    let log = hop.json(["plugin", "logs", "faulty", "-n", "3", "--json"]);
    assert_eq!(log[2]["text"], "word after word");
}

/// Its program was killed, or the supervisor that started it.
#[test]
fn a_plugin_that_ended_while_nobody_asked_it_fails_no_call() {
    let Some(hop) = faulty("a_plugin_that_ended_while_nobody_asked_it_fails_no_call") else { return };
    let good = || hop.hop3(["plugin", "run", "faulty", "good"]).expect_ok();
    good();
    let program = hop.root().join("plugins/faulty/files/hop3-plugin-faulty");
    let one = || match processes_of(program.to_str().unwrap())[..] {
        [pid] => pid,
        ref others => panic!("{others:?}"),
    };
    let pid = one();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    until("it is gone", || has_ended(pid));
    good();
    let pid = one();
    hop.kill("supervisor");
    until("it has ended with the supervisor", || has_ended(pid));
    good();
}

/// Nothing of it is open any more.
fn has_ended(pid: Pid) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).unwrap_or_default();
    stat.rsplit(") ").next().is_none_or(|rest| rest.is_empty() || rest.starts_with('Z'))
}

fn processes_of(program: &str) -> Vec<Pid> {
    let processes = std::fs::read_dir("/proc").unwrap().filter_map(Result::ok);
    let named = |entry: &std::fs::DirEntry| {
        let command = std::fs::read_to_string(entry.path().join("cmdline")).unwrap_or_default();
        command.split('\0').any(|word| word == program)
    };
    let pid = |entry: std::fs::DirEntry| Pid::from_raw(entry.file_name().to_string_lossy().parse().ok()?);
    processes.filter(named).filter_map(pid).collect()
}

/// A folder with that program as the plugin `liar`.
fn liar(hop: &Hop, hello: &str) -> PathBuf {
    use std::os::unix::fs::PermissionsExt;
    let folder = hop.scratch().join("liar");
    std::fs::create_dir_all(&folder).unwrap();
    let file = folder.join("hop3-plugin-liar");
    std::fs::write(&file, format!("#!/bin/sh\nread -r line\nprintf '%s\\n' '{hello}'\nread -r line\n"))
        .unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
    folder
}

#[test]
fn who_cannot_say_who_it_is_is_not_installed() {
    let hop = Hop::start();
    let hello = |result: &str| format!("{{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{result}}}");
    let cases = [
        (hello("{\"name\":\"liar\",\"version\":\"1\",\"protocol\":2}"), "it speaks protocol 2"),
        (
            hello("{\"name\":\"other\",\"version\":\"1\",\"protocol\":1}"),
            "it says that its name is \"other\"",
        ),
        (
            hello("{\"name\":\"liar\",\"version\":\"1\",\"protocol\":1,\"provide\":{}}"),
            "unknown field `provide`",
        ),
        (
            hello(
                "{\"name\":\"liar\",\"version\":\"1\",\"protocol\":1,\"provides\":{\"builders\":[\
                 {\"name\":\"python\",\"looks_for\":\"x\",\"when\":[\"x\"]}]}}",
            ),
            "its builder \"python\" has the name of a built-in one",
        ),
        ("hello".to_owned(), "the answer: hello"),
    ];
    for (line, told) in cases {
        let folder = liar(&hop, &line);
        let path = folder.to_str().unwrap();
        let said = hop.hop3(["plugin", "install", path, "--unsigned", "--yes"]);
        assert!(said.text.contains("plugin.bad-answer") && said.text.contains(told), "{}", said.text);
        assert!(!hop.root().join("plugins/liar").exists());
    }
    let nothing = hop.scratch().join("nothing");
    std::fs::create_dir(&nothing).unwrap();
    std::fs::write(nothing.join("README"), "nothing").unwrap();
    let said = hop.hop3(["plugin", "install", nothing.to_str().unwrap(), "--unsigned", "--yes"]);
    assert!(said.text.contains("plugin.no-program"), "{}", said.text);
}

/// Somebody changed the program after a person agreed to what it wants.
#[test]
fn a_program_that_asks_for_more_than_it_was_allowed_gets_nothing() {
    let hop = Hop::start();
    let hello = |rest: &str| {
        format!(
            "{{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{{\"name\":\"liar\",\"version\":\"1\",\"protocol\":1,\
             \"provides\":{{\"commands\":[{{\"name\":\"go\",\"about\":\"goes\"}}]}}{rest}}}}}"
        )
    };
    install(&hop, &liar(&hop, &hello("")));
    let file = hop.root().join("plugins/liar/files/hop3-plugin-liar");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replace("\"version\"", "\"permissions\":{\"network\":true},\"version\""))
        .unwrap();
    let said = hop.hop3(["plugin", "run", "liar", "go"]);
    assert!(said.text.contains("plugin.not-started") && said.text.contains("asks for more"), "{}", said.text);

    // Installed anew with more, it waits for somebody who agrees.
    let more = liar(&hop, &hello(",\"permissions\":{\"network\":true}"));
    let said = hop.hop3(["plugin", "install", more.to_str().unwrap(), "--unsigned"]);
    assert!(
        said.text.contains("reach the network") && said.text.contains("plugin.not-confirmed"),
        "{}",
        said.text
    );
    assert_eq!(hop.json(["plugin", "info", "liar", "--json"])["enabled"], false);
    assert!(hop.hop3(["plugin", "run", "liar", "go"]).text.contains("plugin.disabled"));
}

#[test]
fn a_builder_that_fails_leaves_the_source_to_the_next() {
    let Some(hop) = faulty("a_builder_that_fails_leaves_the_source_to_the_next") else { return };
    let repository = hop.repository("page", &example("apps/static-hello"));
    repository.write("faulty.txt", "end\n");
    repository.commit("for the plugin");
    let pushed = repository.push(&hop.remote("page"), "main");
    assert!(pushed.ok, "{}", pushed.text);
    assert!(pushed.text.contains("the plugin \"faulty\" ended before it answered"), "{}", pushed.text);
    // Where nobody else knows the source, the plugin's problem is the one that is told.
    let tree = hop.scratch().join("tree");
    std::fs::create_dir(&tree).unwrap();
    std::fs::write(tree.join("faulty.txt"), "garbage").unwrap();
    let refused = hop.repository("other", &tree).push(&hop.remote("other"), "main");
    assert!(!refused.ok && refused.text.contains("plugin.bad-answer"), "{}", refused.text);
}
