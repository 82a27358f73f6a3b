// SPDX-License-Identifier: Apache-2.0
//! The request filter is replaced by a new process under load: nothing fails, and no attack gets through.

use crate::harness::{Hop, fixture, until};
use crate::waf::{ATTACK, is_there, set};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};

/// Requests, and the status each has to get.
fn visits() -> [(String, u16); 4] {
    let get =
        |path: &str| format!("GET {path} HTTP/1.1\r\nHost: site.localhost\r\nConnection: close\r\n\r\n");
    let post = |body: &str| {
        format!(
            "POST /comment HTTP/1.1\r\nHost: site.localhost\r\nContent-Type: application/x-www-form-urlencoded\r\n\
             Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        )
    };
    let script = post("text=%3Cscript%3Ealert%281%29%3C%2Fscript%3E");
    let long = post(&format!("text={}", "Gr%C3%BC%C3%9Fe+".repeat(500)));
    [(get(ATTACK), 403), (get("/"), 200), (script, 403), (long, 200)]
}

/// Visitors without pause, for as long as the work takes; the work is told how many have been answered.
fn under_load(hop: &Hop, work: impl FnOnce(&AtomicU64)) {
    let (is_over, answered, wrong) = (AtomicBool::new(false), AtomicU64::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for (request, wanted) in visits() {
            let (is_over, answered, wrong) = (&is_over, &answered, &wrong);
            scope.spawn(move || {
                while !is_over.load(SeqCst) {
                    let status = hop.ask(&request).status;
                    if status != wanted {
                        wrong.lock().unwrap().push((
                            status,
                            wanted,
                            request.lines().next().unwrap().to_owned(),
                        ));
                    }
                    answered.fetch_add(1, SeqCst);
                }
            });
        }
        // Also when the work fails: the visitors end.
        let _end = End(&is_over);
        work(&answered);
    });
    let wrong = wrong.into_inner().unwrap();
    println!("{} requests, {} failures", answered.load(SeqCst), wrong.len());
    assert!(
        wrong.is_empty(),
        "{} of {}: {:?}",
        wrong.len(),
        answered.load(SeqCst),
        &wrong[..wrong.len().min(9)]
    );
}

struct End<'a>(&'a AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, SeqCst);
    }
}

fn more(answered: &AtomicU64, count: u64) {
    let enough = answered.load(SeqCst) + count;
    until("requests are answered", || answered.load(SeqCst) >= enough);
}

/// An app that is filtered, behind programs that the test may replace; where `hop3-waf` lies among them.
fn filtered() -> (Hop, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let built = Path::new(env!("CARGO_BIN_EXE_hop3"));
    for name in ["hop3", "hop3-waf"] {
        std::fs::copy(built.with_file_name(name), directory.path().join(name)).unwrap();
    }
    let (program, filter) = (directory.path().join("hop3"), directory.path().join("hop3-waf"));
    let hop = Hop::start_as(directory, program, Vec::new());
    hop.push("site", &fixture("policy"));
    set(&hop, &["waf.mode=block", "max-body-size=1m"]);
    (hop, filter)
}

#[test]
fn upgrades_under_load_fail_no_request_and_let_no_attack_through() {
    if !is_there("upgrades_under_load_fail_no_request_and_let_no_attack_through") {
        return;
    }
    let (hop, filter) = filtered();
    under_load(&hop, |answered| {
        let mut pids = std::collections::BTreeSet::from([hop.pid_of("waf").unwrap()]);
        for _ in 0..6 {
            more(answered, 60);
            // The program as it lies there now.
            let fresh = filter.with_extension("new");
            std::fs::copy(&filter, &fresh).unwrap();
            std::fs::rename(&fresh, &filter).unwrap();
            let said = hop.hop3(["proxy", "upgrade"]).expect_ok();
            let pid = hop.pid_of("waf").unwrap();
            assert!(said.stdout.contains(&format!("the request filter {pid} has taken")), "{}", said.text);
            assert!(pids.insert(pid), "the same process again");
            let program = std::fs::read_link(format!("/proc/{pid}/exe")).unwrap();
            assert_eq!(program, filter.canonicalize().unwrap());
        }
        more(answered, 60);
        let last = hop.pid_of("waf").unwrap();
        let is_gone = |pid: &u32| *pid == last || !Path::new(&format!("/proc/{pid}/exe")).exists();
        until("every old filter has ended", || pids.iter().all(is_gone));
    });
    // It is kept as the first one was.
    let killed = hop.kill("waf");
    until("another filter lives", || hop.pid_of("waf").is_some_and(|pid| pid != killed));
    until("it answers", || hop.get("site", "/").status == 200);
}

#[test]
fn a_new_filter_that_does_not_start_leaves_the_old_one() {
    if !is_there("a_new_filter_that_does_not_start_leaves_the_old_one") {
        return;
    }
    let (hop, filter) = filtered();
    let (old, proxy) = (hop.pid_of("waf").unwrap(), hop.pid_of("proxy").unwrap());
    under_load(&hop, |answered| {
        more(answered, 20);
        replace(&filter, "#!/bin/sh\necho the library is not there >&2\nexit 7\n");
        let said = hop.hop3(["proxy", "upgrade"]);
        assert!(!said.ok, "{}", said.text);
        let told = [
            "the request filter was not replaced; the old one answers on",
            "exit status: 7: the library is not there",
            "hint: its log says more: ",
            "run/waf/log",
        ];
        assert!(told.iter().all(|words| said.text.contains(words)), "{}", said.text);
        std::fs::remove_file(&filter).unwrap();
        let said = hop.hop3(["proxy", "upgrade"]);
        assert!(!said.ok && said.text.contains("hop3-waf is not there"), "{}", said.text);
        more(answered, 20);
    });
    assert_eq!(hop.pid_of("waf"), Some(old));
    assert_ne!(hop.pid_of("proxy"), Some(proxy));
}

fn replace(program: &Path, script: &str) {
    // Not over what runs.
    std::fs::remove_file(program).unwrap();
    std::fs::write(program, script).unwrap();
    std::fs::set_permissions(program, std::fs::Permissions::from_mode(0o755)).unwrap();
}

/// Whoever wrote a rule that cannot be read learns of it while the rules before it are still at work.
#[test]
fn rules_that_cannot_be_read_leave_the_old_filter() {
    const NAME: &str = "rules_that_cannot_be_read_leave_the_old_filter";
    let may_mount = || Command::new("unshare").args(["--mount", "true"]).status().is_ok_and(|s| s.success());
    if !is_there(NAME) {
        return;
    }
    if !may_mount() {
        return crate::harness::skip(NAME, "nothing may be mounted here");
    }
    let (hop, filter) = filtered();
    let old = hop.pid_of("waf").unwrap();
    let rules = hop.scratch().join("rules");
    std::fs::create_dir(&rules).unwrap();
    let setup = std::fs::read_to_string("/etc/modsecurity/crs/crs-setup.conf").unwrap();
    let write = |more: &str| std::fs::write(rules.join("crs-setup.conf"), setup.clone() + more).unwrap();
    write("SecNonsense On\n");
    // The same program, which sees other rules than the one that runs.
    let real = filter.with_extension("real");
    std::fs::hard_link(&filter, &real).unwrap();
    let aside = format!("mount --bind {} /etc/modsecurity/crs && exec \"$@\"", rules.display());
    replace(
        &filter,
        &format!("#!/bin/sh\nexec unshare --mount sh -c '{aside}' sh {} \"$@\"\n", real.display()),
    );
    under_load(&hop, |answered| {
        more(answered, 20);
        let said = hop.hop3(["proxy", "upgrade"]);
        assert!(!said.ok && said.text.contains("crs-setup.conf"), "{}", said.text);
        assert_eq!(hop.pid_of("waf"), Some(old));
        // Mended, they are read, and hold.
        write("SecRule ARGS \"@streq mended\" \"id:9999999,phase:2,deny,status:403,log\"\n");
        assert_eq!(hop.get("site", "/?a=mended").status, 200);
        hop.hop3(["proxy", "upgrade"]).expect_ok();
        more(answered, 20);
        assert_eq!(hop.get("site", "/?a=mended").status, 403);
    });
    assert_ne!(hop.pid_of("waf"), Some(old));
}
