// SPDX-License-Identifier: Apache-2.0
//! All end-to-end tests, in one program: each boots the real `hop3` in a temporary root and uses it from outside.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "what a test says is read in the runner's output"
)]

mod access;
mod acme;
mod addon;
mod addon_history;
mod addon_kinds;
mod addon_objects;
mod addon_pool;
mod addon_search;
mod addon_table;
mod addon_torture;
mod addon_upgrade;
mod apps;
mod backup;
mod backup_addon;
mod backup_far;
mod backup_proof;
mod backup_schedule;
mod backup_server;
mod backup_single;
mod backup_trouble;
mod backup_unprivileged;
mod broken;
mod cli;
mod disk_full;
mod docs;
mod fetch;
mod front;
mod front_changes;
mod front_trouble;
mod gateway;
mod grpc;
mod harness;
mod hostile;
mod http3;
mod isolation;
mod kill;
mod ledger;
mod load;
mod parcel;
mod plugin;
mod plugin_addon;
mod plugin_bundle;
mod plugin_event;
mod plugin_trouble;
mod policy;
mod probe;
mod push;
mod reference;
mod requests;
mod restart;
mod services;
mod sleep;
mod ssh;
mod step_failure;
mod storage;
mod tcp;
mod tidy;
mod tls;
mod upgrade;
mod waf;
mod waf_upgrade;
mod websocket;
mod zero_drop;
