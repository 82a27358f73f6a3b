// SPDX-License-Identifier: Apache-2.0
//! The control socket: several requests on one connection, and what is not a request.

use super::harness::*;
use crate::control::Answer;
use hop3_core::layout::Layout;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;

#[test]
fn a_connection_is_kept_over_requests_and_nonsense() {
    let proxy = Proxy::start();
    let socket = UnixStream::connect(Layout::new(proxy.root.path()).proxy_socket()).unwrap();
    let mut reader = BufReader::new(&socket);
    let mut ask = |line: &str| {
        writeln!(&socket, "{line}").unwrap();
        let mut answer = String::new();
        reader.read_line(&mut answer).unwrap();
        serde_json::from_str::<Answer>(&answer).unwrap()
    };
    for nonsense in ["", "{", "[]", r#""dance""#, r#"{"put":{}}"#, r#"{"remove":{"name":1}}"#] {
        assert!(matches!(ask(nonsense), Answer::Refused(_)), "{nonsense}");
    }
    assert!(matches!(ask(r#"{"remove":{"name":"never"}}"#), Answer::Done));
    assert!(matches!(ask(r#""status""#), Answer::Status(status) if status.services == 0));
}
