// SPDX-License-Identifier: Apache-2.0
//! `app.json` as Heroku and Dokku write it. Keys nobody here knows are passed over, since ten years of dialects exist;
//! comments are allowed, as Dokku allows them.

use super::process::Entry;
use super::resolve::is_own;
use super::{complaint, path};
use crate::name::{EnvKey, ProcessName};
use crate::problem::{Kind, Problem, Span};
use crate::settings::{AddonSettings, EnvDefault, GeneratedForm, Settings};
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;

const FILE: &str = "app.json";

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct App {
    scripts: Scripts,
    env: BTreeMap<String, Value>,
    formation: BTreeMap<String, Formation>,
    cron: Vec<CronLine>,
    healthchecks: BTreeMap<String, Vec<Check>>,
    addons: Vec<Value>,
    buildpacks: Vec<Value>,
    image: Option<Value>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Scripts {
    postdeploy: Option<Value>,
    dokku: Dokku,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Dokku {
    predeploy: Option<String>,
    postdeploy: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Formation {
    quantity: Option<u32>,
}

#[derive(Debug, Deserialize)]
struct CronLine {
    command: String,
    schedule: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Check {
    path: Option<String>,
    content: Option<String>,
    command: Option<Vec<String>>,
    attempts: Option<u32>,
    timeout: Option<u32>,
    wait: Option<u32>,
    #[serde(rename = "type")]
    kind: Option<String>,
}

/// Fills `settings` and gives the command lines of the file.
pub(super) fn apply(text: &str, settings: &mut Settings) -> Result<Vec<Entry>, Problem> {
    let app: App = serde_json::from_str(&without_comments(text)).map_err(|e| unreadable(text, &e))?;
    warn(&app, settings);
    for (key, value) in &app.env {
        env(key, value, settings)?;
    }
    for one in &app.addons {
        addon(one, settings);
    }
    for (name, formation) in &app.formation {
        let name: ProcessName = name.parse().map_err(in_file)?;
        if let Some(quantity) = formation.quantity.filter(|quantity| *quantity <= 1000) {
            settings.run.scale.insert(name, quantity);
        }
    }
    for check in app.healthchecks.get("web").into_iter().flatten() {
        health(check, settings)?;
    }
    let entry = |name: &str, command: String| Entry { name: name.to_owned(), command, span: top() };
    let cron =
        app.cron.into_iter().map(|line| entry("cron", format!("{} {}", line.schedule.trim(), line.command)));
    let release = app.scripts.dokku.predeploy.into_iter().map(|line| entry("release", line));
    Ok(cron.chain(release).collect())
}

fn warn(app: &App, settings: &mut Settings) {
    let mut warn = |text: String| settings.warnings.push(format!("{FILE}: {text}"));
    let unused = [
        ("scripts.postdeploy", app.scripts.postdeploy.is_some() || app.scripts.dokku.postdeploy.is_some()),
        ("buildpacks", !app.buildpacks.is_empty()),
        ("image", app.image.is_some()),
    ];
    for (key, _) in unused.iter().filter(|(_, is_there)| *is_there) {
        warn(format!("{key} is understood, but this version does not act on it"));
    }
}

/// A plain value, or an object with `value`, `generator` and `required`.
fn env(key: &str, value: &Value, settings: &mut Settings) -> Result<(), Problem> {
    let name: EnvKey = key.parse().map_err(in_file)?;
    if is_own(key) {
        settings.warnings.push(format!("{FILE}: {key} is set by Hop3 itself; this value is not used"));
        return Ok(());
    }
    let plain = match value {
        Value::Object(object) if object.get("generator").and_then(Value::as_str) == Some("secret") => {
            let form = EnvDefault::Generate { form: GeneratedForm::Hex, length: 64 };
            settings.env.insert(name, form);
            return Ok(());
        }
        Value::Object(object) => object.get("value"),
        plain => Some(plain),
    };
    match plain {
        Some(Value::String(text)) if !text.contains('\0') => {
            settings.env.insert(name, EnvDefault::Literal(text.clone()));
        }
        Some(Value::Number(_) | Value::Bool(_)) => {
            let text = plain.map(Value::to_string).unwrap_or_default();
            settings.env.insert(name, EnvDefault::Literal(text));
        }
        _ if value.get("required") == Some(&Value::Bool(false)) => {}
        _ => settings
            .warnings
            .push(format!("{FILE}: {key} has no value; set it with: hop3 config set {key}=…")),
    }
    Ok(())
}

/// `"heroku-postgresql:mini"`, or an object with `plan`, `as` and `options`. Plans are sizes of somebody else's.
fn addon(value: &Value, settings: &mut Settings) {
    let plan = value.as_str().or_else(|| value.get("plan").and_then(Value::as_str)).unwrap_or_default();
    let product = plan.split(':').next().unwrap_or_default();
    let Some(kind) = addon_kind(product).and_then(|kind| kind.parse().ok()) else {
        settings.warnings.push(format!("{FILE}: there is no addon \"{}\"", product.escape_debug()));
        return;
    };
    let text = |key: &str| value.get(key).and_then(Value::as_str);
    let version = value.get("options").and_then(|options| options.get("version")).and_then(Value::as_str);
    let one = AddonSettings {
        kind,
        name: None,
        prefix: text("as").and_then(|prefix| prefix.parse().ok()),
        version: version.map(str::to_owned),
        dedicated: false,
        options: BTreeMap::new(),
    };
    // Without names two of a kind could not be told apart.
    if settings.addons.iter().all(|other| other.kind != one.kind) {
        settings.addons.push(one);
    }
}

/// Heroku's and Dokku's words for what we have.
fn addon_kind(product: &str) -> Option<&'static str> {
    Some(match product {
        "heroku-postgresql" | "dokku-postgres" | "postgresql" | "postgres" => "postgres",
        "heroku-redis" | "rediscloud" | "redistogo" | "dokku-redis" | "redis" => "redis",
        "jawsdb" | "jawsdb-maria" | "cleardb" | "dokku-mysql" | "dokku-mariadb" | "mysql" | "mariadb" => {
            "mysql"
        }
        "cloudamqp" | "dokku-rabbitmq" | "rabbitmq" => "rabbitmq",
        "memcachier" | "memcachedcloud" | "dokku-memcached" | "memcached" => "memcached",
        "meilisearch" | "dokku-meilisearch" => "meilisearch",
        _ => return None,
    })
}

fn health(check: &Check, settings: &mut Settings) -> Result<(), Problem> {
    if check.kind.as_deref() == Some("liveness") {
        settings.warnings.push(format!("{FILE}: liveness checks are not there in this version"));
        return Ok(());
    }
    let health = &mut settings.health;
    health.path = check.path.as_deref().map(path::url_path).transpose().map_err(in_file)?;
    health.contains.clone_from(&check.content);
    if check.command.is_some() {
        settings.warnings.push(format!("{FILE}: health checks by command are not taken over"));
    }
    // Dokku asks `attempts` times, `wait` seconds apart, each time at most `timeout` seconds.
    let attempts = check.attempts.unwrap_or(3).clamp(1, 1000);
    let each = check.timeout.unwrap_or(5).saturating_add(check.wait.unwrap_or(5)).clamp(1, 3600);
    settings.health.timeout_secs = (attempts * each).clamp(10, 86_400);
    Ok(())
}

fn unreadable(text: &str, error: &serde_json::Error) -> Problem {
    let line_start: usize =
        text.split_inclusive('\n').take(error.line().saturating_sub(1)).map(str::len).sum();
    let span = complaint::at(FILE, text, line_start + error.column().saturating_sub(1));
    let message = error.to_string();
    let fact = message.split(" at line ").next().unwrap_or_default().to_owned();
    Problem::new(Kind::Config, "config.syntax", format!("{FILE} cannot be read")).detail(fact).span(span)
}

fn in_file(problem: Problem) -> Problem {
    Problem { kind: Kind::Config, ..problem }.span(top())
}

/// JSON values have no place of their own.
fn top() -> Span {
    Span { file: FILE.to_owned(), line: 1, column: 1, excerpt: String::new() }
}

/// Replaces comments by blanks, so that every place in the text stays where it was.
fn without_comments(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let length = match c {
            '"' => string_length(rest),
            '/' if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
            '/' if rest.starts_with("/*") => rest.find("*/").map_or(rest.len(), |end| end + 2),
            _ => c.len_utf8(),
        };
        let (token, after) = rest.split_at(length);
        if c == '/' && length > 1 {
            out.extend(token.bytes().map(|b| if b == b'\n' { '\n' } else { ' ' }));
        } else {
            out.push_str(token);
        }
        rest = after;
    }
    out
}

/// Bytes of the string that begins here, quotes included.
fn string_length(text: &str) -> usize {
    let mut is_escaped = false;
    for (i, b) in text.bytes().enumerate().skip(1) {
        match b {
            b'"' if !is_escaped => return i + 1,
            b'\\' => is_escaped = !is_escaped,
            _ => is_escaped = false,
        }
    }
    text.len()
}
