// SPDX-License-Identifier: Apache-2.0
//! `Choice`: which product the operator has chosen, on disk, where server and proxy both find it. No file means the
//! built-in proxy.

use super::product::{Place, Product, product, worker_user};
use hop3_core::layout::Layout;
use hop3_core::problem::{Kind, Problem};
use hop3_core::route::Address;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::PathBuf;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Choice {
    pub(crate) product: &'static dyn Product,
}

#[derive(Serialize, Deserialize)]
struct Written {
    product: String,
}

impl Choice {
    pub(crate) fn read(layout: &Layout) -> Result<Option<Choice>, Problem> {
        let path = layout.front_choice();
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(damaged(layout, &error.to_string())),
        };
        let written: Written = serde_json::from_str(&text).map_err(|e| damaged(layout, &e.to_string()))?;
        let product = product(&written.product).ok_or_else(|| damaged(layout, &written.product))?;
        Ok(Some(Choice { product }))
    }

    /// The one that counts: where it cannot be read, the built-in proxy answers, and whoever shows the choice says so.
    pub(crate) fn in_force(layout: &Layout) -> Option<Choice> {
        Choice::read(layout).unwrap_or_else(|problem| {
            tracing::error!(%problem, detail = problem.detail, "the built-in proxy answers");
            None
        })
    }

    /// Keeps a choice, or forgets it.
    pub(crate) fn write(layout: &Layout, choice: Option<&Choice>) -> io::Result<()> {
        let path = layout.front_choice();
        let Some(choice) = choice else {
            return fs::remove_file(path)
                .or_else(|e| if e.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(e) });
        };
        let written = Written { product: choice.product.name().to_owned() };
        let beside = path.with_extension("new");
        let mut file = File::create(&beside)?;
        file.write_all(&serde_json::to_vec(&written)?)?;
        file.sync_all()?;
        fs::rename(beside, path)?;
        File::open(layout.root())?.sync_all()
    }

    pub(crate) fn place(&self, layout: &Layout) -> Result<Place, Problem> {
        let address = |word: &str| {
            let file = layout.run_of("proxy").join(word);
            fs::read_to_string(file).ok().and_then(|text| text.trim().parse().ok())
        };
        let http = address("http").ok_or_else(|| damaged(layout, "it is not known where to listen"))?;
        Ok(Place {
            folder: layout.front(),
            certificates: layout.handed_certificates(),
            http,
            https: address("https"),
            behind: Address::Unix(layout.behind_socket()),
            uncertified: BTreeSet::new(),
            user: worker_user().map(|(name, _)| name),
        })
    }

    /// The configuration that counts.
    pub(crate) fn current(&self, layout: &Layout) -> PathBuf {
        layout.front().join(self.product.name())
    }
}

/// Connections that begin with a header of the PROXY protocol are read by the built-in proxy alone.
///
/// # Errors
/// Another one is chosen.
pub fn refuse_introducers(layout: &Layout) -> Result<(), Problem> {
    let Some(choice) = Choice::in_force(layout) else { return Ok(()) };
    let title = format!("{} is chosen, and does not read the PROXY protocol", choice.product.name());
    Err(Problem::new(Kind::Conflict, "proxy.cannot", title).hint(
        "start without --proxy-protocol-from; then choose the proxy that reads it: hop3 proxy use built-in",
    ))
}

fn damaged(layout: &Layout, detail: &str) -> Problem {
    let title = format!("the choice of a proxy in {} cannot be used", layout.front_choice().display());
    Problem::new(Kind::Conflict, "proxy.choice-damaged", title)
        .detail(detail)
        .hint("choose again: hop3 proxy use built-in")
}
