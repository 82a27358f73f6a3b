// SPDX-License-Identifier: Apache-2.0
//! From `hop3.toml` as written to `Settings`: names parsed, paths checked, what is not acted on told as warnings.

use super::process::Entry;
use super::raw::{
    Backup, Build, Document, Env, EnvTable, EnvValue, HealthCheck, Later, Lines, Policy, Run, Sleep, Text,
};
use super::{complaint, path};
use crate::name::{AppName, EnvKey, ProcessName};
use crate::problem::{Kind, Problem};
use crate::settings::{BackupSettings, EnvDefault, GeneratedForm, Settings};
use crate::sleep::{SleepTimes, parse_time};
use std::collections::BTreeMap;
use std::ops::Range;
use std::str::FromStr;
use toml::Spanned;

/// Fills `settings` and gives the command lines of the file, to be joined with those of the Procfile.
pub(super) fn apply(
    document: Document,
    file: &str,
    text: &str,
    settings: &mut Settings,
) -> Result<Vec<Entry>, Problem> {
    let place = Place { file, text };
    settings.warnings = unused(&document);
    if let Some(id) = &document.metadata.id {
        settings.id = Some(place.parse::<AppName>(id)?.to_string());
    }
    for domain in &document.domains.list {
        settings.domains.push(place.parse(domain)?);
    }
    for (prefix, directory) in document.statics.iter().chain(&document.run.statics) {
        let prefix = place.checked(prefix, path::url_path)?;
        settings.run.statics.insert(prefix, place.checked(directory, path::directory)?);
    }
    settings.sleep = document.sleep.map(|raw| sleep(&raw, &place)).transpose()?;
    settings.proxy = super::policy::resolve(document.proxy, &place)?;
    settings.backup = backup(document.backup, &place)?;
    settings.tcp = super::tcp::resolve(document.tcp, &place)?;
    let addons = document.addons.into_iter().chain(document.provider).collect();
    settings.addons = super::addon::resolve(addons, &place)?;
    settings.volumes = super::volume::resolve(document.volumes, &place, &mut settings.warnings)?;
    env(document.env, &place, settings)?;
    health(&document.run, document.healthcheck, &place, settings)?;
    let mut entries = build(document.build, &place, settings)?;
    entries.extend(run(document.run, &place, settings)?);
    Ok(entries)
}

/// The file in which things are found wrong.
pub(super) struct Place<'a> {
    pub(super) file: &'a str,
    pub(super) text: &'a str,
}

impl Place<'_> {
    /// Puts the place on a problem.
    pub(super) fn mark(&self, range: Range<usize>, problem: Problem) -> Problem {
        Problem { kind: Kind::Config, ..problem }.span(complaint::at(self.file, self.text, range.start))
    }

    pub(super) fn parse<T: FromStr<Err = Problem>>(&self, text: &Text) -> Result<T, Problem> {
        text.get_ref().parse().map_err(|p| self.mark(text.span(), p))
    }

    pub(super) fn checked<T>(
        &self,
        text: &Text,
        check: fn(&str) -> Result<T, Problem>,
    ) -> Result<T, Problem> {
        check(text.get_ref()).map_err(|p| self.mark(text.span(), p))
    }

    pub(super) fn seconds(&self, value: &Spanned<u32>) -> Result<u32, Problem> {
        let seconds = *value.get_ref();
        if (1..=86_400).contains(&seconds) {
            return Ok(seconds);
        }
        let problem = Problem::new(Kind::Config, "config.bad-value", "a time is 1 to 86400 seconds");
        Err(self.mark(value.span(), problem))
    }

    /// Command lines under one name, as entries.
    fn entries(&self, name: &str, lines: Option<Spanned<Lines>>) -> Result<Vec<Entry>, Problem> {
        let Some(lines) = lines else { return Ok(Vec::new()) };
        let range = lines.span();
        lines.into_inner().0.into_iter().map(|line| self.entry(name, line, range.clone())).collect()
    }

    fn entry(&self, name: &str, command: String, range: Range<usize>) -> Result<Entry, Problem> {
        if command.trim().is_empty() || command.contains('\0') {
            let problem = Problem::new(Kind::Config, "config.empty-command", "a command line is empty")
                .hint("remove the key, or write the command");
            return Err(self.mark(range, problem));
        }
        let span = complaint::at(self.file, self.text, range.start);
        Ok(Entry { name: name.to_owned(), command, span })
    }
}

fn backup(raw: Backup, place: &Place<'_>) -> Result<BackupSettings, Problem> {
    let lines = |lines| -> Result<Vec<String>, Problem> {
        Ok(place.entries("backup", lines)?.into_iter().map(|entry| entry.command).collect())
    };
    let exclude = raw.exclude.iter().map(|text| place.checked(text, path::directory));
    Ok(BackupSettings {
        before: lines(raw.before)?,
        after: lines(raw.after)?,
        exclude: exclude.collect::<Result<_, _>>()?,
        proof_start: raw.proof_start,
    })
}

fn build(raw: Build, place: &Place<'_>, settings: &mut Settings) -> Result<Vec<Entry>, Problem> {
    for word in [raw.builder, raw.toolchain].into_iter().flatten() {
        match word.get_ref().as_str() {
            "auto" | "local" => {}
            "generic" | "none" => settings.build.builder = Some("procfile".to_owned()),
            name @ ("docker" | "nix") => settings.warnings.push(format!(
                "{}: the builder \"{name}\" is not there in this version; the builder is chosen by the files",
                place.file
            )),
            name => settings.build.builder = Some(name.to_owned()),
        }
    }
    settings.build.static_dir = raw.static_dir.map(|d| place.checked(&d, path::directory)).transpose()?;
    settings.build.document_root =
        raw.document_root.map(|d| place.checked(&d, path::directory)).transpose()?;
    settings.build.packages = raw.packages;
    settings.build.versions = raw.versions;
    if let Some(version) = raw.node_version {
        settings.build.versions.entry("node".to_owned()).or_insert(version);
    }
    let mut entries = place.entries("prebuild", raw.before_build)?;
    entries.extend(place.entries("build", raw.build)?);
    entries.extend(place.entries("postbuild", raw.after_build)?);
    Ok(entries)
}

fn run(raw: Run, place: &Place<'_>, settings: &mut Settings) -> Result<Vec<Entry>, Problem> {
    let seconds = |value: Option<Spanned<u32>>| value.map(|v| place.seconds(&v)).transpose();
    settings.run.stop_grace_secs = seconds(raw.stop_grace)?;
    settings.run.release_timeout_secs = seconds(raw.release_timeout)?;
    for (name, count) in &raw.scale {
        let name: ProcessName = place.parse(name)?;
        if *count.get_ref() > 1000 {
            let problem =
                Problem::new(Kind::Config, "config.bad-value", "a process has at most 1000 instances");
            return Err(place.mark(count.span(), problem));
        }
        settings.run.scale.insert(name, *count.get_ref());
    }
    let mut entries = place.entries("release", raw.release)?;
    entries.extend(place.entries("prerun", raw.before_run)?);
    entries.extend(place.entries("cron", raw.cron)?);
    if let Some(start) = raw.start {
        entries.push(place.entry("web", start.get_ref().clone(), start.span())?);
    }
    for (name, command) in raw.workers {
        entries.push(place.entry(name.get_ref(), command.get_ref().clone(), name.span())?);
    }
    Ok(entries)
}

fn health(run: &Run, raw: HealthCheck, place: &Place<'_>, settings: &mut Settings) -> Result<(), Problem> {
    let health = &mut settings.health;
    if let Some(path) = raw.path.as_ref().or(run.healthcheck.as_ref()) {
        health.path = Some(place.checked(path, path::url_path)?);
    }
    let timeout = raw.timeout.as_ref().or(run.healthcheck_timeout.as_ref()).or(run.start_timeout.as_ref());
    if let Some(timeout) = timeout {
        health.timeout_secs = place.seconds(timeout)?;
    }
    health.contains = raw.contains;
    health.command = raw.command;
    Ok(())
}

fn sleep(raw: &Sleep, place: &Place<'_>) -> Result<SleepTimes, Problem> {
    let time = |text: &Option<Text>| text.as_ref().map(|text| place.checked(text, sleep_time)).transpose();
    Ok(SleepTimes { freeze_after_secs: time(&raw.freeze_after)?, stop_after_secs: time(&raw.stop_after)? })
}

fn sleep_time(text: &str) -> Result<u32, Problem> {
    parse_time(text).ok_or_else(|| {
        Problem::new(Kind::Config, "config.bad-value", "this is no length of time")
            .hint("write a whole number with s, m, h or d behind it, such as 10m, or never")
    })
}

fn env(raw: Env, place: &Place<'_>, settings: &mut Settings) -> Result<(), Problem> {
    for (key, value) in raw.values {
        let name: EnvKey = place.parse(&key)?;
        if is_own(name.as_str()) {
            settings
                .warnings
                .push(format!("{}: {name} is set by Hop3 itself; this value is not used", place.file));
            continue;
        }
        let range = value.span();
        match value.into_inner() {
            EnvValue::Literal(text) => {
                let text = literal(text).map_err(|p| place.mark(range, p))?;
                warn_of_secret(&name, &text, place.file, &mut settings.warnings);
                settings.env.insert(name, EnvDefault::Literal(text));
            }
            EnvValue::Table(table) => match found(*table, range, place)? {
                Ok(value) => drop(settings.env.insert(name, value)),
                Err(why) => settings.warnings.push(format!("{}: {name} is not set: {why}", place.file)),
            },
        }
    }
    for (key, template) in raw.computed {
        settings.env.insert(place.parse(&key)?, EnvDefault::Computed(template.into_inner()));
    }
    Ok(())
}

/// Names that the runtime gives; a file cannot change them.
pub(super) fn is_own(key: &str) -> bool {
    matches!(key, "PORT" | "BIND_ADDRESS") || key.starts_with("HOP3_")
}

fn literal(text: String) -> Result<String, Problem> {
    if text.contains('\0') {
        return Err(Problem::new(
            Kind::Config,
            "config.bad-value",
            "a variable cannot hold the character NUL",
        ));
    }
    if text.contains("${") {
        return Err(Problem::new(
            Kind::Config,
            "config.template",
            "a plain value holds \"${\", which is not replaced",
        )
        .hint("write it beneath [env.computed], where ${OTHER} becomes the value of OTHER"));
    }
    Ok(text)
}

fn warn_of_secret(key: &EnvKey, value: &str, file: &str, warnings: &mut Vec<String>) {
    let upper = key.as_str().to_ascii_uppercase();
    let endings = ["SECRET", "SECRET_KEY", "PASSWORD", "TOKEN", "API_KEY", "PRIVATE_KEY"];
    if !value.is_empty() && endings.iter().any(|ending| upper.ends_with(ending)) {
        warnings.push(format!(
            "{file}: {key} looks like a secret in a file that is shared; use {{ generate = \"hex\" }} or hop3 config set"
        ));
    }
}

/// A value Hop3 finds, or why this version cannot.
fn found(
    table: EnvTable,
    range: Range<usize>,
    place: &Place<'_>,
) -> Result<Result<EnvDefault, &'static str>, Problem> {
    if let Some(addon) = &table.from {
        return of_addon(addon, table.key.as_ref(), range, place).map(Ok);
    }
    if table.external_ip.is_some() {
        return Ok(Err("the external address is not known in this version"));
    }
    if let Some(form) = &table.generate {
        if table.prefix.is_some() {
            return Ok(Err("a prefix before a generated value is not there in this version"));
        }
        let form = place.checked(form, generated_form)?;
        let length = table.length.as_ref().map_or(32, |length| *length.get_ref());
        if !(8..=1024).contains(&length) {
            let problem =
                Problem::new(Kind::Config, "config.bad-value", "a generated value has 8 to 1024 characters");
            return Err(place.mark(table.length.map_or(range, |length| length.span()), problem));
        }
        return Ok(Ok(EnvDefault::Generate { form, length }));
    }
    let Some(key) = &table.key else {
        let problem = Problem::new(
            Kind::Config,
            "config.bad-value",
            "this table does not say where the value comes from",
        )
        .hint("write { generate = \"hex\" } or { key = \"domain\" }");
        return Err(place.mark(range, problem));
    };
    place.checked(key, own_key).map(|key| Ok(EnvDefault::Own(key)))
}

/// A variable of a bound addon.
fn of_addon(
    addon: &Text,
    key: Option<&Text>,
    range: Range<usize>,
    place: &Place<'_>,
) -> Result<EnvDefault, Problem> {
    let Some(key) = key else {
        let title = "this value does not say which variable of the addon it is";
        let problem = Problem::new(Kind::Config, "config.bad-value", title);
        return Err(place.mark(range, problem.hint("write { from = \"shop-db\", key = \"PGHOST\" }")));
    };
    Ok(EnvDefault::Addon { addon: place.parse(addon)?, key: place.parse(key)? })
}

fn generated_form(text: &str) -> Result<GeneratedForm, Problem> {
    Ok(match text {
        "hex" => GeneratedForm::Hex,
        "base64" => GeneratedForm::Base64,
        "urlsafe" => GeneratedForm::Urlsafe,
        "password" => GeneratedForm::Password,
        "uuid" => GeneratedForm::Uuid,
        _ => return Err(one_of("hex, base64, urlsafe, password, uuid")),
    })
}

fn own_key(text: &str) -> Result<String, Problem> {
    match text {
        "domain" | "name" | "url" => Ok(text.to_owned()),
        "hostname" => Ok("domain".to_owned()),
        _ => Err(one_of("domain, hostname, name, url")),
    }
}

fn one_of(words: &str) -> Problem {
    Problem::new(Kind::Config, "config.bad-value", "a value cannot be used")
        .detail(format!("one of these is wanted: {words}"))
}

/// One warning for each thing in the file that this version does not act on.
fn unused(document: &Document) -> Vec<String> {
    let later: BTreeMap<&str, &Option<Later>> = BTreeMap::from([
        ("[deploy]", &document.deploy),
        ("[port]", &document.port),
        ("[[ports]]", &document.ports),
        ("[docker]", &document.docker),
        ("[nix]", &document.nix),
        ("paths in [backup]", &document.backup.paths),
        ("request-buffering in [proxy]", &document.proxy.request_buffering),
        ("[limits]", &document.limits),
        ("[waf]", &document.waf),
        ("[admin]", &document.admin),
        ("[probe]", &document.probe),
        ("ignore in [build]", &document.build.ignore),
        ("packages in [run]", &document.run.packages),
        ("interval in [healthcheck]", &document.healthcheck.interval),
        ("retries in [healthcheck]", &document.healthcheck.retries),
    ]);
    let overrides = [("[env]", document.env.policy), ("[domains]", document.domains.policy)];
    let words = later.iter().filter(|(_, value)| value.is_some()).map(|(word, _)| (*word).to_owned());
    let policies = overrides.iter().filter(|(_, policy)| *policy == Some(Policy::Override));
    words
        .chain(policies.map(|(table, _)| format!("_policy = \"override\" in {table}")))
        .map(|word| format!("hop3.toml: {word} is understood, but this version does not act on it"))
        .collect()
}
