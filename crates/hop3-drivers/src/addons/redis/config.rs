// SPDX-License-Identifier: Apache-2.0
//! What Redis is told: its configuration, its users, and what these may do.

use super::super::plain;
use hop3_core::addon::{AddonServer, WantedAddon};
use hop3_core::{Kind, Problem};
use std::path::Path;

pub(super) const ADMIN: &str = "hop3";

/// Beneath the server's directory, which others may look into; these they may not.
pub(super) const FILE: &str = "conf/redis.conf";
pub(super) const USERS: &str = "conf/users.acl";
pub(super) const SOCKET: &str = "run/socket";

pub(super) const OPTIONS: [(&str, &str); 3] = [
    ("memory", "so much at most: 64mb; as much as there is unless set"),
    (
        "eviction",
        "what to forget when that is full: noeviction, allkeys-lru, volatile-ttl, …; nothing unless set",
    ),
    (
        "durable",
        "yes: what was answered is on the disk; otherwise the last second may be lost with the machine",
    ),
];

const EVICTIONS: [&str; 8] = [
    "noeviction",
    "allkeys-lru",
    "allkeys-lfu",
    "allkeys-random",
    "volatile-lru",
    "volatile-lfu",
    "volatile-random",
    "volatile-ttl",
];

/// All that concerns the data; nothing that concerns the server, other users or other machines. Of what Redis calls
/// dangerous, that which apps' frameworks use and which touches their own data alone.
const RIGHTS: &str =
    "~* &* +@all -@admin -@dangerous +info +keys +flushdb +flushall +sort +sort_ro +restore +swapdb";

/// A backup is data for a replica, which must not wait for others to join.
pub(super) fn server(server: &AddonServer, directory: &Path) -> String {
    let shown = |name: &str| directory.join(name).display().to_string();
    format!(
        "bind 127.0.0.1\nport {}\nunixsocket \"{}\"\nunixsocketperm 700\ndir \"{}\"\naclfile \"{}\"\n\
         appendonly yes\nappendfsync everysec\nsave \"\"\nrepl-diskless-sync-delay 0\n",
        server.port,
        shown(SOCKET),
        shown("data"),
        shown(USERS)
    )
}

pub(super) fn users(server: &AddonServer) -> Result<String, Problem> {
    let password = plain(server.password.expose())?;
    Ok(format!("user default off\nuser {ADMIN} on >{password} ~* &* +@all\n"))
}

pub(super) fn let_in(addon: &WantedAddon) -> Result<String, Problem> {
    let each = addon.credentials.iter().map(|credential| {
        let (user, password) = (plain(&credential.user)?, plain(credential.password.expose())?);
        Ok(format!("ACL SETUSER {user} reset on >{password} {RIGHTS}\n"))
    });
    each.chain([Ok("ACL SAVE\n".to_owned())]).collect()
}

/// Ends their connections too.
pub(super) fn keep_out(users: &[String]) -> Result<String, Problem> {
    let each = users.iter().map(|user| Ok(format!("ACL DELUSER {}\n", plain(user)?)));
    each.chain([Ok("ACL SAVE\n".to_owned())]).collect()
}

pub(super) fn settings(addon: &WantedAddon) -> Result<String, Problem> {
    let option = |name: &str| addon.settings.get(name).map(String::as_str);
    let memory = option("memory").unwrap_or("0").to_ascii_lowercase();
    let unit = memory.trim_start_matches(|c: char| c.is_ascii_digit());
    if unit.len() == memory.len() || !["", "b", "kb", "mb", "gb"].contains(&unit) {
        return Err(bad("memory", &memory, "a number with its unit, such as 64mb"));
    }
    let eviction = option("eviction").unwrap_or("noeviction");
    if !EVICTIONS.contains(&eviction) {
        return Err(bad("eviction", eviction, &EVICTIONS.join(", ")));
    }
    let fsync = match option("durable").unwrap_or("no") {
        "yes" => "always",
        "no" => "everysec",
        other => return Err(bad("durable", other, "yes or no")),
    };
    Ok(format!(
        "CONFIG SET maxmemory {memory} maxmemory-policy {eviction} appendfsync {fsync}\nCONFIG REWRITE\n"
    ))
}

fn bad(option: &str, value: &str, expected: &str) -> Problem {
    let title = format!("{option} cannot be \"{}\"", value.escape_debug());
    Problem::new(Kind::User, "addon.bad-option", title).hint(format!("it is {expected}"))
}

#[cfg(test)]
mod tests;
