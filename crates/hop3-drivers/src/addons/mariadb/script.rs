// SPDX-License-Identifier: Apache-2.0
//! What is asked of MariaDB: statements whose names and passwords are Hop3's own making, and names of tables that are
//! apps' own, quoted.

use super::super::{number, plain};
use hop3_core::Problem;
use hop3_core::addon::WantedAddon;

/// On a shared server nobody may take all.
const CONNECTIONS: &str = "20";

/// Where a restored database is made, and where the one that it replaces waits until all is well.
pub(super) fn fresh(addon: &WantedAddon) -> String {
    format!("{}_restored", addon.database)
}

pub(super) fn former(addon: &WantedAddon) -> String {
    format!("{}_former", addon.database)
}

/// In grants the name of a database is a pattern, in which `_` is any character.
fn pattern(database: &str) -> String {
    database.replace('_', "\\_")
}

pub(super) fn provision(addon: &WantedAddon) -> Result<String, Problem> {
    let database = &addon.database;
    let limit = addon.settings.get("connections").map_or(CONNECTIONS, String::as_str);
    let limit = number("connections", limit)?;
    let mut script = format!("CREATE DATABASE IF NOT EXISTS `{database}`;\n");
    for credential in &addon.credentials {
        let (user, password) = (plain(&credential.user)?, plain(credential.password.expose())?);
        script += &format!(
            "CREATE USER IF NOT EXISTS '{user}'@'%';
             ALTER USER '{user}'@'%' IDENTIFIED VIA mysql_native_password USING PASSWORD('{password}')
                 WITH MAX_USER_CONNECTIONS {limit} ACCOUNT UNLOCK;
             GRANT ALL PRIVILEGES ON `{}`.* TO '{user}'@'%';\n",
            pattern(database)
        );
    }
    Ok(script)
}

/// Everybody who was ever let in.
pub(super) fn users(addon: &WantedAddon) -> String {
    // Twice: once for the pattern, once for the quotes.
    format!("SELECT User FROM mysql.db WHERE Db = '{}';", pattern(&addon.database).replace('\\', "\\\\"))
}

/// Ends their connections, and lets them in no more.
pub(super) fn lock(users: &[&str]) -> Result<String, Problem> {
    let each = users.iter().map(|user| {
        let user = plain(user)?;
        Ok(format!("ALTER USER '{user}'@'%' ACCOUNT LOCK;\nKILL USER '{user}'@'%';\n"))
    });
    each.collect()
}

pub(super) fn status(addon: &WantedAddon) -> String {
    let database = &addon.database;
    format!(
        "SELECT (SELECT count(*) FROM information_schema.schemata WHERE schema_name = '{database}'),
                (SELECT coalesce(sum(data_length + index_length), 0) FROM information_schema.tables
                 WHERE table_schema = '{database}'),
                (SELECT count(*) FROM information_schema.processlist WHERE db = '{database}'), version();"
    )
}

pub(super) fn destroy(addon: &WantedAddon, users: &[&str]) -> Result<String, Problem> {
    let mut script = lock(users)? + &clear(addon);
    script += &format!("DROP DATABASE IF EXISTS `{}`;\n", addon.database);
    for user in users {
        script += &format!("DROP USER IF EXISTS '{user}'@'%';\n");
    }
    Ok(script)
}

/// No database beside the addon's own.
pub(super) fn clear(addon: &WantedAddon) -> String {
    format!("DROP DATABASE IF EXISTS `{}`;\nDROP DATABASE IF EXISTS `{}`;\n", fresh(addon), former(addon))
}

/// An empty database beside the addon's, in which its user may do what he may in his own.
pub(super) fn make_fresh(addon: &WantedAddon) -> Result<String, Problem> {
    let (fresh, user) = (fresh(addon), plain(&addon.credential().user)?);
    Ok(clear(addon)
        + &format!(
            "CREATE DATABASE `{fresh}`;\nGRANT ALL PRIVILEGES ON `{}`.* TO '{user}'@'%';\n",
            pattern(&fresh)
        ))
}

pub(super) fn forget_fresh(addon: &WantedAddon) -> Result<String, Problem> {
    let user = plain(&addon.credential().user)?;
    Ok(clear(addon)
        + &format!("REVOKE ALL PRIVILEGES ON `{}`.* FROM '{user}'@'%';\n", pattern(&fresh(addon))))
}

/// Names of tables and sequences, in hexadecimal digits, since they may be anything.
pub(super) fn tables(database: &str) -> String {
    format!(
        "SELECT hex(table_name) FROM information_schema.tables
         WHERE table_schema = '{database}' AND table_type <> 'VIEW';"
    )
}

/// The same of those that hold rows.
pub(super) fn filled(database: &str) -> String {
    format!(
        "SELECT hex(table_name) FROM information_schema.tables
         WHERE table_schema = '{database}' AND table_type IN ('BASE TABLE', 'SYSTEM VERSIONED');"
    )
}

/// For each table its name in hexadecimal digits, and how many rows it has.
pub(super) fn count(tables: &[String]) -> String {
    let each = tables.iter().map(|table| {
        let digits: String = table.bytes().map(|byte| format!("{byte:02x}")).collect();
        format!("SELECT '{digits}', count(*) FROM `{}`;\n", table.replace('`', "``"))
    });
    each.collect()
}

pub(super) fn views(database: &str) -> String {
    format!("SELECT hex(table_name) FROM information_schema.views WHERE table_schema = '{database}';")
}

/// In the same way, a statement for each thing that no table can be renamed with.
pub(super) fn take_away(database: &str) -> String {
    let kinds = [
        ("'TRIGGER'", "trigger_name", "triggers", "trigger_schema"),
        ("'VIEW'", "table_name", "views", "table_schema"),
        ("routine_type", "routine_name", "routines", "routine_schema"),
        ("'EVENT'", "event_name", "events", "event_schema"),
    ];
    let each = kinds.map(|(word, name, table, schema)| {
        format!(
            "SELECT hex(concat('DROP ', {word}, ' `{database}`.`', replace({name}, '`', '``'), '`'))
             FROM information_schema.{table} WHERE {schema} = '{database}'"
        )
    });
    each.join(" UNION ALL ") + ";"
}

/// Moves tables from one database to another, all of them or none.
pub(super) fn rename(moves: &[(&str, &[String], &str)]) -> String {
    let quoted = |name: &str| name.replace('`', "``");
    let of = |(from, tables, to): &(&str, &[String], &str)| -> Vec<String> {
        let tables = tables.iter().map(|table| quoted(table));
        tables.map(|table| format!("`{from}`.`{table}` TO `{to}`.`{table}`")).collect()
    };
    let all: Vec<String> = moves.iter().flat_map(of).collect();
    if all.is_empty() {
        return String::new();
    }
    format!(
        "SET SESSION lock_wait_timeout = 30;\nSET FOREIGN_KEY_CHECKS = 0;\nRENAME TABLE {};\n",
        all.join(", ")
    )
}
