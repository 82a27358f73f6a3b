// SPDX-License-Identifier: Apache-2.0
//! The contract of `Proxy`: judges a proxy that runs by what visitors see. An answer is a list of broken rules in
//! words; a proxy that keeps them all gets an empty one.

mod app;
mod visitor;

use app::App;
use hop3_core::driver::Proxy;
use hop3_core::policy::{BasicAuth, PasswordHash, Policy};
use hop3_core::problem::Problem;
use hop3_core::route::{
    Address, Host, Page, Pool, Route, RouteTable, Service, StaticFiles, Target, Upstream,
};
use std::fs;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::thread;
use std::time::Duration;
use visitor::{Visitor, get};

/// Changes of the same route in a row, each seen by the next request.
const CHANGES: usize = 10;

/// Judges a proxy that listens at that address; `folder` is for files to serve.
///
/// # Errors
/// The machine does not let the judge listen or write.
pub fn broken_rules(proxy: &dyn Proxy, at: SocketAddr, folder: &Path) -> io::Result<Vec<String>> {
    let judge = Judge { proxy, at, first: App::start("first")?, second: App::start("second")? };
    let mut broken = Vec::new();
    let site = folder.join("contract-site");
    fs::create_dir_all(&site)?;
    fs::write(site.join("file.txt"), "a file")?;
    let rules: [(&str, &dyn Fn() -> Verdict); 10] = [
        ("hosts", &|| judge.hosts()),
        ("paths", &|| judge.paths(&site)),
        ("changes", &|| judge.changes()),
        ("newcomers", &|| judge.newcomers()),
        ("headers", &|| judge.headers()),
        ("tunnels", &|| judge.tunnels()),
        ("passwords", &|| judge.passwords()),
        ("upgrades", &|| judge.upgrades()),
        ("drains", &|| judge.drains()),
        ("failures", &|| judge.failures()),
    ];
    for (rule, judged) in rules {
        match judged() {
            Ok(words) => broken.extend(words.into_iter().map(|word| format!("{rule}: {word}"))),
            Err(trouble) => broken.push(format!("{rule}: {trouble}")),
        }
    }
    proxy.apply(&RouteTable::default()).map_err(io::Error::other)?;
    Ok(broken)
}

type Verdict = Result<Vec<String>, Box<dyn std::error::Error>>;

struct Judge<'a> {
    proxy: &'a dyn Proxy,
    at: SocketAddr,
    first: App,
    second: App,
}

fn upstreams(id: &str, app: &App) -> Target {
    let upstream = Upstream { id: id.into(), address: Address::Tcp(app.address) };
    Target::Upstreams(Pool { upstreams: vec![upstream], ..Pool::default() })
}

fn service(name: &str, host: &str, routes: Vec<(&str, Target)>) -> Service {
    let routes = routes.into_iter().map(|(prefix, target)| Route { prefix: prefix.into(), target }).collect();
    Service { name: name.into(), hosts: vec![Host(host.into())], routes, ..Service::default() }
}

impl Judge<'_> {
    /// The same of one host.
    fn expect_at(&self, host: &str, table: &[(&str, u16, &str)]) -> Vec<String> {
        let whole: Vec<_> = table.iter().map(|(path, status, text)| (host, *path, *status, *text)).collect();
        self.expect(&whole)
    }

    /// Asks for each path of each host, and tells what was not answered as it should.
    fn expect(&self, table: &[(&str, &str, u16, &str)]) -> Vec<String> {
        let wrong = table.iter().filter_map(|(host, path, status, text)| {
            let answer = get(self.at, host, path, "");
            let is_right = answer.status == *status && answer.body.starts_with(text);
            (!is_right).then(|| format!("{host}{path} is answered {} {:?}", answer.status, answer.body))
        });
        wrong.collect()
    }

    fn hosts(&self) -> Verdict {
        let services = vec![
            service("exact", "a.example.org", vec![("/", upstreams("1", &self.first))]),
            service("wild", "*.example.org", vec![("/", upstreams("2", &self.second))]),
            service("page", "page.example.com", vec![("/", Target::Page(Page::Stopped))]),
        ];
        self.proxy.apply(&RouteTable { services })?;
        Ok(self.expect(&[
            ("a.example.org", "/", 200, "first"),
            ("a.example.org:8080", "/", 200, "first"),
            ("A.Example.ORG", "/", 200, "first"),
            ("b.example.org", "/", 200, "second"),
            ("a.b.example.org", "/", 404, ""),
            ("example.org", "/", 404, ""),
            ("page.example.com", "/", 503, ""),
        ]))
    }

    fn paths(&self, site: &Path) -> Verdict {
        let files = StaticFiles { root: site.to_owned(), ..StaticFiles::default() };
        let routes = vec![
            ("/", upstreams("1", &self.first)),
            ("/api", upstreams("2", &self.second)),
            ("/api/files", Target::Static(files)),
        ];
        self.proxy.apply(&RouteTable { services: vec![service("paths", "a.example.org", routes)] })?;
        let mut wrong = self.expect_at(
            "a.example.org",
            &[
                // Each app sees the path as it was asked for.
                ("/", 200, "first\nGET / HTTP/1.1"),
                ("/apix", 200, "first\nGET /apix HTTP/1.1"),
                ("/api", 200, "second\nGET /api HTTP/1.1"),
                ("/API", 200, "first\nGET /API HTTP/1.1"),
                ("/api/x?y=z&y=%2F+a", 200, "second\nGET /api/x?y=z&y=%2F+a HTTP/1.1"),
                ("/api/a%20b%2Fc", 200, "second\nGET /api/a%20b%2Fc HTTP/1.1"),
                ("/api/files/file.txt", 200, "a file"),
                ("/api/files/none.txt", 404, ""),
            ],
        );
        // How a path with dots is refused, or understood, is each proxy's own; a file beyond the site it must not be.
        let beyond = site.with_extension("txt");
        fs::write(&beyond, "beyond the site")?;
        let name = beyond.file_name().unwrap_or_default().to_string_lossy();
        for dots in ["..", "%2e%2e", ".%2E", "..%2f..", "x/../.."] {
            let path = format!("/api/files/{dots}/{name}");
            if get(self.at, "a.example.org", &path, "").body.contains("beyond the site") {
                wrong.push(format!("{path} leads out of the site"));
            }
        }
        Ok(wrong)
    }

    fn changes(&self) -> Verdict {
        let host = "a.example.org";
        self.proxy.apply(&RouteTable::default())?;
        let mut wrong = self.expect(&[(host, "/", 404, "")]);
        for turn in 0..CHANGES {
            let (app, name) = if turn % 2 == 0 { (&self.first, "first") } else { (&self.second, "second") };
            self.proxy.put(&service("change", host, vec![("/", upstreams(&turn.to_string(), app))]))?;
            wrong.extend(self.expect(&[(host, "/", 200, name)]));
        }
        self.proxy.put(&service("other", "b.example.org", vec![("/", upstreams("b", &self.second))]))?;
        wrong.extend(self.expect(&[(host, "/", 200, "second"), ("b.example.org", "/", 200, "second")]));
        self.proxy.remove("change")?;
        self.proxy.remove("never-there")?;
        wrong.extend(self.expect(&[(host, "/", 404, ""), ("b.example.org", "/", 200, "second")]));
        Ok(wrong)
    }

    /// Whoever has come in before a change and asks after it is answered, by the old table or the new one.
    fn newcomers(&self) -> Verdict {
        let host = "a.example.org";
        self.proxy.put(&service("new", host, vec![("/", upstreams("n1", &self.first))]))?;
        let mut visitor = Visitor::connect(self.at)?;
        // One that comes later is answered first, so that this one has been accepted.
        let mut wrong = self.expect(&[(host, "/", 200, "first")]);
        self.proxy.put(&service("new", host, vec![("/", upstreams("n2", &self.second))]))?;
        visitor.send(&format!("GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"))?;
        let head = visitor.head()?;
        if !head.starts_with("HTTP/1.1 200") {
            wrong.push(format!("who came before a change is answered {head:?}"));
        }
        self.proxy.remove("new")?;
        Ok(wrong)
    }

    fn headers(&self) -> Verdict {
        self.proxy.put(&service("headers", "a.example.org", vec![("/", upstreams("1", &self.first))]))?;
        let forged = "X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: evil\r\n\
                      Forwarded: for=evil\r\nX-Real-IP: 192.0.2.1\r\nX-Request-Id: mine-1\r\nX-Own: kept\r\n\
                      X_Forwarded_For: 192.0.2.1\r\nX-Forwarded-Client-Subject: evil\r\nClient-Cert: evil\r\n\
                      Proxy: evil\r\n";
        let head = get(self.at, "a.example.org:81", "/", forged).body.to_ascii_lowercase();
        let lines = [
            "host: a.example.org:81",
            "x-forwarded-for: 127.0.0.1",
            "x-forwarded-proto: http",
            "x-forwarded-host: a.example.org:81",
            "x-forwarded-port: 81",
            "x-request-id: mine-1",
            "x-own: kept",
        ];
        let has = |line: &str| head.lines().any(|found| found == line);
        let mut wrong: Vec<String> =
            lines.iter().filter(|line| !has(line)).map(|line| format!("no {line:?} in {head:?}")).collect();
        wrong.extend(
            ["evil", "192.0.2.1"]
                .iter()
                .filter(|forged| head.contains(**forged))
                .map(|f| format!("{f} came through")),
        );
        let fresh = get(self.at, "a.example.org", "/", "X-Request-Id: no good\r\n").body.to_ascii_lowercase();
        if fresh.contains("no good") || !fresh.contains("x-request-id: ") {
            wrong.push("a request has no id of its own".to_owned());
        }
        // What a visitor calls a header of this connection alone is told to the app all the same.
        let names = ["X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Port", "X-Request-Id"];
        let taken = format!("Connection: {}\r\n", names.join(", "));
        let told = get(self.at, "a.example.org", "/", &taken).body.to_ascii_lowercase();
        let is_told = |name: &str| told.contains(&format!("\n{}: ", name.to_ascii_lowercase()));
        wrong.extend(names.iter().filter(|name| !is_told(name)).map(|name| format!("{name} was taken away")));
        Ok(wrong)
    }

    /// Nobody is a proxy to elsewhere, and no app is asked to be one.
    fn tunnels(&self) -> Verdict {
        self.proxy.put(&service("tunnels", "a.example.org", vec![("/", upstreams("1", &self.first))]))?;
        let mut visitor = Visitor::connect(self.at)?;
        visitor.send("CONNECT a.example.org:80 HTTP/1.1\r\nHost: a.example.org:80\r\n\r\n")?;
        let head = visitor.head()?;
        // Of the others, 501 alone says that it will never be done.
        Ok(if head.starts_with("HTTP/1.1 4") || head.starts_with("HTTP/1.1 501 ") {
            Vec::new()
        } else {
            vec![format!("CONNECT is answered {head:?}")]
        })
    }

    fn passwords(&self) -> Verdict {
        let users = [("ada".to_owned(), PasswordHash::of("correct horse")?)].into();
        let auth = BasicAuth { on: true, realm: "r".into(), users, except: Vec::new() };
        let mut service = service("closed", "a.example.org", vec![("/", upstreams("1", &self.first))]);
        service.policy = Some(Box::new(Policy { basic_auth: Some(auth), ..Policy::default() }));
        self.proxy.apply(&RouteTable { services: vec![service] })?;
        let mut wrong = self.expect(&[("a.example.org", "/", 401, "")]);
        // ada:correct horse
        let answer = get(self.at, "a.example.org", "/", "Authorization: Basic YWRhOmNvcnJlY3QgaG9yc2U=\r\n");
        if answer.status != 200 {
            wrong.push(format!("the right password is answered {}", answer.status));
        }
        Ok(wrong)
    }

    fn upgrades(&self) -> Verdict {
        let host = "a.example.org";
        self.proxy.apply(&RouteTable {
            services: vec![service("echo", host, vec![("/", upstreams("1", &self.first))])],
        })?;
        let mut visitor = Visitor::connect(self.at)?;
        visitor.send(&format!(
            "GET /echo HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n"
        ))?;
        let head = visitor.head()?;
        visitor.send("ping\n")?;
        let echoed = visitor.line()?;
        // It outlives a change of its own route.
        self.proxy.put(&service("echo", host, vec![("/", upstreams("2", &self.second))]))?;
        visitor.send("pong\n")?;
        let again = visitor.line()?;
        let is_right = head.starts_with("HTTP/1.1 101") && echoed == "ping\n" && again == "pong\n";
        Ok(if is_right { Vec::new() } else { vec![format!("{head:?} {echoed:?} {again:?}")] })
    }

    /// The last instance that lives is asked again, though it failed once.
    fn failures(&self) -> Verdict {
        let host = "a.example.org";
        // Nobody listens there any more.
        let dead = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let upstreams = [("dead", dead), ("living", self.second.address)]
            .map(|(id, at)| Upstream { id: id.into(), address: Address::Tcp(at) });
        let pool = Target::Upstreams(Pool { upstreams: upstreams.into(), ..Pool::default() });
        self.proxy.apply(&RouteTable { services: vec![service("failures", host, vec![("/", pool)])] })?;
        let broken = get(self.at, host, "/break", "").status;
        let mut wrong = self.expect(&[(host, "/", 200, "second")]);
        if !(500..600).contains(&broken) {
            wrong.push(format!("what broke off is answered {broken}"));
        }
        Ok(wrong)
    }

    fn drains(&self) -> Verdict {
        let host = "a.example.org";
        let lead =
            |id: &str, app: &App| self.proxy.put(&service("drain", host, vec![("/", upstreams(id, app))]));
        self.proxy.apply(&RouteTable::default())?;
        lead("held", &self.first)?;
        let mut wrong = Vec::new();
        let mut visitor = Visitor::connect(self.at)?;
        visitor.send(&format!("GET /hold HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"))?;
        self.first.wait_for_held();
        lead("next", &self.second)?;
        wrong.extend(self.expect(&[(host, "/", 200, "second")]));
        let drained = self.proxy.drain(&["held".to_owned()], Duration::from_millis(300))?;
        if drained.cut != 1 {
            wrong.push(format!("{} cut where one was under way", drained.cut));
        }
        self.first.release();
        // The same where it ends in time.
        lead("held-again", &self.first)?;
        let mut visitor = Visitor::connect(self.at)?;
        visitor.send(&format!("GET /hold HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"))?;
        self.first.wait_for_held();
        lead("last", &self.second)?;
        let drained = thread::scope(|scope| {
            let drain = scope.spawn(|| self.proxy.drain(&["held-again".to_owned()], Duration::from_secs(30)));
            self.first.release();
            drain
                .join()
                .unwrap_or_else(|_| Err(Problem::new(hop3_core::Kind::Bug, "contract.panic", "it panicked")))
        })?;
        let answer = visitor.head()?;
        if drained.cut != 0 || !answer.starts_with("HTTP/1.1 200") {
            wrong.push(format!("{} cut, and the visitor got {answer:?}", drained.cut));
        }
        Ok(wrong)
    }
}
