// SPDX-License-Identifier: Apache-2.0
//! nginx, HAProxy, Traefik and Caddy in front, by the operator's choice: under load nothing that was begun is lost, what a product
//! cannot do is done all the same, and whoever is killed comes back.

use crate::harness::{Hop, fixture, skip, until};
use crate::load::Load;
use hop3_core::driver::{Proxy, ProxyChoice};
use hop3_core::layout::Layout;
use hop3_core::problem::{Kind, Problem};
use hop3_drivers::contract;
use hop3_drivers::proxies::{Builtin, Chosen};
use rustix::process::{Pid, Signal, kill_process};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

pub(crate) const APP: &str = "steady";
pub(crate) const PRODUCTS: [&str; 4] = ["nginx", "haproxy", "traefik", "caddy"];

pub(crate) fn is_missing(product: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = ["/usr/sbin", "/usr/local/sbin", "/usr/bin", "/usr/local/bin"].map(PathBuf::from);
    let mut all = folders.into_iter().chain(std::env::split_paths(&path));
    let is_there = all.any(|folder| folder.join(product).is_file());
    if !is_there {
        skip(&format!("front::{product}"), "it is not installed");
    }
    !is_there
}

/// The pid of the product's first process.
pub(crate) fn main_pid(hop: &Hop, product: &str) -> i32 {
    let text = std::fs::read_to_string(hop.root().join(format!("run/proxy/front/{product}.pid")));
    text.ok().and_then(|text| text.split(' ').next()?.parse().ok()).unwrap_or(0)
}

/// A server with the app, behind that product if it is installed.
pub(crate) fn behind(product: &str) -> Option<Hop> {
    if is_missing(product) {
        return None;
    }
    let hop = Hop::start();
    hop.push(APP, &fixture("steady"));
    choose(&hop, product);
    Some(hop)
}

pub(crate) fn choose(hop: &Hop, proxy: &str) {
    let said = hop.hop3(["proxy", "use", proxy]);
    assert!(said.ok && said.text.starts_with(proxy), "{}\n{}", said.text, hop.operator_log());
}

/// A process of the product that is on record has connections of visitors.
fn accepts(hop: &Hop, product: &str) -> bool {
    let main = main_pid(hop, product);
    let children = std::fs::read_to_string(format!("/proc/{main}/task/{main}/children")).unwrap_or_default();
    let files =
        children.split_whitespace().filter_map(|pid| std::fs::read_dir(format!("/proc/{pid}/fd")).ok());
    let links = files.flatten().flatten().filter_map(|file| std::fs::read_link(file.path()).ok());
    let open: Vec<String> = links.map(|link| link.display().to_string()).collect();
    let port = format!(":{:04X}", hop.port);
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    table.lines().skip(1).any(|line| {
        // Where it is, the peer, its state (1 is established), and as the tenth its inode: proc(5).
        let fields: Vec<&str> = line.split_whitespace().collect();
        fields[1].ends_with(&port) && fields[3] == "01" && open.contains(&format!("socket:[{}]", fields[9]))
    })
}

/// A push, then under load: nginx, three deployments, a domain, HAProxy, one more deployment, Traefik, two more,
/// Caddy, two more, and back.
#[test]
fn proxies_take_turns_under_load() {
    if PRODUCTS.into_iter().any(is_missing) {
        return;
    }
    let hop = Hop::start();
    let repository = hop.push(APP, &fixture("steady"));
    let load = Load::forgiving(hop.port, APP);
    let mut version = 1;
    let mut deploy = |load: &Load| {
        version += 1;
        repository.write("version", &version.to_string());
        hop.hop3_in(&repository.path, ["deploy", ".", "-a", APP]).expect_ok();
        load.wait_for(version);
        load.more(100);
    };
    assert!(!accepts(&hop, "nginx") && !accepts(&hop, "haproxy"));
    choose(&hop, "nginx");
    load.more(300);
    assert!(accepts(&hop, "nginx"));
    (0..3).for_each(|_| deploy(&load));
    hop.hop3(["domain", "add", "shop.example.org", "-a", APP]).expect_ok();
    assert_eq!(hop.get_host("shop.example.org", "/").status, 200);
    choose(&hop, "haproxy");
    load.more(300);
    assert!(accepts(&hop, "haproxy") && !accepts(&hop, "nginx"));
    deploy(&load);
    choose(&hop, "traefik");
    load.more(300);
    (0..2).for_each(|_| deploy(&load));
    choose(&hop, "caddy");
    load.more(300);
    (0..2).for_each(|_| deploy(&load));
    choose(&hop, "built-in");
    load.more(300);
    assert!(!accepts(&hop, "haproxy"));
    let tally = load.stop();
    println!(
        "{:?}: {} requests, {} failures; closed while idle: {} found so, {} as a request was on its way",
        tally.requests,
        tally.total(),
        tally.failures.len(),
        tally.idle,
        tally.crossed
    );
    tally.expect_no_failure();
    assert_eq!(tally.releases.len(), 9);
    let status = hop.hop3(["proxy", "status"]).expect_ok().text;
    assert!(status.starts_with("built-in"), "{status}");
}

fn is_known_and_comes_back(product: &str) {
    let Some(mut hop) = behind(product) else { return };
    let told = hop.hop3(["doctor"]).text;
    assert!(told.lines().any(|line| line.contains("connections") && line.contains(product)), "{told}");
    let answers = |hop: &Hop| hop.get(APP, "/").status == 200 && hop.get("nobody", "/").status == 404;
    assert!(answers(&hop));

    // The product itself.
    let killed = main_pid(&hop, product);
    kill_process(Pid::from_raw(killed).unwrap(), Signal::KILL).unwrap();
    until("it is started again", || ![0, killed].contains(&main_pid(&hop, product)));
    assert!(answers(&hop));

    // The role beneath it: the product goes on, and the next role finds it.
    let main = main_pid(&hop, product);
    let role = hop.kill("proxy");
    assert_eq!(hop.get(APP, "/").status, 200);
    until("another role lives", || hop.pid_of("proxy").is_some_and(|pid| pid != role));
    until("it answers behind", || hop.get("nobody", "/").status == 404);
    assert_eq!(main_pid(&hop, product), main);
    kill_process(Pid::from_raw(main).unwrap(), Signal::KILL).unwrap();
    until("it is started again", || ![0, main].contains(&main_pid(&hop, product)));
    assert!(answers(&hop));

    // The server, and everything.
    hop.kill("server");
    assert_eq!(hop.get(APP, "/").status, 200);
    until("the server lives", || hop.hop3(["proxy", "status"]).text.starts_with(product));
    hop.hop3(["proxy", "upgrade"]).expect_ok();
    assert!(answers(&hop));
    let last = main_pid(&hop, product);
    hop.hop3(["server", "stop", "--all"]).expect_ok();
    let is_gone = || std::fs::read_to_string(format!("/proc/{last}/cmdline")).unwrap_or_default().is_empty();
    until("the product has ended", is_gone);
    hop.boot();
    until("it answers after a new start", || hop.get(APP, "/").status == 200);
    assert_ne!(main_pid(&hop, product), last);
    choose(&hop, "built-in");
    assert!(answers(&hop));
}

#[test]
fn nginx_is_known_and_comes_back() {
    is_known_and_comes_back("nginx");
}

#[test]
fn haproxy_is_known_and_comes_back() {
    is_known_and_comes_back("haproxy");
}

#[test]
fn traefik_is_known_and_comes_back() {
    is_known_and_comes_back("traefik");
}

#[test]
fn caddy_is_known_and_comes_back() {
    is_known_and_comes_back("caddy");
}

/// What is passed on comes in by a socket that goes from role to role, and that nobody but the product may open.
fn upgrades_cut_nothing_that_is_passed_on(product: &str) {
    let Some(hop) = behind(product) else { return };
    hop.hop3(["proxy", "set", "-a", APP, "sticky=true"]).expect_ok();
    let socket = std::fs::metadata(hop.root().join("run/proxy/behind.sock")).unwrap();
    assert_eq!(std::os::unix::fs::PermissionsExt::mode(&socket.permissions()) & 0o777, 0o600);
    let load = Load::forgiving(hop.port, APP);
    for _ in 0..5 {
        hop.hop3(["proxy", "upgrade"]).expect_ok();
        load.more(200);
    }
    load.stop().expect_no_failure();
}

#[test]
fn upgrades_cut_nothing_that_is_passed_on_by_nginx() {
    upgrades_cut_nothing_that_is_passed_on("nginx");
}

#[test]
fn upgrades_cut_nothing_that_is_passed_on_by_haproxy() {
    upgrades_cut_nothing_that_is_passed_on("haproxy");
}

#[test]
fn upgrades_cut_nothing_that_is_passed_on_by_traefik() {
    upgrades_cut_nothing_that_is_passed_on("traefik");
}

#[test]
fn upgrades_cut_nothing_that_is_passed_on_by_caddy() {
    upgrades_cut_nothing_that_is_passed_on("caddy");
}

/// What is passed on keeps its rules, and visitors their addresses.
fn nobody_passes_by_the_rules(product: &str) {
    let Some(hop) = behind(product) else { return };
    let set = |pairs: &[&str]| hop.hop3(["proxy", "set", "-a", APP].iter().chain(pairs)).expect_ok();
    let unset = |key: &str| hop.hop3(["proxy", "unset", key, "-a", APP]).expect_ok();
    let forged = || {
        hop.ask(format!(
            "GET / HTTP/1.1\r\nHost: {APP}.localhost\r\nX-Forwarded-For: 192.0.2.7\r\nConnection: close\r\n\r\n"
        ))
    };
    set(&["deny=[\"127.0.0.1\"]"]);
    assert_eq!((hop.get(APP, "/").status, forged().status), (403, 403));
    let status = hop.hop3(["proxy", "status"]).expect_ok().text;
    assert!(status.contains("passed on to the built-in proxy: steady (deny)"), "{status}");
    unset("deny");
    set(&["allow=[\"192.0.2.0/24\"]"]);
    assert_eq!((hop.get(APP, "/").status, forged().status), (403, 403));
    unset("allow");
    assert_eq!(hop.get(APP, "/").status, 200);
    set(&["maintenance.on=true"]);
    assert_eq!(hop.get(APP, "/").status, 503);
    unset("maintenance.on");
    assert_eq!(hop.get(APP, "/").status, 200);
    // What the product could not even pass on is refused, and what was before goes on.
    let said = hop.hop3(["proxy", "set", "trusted-proxies=[\"10.0.0.0/8\"]", "-a", APP]);
    assert!(!said.ok && said.text.contains("proxy.cannot") && said.text.contains(product), "{}", said.text);
    assert_eq!(hop.get(APP, "/").status, 200);
    let said = hop.hop3(["proxy", "use", "apache"]);
    assert!(!said.ok && said.text.contains("proxy.unknown"), "{}", said.text);
}

#[test]
fn nobody_passes_by_the_rules_behind_nginx() {
    nobody_passes_by_the_rules("nginx");
}

#[test]
fn nobody_passes_by_the_rules_behind_haproxy() {
    nobody_passes_by_the_rules("haproxy");
}

#[test]
fn nobody_passes_by_the_rules_behind_traefik() {
    nobody_passes_by_the_rules("traefik");
}

#[test]
fn nobody_passes_by_the_rules_behind_caddy() {
    nobody_passes_by_the_rules("caddy");
}

pub(crate) fn curl(ca: &Path, url: &str) -> String {
    let mut curl = Command::new("curl");
    curl.args(["--silent", "--show-error", "--max-time", "20", "--noproxy", "*", "--cacert"]).arg(ca);
    curl.args(["--connect-to", "::127.0.0.1:"]);
    let facts = "\n%{http_code} %{http_version} %{redirect_url}";
    let output = curl.args(["--output", "/dev/null", "--write-out", facts, url]).output().unwrap();
    String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).trim().to_owned()
}

/// A certificate of one's own for that host.
pub(crate) fn bring(hop: &Hop, host: &str) -> PathBuf {
    let file = |name: &str| hop.scratch().join(name);
    let names = format!("subjectAltName=DNS:{host}");
    let made = Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-subj",
            "/CN=own",
        ])
        .args(["-days", "30", "-addext", &names, "-keyout", "own.key", "-out", "own.pem"])
        .current_dir(hop.scratch())
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let (pem, key) = (file("own.pem"), file("own.key"));
    let arguments = [pem.as_os_str(), "--key".as_ref(), key.as_os_str()];
    let words = ["cert", "add", "--cert"].map(std::ffi::OsStr::new);
    hop.hop3(words.iter().chain(&arguments)).expect_ok();
    pem
}

fn shows_our_certificates(product: &str) {
    if is_missing(product) {
        return;
    }
    let hop = Hop::start_secure();
    let https = hop.https.unwrap();
    let ca = hop.scratch().join("ca.pem");
    std::fs::write(&ca, hop.hop3(["cert", "ca"]).expect_ok().stdout).unwrap();
    let repository = hop.repository(APP, &fixture("steady"));
    hop.hop3_in(&repository.path, ["deploy", ".", "-a", APP]).expect_ok();
    choose(&hop, product);
    let url = format!("https://{APP}.localhost:{https}/");
    assert_eq!(curl(&ca, &url), "200 2");
    let plain = curl(&ca, &format!("http://{APP}.localhost:{}/x?y=z", hop.port));
    assert_eq!(plain, format!("301 1.1 {url}x?y=z"));
    let unknown = curl(&ca, &format!("https://nobody.localhost:{https}/"));
    assert!(unknown.starts_with("000"), "{unknown}");
    // One that is brought is shown without a word.
    let own = bring(&hop, &format!("{APP}.localhost"));
    until("the new certificate is shown", || curl(&own, &url) == "200 2");
    let folder = hop.root().join("run/proxy/certs");
    for entry in std::fs::read_dir(&folder).unwrap() {
        let mode = std::os::unix::fs::PermissionsExt::mode(&entry.unwrap().metadata().unwrap().permissions());
        assert_eq!(mode & 0o777, 0o600);
    }
    // A name that is added gets one with it.
    hop.hop3(["domain", "add", "shop.example.org", "-a", APP]).expect_ok();
    assert_eq!(curl(&ca, &format!("https://shop.example.org:{https}/")), "200 2");
}

#[test]
fn nginx_shows_our_certificates() {
    shows_our_certificates("nginx");
}

#[test]
fn haproxy_shows_our_certificates() {
    shows_our_certificates("haproxy");
}

#[test]
fn traefik_shows_our_certificates() {
    shows_our_certificates("traefik");
}

#[test]
fn caddy_shows_our_certificates() {
    shows_our_certificates("caddy");
}

/// What the server has for its routes. The server is away; the proxy role does not need it.
pub(crate) fn driver(hop: &Hop) -> Arc<Chosen> {
    hop.hop3(["server", "stop"]).expect_ok();
    let layout = Layout::new(hop.root());
    let mut upgrade = hop.command(["proxy", "upgrade"]);
    let upgrade = std::sync::Mutex::new(move || upgrade.output());
    let take_over = Box::new(move || {
        let said = upgrade.lock().unwrap()().unwrap();
        let words = String::from_utf8_lossy(&said.stderr).into_owned();
        if said.status.success() { Ok(()) } else { Err(Problem::new(Kind::Bug, "test.upgrade", words)) }
    });
    Chosen::start(Arc::new(Builtin::new(&layout)), &layout, take_over)
}

/// The contract, kept by each of them in turn.
#[test]
fn the_contract_is_kept_by_every_proxy() {
    if PRODUCTS.into_iter().any(is_missing) {
        return;
    }
    let hop = Hop::start();
    let proxy = driver(&hop);
    let at = ([127, 0, 0, 1], hop.port).into();
    for name in ["built-in"].into_iter().chain(PRODUCTS) {
        proxy.choose(name, &hop3_core::route::RouteTable::default()).unwrap();
        let broken = contract::proxy::broken_rules(proxy.as_ref(), at, hop.scratch()).unwrap();
        assert!(broken.is_empty(), "{name} ({}): {broken:#?}\n{}", proxy.name(), hop.operator_log());
    }
}
