// SPDX-License-Identifier: Apache-2.0
//! Sizes as people read them.

/// `512 B`, `1.5 KiB`, `2.0 GiB`
pub(crate) fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    let mut size = bytes as f64 / 1024.0;
    let mut units = UNITS.iter();
    let mut unit = units.next();
    while let Some(next) = units.next().filter(|_| size >= 1024.0) {
        size /= 1024.0;
        unit = Some(next);
    }
    match unit {
        Some(unit) if bytes >= 1024 => format!("{size:.1} {unit}"),
        _ => format!("{bytes} B"),
    }
}
