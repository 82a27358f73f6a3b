// SPDX-License-Identifier: Apache-2.0
//! The control plane.

pub mod checkout;
pub mod git;
