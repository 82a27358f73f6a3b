// SPDX-License-Identifier: Apache-2.0
//! What a table becomes in each product's words, what is passed on, and what is refused.

use super::door::Door;
use super::plan::{CHALLENGES, Plan};
use super::process::{Main, connections};
use super::product::{Facts, Judged, Place, Product, expect_new_enough, is_since, product, program};
use expect_test::{Expect, expect, expect_file};
use hop3_core::name::Domain;
use hop3_core::policy::{BasicAuth, Policy};
use hop3_core::route::{
    Address, Host, Https, Mount, OnDemand, Page, Pool, Route, RouteTable, Service, StaticFiles, Target, Tls,
    Upstream,
};
use rustix::process::Signal;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};

const PRODUCTS: [&str; 4] = ["nginx", "haproxy", "traefik", "caddy"];

/// What a product says of the files that `judged` put into the folder it is given.
pub(super) fn said(judged: impl FnOnce(&Path) -> Option<Judged>) -> Option<(bool, String)> {
    let folder = tempfile::tempdir().unwrap();
    let judged = judged(folder.path())?;
    Some((judged.is_good, String::from_utf8_lossy(&judged.said).into_owned()))
}

pub(super) fn place(is_secure: bool) -> Place {
    Place {
        folder: "/srv/hop3/run/proxy/front".into(),
        certificates: "/srv/hop3/run/proxy/certs".into(),
        http: "0.0.0.0:80".parse().unwrap(),
        https: is_secure.then(|| "0.0.0.0:8443".parse().unwrap()),
        behind: Address::Unix("/srv/hop3/run/proxy/behind.sock".into()),
        uncertified: [].into(),
        user: Some("www-data"),
    }
}

fn upstream(id: &str, address: &str) -> Upstream {
    let address = match address.starts_with('/') {
        true => Address::Unix(address.into()),
        false => Address::Tcp(address.parse().unwrap()),
    };
    Upstream { id: id.into(), address }
}

fn pool(addresses: &[&str]) -> Target {
    let upstreams = addresses.iter().map(|address| upstream(address, address)).collect();
    Target::Upstreams(Pool { upstreams, ..Pool::default() })
}

fn service(name: &str, hosts: &[&str], routes: Vec<(&str, Target)>) -> Service {
    let routes = routes.into_iter().map(|(prefix, target)| Route { prefix: prefix.into(), target }).collect();
    let hosts = hosts.iter().map(|host| Host((*host).into())).collect();
    Service { name: name.into(), hosts, routes, ..Service::default() }
}

/// Something of everything.
fn table() -> RouteTable {
    let files = Target::Static(StaticFiles { root: "/srv/site".into(), ..StaticFiles::default() });
    let shop = service(
        "shop",
        &["shop.example.org", "*.shop.example.org", "SHOP.example.com."],
        vec![
            ("/", pool(&["127.0.0.1:4001", "[::1]:4002"])),
            ("/static", files),
            ("/api", pool(&["127.0.0.1:4003"])),
        ],
    );
    let mut plane =
        service("hop3", &["example.org", "192.0.2.1", "2001:db8::1"], vec![("/", pool(&["/srv/http.sock"]))]);
    plane.tls = Tls { https: Https::Both, for_unnamed: true, ..Tls::default() };
    let mut blog = service("blog", &["blog.example.org"], vec![("/", pool(&["127.0.0.1:4005"]))]);
    blog.policy = Some(Box::new(Policy { max_body_size: Some(1000), ..Policy::default() }));
    blog.mounts = vec![Mount { host: Host("example.com".into()), prefix: "/blog".into() }];
    let fresh = service("fresh", &["fresh.example.org"], vec![("/", Target::Page(Page::NotDeployed))]);
    RouteTable { services: vec![shop, plane, blog, fresh] }
}

fn plan(table: &RouteTable, product: &dyn Product) -> Plan {
    Plan::of(table, product.abilities(), product.name()).unwrap()
}

fn rendered(name: &str, is_secure: bool) -> String {
    let product = product(name).unwrap();
    let files = product.render(&plan(&table(), product), &place(is_secure));
    files.into_iter().map(|(name, text)| format!("== {name}\n{}", text.replace('\r', ""))).collect()
}

#[test]
fn a_table_in_each_products_words() {
    for name in PRODUCTS {
        for (is_secure, word) in [(false, "plain"), (true, "secure")] {
            expect_file![format!("expected/{name}-{word}.txt")].assert_eq(&rendered(name, is_secure));
        }
    }
}

/// Nginx takes a path once in a server.
#[test]
fn a_service_may_have_the_path_where_issuers_ask() {
    let product = product("nginx").unwrap();
    let routes = vec![("/", pool(&["127.0.0.1:4001"])), (CHALLENGES, pool(&["127.0.0.1:4002"]))];
    let table = RouteTable { services: vec![service("shop", &["shop.example.org"], routes)] };
    for is_secure in [false, true] {
        let text = product.render(&plan(&table, product), &place(is_secure)).remove(0).1;
        let servers = text.split("    server {").filter(|server| server.contains("shop.example.org"));
        let counts: Vec<_> = servers.map(|s| s.matches(&format!("^~ {CHALLENGES}/ ")).count()).collect();
        assert_eq!(counts, vec![1; if is_secure { 2 } else { 1 }]);
    }
}

fn passed_on(change: impl Fn(&mut Service)) -> Vec<String> {
    let mut shop = service("shop", &["shop.example.org"], vec![("/", pool(&["127.0.0.1:4001"]))]);
    change(&mut shop);
    let why = |name: &&str| {
        let product = product(name).unwrap();
        let plan = plan(&RouteTable { services: vec![shop.clone()] }, product);
        let text =
            product.render(&plan, &place(false)).iter().map(|(_, text)| text.as_str()).collect::<String>();
        let why = plan.passed_on.get("shop").cloned().unwrap_or_default();
        // What is passed on as a whole must not be reached past the proxy that has the rules.
        assert!(why.is_empty() || !text.contains("127.0.0.1:4001"), "{name}: {why:?}");
        format!("{name}: {}", why.into_iter().collect::<Vec<_>>().join(", "))
    };
    PRODUCTS.iter().map(why).collect()
}

fn policy(change: impl Fn(&mut Policy)) -> Vec<String> {
    passed_on(|service| change(service.policy.get_or_insert_default()))
}

fn check(found: &[String], expected: Expect) {
    expected.assert_eq(&(found.join("\n") + "\n"));
}

#[test]
fn a_service_that_asks_for_more_is_passed_on_whole() {
    check(
        &passed_on(|_| {}),
        expect![[r#"
            nginx: 
            haproxy: 
            traefik: 
            caddy: every request
        "#]],
    );
    let auth = BasicAuth { on: true, realm: "r".into(), users: [].into(), except: Vec::new() };
    check(
        &policy(|policy| policy.basic_auth = Some(auth.clone())),
        expect![[r#"
            nginx: basic-auth
            haproxy: basic-auth
            traefik: basic-auth
            caddy: basic-auth
        "#]],
    );
    check(
        &policy(|policy| policy.deny = vec!["192.0.2.0/24".parse().unwrap()]),
        expect![[r#"
            nginx: deny
            haproxy: deny
            traefik: deny
            caddy: deny
        "#]],
    );
    check(
        &policy(|policy| policy.max_body_size = Some(1)),
        expect![[r#"
            nginx: 
            haproxy: max-body-size
            traefik: max-body-size
            caddy: max-body-size
        "#]],
    );
    let canonical: Domain = "example.org".parse().unwrap();
    check(
        &policy(|policy| (policy.sticky, policy.canonical_host) = (true, Some(canonical.clone()))),
        expect![[r#"
            nginx: canonical-host, sticky
            haproxy: canonical-host, sticky
            traefik: canonical-host, sticky
            caddy: canonical-host, sticky
        "#]],
    );
    check(
        &passed_on(|service| service.tls.https = Https::Only),
        expect![[r#"
            nginx: HTTPS only
            haproxy: HTTPS only
            traefik: HTTPS only
            caddy: HTTPS only
        "#]],
    );
    let sleeps = |service: &mut Service| {
        let Target::Upstreams(pool) = &mut service.routes[0].target else { return };
        pool.on_demand = Some(OnDemand::new("/srv/wake.sock".into()));
    };
    check(
        &passed_on(sleeps),
        expect![[r#"
            nginx: sleep
            haproxy: sleep
            traefik: sleep
            caddy: every request
        "#]],
    );
}

#[test]
fn what_can_be_neither_done_nor_passed_on_is_refused() {
    let table = |change: &dyn Fn(&mut Service)| {
        let mut shop = service("shop", &["shop.example.org"], vec![("/", pool(&["127.0.0.1:4001"]))]);
        change(&mut shop);
        RouteTable { services: vec![shop] }
    };
    let refused = |change: &dyn Fn(&mut Service)| {
        let told = PRODUCTS.iter().map(|name| {
            let product = product(name).unwrap();
            Plan::of(&table(change), product.abilities(), name).expect_err("it is refused").render()
        });
        told.collect::<String>()
    };
    expect![[r#"
        error[proxy.cannot]: nginx cannot serve shop: it asks for certificates of its clients
        hint: the built-in proxy can; choose it with: hop3 proxy use built-in
        error[proxy.cannot]: haproxy cannot serve shop: it asks for certificates of its clients
        hint: the built-in proxy can; choose it with: hop3 proxy use built-in
        error[proxy.cannot]: traefik cannot serve shop: it asks for certificates of its clients
        hint: the built-in proxy can; choose it with: hop3 proxy use built-in
        error[proxy.cannot]: caddy cannot serve shop: it asks for certificates of its clients
        hint: the built-in proxy can; choose it with: hop3 proxy use built-in
    "#]]
    .assert_eq(&refused(&|service| service.tls.client_ca = Some("PEM".into())));
    expect![[r#"
        error[proxy.cannot]: nginx cannot serve shop: it asks for trusted-proxies
        hint: the built-in proxy can; choose it with: hop3 proxy use built-in
        error[proxy.cannot]: haproxy cannot serve shop: it asks for trusted-proxies
        hint: the built-in proxy can; choose it with: hop3 proxy use built-in
        error[proxy.cannot]: traefik cannot serve shop: it asks for trusted-proxies
        hint: the built-in proxy can; choose it with: hop3 proxy use built-in
        error[proxy.cannot]: caddy cannot serve shop: it asks for trusted-proxies
        hint: the built-in proxy can; choose it with: hop3 proxy use built-in
    "#]]
    .assert_eq(&refused(&|service| {
        service.policy.get_or_insert_default().trusted_proxies = vec!["192.0.2.1".parse().unwrap()];
    }));
}

/// Texts that would end a word, a line, a string or a block somewhere.
const HOSTILE: [&str; 14] = [
    "a; }",
    "a\nb",
    "a\r\n    server evil 192.0.2.1:80",
    "a b",
    "a\"b",
    "a'b",
    "a{b}",
    "$http_host",
    "a\\b",
    "a#b",
    "%[env(PATH)]",
    "~^.*$",
    "a\0b",
    "ä.example.org",
];

#[test]
fn no_text_of_the_table_says_anything_to_a_product() {
    for name in PRODUCTS {
        let product = product(name).unwrap();
        for hostile in HOSTILE {
            let host = service("shop", &[hostile], vec![("/", pool(&["127.0.0.1:4001"]))]);
            let refused = Plan::of(&RouteTable { services: vec![host] }, product.abilities(), name);
            assert_eq!(refused.expect_err(hostile).code, "proxy.cannot", "{hostile}");
            let mut mounted = service("shop", &["a.example.org"], vec![("/", pool(&["127.0.0.1:4001"]))]);
            mounted.mounts =
                vec![Mount { host: Host("b.example.org".into()), prefix: format!("/{hostile}") }];
            let others = [
                service(hostile, &["c.example.org"], vec![("/", pool(&["127.0.0.1:4001"]))]),
                service(
                    "path",
                    &["d.example.org"],
                    vec![(&format!("/{hostile}"), pool(&["127.0.0.1:4001"]))],
                ),
                service("unix", &["e.example.org"], vec![("/", pool(&[&format!("/srv/{hostile}")]))]),
                mounted,
            ];
            let plan = plan(&RouteTable { services: others.to_vec() }, product);
            let text: String =
                product.render(&plan, &place(true)).into_iter().map(|(_, text)| text).collect();
            // What the files say by themselves, a table without it says too.
            let plain = [service("c", &["c.example.org"], vec![("/", pool(&["127.0.0.1:4001"]))])];
            let plain = self::plan(&RouteTable { services: plain.to_vec() }, product);
            let usual: String =
                product.render(&plain, &place(true)).into_iter().map(|(_, text)| text).collect();
            let says = |text: &str| text.matches(hostile).count();
            assert!(says(&text) <= says(&usual), "{name}: {hostile}");
        }
    }
}

#[test]
fn a_product_that_is_missing_is_told_with_its_package() {
    const MISSING: &Facts = &Facts { name: "hop3-no-such-proxy", package: "no-such-package", ..*OLD };
    let problem = program(&Unusable(MISSING)).expect_err("it is not there");
    expect![[r"
        error[proxy.not-installed]: hop3-no-such-proxy is not installed here
        hint: install it with: apt-get install no-such-package
    "]]
    .assert_eq(&problem.render());
}

/// A program that does nothing of what a proxy does, in a version that is too old.
#[derive(Debug)]
struct Unusable(&'static Facts);

const OLD: &Facts =
    &Facts { name: "bash", package: "bash", limits_bodies: false, reload: Signal::HUP, end: Signal::TERM };

impl Product for Unusable {
    fn facts(&self) -> &'static Facts {
        self.0
    }
    fn render(&self, _: &Plan, _: &Place) -> super::product::Files {
        Vec::new()
    }
    fn check(&self, _: &std::path::Path, _: &Place) -> Vec<String> {
        Vec::new()
    }
    fn start(&self, _: &std::path::Path, _: &Place) -> super::product::Start {
        super::product::Start { arguments: Vec::new(), handed: Vec::new() }
    }
    fn version_word(&self) -> &'static str {
        "--version"
    }
    fn oldest(&self) -> Option<(u32, u32)> {
        Some((999, 7))
    }
}

#[test]
fn a_product_that_is_too_old_is_told_with_its_version() {
    let told = expect_new_enough(&Unusable(OLD)).expect_err("nobody has that").render();
    assert!(told.starts_with("error[proxy.too-old]: bash "), "{told}");
    assert!(told.contains(" is too old: it must be 999.7 or newer\n"), "{told}");
    let since = |version: &str| is_since(version, (3, 7));
    assert!(since("3.7.15") && since("3.10.0") && since("4.0") && since("3.7-rc.1"));
    assert!(!since("3.6.15") && !since("2.11.31") && !since("3") && !since("of an unknown version"));
}

/// Whoever comes to a closed door is let in when it opens.
#[test]
fn a_closed_door_refuses_nobody() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let sockets = hop3_proxy::Sockets { http: vec![listener.try_clone().unwrap().into()], https: Vec::new() };
    let door = Door::of(&sockets).unwrap();
    let closed = door.close().unwrap();
    let came = std::thread::spawn(move || TcpStream::connect(address).map(drop));
    let moment = std::time::Duration::from_millis(300);
    assert!(TcpStream::connect_timeout(&address, moment).is_err(), "nobody is let in while it is closed");
    drop(closed);
    came.join().unwrap().unwrap();
    TcpStream::connect(address).unwrap();
}

#[test]
fn connections_of_a_process_are_counted_by_address() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let own = i32::try_from(std::process::id()).unwrap();
    assert_eq!(connections(&[own], &[address]), 0);
    let client = std::net::TcpStream::connect(address).unwrap();
    assert_eq!(connections(&[own], &[address]), 1);
    assert_eq!(connections(&[own], &[client.local_addr().unwrap()]), 0, "nobody has accepted yet");
    drop(client);
}

#[test]
fn a_process_on_record_is_found_while_it_lives() {
    let folder = tempfile::tempdir().unwrap();
    let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
    let main = Main::of(child.id()).unwrap();
    main.record(folder.path(), "sleep").unwrap();
    assert_eq!(Main::find(folder.path(), "sleep"), Some(main));
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(Main::find(folder.path(), "sleep"), None);
    assert_eq!(Main::recorded(folder.path(), "sleep"), Some(main));
    // Another process that has come to the same number is not it.
    let text = format!("{} {}", std::process::id(), 1);
    std::fs::write(PathBuf::from(folder.path()).join("sleep.pid"), text).unwrap();
    assert_eq!(Main::find(folder.path(), "sleep"), None);
}

#[test]
fn a_copy_of_a_listening_socket_is_seen() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let given = || std::process::Stdio::from(std::os::fd::OwnedFd::from(listener.try_clone().unwrap()));
    let mut sleep = std::process::Command::new("sleep");
    let mut twice = sleep.arg("60").stdin(given()).stdout(given()).spawn().unwrap();
    let mut once = sleep.stdout(std::process::Stdio::null()).spawn().unwrap();
    let [twice_main, once_main] = [&twice, &once].map(|child| Main::of(child.id()).unwrap());
    assert!(!twice_main.holds_no_copy() && once_main.holds_no_copy());
    assert_eq!(once_main.listens(), [listener.local_addr().unwrap()]);
    for child in [&mut twice, &mut once] {
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
