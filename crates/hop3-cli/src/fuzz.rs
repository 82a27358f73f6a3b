// SPDX-License-Identifier: Apache-2.0
//! What must hold for any bytes, built into the tests and into the programs in the folder `fuzz` at the top
//! (`cfg(fuzzing)`), since the parser is private. The product has none of it.

use crate::dotenv::{parse, write};
use hop3_core::name::EnvKey;

/// Variables that were read are written and read again byte for byte; so is any value.
pub fn dotenv(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    if let Ok(variables) = parse(".env", &text) {
        let written: String = variables.iter().map(|(key, value)| write(key, value)).collect();
        assert_eq!(parse(".env", &written).as_ref(), Ok(&variables), "written as {written:?}");
    }
    if text.contains('\0') {
        return;
    }
    let (first, second): (EnvKey, EnvKey) = ("A".parse().expect("a key"), "B".parse().expect("a key"));
    let written = write(&first, &text) + &write(&second, "next");
    let variables = parse(".env", &written).unwrap_or_else(|problem| panic!("{written:?}: {problem}"));
    assert_eq!((variables[&first].as_str(), variables[&second].as_str()), (&*text, "next"), "{written:?}");
    assert_eq!(variables.len(), 2);
}

#[cfg(test)]
mod tests {
    #[test]
    fn any_value_is_written_and_read_again() {
        for text in [
            "",
            " a ",
            "a'b\r\n\"$`\\",
            "\r",
            "'",
            "#",
            "\u{feff}",
            "A=1\nexport B='x\ny' # z",
            "\u{a0}x",
            "\\",
        ] {
            super::dotenv(text.as_bytes());
        }
    }
}
