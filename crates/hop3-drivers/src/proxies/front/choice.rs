// SPDX-License-Identifier: Apache-2.0
//! `Choice`: which product the operator has chosen, on disk, where server and proxy both find it. No file means the
//! built-in proxy.

use super::product::{Place, Product, product, worker_user};
use hop3_core::layout::Layout;
use hop3_core::problem::{Kind, Problem};
use serde::{Deserialize, Serialize};
use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Choice {
    pub(crate) product: &'static dyn Product,
    /// Where the built-in proxy listens for what the product passes on.
    pub(crate) behind: SocketAddr,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    product: String,
    behind: SocketAddr,
}

impl Choice {
    /// A new one, with an address of its own for what is passed on: beneath 127.0.0.0/8, where nobody else listens
    /// whatever is started before it next time.
    pub(crate) fn new(product: &'static dyn Product) -> io::Result<Choice> {
        let mut random = [0; 2];
        rustix::rand::getrandom(&mut random, rustix::rand::GetRandomFlags::empty())?;
        let address = Ipv4Addr::new(127, 83, random[0], random[1].clamp(1, 254));
        let behind = TcpListener::bind((address, 0))?.local_addr()?;
        Ok(Choice { product, behind })
    }

    pub(crate) fn read(layout: &Layout) -> Result<Option<Choice>, Problem> {
        let path = layout.front_choice();
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(damaged(layout, &error.to_string())),
        };
        let written: Written = serde_json::from_str(&text).map_err(|e| damaged(layout, &e.to_string()))?;
        let product = product(&written.product).ok_or_else(|| damaged(layout, &written.product))?;
        Ok(Some(Choice { product, behind: written.behind }))
    }

    /// Keeps a choice, or forgets it.
    pub(crate) fn write(layout: &Layout, choice: Option<&Choice>) -> io::Result<()> {
        let path = layout.front_choice();
        let Some(choice) = choice else {
            return fs::remove_file(path)
                .or_else(|e| if e.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(e) });
        };
        let written = Written { product: choice.product.name().to_owned(), behind: choice.behind };
        let beside = path.with_extension("new");
        fs::write(&beside, serde_json::to_vec(&written)?)?;
        fs::rename(beside, path)
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
            behind: self.behind,
            user: worker_user(),
        })
    }

    /// The configuration that counts.
    pub(crate) fn current(&self, layout: &Layout) -> PathBuf {
        layout.front().join(self.product.name())
    }
}

fn damaged(layout: &Layout, detail: &str) -> Problem {
    let title = format!("the choice of a proxy in {} cannot be used", layout.front_choice().display());
    Problem::new(Kind::Conflict, "proxy.choice-damaged", title)
        .detail(detail)
        .hint("choose again: hop3 proxy use built-in")
}
