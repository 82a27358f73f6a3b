// SPDX-License-Identifier: Apache-2.0
//! `Challenges`: what certificate authorities will ask for while an order is under way. Shared by all threads;
//! empty nearly always, and then a look costs one load.

use arc_swap::ArcSwap;
use rustls::sign::CertifiedKey;
use std::collections::HashMap;
use std::sync::Arc;

#[derive(Default)]
pub struct Challenges {
    /// Token to answer (RFC 8555, 8.3).
    http: ArcSwap<HashMap<String, String>>,
    /// Host to the certificate that proves the host is ours (RFC 8737).
    alpn: ArcSwap<HashMap<String, Arc<CertifiedKey>>>,
}

impl Challenges {
    pub fn put_http(&self, token: &str, answer: &str) {
        change(&self.http, |map| drop(map.insert(token.to_owned(), answer.to_owned())));
    }

    pub fn http(&self, token: &str) -> Option<String> {
        self.http.load().get(token).cloned()
    }

    pub fn forget_http(&self, token: &str) {
        change(&self.http, |map| drop(map.remove(token)));
    }

    pub fn put_alpn(&self, host: &str, certificate: Arc<CertifiedKey>) {
        change(&self.alpn, |map| drop(map.insert(host.to_owned(), certificate.clone())));
    }

    pub fn alpn(&self, host: &str) -> Option<Arc<CertifiedKey>> {
        self.alpn.load().get(host).cloned()
    }

    pub fn forget_alpn(&self, host: &str) {
        change(&self.alpn, |map| drop(map.remove(host)));
    }
}

fn change<V: Clone>(map: &ArcSwap<HashMap<String, V>>, edit: impl Fn(&mut HashMap<String, V>)) {
    map.rcu(|old| {
        let mut new = HashMap::clone(old);
        edit(&mut new);
        new
    });
}
