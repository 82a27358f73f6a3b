// SPDX-License-Identifier: Apache-2.0
//! What a plugin can reach, and who vouches for it: sandbox, permissions, signed bundles.

use crate::harness::{Hop, example, fixture, skip};
use crate::isolation::open_hop;
use crate::plugin::{install, lacks_tools};
use std::path::{Path, PathBuf};
use std::process::Command;

#[test]
fn a_plugin_reaches_nothing_that_it_was_not_allowed() {
    let test = "a_plugin_reaches_nothing_that_it_was_not_allowed";
    if lacks_tools(test) {
        return;
    }
    if !rustix::process::geteuid().is_root() {
        return skip(test, "plugins have users of their own as root only");
    }
    let hop = open_hop();
    let spy = hop.scratch().join("spy");
    std::fs::create_dir(&spy).unwrap();
    let program = "hop3-plugin-spy";
    std::fs::copy(fixture("plugins/spy").join(program), spy.join(program)).unwrap();
    install(&hop, &spy);
    install(&hop, &example("plugins/teller"));
    let inside = |path: &str| hop.root().join(path).display().to_string();
    let port = hop.port.to_string();
    let closed = [
        "hop3.db",
        "secret.key",
        "plugins/spy/files/hop3-plugin-spy",
        "plugins/teller/files/hop3-plugin-teller",
    ]
    .map(inside);
    let look = || {
        let asked =
            ["plugin", "run", "spy", "look", &port].map(str::to_owned).into_iter().chain(closed.clone());
        hop.hop3(asked).expect_ok().stdout
    };
    let seen = look();
    assert!(!seen.contains("user 0\n") && !seen.contains("REACHED"), "{seen}");
    let own = hop.hop3(["plugin", "run", "spy", "look", &inside("plugins/spy/data/note")]).expect_ok();
    assert!(own.text.contains("REACHED"), "{}", own.text);

    // The network comes with the permission, which is shown.
    std::fs::write(spy.join("network"), "").unwrap();
    let asked = hop.hop3(["plugin", "install", spy.to_str().unwrap(), "--unsigned"]);
    assert!(asked.text.contains("reach the network"), "{}", asked.text);
    hop.hop3(["plugin", "enable", "spy", "--yes"]).expect_ok();
    let seen = look();
    assert!(seen.contains(&format!("REACHED {port}\n")), "{seen}");
    assert_eq!(seen.matches("REACHED").count(), 1, "{seen}");
}

/// Makes a key and a bundle of a sample signed with it.
fn bundle(hop: &Hop, folder: &Path) -> (PathBuf, String) {
    let (key, file) = (hop.scratch().join("maker.key"), hop.scratch().join("maker.hop3plugin"));
    let made = hop.hop3(["plugin", "key", "create", key.to_str().unwrap(), "--json"]).expect_ok();
    let made: serde_json::Value = serde_json::from_str(&made.stdout).unwrap();
    use std::os::unix::fs::PermissionsExt;
    assert_eq!(std::fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
    let words = ["plugin", "bundle", folder.to_str().unwrap(), "--key", key.to_str().unwrap()];
    hop.hop3(words.into_iter().chain(["--out", file.to_str().unwrap()])).expect_ok();
    (file, made["public_key"].as_str().unwrap().to_owned())
}

#[test]
fn a_signed_bundle_is_taken_from_whom_the_operator_trusts() {
    if lacks_tools("a_signed_bundle_is_taken_from_whom_the_operator_trusts") {
        return;
    }
    let hop = Hop::start();
    let (file, public) = bundle(&hop, &example("plugins/maker"));
    let take = || hop.hop3(["plugin", "install", file.to_str().unwrap(), "--yes"]);
    let refused = take();
    assert!(refused.text.contains("plugin.unknown-key"), "{}", refused.text);
    hop.hop3(["plugin", "key", "trust", "ada", &public]).expect_ok();
    take().expect_ok();
    assert_eq!(hop.json(["plugin", "info", "maker", "--json"])["signed_by"], "ada");
    assert_eq!(hop.json(["plugin", "key", "list", "--json"])[0]["name"], "ada");
    hop.hop3(["plugin", "key", "remove", "ada"]).expect_ok();
    assert!(take().text.contains("plugin.unknown-key"));
}

#[test]
fn a_bundle_that_was_altered_is_refused() {
    if lacks_tools("a_bundle_that_was_altered_is_refused") {
        return;
    }
    let hop = Hop::start();
    let (file, public) = bundle(&hop, &example("plugins/maker"));
    hop.hop3(["plugin", "key", "trust", "ada", &public]).expect_ok();
    let folder = hop.scratch().join("altered");
    let unpack = || {
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir(&folder).unwrap();
        let mut tar = Command::new("tar");
        tar.args(["-xf".as_ref(), file.as_os_str(), "-C".as_ref(), folder.as_os_str()]);
        hop.said(&mut tar).expect_ok();
    };
    let refused = |what: &str| {
        let said = hop.hop3(["plugin", "install", folder.to_str().unwrap(), "--unsigned", "--yes"]);
        assert!(said.text.contains("plugin.altered") && said.text.contains(what), "{}", said.text);
    };
    unpack();
    let program = folder.join("hop3-plugin-maker");
    let text = std::fs::read_to_string(&program).unwrap();
    std::fs::write(&program, text.replace("0.1.0", "0.1.1")).unwrap();
    refused("hop3-plugin-maker");
    unpack();
    std::fs::write(folder.join("sitecustomize.py"), "print('hello')").unwrap();
    refused("sitecustomize.py");
    unpack();
    std::os::unix::fs::symlink("hop3-plugin-maker", folder.join("link")).unwrap();
    refused("link");
    unpack();
    let manifest = folder.join("hop3-bundle.json");
    let text = std::fs::read_to_string(&manifest).unwrap();
    std::fs::write(&manifest, text.replace("maker", "baker")).unwrap();
    let said = hop.hop3(["plugin", "install", folder.to_str().unwrap(), "--yes"]);
    assert!(said.text.contains("plugin.unknown-key"), "{}", said.text);
}
