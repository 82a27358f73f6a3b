// SPDX-License-Identifier: Apache-2.0
//! `plugin new`: a folder with a plugin that works, to begin from. The samples are those of examples/plugins.

use crate::context::Context;
use crate::problem;
use clap::{Args, ValueEnum};
use hop3_core::Problem;
use hop3_core::name::PluginName;
use hop3_core::plugin::PROGRAM_PREFIX;
use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

/// Write a plugin that works, to begin from
#[derive(Args, Debug)]
pub struct NewArgs {
    name: PluginName,
    /// The language: python gives a builder, shell a listener to events
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
}

impl Language {
    /// The sample and the line in it that has its name.
    fn sample(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Language::Python => (
                include_str!("../../../../../examples/plugins/maker/hop3-plugin-maker"),
                "NAME = \"maker\"\n",
                "NAME = \"{name}\"\n",
            ),
            Language::Shell => (
                include_str!("../../../../../examples/plugins/teller/hop3-plugin-teller"),
                "name=teller\n",
                "name={name}\n",
            ),
        }
    }
}

pub(super) fn run(args: NewArgs, cx: &mut Context) -> Result<(), Problem> {
    let name = args.name;
    let folder = args.dir.unwrap_or_else(|| PathBuf::from(name.as_str()));
    let file = folder.join(format!("{PROGRAM_PREFIX}{name}"));
    let (sample, line, named) = args.lang.sample();
    let text = sample.replacen(line, &named.replace("{name}", name.as_str()), 1);
    let write = || {
        fs::create_dir_all(&folder)?;
        fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o755)
            .open(&file)?
            .write_all(text.as_bytes())
    };
    write().map_err(|error| problem::unwritable(&file, &error))?;
    let shown = folder.display();
    cx.answer(&file, |_| {
        format!("wrote {}\ntry it: hop3 plugin install {shown} --unsigned\n", file.display())
    });
    Ok(())
}
