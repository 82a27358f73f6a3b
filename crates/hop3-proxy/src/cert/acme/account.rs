// SPDX-License-Identifier: Apache-2.0
//! `Accounts`: one account for this installation at each authority, made once.
//!
//! ```text
//! no file ──key made, saved──▶ key ──registered──▶ key and address, saved ──▶ account
//! ```
//! Registering a key that is registered gives the same account (RFC 8555 §7.3), so it does not matter where in this
//! a proxy was killed.

use super::caller::Caller;
use super::fault::{Blame, Fault};
use super::register;
use crate::cert::file;
use base64::prelude::{BASE64_URL_SAFE_NO_PAD as BASE64, Engine};
use hop3_core::acme::{Acme, Authority};
use hop3_core::layout::Layout;
use hop3_core::secret::{Secret, exposed};
use instant_acme::{Account, Key};
use rustls::pki_types::PrivatePkcs8KeyDer;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

#[derive(Serialize, Deserialize)]
struct Saved {
    directory: String,
    /// PKCS#8 in base64url.
    #[serde(with = "exposed")]
    key: Secret<String>,
    /// The account's address; absent until it is registered.
    id: Option<String>,
    contact: Vec<String>,
}

type Cell = Arc<tokio::sync::Mutex<Option<Account>>>;

pub(super) struct Accounts {
    layout: Layout,
    patience: Duration,
    /// By directory; whoever comes first makes it, the others wait.
    known: Mutex<HashMap<String, Cell>>,
}

impl Accounts {
    pub(super) fn new(layout: &Layout, patience: Duration) -> Accounts {
        Accounts { layout: layout.clone(), patience, known: Mutex::default() }
    }

    /// The account at an authority; registers it at the first need.
    pub(super) async fn at(&self, authority: &Authority, settings: &Acme) -> Result<Account, Fault> {
        let cell = self.known().entry(authority.directory.clone()).or_default().clone();
        let mut account = cell.lock().await;
        if let Some(account) = &*account {
            return Ok(account.clone());
        }
        let opened = self.open(authority, settings).await?;
        Ok(account.insert(opened).clone())
    }

    /// Reads the directory anew at the next need: it may have changed while the authority was away.
    pub(super) fn forget(&self, directory: &str) {
        self.known().remove(directory);
    }

    pub(super) fn forget_all(&self) {
        self.known().clear();
    }

    /// The authority has lost the account; the key registers again.
    pub(super) fn unregister(&self, authority: &Authority) -> Result<(), Fault> {
        self.forget(&authority.directory);
        if let Some(saved) = file::load::<Saved>(&self.file(authority)) {
            self.save(authority, &Saved { id: None, ..saved })?;
        }
        Ok(())
    }

    fn known(&self) -> std::sync::MutexGuard<'_, HashMap<String, Cell>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn open(&self, authority: &Authority, settings: &Acme) -> Result<Account, Fault> {
        let caller = Caller::new(authority.root_pem.as_deref(), self.patience)
            .map_err(|error| Fault::refused(authority.name(), &error.to_string()))?;
        let mut saved = match file::load::<Saved>(&self.file(authority)) {
            Some(saved) => saved,
            None => self.new_key(authority)?,
        };
        let key = BASE64.decode(saved.key.expose()).unwrap_or_default();
        let id = match &saved.id {
            Some(id) => id.clone(),
            None => {
                let id = register::register(&caller, authority, &key, &settings.contact).await?;
                (saved.id, saved.contact) = (Some(id.clone()), settings.contact.clone());
                self.save(authority, &saved)?;
                id
            }
        };
        let refused = |error| Fault::of(authority.name(), error);
        let builder = Account::builder_with_http(Box::new(caller));
        let key = PrivatePkcs8KeyDer::from(key);
        let account = builder.from_parts(id, key, authority.directory.clone()).await.map_err(refused)?;
        if saved.contact != settings.contact {
            let contact = register::mailto(&settings.contact);
            let contact: Vec<&str> = contact.iter().map(String::as_str).collect();
            account.update_contacts(&contact).await.map_err(refused)?;
            saved.contact.clone_from(&settings.contact);
            self.save(authority, &saved)?;
        }
        Ok(account)
    }

    /// Saved before anybody sees it.
    fn new_key(&self, authority: &Authority) -> Result<Saved, Fault> {
        let refused = |error| Fault { blame: Blame::Here, ..Fault::of(authority.name(), error) };
        let (_, key) = Key::generate_pkcs8().map_err(refused)?;
        let key = Secret::new(BASE64.encode(key.secret_pkcs8_der()));
        let saved = Saved { directory: authority.directory.clone(), key, id: None, contact: Vec::new() };
        self.save(authority, &saved)?;
        Ok(saved)
    }

    fn save(&self, authority: &Authority, saved: &Saved) -> Result<(), Fault> {
        file::save(&self.file(authority), saved).map_err(|error| Fault::here("the account's key", &error))
    }

    fn file(&self, authority: &Authority) -> PathBuf {
        use aws_lc_rs::digest::{SHA256, digest};
        let digest = digest(&SHA256, authority.directory.as_bytes());
        let short: String = digest.as_ref()[..8].iter().map(|byte| format!("{byte:02x}")).collect();
        self.layout.acme_account(&short)
    }
}
