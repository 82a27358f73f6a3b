// SPDX-License-Identifier: Apache-2.0
//! Assignments win over the file, key by key, and are checked as the file is.

use super::{Assignments, assignment, entries, overlay};
use crate::config::load;
use crate::policy::Policy;
use crate::source::SourceTree;
use serde_json::{Value, json};

fn file(text: &str) -> Policy {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("hop3.toml"), text).unwrap();
    load(&SourceTree::open(folder.path()).unwrap()).unwrap().proxy
}

fn set(pairs: &[&str]) -> Assignments {
    pairs.iter().map(|pair| assignment(pair).unwrap()).collect()
}

#[test]
fn values_are_toml_where_they_can_be() {
    let value = |text: &str| assignment(text).unwrap().1;
    assert_eq!(value("sticky=true"), json!(true));
    assert_eq!(value("canonical-host=example.org"), json!("example.org"));
    assert_eq!(value("max-body-size=50m"), json!("50m"));
    assert_eq!(value("allow=[\"10.0.0.0/8\"]"), json!(["10.0.0.0/8"]));
    assert_eq!(value("x=a\nb=1"), json!("a\nb=1"));
    assert_eq!(value("x="), Value::String(String::new()));
    for bad in ["sticky", "=1", "a b=1", "a\n=1", "a.=1", "[x]=1", "a={b=1", "a#=1"] {
        assert!(bad == "a={b=1" || assignment(bad).is_err(), "{bad}");
    }
}

#[test]
fn assignments_win_key_by_key() {
    let file = file("[proxy]\nsticky = true\n[proxy.maintenance]\npage = \"down.html\"\n");
    let policy = overlay(
        &file,
        &set(&["maintenance.on=true", "error-pages.404=404.html", "request-headers.set.X-A=1"]),
    )
    .unwrap();
    let maintenance = policy.maintenance.unwrap();
    assert!(policy.sticky && maintenance.on);
    assert_eq!(maintenance.page.as_deref(), Some("down.html"));
    assert_eq!(policy.error_pages["404"], "404.html");
    assert_eq!(policy.request_headers.set["X-A"], "1");
}

#[test]
fn what_the_file_may_not_say_cannot_be_set() {
    for (pair, code) in [
        ("stiky=true", "config.unknown-key"),
        ("response-headers.set.X=\"a\\r\\nb\"", "config.bad-header"),
        ("basic-auth.users.ada=secret-word", "config.bad-password"),
        ("rate-limits=[{path=\"/\"}]", "config.missing-key"),
        ("sticky=3", "config.wrong-type"),
    ] {
        assert_eq!(overlay(&Policy::default(), &set(&[pair])).unwrap_err().code, code, "{pair}");
    }
}

/// What is told key by key is the policy: setting all of it gives the same.
#[test]
fn a_policy_can_be_set_from_its_own_entries() {
    let every = std::fs::read_to_string(
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/config/valid/proxy.toml"),
    );
    let policy = file(&every.unwrap());
    assert_eq!(overlay(&policy, &set(&["sticky=true"])).unwrap(), policy);
    assert_eq!(overlay(&Policy::default(), &entries(&policy)).unwrap(), policy);
}
