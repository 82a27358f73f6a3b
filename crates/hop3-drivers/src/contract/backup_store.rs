// SPDX-License-Identifier: Apache-2.0
//! The contract of `BackupStore`: judges a store by what comes back of what it was given. An answer is a list of broken
//! rules in words; a store that keeps them all gets an empty one.

use hop3_core::Problem;
use hop3_core::driver::{BackupPlace, BackupStore, Content, Save, Saved, Taken};
use hop3_core::layout::Layout;
use hop3_core::secret::Secret;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// Names that a program could take for an option, a pattern or two words.
const NAMES: [&str; 5] = ["plain", "-n", "two words", "[a]*?", "über\\back"];

/// A store, an empty place for it, and a root of its own.
pub struct Ground<'a> {
    pub store: &'a dyn BackupStore,
    pub place: BackupPlace,
    pub layout: &'a Layout,
}

type Verdict = Result<(), String>;
type Rule = fn(&Ground<'_>) -> Verdict;

/// Judges a store.
pub fn broken_rules(ground: &Ground<'_>) -> Vec<String> {
    let rules: [(&str, Rule); 7] = [
        ("prepares", prepares),
        ("trees", trees),
        ("again", again),
        ("streams", streams),
        ("a source that fails", failing),
        ("another key", another_key),
        ("forgets", forgets),
    ];
    let told = |(rule, judged): (&str, Rule)| judged(ground).err().map(|word| format!("{rule}: {word}"));
    rules.into_iter().filter_map(told).collect()
}

/// A claim that must hold.
fn must(holds: bool, otherwise: &str) -> Verdict {
    if holds { Ok(()) } else { Err(otherwise.to_owned()) }
}

fn fine<T>(outcome: Result<T, Problem>) -> Result<T, String> {
    outcome.map_err(|problem| problem.render())
}

impl Ground<'_> {
    fn save<'a>(
        &self,
        content: Content<'a>,
        tags: &'a [String],
        parent: Option<&'a str>,
    ) -> Result<Saved, Problem> {
        self.store.save(&self.place, Save { tags, content, exclude: &[], parent }, &mut |_| {})
    }

    fn ids(&self, tag: &str) -> Result<Vec<String>, String> {
        let found = fine(self.store.list(&self.place, &tags(tag)))?;
        Ok(found.into_iter().map(|snapshot| snapshot.id).collect())
    }

    /// A directory beneath the root with files of those names.
    fn tree(&self, name: &str) -> io::Result<PathBuf> {
        let directory = self.layout.apps().join(name);
        fs::create_dir_all(&directory)?;
        NAMES.iter().try_for_each(|file| fs::write(directory.join(file), file.repeat(1000)))?;
        Ok(Path::new("apps").join(name))
    }

    fn restored(&self, snapshot: &str, paths: &[PathBuf], name: &str) -> Result<PathBuf, Problem> {
        let to = self.layout.backup_staging(name);
        self.store.restore(&self.place, Taken { snapshot, paths, twice: true }, &to).map(|()| to)
    }
}

fn tags(tag: &str) -> [String; 2] {
    ["hop3".to_owned(), tag.to_owned()]
}

fn prepares(ground: &Ground<'_>) -> Verdict {
    fine(ground.store.prepare(&ground.place))?;
    fine(ground.store.prepare(&ground.place))?;
    must(ground.ids("none")?.is_empty(), "there is a snapshot before one was made")?;
    fine(ground.store.check(&ground.place, true))
}

fn trees(ground: &Ground<'_>) -> Verdict {
    let tree = ground.tree("tree").map_err(|e| e.to_string())?;
    let saved = fine(ground.save(Content::Paths(std::slice::from_ref(&tree)), &tags("trees"), None))?;
    must(saved.files == NAMES.len() as u64, "the files are not counted")?;
    must(ground.ids("trees")?.len() == 1, "it is not listed by its tags")?;
    let all = fine(ground.restored(&saved.snapshot, &[], "all"))?;
    for (number, name) in NAMES.into_iter().enumerate() {
        let same =
            fs::read(all.join(&tree).join(name)).is_ok_and(|bytes| bytes == name.repeat(1000).as_bytes());
        must(same, &format!("{name:?} does not come back"))?;
        let one = fine(ground.restored(&saved.snapshot, &[tree.join(name)], &format!("one-{number}")))?;
        let found: Vec<_> = fs::read_dir(one.join(&tree)).into_iter().flatten().flatten().collect();
        must(
            found.len() == 1 && found[0].file_name() == name,
            &format!("{name:?} does not come back alone"),
        )?;
    }
    Ok(())
}

fn again(ground: &Ground<'_>) -> Verdict {
    let trees = [ground.tree("again").map_err(|e| e.to_string())?];
    let tags = tags("again");
    let first = fine(ground.save(Content::Paths(&trees), &tags, None))?;
    let second = fine(ground.save(Content::Paths(&trees), &tags, Some(&first.snapshot)))?;
    must(second.files == first.files && second.bytes == first.bytes, "the second counts otherwise")?;
    must(second.added_bytes * 2 < first.added_bytes.max(1), "what did not change is kept twice")?;
    let lost = ground.save(Content::Paths(&trees), &tags, Some("00000000"));
    must(lost.is_err_and(|p| p.code == "backup.no-snapshot"), "a parent that is gone is not told")
}

fn streams(ground: &Ground<'_>) -> Verdict {
    let bytes: Vec<u8> =
        (0..1_000_000_u32).flat_map(|n| (n.wrapping_mul(2_654_435_761) >> 8).to_le_bytes()).collect();
    let content = Content::Stream { name: "data", from: &mut bytes.as_slice() };
    let saved = fine(ground.save(content, &tags("streams"), None))?;
    must(saved.bytes == bytes.len() as u64, "its bytes are not counted")?;
    let mut back = Vec::new();
    fine(ground.store.dump(&ground.place, &saved.snapshot, Path::new("data"), &mut back))?;
    must(back == bytes, "another stream comes back")
}

/// Gives something, then fails.
struct Failing(usize);

impl Read for Failing {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = buffer.len().min(self.0);
        self.0 -= count;
        if count == 0 { Err(io::Error::other("the source failed")) } else { Ok(count) }
    }
}

fn failing(ground: &Ground<'_>) -> Verdict {
    let content = Content::Stream { name: "data", from: &mut Failing(100_000) };
    let saved = ground.save(content, &tags("failing"), None);
    must(saved.is_err_and(|p| p.code == "backup.source-failed"), "it is not told")?;
    must(ground.ids("failing")?.is_empty(), "half a stream was kept")?;
    fine(ground.store.check(&ground.place, true))
}

fn another_key(ground: &Ground<'_>) -> Verdict {
    let place = BackupPlace { key: Secret::new("another".to_owned()), ..ground.place.clone() };
    let refused = |outcome: Result<(), Problem>| outcome.is_err_and(|p| p.code == "backup.wrong-key");
    must(refused(ground.store.prepare(&place)), "the place is made ready with it")?;
    must(refused(ground.store.list(&place, &["hop3".to_owned()]).map(drop)), "it opens the place")
}

fn forgets(ground: &Ground<'_>) -> Verdict {
    let save = |text: &str| {
        ground.save(Content::Stream { name: "data", from: &mut text.as_bytes() }, &tags("forgets"), None)
    };
    let (gone, kept) = (fine(save("gone"))?.snapshot, fine(save("kept"))?.snapshot);
    fine(ground.store.forget(&ground.place, std::slice::from_ref(&gone)))?;
    fine(ground.store.forget(&ground.place, std::slice::from_ref(&gone)))?;
    fine(ground.store.forget(&ground.place, &[]))?;
    must(ground.ids("forgets")?.len() == 1, "what was forgotten is listed, or what was not is gone")?;
    let mut back = Vec::new();
    let lost = ground.store.dump(&ground.place, &gone, Path::new("data"), &mut back);
    must(lost.is_err(), "what was forgotten comes back")?;
    fine(ground.store.dump(&ground.place, &kept, Path::new("data"), &mut back))?;
    must(back == b"kept", "another stream comes back")
}
