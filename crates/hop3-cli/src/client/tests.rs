// SPDX-License-Identifier: Apache-2.0
//! The pieces of the protocol: server-sent events and escaped names.

use super::{encode, next_data};
use bytes::BytesMut;
use expect_test::expect;

#[test]
fn events_are_read_as_the_standard_says() {
    let mut buffer = BytesMut::from(
        ": keep-alive\n\ndata: one\n\nevent: x\nid: 3\ndata:two\r\ndata: lines\r\n\r\nretry: 1\n\ndata: cut",
    );
    let mut seen = Vec::new();
    while let Some(data) = next_data(&mut buffer) {
        seen.push(data);
    }
    expect![[r#"["one", "two\nlines"] left [100, 97, 116, 97, 58, 32, 99, 117, 116]"#]]
        .assert_eq(&format!("{seen:?} left {:?}", &buffer[..]));
}

#[test]
fn names_are_one_segment() {
    expect!["a%2F..%2Fb%3Fc%3Dd%26e%23f%20%C3%A9%0A.~_-"].assert_eq(&encode("a/../b?c=d&e#f é\n.~_-"));
}
