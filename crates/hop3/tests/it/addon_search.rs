// SPDX-License-Identifier: Apache-2.0
//! Meilisearch: an app that finds what it wrote, through all that becomes of its addon.

use crate::harness::{Hop, skip, until};
use crate::probe::{self, inside};
use std::path::Path;
use std::process::Command;

/// Puts the program that is on the path, if one is, where people put it; gives its version.
pub(crate) fn bring(hop: &Hop) -> Option<String> {
    let path = std::env::var_os("PATH")?;
    let programs = std::env::split_paths(&path).map(|place| place.join("meilisearch"));
    let program = programs.into_iter().find(|program| program.exists())?;
    let said = Command::new(&program).arg("--version").output().unwrap().stdout;
    let version = String::from_utf8(said).unwrap().trim().replace("meilisearch ", "");
    put(hop, &program, &version);
    Some(version)
}

fn put(hop: &Hop, program: &Path, version: &str) {
    let place = hop.root().join("toolchains/meilisearch").join(version);
    std::fs::create_dir_all(&place).unwrap();
    std::fs::copy(program, place.join("meilisearch")).unwrap();
}

/// Asks the server as the app, with what it was told.
fn ask(hop: &Hop, request: &str) -> String {
    let curl = "curl -sS -H \"Authorization: Bearer $MEILISEARCH_KEY\" -H 'Content-Type: application/json'";
    inside(hop, "shop", &format!("{curl} \"$MEILISEARCH_HOST\"{request}"))
}

fn finds(hop: &Hop, word: &str) -> String {
    ask(hop, &format!("/indexes/books/search -d '{{\"q\":\"{word}\"}}'"))
}

fn adds(hop: &Hop, title: &str) {
    let document = format!("'[{{\"id\":\"{title}\",\"title\":\"{title}\"}}]'");
    let told = ask(hop, &format!("/indexes/books/documents?primaryKey=id -d {document}"));
    assert!(told.contains("enqueued"), "{told}");
    until("the document is found", || finds(hop, title).contains(&format!("\"title\":\"{title}\"")));
}

#[test]
fn an_app_finds_what_it_wrote() {
    let test = "an_app_finds_what_it_wrote";
    let hop = Hop::start();
    let missing = hop.hop3(["addon", "create", "meilisearch", "search"]);
    assert!(!missing.ok && missing.text.contains("toolchains/meilisearch/VERSION"), "{}", missing.text);
    let Some(version) = bring(&hop) else { return skip(test, "there is no meilisearch on the path") };
    hop.hop3(["addon", "create", "meilisearch", "search", "-o", "memory=256mb"]).expect_ok();
    probe::push(&hop, "shop");
    hop.hop3(["addon", "bind", "search", "-a", "shop"]).expect_ok();
    adds(&hop, "dragons");
    // What is misspelled is found too.
    assert!(finds(&hop, "dargons").contains("dragons"));
    assert!(ask(&hop, "/keys").contains("invalid_api_key"));
    let told = inside(&hop, "shop", "echo $MEILISEARCH_URL $MEILI_HOST $SEARCH_URL");
    let urls: Vec<&str> = told.split_whitespace().collect();
    assert!(urls[0].starts_with("http://127.0.0.1:") && urls == [urls[0]; 3], "{told}");
    let info = hop.json(["addon", "info", "search", "--json"]);
    assert_eq!(info["status"]["version"], version.as_str(), "{info}");
    assert!(info["status"]["size_bytes"].as_u64().unwrap() > 0, "{info}");

    // There and back through a file.
    let dump = hop.scratch().join("search.dump");
    let dump = dump.to_str().unwrap();
    hop.hop3(["addon", "export", "search", dump]).expect_ok();
    adds(&hop, "unicorns");
    hop.hop3(["addon", "import", "search", dump, "--confirm", "search"]).expect_ok();
    assert!(finds(&hop, "dragons").contains("\"title\"") && !finds(&hop, "unicorns").contains("\"title\""));
    std::fs::write(dump, "no dump").unwrap();
    let refused = hop.hop3(["addon", "import", "search", dump, "--confirm", "search"]);
    assert!(!refused.ok && refused.text.contains("addon.not-a-backup"), "{}", refused.text);
    assert!(finds(&hop, "dragons").contains("\"title\""));
    scales_and_ends(&hop);
}

fn scales_and_ends(hop: &Hop) {
    hop.hop3(["addon", "scale", "search", "memory=512mb"]).expect_ok();
    assert!(finds(hop, "dragons").contains("\"title\""));
    let refused = hop.hop3(["addon", "scale", "search", "memory=much"]);
    assert!(!refused.ok && refused.text.contains("addon.bad-option"), "{}", refused.text);
    let port = inside(hop, "shop", "echo ${MEILISEARCH_URL##*:}");
    let port: u16 = port.trim().parse().unwrap();
    hop.hop3(["addon", "unbind", "search", "-a", "shop"]).expect_ok();
    hop.hop3(["addon", "destroy", "search", "--confirm", "search"]).expect_ok();
    hop.hop3(["addon", "recover", "search"]).expect_ok();
    hop.hop3(["addon", "bind", "search", "-a", "shop"]).expect_ok();
    assert!(finds(hop, "dragons").contains("\"title\""));
    hop.hop3(["addon", "unbind", "search", "-a", "shop"]).expect_ok();
    hop.hop3(["addon", "destroy", "search", "--confirm", "search", "--now"]).expect_ok();
    assert!(std::net::TcpStream::connect(("127.0.0.1", port)).is_err());
    assert!(hop.json(["addon", "list", "--json"]).as_array().unwrap().is_empty());
}

#[test]
fn search_moves_to_another_version() {
    let hop = Hop::start();
    let Some(version) = bring(&hop) else {
        return skip("search_moves_to_another_version", "there is no meilisearch on the path");
    };
    // The same program by another name: what is tried here is the move, not what a newer one makes of a dump.
    let program = hop.root().join("toolchains/meilisearch").join(&version).join("meilisearch");
    put(&hop, &program, "99.0.0");
    hop.hop3(["addon", "create", "meilisearch", "search", "--version", &version]).expect_ok();
    probe::push(&hop, "shop");
    hop.hop3(["addon", "bind", "search", "-a", "shop"]).expect_ok();
    adds(&hop, "dragons");
    let key = || inside(&hop, "shop", "echo $MEILISEARCH_URL $MEILISEARCH_KEY");
    let before = key();
    hop.hop3(["addon", "upgrade", "search", "99.0.0"]).expect_ok();
    assert_ne!(key(), before);
    assert!(finds(&hop, "dragons").contains("\"title\""));
    adds(&hop, "unicorns");
    let info = hop.json(["addon", "info", "search", "--json"]);
    assert_eq!(info["addon"]["version"], "99.0.0", "{info}");
}
