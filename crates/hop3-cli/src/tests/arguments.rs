// SPDX-License-Identifier: Apache-2.0
//! Arguments: parsed once, hostile ones refused with a sentence.

use super::program::{Cli, PROGRAM};
use crate::commands::{config, deploy, logs, rollback, scale};
use crate::connection::Target;
use crate::context::name_in_url;
use clap::CommandFactory;
use expect_test::{Expect, expect};
use hop3_core::Problem;
use std::fmt::Debug;
use std::path::Path;

/// One line per input: what it became, or the first line of the problem.
fn table<T: Debug>(inputs: &[&str], parse: impl Fn(&str) -> Result<T, Problem>, expected: Expect) {
    let line = |input: &&str| match parse(input) {
        Ok(value) => format!("{input:?}: {value:?}\n"),
        Err(problem) => format!("{input:?}: {}", problem.render().lines().next().unwrap().to_owned() + "\n"),
    };
    expected.assert_eq(&inputs.iter().map(line).collect::<String>());
}

#[test]
fn definitions_are_sound() {
    Cli::command().debug_assert();
}

#[test]
fn hostile_keys_are_refused() {
    let inputs = [
        "A=1",
        "A=",
        "A==x",
        "_A1=b=c",
        "A B=1",
        "A;id=1",
        "$(id)=1",
        "A\n=1",
        "=1",
        "1A=1",
        "É=1",
        "A",
        "",
        "-rf=1",
        "LD_PRELOAD=x",
        "A=\n\"'$`\\",
    ];
    table(
        &inputs,
        |input| config::parse_pairs(&[input.to_owned()]),
        expect![[r#"
        "A=1": {"A": "1"}
        "A=": {"A": ""}
        "A==x": {"A": "=x"}
        "_A1=b=c": {"_A1": "b=c"}
        "A B=1": error[config.bad-key]: "A B" is not a key for a config variable
        "A;id=1": error[config.bad-key]: "A;id" is not a key for a config variable
        "$(id)=1": error[config.bad-key]: "$(id)" is not a key for a config variable
        "A\n=1": error[config.bad-key]: "A\n" is not a key for a config variable
        "=1": error[config.bad-key]: "" is not a key for a config variable
        "1A=1": error[config.bad-key]: "1A" is not a key for a config variable
        "É=1": error[config.bad-key]: "É" is not a key for a config variable
        "A": error[cli.bad-argument]: "A" is not a variable with its value
        "": error[cli.bad-argument]: "" is not a variable with its value
        "-rf=1": error[config.bad-key]: "-rf" is not a key for a config variable
        "LD_PRELOAD=x": {"LD_PRELOAD": "x"}
        "A=\n\"'$`\\": {"A": "\n\"'$`\\"}
    "#]],
    );
}

#[test]
fn scale_takes_ranges() {
    let inputs = ["web=0..1", "web=2..5", "web=..3", "web=0..", "web=-1..2", "web=0...2", "0..1"];
    table(
        &inputs,
        |input| scale::parse_ranges(&[input.to_owned()]),
        expect![[r#"
        "web=0..1": {"web": Range { least: 0, most: 1 }}
        "web=2..5": {"web": Range { least: 2, most: 5 }}
        "web=..3": error[cli.bad-argument]: "web=..3" is not a range of instances
        "web=0..": error[cli.bad-argument]: "web=0.." is not a range of instances
        "web=-1..2": error[cli.bad-argument]: "web=-1..2" is not a range of instances
        "web=0...2": error[cli.bad-argument]: "web=0...2" is not a range of instances
        "0..1": error[cli.bad-argument]: "0..1" is not a range of instances
    "#]],
    );
}

#[test]
fn scale_takes_whole_numbers() {
    let inputs = [
        "web=3",
        "worker=0",
        "web=-1",
        "web=+1",
        "web=1e9",
        "web=NaN",
        "web=1.5",
        "web=9223372036854775808",
        "web=",
        "web",
        "=3",
        "we b=1",
        "../x=1",
    ];
    table(
        &inputs,
        |input| scale::parse_pairs(&[input.to_owned()]),
        expect![[r#"
        "web=3": {"web": 3}
        "worker=0": {"worker": 0}
        "web=-1": error[cli.bad-argument]: "web=-1" is not a number of instances
        "web=+1": error[cli.bad-argument]: "web=+1" is not a number of instances
        "web=1e9": error[cli.bad-argument]: "web=1e9" is not a number of instances
        "web=NaN": error[cli.bad-argument]: "web=NaN" is not a number of instances
        "web=1.5": error[cli.bad-argument]: "web=1.5" is not a number of instances
        "web=9223372036854775808": error[cli.bad-argument]: "web=9223372036854775808" is not a number of instances
        "web=": error[cli.bad-argument]: "web=" is not a number of instances
        "web": error[cli.bad-argument]: "web" is not a number of instances
        "=3": error[process.bad-name]: "" is not a name for a process
        "we b=1": error[process.bad-name]: "we b" is not a name for a process
        "../x=1": error[process.bad-name]: "../x" is not a name for a process
    "#]],
    );
}

#[test]
fn ages_and_releases() {
    let ages = ["90s", "10m", "2h", "3d", "45", "", "m", "-1m", "1w", "99999999999999999999d", "1 m"];
    table(
        &ages,
        logs::parse_age,
        expect![[r#"
        "90s": 90s
        "10m": 600s
        "2h": 7200s
        "3d": 259200s
        "45": 45s
        "": error[cli.bad-argument]: "" is not an age
        "m": error[cli.bad-argument]: "m" is not an age
        "-1m": error[cli.bad-argument]: "-1m" is not an age
        "1w": error[cli.bad-argument]: "1w" is not an age
        "99999999999999999999d": error[cli.bad-argument]: "99999999999999999999d" is not an age
        "1 m": error[cli.bad-argument]: "1 m" is not an age
    "#]],
    );
    table(
        &["v3", "3", "v", "", "v-1", "vv3", "v99999999999"],
        rollback::parse_release,
        expect![[r#"
        "v3": ReleaseNumber(3)
        "3": ReleaseNumber(3)
        "v": error[cli.bad-argument]: "v" is not a release
        "": error[cli.bad-argument]: "" is not a release
        "v-1": error[cli.bad-argument]: "v-1" is not a release
        "vv3": error[cli.bad-argument]: "vv3" is not a release
        "v99999999999": error[cli.bad-argument]: "v99999999999" is not a release
    "#]],
    );
}

#[test]
fn addresses_of_servers() {
    let inputs = [
        "http://hop3.example.org",
        "http://hop3.example.org:8080/",
        "http://[::1]:80",
        "https://hop3.example.org",
        "https://hop3.example.org:8443/",
        "https://user:pw@host",
        "hop3.example.org",
        "ftp://x",
        "http://",
        "http://user:pw@host",
        "http://host/path",
        "http://host?x",
        "",
    ];
    table(
        &inputs,
        |input| Target::parse(input, None, None),
        expect![[r#"
            "http://hop3.example.org": Http { host: "hop3.example.org", port: 80, token: None, trust: None }
            "http://hop3.example.org:8080/": Http { host: "hop3.example.org", port: 8080, token: None, trust: None }
            "http://[::1]:80": Http { host: "[::1]", port: 80, token: None, trust: None }
            "https://hop3.example.org": Http { host: "hop3.example.org", port: 443, token: None, trust: Some(Machine) }
            "https://hop3.example.org:8443/": Http { host: "hop3.example.org", port: 8443, token: None, trust: Some(Machine) }
            "https://user:pw@host": error[cli.bad-url]: "https://user:pw@host" is not the address of a server
            "hop3.example.org": error[cli.bad-url]: "hop3.example.org" is not the address of a server
            "ftp://x": error[cli.bad-url]: "ftp://x" is not the address of a server
            "http://": error[cli.bad-url]: "http://" is not the address of a server
            "http://user:pw@host": error[cli.bad-url]: "http://user:pw@host" is not the address of a server
            "http://host/path": error[cli.bad-url]: "http://host/path" is not the address of a server
            "http://host?x": error[cli.bad-url]: "http://host?x" is not the address of a server
            "": error[cli.bad-url]: "" is not the address of a server
        "#]],
    );
}

#[test]
fn app_names_come_from_git_remotes() {
    let urls = [
        "ssh://hop3@host:2222/shop",
        "hop3@host:shop.git",
        "http://hop3.localhost:8080/git/shop.git",
        "shop",
        "http://host/git/shop/",
        "",
        "/",
    ];
    let names: String = urls.iter().map(|url| format!("{url:?}: {:?}\n", name_in_url(url))).collect();
    expect![[r#"
        "ssh://hop3@host:2222/shop": Some("shop")
        "hop3@host:shop.git": Some("shop")
        "http://hop3.localhost:8080/git/shop.git": Some("shop")
        "shop": Some("shop")
        "http://host/git/shop/": Some("shop")
        "": None
        "/": None
    "#]]
    .assert_eq(&names);
}

#[test]
fn app_names_come_from_directories() {
    let paths = [
        "/x/My_Shop.git",
        "/x/2048-game",
        "/x/__",
        "/x/Ärger",
        "/x/a-very-long-name-that-goes-on-and-on-and-on-and-on",
    ];
    let names: String =
        paths.iter().map(|path| format!("{path}: {:?}\n", deploy::name_of(Path::new(path)))).collect();
    expect![[r#"
        /x/My_Shop.git: "my-shop-git"
        /x/2048-game: "game"
        /x/__: ""
        /x/Ärger: "rger"
        /x/a-very-long-name-that-goes-on-and-on-and-on-and-on: "a-very-long-name-that-goes-on-and-on-an"
    "#]]
    .assert_eq(&names);
}

#[test]
fn the_reference_has_every_command() {
    let text = crate::command_reference((PROGRAM.command)());
    for heading in
        ["## hop3 deploy", "## hop3 config set", "## hop3 user key add", "## hop3 ps", "## hop3 server stop"]
    {
        assert!(text.contains(&format!("\n{heading}\n")), "{heading} is missing in\n{text}");
    }
    let scale = text.split("\n## ").find(|section| section.starts_with("hop3 scale\n")).unwrap();
    expect![[r#"
        hop3 scale

        Set how many instances of each process run; without arguments, show it.

        ```text
        hop3 scale [PROCESS=N…]
        ```

        - `[PROCESS=N…]`: For example web=3 worker=1; web=0..1 lets the process sleep when nobody asks
        - `--freeze-after TIME`: Freeze web after so long without a request: 90s, 10m, 2h, never
        - `--stop-after TIME`: Stop web after so long without a request: 90s, 10m, 2h, never
        - `-a, --app APP`: The app; without it, the one the git remote `hop3` of this directory points at (`HOP3_APP`)
    "#]].assert_eq(scale);
}
