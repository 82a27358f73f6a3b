// SPDX-License-Identifier: Apache-2.0
//! What MariaDB keeps beside tables acts in the name of whoever made it: it must outlive his password, and come along.

use crate::clients::Mysql;
use crate::world::World;
use hop3_core::addon::Credential;
use hop3_core::secret::Secret;

const MAKE: &str = "
CREATE TABLE parent (id int PRIMARY KEY, value text);
CREATE TABLE child (id int, FOREIGN KEY (id) REFERENCES parent (id));
CREATE TABLE `odd``\nname` (id int);
CREATE SEQUENCE numbers;
CREATE VIEW seen AS SELECT value FROM parent;
CREATE TRIGGER marks BEFORE INSERT ON parent FOR EACH ROW SET NEW.value = concat(NEW.value, '!');
DELIMITER //
CREATE FUNCTION twice(n int) RETURNS int DETERMINISTIC BEGIN RETURN 2 * n; END//
CREATE EVENT daily ON SCHEDULE EVERY 1 DAY DO INSERT INTO parent VALUES (9, 'x')//
DELIMITER ;
INSERT INTO parent VALUES (1, 'a;\n\\n''b`'); INSERT INTO child VALUES (1);
";

/// Everything acts, and says the same.
const LOOK: &str = "
INSERT INTO parent VALUES (2, 'second');
SELECT hex(value) FROM seen ORDER BY 1; SELECT twice(21); SELECT count(*) FROM child;
SELECT count(*) FROM information_schema.events WHERE event_schema = database();
SELECT count(*) FROM information_schema.tables WHERE table_schema = database();
SELECT nextval(numbers) > 0;
DELETE FROM parent WHERE id = 2;
";

pub(crate) fn carries_what_is_not_in_tables(world: &World) {
    let mut addon = world.make("whole_1");
    let first = world.driver.provision(&addon).unwrap();
    Mysql::mariadb(&first, MAKE).unwrap();
    let look = |binding| Mysql::mariadb(binding, LOOK).unwrap();
    let seen = look(&first);
    assert_eq!(seen.lines().collect::<Vec<_>>()[1..], ["7365636F6E6421", "42", "1", "1", "5", "1"], "{seen}");

    addon.credentials =
        vec![Credential { user: "whole_1_2".into(), password: Secret::new("another".to_owned()) }];
    let second = world.driver.provision(&addon).unwrap();
    assert_eq!(look(&second), seen, "the user who made it is locked");

    let mut backup = Vec::new();
    world.driver.backup(&addon, None, &mut backup).unwrap();
    Mysql::mariadb(&second, "INSERT INTO parent VALUES (3, 'since'); CREATE VIEW since AS SELECT 1;")
        .unwrap();
    world.driver.restore(&addon, &mut backup.as_slice()).unwrap();
    assert_eq!(look(&second), seen, "in the place of what was there");

    let mut copy = addon.clone();
    copy.database = "copy_2".into();
    copy.credentials =
        vec![Credential { user: "copy_2_1".into(), password: Secret::new("third".to_owned()) }];
    let third = world.driver.provision(&copy).unwrap();
    world.driver.restore(&copy, &mut backup.as_slice()).unwrap();
    world.driver.destroy(&addon).unwrap();
    assert_eq!(look(&third), seen, "nothing of it is the first one's");

    // A trigger that cannot be made there is met before anything has changed.
    let broken = String::from_utf8(backup).unwrap().replace("NEW.value", "NEW.nothing");
    assert!(world.driver.restore(&copy, &mut broken.as_bytes()).is_err());
    assert_eq!(look(&third), seen);
    world.driver.retire(&addon.server).unwrap();
}
