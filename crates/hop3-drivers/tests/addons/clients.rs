// SPDX-License-Identifier: Apache-2.0
//! The products' own clients, with what apps are told in their environment.

use hop3_core::addon::Binding;
use hop3_drivers::contract::addon::Client;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};

/// Its standard output.
pub(crate) fn answer(binding: &Binding, command: &mut Command, input: &str) -> Result<String, String> {
    let variables = binding.variables.iter().map(|(key, value)| (key.as_str(), value.expose()));
    command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default()).envs(variables);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|e| e.to_string())?;
    // One that ends early says why.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let output = child.wait_with_output().map_err(|e| e.to_string())?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    match output.status.success() {
        true => Ok(said),
        false => Err(said + &String::from_utf8_lossy(&output.stderr)),
    }
}

/// The value on the only line there may be.
fn value(answer: &str) -> Option<String> {
    answer.lines().next().map(|line| line.trim_start_matches('=').to_owned())
}

const TABLE: &str = "CREATE TABLE IF NOT EXISTS kept (name varchar(100) PRIMARY KEY, value text)";

pub(crate) struct Postgres;

impl Postgres {
    /// Comes in, and is still there when this returns.
    pub(crate) fn stay(binding: &Binding) -> Child {
        let variables = binding.variables.iter().map(|(key, value)| (key.as_str(), value.expose()));
        let mut command = Command::new("psql");
        command
            .args(["-X", "-q", "-A", "-t", "-w"])
            .envs(variables)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        writeln!(child.stdin.as_mut().unwrap(), "\\echo in").unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "in\n");
        child
    }

    pub(crate) fn psql(binding: &Binding, script: &str) -> Result<String, String> {
        let arguments = ["-X", "-q", "-A", "-t", "-w", "-v", "ON_ERROR_STOP=1"];
        answer(binding, Command::new("psql").args(arguments), script)
    }
}

impl Client for Postgres {
    fn write(&self, binding: &Binding, key: &str, value: &str) -> Result<(), String> {
        let script = format!(
            "SET client_min_messages = warning; {TABLE};
             INSERT INTO kept VALUES ('{key}', '{value}') ON CONFLICT (name) DO UPDATE SET value = '{value}';"
        );
        Postgres::psql(binding, &script).map(drop)
    }

    fn read(&self, binding: &Binding, key: &str) -> Result<Option<String>, String> {
        let script = format!(
            "SET client_min_messages = warning; {TABLE}; SELECT '=' || value FROM kept WHERE name = '{key}';"
        );
        Ok(value(&Postgres::psql(binding, &script)?))
    }
}

pub(crate) struct Mysql;

impl Mysql {
    pub(crate) fn mariadb(binding: &Binding, script: &str) -> Result<String, String> {
        // It finds host and password in its environment, not the rest.
        let named = |key: &str| binding.variables[&key.parse().unwrap()].expose().as_str();
        let mut client = Command::new("mariadb");
        client.args(["--no-defaults", "--batch", "--skip-column-names", "--protocol=tcp"]);
        client.args([
            "--host",
            named("MYSQL_HOST"),
            "--port",
            named("MYSQL_PORT"),
            "--user",
            named("MYSQL_USER"),
        ]);
        answer(binding, client.arg(named("MYSQL_DATABASE")), script)
    }
}

impl Client for Mysql {
    fn write(&self, binding: &Binding, key: &str, value: &str) -> Result<(), String> {
        let script = format!(
            "{TABLE}; INSERT INTO kept VALUES ('{key}', '{value}') ON DUPLICATE KEY UPDATE value = '{value}';"
        );
        Mysql::mariadb(binding, &script).map(drop)
    }

    fn read(&self, binding: &Binding, key: &str) -> Result<Option<String>, String> {
        let script = format!("{TABLE}; SELECT concat('=', value) FROM kept WHERE name = '{key}';");
        Ok(value(&Mysql::mariadb(binding, &script)?))
    }
}

pub(crate) struct Redis;

impl Redis {
    /// It finds the password in its environment, not the rest.
    pub(crate) fn cli(binding: &Binding, arguments: &[&str]) -> Result<String, String> {
        let named = |key: &str| binding.variables[&key.parse().unwrap()].expose().as_str();
        let mut client = Command::new("redis-cli");
        client.args([
            "-e",
            "-h",
            named("REDIS_HOST"),
            "-p",
            named("REDIS_PORT"),
            "--user",
            named("REDIS_USER"),
        ]);
        answer(binding, client.args(arguments), "")
    }
}

impl Client for Redis {
    fn write(&self, binding: &Binding, key: &str, value: &str) -> Result<(), String> {
        Redis::cli(binding, &["SET", key, &format!("={value}")]).map(drop)
    }

    fn read(&self, binding: &Binding, key: &str) -> Result<Option<String>, String> {
        Ok(value(&Redis::cli(binding, &["GET", key])?).filter(|value| !value.is_empty()))
    }
}
