// SPDX-License-Identifier: Apache-2.0
//! Random bytes from the kernel (getrandom(2)).

use std::io;

/// Gives `N` random bytes.
pub(crate) fn bytes<const N: usize>() -> io::Result<[u8; N]> {
    let mut buffer = [0; N];
    let mut filled = 0;
    while filled < N {
        filled += rustix::rand::getrandom(&mut buffer[filled..], rustix::rand::GetRandomFlags::empty())?;
    }
    Ok(buffer)
}

/// A token: a prefix that secret scanners can know, and 256 bits.
pub(crate) fn token() -> io::Result<String> {
    use base64::Engine;
    let secret = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes::<32>()?);
    Ok(format!("hop3_{secret}"))
}
