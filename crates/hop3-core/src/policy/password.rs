// SPDX-License-Identifier: Apache-2.0
//! `PasswordHash`: a password that can be checked and not be read: Argon2id with a salt of its own, as a PHC string.

use super::as_text;
use crate::problem::{Kind, Problem};
use argon2::password_hash::phc::PasswordHash as Phc;
use argon2::{Argon2, PasswordHasher, PasswordVerifier};
use std::str::FromStr;

/// Hashes that would take more than this to check are refused: a check must not cost a visitor's patience.
const MAX_MEMORY_KIB: u32 = 64 << 10;
const MAX_PASSES: u32 = 10;
const MIN_PASSWORD: usize = 8;
const MAX_PASSWORD: usize = 256;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PasswordHash(String);

impl PasswordHash {
    /// Hashes a password, with a salt from the system.
    ///
    /// # Errors
    /// One that is too short or too long to be a password, or holds control characters.
    pub fn of(password: &str) -> Result<PasswordHash, Problem> {
        let length = password.chars().count();
        if !(MIN_PASSWORD..=MAX_PASSWORD).contains(&length) || password.chars().any(char::is_control) {
            return Err(Problem::new(
                Kind::User,
                "proxy.bad-password",
                format!(
                    "a password has {MIN_PASSWORD} to {MAX_PASSWORD} characters, none of them a line end"
                ),
            ));
        }
        let hashed = Argon2::default().hash_password(password.as_bytes()).map_err(|error| {
            Problem::new(Kind::Bug, "hop3.internal", "a password cannot be hashed").detail(error.to_string())
        })?;
        Ok(PasswordHash(hashed.to_string()))
    }

    /// Takes tens of milliseconds, on purpose; in constant time for the same hash.
    pub fn verify(&self, password: &[u8]) -> bool {
        Phc::new(&self.0).is_ok_and(|hash| Argon2::default().verify_password(password, &hash).is_ok())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for PasswordHash {
    type Err = Problem;

    fn from_str(text: &str) -> Result<PasswordHash, Problem> {
        let is_good = text.starts_with("$argon2id$")
            && text.len() <= 256
            && Phc::new(text).is_ok_and(|hash| {
                let number = |name| hash.params.get_decimal(name).unwrap_or(0);
                hash.salt.is_some()
                    && hash.hash.is_some()
                    && (8..=MAX_MEMORY_KIB).contains(&number("m"))
                    && (1..=MAX_PASSES).contains(&number("t"))
                    && (1..=4).contains(&number("p"))
            });
        match is_good {
            true => Ok(PasswordHash(text.to_owned())),
            false => Err(Problem::new(
                Kind::Config,
                "config.bad-password",
                "the hash of a password is wanted, never the password itself",
            )
            .hint("make one with: hop3 proxy password")),
        }
    }
}

impl From<PasswordHash> for String {
    fn from(hash: PasswordHash) -> String {
        hash.0
    }
}

as_text!(PasswordHash);

#[cfg(test)]
mod tests;
