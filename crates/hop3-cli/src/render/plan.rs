// SPDX-License-Identifier: Apache-2.0
//! A build plan as its author reads it: who builds, with what, which commands run, what starts.

use super::style::{Style, Tone, clean};
use hop3_core::plan::{BuildPlan, Step};

pub(crate) fn plan(plan: &BuildPlan, style: Style) -> String {
    let mut out =
        format!("builder: {} ({})\n", style.paint(Tone::Strong, &clean(&plan.builder)), clean(&plan.reason));
    section(
        &mut out,
        "toolchains",
        plan.toolchains.iter().map(|t| {
            let version = if t.version.is_empty() { "any version" } else { &t.version };
            let origin = if t.source.is_empty() { String::new() } else { format!(" (from {})", t.source) };
            format!("{} {version}{origin}", t.name)
        }),
    );
    for layer in &plan.layers {
        let title = format!(
            "layer {} (made again when one of these changes: {})",
            layer.name,
            layer.inputs.join(", ")
        );
        section(&mut out, &clean(&title), layer.steps.iter().flat_map(step_lines));
    }
    section(&mut out, "steps", plan.steps.iter().flat_map(step_lines));
    section(&mut out, "environment", plan.env.iter().map(|(key, value)| format!("{key}={value}")));
    section(&mut out, "caches", plan.caches.iter().cloned());
    section(&mut out, "kept", plan.keep.iter().cloned());
    section(&mut out, "processes", plan.processes.iter().map(|(name, c)| format!("{name}: {}", c.display())));
    section(
        &mut out,
        "static files",
        plan.statics.iter().map(|site| {
            let spa = if site.spa { " (unknown paths answer index.html)" } else { "" };
            format!("{} from {}{spa}", site.prefix, site.directory)
        }),
    );
    for warning in &plan.warnings {
        out += &format!("{} {}\n", style.paint(Tone::Warning, "warning:"), clean(warning));
    }
    out
}

fn step_lines(step: &Step) -> Vec<String> {
    let place = if step.cwd.is_empty() { String::new() } else { format!("  (in {})", step.cwd) };
    vec![step.title.clone(), format!("  $ {}{place}", step.command.display())]
}

fn section(out: &mut String, title: &str, lines: impl Iterator<Item = String>) {
    for (i, line) in lines.enumerate() {
        if i == 0 {
            *out += &format!("{title}:\n");
        }
        *out += &format!("  {}\n", clean(&line));
    }
}
