// SPDX-License-Identifier: Apache-2.0
//! Names of keys, and what the server is told.

use super::{config, keys};
use hop3_core::addon::{AddonServer, Credential};
use hop3_core::secret::Secret;

fn named(user: &str, password: &str) -> String {
    keys::name(&Credential { user: user.to_owned(), password: Secret::new(password.to_owned()) })
}

#[test]
fn a_credential_has_a_key_of_its_own_and_always_the_same() {
    let name = named("books_1_1", "secret");
    assert_eq!(name, named("books_1_1", "secret"));
    let parts: Vec<usize> = name.split('-').map(str::len).collect();
    assert_eq!(parts, [8, 4, 4, 4, 12], "{name}");
    assert!(name[14..].starts_with('4') && "89ab".contains(&name[19..20]), "{name}");
    for (user, password) in [("books_1_2", "secret"), ("books_1_1", "secres"), ("books_1_1s", "ecret")] {
        assert_ne!(named(user, password), name);
    }
}

#[test]
fn memory_is_a_number_with_its_unit() {
    let told = |memory: &str| {
        config::server(&AddonServer {
            name: "meilisearch-1".parse().unwrap(),
            kind: "meilisearch".parse().unwrap(),
            version: "1.21.0".to_owned(),
            user: None,
            port: 15_000,
            password: Secret::new("ofTheAdministrator".to_owned()),
            pooler: None,
            settings: [("memory".to_owned(), memory.to_owned())].into(),
        })
    };
    assert!(told("512mb").unwrap().ends_with("max_indexing_memory = \"512 MiB\"\n"));
    assert!(told("2gb").unwrap().ends_with("max_indexing_memory = \"2 GiB\"\n"));
    for bad in ["", "512", "mb", "0mb", "-1mb", "1 mb", "5tb", "1mb\"\nmaster_key = \"x", "99999999999mb"] {
        assert_eq!(told(bad).err().unwrap().code, "addon.bad-option", "{bad}");
    }
}
