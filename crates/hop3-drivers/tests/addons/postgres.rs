// SPDX-License-Identifier: Apache-2.0
//! What PostgreSQL has beside the contract: a pooler before it, tables that are read alone, and an administrator who comes
//! into databases that belong to apps.

use crate::clients::Postgres;
use crate::world::World;
use hop3_core::Problem;
use hop3_core::addon::{Binding, WantedAddon, WantedTable};
use std::process::Command;

fn psql(binding: &Binding, script: &str) -> Result<String, String> {
    Postgres::psql(binding, script).map(|said| said.trim().to_owned())
}

fn url(binding: &Binding) -> String {
    binding.variables[&"DATABASE_URL".parse().unwrap()].expose().clone()
}

fn direct(binding: &Binding) -> String {
    binding.variables[&"DATABASE_DIRECT_URL".parse().unwrap()].expose().clone()
}

/// What a client did to its session is nothing to the next one that gets the same connection.
pub(crate) fn sessions_begin_alike(world: &World) {
    let mut addon = world.bare("alike_1");
    addon.settings.insert("pool".into(), "session".into());
    addon.settings.insert("pool_size".into(), "1".into());
    world.driver.serve(&addon.server).unwrap();
    let binding = world.driver.provision(&addon).unwrap();
    let look =
        "SELECT pg_backend_pid(), current_user, current_setting('search_path'), current_setting('work_mem');";
    let first = psql(&binding, look).unwrap();
    assert!(first.contains("|alike_1|"), "{first}");
    psql(&binding, "RESET ROLE; SET search_path = nowhere; SET work_mem = '1MB'; CREATE TEMP TABLE x ();")
        .unwrap();
    assert_eq!(psql(&binding, look).unwrap(), first);
    assert!(psql(&binding, "SELECT * FROM x;").is_err());
    psql(&binding, "CREATE TABLE made ();").unwrap();
    let owner = psql(&binding, "SELECT tableowner FROM pg_tables WHERE tablename = 'made';").unwrap();
    assert_eq!(owner, "alike_1");
    world.driver.retire(&addon.server).unwrap();
}

/// An addon with a pooler, without one, with one again; killed in between.
pub(crate) fn pooler_comes_and_goes(world: &World) {
    let mut addon = world.make("comes_1");
    let plain = world.driver.provision(&addon).unwrap();
    psql(&plain, "CREATE TABLE kept AS SELECT 42 AS number;").unwrap();
    let place = world.layout.addon_server(&addon.server.name).join("pooler");
    assert!(!place.exists() && world.pid_of(&addon.server, "pooler").is_none());

    addon.settings.insert("pool".into(), "transaction".into());
    let pooled = world.driver.provision(&addon).unwrap();
    assert_ne!(url(&pooled), url(&plain));
    assert_eq!(psql(&pooled, "SELECT number FROM kept;").unwrap(), "42");
    let at_server =
        Command::new("psql").args(["-X", "-A", "-t", "-c", "SELECT 1", &direct(&pooled)]).output();
    assert_eq!(at_server.unwrap().stdout, b"1\n");
    let first = world.pid_of(&addon.server, "pooler").unwrap();
    let owner =
        std::fs::metadata(format!("/proc/{first}")).map(|proc| std::os::unix::fs::MetadataExt::uid(&proc));
    assert_eq!(owner.ok(), addon.server.pooler.unwrap().user.or(Some(rustix::process::geteuid().as_raw())));
    let status = world.driver.status(&addon).unwrap();
    let pool = status.pool.clone().unwrap();
    assert!(status.is_up && pool.mode == "transaction" && pool.connections >= 1, "{status:?}");
    for bad in [("pool", "yes"), ("pool_size", "0"), ("pool_size", "21"), ("pool_size", "x")] {
        let mut wrong: WantedAddon = addon.clone();
        wrong.settings.insert(bad.0.into(), bad.1.into());
        assert_eq!(world.driver.provision(&wrong).err().unwrap().code, "addon.bad-option", "{bad:?}");
    }

    // Another mode is taken while it runs; killed, it comes back; stopped with the server, with the server.
    addon.settings.insert("pool".into(), "session".into());
    let pooled = world.driver.provision(&addon).unwrap();
    assert_eq!(world.driver.status(&addon).unwrap().pool.unwrap().mode, "session");
    assert_eq!(world.pid_of(&addon.server, "pooler"), Some(first));
    let pid = rustix::process::Pid::from_raw(first as i32).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    world.driver.serve(&addon.server).unwrap();
    assert_eq!(psql(&pooled, "SELECT number FROM kept;").unwrap(), "42");
    assert_ne!(world.pid_of(&addon.server, "pooler"), Some(first));
    world.stop(&addon.server);
    assert!(!world.driver.status(&addon).unwrap().is_up);
    world.driver.serve(&addon.server).unwrap();
    assert_eq!(psql(&pooled, "SELECT number FROM kept;").unwrap(), "42");

    // Its apps are told first; then it is gone.
    addon.settings.insert("pool".into(), "ending".into());
    let told = world.driver.provision(&addon).unwrap();
    assert_eq!(url(&told), url(&plain));
    for binding in [&told, &pooled] {
        assert_eq!(psql(binding, "SELECT number FROM kept;").unwrap(), "42");
    }
    addon.settings.remove("pool");
    assert_eq!(url(&world.driver.provision(&addon).unwrap()), url(&plain));
    assert!(psql(&pooled, "SELECT 1;").is_err() && !place.exists());
    assert!(world.pid_of(&addon.server, "pooler").is_none());

    addon.settings.insert("pool".into(), "transaction".into());
    let pooled = world.driver.provision(&addon).unwrap();
    assert_eq!(psql(&pooled, "SELECT number FROM kept;").unwrap(), "42");
    world.driver.destroy(&addon).unwrap();
    world.driver.destroy(&addon).unwrap();
    assert!(psql(&pooled, "SELECT 1;").is_err() && !place.exists());
    world.driver.retire(&addon.server).unwrap();
}

const SHOP: &str = "
    CREATE TYPE state AS ENUM ('new', 'paid');
    CREATE TABLE customer (id serial PRIMARY KEY, name text);
    CREATE TABLE orders (id serial PRIMARY KEY, customer int REFERENCES customer, state state, changed int DEFAULT 0);
    CREATE TABLE line (orders int NOT NULL REFERENCES orders ON DELETE CASCADE, what text);
    CREATE INDEX by_state ON orders (state);
    CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.changed := 1; RETURN NEW; END';
    CREATE TRIGGER touch BEFORE INSERT OR UPDATE ON orders FOR EACH ROW EXECUTE FUNCTION touch();
    ALTER TABLE orders DISABLE TRIGGER touch;
    INSERT INTO customer (name) VALUES ('ada'), ('bob');
    INSERT INTO orders (customer, state) VALUES (1, 'new'), (1, 'paid'), (2, E'new');
    ALTER TABLE orders ENABLE TRIGGER touch;
    INSERT INTO line VALUES (1, 'tea'), (3, E'a\\nb\\tCOPY');
    CREATE SCHEMA \"Other\";
    CREATE TABLE \"Other\".\"Odd 'name\" (\"a %s \"\"b\" text);
    INSERT INTO \"Other\".\"Odd 'name\" VALUES ('odd');
    CREATE TABLE nothing (id int);
";

/// An addon with tables, and a backup of it.
struct Shop<'a> {
    world: &'a World,
    addon: WantedAddon,
    binding: Binding,
    backup: Vec<u8>,
}

const ROWS: &str =
    "SELECT string_agg(concat_ws(' ', id, customer, state, changed), ', ' ORDER BY id) FROM orders;";
const THEN: &str = "1 1 new 0, 2 1 paid 0, 3 2 new 0";

impl Shop<'_> {
    fn open(world: &World) -> Shop<'_> {
        let addon = world.make("shop_1");
        let binding = world.driver.provision(&addon).unwrap();
        psql(&binding, SHOP).unwrap();
        let mut backup = Vec::new();
        world.driver.backup(&addon, None, &mut backup).unwrap();
        let shop = Shop { world, addon, binding, backup };
        assert_eq!(shop.ask(ROWS), THEN);
        shop
    }

    fn ask(&self, script: &str) -> String {
        psql(&self.binding, script).unwrap()
    }

    fn restore_of(&self, bytes: &[u8], name: &str, new: Option<&str>) -> Result<(), Problem> {
        let table = WantedTable { name: name.parse()?, new_name: new.map(str::parse).transpose()? };
        self.world.driver.tables().unwrap().restore_table(&self.addon, &table, &mut &*bytes)
    }

    fn restore(&self, name: &str, new: Option<&str>) -> Result<(), Problem> {
        self.restore_of(&self.backup, name, new)
    }

    fn refused(&self, name: &str, new: Option<&str>) -> String {
        self.restore(name, new).unwrap_err().code
    }
}

/// Its rows are replaced, with keys that point to it and from it; and what does not fit changes nothing.
pub(crate) fn fills_one_table(world: &World) {
    let shop = Shop::open(world);
    let ask = |script: &str| shop.ask(script);
    // Rows were changed, one went, a column came; what points to it stays.
    ask("UPDATE orders SET state = 'paid' WHERE id = 1; DELETE FROM orders WHERE id = 2;
         ALTER TABLE orders ADD COLUMN note text DEFAULT 'none'; SELECT setval('orders_id_seq', 1, false);");
    shop.restore("orders", None).unwrap();
    assert_eq!(ask(ROWS), THEN);
    assert_eq!(ask("SELECT last_value FROM orders_id_seq;"), "3");
    assert_eq!(ask("SELECT count(*) FROM line;"), "2");
    assert_eq!(ask("SELECT DISTINCT note FROM orders;"), "none");
    // Keys, triggers and the counter are as they were.
    assert!(psql(&shop.binding, "INSERT INTO line VALUES (99, 'x');").is_err());
    assert!(psql(&shop.binding, "INSERT INTO orders (customer) VALUES (99);").is_err());
    ask("SELECT setval('orders_id_seq', (SELECT max(id) FROM orders));");
    assert_eq!(ask("INSERT INTO orders (customer, state) VALUES (2, 'new') RETURNING id, changed;"), "4|1");

    // A row that another table needs was not there then.
    ask("INSERT INTO line VALUES (4, 'coffee');");
    let before = ask(ROWS);
    let refused = shop.restore("orders", None).unwrap_err();
    assert!(refused.code == "addon.table-needed" && refused.detail.contains("line"), "{}", refused.detail);
    assert_eq!(ask(ROWS), before);
    // It needs a row of another table that is gone.
    ask("DELETE FROM orders; DELETE FROM customer WHERE id = 2;");
    assert_eq!(shop.refused("orders", None), "addon.table-needed");
    assert_eq!(ask("SELECT count(*) FROM orders;"), "0");

    // What is no whole backup; whoever is connected is in nobody's way.
    ask("INSERT INTO line SELECT id, 'mine' FROM orders; CREATE TABLE own AS SELECT 1 AS id;");
    for bytes in [
        &b""[..],
        b"no backup",
        &shop.backup[..shop.backup.len() / 2],
        &shop.backup[..shop.backup.len() - 400],
    ] {
        assert!(shop.restore_of(bytes, "customer", None).is_err());
        assert_eq!(ask("SELECT count(*) FROM customer;"), "1");
    }
    let stays = Postgres::stay(&shop.binding);
    shop.restore("customer", None).unwrap();
    assert_eq!(ask("SELECT count(*) FROM customer;"), "2");
    shop.restore("orders", None).unwrap();
    drop(stays);
    world.driver.retire(&shop.addon.server).unwrap();
}

/// It comes beside what is there, which stays as it is; what is not there, or was not, is told.
pub(crate) fn reads_one_table(world: &World) {
    let shop = Shop::open(world);
    let ask = |script: &str| shop.ask(script);
    ask("DELETE FROM orders;");
    shop.restore("public.orders", Some("orders_then")).unwrap();
    assert_eq!(ask(&ROWS.replace("FROM orders", "FROM orders_then")), THEN);
    assert_eq!(ask("SELECT count(*) FROM orders;"), "0");
    assert_eq!(ask("INSERT INTO orders (customer) VALUES (1) RETURNING changed;"), "1");
    assert_eq!(ask("SELECT tableowner FROM pg_tables WHERE tablename = 'orders_then';"), "shop_1");
    assert_eq!(shop.refused("orders", Some("orders_then")), "addon.table-exists");
    let odd = "\"Other\".\"Odd 'name\"";
    shop.restore(odd, None).unwrap();
    assert_eq!(ask(&format!("SELECT * FROM {odd};")), "odd");
    shop.restore(odd, Some("public.odd")).unwrap();
    assert_eq!(ask("SELECT * FROM odd;"), "odd");
    shop.restore("nothing", None).unwrap();

    ask("CREATE TABLE late (id int); INSERT INTO late VALUES (1); DROP TABLE line;");
    for (name, new) in
        [("late", None), ("late", Some("x")), ("line", None), ("never", None), ("Other.x", None)]
    {
        assert_eq!(shop.refused(name, new), "addon.no-table", "{name}");
    }
    assert_eq!(ask("SELECT count(*) FROM late;"), "1");
    shop.restore("line", Some("line")).unwrap();
    assert_eq!(ask("SELECT count(*) FROM line;"), "2");
    world.driver.retire(&shop.addon.server).unwrap();
}

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
    psql(&binding, TRAP).unwrap();
    world.driver.provision(&addon).unwrap();
    let counts = world.driver.counts().unwrap();
    let held = counts.backup_counted(&addon, &mut Vec::new()).unwrap().unwrap();
    assert_eq!(held.parts.into_keys().collect::<Vec<_>>(), ["trap.ran"]);
    counts.count(&addon).unwrap();
    let ran = psql(&binding, "SELECT who FROM trap.ran").unwrap();
    assert!(!ran.contains("postgres"), "{ran}");
    world.driver.retire(&addon.server).unwrap();
}
