// SPDX-License-Identifier: Apache-2.0
//! WebSockets from end to end: `ws` of Node and `websockets` of Python, each as client and as server, with the proxy
//! between them; and a conversation that goes on while its app is deployed again.

use crate::harness::{Hop, Repository, fixture, skip};
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

const CASES: usize = 8;

struct Side {
    app: &'static str,
    fixture: &'static str,
    client: [&'static str; 2],
}

const SIDES: [Side; 2] = [
    Side { app: "node", fixture: "websocket-node", client: ["node", "client.js"] },
    Side { app: "python", fixture: "websocket-python", client: ["python", "client.py"] },
];

/// The two apps at work; `None`, and loudly, when the machine lacks what they are made of.
fn installed(test: &str) -> Option<(Hop, Vec<Repository>)> {
    for program in ["npm", "python3"] {
        let found =
            Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
        if found.is_err() {
            skip(test, &format!("there is no {program}"));
            return None;
        }
    }
    let hop = Hop::start();
    let pushed = SIDES.iter().map(|side| hop.push(side.app, &fixture(side.fixture))).collect();
    Some((hop, pushed))
}

/// A client of one app, run as a command of that app, which talks to an app through the proxy.
fn client(hop: &Hop, of: &Side, to: &str, more: &[&str]) -> Command {
    let url = format!("ws://{to}.localhost:{}/", hop.port);
    let arguments = ["run", "-a", of.app, "--"].into_iter().chain(of.client).chain([url.as_str()]);
    hop.command(arguments.chain(more.iter().copied()).map(str::to_owned))
}

#[test]
fn both_libraries_find_websockets_as_the_specification_has_them() {
    let Some((hop, _repositories)) = installed("websocket") else { return };
    for of in &SIDES {
        for to in &SIDES {
            let output = client(&hop, of, to.app, &[]).output().unwrap();
            let said = String::from_utf8_lossy(&output.stdout).into_owned();
            let good = said.lines().filter(|line| line.starts_with("ok ")).count();
            assert_eq!((good, said.contains("FAIL")), (CASES, false), "{} to {}: {said}", of.app, to.app);
        }
    }
}

/// A client under way.
struct Talk {
    child: Child,
    lines: std::io::Lines<BufReader<ChildStdout>>,
    go_on: ChildStdin,
}

impl Talk {
    fn begin(mut command: Command) -> Talk {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let go_on = child.stdin.take().unwrap();
        Talk { child, lines, go_on }
    }

    fn next(&mut self) -> String {
        self.lines.next().map_or_else(String::new, |line| line.unwrap().trim().to_owned())
    }
}

#[test]
fn a_conversation_goes_on_while_its_app_is_deployed_again() {
    let Some((hop, repositories)) = installed("websocket redeploy") else { return };
    for (side, repository) in SIDES.iter().zip(&repositories) {
        let mut talk = Talk::begin(client(&hop, side, side.app, &["stay", "1000"]));
        assert_eq!(talk.next(), "half");
        repository.write("version", "2");
        // It waits for what goes on with the release before, so it is not waited for.
        let mut deployment = hop.begin(&repository.path, ["deploy", ".", "-a", side.app]);
        let is_new = || hop.instances(side.app).iter().any(|i| i["release"] == 2 && i["state"] == "running");
        crate::harness::until("the new release runs", is_new);
        writeln!(talk.go_on).unwrap();
        assert_eq!(talk.next(), "echoed 1000", "{}", side.app);
        assert!(talk.child.wait().unwrap().success());
        assert!(deployment.wait().unwrap().success());
    }
}
