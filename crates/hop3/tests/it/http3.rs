// SPDX-License-Identifier: Apache-2.0
//! HTTP/3 from end to end, by a client that shares no code with the proxy; before and after the proxy is replaced.

use crate::harness::{Hop, fixture, until};
use std::process::{Command, Output};

/// The client runs with the packages of the app it asks.
fn ask(hop: &Hop, python: &str) -> Output {
    let authority = hop.scratch().join("ca.pem");
    std::fs::write(&authority, hop.hop3(["cert", "ca"]).expect_ok().stdout).unwrap();
    let mut client = Command::new(python);
    client.arg(fixture("http3").join("client.py"));
    client.args([&hop.https.unwrap().to_string(), "quick.localhost"]).arg(authority).output().unwrap()
}

#[test]
fn pages_and_bodies_come_over_quic() {
    let hop = Hop::start_secure();
    hop.push("quick", &fixture("http3"));
    let python = hop.hop3(["run", "-a", "quick", "--", "sh", "-c", "command -v python"]).expect_ok().stdout;
    let expected = "50 ['200'] b'/0 by https' ['200'] b'/49 by https'\n200 True\n";
    let said = ask(&hop, python.trim());
    assert_eq!(String::from_utf8_lossy(&said.stdout), expected, "{said:?}\n{}", hop.operator_log());

    hop.hop3(["proxy", "upgrade"]).expect_ok();
    // The port is the old proxy's until that has ended; who asks in between comes by TCP.
    until("the new proxy serves HTTP/3", || {
        let said = ask(&hop, python.trim());
        String::from_utf8_lossy(&said.stdout) == expected
    });
}
