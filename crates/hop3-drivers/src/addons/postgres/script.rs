// SPDX-License-Identifier: Apache-2.0
//! What is asked of psql: scripts whose names and passwords are Hop3's own making, checked once more where they are
//! put between quotes.

use super::super::{number, plain};
use hop3_core::addon::WantedAddon;
use hop3_core::{Kind, Problem};

/// On a shared server nobody may take all.
const CONNECTIONS: &str = "20";

/// So many may come in at the same time.
pub(super) fn connections(addon: &WantedAddon) -> Result<u16, Problem> {
    let limit = addon.settings.get("connections").map_or(CONNECTIONS, String::as_str);
    Ok(number("connections", limit)?.parse().unwrap_or_default())
}

/// The role, the database and its logins.
pub(super) fn provision(addon: &WantedAddon) -> Result<String, Problem> {
    let database = &addon.database;
    let mut script = make_role(database);
    script += &format!(
        r#"SELECT 'CREATE DATABASE "{database}" OWNER "{database}" TEMPLATE template0' WHERE NOT EXISTS
               (SELECT FROM pg_database WHERE datname = '{database}') \gexec
           REVOKE ALL ON DATABASE "{database}" FROM PUBLIC;
           ALTER DATABASE "{database}" CONNECTION LIMIT {};
        "#,
        connections(addon)?
    );
    for credential in &addon.credentials {
        let (user, password) = (plain(&credential.user)?, plain(credential.password.expose())?);
        script += &make_role(user);
        script += &format!(
            r#"ALTER ROLE "{user}" LOGIN PASSWORD '{password}';
               GRANT "{database}" TO "{user}";
               ALTER ROLE "{user}" SET role = '{database}';
            "#
        );
    }
    Ok(script)
}

fn make_role(name: &str) -> String {
    format!(
        r#"SELECT 'CREATE ROLE "{name}"' WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{name}') \gexec
        "#
    )
}

/// In the database itself: extensions, and an end to the logins that are no more.
pub(super) fn inside(addon: &WantedAddon) -> Result<String, Problem> {
    let database = &addon.database;
    let mut script = extensions(addon)?;
    let valid: Vec<&str> = addon.credentials.iter().map(|credential| credential.user.as_str()).collect();
    let former = format!(
        "FROM pg_roles r JOIN pg_auth_members m ON m.member = r.oid JOIN pg_roles o ON o.oid = m.roleid
         WHERE o.rolname = '{database}' AND r.rolname NOT IN ('{}')",
        valid.join("', '")
    );
    script += &format!(
        r#"SELECT format('ALTER ROLE %I NOLOGIN', r.rolname) {former} \gexec
           SELECT format('SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = %L', r.rolname) {former} \gexec
           SELECT format('REASSIGN OWNED BY %1$I TO %2$I; DROP OWNED BY %1$I; DROP ROLE %1$I', r.rolname, o.rolname) {former} \gexec
        "#
    );
    Ok(script)
}

/// Those that anybody may make belong to the addon, the others to the administrator.
pub(super) fn extensions(addon: &WantedAddon) -> Result<String, Problem> {
    let Some(list) = addon.settings.get("extensions") else { return Ok(String::new()) };
    let database = &addon.database;
    let names = list.split(',').map(str::trim).filter(|name| !name.is_empty());
    let make = names.map(|name| {
        let name = extension(name)?;
        Ok(format!(
            r#"SELECT CASE WHEN EXISTS (SELECT FROM pg_available_extension_versions
                   WHERE name = '{name}' AND trusted) THEN 'SET ROLE "{database}"' ELSE 'RESET ROLE' END \gexec
               SET search_path = public;
               CREATE EXTENSION IF NOT EXISTS "{name}";
               RESET search_path;
               RESET ROLE;
            "#
        ))
    });
    make.collect()
}

pub(super) fn status(addon: &WantedAddon) -> String {
    let database = &addon.database;
    format!(
        "SELECT current_setting('server_version'),
                (SELECT pg_database_size(oid) FROM pg_database WHERE datname = '{database}'),
                (SELECT count(*) FROM pg_stat_activity WHERE datname = '{database}');"
    )
}

/// An empty database beside the addon's.
pub(super) fn fresh(addon: &WantedAddon, name: &str) -> String {
    let owner = &addon.database;
    drop_database(name)
        + &format!(
            r#"CREATE DATABASE "{name}" OWNER "{owner}" TEMPLATE template0;
               REVOKE ALL ON DATABASE "{name}" FROM PUBLIC;
            "#
        )
}

/// Puts the database beside in the place of the addon's.
pub(super) fn swap(addon: &WantedAddon, name: &str) -> String {
    let (database, limit) = (&addon.database, addon.settings.get("connections"));
    let former = format!("{database}_former");
    let limit = limit.map_or(CONNECTIONS, String::as_str);
    let end = end_connections(database);
    drop_database(&former)
        + &format!(
            r#"ALTER DATABASE "{database}" CONNECTION LIMIT 0;
               {end}
               ALTER DATABASE "{database}" RENAME TO "{former}";
               ALTER DATABASE "{name}" RENAME TO "{database}";
               ALTER DATABASE "{database}" CONNECTION LIMIT {limit};
            "#
        )
        + &drop_database(&former)
}

fn end_connections(database: &str) -> String {
    format!(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{database}' \\g /dev/null"
    )
}

pub(super) fn drop_database(name: &str) -> String {
    format!("DROP DATABASE IF EXISTS \"{name}\" WITH (FORCE);\n")
}

pub(super) fn drop_roles(addon: &WantedAddon) -> String {
    let database = &addon.database;
    format!(
        r#"SELECT format('DROP ROLE %I', r.rolname) FROM pg_roles r JOIN pg_auth_members m ON m.member = r.oid
               JOIN pg_roles o ON o.oid = m.roleid WHERE o.rolname = '{database}' \gexec
           DROP ROLE IF EXISTS "{database}";
        "#
    )
}

fn extension(name: &str) -> Result<&str, Problem> {
    if name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-')) {
        return Ok(name);
    }
    Err(Problem::new(Kind::User, "addon.bad-option", "this is not the name of an extension")
        .detail(name.escape_debug().to_string())
        .hint("names are letters, digits, _ and -, separated by commas: pg_trgm,hstore"))
}

/// A name between quotes, whatever it is made of.
pub(super) fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A text between quotes; `standard_conforming_strings` is on unless an app turned it off, so no backslash is bare.
pub(super) fn literal(text: &str) -> String {
    format!(" E'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
}

/// A transaction in which every name is written with its schema.
pub(super) fn begin() -> String {
    "SELECT pg_catalog.set_config('search_path', '', false);\nBEGIN;\n".to_owned()
}

/// Takes foreign keys, triggers and rows from a table until the end of the transaction.
pub(super) fn empty_table(table: &str) -> String {
    let this = format!("{}::pg_catalog.regclass", literal(table));
    begin()
        + &format!(
            r#"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE;
CREATE TEMP TABLE hop3_key ON COMMIT DROP AS
    SELECT format('%I.%I', n.nspname, c.relname) AS owner, k.conname AS name, pg_get_constraintdef(k.oid) AS rule
    FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE k.contype = 'f' AND k.conparentid = 0 AND {this} IN (k.conrelid, k.confrelid);
CREATE TEMP TABLE hop3_trigger ON COMMIT DROP AS SELECT tgname AS name,
    CASE tgenabled WHEN 'A' THEN 'ENABLE ALWAYS' WHEN 'R' THEN 'ENABLE REPLICA' ELSE 'ENABLE' END AS state
    FROM pg_trigger WHERE tgrelid = {this} AND NOT tgisinternal AND tgenabled <> 'D';
SELECT format('ALTER TABLE %s DROP CONSTRAINT %I', owner, name) FROM pg_temp.hop3_key \gexec
SELECT format('ALTER TABLE %s DISABLE TRIGGER %I', {quoted}, name) FROM pg_temp.hop3_trigger \gexec
DELETE FROM {table};
"#,
            quoted = literal(table)
        )
}

/// Gives them back, lets what counts upwards go on above what is there, and ends the transaction.
pub(super) fn end_table(table: &str) -> String {
    let quoted = literal(table);
    format!(
        r#"SELECT format('ALTER TABLE %s ADD CONSTRAINT %I %s', owner, name, rule) FROM pg_temp.hop3_key \gexec
SELECT format('ALTER TABLE %s %s TRIGGER %I', {quoted}, state, name) FROM pg_temp.hop3_trigger \gexec
SELECT format('SELECT setval(%1$L, most) FROM (SELECT max(%2$I) AS most FROM %3$s) AS held, %1$s AS counter
        WHERE most > counter.last_value', counter, name, {quoted})
    FROM (SELECT attname AS name, pg_get_serial_sequence({quoted}, attname) AS counter FROM pg_attribute
        WHERE attrelid = {quoted}::pg_catalog.regclass AND attnum > 0 AND NOT attisdropped) AS columns
    WHERE counter IS NOT NULL \gexec
COMMIT;
"#
    )
}
