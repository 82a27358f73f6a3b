// SPDX-License-Identifier: Apache-2.0
//! The generated pages of docs/src/reference/ say what the code does now. `UPDATE_EXPECT=1` rewrites them.

mod problem;

use crate::tidy::top;
use expect_test::expect_file;
use std::path::PathBuf;
use std::process::Command;

fn page(name: &str) -> String {
    let output =
        Command::new(env!("CARGO_BIN_EXE_hop3")).args(["reference", name]).env_clear().output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut text = String::from_utf8(output.stdout).unwrap();
    let end = text.trim_end().len();
    text.replace_range(end.., "\n");
    text
}

fn committed(file: &str) -> PathBuf {
    top().join("docs/src/reference").join(file)
}

#[test]
fn the_command_reference_is_current() {
    expect_file![committed("cli.md")].assert_eq(&page("cli"));
}

#[test]
fn the_reference_of_hop3_toml_is_current() {
    expect_file![committed("hop3-toml.md")].assert_eq(&page("hop3-toml"));
    expect_file![committed("hop3-toml.schema.json")].assert_eq(&page("schema"));
}

#[test]
fn the_api_reference_is_current() {
    expect_file![committed("api.md")].assert_eq(&page("api"));
}

#[test]
fn the_plugin_protocol_is_current() {
    expect_file![committed("plugin-protocol.schema.json")].assert_eq(&page("plugin-protocol"));
}
