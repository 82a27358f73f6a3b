// SPDX-License-Identifier: Apache-2.0
//! `doctor`: what this machine offers and what is reduced.

use crate::context::Context;
use crate::render::{Style, Tone, clean};
use clap::Args;
use hop3_core::Problem;
use hop3_core::api::{Check, ServerInfo, Verdict};

/// Check the machine and say what is reduced or missing
///
/// Asks the server; when none answers, checks this machine. Ends with 1 when something is missing
#[derive(Args, Debug)]
pub struct DoctorArgs {}

pub(crate) fn run(_: DoctorArgs, cx: &mut Context) -> Result<u8, Problem> {
    let checks = match cx.client().and_then(|client| client.get::<ServerInfo>("/api/server")) {
        Ok(server) => server.checks,
        Err(problem) => {
            let mut checks = vec![Check {
                name: "server".to_owned(),
                verdict: Verdict::Missing,
                detail: problem.title.clone(),
            }];
            checks.extend((cx.program.checks)());
            checks
        }
    };
    cx.answer(&checks, |cx| checks.iter().map(|check| line(check, cx.style())).collect());
    Ok(u8::from(checks.iter().any(|check| check.verdict == Verdict::Missing)))
}

fn line(check: &Check, style: Style) -> String {
    let (tone, word) = match check.verdict {
        Verdict::Ok => (Tone::Good, "ok     "),
        Verdict::Reduced => (Tone::Warning, "reduced"),
        Verdict::Missing => (Tone::Bad, "missing"),
    };
    format!("{}  {:<16}  {}\n", style.paint(tone, word), clean(&check.name), clean(&check.detail))
}
