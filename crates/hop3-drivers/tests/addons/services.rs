// SPDX-License-Identifier: Apache-2.0
//! Kinds that keep nothing or let everybody in, and so are not asked for the contract.

use crate::world::World;
use hop3_core::driver::Runner;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};

/// Its answer's first line.
fn say(port: u16, words: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.write_all(words.as_bytes()).unwrap();
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).unwrap();
    line
}

fn memory_of(port: u16) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.write_all(b"stats settings\r\n").unwrap();
    let lines = BufReader::new(stream).lines().map(Result::unwrap);
    lines.take_while(|line| line != "END").find(|line| line.starts_with("STAT maxbytes ")).unwrap()
}

/// Whoever takes the port of a server that is away learns no password.
pub(crate) fn tells_no_stranger(world: &World, greeting: &'static [u8]) {
    if !world.client.is_privileged() {
        println!("SKIP tells_no_stranger: there are no users apart");
        return;
    }
    let addon = world.make("own_1");
    world.driver.provision(&addon).unwrap();
    world.stop(&addon.server);
    let taken = TcpListener::bind(("127.0.0.1", addon.server.port)).unwrap();
    let stranger = std::thread::spawn(move || {
        let (mut stream, _) = taken.accept().unwrap();
        let mut heard = Vec::new();
        // One that has gone already is told nothing either.
        let _ = stream.write_all(greeting);
        let _ = stream.read_to_end(&mut heard);
        heard
    });
    assert!(!world.driver.status(&addon).unwrap().is_up);
    assert_eq!(String::from_utf8_lossy(&stranger.join().unwrap()), "");
    world.driver.serve(&addon.server).unwrap();
    assert!(world.driver.status(&addon).unwrap().is_up);
    world.driver.retire(&addon.server).unwrap();
}

pub(crate) fn memcached(world: &World) {
    let mut addon = world.make("cache_1");
    let port = addon.server.port;
    let binding = world.driver.provision(&addon).unwrap();
    let url = binding.variables[&"MEMCACHED_URL".parse().unwrap()].expose();
    assert_eq!(url, &format!("memcached://127.0.0.1:{port}"));
    assert_eq!(say(port, "set key 0 0 4\r\nkept\r\n"), "STORED\r\n");
    assert_eq!(memory_of(port), "STAT maxbytes 67108864");

    // Another size forgets nothing, and is that of the next start too.
    addon.settings.insert("memory".into(), "16".into());
    world.driver.provision(&addon).unwrap();
    assert_eq!(say(port, "get key\r\n"), "VALUE key 0 4\r\n");
    assert_eq!(memory_of(port), "STAT maxbytes 16777216");
    world.stop(&addon.server);
    assert!(!world.driver.status(&addon).unwrap().is_up);
    world.driver.serve(&addon.server).unwrap();
    assert_eq!(memory_of(port), "STAT maxbytes 16777216");
    assert_eq!(say(port, "get key\r\n"), "END\r\n");
    let status = world.driver.status(&addon).unwrap();
    assert!(status.is_up && status.version.is_some(), "{status:?}");

    for bad in ["0", "x", "-1", "99999999999"] {
        addon.settings.insert("memory".into(), bad.into());
        assert_eq!(world.driver.provision(&addon).err().unwrap().code, "addon.bad-option");
    }
    assert!(!world.layout.addon_server(&addon.server.name).join("core").exists());
    world.driver.retire(&addon.server).unwrap();
    world.driver.retire(&addon.server).unwrap();
    assert!(TcpStream::connect(("127.0.0.1", port)).is_err());
    assert!(!world.layout.addon_server(&addon.server.name).exists());
}
