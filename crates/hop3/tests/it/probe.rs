// SPDX-License-Identifier: Apache-2.0
//! An app that does what it is told: each request's body is a shell script that it runs as itself, and the output is
//! the answer. With it a test looks at the machine from inside an app.

use crate::harness::{Hop, Repository};
use std::path::{Path, PathBuf};

const SERVER: &str = r##"
use strict;
use warnings;
use IO::Socket::INET;

$| = 1;
my $listener = IO::Socket::INET->new(
    LocalAddr => $ENV{BIND_ADDRESS}, LocalPort => $ENV{PORT}, Listen => 64, ReuseAddr => 1,
) or die "cannot listen: $!";
$SIG{PIPE} = "IGNORE";
print "listening\n";
while (my $client = $listener->accept) {
    my $length = 0;
    while (my $line = <$client>) {
        $length = $1 if $line =~ /^content-length:\s*(\d+)/i;
        last if $line =~ /^\r?\n$/;
    }
    my $script = "echo probe";
    read($client, $script, $length) if $length;
    my $body = run($script);
    print $client "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nConnection: close\r\nContent-Length: ",
        length($body), "\r\n\r\n", $body;
    close($client);
}

sub run {
    my $pid = open(my $out, "-|");
    if (!$pid) {
        open(STDERR, ">&", \*STDOUT);
        exec("/bin/sh", "-c", $_[0]);
    }
    local $/;
    my $text = <$out>;
    close($out);
    return $text // "";
}
"##;

/// Writes a tree into the test's own directory.
pub(crate) fn tree(hop: &Hop, name: &str, files: &[(&str, &str)]) -> PathBuf {
    let tree = hop.scratch().join("trees").join(name);
    for (file, text) in files {
        let path = tree.join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    tree
}

/// The probe with that Procfile.
pub(crate) fn with_procfile(hop: &Hop, name: &str, procfile: &str) -> PathBuf {
    tree(hop, name, &[("Procfile", procfile), ("server.pl", SERVER)])
}

/// Pushes the probe as that app.
pub(crate) fn push(hop: &Hop, app: &str) -> Repository {
    hop.push(app, &with_procfile(hop, app, "web: perl server.pl\n"))
}

/// Runs a script inside the app's web process; gives what it printed.
pub(crate) fn inside(hop: &Hop, app: &str, script: &str) -> String {
    let answer = hop.ask(format!(
        "POST / HTTP/1.1\r\nHost: {app}.localhost\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{script}",
        script.len()
    ));
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.text()
}

/// The probe, written into a tree that is there.
pub(crate) fn with_procfile_in(tree: &Path, procfile: &str) -> PathBuf {
    std::fs::write(tree.join("Procfile"), procfile).unwrap();
    std::fs::write(tree.join("server.pl"), SERVER).unwrap();
    tree.to_owned()
}

/// Every file beneath a directory whose bytes hold that text.
pub(crate) fn holders(directory: &Path, text: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut left = vec![directory.to_owned()];
    while let Some(directory) = left.pop() {
        // What is removed meanwhile holds nothing.
        for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => left.push(entry.path()),
                Ok(kind) if kind.is_file() => {
                    let bytes = std::fs::read(entry.path()).unwrap_or_default();
                    if bytes.windows(text.len()).any(|window| window == text.as_bytes()) {
                        found.push(entry.path());
                    }
                }
                _ => {}
            }
        }
    }
    found
}
