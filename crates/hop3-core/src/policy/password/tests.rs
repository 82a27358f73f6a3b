// SPDX-License-Identifier: Apache-2.0
//! Passwords are kept as salted hashes, and nothing else passes for one.

use super::PasswordHash;

#[test]
fn a_hash_is_salted_and_knows_its_password() {
    let (one, two) = (PasswordHash::of("correct horse").unwrap(), PasswordHash::of("correct horse").unwrap());
    assert_ne!(one, two);
    assert!(one.verify(b"correct horse") && two.verify(b"correct horse"));
    assert!(!one.verify(b"correct horsf") && !one.verify(b""));
    assert_eq!(one.as_str().parse::<PasswordHash>().unwrap(), one);
}

#[test]
fn what_is_no_hash_is_refused() {
    let corpus = [
        "",
        "secret",
        "$1$abcdefgh$xxxxxxxxxxxxxxxxxxxxxx",
        "$argon2id$",
        "$argon2id$v=19$m=4194304,t=2,p=1$c29tZXNhbHQ$9sTbSlTio3Biev89thdrlKKiCaYsjjYVJxGAL3swxpQ",
        "$argon2id$v=19$m=19456,t=99999,p=1$c29tZXNhbHQ$9sTbSlTio3Biev89thdrlKKiCaYsjjYVJxGAL3swxpQ",
        "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHQ",
    ];
    for text in corpus {
        assert!(text.parse::<PasswordHash>().is_err(), "{text}");
    }
    for password in ["short", "", "line\nend of it", &"x".repeat(300)] {
        assert!(PasswordHash::of(password).is_err(), "{password}");
    }
}
