// SPDX-License-Identifier: Apache-2.0
//! Real trees with links, depth and hostile names; nothing outside the root is touched.

use super::*;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};

struct Place {
    _temporary: tempfile::TempDir,
    root: PathBuf,
    outside: PathBuf,
}

fn place() -> Place {
    let temporary = tempfile::tempdir().unwrap();
    let (root, outside) = (temporary.path().join("root"), temporary.path().join("outside"));
    fs::create_dir(&root).unwrap();
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("canary"), "alive").unwrap();
    Place { _temporary: temporary, root, outside }
}

const KEEP: Owners = Owners { user: None, between: None };

#[test]
fn paths_not_strictly_beneath_the_root_are_refused() {
    let place = place();
    let tricks = ["", "..", "../outside", "a/../../outside", "."];
    for trick in tricks {
        let path = place.root.join(trick);
        assert_eq!(remove(&place.root, &path).unwrap_err().code, "path.outside-root", "{trick}");
        assert_eq!(give(&place.root, &path, KEEP).unwrap_err().code, "path.outside-root", "{trick}");
    }
    for path in ["/etc", "relative", "/"] {
        assert_eq!(remove(&place.root, Path::new(path)).unwrap_err().code, "path.outside-root");
    }
    assert!(place.outside.join("canary").exists());
}

#[test]
fn links_are_removed_not_followed() {
    let place = place();
    let tree = place.root.join("tree");
    fs::create_dir_all(tree.join("deep/er")).unwrap();
    symlink(&place.outside, tree.join("link")).unwrap();
    symlink(&place.outside, tree.join("deep/er/link")).unwrap();
    symlink(&place.outside, place.root.join("top")).unwrap();
    remove(&place.root, &tree).unwrap();
    remove(&place.root, &place.root.join("top/canary")).unwrap_err();
    give(&place.root, &place.root.join("top/made"), KEEP).unwrap_err();
    remove(&place.root, &place.root.join("top")).unwrap();
    assert!(!tree.exists() && !place.root.join("top").is_symlink());
    assert!(place.outside.join("canary").exists());
    assert!(!place.outside.join("made").exists());
}

#[test]
fn removing_what_is_absent_is_fine() {
    let place = place();
    remove(&place.root, &place.root.join("absent")).unwrap();
    remove(&place.root, &place.root.join("absent/deeper")).unwrap();
}

#[test]
fn very_deep_and_closed_trees_are_removed() {
    let place = place();
    let tree = place.root.join("tree");
    let mut level = open_root(&place.root).unwrap();
    level = make(&level, Path::new("tree"), None).unwrap();
    for depth in 0..3000 {
        fs::write(tree.join(format!("file-{depth}")), "").unwrap();
        level = make(&level, Path::new("a-rather-long-directory-name"), None).unwrap();
    }
    fs::create_dir_all(tree.join("closed/inner/most")).unwrap();
    for closed in ["closed/inner", "closed"] {
        fs::set_permissions(tree.join(closed), fs::Permissions::from_mode(0o500)).unwrap();
    }
    remove(&place.root, &tree).unwrap();
    assert!(!tree.exists());
}

#[test]
fn a_given_tree_belongs_to_the_user_and_links_stay_harmless() {
    let place = place();
    let data = place.root.join("one/two/data");
    give(&place.root, &data, KEEP).unwrap();
    assert!(data.is_dir());
    if !rustix::process::geteuid().is_root() {
        return;
    }
    fs::create_dir(data.join("inner")).unwrap();
    fs::write(data.join("inner/file"), "").unwrap();
    symlink(place.outside.join("canary"), data.join("link")).unwrap();
    give(&place.root, &data, Owners { user: Some(12345), between: None }).unwrap();
    for path in ["", "inner", "inner/file"] {
        assert_eq!(fs::metadata(data.join(path)).unwrap().uid(), 12345, "{path}");
    }
    assert_eq!(fs::metadata(place.outside.join("canary")).unwrap().uid(), 0);
    assert_eq!(fs::metadata(place.root.join("one")).unwrap().uid(), 0);
}
