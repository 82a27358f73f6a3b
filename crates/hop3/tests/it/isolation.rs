// SPDX-License-Identifier: Apache-2.0
//! What an app can reach of other apps and of Hop3, tried from inside: from its web process, a one-off command and a
//! build. Every attempt prints `REACHED` when it succeeds.

use crate::harness::{Hop, until};
use crate::probe::{self, inside};
use std::path::Path;

const SECRET: &str = "canary-4f1d9c27";

/// A root outside the places that sandboxes make private anyway, open to all but for what Hop3 closes.
pub(crate) fn open_hop() -> Hop {
    use std::os::unix::fs::PermissionsExt;
    let directory = tempfile::tempdir_in("/opt").or_else(|_| tempfile::tempdir()).unwrap();
    std::fs::set_permissions(directory.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    Hop::start_in(directory)
}

/// Whether apps are separated here; otherwise checks that the reduced mode is told.
fn is_separated(hop: &Hop) -> bool {
    let checks = hop.hop3(["doctor", "--json"]);
    let checks: serde_json::Value = serde_json::from_str(&checks.stdout).unwrap();
    let isolation = checks.as_array().unwrap().iter().find(|c| c["name"] == "isolation").unwrap();
    let root = rustix::process::geteuid().is_root();
    assert_eq!(isolation["verdict"], if root { "ok" } else { "reduced" }, "{checks}");
    root
}

/// The app that others must not reach: a secret in config, in its data, its HOME and its code.
fn victim(hop: &Hop) {
    let tree = probe::with_procfile(hop, "victim", "web: perl server.pl\n");
    std::fs::write(tree.join("code.txt"), SECRET).unwrap();
    hop.push("victim", &tree);
    hop.hop3(["config", "set", &format!("SECRET={SECRET}"), "-a", "victim"]).expect_ok();
    let script =
        format!("echo {SECRET} > $HOP3_DATA_DIR/note; echo {SECRET} > $HOME/note; echo {SECRET} >&2");
    inside(hop, "victim", &script);
    assert!(inside(hop, "victim", "cat $HOP3_DATA_DIR/note $HOME/note; env").matches(SECRET).count() >= 3);
}

/// Everything an app tries, as a shell script.
fn attempts(hop: &Hop) -> String {
    let root = hop.root().canonicalize().unwrap();
    let root = root.display();
    let victim = hop.instances("victim")[0]["pid"].as_u64().expect("the victim runs");
    let roles = ["server", "proxy", "supervisor"].map(|role| hop.pid_of(role).unwrap().to_string());
    let roles = roles.join(" ");
    let mut script = format!("root={root}\nvictim={victim}\npids='{victim} {roles}'\n");
    script += r#"
try() { what=$1; shift; if "$@" >/dev/null 2>&1; then echo "REACHED $what"; else echo "refused $what"; fi; }
for file in hop3.db hop3.db-wal secret.key authorized_keys run/server/log run/server/lock run/proxy/table.json \
    run/proxy/log run/supervisor/log apps/victim/data/note apps/victim/home/note apps/victim/repo.git/HEAD; do
    try "reading $file" head -c 1 $root/$file
    try "writing $file" sh -c ": >> $root/$file"
done
for directory in apps/victim apps/victim/data apps/victim/repo.git logs run run/server run/proxy run/supervisor \
    run/supervisor/state cache/victim toolchains; do
    try "listing $directory" ls $root/$directory
done
try "listing other artifacts" sh -c "ls $root/artifacts | grep -v -F $(basename $(dirname $PWD)) | grep ."
try "listing other apps" sh -c "ls $root/apps | grep -v -x $HOP3_APP | grep ."
try "listing layers" sh -c "ls $root/layers | grep ."
try "finding the secret in files" sh -c "grep -rqs canary-4f1d[9]c27 $root"
for socket in run/server/api.sock run/server/http.sock run/proxy/control.sock run/supervisor/control.sock; do
    try "connecting to $socket" perl -MIO::Socket::UNIX -e 'exit !IO::Socket::UNIX->new(Peer => shift)' $root/$socket
done
for pid in $pids; do
    try "environment of $pid" head -c 1 /proc/$pid/environ
    try "memory of $pid" head -c 1 /proc/$pid/mem
    try "files of $pid" ls /proc/$pid/fd/
    try "root of $pid" ls /proc/$pid/root/
    try "directory of $pid" ls /proc/$pid/cwd/
    try "signal to $pid" kill -s CONT $pid
done
try "any environment with the secret" sh -c "cat /proc/[0-9]*/environ | grep -aq canary-4f1d[9]c27"
try "leaving by a user namespace" unshare -Urm sh -c "umount $root; head -c 1 $root/hop3.db"
try "unmounting the root" umount $root
try "mounting" mount -t tmpfs none /mnt
try "becoming root" sh -c "su -c true root </dev/null"
try "being root" test $(id -u) -eq 0
try "being in another group" sh -c "id -G | tr ' ' '\n' | grep -v -x $(id -g)"
try "a capability" sh -c "grep -E '^Cap(Eff|Prm|Bnd|Amb)' /proc/self/status | grep -v 0000000000000000"
try "gaining privileges" sh -c "grep -x 'NoNewPrivs:.0' /proc/self/status"
for place in / /etc /usr/bin /opt /var/lib /root /home; do try "writing to $place" sh -c ": > $place/hop3-was-here"; done
own() { what=$1; shift; if "$@" >/dev/null 2>&1; then echo "has $what"; else echo "LACKS $what"; fi; }
own "its HOME" sh -c ': > $HOME/own && test "$(stat -c %u $HOME)" = "$(id -u)"'
own "a private /tmp" sh -c ': > /tmp/own && ls -A /tmp | grep -qx own'
own "a name" sh -c 'test "$(id -un)" = "$HOP3_APP"'
"#;
    script
}

/// What only an app that runs has, in distinction to one that is built.
const RUNNING: &str = r#"
try "writing its code" sh -c ': >> server.pl'
try "adding to its code" sh -c ': > added'
try "removing its code" rm server.pl
try "opening its code" sh -c 'chmod u+w . server.pl && : >> server.pl'
try "adding beside its code" sh -c ': > ../added'
own "its data directory" sh -c ': > $HOP3_DATA_DIR/own'
"#;

#[track_caller]
fn assert_confined(output: &str) {
    assert!(output.lines().filter(|line| line.starts_with("refused ")).count() > 50, "{output}");
    assert!(output.lines().filter(|line| line.starts_with("has ")).count() >= 3, "{output}");
    let broken: Vec<_> =
        output.lines().filter(|l| l.starts_with("REACHED ") || l.starts_with("LACKS ")).collect();
    assert!(broken.is_empty(), "{broken:#?}\nof\n{output}");
}

#[test]
fn an_app_reaches_neither_other_apps_nor_hop3() {
    let hop = open_hop();
    if !is_separated(&hop) {
        return;
    }
    victim(&hop);
    probe::push(&hop, "spy");
    let script = attempts(&hop) + RUNNING;
    assert_confined(&inside(&hop, "spy", &script));
    // The same through a one-off command, whose status is the last attempt's.
    let run = hop.hop3(["run", "-a", "spy", "--", "sh", "-c", &script]).expect_ok();
    assert_confined(&run.stdout);
    let uid = |app| inside(&hop, app, "id -u");
    assert_ne!(uid("spy"), uid("victim"));
    assert_eq!(hop.hop3(["run", "-a", "spy", "id", "-u"]).expect_ok().stdout, uid("spy"));
}

#[test]
fn a_build_reaches_neither_other_apps_nor_hop3() {
    let hop = open_hop();
    if !is_separated(&hop) {
        return;
    }
    victim(&hop);
    let tree =
        probe::with_procfile(&hop, "spy", "build: sh attempts.sh > seen.txt 2>&1\nweb: perl server.pl\n");
    std::fs::write(
        tree.join("attempts.sh"),
        "HOP3_APP=${HOP3_APP:-spy}\nexport HOP3_APP\n".to_owned() + &attempts(&hop),
    )
    .unwrap();
    hop.push("spy", &tree);
    assert_confined(&inside(&hop, "spy", "cat seen.txt"));
}

#[test]
fn what_a_build_leaves_running_dies_with_it() {
    let hop = Hop::start();
    let procfile = "build: setsid sleep 36107 >/dev/null 2>&1 & (sleep 36107 &) >/dev/null 2>&1; \
                    perl -e 'fork and exit; setpgrp; fork and exit; exec q(sleep), q(36107)' >/dev/null 2>&1\n\
                    web: perl server.pl\n";
    hop.push("site", &probe::with_procfile(&hop, "site", procfile));
    assert_eq!(running("36107"), Vec::<String>::new());
}

#[test]
fn what_a_one_off_command_leaves_running_dies_with_it() {
    let hop = Hop::start();
    probe::push(&hop, "site");
    hop.hop3(["run", "-a", "site", "--", "sh", "-c", "setsid sleep 36108 >/dev/null 2>&1 & echo done"])
        .expect_ok();
    until("the left process ends", || running("36108").is_empty());
}

/// Command lines on this machine that are a sleep of that many seconds.
fn running(seconds: &str) -> Vec<String> {
    let wanted = format!("sleep\0{seconds}\0");
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let lines = processes.filter_map(|entry| std::fs::read_to_string(entry.path().join("cmdline")).ok());
    lines.filter(|line| *line == wanted).collect()
}

#[test]
fn an_app_that_kills_all_it_can_ends_itself_alone() {
    let hop = open_hop();
    if !is_separated(&hop) {
        return;
    }
    victim(&hop);
    probe::push(&hop, "spy");
    let pids = |app: &str| hop.instances(app).iter().map(|i| i["pid"].as_u64()).collect::<Vec<_>>();
    let roles = || ["server", "proxy", "supervisor"].map(|role| hop.pid_of(role));
    let (victim, spy, before) = (pids("victim"), pids("spy"), roles());
    hop.hop3(["run", "-a", "spy", "--", "sh", "-c", "kill -9 -1"]);
    until("the spy is started again", || pids("spy") != spy && pids("spy") != [None]);
    assert_eq!((pids("victim"), roles()), (victim, before));
    until("the spy answers", || hop.get("spy", "/").status == 200);
}

#[test]
fn data_and_home_outlive_deployments_and_code_does_not_change() {
    let hop = Hop::start();
    let repository = probe::push(&hop, "shop");
    inside(&hop, "shop", "echo kept > $HOP3_DATA_DIR/a; echo kept > $HOME/b");
    repository.write("second.txt", "second");
    repository.commit("second");
    repository.push(&hop.remote("shop"), "main").expect_ok();
    hop.hop3(["config", "set", "A=1", "-a", "shop"]).expect_ok();
    hop.hop3(["ps", "restart", "-a", "shop"]).expect_ok();
    assert_eq!(inside(&hop, "shop", "cat $HOP3_DATA_DIR/a $HOME/b second.txt"), "kept\nkept\nsecond");
    let data = hop.root().join("apps/shop/data/a");
    assert!(Path::new(&data).exists());
}
