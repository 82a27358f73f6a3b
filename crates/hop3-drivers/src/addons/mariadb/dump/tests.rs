// SPDX-License-Identifier: Apache-2.0
//! Data tests of what is taken out of a dump, and of when it is whole.

use super::Dump;
use std::io::Read;

fn read(text: &str) -> (String, bool) {
    let mut dump = Dump::new(text.as_bytes());
    let mut read = String::new();
    dump.read_to_string(&mut read).unwrap();
    (read, dump.is_whole())
}

#[test]
fn definers_are_taken_out_where_they_are_said() {
    let table = [
        ("CREATE DEFINER=`a`@`%` PROCEDURE `p`()\n", "CREATE  PROCEDURE `p`()\n"),
        ("/*!50013 DEFINER=`a`@`b` SQL SECURITY DEFINER */\n", "/*!50013  SQL SECURITY DEFINER */\n"),
        (
            "/*!50003 CREATE*/ /*!50017 DEFINER=`a``b`@`%`*/ /*!50003 TRIGGER t\n",
            "/*!50003 CREATE*/ /*!50017 */ /*!50003 TRIGGER t\n",
        ),
        (
            "/*!50106 CREATE*/ /*!50117 DEFINER=`r`*/ /*!50106 EVENT\n",
            "/*!50106 CREATE*/ /*!50117 */ /*!50106 EVENT\n",
        ),
        ("/*!50003 CREATE*/ /*!50020 DEFINER=`unended\n", "/*!50003 CREATE*/ /*!50020 DEFINER=`unended\n"),
        ("(1,'CREATE DEFINER=`a`@`b`')\n", "(1,'CREATE DEFINER=`a`@`b`')\n"),
        (" CREATE DEFINER=`a`@`b` VIEW\n", " CREATE DEFINER=`a`@`b` VIEW\n"),
    ];
    for (text, expected) in table {
        assert_eq!(read(text).0, expected);
    }
    let all: String = table.iter().map(|(text, _)| *text).collect();
    let expected: String = table.iter().map(|(_, expected)| *expected).collect();
    assert_eq!(read(&all).0, expected);
}

#[test]
fn long_lines_are_passed_on_in_pieces() {
    // The second piece begins with what a line might.
    let long = "x".repeat(64 * 1024) + "CREATE DEFINER=`a`@`b` VIEW\nend";
    assert_eq!(read(&long).0, long);
}

#[test]
fn what_says_that_it_is_a_dump_must_have_its_end() {
    assert!(read("INSERT INTO t VALUES (1);\n").1, "a script of somebody's own has no end");
    let dump = "/*M!999999\\- enable the sandbox mode */ \n-- MariaDB dump 10.19\n--\nINSERT\n";
    assert!(!read(dump).1);
    assert!(read(&format!("{dump}-- Dump completed\n")).1);
    assert!(!read("-- MySQL dump 10.13\n").1);
}
