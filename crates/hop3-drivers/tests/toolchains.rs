// SPDX-License-Identifier: Apache-2.0
//! Toolchains that are really looked for on this machine, and one that is really fetched.

use hop3_core::driver::{Attached, Exit, Output, Runner, Stdio, Toolchains};
use hop3_core::layout::Layout;
use hop3_core::plan::Toolchain;
use hop3_core::sandbox::Job;
use hop3_core::{Kind, Problem};
use hop3_drivers::toolchains::Installed;
use std::collections::BTreeMap;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use std::{fs, process};

/// Starts processes of the test's own user, as an unprivileged supervisor does.
struct Direct;

impl Runner for Direct {
    fn run(&self, job: &Job, _deadline: Duration, output: &mut dyn Output) -> Result<Exit, Problem> {
        let argv = job.command.argv();
        let started = process::Command::new(&argv[0])
            .args(&argv[1..])
            .current_dir(&job.cwd)
            .env_clear()
            .envs(&job.env)
            .output()
            .map_err(|e| Problem::new(Kind::User, "run.not-started", e.to_string()))?;
        for line in String::from_utf8_lossy(&[started.stdout, started.stderr].concat()).lines() {
            output.line(line);
        }
        Ok(Exit::Status(started.status.code().unwrap_or(255) as u8))
    }

    fn attach(&self, _job: &Job, _stdio: Stdio) -> Result<Attached, Problem> {
        Err(Problem::new(Kind::Bug, "test.not-needed", "toolchains are never attached to"))
    }

    fn give(&self, directory: &Path, _user: Option<u32>) -> Result<(), Problem> {
        fs::create_dir_all(directory).map_err(|e| Problem::new(Kind::Bug, "test.give", e.to_string()))
    }

    fn remove(&self, directory: &Path) -> Result<(), Problem> {
        let _ = fs::remove_dir_all(directory);
        Ok(())
    }

    fn is_privileged(&self) -> bool {
        false
    }
}

/// A machine's home with toolchains that are scripts, each telling a version.
struct Machine {
    folder: tempfile::TempDir,
}

impl Machine {
    fn new() -> Machine {
        let folder = tempfile::tempdir().expect("a temporary folder");
        fs::create_dir_all(folder.path().join("root/toolchains"))
            .expect("the test's own folder can be written");
        fs::create_dir_all(folder.path().join("home")).expect("the test's own folder can be written");
        Machine { folder }
    }

    fn install(&self, bin: &str, program: &str, says: &str) {
        let bin = self.folder.path().join(bin);
        fs::create_dir_all(&bin).expect("the test's own folder can be written");
        let script = format!(
            "#!/bin/sh\necho '{says}'\necho asked >> {}\n",
            self.folder.path().join("asked").display()
        );
        fs::write(bin.join(program), script).expect("the test's own folder can be written");
        fs::set_permissions(bin.join(program), fs::Permissions::from_mode(0o755))
            .expect("the test's own folder can be written");
    }

    fn toolchains(&self, path: &[&str]) -> Installed {
        let at = |name: &str| self.folder.path().join(name).display().to_string();
        let path = path.iter().map(|name| at(name)).collect::<Vec<_>>().join(":");
        let env = BTreeMap::from([("PATH".to_owned(), path), ("HOME".to_owned(), at("home"))]);
        Installed::new(&Layout::new(at("root")), &env, Arc::new(Direct))
    }

    fn questions(&self) -> usize {
        fs::read_to_string(self.folder.path().join("asked")).unwrap_or_default().lines().count()
    }
}

fn asked(name: &str, version: &str, source: &str) -> Toolchain {
    Toolchain { name: name.into(), version: version.into(), source: source.into() }
}

#[test]
fn the_newest_that_will_do_is_taken() {
    let machine = Machine::new();
    machine.install("a/bin", "gradle", "Gradle 907.1.0");
    machine.install("b/bin", "gradle", "Gradle 907.10.2");
    machine.install("c/bin", "gradle", "Gradle 908.0.1");
    let toolchains = machine.toolchains(&["a/bin", "b/bin", "c/bin"]);
    let found = toolchains.provide(&asked("gradle", "907", ""), &mut |_| ()).unwrap();
    assert_eq!(found.version, "907.10.2");
    assert_eq!(found.prefix, machine.folder.path().canonicalize().unwrap().join("b"));
    let before = machine.questions();
    toolchains.provide(&asked("gradle", ">=908", ""), &mut |_| ()).unwrap();
    assert_eq!(machine.questions(), before, "each program is asked once");
}

#[test]
fn version_managers_are_looked_into_and_their_folders_tell_the_version() {
    let machine = Machine::new();
    machine.install("home/.pyenv/versions/903.12.1/bin", "python3", "must not be asked");
    let toolchains = machine.toolchains(&[]);
    let found = toolchains.provide(&asked("python", "903.12", ""), &mut |_| ()).unwrap();
    assert_eq!((found.version.as_str(), machine.questions()), ("903.12.1", 0));
}

#[test]
fn a_prefix_that_would_show_a_home_or_hop3_itself_is_never_taken() {
    let machine = Machine::new();
    machine.install("home/.local/bin", "ruby", "ruby 999.1.0");
    machine.install("home/bin", "ruby", "ruby 999.2.0");
    machine.install("root/bin", "ruby", "ruby 999.3.0");
    machine.install("bin", "ruby", "ruby 999.4.0");
    machine.install("home/.pyenv/shims", "ruby", "ruby 999.5.0");
    let toolchains =
        machine.toolchains(&["home/.local/bin", "home/bin", "root/bin", "bin", "home/.pyenv/shims"]);
    let problem = toolchains.provide(&asked("ruby", "999", ""), &mut |_| ()).unwrap_err();
    assert_eq!(problem.code, "toolchain.unavailable", "{problem}");
}

#[test]
fn a_link_is_followed_to_the_program_s_own_prefix() {
    let machine = Machine::new();
    machine.install("jvm/java-917/bin", "javac", "javac 917.0.9");
    fs::create_dir_all(machine.folder.path().join("links/bin")).unwrap();
    symlink(
        machine.folder.path().join("jvm/java-917/bin/javac"),
        machine.folder.path().join("links/bin/javac"),
    )
    .unwrap();
    let found = machine.toolchains(&["links/bin"]).provide(&asked("java", "917", ""), &mut |_| ()).unwrap();
    assert!(found.prefix.ends_with("jvm/java-917"), "{}", found.prefix.display());
}

#[test]
fn what_cannot_be_had_is_explained() {
    let machine = Machine::new();
    machine.install("a/bin", "gradle", "Gradle 907.1.0");
    let toolchains = machine.toolchains(&["a/bin"]);
    let problem = toolchains.provide(&asked("gradle", "^909.1", "build.gradle"), &mut |_| ()).unwrap_err();
    // The machine itself may have others.
    assert!(problem.detail.starts_with("installed: 907.1.0"), "{problem}");
    let problem = Problem { detail: "installed: …".into(), ..problem };
    expect_test::expect![[r#"
        error[toolchain.unavailable]: gradle ^909.1, asked for by build.gradle, cannot be had on this server
          installed: …
        hint: ask in build.gradle for a version that is installed, or ask the administrator of the server to install that one
    "#]]
    .assert_eq(&problem.render());
    let problem = toolchains.provide(&asked("gradle", "newish", ".tool-versions"), &mut |_| ()).unwrap_err();
    expect_test::expect![[r#"
        error[toolchain.bad-version]: .tool-versions asks for gradle "newish", which names no version
        hint: write a version such as "3.12" or a range such as ">=3.10"
    "#]]
    .assert_eq(&problem.render());
    assert_eq!(
        toolchains.provide(&asked("cobol", "", ""), &mut |_| ()).unwrap_err().code,
        "toolchain.unknown"
    );
}

#[test]
fn a_patch_release_that_is_not_there_is_replaced_and_told() {
    let machine = Machine::new();
    machine.install("a/bin", "ruby", "ruby 993.1.2p20");
    let mut told = Vec::new();
    let found = machine
        .toolchains(&["a/bin"])
        .provide(&asked("ruby", "993.1.4", ""), &mut |line| told.push(line.to_owned()));
    assert_eq!(found.unwrap().version, "993.1.2");
    assert_eq!(told, ["warning: ruby 993.1.4 cannot be had; 993.1.2 is taken"]);
}

#[test]
fn tools_that_are_not_there_come_from_their_registries() {
    let machine = Machine::new();
    let at = |name: &str| machine.folder.path().join(name).display().to_string();
    let mut env: BTreeMap<String, String> = std::env::vars().collect();
    env.extend([("PATH".to_owned(), String::new()), ("HOME".to_owned(), at("home"))]);
    let toolchains = Installed::new(&Layout::new(at("root")), &env, Arc::new(Direct));
    for (name, version) in [("uv", ">=0.5"), ("yarn", "1.22.19"), ("pnpm", "9")] {
        let mut told = Vec::new();
        match toolchains.provide(&asked(name, version, ""), &mut |line| told.push(line.to_owned())) {
            Ok(found) => {
                assert!(found.prefix.join("bin").join(name).exists(), "{found:?}");
                let names: Vec<_> =
                    fs::read_dir(at("root/toolchains")).unwrap().map(|e| e.unwrap().file_name()).collect();
                assert!(names.iter().all(|name| !name.to_string_lossy().starts_with('.')), "{names:?}");
            }
            Err(problem) if std::env::var_os("HOP3_NO_SKIP").is_none() => {
                eprintln!("SKIPPED {name}: {problem}")
            }
            Err(problem) => panic!("{problem}"),
        }
    }
}
