// SPDX-License-Identifier: Apache-2.0
//! Java by Gradle: which task builds the program and where it then lies. Part of the builder `java`.
//!
//! Upstream: "The Application Plugin" of the Gradle manual, the Spring Boot Gradle plugin. Needs a JDK and `gradle`
//! or the project's own wrapper.

use super::{author, java};
use hop3_core::plan::{BuildPlan, Step};
use hop3_core::sandbox::Command;
use hop3_core::settings::Settings;
use hop3_core::source::SourceTree;
use hop3_core::{Kind, Problem};

/// The start script that the application plugin writes reads its options from `JAVA_OPTS`.
const RUN_SCRIPT: &str = r#"export JAVA_OPTS="-Dserver.port=$PORT $JAVA_OPTS"; exec "$1""#;

/// How the project makes a program.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Kit {
    SpringBoot,
    Shadow,
    Application,
    Plain,
}

impl Kit {
    fn of(script: &str) -> Kit {
        let lines = || script.lines().map(str::trim).filter(|line| !line.starts_with("//"));
        let has = |words: &[&str]| lines().any(|line| words.iter().any(|word| line.contains(word)));
        if has(&["org.springframework.boot"]) {
            Kit::SpringBoot
        } else if has(&["com.github.johnrengelman.shadow", "com.gradleup.shadow"]) {
            Kit::Shadow
        } else if lines().any(is_application) {
            Kit::Application
        } else {
            Kit::Plain
        }
    }

    fn task(self) -> &'static str {
        match self {
            Kit::SpringBoot => "bootJar",
            Kit::Shadow => "shadowJar",
            Kit::Application => "installDist",
            Kit::Plain => "jar",
        }
    }
}

/// `id 'application'`, `id("application")`, `application` in Kotlin, `apply plugin: 'application'`.
fn is_application(line: &str) -> bool {
    let quoted = line.contains("'application'") || line.contains("\"application\"");
    line == "application" || (quoted && (line.contains("id") || line.contains("plugin")))
}

pub(super) fn plan(source: &SourceTree, settings: &Settings) -> Result<BuildPlan, Problem> {
    let file = if source.has("build.gradle") { "build.gradle" } else { "build.gradle.kts" };
    let script = source.read(file)?.unwrap_or_default();
    let kit = Kit::of(&script);
    let mut toolchains = vec![java::jdk(source, settings, release(&script).as_deref(), file)?];
    let has_wrapper = source.has("gradlew");
    if !has_wrapper {
        toolchains.push(author::any("gradle"));
    }
    let mut own = vec![build(has_wrapper, kit)];
    let mut web = None;
    if author::names_no_process(settings) {
        let (step, command) = program(source, kit)?;
        own.extend(step);
        web = Some(command);
    }
    Ok(BuildPlan {
        env: author::env(&[("PATH", &author::path_of(&toolchains))]),
        toolchains,
        caches: vec!["gradle".into()],
        steps: author::build_steps(settings, &author::env(&[("GRADLE_USER_HOME", "{cache:gradle}")]), own),
        processes: author::web(settings, web),
        ..BuildPlan::default()
    })
}

/// `JavaLanguageVersion.of(17)`, `sourceCompatibility = JavaVersion.VERSION_17`, `sourceCompatibility = '17'`,
/// `options.release = 17`.
fn release(script: &str) -> Option<String> {
    let marks = ["JavaLanguageVersion.of(", "options.release", "JavaVersion.VERSION_", "sourceCompatibility"];
    marks.iter().find_map(|mark| {
        let (_, rest) = script.split_once(mark)?;
        let rest = rest.trim_start_matches(|c: char| !c.is_ascii_alphanumeric());
        let version: String =
            rest.chars().take_while(|c| c.is_ascii_digit() || matches!(c, '.' | '_')).collect();
        (!version.is_empty()).then(|| version.replace('_', "."))
    })
}

fn build(has_wrapper: bool, kit: Kit) -> Step {
    let program: &[&str] = if has_wrapper { &["/bin/sh", "gradlew"] } else { &["gradle"] };
    // A daemon would outlive the build.
    let options = ["--no-daemon", "--quiet", "--console=plain", kit.task()];
    let mut step = Step::new("Building with Gradle", Command::exec(program.iter().chain(&options).copied()));
    step.hint = format!("run \"gradle {}\" on your machine to see the same message", kit.task());
    step
}

/// The step that finds the program, and the command that starts it.
fn program(source: &SourceTree, kit: Kit) -> Result<(Option<Step>, Command), Problem> {
    if kit != Kit::Application {
        let pattern = if kit == Kit::Shadow { "*-all.jar" } else { "*.jar" };
        let run = author::scripted(java::RUN_JAR, &["build/libs/hop3-app.jar"]);
        return Ok((Some(java::pick_jar("build/libs", pattern)), run));
    }
    let name = project_name(source)?.ok_or_else(|| {
        Problem::new(Kind::Config, "build.unnamed-project", "the Gradle project has no name of its own")
            .detail("without one, Gradle uses the name of the folder, which differs from machine to machine")
            .hint("write into settings.gradle: rootProject.name = 'shop'")
    })?;
    Ok((None, author::scripted(RUN_SCRIPT, &[&format!("build/install/{name}/bin/{name}")])))
}

fn project_name(source: &SourceTree) -> Result<Option<String>, Problem> {
    for file in ["settings.gradle", "settings.gradle.kts"] {
        let text = source.read(file)?.unwrap_or_default();
        let name = text.lines().find_map(|line| {
            let value = line.trim().strip_prefix("rootProject.name")?.trim_start_matches([' ', '=']);
            Some(value.trim_matches(['"', '\'', ' ', ';']).to_owned())
        });
        if name.is_some() {
            return Ok(name);
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests;
