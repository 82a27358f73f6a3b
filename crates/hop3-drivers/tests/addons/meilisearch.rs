// SPDX-License-Identifier: Apache-2.0
//! A client of Meilisearch that keeps values as documents, and what an app may do to the server that is its own.

use crate::world::World;
use hop3_core::addon::{Binding, Credential};
use hop3_drivers::contract::addon::{Client, key};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

/// Puts the program that is installed, if one is, where people put it.
pub(crate) fn bring(world: &World) {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let programs = std::env::split_paths(&path).map(|place| place.join("meilisearch"));
    let Some(program) = programs.into_iter().find(|program| program.exists()) else { return };
    let said = Command::new(&program).arg("--version").output().unwrap().stdout;
    let version = String::from_utf8(said).unwrap().trim().replace("meilisearch ", "");
    let place = place(world, &version);
    std::fs::create_dir_all(&place).unwrap();
    std::fs::copy(program, place.join("meilisearch")).unwrap();
}

fn place(world: &World, version: &str) -> PathBuf {
    world.layout.toolchains().join("meilisearch").join(version)
}

pub(crate) struct Meilisearch;

fn told<'a>(binding: &'a Binding, key: &str) -> &'a str {
    binding.variables[&key.parse().unwrap()].expose()
}

impl Meilisearch {
    /// Status and answer.
    fn ask(binding: &Binding, method: &str, path: &str, body: &str) -> Result<(u16, Value), String> {
        let (url, key) = (told(binding, "MEILISEARCH_URL"), told(binding, "MEILISEARCH_KEY"));
        let address = url.strip_prefix("http://").unwrap();
        let mut stream = TcpStream::connect(address).map_err(|e| e.to_string())?;
        let length = body.len();
        let request = format!(
            "{method} {path} HTTP/1.0\r\nHost: {address}\r\nAuthorization: Bearer {key}\r\n\
             Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
        );
        stream.write_all(request.as_bytes()).map_err(|e| e.to_string())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).map_err(|e| e.to_string())?;
        let (head, body) = answer.split_once("\r\n\r\n").ok_or("cut")?;
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).ok_or("cut")?;
        Ok((status, serde_json::from_str(body).unwrap_or_default()))
    }

    /// Adds a document and does not wait until it is found.
    fn put(binding: &Binding, key: &str, value: &str) -> Result<Value, String> {
        let document = json!([{ "id": key, "value": value }]).to_string();
        match Meilisearch::ask(binding, "POST", "/indexes/kept/documents?primaryKey=id", &document)? {
            (202, task) => Ok(task["taskUid"].clone()),
            (_, answer) => Err(answer.to_string()),
        }
    }
}

impl Client for Meilisearch {
    fn write(&self, binding: &Binding, key: &str, value: &str) -> Result<(), String> {
        let task = Meilisearch::put(binding, key, value)?;
        loop {
            let (_, task) = Meilisearch::ask(binding, "GET", &format!("/tasks/{task}"), "")?;
            match task["status"].as_str() {
                Some("succeeded") => return Ok(()),
                Some("enqueued" | "processing") => std::thread::park_timeout(Duration::from_millis(2)),
                _ => return Err(task.to_string()),
            }
        }
    }

    fn read(&self, binding: &Binding, key: &str) -> Result<Option<String>, String> {
        match Meilisearch::ask(binding, "GET", &format!("/indexes/kept/documents/{key}"), "")? {
            (200, document) => Ok(document["value"].as_str().map(str::to_owned)),
            (404, _) => Ok(None),
            (_, answer) => Err(answer.to_string()),
        }
    }

    fn pass(&self, _given: &Credential, binding: &Binding) -> Credential {
        key(told(binding, "MEILISEARCH_KEY"))
    }
}

pub(crate) fn an_app_cannot_administer_it(world: &World) {
    let mut addon = world.make("search_1");
    let binding = world.driver.provision(&addon).unwrap();
    Meilisearch.write(&binding, "first", "dragons").unwrap();
    let ask = |method: &str, path: &str, body: &str| Meilisearch::ask(&binding, method, path, body).unwrap();
    let refused = [
        ("GET", "/keys", ""),
        ("POST", "/keys", r#"{"actions":["*"],"indexes":["*"],"expiresAt":null}"#),
        ("POST", "/dumps", ""),
        ("POST", "/snapshots", ""),
        ("GET", "/network", ""),
        ("PATCH", "/network", "{}"),
        ("GET", "/webhooks", ""),
        ("GET", "/metrics", ""),
        ("POST", "/logs/stderr", r#"{"target":"info"}"#),
    ];
    for (method, path, body) in refused {
        let (status, answer) = ask(method, path, body);
        assert_eq!(status, 403, "{method} {path}: {answer}");
    }
    let used = [
        ("POST", "/indexes/kept/search", r#"{"q":"dargons"}"#),
        ("GET", "/indexes", ""),
        ("GET", "/indexes/kept/settings", ""),
        ("PATCH", "/indexes/kept/settings", r#"{"filterableAttributes":["value"]}"#),
        ("GET", "/stats", ""),
        ("GET", "/version", ""),
        ("GET", "/tasks", ""),
    ];
    for (method, path, body) in used {
        let (status, answer) = ask(method, path, body);
        assert!(status < 300, "{method} {path}: {answer}");
    }
    assert_eq!(ask("POST", "/indexes/kept/search", r#"{"q":"dargons"}"#).1["hits"][0]["id"], "first");

    // The master key is no argument, and in a file that others cannot read.
    let arguments = std::fs::read(format!("/proc/{}/cmdline", world.pid(&addon.server).unwrap())).unwrap();
    assert!(!String::from_utf8_lossy(&arguments).contains("ofTheAdministrator"));
    let file = world.layout.addon_server(&addon.server.name).join("server.toml");
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(file).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);

    // Another option is another start with the same documents.
    let before = world.pid(&addon.server);
    addon.server.settings.insert("memory".into(), "128mb".into());
    world.driver.serve(&addon.server).unwrap();
    assert_ne!(world.pid(&addon.server), before);
    assert_eq!(Meilisearch.read(&binding, "first").unwrap().unwrap(), "dragons");
    addon.server.settings.insert("memory".into(), "much".into());
    assert_eq!(world.driver.serve(&addon.server).err().unwrap().code, "addon.bad-option");
    let status = world.driver.status(&addon).unwrap();
    assert!(status.is_up && status.size_bytes.unwrap() > 0, "{status:?}");
    assert_eq!(status.version.as_ref(), Some(&addon.server.version));
    world.driver.retire(&addon.server).unwrap();
}

/// Whatever a restore left when it was cut, the next start has all of the former data, and what was enqueued when a
/// dump was made is in it.
pub(crate) fn begins_where_it_was_cut(world: &World) {
    let addon = world.make("search_1");
    let binding = world.driver.provision(&addon).unwrap();
    Meilisearch.write(&binding, "kept", "former").unwrap();
    for number in 0..20 {
        Meilisearch::put(&binding, &format!("waits-{number}"), "waits").unwrap();
    }
    let mut dump = Vec::new();
    world.driver.backup(&addon, None, &mut dump).unwrap();
    let directory = world.layout.addon_server(&addon.server.name);
    let listed = |what: &str| std::fs::read_dir(directory.join(what)).unwrap().count();
    assert_eq!(listed("data/dumps"), 0, "the server keeps its dump");

    // Cut between the two renames, with the second server's data beside.
    world.stop(&addon.server);
    std::fs::create_dir(directory.join("restored")).unwrap();
    std::fs::rename(directory.join("data"), directory.join("former")).unwrap();
    world.driver.serve(&addon.server).unwrap();
    assert_eq!(Meilisearch.read(&binding, "kept").unwrap().unwrap(), "former");
    assert!(!directory.join("former").exists() && !directory.join("restored").exists());

    Meilisearch.write(&binding, "kept", "since").unwrap();
    world.driver.restore(&addon, &mut dump.as_slice()).unwrap();
    assert_eq!(Meilisearch.read(&binding, "kept").unwrap().unwrap(), "former");
    for number in 0..20 {
        let read = Meilisearch.read(&binding, &format!("waits-{number}")).unwrap();
        assert_eq!(read.as_deref(), Some("waits"), "{number}");
    }
    // What is packed as a dump and is none is found out by the second server, and goes with it.
    let gzip = Command::new("sh").args(["-c", "echo no dump | gzip"]).output().unwrap().stdout;
    let refused = world.driver.restore(&addon, &mut gzip.as_slice()).err().unwrap();
    assert_eq!(refused.code, "addon.not-a-backup");
    assert!(!refused.detail.is_empty() && !directory.join("restored").exists(), "{refused:?}");
    assert_eq!(Meilisearch.read(&binding, "kept").unwrap().unwrap(), "former");
    // Cut after them.
    std::fs::create_dir(directory.join("former")).unwrap();
    world.driver.serve(&addon.server).unwrap();
    assert_eq!(Meilisearch.read(&binding, "kept").unwrap().unwrap(), "former");
    assert!(!directory.join("former").exists());
    world.driver.retire(&addon.server).unwrap();
}
