// SPDX-License-Identifier: Apache-2.0
//! Clojure: a jar with everything in it, by Leiningen (`project.clj`) or by the `build` alias of `deps.edn`.
//!
//! Upstream: the Leiningen tutorial, the tools.build guide. Needs a JDK and `lein` or `clojure`.

use super::{author, java};
use hop3_core::Problem;
use hop3_core::driver::{Builder, Detected};
use hop3_core::plan::{BuildPlan, Step};
use hop3_core::sandbox::Command;
use hop3_core::settings::Settings;
use hop3_core::source::SourceTree;

const JAR: &str = "target/hop3-app.jar";

pub struct Clojure;

impl Builder for Clojure {
    fn name(&self) -> &'static str {
        "clojure"
    }

    fn looks_for(&self) -> &'static str {
        "project.clj, deps.edn"
    }

    fn detect(&self, source: &SourceTree, _settings: &Settings) -> Option<Detected> {
        author::detected_by(source, &["project.clj", "deps.edn"])
    }

    fn plan(&self, source: &SourceTree, settings: &Settings) -> Result<BuildPlan, Problem> {
        let is_lein = source.has("project.clj");
        let tool = if is_lein { ("leiningen", "lein") } else { ("clojure", "clojure") };
        let toolchains = vec![
            java::jdk(source, settings, None, "")?,
            author::pinned(source, settings, tool.0, "", tool.1)?.unwrap_or_else(|| author::any(tool.0)),
        ];
        let mut own = vec![if is_lein { lein_uberjar() } else { tools_build() }];
        if author::names_no_process(settings) {
            own.push(java::pick_jar("target", if is_lein { "*-standalone.jar" } else { "*.jar" }));
        }
        Ok(BuildPlan {
            builder: "clojure".into(),
            reason: author::reason(self.detect(source, settings), "clojure"),
            env: author::env(&[("PATH", &author::path_of(&toolchains))]),
            toolchains,
            caches: vec!["maven".into()],
            steps: author::build_steps(settings, &step_env(is_lein), own),
            processes: author::web(settings, Some(author::scripted(java::RUN_JAR, &[JAR]))),
            warnings: warnings(source, is_lein),
            ..BuildPlan::default()
        })
    }
}

/// Neither tool has a plain setting for its repository of jars, but both keep it below a home directory.
fn step_env(is_lein: bool) -> std::collections::BTreeMap<String, String> {
    let home = ("JAVA_TOOL_OPTIONS", "-Duser.home={cache:maven}");
    match is_lein {
        true => author::env(&[home, ("LEIN_HOME", "{cache:maven}/lein"), ("LEIN_SILENT", "true")]),
        false => author::env(&[home, ("CLJ_CONFIG", "{cache:maven}/clojure")]),
    }
}

fn lein_uberjar() -> Step {
    let mut step = Step::new(
        "Building the jar with Leiningen",
        Command::exec(["lein", "with-profile", "-dev", "uberjar"]),
    );
    step.hint = "run \"lein uberjar\" on your machine to see the same message".into();
    step
}

fn tools_build() -> Step {
    let mut step = Step::new("Building the jar", Command::exec(["clojure", "-T:build", "uber"]));
    step.hint = "deps.edn needs the alias :build and build.clj a function uber that leaves one jar in target; another command goes into hop3.toml:\n[build]\nbuild = \"clojure -T:build release\"".into();
    step
}

fn warnings(source: &SourceTree, is_lein: bool) -> Vec<String> {
    let has_build = is_lein || source.has("build.clj");
    let text = "there is no build.clj: \"clojure -T:build uber\" needs one, with a function uber";
    if has_build { Vec::new() } else { vec![text.into()] }
}
