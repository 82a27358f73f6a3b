// SPDX-License-Identifier: Apache-2.0
//! `token create|list|revoke`, `user key add|list|remove`.

use crate::git::key::{self, AuthorizedKey, PublicKey};
use crate::server::{Server, internal};
use hop3_core::api::{AddKeyRequest, CreateTokenRequest, KeyInfo, TokenCreated, TokenInfo};
use hop3_core::problem::{Kind, Problem};

pub(crate) fn create_token(server: &Server, request: &CreateTokenRequest) -> Result<TokenCreated, Problem> {
    key::check_name(&request.name)?;
    let app = request.app.as_ref().map(|name| server.app(name)).transpose()?;
    let token = crate::random::token().map_err(internal)?;
    if !server.store.create_token(&request.name, &token, app.as_ref()).map_err(internal)? {
        return Err(taken("token", &request.name));
    }
    Ok(TokenCreated { name: request.name.clone(), token })
}

pub(crate) fn tokens(server: &Server) -> Result<Vec<TokenInfo>, Problem> {
    server.store.tokens().map_err(internal)
}

pub(crate) fn revoke_token(server: &Server, name: &str) -> Result<(), Problem> {
    if server.store.revoke_token(name).map_err(internal)? {
        return Ok(());
    }
    Err(Problem::new(Kind::NotFound, "token.unknown", "there is no token of that name"))
}

pub(crate) fn add_key(server: &Server, request: &AddKeyRequest) -> Result<KeyInfo, Problem> {
    key::check_name(&request.name)?;
    let key = PublicKey::parse(&request.public_key)?;
    let line = key.to_line();
    if !server.store.add_key(&request.name, &line, &key.fingerprint()).map_err(internal)? {
        return Err(taken("key", &request.name));
    }
    write_authorized_keys(server)?;
    let found = key_list(server)?.into_iter().find(|k| k.name == request.name);
    found.ok_or_else(|| internal(anyhow::anyhow!("a key vanished")))
}

pub(crate) fn key_list(server: &Server) -> Result<Vec<KeyInfo>, Problem> {
    Ok(server.store.keys().map_err(internal)?.into_iter().map(|(info, _)| info).collect())
}

pub(crate) fn remove_key(server: &Server, name: &str) -> Result<(), Problem> {
    if !server.store.remove_key(name).map_err(internal)? {
        return Err(Problem::new(Kind::NotFound, "key.unknown", "there is no key of that name"));
    }
    write_authorized_keys(server)
}

/// The file that sshd reads (`AuthorizedKeysFile`), made anew from the store.
pub(crate) fn write_authorized_keys(server: &Server) -> Result<(), Problem> {
    let stored = server.store.keys().map_err(internal)?;
    let named = stored
        .into_iter()
        .map(|(info, line)| Ok(AuthorizedKey { name: info.name, key: PublicKey::parse(&line)? }));
    let named = named.collect::<Result<Vec<_>, Problem>>()?;
    let text = key::authorized_keys(&server.program, server.layout.root(), &named)?;
    key::write_authorized_keys(&server.layout.authorized_keys(), &text)
}

fn taken(what: &str, name: &str) -> Problem {
    Problem::new(
        Kind::Conflict,
        "access.exists",
        format!("there is a {what} \"{name}\" already, or the same {what} under another name"),
    )
}
