// SPDX-License-Identifier: Apache-2.0
//! Sizes, headers, names and what must not lie in a repository.

use super::{RepoFile, files, none, top};

const SOURCE_LINES: usize = 500;
const DRIVER_LINES: usize = 350;
const TEST_LINES: usize = 700;
const HEADER_LINES: usize = 13;
const BYTES: usize = 500_000;

/// Names that gather what belongs elsewhere.
const BANNED: &[&str] = &["util", "utils", "helper", "helpers", "common", "manager", "misc", "stuff"];

fn limit(file: &RepoFile) -> usize {
    match () {
        () if file.is_test() => TEST_LINES,
        () if file.path.starts_with("crates/hop3-drivers/") => DRIVER_LINES,
        () => SOURCE_LINES,
    }
}

#[test]
fn files_are_short() {
    let long = |file: &RepoFile| {
        let lines = file.text().lines().count();
        (lines > limit(file)).then(|| format!("{}: {lines} lines, {} allowed", file.path, limit(file)))
    };
    let offenders: Vec<_> = files().iter().filter(|f| f.is_rust()).filter_map(long).collect();
    none("split these where the second job begins", &offenders);
}

#[test]
fn every_source_file_says_its_licence_and_its_job() {
    let lacks = |file: &RepoFile| {
        let mut lines = file.text().lines();
        // In two parts, since reuse reads this file too.
        let licence = lines.next() == Some(concat!("// SPDX-License", "-Identifier: Apache-2.0"));
        let header = lines.take_while(|line| line.starts_with("//!")).count();
        let good = licence && (1..=HEADER_LINES).contains(&header);
        (!good).then(|| format!("{}: licence {licence}, {header} lines of header", file.path))
    };
    let offenders: Vec<_> = files().iter().filter(|f| f.is_rust()).filter_map(lacks).collect();
    none("line 1 is the SPDX licence, then come 1 to 13 lines of //!", &offenders);
}

#[test]
fn names_say_what_is_inside() {
    let banned = |file: &RepoFile| {
        file.path.split(['/', '.', '_', '-']).any(|word| BANNED.contains(&word)).then(|| file.path.clone())
    };
    let ours: Vec<_> = files().into_iter().filter(|f| !f.path.starts_with("examples/")).collect();
    none("these names say nothing", &ours.iter().filter_map(banned).collect::<Vec<_>>());
}

#[test]
fn nothing_large_is_committed() {
    let large = |file: &RepoFile| {
        let size = file.bytes.len();
        (size > BYTES).then(|| format!("{}: {size} bytes", file.path))
    };
    none("no file above 500 kB", &files().iter().filter_map(large).collect::<Vec<_>>());
}

/// Lock files are where a build machine's own registry likes to leave its name.
#[test]
fn no_machine_left_its_name() {
    const HOSTS: &[&str] = &[
        "docs.rs",
        "example.com",
        "example.org",
        "getcomposer.org",
        "github.com",
        "haproxy.org",
        "json-schema.org",
        "localhost",
        "maven.apache.org",
        "opencollective.com",
        "restic.net",
        "rustup.rs",
        "spdx.dev",
        "tidelift.com",
        "www.apache.org",
        "www.debian.org",
        "rust-lang.github.io",
        "keepachangelog.com",
    ];
    let known = |host: &str| HOSTS.iter().any(|known| host == *known || host.ends_with(&format!(".{known}")));
    let mut offenders = Vec::new();
    for file in files().iter().filter(|f| !f.path.ends_with(".rs")) {
        for scheme in ["http://", "https://"] {
            for (at, _) in file.text().match_indices(scheme) {
                let rest = &file.text()[at + scheme.len()..];
                let rest = rest
                    .split_once('@')
                    .filter(|(user, _)| !user.contains('/'))
                    .map_or(rest, |(_, rest)| rest);
                let end = rest
                    .find(|c: char| !(c.is_ascii_alphanumeric() || c == '.' || c == '-'))
                    .unwrap_or(rest.len());
                let host = rest[..end].trim_end_matches('.');
                let is_name = host.contains('.') && !host.chars().all(|c| c.is_ascii_digit() || c == '.');
                if is_name && !known(host) {
                    offenders.push(format!("{}: {host}", file.path));
                }
            }
        }
    }
    offenders.dedup();
    none("a host that is not public knowledge; add it to HOSTS when it is", &offenders);

    let home = std::env::var("HOME").unwrap_or_default();
    let places = [
        top().display().to_string(),
        format!("{home}/.cargo"),
        std::env::var("CARGO_HOME").unwrap_or_default(),
    ];
    let places: Vec<_> = places.iter().filter(|place| place.matches('/').count() > 1).collect();
    let tells = |file: &RepoFile| {
        places
            .iter()
            .find(|place| file.text().contains(place.as_str()))
            .map(|place| format!("{}: {place}", file.path))
    };
    none("paths of the machine that built this", &files().iter().filter_map(tells).collect::<Vec<_>>());
}
