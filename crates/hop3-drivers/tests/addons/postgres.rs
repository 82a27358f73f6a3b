// SPDX-License-Identifier: Apache-2.0
//! A database belongs to its app, and the administrator comes into it: nothing that the app has put there may run in his
//! name.

use crate::clients::Postgres;
use crate::world::World;

/// Functions and operators of the product's own names, and a wish that they are found first.
const TRAP: &str = r"
CREATE SCHEMA trap; CREATE TABLE trap.ran (who text);
CREATE FUNCTION trap.note() RETURNS void LANGUAGE plpgsql SECURITY INVOKER
    AS 'BEGIN INSERT INTO trap.ran VALUES (current_user); END';
CREATE FUNCTION trap.same(name, name) RETURNS boolean LANGUAGE plpgsql
    AS 'BEGIN PERFORM trap.note(); RETURN pg_catalog.nameeq($1, $2); END';
CREATE OPERATOR trap.= (LEFTARG = name, RIGHTARG = name, FUNCTION = trap.same);
CREATE FUNCTION trap.format(text, name) RETURNS text LANGUAGE plpgsql
    AS 'BEGIN PERFORM trap.note(); RETURN NULL; END';
ALTER DATABASE sly_1 SET search_path = trap, pg_catalog, public;
";

pub(crate) fn nothing_of_an_app_runs_as_the_administrator(world: &World) {
    let mut addon = world.make("sly_1");
    addon.settings.insert("extensions".to_owned(), "pg_trgm".to_owned());
    let binding = world.driver.provision(&addon).unwrap();
    Postgres::psql(&binding, TRAP).unwrap();
    world.driver.provision(&addon).unwrap();
    let counts = world.driver.counts().unwrap();
    let held = counts.backup_counted(&addon, &mut Vec::new()).unwrap().unwrap();
    assert_eq!(held.parts.into_keys().collect::<Vec<_>>(), ["trap.ran"]);
    counts.count(&addon).unwrap();
    let ran = Postgres::psql(&binding, "SELECT who FROM trap.ran").unwrap();
    assert!(!ran.contains("postgres"), "{ran}");
    world.driver.retire(&addon.server).unwrap();
}
