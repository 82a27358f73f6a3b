// SPDX-License-Identifier: Apache-2.0
//! Archives: whatever one says, nothing outside the folder is touched, and what lies in it has one digest.

use super::check_problem;
use crate::checkout::{Limits, Unpacked, unpack};
use std::fs;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

const LIMITS: Limits = Limits { bytes: 1 << 20, entries: 200 };

/// In memory where the machine has such a place, since thousands are made in a second.
static ROOM: LazyLock<PathBuf> = LazyLock::new(|| {
    let memory = Path::new("/dev/shm");
    let beneath = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
    beneath.join(format!("hop3-archive-{}", std::process::id()))
});
static NEXT: AtomicU64 = AtomicU64::new(0);

/// A folder with nothing beside it, gone at the end.
struct Room(PathBuf);

impl Room {
    fn new() -> Room {
        let room = ROOM.join(NEXT.fetch_add(1, Relaxed).to_string());
        fs::create_dir_all(room.join("into")).expect("a temporary folder");
        Room(room)
    }

    fn inside(&self) -> PathBuf {
        self.0.join("into")
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).ok();
    }
}

pub fn archive(data: &[u8]) {
    let Some((kind, data)) = data.split_first() else { return };
    let bytes = if kind & 1 == 0 { tar_of(data) } else { data.to_vec() };
    let room = Room::new();
    let unpacked = unpack(&*bytes, &room.inside(), &LIMITS);
    let beside: Vec<_> =
        fs::read_dir(&room.0).expect("the folder").flatten().map(|e| e.file_name()).collect();
    assert_eq!(beside, ["into"], "something was written beside the folder");
    let mut again = tar::Builder::new(Vec::new());
    check_tree(&room.inside(), &room.inside(), &mut again);
    match unpacked {
        Ok(unpacked) => check_same(&unpacked, &again.into_inner().expect("memory")),
        Err(problem) => check_problem(&problem),
    }
}

/// Members as an input tells them: kind, name, link and content, with zero bytes between.
fn tar_of(data: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut fields = data.split(|b| *b == 0);
    while let (Some(name), Some(link), Some(content)) = (fields.next(), fields.next(), fields.next()) {
        let [kind, mode, name @ ..] = name else { continue };
        let record = |key: &[u8], value: &[u8]| {
            let rest = key.len() + value.len() + 3;
            let length = (rest + 1..rest + 9).find(|length| rest + length.to_string().len() == *length);
            [length.unwrap_or(0).to_string().as_bytes(), b" ", key, b"=", value, b"\n"].concat()
        };
        let (kind, content) = match kind {
            b'f' => (b'0', content.to_vec()),
            b'd' => (b'5', Vec::new()),
            b'l' => (b'2', Vec::new()),
            b'p' => (b'x', record(name, link)),
            b'g' => (b'g', record(name, link)),
            b'L' => (b'L', content.to_vec()),
            b'K' => (b'K', content.to_vec()),
            other => (*other, content.to_vec()),
        };
        let mut header = tar::Header::new_ustar();
        let raw = header.as_mut_bytes();
        raw[..name.len().min(100)].copy_from_slice(&name[..name.len().min(100)]);
        raw[157..157 + link.len().min(100)].copy_from_slice(&link[..link.len().min(100)]);
        raw[156] = kind;
        header.set_mode(if mode & 1 == 0 { 0o644 } else { 0o755 });
        header.set_size(content.len() as u64);
        header.set_cksum();
        bytes.extend_from_slice(header.as_bytes());
        bytes.extend_from_slice(&content);
        bytes.resize(bytes.len().next_multiple_of(512), 0);
    }
    bytes.resize(bytes.len() + 1024, 0);
    bytes
}

/// Looks at everything that was written, and packs it.
fn check_tree(root: &Path, folder: &Path, again: &mut tar::Builder<Vec<u8>>) {
    for entry in fs::read_dir(folder).expect("a folder").flatten() {
        let (path, kind) = (entry.path(), entry.file_type().expect("a file"));
        let name = path.strip_prefix(root).expect("beneath the root").to_owned();
        let mut header = tar::Header::new_gnu();
        if kind.is_symlink() {
            let target = fs::read_link(&path).expect("a link");
            assert!(target.is_relative(), "{} leads to {}", path.display(), target.display());
            if let Ok(real) = fs::canonicalize(&path) {
                assert!(
                    real.starts_with(root.canonicalize().expect("a folder")),
                    "{} leads out",
                    path.display()
                );
            }
            header.set_entry_type(tar::EntryType::Symlink);
            header.set_size(0);
            header.set_mode(0o777);
            // A short one as it is: the packer would rather write `a/b` for `a//b`.
            match header.set_link_name_literal(target.as_os_str().as_bytes()) {
                Ok(()) => again.append_data(&mut header, &name, std::io::empty()),
                Err(_) => again.append_link(&mut header, &name, &target),
            }
            .expect("memory");
        } else if kind.is_dir() {
            again.append_dir(&name, &path).expect("memory");
            check_tree(root, &path, again);
        } else {
            assert!(kind.is_file(), "{} is no file", path.display());
            again.append_path_with_name(&path, &name).expect("memory");
        }
    }
    again.get_mut().flush().expect("memory");
}

/// The same tree, packed by somebody else, is the same tree.
fn check_same(unpacked: &Unpacked, bytes: &[u8]) {
    let room = Room::new();
    let limits = Limits { bytes: 4 << 20, entries: 4000 };
    let again = unpack(bytes, &room.inside(), &limits).unwrap_or_else(|problem| panic!("{problem}"));
    assert_eq!(again.digest, unpacked.digest);
    // An archive may have a file twice; the last one counts.
    assert!(again.files <= unpacked.files && again.bytes <= unpacked.bytes);
}
