// SPDX-License-Identifier: Apache-2.0
//! Lists of ports, written and read.
use super::*;

#[test]
fn ports_are_written_as_they_are_read() {
    for text in ["", "1", "65535", "5432,9000-9099"] {
        assert_eq!(text.parse::<Ports>().unwrap().to_string(), text);
    }
    assert_eq!(" 80 , 90-91 ".parse::<Ports>().unwrap().to_string(), "80,90-91");
    for text in ["0", "65536", "9-8", "a", "1,", ",", "1-", "-1", "+1", "1-2-3", "1 2"] {
        assert!(text.parse::<Ports>().is_err(), "{text}");
    }
}

#[test]
fn only_what_is_listed_is_allowed() {
    let ports: Ports = "5432,9000-9002".parse().unwrap();
    let allowed: Vec<u16> =
        (1..=u16::MAX).filter(|number| ports.contains(Port::new(*number).unwrap())).collect();
    assert_eq!(allowed, [5432, 9000, 9001, 9002]);
    assert!(!Ports::default().contains(Port::new(9000).unwrap()));
}
