// SPDX-License-Identifier: Apache-2.0
//! Steps Plan and Build: a builder says what to do, one executor does it, the same for every language.
//!
//! Every command runs in the app's own sandbox as the app's own user. An artifact is named by what it was made from;
//! the same source with the same plan and config is not built twice.

use super::checkout::Source;
use super::context::{Context, Told};
use super::layer;
use super::place::Places;
use crate::server::internal;
use hop3_core::driver::Exit;
use hop3_core::name::EnvKey;
use hop3_core::plan::{BuildPlan, Step};
use hop3_core::problem::{Kind, Problem};
use hop3_core::release::{Artifact, FoundToolchain, ProcessTable};
use hop3_core::sandbox::{Command, Job, Limits, Sandbox};
use hop3_core::settings::Settings;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

/// One command of a build may take so long.
const STEP_DEADLINE: Duration = Duration::from_secs(30 * 60);
/// Seconds between SIGTERM and SIGKILL, unless the app asks for another time.
const STOP_GRACE_SECS: u32 = 10;
const RELEASE_TIMEOUT_SECS: u32 = 600;

/// Where commands of one build run.
pub(super) struct Bench<'p> {
    pub places: Places,
    pub user: Option<u32>,
    pub plan: &'p BuildPlan,
    /// What the app's own commands get beside the plan's environment.
    pub config: BTreeMap<EnvKey, String>,
}

pub(super) fn plan(cx: &Context<'_>, source: &Source, settings: &Settings) -> Result<BuildPlan, Problem> {
    let plan = (cx.server.drivers.plan)(&source.tree, settings)?;
    cx.say(&format!("{}: {}", plan.builder, plan.reason));
    crate::verb::tcp::check_processes(&plan, &settings.tcp)?;
    for warning in &plan.warnings {
        cx.warn(warning);
    }
    Ok(plan)
}

pub(super) fn run(
    cx: &Context<'_>,
    source: Source,
    settings: &Settings,
    plan: &BuildPlan,
) -> Result<Artifact, Problem> {
    let _slot = cx.server.build_slots.take(|| cx.say("waiting: other builds are running"));
    let config = cx.server.store.config(&cx.app).map_err(internal)?;
    cx.hide(config.values());
    let mut artifact = Artifact {
        builder: plan.builder.clone(),
        source: source.label.clone(),
        toolchains: toolchains(cx, plan)?,
        env: plan.env.clone(),
        processes: process_table(plan, settings),
        ..Artifact::default()
    };
    for layer in &plan.layers {
        let digest = layer::digest(cx, &source, plan, layer, &artifact.toolchains)?;
        artifact.layers.insert(layer.name.clone(), digest);
    }
    artifact.id = artifact_id(cx, &source, plan, &artifact, &config)?;
    let home = cx.server.layout.artifact(&artifact.id);
    if is_built(cx, &artifact, &home) {
        cx.say("unchanged: the same source was built before");
        cx.server.drivers.runner.remove(&source.incoming)?;
        return Ok(artifact);
    }
    make(cx, source, Bench { places: places(cx, &artifact, plan), user: user(cx), plan, config }, &artifact)?;
    Ok(artifact)
}

/// Runs the plan and closes the artifact.
fn make(cx: &Context<'_>, source: Source, bench: Bench<'_>, artifact: &Artifact) -> Result<(), Problem> {
    let runner = &cx.server.drivers.runner;
    let home = cx.server.layout.artifact(&artifact.id);
    runner.remove(&home)?;
    std::fs::rename(&source.incoming, &home).map_err(internal)?;
    let (server, path) = (cx.server.clone(), home.clone());
    cx.undo("remove what was built", move || server.drivers.runner.remove(&path));
    runner.give(&bench.places.tree, bench.user)?;
    // Those that are there belong to the app already, and may be large.
    for cache in bench.places.caches.values().filter(|cache| !cache.exists()) {
        runner.give(cache, bench.user)?;
    }
    for layer in &bench.plan.layers {
        layer::provide(cx, &bench, layer, &bench.places.layers[&layer.name])?;
        link(&bench.places, layer)?;
    }
    for step in &bench.plan.steps {
        // The author's commands see the app's config; layers do not, since they outlive it.
        let config = bench.config.iter().map(|(key, value)| (key.to_string(), value.clone()));
        let mut step = step.clone();
        step.env = config.chain(step.env).collect();
        run_step(cx, &bench, &step)?;
    }
    runner.give(&bench.places.tree, own_user(cx))?;
    keep_only(cx, &bench)?;
    let text = serde_json::to_vec_pretty(artifact).map_err(internal)?;
    std::fs::write(home.join("artifact.json"), text).map_err(internal)
}

fn toolchains(cx: &Context<'_>, plan: &BuildPlan) -> Result<BTreeMap<String, FoundToolchain>, Problem> {
    let mut found = BTreeMap::new();
    for wanted in &plan.toolchains {
        let toolchain = cx.server.drivers.toolchains.provide(wanted, &mut |line| cx.say(line))?;
        let why = if wanted.source.is_empty() {
            String::new()
        } else {
            format!(" (asked for by {})", wanted.source)
        };
        cx.say(&format!("{} {}{why}", wanted.name, toolchain.version));
        found.insert(wanted.name.clone(), toolchain);
    }
    Ok(found)
}

/// Runs one step of a plan; a failure tells the command, how it ended and its last lines.
pub(super) fn run_step(cx: &Context<'_>, bench: &Bench<'_>, step: &Step) -> Result<(), Problem> {
    cx.say(&format!("→ {}", step.title));
    let mut env = cx.server.build_environment.clone();
    env.extend(bench.places.environment(&bench.plan.env));
    env.extend(step.env.iter().map(|(key, value)| (key.clone(), bench.places.fill(value))));
    let command = match &step.command {
        Command::Exec(argv) => Command::exec(argv.iter().map(|arg| bench.places.fill(arg))),
        Command::Shell(line) => Command::shell(bench.places.fill(line)),
    };
    let cwd = match step.cwd.as_str() {
        "" => bench.places.tree.clone(),
        path => bench.places.tree.join(bench.places.fill(path)),
    };
    execute(
        cx,
        bench,
        Job { command, cwd, env, sandbox: sandbox(cx, bench), limits: Limits::default() },
        &step.hint,
    )
}

fn execute(cx: &Context<'_>, bench: &Bench<'_>, job: Job, hint: &str) -> Result<(), Problem> {
    let mut told = Told::new(cx);
    let exit = cx.server.drivers.runner.run(&job, STEP_DEADLINE, &mut told)?;
    if exit.is_success() {
        return Ok(());
    }
    let (code, title) = match exit {
        Exit::TimedOut => ("build.timed-out", "the build took longer than 30 minutes"),
        Exit::Signal(9) => ("build.killed", "the build was killed, most likely because memory ran out"),
        _ => ("build.command-failed", "a command of the build failed"),
    };
    let hint = if hint.is_empty() { "mend the command or its input, commit, and push again" } else { hint };
    let command = job.command.display().replace(&*bench.places.tree.to_string_lossy(), ".");
    Err(Problem::new(Kind::User, code, title)
        .detail(format!("command: {command}\nended with: {exit}\n{}", told.tail()).trim_end())
        .hint(hint))
}

fn sandbox(cx: &Context<'_>, bench: &Bench<'_>) -> Sandbox {
    Sandbox {
        user: bench.user,
        user_name: cx.app.name.to_string(),
        home: bench.places.home.clone(),
        hide: vec![cx.server.layout.root().to_owned()],
        mounts: bench.places.build_mounts(),
        ..Sandbox::default()
    }
}

fn link(places: &Places, layer: &hop3_core::plan::Layer) -> Result<(), Problem> {
    for (at, inside) in &layer.links {
        let link = places.tree.join(at);
        let target = places.layers[&layer.name].join(inside);
        if link.symlink_metadata().is_ok() {
            return Err(Problem::new(
                Kind::User,
                "build.in-the-way",
                format!("\"{at}\" is part of the source"),
            )
            .detail("Hop3 puts the installed dependencies there")
            .hint(format!(
                "take it out of the repository: git rm -r --cached {at}, and add it to .gitignore"
            )));
        }
        std::os::unix::fs::symlink(target, link).map_err(internal)?;
    }
    Ok(())
}

/// Leaves in the tree what the plan says is kept.
fn keep_only(cx: &Context<'_>, bench: &Bench<'_>) -> Result<(), Problem> {
    if bench.plan.keep.is_empty() {
        return Ok(());
    }
    let kept: Vec<&str> = bench.plan.keep.iter().map(|k| k.split('/').next().unwrap_or(k)).collect();
    for entry in std::fs::read_dir(&bench.places.tree).map_err(internal)? {
        let entry = entry.map_err(internal)?;
        if !kept.iter().any(|k| entry.file_name() == *k) {
            cx.server.drivers.runner.remove(&entry.path())?;
        }
    }
    Ok(())
}

fn places(cx: &Context<'_>, artifact: &Artifact, plan: &BuildPlan) -> Places {
    let layout = &cx.server.layout;
    let mut places = Places::new(layout, &cx.app.name, &artifact.id);
    places.layers =
        artifact.layers.iter().map(|(name, digest)| (name.clone(), layout.layer(digest))).collect();
    places.caches = plan.caches.iter().map(|n| (n.clone(), layout.cache(&cx.app.name).join(n))).collect();
    places.toolchains = artifact.toolchains.clone();
    places
}

fn user(cx: &Context<'_>) -> Option<u32> {
    cx.server.drivers.runner.is_privileged().then(|| cx.app.uid())
}

/// Finished trees belong to the server: the app cannot change them.
pub(super) fn own_user(cx: &Context<'_>) -> Option<u32> {
    cx.server.drivers.runner.is_privileged().then(|| rustix::process::getuid().as_raw())
}

fn is_built(cx: &Context<'_>, artifact: &Artifact, home: &Path) -> bool {
    home.join("artifact.json").exists()
        && artifact.layers.values().all(|digest| layer::is_complete(&cx.server.layout.layer(digest)))
}

fn artifact_id(
    cx: &Context<'_>,
    source: &Source,
    plan: &BuildPlan,
    artifact: &Artifact,
    config: &BTreeMap<EnvKey, String>,
) -> Result<String, Problem> {
    let parts = (cx.app.id, &source.digest, plan, artifact, config);
    Ok(layer::name(cx, &Sha256::digest(serde_json::to_vec(&parts).map_err(internal)?)))
}

fn process_table(plan: &BuildPlan, settings: &Settings) -> ProcessTable {
    ProcessTable {
        processes: plan.processes.clone(),
        statics: plan.statics.clone(),
        release: settings.run.release.clone(),
        before_run: settings.run.before.clone(),
        late_env: super::late::of(settings),
        cron: settings.run.cron.clone(),
        health: settings.health.clone(),
        sleep: settings.sleep,
        proxy: settings.proxy.clone(),
        tcp: settings.tcp.clone(),
        backup: settings.backup.clone(),
        stop_grace_secs: settings.run.stop_grace_secs.unwrap_or(STOP_GRACE_SECS),
        release_timeout_secs: settings.run.release_timeout_secs.unwrap_or(RELEASE_TIMEOUT_SECS),
    }
}
