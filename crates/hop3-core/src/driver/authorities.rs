// SPDX-License-Identifier: Apache-2.0
//! `Authorities`: who is asked for certificates, and how. Belongs to whoever obtains them.

use crate::acme::{AcmeChange, AcmeShown};
use crate::problem::Problem;

pub trait Authorities: Send + Sync {
    fn shown(&self) -> Result<AcmeShown, Problem>;

    /// Changes what the change names, and tells how it is now. What failed before is tried again at once.
    fn change(&self, change: &AcmeChange) -> Result<AcmeShown, Problem>;

    /// Has another certificate obtained for a host, now.
    fn renew(&self, host: &str) -> Result<(), Problem>;
}
