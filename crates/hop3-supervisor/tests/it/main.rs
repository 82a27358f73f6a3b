// SPDX-License-Identifier: Apache-2.0
//! The supervisor as a whole: a real role, real processes, a real root.

mod adopt;
mod harness;
mod keep;
mod log;
mod oneoff;
mod sandbox;
