// SPDX-License-Identifier: Apache-2.0
//! `Secret<T>`: a value that cannot be printed or serialised by accident. Whoever needs it says `expose()`.

/// Holds a secret value. Neither `Debug` nor `Serialize` on purpose.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret<T>(T);

impl<T> Secret<T> {
    pub fn new(value: T) -> Secret<T> {
        Secret(value)
    }

    /// Gives the value to the one place that must have it.
    pub fn expose(&self) -> &T {
        &self.0
    }
}
