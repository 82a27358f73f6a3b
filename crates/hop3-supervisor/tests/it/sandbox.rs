// SPDX-License-Identifier: Apache-2.0
//! From inside a sandbox: what cannot be seen, read, written or gained. Needs root.

use crate::harness::{Harness, eventually, is_gone, is_root, job, spec};
use hop3_core::driver::{Exit, Output, Runner as _};
use hop3_core::sandbox::{Job, Mount, Sandbox};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

#[derive(Default)]
struct Text(String);

impl Output for Text {
    fn line(&mut self, text: &str) -> bool {
        self.0 += text;
        self.0.push('\n');
        true
    }
}

/// Gives the job a user, a home beneath the root, and nothing else of the root.
pub(crate) fn confine(harness: &Harness, job: &mut Job, user: u32) {
    let home = harness.layout.apps().join(format!("u{user}/data"));
    harness.client.give(&home, Some(user)).unwrap();
    job.cwd = home.clone();
    job.sandbox = Sandbox {
        user: Some(user),
        user_name: format!("u{user}"),
        home: home.clone(),
        hide: vec![harness.layout.root().to_owned()],
        mounts: vec![Mount { source: home.clone(), target: home, writable: true }],
        ..Sandbox::default()
    };
}

fn try_inside(harness: &Harness, job: &Job) -> String {
    let mut text = Text::default();
    harness.client.run(job, Duration::from_secs(60), &mut text).unwrap();
    text.0
}

fn skipped() -> bool {
    if !is_root() {
        eprintln!("SKIPPED: sandboxes need root");
    }
    !is_root()
}

#[test]
fn the_sandbox_shows_what_is_given_and_nothing_else() {
    if skipped() {
        return;
    }
    let harness = Harness::start();
    let root = harness.layout.root();
    fs::write(root.join("hop3.db"), "secret").unwrap();
    let other = harness.layout.apps().join("other/data");
    harness.client.give(&other, Some(64_099)).unwrap();
    let code = root.join("artifacts/1");
    fs::create_dir_all(&code).unwrap();
    fs::write(code.join("file"), "code").unwrap();
    let mut inside = job("");
    confine(&harness, &mut inside, 64_010);
    inside.sandbox.mounts.push(Mount { source: code.clone(), target: code.clone(), writable: false });
    let shown = root.display();
    inside.command = hop3_core::sandbox::Command::shell(format!(
        "id -u; id -g; id -G; id -un; ls {shown}; ls {shown}/apps; cat {shown}/hop3.db {shown}/run/supervisor/lock; \
         cat {shown}/artifacts/1/file; echo; touch {shown}/artifacts/1/new; touch {shown}/new; \
         echo mine > file && cat file; ls /tmp /root; touch /tmp/x /dev/shm/x && echo temporary; echo ~u64010"
    ));
    let text = try_inside(&harness, &inside);
    assert!(text.starts_with("64010\n64010\n64010\nu64010\napps\nartifacts\nu64010\n"), "{text}");
    for expected in [
        "hop3.db: No such file",
        "lock': No such file",
        "\ncode\n",
        "Read-only file system",
        "/new': Permission denied",
        "\nmine\n",
        "\ntemporary\n",
    ] {
        let alternative = expected.replace("lock'", "lock");
        assert!(text.contains(expected) || text.contains(&alternative), "{expected:?} in {text}");
    }
    assert!(!text.contains("other") && !text.contains("secret"), "{text}");
    assert!(text.trim_end().ends_with("/apps/u64010/data"), "{text}");
    assert!(!std::path::Path::new("/dev/shm/x").exists());
}

#[test]
fn a_root_below_a_closed_directory_works_too() {
    if skipped() {
        return;
    }
    let harness = Harness::start();
    let mut inside = job("");
    confine(&harness, &mut inside, 64_011);
    let closed = harness.layout.root().join("closed");
    fs::create_dir_all(closed.join("a/b")).unwrap();
    fs::write(closed.join("a/b/file"), "reached").unwrap();
    fs::write(closed.join("a/secret"), "").unwrap();
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o700)).unwrap();
    let given = closed.join("a/b");
    inside.sandbox.hide.clear();
    inside.sandbox.mounts.push(Mount { source: given.clone(), target: given.clone(), writable: false });
    inside.command = hop3_core::sandbox::Command::shell(format!(
        "cat {}/file; echo; ls {}/a",
        given.display(),
        closed.display()
    ));
    assert_eq!(try_inside(&harness, &inside), "reached\nb\n");
}

#[test]
fn no_privilege_is_left_or_gained() {
    if skipped() {
        return;
    }
    let harness = Harness::start();
    let mut inside = job(
        "grep -E '^(Cap|NoNewPrivs|Groups)' /proc/self/status; umask; ulimit -c; ls /proc | grep -c '^[0-9]'",
    );
    confine(&harness, &mut inside, 64_012);
    let text = try_inside(&harness, &inside);
    for set in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
        assert!(text.contains(&format!("{set}:\t0000000000000000")), "{text}");
    }
    assert!(text.contains("NoNewPrivs:\t1") && text.contains("0022\n0\n"), "{text}");
    let seen: u32 = text.trim_end().lines().last().unwrap().parse().unwrap();
    assert!(seen <= 5, "only its own processes: {text}");
    let root = harness.layout.root();
    fs::write(root.join("hop3.db"), "secret").unwrap();
    let shown = root.display();
    let mut escape = inside.clone();
    // A user namespace gives the right to mount, but not to lift what hides.
    escape.command = hop3_core::sandbox::Command::shell(format!(
        "mount -t tmpfs x /tmp; umount /tmp; kill -0 1; cat /proc/1/environ; nsenter -t 1 -m true; su -c id; \
         chown 0 . ; mknod n b 8 0; unshare -Urm sh -c 'umount -l {shown} /tmp /proc; cat {shown}/hop3.db'; echo done"
    ));
    let text = try_inside(&harness, &escape);
    assert!(text.ends_with("done\n") && !text.contains("uid=0") && !text.contains("secret"), "{text}");
}

#[test]
fn one_that_reads_all_writes_no_more_than_its_user() {
    if skipped() {
        return;
    }
    let harness = Harness::start();
    let theirs = harness.layout.apps().join("other/data");
    fs::create_dir_all(&theirs).unwrap();
    fs::write(theirs.join("closed"), "seen").unwrap();
    fs::set_permissions(theirs.join("closed"), fs::Permissions::from_mode(0o600)).unwrap();
    harness.client.give(&theirs, Some(64_098)).unwrap();
    fs::set_permissions(&theirs, fs::Permissions::from_mode(0o700)).unwrap();
    let shown = theirs.display();
    let mut inside = job(&format!(
        "id -u; cat {shown}/closed; echo; grep '^Cap' /proc/self/status; echo x > {shown}/closed; \
         echo x > {shown}/new; chmod 777 {shown}/closed; chown 0 {shown}/closed; echo mine > own && cat own"
    ));
    confine(&harness, &mut inside, 64_019);
    // Writable, so that it is the user who may not, and not the mount.
    inside.sandbox.mounts.push(Mount { source: theirs.clone(), target: theirs.clone(), writable: true });
    let refused = try_inside(&harness, &inside);
    assert!(!refused.contains("seen"), "{refused}");
    inside.sandbox.reads_all = true;
    let text = try_inside(&harness, &inside);
    assert!(text.starts_with("64019\nseen\n"), "{text}");
    for set in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
        assert!(text.contains(&format!("{set}:\t0000000000000004\n")), "{text}");
    }
    assert!(text.matches("Permission denied").count() >= 2 && text.ends_with("mine\n"), "{text}");
    assert_eq!(text.matches("Operation not permitted").count(), 2, "{text}");
    assert_eq!(fs::read_to_string(theirs.join("closed")).unwrap(), "seen");
}

#[test]
fn a_daemon_that_drops_session_and_environment_is_still_found() {
    if skipped() {
        return;
    }
    let harness = Harness::start();
    let mut daemon =
        spec("daemon", "setsid -f env -i /bin/sh -c 'echo $$; exec sleep 1000'; exec sleep 1000");
    confine(&harness, &mut daemon.job, 64_013);
    harness.client.start(vec![daemon]).unwrap();
    eventually("it has told its pid", || harness.log("daemon").len() == 1);
    let pid = harness.log("daemon")[0].parse().unwrap();
    harness.client.stop(vec!["daemon.web.v1.1".into()]).unwrap();
    assert!(is_gone(pid));
}

#[test]
fn limits_hold() {
    if skipped() {
        return;
    }
    let harness = Harness::start();
    let mut inside = job(
        "ulimit -n; ulimit -f; awk '/Max processes/ {print $3}' /proc/self/limits; head -c 4096 /dev/zero > big; stat -c %s big",
    );
    inside.limits.nofile = Some(77);
    inside.limits.fsize_bytes = Some(1024);
    inside.limits.nproc = Some(55);
    confine(&harness, &mut inside, 64_014);
    let mut text = Text::default();
    let exit = harness.client.run(&inside, Duration::from_secs(60), &mut text).unwrap();
    assert!(text.0.starts_with("77\n2\n55\n") && text.0.ends_with("\n1024\n"), "{} {}", text.0, exit);
    assert_eq!(exit, Exit::Status(0));
}

#[test]
fn only_the_allowed_user_is_answered() {
    if skipped() {
        return;
    }
    let harness = Harness::start();
    let socket = harness.layout.supervisor_socket();
    let everybody = fs::Permissions::from_mode(0o777);
    fs::set_permissions(&socket, everybody.clone()).unwrap();
    fs::set_permissions(harness.layout.root().parent().unwrap(), everybody).unwrap();
    let script = format!(
        "import socket\ns = socket.socket(socket.AF_UNIX)\ns.connect({socket:?})\n\
         s.sendall(b'\"hello\"\\n')\nprint(repr(s.recv(100)))"
    );
    let ask = |user: u32| {
        let mut python = std::process::Command::new("/usr/bin/python3");
        std::os::unix::process::CommandExt::uid(&mut python, user);
        let output = python.arg("-c").arg(&script).current_dir("/").output().unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
    };
    assert!(ask(0).contains("privileged"), "{}", ask(0));
    let refused = ask(64_015);
    assert!(["b''", "reset", "Broken pipe"].iter().any(|end| refused.contains(end)), "{refused}");
}

#[test]
fn whoever_may_connect_does_not_become_root() {
    if skipped() {
        return;
    }
    let harness = Harness::start_for(64_016);
    let mut root = job("id -u");
    let mut text = Text::default();
    let minute = Duration::from_secs(60);
    assert_eq!(harness.client.run(&root, minute, &mut text).unwrap_err().code, "run.no-user");
    root.sandbox.user = Some(0);
    assert_eq!(harness.client.run(&root, minute, &mut text).unwrap_err().code, "run.no-user");
    assert_eq!(harness.client.start(vec![spec("root", "true")]).unwrap_err().code, "run.no-user");
    let directory = harness.layout.root().join("mine");
    assert_eq!(harness.client.give(&directory, Some(0)).unwrap_err().code, "run.no-user");
    confine(&harness, &mut root, 64_017);
    assert_eq!(try_inside(&harness, &root), "64017\n");
    let owner = |path: &std::path::Path| std::os::unix::fs::MetadataExt::uid(&fs::metadata(path).unwrap());
    assert_eq!(owner(&harness.layout.apps()), 64_016, "what was made on the way is theirs");
    assert_eq!(owner(&harness.layout.supervisor_socket()), 64_016);
    assert_eq!(owner(&harness.layout.supervisor_state()), 0);
}

#[test]
fn a_storm_of_forks_is_held_and_ended() {
    if skipped() {
        return;
    }
    let harness = Harness::start();
    let mut storm =
        spec("storm", "echo begun; fork() { while :; do fork & sleep 0.01; done; }; fork 2>/dev/null");
    storm.job.limits.nproc = Some(60);
    storm.stop_grace_secs = 0;
    confine(&harness, &mut storm.job, 64_018);
    harness.client.start(vec![storm]).unwrap();
    let running = || {
        let processes = fs::read_dir("/proc").unwrap().flatten().filter_map(|entry| entry.metadata().ok());
        processes.filter(|m| std::os::unix::fs::MetadataExt::uid(m) == 64_018).count()
    };
    eventually("the storm is at its limit", || running() >= 40);
    harness.client.stop(vec!["storm.web.v1.1".into()]).unwrap();
    eventually("none is left", || running() == 0);
}
