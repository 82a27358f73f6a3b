// SPDX-License-Identifier: Apache-2.0
//! What requests and saved tables name: files, hosts, parts of files. Nothing leads out of where it belongs.

use super::{choice, text};
use crate::files::condition::{Part, Version, Wanted, part};
use crate::files::path::decode;
use crate::journal::Journal;
use crate::registry::Registry;
use crate::table::normal_host;
use hop3_core::layout::Layout;
use hop3_core::name::Domain;
use std::fs;
use std::path::{Component, Path};
use std::sync::LazyLock;

/// A path that is served lies beneath the root, and has one spelling.
pub fn file_path(data: &[u8]) {
    let given = String::from_utf8_lossy(data);
    let Ok(path) = decode(&given) else { return };
    let is_plain = |part: Component<'_>| match part {
        Component::Normal(name) => {
            let name = name.as_encoded_bytes();
            !name.iter().any(|b| *b < b' ' || matches!(b, b'\\' | 0x7f)) && name.len() <= 255
        }
        Component::CurDir => true,
        _ => false,
    };
    assert!(path.as_path().components().all(is_plain), "{given:?} leads to {path:?}");
    let parts: Vec<_> = path.as_path().components().collect();
    let hidden = |part: &Component<'_>| part.as_os_str().as_encoded_bytes().starts_with(b".");
    let shown = parts.iter().skip(usize::from(parts[0].as_os_str() == ".well-known"));
    assert!(parts.len() == 1 || !shown.clone().any(hidden), "{given:?} leads to {path:?}");
    let encode = |byte: u8| if byte == b'/' { "/".to_owned() } else { format!("%{byte:02x}") };
    let spelled: String = path.as_path().as_os_str().as_encoded_bytes().iter().map(|b| encode(*b)).collect();
    if path.as_path().as_os_str() != "." {
        let again = decode(&spelled).expect("the same path in another spelling");
        assert_eq!(again.as_path(), path.as_path());
    }
}

/// A part of a file lies within the file.
pub fn condition(mut data: &[u8]) {
    let size = u64::from(choice(&mut data)) << (choice(&mut data) % 56);
    let wanted = Wanted {
        if_none_match: text(&mut data).into_owned(),
        if_modified_since: text(&mut data).into_owned(),
        if_range: text(&mut data).into_owned(),
        range: text(&mut data).into_owned(),
    };
    let version = Version { etag: "\"a-1\"".to_owned(), modified_secs: 1_700_000_000 };
    match part(&wanted, &version, size) {
        Part::Range(first, length) => {
            assert!(wanted.range.starts_with("bytes="));
            assert!(length > 0 && first.checked_add(length).is_some_and(|end| end <= size));
        }
        Part::NotModified => {
            assert!(!wanted.if_none_match.is_empty() || !wanted.if_modified_since.is_empty());
        }
        Part::Unsatisfiable => assert!(wanted.range.starts_with("bytes=")),
        Part::Whole => {}
    }
}

/// A host is found under the name that every other reader of it finds: less a port and a dot at its end.
pub fn host(data: &[u8]) {
    let mut buffer = [0; 255];
    let Some(name) = normal_host(data, &mut buffer) else { return };
    assert!(!name.is_empty() && !name.starts_with('.'));
    assert!(!name.bytes().any(|b| b.is_ascii_uppercase()));
    if name.parse::<Domain>().is_err() {
        return;
    }
    let given = data.to_ascii_lowercase();
    let rest = given.strip_prefix(name.as_bytes()).expect("the name is the beginning of what was given");
    let port = rest.strip_prefix(b".").unwrap_or(rest);
    let is_port = port.strip_prefix(b":").is_some_and(|digits| digits.iter().all(u8::is_ascii_digit));
    assert!(port.is_empty() || is_port, "{} is taken for {name}", given.escape_ascii());
}

/// In memory where the machine has such a place, since a table is synced when it is saved.
static SAVED: LazyLock<(Layout, Layout)> = LazyLock::new(|| {
    let memory = Path::new("/dev/shm");
    let beneath = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
    let folder = beneath.join(format!("hop3-journal-{}", std::process::id()));
    let layout = |name: &str| {
        let layout = Layout::new(folder.join(name));
        let table = layout.proxy_table();
        fs::create_dir_all(table.parent().expect("a file in a folder")).expect("a temporary folder");
        layout
    };
    (layout("first"), layout("second"))
});

/// A saved table is read whatever lies there, serves, and is read again as it was.
pub fn journal(mut data: &[u8]) {
    let (first, second) = &*SAVED;
    let table = text(&mut data).into_owned();
    let path = first.proxy_table();
    fs::write(&path, table).expect("a temporary file");
    fs::write(path.with_extension("changes"), data).expect("a temporary file");
    let (_, loaded) = Journal::load(first);
    let registry = Registry::default();
    registry.replace(loaded.clone());
    assert!(registry.services().len() <= loaded.services.len());
    let _ = fs::remove_file(second.proxy_table().with_extension("changes"));
    let (mut journal, _) = Journal::load(second);
    journal.replace(loaded.services.iter()).expect("a temporary file");
    assert_eq!(Journal::load(second).1, loaded);
    let Some(service) = loaded.services.last() else { return };
    let put = crate::journal::Line::Put(std::borrow::Cow::Borrowed(service));
    journal.append(&put).expect("a temporary file");
    assert_eq!(Journal::load(second).1, loaded, "the same again changes the table");
    let remove = crate::journal::Line::Remove(service.name.as_str().into());
    journal.append(&remove).expect("a temporary file");
    assert_eq!(Journal::load(second).1.services.len(), loaded.services.len() - 1);
}
