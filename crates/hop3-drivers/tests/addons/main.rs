// SPDX-License-Identifier: Apache-2.0
//! Every kind of addon against the real server, kept by a real supervisor.
//!
//! Without the usual test harness: the program is also the supervisor and the launcher of its own tests, so that
//! nothing else has to be built first.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "it is a test, and tells what it does")]

mod clients;
mod mail;
mod meilisearch;
mod mysql;
mod nats;
mod postgres;
mod rabbitmq;
mod redis;
mod s3;
mod services;
mod world;

use hop3_core::addon::ELSEWHERE;
use hop3_core::driver::Runner;
use hop3_drivers::contract::addon::Client;
use std::process::ExitCode;
use std::time::Instant;
use world::World;

type Test = fn(&World);

/// The kind each is about, its name, what it does.
const TESTS: &[(&str, &str, Test)] = &[
    ("postgres", "postgres_keeps_the_contract", |world| keeps_the_contract(world, &clients::Postgres)),
    ("postgres", "postgres_keeps_the_contract_behind_a_pooler", |world| {
        keeps_the_contract_with(world, &clients::Postgres, &[("pool", "transaction")]);
    }),
    ("postgres", "postgres_keeps_the_contract_with_pooled_sessions", |world| {
        keeps_the_contract_with(world, &clients::Postgres, &[("pool", "session")]);
    }),
    ("postgres", "postgres_sessions_of_a_pool_begin_alike", postgres::sessions_begin_alike),
    ("postgres", "postgres_pooler_comes_and_goes", postgres::pooler_comes_and_goes),
    ("postgres", "postgres_fills_one_table_of_a_backup", postgres::fills_one_table),
    ("postgres", "postgres_reads_one_table_of_a_backup", postgres::reads_one_table),
    ("postgres", "an_import_into_postgres_runs_no_command", |world| {
        runs_no_command(world, &|mark| format!("\\! touch {mark}\n\\o {mark}\nSELECT 1;\n"));
    }),
    (
        "postgres",
        "nothing_of_an_app_runs_as_the_postgres_administrator",
        postgres::nothing_of_an_app_runs_as_the_administrator,
    ),
    ("postgres", "postgres_stops_though_somebody_stays", stops_though_somebody_stays),
    ("mysql", "mysql_keeps_the_contract", |world| keeps_the_contract(world, &clients::Mysql)),
    ("mysql", "an_import_into_mysql_runs_no_command", |world| {
        runs_no_command(world, &|mark| {
            format!("\\! touch {mark}\nsystem touch {mark}\ntee {mark}\nSELECT 1;\n")
        });
    }),
    ("redis", "redis_keeps_the_contract", |world| keeps_the_contract(world, &clients::Redis)),
    ("redis", "an_app_cannot_administer_its_redis", redis::an_app_cannot_administer_it),
    ("mysql", "mysql_carries_what_is_not_in_tables", mysql::carries_what_is_not_in_tables),
    ("memcached", "memcached_takes_its_options_and_ends", services::memcached),
    ("mail", "mail_is_kept_in_an_inbox", mail::inbox_keeps),
    ("mail", "mail_is_handed_to_a_smarthost", mail::relays),
    ("nats", "nats_keeps_the_contract", |world| keeps_the_contract(world, &nats::Nats)),
    ("rabbitmq", "rabbitmq_keeps_the_contract", |world| keeps_the_contract(world, &rabbitmq::Rabbitmq)),
    ("rabbitmq", "rabbitmq_keeps_messages_of_a_killed_server", rabbitmq::keeps_messages),
    ("nats", "nats_keeps_streams_of_a_killed_server", nats::keeps_streams),
    ("meilisearch", "meilisearch_keeps_the_contract", |world| {
        keeps_the_contract(world, &meilisearch::Meilisearch);
    }),
    ("meilisearch", "an_app_cannot_administer_its_meilisearch", meilisearch::an_app_cannot_administer_it),
    ("meilisearch", "meilisearch_begins_where_a_restore_was_cut", meilisearch::begins_where_it_was_cut),
    ("nats", "nats_is_told_from_a_stranger_at_its_port", |world| {
        services::tells_no_stranger(world, b"INFO {}\r\n");
    }),
    ("meilisearch", "meilisearch_is_told_from_a_stranger_at_its_port", |world| {
        services::tells_no_stranger(world, b"");
    }),
    ("s3", "s3_keeps_the_contract", |world| keeps_the_contract(world, &s3::Bucket)),
    ("s3", "s3_carries_what_is_known_of_objects", s3::carries_what_is_known),
    ("s3", "an_import_into_s3_reaches_no_other_bucket", s3::reaches_no_other),
    ("s3", "s3_goes_on_when_nobody_lets_it_go", s3::goes_on),
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["launch"] => hop3_supervisor::launch_main(),
        // Where it is no filter for tests.
        ["mail"] if std::path::Path::new("mail.json").exists() => hop3_drivers::addons::mail_main(),
        ["supervise", root] => world::supervise(root),
        _ => run(arguments.iter().find(|argument| !argument.starts_with('-'))),
    }
}

/// Runs those whose name contains the filter. One that fails panics, and the program with it.
fn run(filter: Option<&String>) -> ExitCode {
    let mut passed = 0;
    let wanted = |name: &str| filter.is_none_or(|filter| name.contains(filter.as_str()));
    for (kind, name, test) in TESTS.iter().filter(|(_, name, _)| wanted(name)) {
        let before = Instant::now();
        let world = World::start(kind);
        if *kind == "meilisearch" {
            meilisearch::bring(&world);
        }
        if world.driver.facts().versions.iter().all(|version| version == ELSEWHERE) {
            assert!(std::env::var_os("HOP3_NO_SKIP").is_none(), "{name} may not be skipped");
            println!("SKIP {name}: {kind} is not installed");
            continue;
        }
        test(&world);
        println!("test {name} ... ok ({:?})", before.elapsed());
        passed += 1;
    }
    // Read by scripts/test.
    println!("test result: ok. {passed} passed; 0 failed");
    ExitCode::SUCCESS
}

fn keeps_the_contract(world: &World, client: &dyn Client) {
    keeps_the_contract_with(world, client, &[]);
}

fn keeps_the_contract_with(world: &World, client: &dyn Client, options: &[(&str, &str)]) {
    let broken = hop3_drivers::contract::addon::broken_rules(&world.ground(client, options));
    assert!(broken.is_empty(), "{broken:#?}");
}

/// Clients of databases run commands and write files that their input names; whoever imports must gain nothing by it.
fn runs_no_command(world: &World, hostile: &dyn Fn(&str) -> String) {
    if !world.client.is_privileged() {
        println!("SKIP runs_no_command: there are no users apart");
        return;
    }
    let addon = world.make("victim");
    let mark = world.layout.addon_server(&addon.server.name).join("mark");
    // Whether it is refused or read to its end is the client's own.
    let _ = world.driver.restore(&addon, &mut hostile(&mark.display().to_string()).as_bytes());
    assert!(!mark.exists(), "an import wrote a file as the server's user");
    world.driver.retire(&addon.server).unwrap();
}

/// Whoever is connected keeps a server from being stopped no longer than what he does takes to be ended.
fn stops_though_somebody_stays(world: &World) {
    let addon = world.make("stays_1");
    let binding = world.driver.provision(&addon).unwrap();
    let mut client = clients::Postgres::stay(&binding);
    let before = Instant::now();
    world.driver.retire(&addon.server).unwrap();
    assert!(before.elapsed() < std::time::Duration::from_secs(20), "{:?}", before.elapsed());
    client.wait().unwrap();
}
