// SPDX-License-Identifier: Apache-2.0
//! An app that writes all the time, and knows what was acknowledged.

use super::ground::{Client, until};
use hop3_core::addon::Binding;
use std::error::Error;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// After a failure; a server that is away is not asked without pause.
const PAUSE: Duration = Duration::from_millis(20);

/// Writes numbers upwards: under `first`, under a key of their own, under `second`.
pub(super) struct Writer<'a> {
    client: &'a dyn Client,
    binding: Mutex<Binding>,
    is_over: AtomicBool,
    acknowledged: AtomicU64,
    /// A number that failed may be kept or not; it is not written again.
    failed: Mutex<Vec<(u64, String)>>,
}

/// What came of it.
pub(super) struct Written {
    pub(super) numbers: u64,
    pub(super) failed: Vec<(u64, String)>,
}

impl Written {
    /// Numbers whose write was acknowledged.
    pub(super) fn acknowledged(&self) -> impl Iterator<Item = u64> {
        (1..=self.numbers).filter(|number| !self.failed.iter().any(|(failed, _)| failed == number))
    }
}

pub(super) fn key_of(number: u64) -> String {
    format!("number-{number}")
}

impl Writer<'_> {
    /// Does something while an app writes.
    pub(super) fn beside<T>(
        client: &dyn Client,
        binding: &Binding,
        body: impl FnOnce(&Writer<'_>) -> Result<T, Box<dyn Error>>,
    ) -> Result<(T, Written), Box<dyn Error>> {
        let writer = Writer {
            client,
            binding: Mutex::new(binding.clone()),
            is_over: AtomicBool::new(false),
            acknowledged: AtomicU64::new(0),
            failed: Mutex::default(),
        };
        std::thread::scope(|scope| {
            let writing = scope.spawn(|| writer.write());
            let done = body(&writer);
            writer.is_over.store(true, Relaxed);
            let numbers = writing.join().map_err(|_| "the writer panicked")?;
            let failed = std::mem::take(&mut *writer.failed.lock().unwrap_or_else(PoisonError::into_inner));
            Ok((done?, Written { numbers, failed }))
        })
    }

    fn write(&self) -> u64 {
        let mut number = 0;
        while !self.is_over.load(Relaxed) {
            number += 1;
            let binding = self.binding.lock().unwrap_or_else(PoisonError::into_inner).clone();
            let value = number.to_string();
            let keys = ["first".to_owned(), key_of(number), "second".to_owned()];
            let written = keys.iter().try_for_each(|key| self.client.write(&binding, key, &value));
            match written {
                Ok(()) => drop(self.acknowledged.fetch_add(1, Relaxed)),
                Err(said) => {
                    self.failed.lock().unwrap_or_else(PoisonError::into_inner).push((number, said));
                    std::thread::sleep(PAUSE);
                }
            }
        }
        number
    }

    /// Waits for so many more numbers.
    pub(super) fn more(&self, count: u64) -> Result<(), Box<dyn Error>> {
        let enough = self.acknowledged.load(Relaxed) + count;
        until("an app's writes are acknowledged", || self.acknowledged.load(Relaxed) >= enough).map_err(|e| {
            let failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
            format!("{e}; the last one: {:?}", failed.last()).into()
        })
    }

    /// Tells the app something else, and waits until it does not use what it was told before.
    pub(super) fn tell(&self, binding: &Binding) -> Result<(), Box<dyn Error>> {
        *self.binding.lock().unwrap_or_else(PoisonError::into_inner) = binding.clone();
        self.more(2)
    }
}
