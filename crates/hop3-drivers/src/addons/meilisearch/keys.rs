// SPDX-License-Identifier: Apache-2.0
//! Who may come in. A credential is an API key of the server: the server makes it of its master key and of a name that
//! Hop3 makes of the credential, so that the same credential has the same key, also on data that came from elsewhere.

use super::api::{ask, order};
use hop3_core::Problem;
use hop3_core::addon::{AddonServer, Credential};
use serde_json::{Value, json};

/// All that concerns documents; nothing that concerns keys, the server's files or other servers.
const RIGHTS: [&str; 9] = [
    "search",
    "documents.*",
    "indexes.*",
    "settings.*",
    "tasks.*",
    "stats.*",
    "version",
    "experimental.get",
    "experimental.update",
];

/// Keys that are listed at once.
const PAGE: usize = 1000;

/// Lets exactly these in, and gives the last one's key.
pub(super) fn set(server: &AddonServer, credentials: &[Credential]) -> Result<String, Problem> {
    let keys = credentials.iter().map(|credential| made(server, credential));
    let key = keys.collect::<Result<Vec<_>, _>>()?.pop().unwrap_or_default();
    let names: Vec<String> = credentials.iter().map(name).collect();
    keep_out(server, &names)?;
    Ok(key)
}

/// Ends all keys but those, also the ones that a new server has of itself.
pub(super) fn keep_out(server: &AddonServer, names: &[String]) -> Result<(), Problem> {
    loop {
        let listed = order(server, "GET", &format!("/keys?limit={PAGE}"), None)?;
        let listed = listed["results"].as_array().cloned().unwrap_or_default();
        let known = listed.iter().filter_map(|key| key["uid"].as_str());
        let former: Vec<&str> = known.filter(|uid| !names.iter().any(|name| name == uid)).collect();
        for uid in &former {
            order(server, "DELETE", &format!("/keys/{uid}"), None)?;
        }
        if former.is_empty() {
            return Ok(());
        }
    }
}

/// The key of a credential, where the server knows it.
pub(super) fn find(server: &AddonServer, credential: &Credential) -> Result<Option<String>, Problem> {
    let answer = ask(server, "GET", &format!("/keys/{}", name(credential)), None)?;
    Ok(answer.body["key"].as_str().filter(|_| answer.is_success).map(str::to_owned))
}

fn made(server: &AddonServer, credential: &Credential) -> Result<String, Problem> {
    if let Some(key) = find(server, credential)? {
        return Ok(key);
    }
    let wanted = json!({
        "uid": name(credential),
        "name": credential.user,
        "actions": RIGHTS,
        "indexes": ["*"],
        "expiresAt": Value::Null,
    });
    let made = order(server, "POST", "/keys", Some(&wanted))?;
    Ok(made["key"].as_str().unwrap_or_default().to_owned())
}

/// FNV-1a of 128 bits, written as a UUID. It need be another one for another credential, and is no secret.
pub(super) fn name(credential: &Credential) -> String {
    const START: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;
    let bytes = credential.user.bytes().chain([0]).chain(credential.password.expose().bytes());
    let hash = bytes.fold(START, |hash, byte| (hash ^ u128::from(byte)).wrapping_mul(PRIME));
    let (version, variant) = (76, 60);
    let hash = hash & !(0xf << version) | (0x4 << version);
    let hash = hash & !(0xc << variant) | (0x8 << variant);
    let hex = format!("{hash:032x}");
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}
