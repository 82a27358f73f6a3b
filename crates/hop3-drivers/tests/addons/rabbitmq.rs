// SPDX-License-Identifier: Apache-2.0
//! A client of RabbitMQ that keeps a value as the only message of a durable queue.

use crate::clients::answer;
use crate::world::World;
use hop3_core::addon::Binding;
use hop3_drivers::contract::addon::Client;
use std::process::Command;
use std::time::{Duration, Instant};

/// Waits for the server's acknowledgement, as a publisher that must lose nothing does.
const CLIENT: &str = r#"
import os, pika, sys
connection = pika.BlockingConnection(pika.URLParameters(os.environ["RABBITMQ_URL"] + "?connection_attempts=1"))
channel = connection.channel()
verb, key, *rest = sys.argv[1:]
limits = {"x-max-length": 1, "x-overflow": "drop-head"}
channel.queue_declare(key, durable=True, arguments=limits)
if verb == "write":
    channel.confirm_delivery()
    keep = pika.BasicProperties(delivery_mode=2)
    channel.basic_publish("", key, rest[0].encode(), properties=keep, mandatory=True)
else:
    method, _, body = channel.basic_get(key)
    if method:
        print("=" + body.decode())
        channel.basic_nack(method.delivery_tag, requeue=True)
connection.close()
"#;

pub(crate) struct Rabbitmq;

impl Rabbitmq {
    fn python(binding: &Binding, arguments: &[&str]) -> Result<String, String> {
        answer(binding, Command::new("/usr/bin/python3").args(["-c", CLIENT]).args(arguments), "")
    }
}

impl Client for Rabbitmq {
    fn write(&self, binding: &Binding, key: &str, value: &str) -> Result<(), String> {
        Rabbitmq::python(binding, &["write", key, value]).map(drop)
    }

    fn read(&self, binding: &Binding, key: &str) -> Result<Option<String>, String> {
        let said = Rabbitmq::python(binding, &["read", key])?;
        Ok(said.lines().next().map(|line| line.trim_start_matches('=').to_owned()))
    }
}

/// What a durable queue has acknowledged is there after the server was killed. The queue itself is older than a
/// moment: RabbitMQ acknowledges a declaration before it is on the disk.
pub(crate) fn keeps_messages(world: &World) {
    let addon = world.make("queue_1");
    let binding = world.driver.provision(&addon).unwrap();
    let write_all = |what: &str| {
        for number in 0..5 {
            Rabbitmq.write(&binding, &format!("key{number}"), &format!("{what}{number}")).unwrap();
        }
    };
    write_all("first");
    world.stop(&addon.server);
    world.driver.serve(&addon.server).unwrap();
    write_all("second");
    let raw = rustix::process::Pid::from_raw(world.pid(&addon.server).unwrap().cast_signed()).unwrap();
    rustix::process::kill_process(raw, rustix::process::Signal::KILL).unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    while Rabbitmq.read(&binding, "key0").is_err() {
        assert!(Instant::now() < deadline, "it does not come back");
        std::thread::park_timeout(Duration::from_millis(100));
    }
    for number in 0..5 {
        let read = Rabbitmq.read(&binding, &format!("key{number}")).unwrap();
        assert_eq!(read, Some(format!("second{number}")));
    }
    let version = world.driver.status(&addon).unwrap().version.unwrap();
    assert!(version.starts_with(|c: char| c.is_ascii_digit()), "{version}");
    world.driver.retire(&addon.server).unwrap();
}
