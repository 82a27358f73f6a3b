// SPDX-License-Identifier: Apache-2.0
//! CORS: tells browsers which other sites' scripts may use the service, and answers their question beforehand.

use super::answer::Answer;
use super::edit::Edit;
use super::live::Live;
use super::visit::Visit;
use crate::page;
use hop3_core::policy::Cors;

pub(super) fn check(live: &Live, visit: &mut Visit<'_>) -> Result<(), Answer> {
    let Some(cors) = live.source.cors.as_ref().filter(|cors| cors.on) else { return Ok(()) };
    let origin = visit.header("origin");
    let is_question = visit.method == "OPTIONS" && visit.header("access-control-request-method").is_some();
    let is_any = cors.origins.iter().any(|allowed| allowed == "*");
    if !is_any {
        visit.lines += "Vary: Origin\r\n";
    }
    let Some(origin) = origin else { return Ok(()) };
    if !is_any && !cors.origins.iter().any(|allowed| matches(allowed, origin)) {
        return if is_question { Err(Answer::page(page::FORBIDDEN)) } else { Ok(()) };
    }
    let shown = if is_any { "*" } else { origin };
    visit.lines += &format!("Access-Control-Allow-Origin: {shown}\r\n");
    if cors.credentials {
        visit.lines += "Access-Control-Allow-Credentials: true\r\n";
    }
    if is_question {
        visit.lines += &answer(cors, visit);
        return Err(Answer::empty(204));
    }
    if !cors.expose.is_empty() {
        visit.lines += &format!("Access-Control-Expose-Headers: {}\r\n", cors.expose.join(", "));
    }
    Ok(())
}

fn answer(cors: &Cors, visit: &Visit<'_>) -> String {
    let asked = visit.header("access-control-request-headers").filter(|_| !cors.credentials);
    // What a browser asked for goes back only as a list of names.
    let is_list = |text: &&str| {
        text.len() <= 1024 && text.split(',').all(|name| hop3_core::policy::is_token(name.trim()))
    };
    let headers = match cors.headers.is_empty() {
        false => cors.headers.join(", "),
        true => asked.filter(is_list).unwrap_or_default().to_owned(),
    };
    let mut lines = format!("Access-Control-Allow-Methods: {}\r\n", cors.methods.join(", "));
    if !headers.is_empty() {
        lines += &format!("Access-Control-Allow-Headers: {headers}\r\n");
    }
    lines + &format!("Access-Control-Max-Age: {}\r\n", cors.max_age)
}

/// `https://*.example.org` is every name beneath it, not the name itself.
fn matches(allowed: &str, origin: &str) -> bool {
    match allowed.split_once("*.") {
        None => allowed == origin,
        Some((scheme, domain)) => origin
            .strip_prefix(scheme)
            .and_then(|host| host.strip_suffix(domain))
            .and_then(|label| label.strip_suffix('.'))
            .is_some_and(|label| {
                !label.is_empty() && label.bytes().all(|b| b.is_ascii_alphanumeric() || b"-.".contains(&b))
            }),
    }
}

/// The upstream's own lines would make two answers of one.
pub(super) fn clear(edit: &mut Edit) {
    for name in ["Origin", "Credentials", "Methods", "Headers"] {
        edit.remove(&format!("Access-Control-Allow-{name}"));
    }
    edit.remove("Access-Control-Expose-Headers");
    edit.remove("Access-Control-Max-Age");
}
