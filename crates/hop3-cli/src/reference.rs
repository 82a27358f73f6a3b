// SPDX-License-Identifier: Apache-2.0
//! The command reference of the docs, made from the definitions that parse the arguments.

use clap::{Arg, Command};

/// Every command with its arguments, as markdown.
pub fn command_reference(mut command: Command) -> String {
    command.build();
    let mut out = String::from("# Commands\n\n");
    out += "`noun:verb` is accepted for `noun verb`. `--json` works wherever something is printed.\n";
    let globals: Vec<&Arg> = command.get_arguments().filter(|a| is_shown(a)).collect();
    out += &arguments("Options of every command", &globals);
    out += EXIT_CODES;
    describe(&command, "", &mut out);
    out
}

const EXIT_CODES: &str = "
Exit status:

| status | meaning |
|---|---|
| 0 | done |
| 1 | the app's code, build or arguments must change |
| 2 | a configuration file or the command line cannot be read |
| 3 | the thing named does not exist |
| 4 | the state does not allow it now |
| 5 | not allowed, or not logged in |
| 6 | something needed is away; trying again may help |
| 7 | a plugin failed |
| 70 | Hop3 itself is wrong |
| other | `run` and `exec` end with the status of the command they ran |
";

fn describe(command: &Command, parents: &str, out: &mut String) {
    for child in command.get_subcommands().filter(|c| !c.is_hide_set() && c.get_name() != "help") {
        let name = format!("{parents}{}", child.get_name());
        if child.get_subcommands().next().is_none() || !child.is_subcommand_required_set() {
            section(child, &name, out);
        }
        describe(child, &format!("{name} "), out);
    }
}

fn section(command: &Command, name: &str, out: &mut String) {
    let about = command.get_long_about().or(command.get_about()).map(ToString::to_string).unwrap_or_default();
    let own = |arg: &&Arg| is_shown(arg) && !arg.is_global_set();
    let positional: Vec<&Arg> = command.get_positionals().filter(own).collect();
    let usage: String = positional.iter().map(|arg| format!(" {}", usage_of(arg))).collect();
    *out += &format!("\n## hop3 {name}\n\n{about}.\n\n```text\nhop3 {name}{usage}\n```\n");
    let options: Vec<&Arg> = command.get_arguments().filter(own).collect();
    *out += &arguments("", &options);
}

fn arguments(title: &str, list: &[&Arg]) -> String {
    if list.is_empty() {
        return String::new();
    }
    let mut out = if title.is_empty() { "\n".to_owned() } else { format!("\n{title}:\n\n") };
    for arg in list {
        let help = arg.get_long_help().or(arg.get_help()).map(ToString::to_string).unwrap_or_default();
        let env = arg.get_env().map_or_else(String::new, |env| format!(" (`{}`)", env.to_string_lossy()));
        out += &format!("- `{}`: {}{env}\n", usage_of(arg), help.replace('\n', " "));
    }
    out
}

fn usage_of(arg: &Arg) -> String {
    let value = || arg.get_value_names().map_or_else(String::new, |names| names.join(" "));
    let many = if arg.get_num_args().is_some_and(|n| n.max_values() > 1) { "…" } else { "" };
    if arg.is_positional() {
        return if arg.is_required_set() { value() + many } else { format!("[{}{many}]", value()) };
    }
    let names: Vec<String> = arg
        .get_short()
        .map(|c| format!("-{c}"))
        .into_iter()
        .chain(arg.get_long().map(|long| format!("--{long}")))
        .collect();
    let value = if arg.get_action().takes_values() { format!(" {}", value()) } else { String::new() };
    names.join(", ") + &value
}

fn is_shown(arg: &Arg) -> bool {
    !arg.is_hide_set() && !matches!(arg.get_id().as_str(), "help" | "version")
}
