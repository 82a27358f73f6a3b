// SPDX-License-Identifier: Apache-2.0
//! Ruby: gems by Bundler into a layer; Rack applications served by Puma, Rails assets compiled.
//!
//! Upstream: the manual pages of Bundler and Puma. Needs `ruby` and, for a Gemfile, `bundle`. Without a Gemfile an
//! app uses the gems of the machine.

use super::author;
use hop3_core::Problem;
use hop3_core::driver::{Builder, Detected};
use hop3_core::plan::{BuildPlan, Layer, Step, Toolchain};
use hop3_core::sandbox::Command;
use hop3_core::settings::Settings;
use hop3_core::source::SourceTree;
use std::collections::BTreeMap;

pub struct Ruby;

impl Builder for Ruby {
    fn name(&self) -> &'static str {
        "ruby"
    }

    fn looks_for(&self) -> &'static str {
        "Gemfile, config.ru"
    }

    fn detect(&self, source: &SourceTree, _settings: &Settings) -> Option<Detected> {
        author::detected_by(source, &["Gemfile", "config.ru"])
    }

    fn plan(&self, source: &SourceTree, settings: &Settings) -> Result<BuildPlan, Problem> {
        let gems = Gems::read(source)?;
        let toolchains = vec![toolchain(source, settings, &gems)?];
        let mut env = author::env(&[("RACK_ENV", "production"), ("PATH", &author::path_of(&toolchains))]);
        if gems.has_gemfile {
            env.extend(bundler_env(&gems));
        }
        let is_rails = gems.has("rails") && source.has("bin/rails");
        if is_rails {
            env.extend(author::env(&[
                ("RAILS_ENV", "production"),
                ("RAILS_LOG_TO_STDOUT", "1"),
                ("RAILS_SERVE_STATIC_FILES", "1"),
            ]));
        }
        let own = if is_rails && source.has_dir("app/assets") { vec![compile_assets()] } else { Vec::new() };
        Ok(BuildPlan {
            builder: "ruby".into(),
            reason: author::reason(self.detect(source, settings), "ruby"),
            toolchains,
            layers: if gems.has_gemfile { vec![gem_layer(source, &gems)] } else { Vec::new() },
            steps: author::build_steps(settings, &BTreeMap::new(), own),
            env,
            processes: author::web(settings, server(source, &gems)),
            warnings: warnings(&gems),
            ..BuildPlan::default()
        })
    }
}

/// What Gemfile and Gemfile.lock say.
#[derive(Debug, Default, PartialEq)]
struct Gems {
    has_gemfile: bool,
    is_locked: bool,
    /// Names of the gems in use; without a lock file, those the Gemfile names itself.
    names: Vec<String>,
    /// The version of Ruby asked for and the file that does.
    ruby: Option<(String, &'static str)>,
}

impl Gems {
    fn read(source: &SourceTree) -> Result<Gems, Problem> {
        let gemfile = source.read("Gemfile")?;
        let lock = source.read("Gemfile.lock")?;
        Ok(Gems::parse(gemfile.as_deref(), lock.as_deref()))
    }

    fn parse(gemfile: Option<&str>, lock: Option<&str>) -> Gems {
        let lines = || gemfile.unwrap_or_default().lines().map(str::trim);
        let named = lines().filter_map(|line| quoted_after(line, "gem"));
        let locked = lock.unwrap_or_default().lines().filter_map(locked_gem);
        Gems {
            has_gemfile: gemfile.is_some(),
            is_locked: lock.is_some(),
            names: if lock.is_some() { locked.collect() } else { named.collect() },
            ruby: lines()
                .find_map(|line| quoted_after(line, "ruby"))
                .map(|version| (version, "Gemfile"))
                .or_else(|| Some((locked_ruby(lock?)?, "Gemfile.lock"))),
        }
    }

    fn has(&self, name: &str) -> bool {
        self.names.iter().any(|gem| gem == name)
    }
}

/// The first quoted word after a method name: `gem "puma", "~> 6"` names `puma`.
fn quoted_after(line: &str, method: &str) -> Option<String> {
    let rest = line.strip_prefix(method)?.trim_start_matches([' ', '(']);
    let quote = rest.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    rest[1..].split(quote).next().map(str::to_owned)
}

/// Gems stand four spaces deep in the lock file, what they depend on six: `    puma (6.4.2)`.
fn locked_gem(line: &str) -> Option<String> {
    let name = line.strip_prefix("    ")?.split(" (").next()?;
    (!name.is_empty() && !name.starts_with(' ')).then(|| name.to_owned())
}

/// `RUBY VERSION` is followed by `   ruby 3.1.2p20`.
fn locked_ruby(lock: &str) -> Option<String> {
    let mut lines = lock.lines().skip_while(|line| *line != "RUBY VERSION");
    let version = lines.nth(1)?.trim().strip_prefix("ruby ")?;
    version.split('p').next().map(str::to_owned)
}

fn toolchain(source: &SourceTree, settings: &Settings, gems: &Gems) -> Result<Toolchain, Problem> {
    if let Some(pin) = author::pinned(source, settings, "ruby", ".ruby-version", "ruby")? {
        return Ok(pin);
    }
    Ok(match &gems.ruby {
        Some((version, file)) => author::wanted("ruby", version, file),
        None => author::any("ruby"),
    })
}

/// Bundler is told by its environment alone, since its config file would lie in the app's directory, which is
/// read-only once built.
fn bundler_env(gems: &Gems) -> BTreeMap<String, String> {
    let mut env = author::env(&[
        ("BUNDLE_PATH", "{layer:gems}"),
        ("BUNDLE_APP_CONFIG", "{layer:gems}/config"),
        ("BUNDLE_WITHOUT", "development:test"),
    ]);
    if gems.is_locked {
        env.insert("BUNDLE_FROZEN".into(), "true".into());
    } else {
        // What Bundler resolved is kept beside the gems, for the same reason.
        env.insert("BUNDLE_GEMFILE".into(), "{layer:gems}/Gemfile".into());
    }
    env
}

fn gem_layer(source: &SourceTree, gems: &Gems) -> Layer {
    let files = ["Gemfile", "Gemfile.lock", ".ruby-version"];
    let mut argv = vec!["bundle", "install", "--jobs", "4"];
    if source.has_dir("vendor/cache") {
        argv.push("--local");
    }
    let mut install = Step::new("Installing gems with Bundler", Command::exec(argv));
    install.hint = "run \"bundle lock --add-platform x86_64-linux\" on your machine and commit Gemfile and Gemfile.lock; a gem with C code may need a system package".into();
    let copy = Step::new("Copying the Gemfile", Command::exec(["cp", "Gemfile", "{layer:gems}/Gemfile"]));
    Layer {
        name: "gems".into(),
        inputs: files.into_iter().filter(|file| source.has(file)).map(str::to_owned).collect(),
        steps: if gems.is_locked { vec![install] } else { vec![copy, install] },
        links: BTreeMap::new(),
    }
}

fn compile_assets() -> Step {
    let argv = ["bundle", "exec", "rails", "assets:precompile"];
    let mut step = Step::new("Compiling assets", Command::exec(argv));
    // Rails refuses to start without a secret; this one is thrown away.
    step.env = author::env(&[("SECRET_KEY_BASE_DUMMY", "1")]);
    step.hint = "run \"RAILS_ENV=production bundle exec rails assets:precompile\" on your machine".into();
    step
}

/// Puma for Rails too: `rails server` writes into the app's directory, which is read-only.
fn server(source: &SourceTree, gems: &Gems) -> Option<Command> {
    let has_rack = source.has("config.ru");
    let script = match (gems.has_gemfile, has_rack) {
        (true, true) if gems.has("puma") => r#"exec bundle exec puma -b "tcp://$BIND_ADDRESS:$PORT""#,
        (true, true) => r#"exec bundle exec rackup -o "$BIND_ADDRESS" -p "$PORT""#,
        (false, true) => r#"exec rackup -o "$BIND_ADDRESS" -p "$PORT""#,
        (true, false) if gems.has("sinatra") && source.has("app.rb") => {
            r#"exec bundle exec ruby app.rb -o "$BIND_ADDRESS" -p "$PORT""#
        }
        _ => return None,
    };
    Some(author::scripted(script, &[]))
}

fn warnings(gems: &Gems) -> Vec<String> {
    let mut warnings = Vec::new();
    if gems.has_gemfile && !gems.is_locked {
        warnings.push("there is no Gemfile.lock: run \"bundle lock\" and commit it, so that every build uses the same gems".into());
    }
    if !gems.has_gemfile {
        warnings.push(
            "there is no Gemfile: only the gems of the machine can be used; \"bundle init\" makes one".into(),
        );
    }
    warnings
}

#[cfg(test)]
mod tests;
