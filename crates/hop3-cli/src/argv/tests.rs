// SPDX-License-Identifier: Apache-2.0
//! Command lines before clap: rewritten, handed to another program, or refused.

use super::{Route, route};
use clap::{Arg, ArgAction, Command};
use expect_test::{Expect, expect};
use std::ffi::OsString;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

fn command() -> Command {
    Command::new("hop3")
        .arg(Arg::new("root").long("root").global(true))
        .arg(Arg::new("json").long("json").action(ArgAction::SetTrue).global(true))
        .subcommand(Command::new("backup").alias("backups").subcommand(Command::new("create")))
        .subcommand(Command::new("app").alias("apps").subcommand(Command::new("create")))
        .subcommand(Command::new("config"))
        .subcommand(Command::new("deploy"))
        .subcommand(Command::new("run"))
}

fn check(path: &Path, line: &[&str], expected: Expect) {
    let argv: Vec<OsString> = line.iter().map(OsString::from).collect();
    let text = match route(&command(), argv, Some(path.as_os_str())) {
        Route::Own(argv) => format!("own: {argv:?}\n"),
        Route::External(program, rest) => {
            format!("external: {} {rest:?}\n", program.file_name().unwrap().to_string_lossy())
        }
        Route::Unknown(problem) => problem.render(),
    };
    expected.assert_eq(&text);
}

#[test]
fn noun_and_verb_may_be_joined() {
    let none = Path::new("/nonexistent");
    check(
        none,
        &["hop3", "app:create", "shop"],
        expect![[r#"
        own: ["hop3", "app", "create", "shop"]
    "#]],
    );
    check(
        none,
        &["hop3", "apps:create", "a:b"],
        expect![[r#"
        own: ["hop3", "apps", "create", "a:b"]
    "#]],
    );
    check(
        none,
        &["hop3", "--root", "x:y", "--json", "config:set", "K=a:b"],
        expect![[r#"
        own: ["hop3", "--root", "x:y", "--json", "config", "set", "K=a:b"]
    "#]],
    );
    check(
        none,
        &["hop3", "--root=x", "run", "rake", "db:seed"],
        expect![[r#"
        own: ["hop3", "--root=x", "run", "rake", "db:seed"]
    "#]],
    );
    check(
        none,
        &["hop3"],
        expect![[r#"
        own: ["hop3"]
    "#]],
    );
    check(
        none,
        &["hop3", "--version"],
        expect![[r#"
        own: ["hop3", "--version"]
    "#]],
    );
}

#[test]
fn unknown_commands_suggest_or_are_other_programs() {
    let directory = tempfile::tempdir().unwrap();
    let program = directory.path().join("hop3-greet");
    std::fs::write(&program, "").unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    std::fs::write(directory.path().join("hop3-data"), "not a program").unwrap();
    let path = directory.path();
    check(
        path,
        &["hop3", "--json", "greet", "--loud", "you"],
        expect![[r#"
        external: hop3-greet ["--loud", "you"]
    "#]],
    );
    check(
        path,
        &["hop3", "data"],
        expect![[r#"
        error[cli.unknown-command]: there is no command "data"
          neither is there a program hop3-data in PATH
        hint: see all commands with: hop3 help
    "#]],
    );
    check(
        path,
        &["hop3", "delpoy"],
        expect![[r#"
        error[cli.unknown-command]: there is no command "delpoy"
          neither is there a program hop3-delpoy in PATH
        hint: did you mean: hop3 deploy
    "#]],
    );
    check(
        path,
        &["hop3", "confg:set"],
        expect![[r#"
        error[cli.unknown-command]: there is no command "confg:set"
          neither is there a program hop3-confg:set in PATH
        hint: did you mean: hop3 config
    "#]],
    );
    check(
        path,
        &["hop3", "../greet"],
        expect![[r#"
        error[cli.unknown-command]: there is no command "../greet"
          neither is there a program hop3-../greet in PATH
        hint: see all commands with: hop3 help
    "#]],
    );
    check(
        path,
        &["hop3", "x\u{1b}[2J"],
        expect![[r#"
            error[cli.unknown-command]: there is no command "x\u{1b}[2J"
              neither is there a program hop3-x\u{1b}[2J in PATH
            hint: see all commands with: hop3 help
        "#]],
    );
}

#[test]
fn a_backup_of_the_server_is_no_address() {
    let none = Path::new("/nonexistent");
    check(
        none,
        &["hop3", "backup", "create", "--server"],
        expect![[r#"
        own: ["hop3", "backup", "create", "--whole-server"]
    "#]],
    );
    check(
        none,
        &["hop3", "backups:create", "--server", "--json"],
        expect![[r#"
        own: ["hop3", "backups", "create", "--whole-server", "--json"]
    "#]],
    );
    check(
        none,
        &["hop3", "backup", "create", "--server", "https://there"],
        expect![[r#"
        own: ["hop3", "backup", "create", "--server", "https://there"]
    "#]],
    );
    check(
        none,
        &["hop3", "app", "create", "--server"],
        expect![[r#"
        own: ["hop3", "app", "create", "--server"]
    "#]],
    );
}
