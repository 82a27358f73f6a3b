// SPDX-License-Identifier: Apache-2.0
//! `plugin new`: a folder with a plugin that works, to begin from. The samples are those of examples/plugins.

use crate::context::Context;
use crate::problem;
use clap::{Args, ValueEnum};
use hop3_core::Problem;
use hop3_core::name::PluginName;
use hop3_core::plugin::PROGRAM_PREFIX;
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Write a plugin that works, to begin from
#[derive(Args, Debug)]
pub struct NewArgs {
    name: PluginName,
    /// The language: python gives a builder, shell a listener to events, rust a hook with a command and a
    /// panel
    #[arg(long, value_enum)]
    lang: Language,
    /// The folder to make; the plugin's name unless set
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Language {
    Python,
    Shell,
    Rust,
}

/// A file of a sample: its path and text, and the line in it that has the sample's name.
type Sample = (&'static str, &'static str, [&'static str; 2]);

impl Language {
    fn sample(self) -> &'static [Sample] {
        match self {
            Language::Python => &[(
                "hop3-plugin-{name}",
                include_str!("../../../../../examples/plugins/maker/hop3-plugin-maker"),
                ["NAME = \"maker\"", "NAME = \"{name}\""],
            )],
            Language::Shell => &[(
                "hop3-plugin-{name}",
                include_str!("../../../../../examples/plugins/teller/hop3-plugin-teller"),
                ["name=teller", "name={name}"],
            )],
            Language::Rust => &[
                (
                    "Cargo.toml",
                    include_str!("../../../../../examples/plugins/gate/Cargo.toml"),
                    ["\"hop3-plugin-gate\"", "\"hop3-plugin-{name}\""],
                ),
                (
                    "src/main.rs",
                    include_str!("../../../../../examples/plugins/gate/src/main.rs"),
                    ["NAME: &str = \"gate\"", "NAME: &str = \"{name}\""],
                ),
            ],
        }
    }

    /// What comes next.
    fn next(self, folder: &str, name: &PluginName) -> String {
        match self {
            Language::Python | Language::Shell => format!("hop3 plugin install {folder} --unsigned"),
            Language::Rust => format!(
                "cargo build --release --manifest-path {folder}/Cargo.toml\n        \
                 hop3 plugin install {folder}/target/release/{PROGRAM_PREFIX}{name} --unsigned"
            ),
        }
    }
}

pub(super) fn run(args: NewArgs, cx: &mut Context) -> Result<(), Problem> {
    let name = args.name;
    let folder = args.dir.unwrap_or_else(|| PathBuf::from(name.as_str()));
    let mut written = Vec::new();
    for (path, text, [line, named]) in args.lang.sample() {
        let fill = |word: &str| word.replace("{name}", name.as_str());
        let file = folder.join(fill(path));
        write(&file, &text.replacen(line, &fill(named), 1))
            .map_err(|error| problem::unwritable(&file, &error))?;
        written.push(file);
    }
    let next = args.lang.next(&folder.display().to_string(), &name);
    cx.answer(&written, |_| {
        let lines = written.iter().map(|file| format!("wrote {}\n", file.display()));
        lines.collect::<String>() + &format!("try it: {next}\n")
    });
    Ok(())
}

/// Programs begin with their interpreter.
fn write(file: &Path, text: &str) -> io::Result<()> {
    let mode = if text.starts_with("#!") && file.extension().is_none() { 0o755 } else { 0o644 };
    fs::create_dir_all(file.parent().unwrap_or(file))?;
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true).mode(mode).open(file)?.write_all(text.as_bytes())
}
