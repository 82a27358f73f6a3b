// SPDX-License-Identifier: Apache-2.0
//! Rows of dumps, in the ways that they are written.

use super::Rows;
use std::io::Write;

#[track_caller]
fn check(dump: &str, expected: &[(&str, u64)]) {
    // In one piece, and byte by byte.
    for size in [dump.len(), 1] {
        let mut passed = Vec::new();
        let mut rows = Rows::new(&mut passed);
        dump.as_bytes().chunks(size).for_each(|piece| rows.write_all(piece).expect("a vector takes it"));
        let found: Vec<(&str, u64)> =
            rows.parts.iter().map(|(name, count)| (name.as_str(), *count)).collect();
        assert_eq!(found, expected);
        assert_eq!(passed, dump.as_bytes());
    }
}

#[test]
fn rows_on_lines_of_their_own() {
    let dump = "CREATE TABLE `t` (\n  `a` int(11) NOT NULL\n) ENGINE=InnoDB;\n\
        INSERT INTO `t` VALUES\n(1,'x),(y\\n(z',0x6162),\n(2,'it\\'s \\\\',NULL),\n(3,NULL,'');\n\
        /*!40000 ALTER TABLE `t` ENABLE KEYS */;\nINSERT INTO `t` VALUES\n(4,-1.5e3,'''');\n";
    check(dump, &[("t", 4)]);
}

#[test]
fn rows_in_one_line_with_columns_and_an_odd_name() {
    let dump = "CREATE TABLE `o``dd (` (\n`a` int);\n\
        INSERT INTO `o``dd (` (`a`, `) VALUES (`) VALUES (1,'('),(2,')'),(3,NULL);\nCREATE TABLE `none` (a int);\n";
    check(dump, &[("none", 0), ("o`dd (", 3)]);
}

#[test]
fn what_routines_would_do_is_not_counted() {
    let dump = "CREATE TABLE `t` (a int);\nDELIMITER ;;\nCREATE PROCEDURE `p`()\nBEGIN\n\
        INSERT INTO `t` VALUES (1),(2);\nCREATE TABLE `later` (a int);\nEND ;;\nDELIMITER ;\n\
        INSERT INTO `t` VALUES\n(7);\n/*!50001 CREATE VIEW `v` AS SELECT\n NULL AS `a` */;\n";
    check(dump, &[("t", 1)]);
}
