// SPDX-License-Identifier: Apache-2.0
//! What an app may do to the Redis that is its own, and what stays with the server's administrator.

use crate::clients::Redis;
use crate::world::World;

pub(crate) fn an_app_cannot_administer_it(world: &World) {
    let mut addon = world.make("cache_1");
    addon.settings = [("memory", "64mb"), ("eviction", "allkeys-lru"), ("durable", "yes")]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
    let binding = world.driver.provision(&addon).unwrap();
    let refused: [&[&str]; 12] = [
        &["CONFIG", "GET", "*"],
        &["CONFIG", "SET", "dir", "/tmp"],
        &["SHUTDOWN"],
        &["DEBUG", "SLEEP", "0"],
        &["ACL", "LIST"],
        &["ACL", "SETUSER", "default", "on", "nopass", "+@all"],
        &["REPLICAOF", "127.0.0.1", "1"],
        &["MODULE", "LOAD", "/tmp/x.so"],
        &["SAVE"],
        &["MONITOR"],
        &["MIGRATE", "127.0.0.1", "1", "key", "0", "10"],
        &["EVAL", "return redis.call('CONFIG', 'GET', '*')", "0"],
    ];
    for command in refused {
        let said = Redis::cli(&binding, command);
        let is_refused =
            said.as_ref().is_err_and(|said| said.contains("NOPERM") || said.contains("not allowed"));
        assert!(is_refused, "{command:?}: {said:?}");
    }
    let used: [&[&str]; 7] = [
        &["INFO"],
        &["KEYS", "*"],
        &["EVAL", "return redis.call('SET', 'key', '1')", "0"],
        &["PUBLISH", "channel", "text"],
        &["CLIENT", "SETNAME", "me"],
        &["SELECT", "1"],
        &["FLUSHDB"],
    ];
    for command in used {
        Redis::cli(&binding, command).unwrap();
    }
    let info = Redis::cli(&binding, &["INFO", "memory"]).unwrap();
    assert!(
        info.contains("maxmemory:67108864\r") && info.contains("maxmemory_policy:allkeys-lru\r"),
        "{info}"
    );
    world.driver.retire(&addon.server).unwrap();
}
