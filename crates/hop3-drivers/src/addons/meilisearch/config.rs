// SPDX-License-Identifier: Apache-2.0
//! What the server is told, in a file that only its user can read: the master key is in it.

use crate::addons::plain;
use hop3_core::addon::AddonServer;
use hop3_core::{Kind, Problem};

pub(super) const FILE: &str = "server.toml";

pub(super) const MEMORY: (&str, &str) =
    ("memory", "so much at most while it indexes: 2gb for many documents at once; 256mb unless set");

/// Of itself the server would take two thirds of the machine, and prepares all of it for every document.
const USUAL_MEMORY: &str = "256mb";

/// Paths are beneath the server's directory, where it is started.
pub(super) fn server(server: &AddonServer) -> Result<String, Problem> {
    let memory = memory(server.settings.get(MEMORY.0).map_or(USUAL_MEMORY, String::as_str))?;
    Ok(format!(
        "master_key = \"{}\"\n\
         http_addr = \"127.0.0.1:{}\"\n\
         db_path = \"data/db\"\n\
         dump_dir = \"data/dumps\"\n\
         env = \"production\"\n\
         no_analytics = true\n\
         log_level = \"WARN\"\n\
         max_indexing_memory = \"{memory}\"\n",
        plain(server.password.expose())?,
        server.port
    ))
}

/// `512mb` as Meilisearch writes it.
fn memory(text: &str) -> Result<String, Problem> {
    let unit = text.trim_start_matches(|c: char| c.is_ascii_digit());
    let count = &text[..text.len() - unit.len()];
    match (count.parse::<u32>(), unit) {
        (Ok(1..), "mb") => Ok(format!("{count} MiB")),
        (Ok(1..), "gb") => Ok(format!("{count} GiB")),
        _ => {
            let title = format!("memory cannot be \"{}\"", text.escape_debug());
            Err(Problem::new(Kind::User, "addon.bad-option", title)
                .hint("it is a number with its unit, such as 512mb or 2gb"))
        }
    }
}
