// SPDX-License-Identifier: Apache-2.0
//! Java by Maven: `mvn package` with the project's own wrapper when it is there, then the jar is run. Gradle projects
//! are planned in `gradle`.
//!
//! Upstream: the Maven documentation. Needs a JDK and `mvn`. The port reaches Spring Boot as `-Dserver.port`; others
//! read `PORT`.

use super::{author, gradle};
use hop3_core::Problem;
use hop3_core::driver::{Builder, Detected};
use hop3_core::plan::{BuildPlan, Step, Toolchain};
use hop3_core::sandbox::Command;
use hop3_core::settings::Settings;
use hop3_core::source::SourceTree;

/// `$1` is the jar. `JAVA_OPTS` is the author's to set, and is meant to be split into words.
pub(super) const RUN_JAR: &str = r#"exec java -Dserver.port="$PORT" $JAVA_OPTS -jar "$1""#;

/// Gives the only jar of `$1` whose name fits `$2` and is not one of those beside the real one, the name `$3` in the
/// same folder, since a manifest may name neighbours.
pub(super) const PICK_JAR: &str = r#"jar=$(find "$1" -maxdepth 1 -type f -name "$2" ! -name '*-sources.jar' ! -name '*-javadoc.jar' ! -name '*-tests.jar' ! -name '*-plain.jar' ! -name 'original-*'); echo "$jar"; [ -f "$jar" ] && ln -sfn "${jar##*/}" "$1/$3""#;

pub struct Java;

impl Builder for Java {
    fn name(&self) -> &'static str {
        "java"
    }

    fn looks_for(&self) -> &'static str {
        "pom.xml, build.gradle, build.gradle.kts"
    }

    fn detect(&self, source: &SourceTree, _settings: &Settings) -> Option<Detected> {
        author::detected_by(source, &["pom.xml", "build.gradle", "build.gradle.kts"])
    }

    fn plan(&self, source: &SourceTree, settings: &Settings) -> Result<BuildPlan, Problem> {
        let reason = author::reason(self.detect(source, settings), "java");
        let plan = match source.read("pom.xml")? {
            Some(pom) => maven(source, settings, &Pom::parse(&pom))?,
            None => gradle::plan(source, settings)?,
        };
        Ok(BuildPlan { builder: "java".into(), reason, ..plan })
    }
}

fn maven(source: &SourceTree, settings: &Settings, pom: &Pom) -> Result<BuildPlan, Problem> {
    let mut toolchains = vec![jdk(source, settings, pom.release.as_deref(), "pom.xml")?];
    let has_wrapper = source.has("mvnw");
    if !has_wrapper {
        toolchains.push(author::any("maven"));
    }
    let is_default = author::names_no_process(settings);
    let mut own = vec![package(has_wrapper)];
    if is_default && pom.jar == Jar::Archive {
        own.push(pick_jar("target", pom.pattern));
    }
    let jar = match pom.jar {
        Jar::Archive => "target/hop3-app.jar",
        Jar::Quarkus => "target/quarkus-app/quarkus-run.jar",
    };
    Ok(BuildPlan {
        env: author::env(&[("PATH", &author::path_of(&toolchains))]),
        toolchains,
        caches: vec!["maven".into()],
        steps: author::build_steps(settings, &author::env(&[]), own),
        processes: author::web(settings, Some(author::scripted(RUN_JAR, &[jar]))),
        ..BuildPlan::default()
    })
}

/// How the program lies in `target/`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
enum Jar {
    #[default]
    Archive,
    Quarkus,
}

/// What pom.xml says.
#[derive(Debug, PartialEq)]
struct Pom {
    release: Option<String>,
    jar: Jar,
    /// Names of jars that hold the whole program.
    pattern: &'static str,
}

impl Pom {
    /// Looks for a few words instead of reading XML: what is looked for never has attributes, and a wrong guess is
    /// mended by a Procfile or hop3.toml.
    fn parse(text: &str) -> Pom {
        let keys = ["maven.compiler.release", "java.version", "maven.compiler.source", "release"];
        let release = keys.iter().find_map(|key| element(text, key));
        let is_quarkus = text.contains("<artifactId>quarkus-maven-plugin<");
        let is_assembled = text.contains("jar-with-dependencies");
        Pom {
            release: release.filter(|r| r.chars().all(|c| c.is_ascii_digit() || c == '.')),
            jar: if is_quarkus { Jar::Quarkus } else { Jar::Archive },
            pattern: if is_assembled { "*-jar-with-dependencies.jar" } else { "*.jar" },
        }
    }
}

fn element(text: &str, name: &str) -> Option<String> {
    let (_, rest) = text.split_once(&format!("<{name}>"))?;
    let (value, _) = rest.split_once(&format!("</{name}>"))?;
    Some(value.trim().to_owned())
}

/// A JDK that the author pins, else one that can compile for `release`.
pub(super) fn jdk(
    source: &SourceTree,
    settings: &Settings,
    release: Option<&str>,
    file: &str,
) -> Result<Toolchain, Problem> {
    if let Some(pin) = author::pinned(source, settings, "java", ".java-version", "java")? {
        return Ok(pin);
    }
    let properties = source.read("system.properties")?.unwrap_or_default();
    let runtime = properties.lines().find_map(|line| line.trim().strip_prefix("java.runtime.version"));
    if let Some(version) = runtime.map(|rest| rest.trim_start_matches([' ', '=', ':'])) {
        return Ok(author::wanted("java", version, "system.properties"));
    }
    // 1.8 is the old way to say 8.
    let release = release.map(|release| release.strip_prefix("1.").unwrap_or(release));
    Ok(release
        .map_or_else(|| author::any("java"), |release| author::wanted("java", format!(">={release}"), file)))
}

fn package(has_wrapper: bool) -> Step {
    let program: &[&str] = if has_wrapper { &["/bin/sh", "mvnw"] } else { &["mvn"] };
    let options = ["--batch-mode", "--quiet", "-Dmaven.repo.local={cache:maven}", "-DskipTests", "package"];
    let mut step = Step::new("Packaging with Maven", Command::exec(program.iter().chain(&options).copied()));
    step.hint = "run \"mvn package\" on your machine to see the same message".into();
    step
}

pub(super) fn pick_jar(folder: &str, pattern: &str) -> Step {
    let mut step = Step::new(
        "Looking for the jar to run",
        author::scripted(PICK_JAR, &[folder, pattern, "hop3-app.jar"]),
    );
    step.hint = format!(
        "the build must leave one jar that can be run in {folder}; otherwise say in a Procfile what is started:\nweb: java -jar {folder}/NAME.jar"
    );
    step
}

#[cfg(test)]
mod tests;
