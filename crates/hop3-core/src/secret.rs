// SPDX-License-Identifier: Apache-2.0
//! `Secret<T>`: a value that cannot be printed or serialised by accident. Whoever needs it says `expose()`; a field
//! that must be written to a file of mode 0600 or to a local socket says `#[serde(with = "exposed")]`.

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

/// Writes the value of a field as it is.
pub mod exposed {
    use super::Secret;
    use serde::{Deserialize, Deserializer, Serializer};

    /// # Errors
    /// As the serializer's.
    pub fn serialize<S: Serializer>(secret: &Secret<String>, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(secret.expose())
    }

    /// # Errors
    /// Not a string.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Secret<String>, D::Error> {
        String::deserialize(deserializer).map(Secret::new)
    }
}

/// The same for a field that may be absent.
pub mod exposed_option {
    use super::Secret;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    /// # Errors
    /// As the serializer's.
    pub fn serialize<S: Serializer>(
        secret: &Option<Secret<String>>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        secret.as_ref().map(Secret::expose).serialize(serializer)
    }

    /// # Errors
    /// Not a string.
    pub fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Secret<String>>, D::Error> {
        Ok(Option::<String>::deserialize(deserializer)?.map(Secret::new))
    }
}
