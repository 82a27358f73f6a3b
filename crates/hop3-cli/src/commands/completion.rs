// SPDX-License-Identifier: Apache-2.0
//! `completion`: scripts that let a shell complete commands and options.

use crate::context::Context;
use clap::{Args, ValueEnum};
use clap_complete::Shell;
use hop3_core::Problem;

/// Print the completion script of a shell
///
/// For bash, save it as `hop3` in ~/.local/share/bash-completion/completions
#[derive(Args, Debug)]
pub struct CompletionArgs {
    shell: CompletionShell,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum CompletionShell {
    Bash,
    Zsh,
    Fish,
}

pub(crate) fn run(args: CompletionArgs, cx: &mut Context) -> Result<(), Problem> {
    let shell = match args.shell {
        CompletionShell::Bash => Shell::Bash,
        CompletionShell::Zsh => Shell::Zsh,
        CompletionShell::Fish => Shell::Fish,
    };
    let mut command = (cx.program.command)();
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command, "hop3", &mut script);
    cx.print_bytes(&script);
    Ok(())
}
