// SPDX-License-Identifier: Apache-2.0
//! The rules on what is known to be difficult, and on what was found once.

use super::*;
use std::fs;
use std::path::Path;

#[test]
fn files_are_read_or_refused_with_a_problem_that_can_be_shown() {
    for folder in ["valid", "invalid"] {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/config").join(folder);
        for entry in fs::read_dir(folder).unwrap() {
            let bytes = fs::read(entry.unwrap().path()).unwrap();
            hop3_toml(&bytes);
            procfile(&bytes);
            app_json(&bytes);
        }
    }
    for text in ["web: a\r\ncron: * * * * * x\nstatic: /a:b, c\n", "web:\u{1b}[2J", "a:b:c", "\u{feff}web: x"]
    {
        procfile(text.as_bytes());
    }
    for text in [
        "{/* é */\"env\": {\"A\": 1} // x\n}",
        "{\"formation\": {\"web\": {\"quantity\": 1}}}",
        "/*/",
        "\"\\",
    ] {
        app_json(text.as_bytes());
    }
    for text in
        ["[proxy]\npause = \"\\u001b[2J\"", "[run]\nstatic = {\"/a\" = \"b\"}", "x = \"\\u001b\"", "\u{1b}"]
    {
        hop3_toml(text.as_bytes());
    }
}

#[test]
fn values_are_written_as_they_are_read() {
    for text in [
        "10.0.0.0/8",
        "::1",
        "/a/*",
        "/*",
        "/a\n//b",
        "//*\n/a/b",
        "/*\n/\\x",
        "https://a/b/*\n@c",
        "header:X-Y",
        "2h",
    ] {
        policy_text(text.as_bytes());
    }
    for text in ["shop", "example.org", "*.example.org", "A_B", "web-1", "example.org/api", "a..b", "-"] {
        name(text.as_bytes());
    }
    for text in ["*/5 * * * *", "0 4 1-7/2 jan,FEB mon-fri x", "* * * * 7", "@daily x", "60 * * * *"] {
        cron_line(text.as_bytes());
    }
    for text in
        ["sticky=true", "error-pages.404=a.html", "canonical-host=example.org\u{1}allow=[\"10.0.0.0/8\"]"]
    {
        policy_value(text.as_bytes());
    }
}
