// SPDX-License-Identifier: Apache-2.0
//! Static files over real connections: what is served, what is refused, what is saved by conditions and ranges.

use super::harness::*;
use hop3_core::route::{Host, Route, Service, StaticFiles, Target};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

struct Site {
    proxy: Proxy,
    root: PathBuf,
}

impl Site {
    fn new(spa: bool) -> Site {
        let proxy = Proxy::start();
        let root = proxy.root.path().join("site");
        fs::create_dir(&root).unwrap();
        proxy.put(site(&root, spa));
        Site { proxy, root }
    }

    fn file(self, path: &str, content: impl AsRef<[u8]>) -> Site {
        let path = self.root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
        self
    }

    fn ask(&self, path: &str, headers: &str) -> Reply {
        let mut client = self.proxy.connect();
        client.send(format!("GET {path} HTTP/1.1\r\nHost: a\r\n{headers}\r\n"));
        client.reply()
    }

    /// Status and the beginning of the body.
    fn get(&self, path: &str) -> String {
        let reply = self.ask(path, "");
        format!("{} {}", reply.status, String::from_utf8_lossy(&reply.body).lines().next().unwrap_or(""))
    }
}

#[test]
fn pages_files_and_directories_are_found() {
    let site = Site::new(false)
        .file("index.html", "home")
        .file("about.html", "about")
        .file("docs/index.html", "docs")
        .file("empty/.keep", "")
        .file("a b/ü.txt", "umlaut")
        .file(".well-known/x", "known");
    assert_eq!(site.get("/"), "200 home");
    assert_eq!(site.get("/?q=1"), "200 home");
    assert_eq!(site.get("/about"), "200 about");
    assert_eq!(site.get("/about.html"), "200 about");
    assert_eq!(site.get("/docs/"), "200 docs");
    assert_eq!(site.ask("/docs?x=1", "").header("location"), Some("/docs/?x=1"));
    assert_eq!(site.ask("//docs", "").header("location"), Some("/docs/"));
    assert_eq!(site.get("/empty/"), "404 404 Page not found");
    assert_eq!(site.get("/index.html/"), "404 404 Page not found");
    assert_eq!(site.get("/a%20b/%C3%BC.txt"), "200 umlaut");
    assert_eq!(site.get("/.well-known/x"), "200 known");
    let reply = site.ask("/about", "");
    assert_eq!(reply.header("content-type"), Some("text/html; charset=utf-8"));
    assert_eq!(reply.header("x-content-type-options"), Some("nosniff"));
    let mut client = site.proxy.connect();
    client.send("HEAD / HTTP/1.1\r\nHost: a\r\n\r\nPOST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(header(&client.read_head().unwrap().unwrap(), "content-length"), Some("4"));
    let reply = client.reply();
    assert_eq!((reply.status, reply.header("allow")), (405, Some("GET, HEAD")));
}

#[test]
fn what_is_missing_is_answered_by_the_sites_own_pages() {
    let site = Site::new(false).file("404.html", "ours");
    assert_eq!(site.get("/nothing"), "404 ours");
    let site = Site::new(true).file("index.html", "shell").file("app.js", "js");
    assert_eq!(site.get("/some/route"), "200 shell");
    assert_eq!(site.get("/app.js"), "200 js");
    assert_eq!(site.get("/missing.js"), "404 404 Page not found");
}

#[test]
fn a_prefix_is_not_part_of_the_path_in_the_root() {
    let site = Site::new(false).file("app.css", "css");
    let target = Target::Static(StaticFiles { root: site.root.clone(), ..StaticFiles::default() });
    let routes = vec![Route { prefix: "/static".into(), target }];
    site.proxy.put(Service { name: "b".into(), hosts: vec![Host("a".into())], routes, ..Service::default() });
    assert_eq!(site.get("/static/app.css"), "200 css");
    assert_eq!(site.get("/app.css"), "404 404 There is nothing at this path");
}

#[test]
fn nothing_outside_the_root_or_hidden_is_served() {
    let site =
        Site::new(false).file("index.html", "home").file(".env", "SECRET").file("d/.git/config", "SECRET");
    fs::write(site.proxy.root.path().join("outside.txt"), "SECRET").unwrap();
    symlink("../outside.txt", site.root.join("link.txt")).unwrap();
    symlink("/etc", site.root.join("etc")).unwrap();
    symlink("/proc/self/root/etc/passwd", site.root.join("magic")).unwrap();
    symlink("index.html", site.root.join("inside.html")).unwrap();
    symlink("loop", site.root.join("loop")).unwrap();
    rustix::fs::mknodat(rustix::fs::CWD, site.root.join("pipe"), rustix::fs::FileType::Fifo, 0o644.into(), 0)
        .unwrap();
    assert_eq!(site.get("/inside.html"), "200 home");
    for path in [
        "/../outside.txt",
        "/d/../../outside.txt",
        "/..",
        "/../",
        "/./../outside.txt",
        "/%2e%2e/outside.txt",
        "/%2E%2e%2foutside.txt",
        "/..%2foutside.txt",
        "/..%5coutside.txt",
        "/..\\outside.txt",
        "/....//outside.txt",
        "/%252e%252e/outside.txt",
        "/.%00./outside.txt",
        "/index.html%00.txt",
        "/index.html%0a",
        "/%",
        "/%zz",
        "/%c0%ae%c0%ae/outside.txt",
        "//etc/passwd",
        "/etc/passwd",
        "/link.txt",
        "/magic",
        "/loop",
        "/pipe",
        "/.env",
        "/%2eenv",
        "/d/.git/config",
        "/d/.well-known",
    ] {
        let reply = site.ask(path, "");
        assert!(matches!(reply.status, 400 | 404), "{path}: {}", reply.status);
        assert!(!reply.text().contains("SECRET") && !reply.text().contains("root:"), "{path}");
    }
    let long = format!("/{}", "x".repeat(5000));
    assert!(site.get(&long).starts_with("404"));
}

#[test]
fn a_version_the_client_has_is_not_sent_again() {
    let site = Site::new(false).file("x.css", "body{}");
    let first = site.ask("/x.css", "");
    let (etag, modified) = (first.header("etag").unwrap(), first.header("last-modified").unwrap());
    let status = |headers: String| site.ask("/x.css", &headers).status;
    assert_eq!(status(format!("If-None-Match: {etag}\r\n")), 304);
    assert_eq!(status(format!("If-None-Match: \"x\", W/{etag}\r\n")), 304);
    assert_eq!(status("If-None-Match: \"other\"\r\n".into()), 200);
    assert_eq!(status(format!("If-Modified-Since: {modified}\r\n")), 304);
    assert_eq!(status("If-Modified-Since: Thu, 01 Jan 1970 00:00:00 GMT\r\n".into()), 200);
    assert_eq!(status("If-Modified-Since: nonsense\r\n".into()), 200);
    assert_eq!(status(format!("If-None-Match: \"other\"\r\nIf-Modified-Since: {modified}\r\n")), 200);
}

#[test]
fn a_range_is_served_when_the_file_is_still_the_same() {
    let site = Site::new(false).file("x.bin", "0123456789");
    let etag = site.ask("/x.bin", "").header("etag").unwrap().to_owned();
    let ask = |headers: &str| {
        let reply = site.ask("/x.bin", headers);
        let range = reply.header("content-range").unwrap_or("").to_owned();
        format!("{} {} {range}", reply.status, reply.text())
    };
    assert_eq!(ask("Range: bytes=2-4\r\n"), "206 234 bytes 2-4/10");
    assert_eq!(ask("Range: bytes=7-\r\n"), "206 789 bytes 7-9/10");
    assert_eq!(ask("Range: bytes=-3\r\n"), "206 789 bytes 7-9/10");
    assert_eq!(ask("Range: bytes=-30\r\n"), "206 0123456789 bytes 0-9/10");
    assert_eq!(ask("Range: bytes=8-99\r\n"), "206 89 bytes 8-9/10");
    assert_eq!(ask("Range: bytes=10-\r\n"), "416  bytes */10");
    assert_eq!(ask("Range: bytes=-0\r\n"), "416  bytes */10");
    for whole in
        ["bytes=4-2", "bytes=0-1,3-4", "lines=0-1", "bytes=a-b", "bytes=-", "bytes=--1", "bytes=+1-2"]
    {
        assert_eq!(ask(&format!("Range: {whole}\r\n")), "200 0123456789 ", "{whole}");
    }
    assert_eq!(ask(&format!("Range: bytes=0-0\r\nIf-Range: {etag}\r\n")), "206 0 bytes 0-0/10");
    assert_eq!(ask("Range: bytes=0-0\r\nIf-Range: \"old\"\r\n"), "200 0123456789 ");
}

#[test]
fn a_compressed_sibling_is_served_to_those_who_take_it() {
    let site = Site::new(false).file("x.js", "plain").file("x.js.br", "brotli").file("x.js.gz", "gzip");
    let ask = |accepted: &str| {
        let reply = site.ask("/x.js", &format!("Accept-Encoding: {accepted}\r\n"));
        assert_eq!(reply.header("vary"), Some("Accept-Encoding"));
        assert_eq!(reply.header("content-type"), Some("text/javascript; charset=utf-8"));
        format!("{} {}", reply.text(), reply.header("content-encoding").unwrap_or("-"))
    };
    assert_eq!(ask("gzip, deflate, br, zstd"), "brotli br");
    assert_eq!(ask("gzip;q=0.5"), "gzip gzip");
    assert_eq!(ask("br;q=0, gzip"), "gzip gzip");
    assert_eq!(ask("identity"), "plain -");
    let site = site.file("y.js.gz", "old");
    let site = site.file("y.js", "new");
    set_older(&site.root.join("y.js.gz"));
    assert_eq!(site.ask("/y.js", "Accept-Encoding: gzip\r\n").text(), "new");
}

fn set_older(path: &Path) {
    let file = fs::File::options().write(true).open(path).unwrap();
    file.set_modified(std::time::SystemTime::UNIX_EPOCH).unwrap();
}

#[test]
fn large_files_are_streamed() {
    let content: Vec<u8> = (0..5_000_000_u32).map(|i| (i * 31 / 7) as u8).collect();
    let site = Site::new(false).file("large.bin", &content);
    let mut client = site.proxy.connect();
    for _ in 0..2 {
        assert!(client.get("/large.bin").body == content);
    }
    client.send("GET /large.bin HTTP/1.1\r\nHost: a\r\nRange: bytes=1000000-4000000\r\n\r\n");
    assert!(client.reply().body == content[1_000_000..=4_000_000]);
}

#[test]
fn a_file_that_changes_is_served_as_it_is_now() {
    let site = Site::new(false).file("x.txt", "one").file("y.txt", "other");
    assert_eq!(site.get("/x.txt"), "200 one");
    assert_eq!(site.get("/x.txt"), "200 one");
    let site = site.file("x.txt", "two");
    assert_eq!(site.get("/x.txt"), "200 two");
    fs::remove_file(site.root.join("x.txt")).unwrap();
    assert_eq!(site.get("/x.txt"), "404 404 Page not found");
    fs::write(site.proxy.root.path().join("outside.txt"), "SECRET").unwrap();
    symlink("../outside.txt", site.root.join("x.txt")).unwrap();
    assert_eq!(site.get("/x.txt"), "404 404 Page not found");
    fs::rename(site.root.join("y.txt"), site.root.join("x.txt")).unwrap();
    assert_eq!(site.get("/x.txt"), "200 other");
    let large = vec![b'x'; 100_000];
    let site = site.file("x.txt", &large);
    assert!(site.ask("/x.txt", "").body == large && site.ask("/x.txt", "Range: bytes=-1\r\n").body == b"x");
}
