// SPDX-License-Identifier: Apache-2.0
//! What the server is told: files whose names and passwords are Hop3's own making, checked once more where they are
//! put between quotes.

use crate::addons::{number, plain};
use hop3_core::Problem;
use hop3_core::addon::{AddonServer, WantedAddon};
use std::hash::{DefaultHasher, Hash, Hasher};

/// The administrator's user.
pub(super) const ADMIN: &str = "hop3";
/// Tells which accounts the server knows by letting this one in.
pub(super) const MARK: &str = "mark";

/// What stays as it is while the server runs.
pub(super) fn server(server: &AddonServer) -> String {
    format!(
        "listen: \"127.0.0.1:{}\"\n\
         server_name: \"{}\"\n\
         jetstream {{ store_dir: \"jetstream\" }}\n\
         include \"accounts.conf\"\n",
        server.port, server.name
    )
}

/// Everybody who may come in.
pub(super) fn accounts(server: &AddonServer, accounts: &str, mark: &str) -> Result<String, Problem> {
    let password = plain(server.password.expose())?;
    Ok(format!(
        "system_account: HOP3\n\
         accounts {{\n\
         HOP3 {{ users: [\n\
         {{ user: \"{ADMIN}\", password: \"{password}\" }}\n\
         {{ user: \"{MARK}\", password: \"{mark}\", permissions: {{ publish: {{ deny: \">\" }}, \
         subscribe: {{ deny: \">\" }} }} }}\n\
         ] }}\n\
         {accounts}}}\n"
    ))
}

/// The account of an addon.
pub(super) fn account(addon: &WantedAddon) -> Result<String, Problem> {
    let megabytes = |option: &str, usual: &str| -> Result<u64, Problem> {
        let text = addon.settings.get(option).map_or(usual, String::as_str);
        let count: u64 = number(option, text)?.parse().unwrap_or_default();
        Ok(count << 20)
    };
    let (disk, memory) = (megabytes("disk", "1024")?, megabytes("memory", "64")?);
    let users = addon.credentials.iter().map(|credential| {
        let (user, password) = (plain(&credential.user)?, plain(credential.password.expose())?);
        Ok(format!("{{ user: \"{user}\", password: \"{password}\" }}\n"))
    });
    let users: String = users.collect::<Result<_, Problem>>()?;
    let name = plain(&addon.database)?;
    Ok(format!("{name} {{\njetstream {{ max_file: {disk}, max_mem: {memory} }}\nusers: [\n{users}] }}\n"))
}

/// Another one for other accounts.
pub(super) fn mark(accounts: &str) -> String {
    let mut hasher = DefaultHasher::new();
    accounts.hash(&mut hasher);
    format!("m{:016x}", hasher.finish())
}
