// SPDX-License-Identifier: Apache-2.0
//! Spellings of one path are one path.

#[test]
fn spellings_of_a_path_are_one() {
    let table = [
        ("/", "/"),
        ("/a/b", "/a/b"),
        ("/a/b/", "/a/b/"),
        ("//a///b", "/a/b"),
        ("/a/./b/../c", "/a/c"),
        ("/%61/b", "/a/b"),
        ("/a%2fb", "/a/b"),
        ("/a%2f..%2fb", "/b"),
        ("/a\\b", "/a/b"),
        ("/a%5c..%5Cb", "/b"),
        ("/%2e%2e/%2e%2e/a", "/a"),
        ("/a%", "/a%"),
        ("/a%zz", "/a%zz"),
        ("*", "/*"),
    ];
    for (path, meant) in table {
        assert_eq!(super::plain(path), meant, "{path}");
    }
}
