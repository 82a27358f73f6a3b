// SPDX-License-Identifier: Apache-2.0
//! Paths that have moved, for visitors to see (`moved`) or only for the upstream (`rewrite`).

use super::answer::Answer;
use super::live::Live;
use super::visit::Visit;

pub(super) fn moved(live: &Live, visit: &Visit<'_>) -> Result<(), Answer> {
    let path = visit.path();
    for rule in &live.source.redirects {
        let Some(rest) = rule.from.rest(path) else { continue };
        let query = if rule.keep_query { visit.query() } else { None };
        return Err(Answer::redirect(rule.status, &joined(rule.to.with(rest), query)));
    }
    Ok(())
}

pub(super) fn rewrite(live: &Live, visit: &mut Visit<'_>) {
    let path = visit.path();
    let found = live.source.rewrites.iter().find_map(|rule| Some(rule.to.with(rule.from.rest(path)?)));
    if let Some(path) = found {
        let target = joined(path, visit.query());
        visit.edit.target(target);
    }
}

fn joined(mut address: String, query: Option<&str>) -> String {
    if let Some(query) = query {
        address.push(if address.contains('?') { '&' } else { '?' });
        address.push_str(query);
    }
    address
}
