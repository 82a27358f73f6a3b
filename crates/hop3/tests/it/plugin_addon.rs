// SPDX-License-Identifier: Apache-2.0
//! An addon of others: the sample `keep` has the verbs, the life and the durability of the built-in kinds.

use crate::harness::{Hop, example, until};
use crate::plugin::{install, lacks_tools};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;

/// A client of the sample's server.
struct Keep(BufReader<TcpStream>);

impl Keep {
    /// Comes in as `keep://user:password@host:port/store` says.
    fn enter(url: &str) -> Result<Keep, String> {
        let (login, place) = url.strip_prefix("keep://").unwrap().split_once('@').unwrap();
        let (user, password) = login.split_once(':').unwrap();
        let (address, store) = place.split_once('/').unwrap();
        let stream = TcpStream::connect(address).map_err(|error| error.to_string())?;
        let mut keep = Keep(BufReader::new(stream));
        keep.ask(&json!({ "login": { "user": user, "password": password, "store": store } }))?;
        Ok(keep)
    }

    fn ask(&mut self, question: &Value) -> Result<Value, String> {
        let mut line = String::new();
        let stream = self.0.get_mut();
        writeln!(stream, "{question}").map_err(|error| error.to_string())?;
        self.0.read_line(&mut line).map_err(|error| error.to_string())?;
        let answer: Value = serde_json::from_str(&line).map_err(|error| error.to_string())?;
        match answer["error"].as_str() {
            Some(error) => Err(error.to_owned()),
            None => Ok(answer["ok"].clone()),
        }
    }

    fn set(&mut self, key: &str, value: &str) {
        self.ask(&json!({ "set": { key: value } })).unwrap();
    }

    fn get(&mut self, key: &str) -> Value {
        self.ask(&json!({ "get": key })).unwrap()
    }
}

fn url(hop: &Hop, addon: &str) -> String {
    let shown = hop.json(["addon", "credentials", "show", addon, "--json"]);
    shown["variables"]["KEEP_URL"].as_str().unwrap_or_else(|| panic!("{shown}")).to_owned()
}

fn with_keep(test: &str) -> Option<Hop> {
    if lacks_tools(test) {
        return None;
    }
    let hop = Hop::start();
    install(&hop, &example("plugins/keep"));
    Some(hop)
}

#[test]
fn an_addon_of_a_plugin_is_made_carried_rotated_and_destroyed() {
    let Some(hop) = with_keep("an_addon_of_a_plugin_is_made_carried_rotated_and_destroyed") else { return };
    assert!(hop.hop3(["addon", "kinds"]).text.contains("keep"));
    hop.hop3(["addon", "create", "keep", "notes"]).expect_ok();
    hop.hop3(["addon", "create", "keep", "other"]).expect_ok();
    let before = url(&hop, "notes");
    Keep::enter(&before).unwrap().set("a", "one");
    // They share a server, and neither sees the other.
    assert_eq!(Keep::enter(&url(&hop, "other")).unwrap().get("a"), Value::Null);
    assert_eq!(hop.json(["addon", "info", "notes", "--json"])["status"]["is_up"], true);

    let file = hop.scratch().join("notes.dump");
    let file = file.to_str().unwrap();
    hop.hop3(["addon", "export", "notes", file]).expect_ok();
    Keep::enter(&before).unwrap().set("a", "two");
    hop.hop3(["addon", "import", "notes", file, "--confirm", "notes"]).expect_ok();
    assert_eq!(Keep::enter(&before).unwrap().get("a"), "one");
    std::fs::write(file, "[\"half\", \"of").unwrap();
    assert!(!hop.hop3(["addon", "import", "notes", file, "--confirm", "notes"]).ok);
    assert_eq!(Keep::enter(&before).unwrap().get("a"), "one", "what cannot be read changes nothing");

    hop.hop3(["addon", "credentials", "rotate", "notes"]).expect_ok();
    let after = url(&hop, "notes");
    assert_ne!(before, after);
    assert_eq!(Keep::enter(&after).unwrap().get("a"), "one");
    assert!(Keep::enter(&before).is_err(), "the former password is worthless");

    let refused = hop.hop3(["plugin", "remove", "keep", "--confirm", "keep"]);
    assert!(refused.text.contains("plugin.in-use"), "{}", refused.text);
    for addon in ["notes", "other"] {
        hop.hop3(["addon", "destroy", addon, "--confirm", addon, "--now"]).expect_ok();
    }
    hop.hop3(["plugin", "remove", "keep", "--confirm", "keep"]).expect_ok();
}

#[test]
fn an_addon_of_a_plugin_keeps_the_contract_of_addons() {
    let Some(hop) = with_keep("an_addon_of_a_plugin_keeps_the_contract_of_addons") else { return };
    hop.hop3(["addon", "create", "keep", "notes"]).expect_ok();
    Keep::enter(&url(&hop, "notes")).unwrap().set("a", "one");
    let report = hop.hop3(["plugin", "check", "keep"]).expect_ok();
    assert!(report.text.contains("checked addon keep"), "{}", report.text);
    // What people have is not touched by it, and nothing of it is left.
    assert_eq!(Keep::enter(&url(&hop, "notes")).unwrap().get("a"), "one");
    assert_eq!(std::fs::read_dir(hop.root().join("addons")).unwrap().count(), 1);

    // One that lets everybody in.
    let bad = hop.scratch().join("bad");
    std::fs::create_dir(&bad).unwrap();
    for file in ["hop3-plugin-keep", "keep_server.py"] {
        std::fs::copy(example("plugins/keep").join(file), bad.join(file)).unwrap();
    }
    let server = std::fs::read_to_string(bad.join("keep_server.py")).unwrap();
    let open = server.replace("hmac.compare_digest(row[1], digest(argument[\"password\"]))", "row");
    assert_ne!(server, open);
    std::fs::write(bad.join("keep_server.py"), open).unwrap();
    let report = hop.hop3(["plugin", "check", bad.to_str().unwrap()]);
    assert_eq!(report.code, Some(7), "{}", report.text);
    assert!(report.text.contains("addon keep: strangers:"), "{}", report.text);
}

/// What was answered is there after the server of the addon, the plugin and Hop3's own server were killed.
#[test]
fn an_addon_of_a_plugin_loses_nothing_that_it_answered() {
    let Some(hop) = with_keep("an_addon_of_a_plugin_loses_nothing_that_it_answered") else { return };
    hop.hop3(["addon", "create", "keep", "notes"]).expect_ok();
    let url = url(&hop, "notes");
    let mut keep = Keep::enter(&url).unwrap();
    for number in 0..50 {
        keep.set(&format!("key-{number}"), "kept");
    }
    for line in std::fs::read_dir("/proc").unwrap().filter_map(Result::ok) {
        let command = std::fs::read_to_string(line.path().join("cmdline")).unwrap_or_default();
        let is_ours = command.contains(hop.root().to_str().unwrap()) && command.contains("keep_server.py");
        if let (true, Ok(pid)) = (is_ours, line.file_name().to_string_lossy().parse()) {
            let pid = rustix::process::Pid::from_raw(pid).unwrap();
            rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
        }
    }
    let server = hop.kill("server");
    until("another server", || hop.pid_of("server").is_some_and(|pid| pid != server));
    until("the addon answers again", || Keep::enter(&url).is_ok());
    let mut keep = Keep::enter(&url).unwrap();
    for number in 0..50 {
        assert_eq!(keep.get(&format!("key-{number}")), "kept");
    }
    until("it can be asked", || hop.hop3(["addon", "info", "notes"]).ok);
}
