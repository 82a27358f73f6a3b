// SPDX-License-Identifier: Apache-2.0
//! A client of S3 that keeps a value as an object: curl, which signs as AWS does.

use crate::clients::answer;
use crate::world::World;
use hop3_core::addon::{Binding, WantedAddon};
use hop3_drivers::contract::addon::Client;
use std::process::Command;

pub(crate) struct Bucket;

impl Bucket {
    fn told<'b>(binding: &'b Binding, key: &str) -> &'b str {
        binding.variables[&key.parse().unwrap()].expose()
    }

    /// Asks about a key of the bucket; gives status and answer, head first where it is asked for.
    fn curl(binding: &Binding, key: &str, arguments: &[&str]) -> Result<(u16, String), String> {
        let told = |variable| Bucket::told(binding, variable);
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--show-error", "--config", "-", "--write-out", "\n%{http_code}"]);
        curl.args([
            "--aws-sigv4",
            "aws:amz:us-east-1:s3",
            "--header",
            "x-amz-content-sha256: UNSIGNED-PAYLOAD",
        ]);
        curl.args(arguments).arg(format!("{}/{}/{key}", told("S3_ENDPOINT"), told("S3_BUCKET")));
        let who = format!("user = \"{}:{}\"\n", told("AWS_ACCESS_KEY_ID"), told("AWS_SECRET_ACCESS_KEY"));
        let said = answer(binding, &mut curl, &who)?;
        let (said, status) = said.rsplit_once('\n').ok_or("curl says nothing")?;
        Ok((status.parse().map_err(|_| said)?, said.to_owned()))
    }

    fn put(binding: &Binding, key: &str, value: &str, headers: &[&str]) -> Result<(), String> {
        let mut arguments = vec!["--request", "PUT", "--data-binary", value];
        headers.iter().for_each(|header| arguments.extend(["--header", header]));
        match Bucket::curl(binding, key, &arguments)? {
            (200, _) => Ok(()),
            (status, said) => Err(format!("{status} {said}")),
        }
    }
}

impl Client for Bucket {
    fn write(&self, binding: &Binding, key: &str, value: &str) -> Result<(), String> {
        Bucket::put(binding, key, value, &[])
    }

    fn read(&self, binding: &Binding, key: &str) -> Result<Option<String>, String> {
        match Bucket::curl(binding, key, &[])? {
            (200, value) => Ok(Some(value)),
            (404, said) if said.contains("NoSuchKey") => Ok(None),
            (status, said) => Err(format!("{status} {said}")),
        }
    }
}

fn backup(world: &World, addon: &WantedAddon) -> Vec<u8> {
    let mut backup = Vec::new();
    world.driver.backup(addon, None, &mut backup).unwrap();
    backup
}

/// Content type, metadata, tags, objects in folders and folders alone, parts that were put together, and what the app
/// said of its bucket.
pub(crate) fn carries_what_is_known(world: &World) {
    let from = world.make("files_1");
    // On the same server.
    let to = WantedAddon { server: from.server.clone(), ..world.bare("copy_2") };
    let [source, target] = [&from, &to].map(|addon| world.driver.provision(addon).unwrap());
    let headers = [
        "Content-Type: text/x-note",
        "x-amz-meta-author: Ada",
        "Cache-Control: max-age=7",
        "x-amz-tagging: a=b",
    ];
    Bucket::put(&source, "deep/er/note.txt", "a note", &headers).unwrap();
    Bucket::put(&source, "folder/", "", &[]).unwrap();
    Bucket::put(&source, "empty", "", &[]).unwrap();
    Bucket::put(&source, "odd%20%2Bname%C3%A9", "odd", &[]).unwrap();
    let cors = "<CORSConfiguration><CORSRule><AllowedMethod>GET</AllowedMethod>\
                <AllowedOrigin>https://example.org</AllowedOrigin></CORSRule></CORSConfiguration>";
    Bucket::put(&source, "?cors=", cors, &["Content-MD5: ophHXfIkr+85WJnWuGXszQ=="]).unwrap();

    world.driver.restore(&to, &mut backup(world, &from).as_slice()).unwrap();
    let (status, head) = Bucket::curl(&target, "deep/er/note.txt", &["--include"]).unwrap();
    let head = head.to_lowercase();
    assert_eq!(status, 200, "{head}");
    for line in ["content-type: text/x-note", "x-amz-meta-author: ada", "cache-control: max-age=7", "a note"]
    {
        assert!(head.contains(line), "{line}: {head}");
    }
    let original = Bucket::curl(&source, "deep/er/note.txt", &["--head"]).unwrap().1.to_lowercase();
    let of = |head: &str, name: &str| head.lines().find(|line| line.starts_with(name)).map(str::to_owned);
    for name in ["etag:", "last-modified:"] {
        assert!(of(&head, name).is_some());
        assert_eq!(of(&head, name), of(&original, name));
    }
    for (key, expected) in [
        ("deep/er/note.txt?tagging=", "<Key>a</Key>"),
        ("?cors=", "https://example.org"),
        ("?list-type=2", "<KeyCount>4</KeyCount>"),
    ] {
        let (status, said) = Bucket::curl(&target, key, &[]).unwrap();
        assert!(status == 200 && said.contains(expected), "{key}: {said}");
    }
    assert_eq!(Bucket.read(&target, "empty").unwrap().as_deref(), Some(""));
    assert_eq!(Bucket.read(&target, "odd%20%2Bname%C3%A9").unwrap().as_deref(), Some("odd"));
    // A tar like any other, for whoever has nothing but the file.
    let listed = list(&backup(world, &from));
    assert!(listed.contains("./deep/er/note.txt\n") && !listed.contains("sgwtmp"), "{listed}");
    let left = world.layout.addon_server(&from.server.name).join("moments");
    assert_eq!(std::fs::read_dir(left).unwrap().count(), 0);
    world.driver.retire(&from.server).unwrap();
}

fn list(archive: &[u8]) -> String {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("archive");
    std::fs::write(&file, archive).unwrap();
    let ran = Command::new("tar").arg("--list").arg("--file").arg(file).output().unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    String::from_utf8(ran.stdout).unwrap()
}

/// An archive that somebody made: links to what is another's, and a bucket that lets others in.
pub(crate) fn reaches_no_other(world: &World) {
    let addon = world.make("victim_1");
    let binding = world.driver.provision(&addon).unwrap();
    Bucket.write(&binding, "key", "kept").unwrap();
    let directory = tempfile::tempdir().unwrap();
    let made = |script: &str| {
        let tree = directory.path().join("tree");
        let _ = std::fs::remove_dir_all(&tree);
        std::fs::create_dir(&tree).unwrap();
        let ran = Command::new("sh").args(["-ec", script]).current_dir(&tree).status().unwrap();
        assert!(ran.success());
        let tar = [
            "--create",
            "--file=-",
            "--format=posix",
            "--xattrs",
            "--absolute-names",
            "--xattrs-include=user.*",
        ];
        let ran = Command::new("tar").args(tar).args(["."]).current_dir(&tree).output().unwrap();
        whole(ran.stdout)
    };
    for script in ["ln -s ../../iam/users.json key", "ln -s / dir", "echo x > x && ln x key", "mkfifo key"] {
        let refused = world.driver.restore(&addon, &mut made(script).as_slice()).err();
        assert_eq!(refused.map(|problem| problem.code).as_deref(), Some("addon.not-a-backup"), "{script}");
        assert_eq!(Bucket.read(&binding, "key").unwrap().as_deref(), Some("kept"), "{script}");
    }
    let open = "echo fresh > key && setfattr -n user.policy -v '{}' . && setfattr -n user.acl -v '{}' .";
    world.driver.restore(&addon, &mut made(open).as_slice()).unwrap();
    assert_eq!(Bucket.read(&binding, "key").unwrap().as_deref(), Some("fresh\n"));
    Bucket.write(&binding, "key", "own").unwrap();
    world.driver.retire(&addon.server).unwrap();
}

/// With the end that what is written out has.
fn whole(mut archive: Vec<u8>) -> Vec<u8> {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &archive);
    let digest: String = digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    archive.extend(format!("\nhop3 objects sha256 {digest}\n").into_bytes());
    archive
}

/// A server that stands still for somebody who died is let go by the next look.
pub(crate) fn goes_on(world: &World) {
    let addon = world.make("still_1");
    let binding = world.driver.provision(&addon).unwrap();
    world.freeze(&addon.server);
    world.driver.serve(&addon.server).unwrap();
    Bucket.write(&binding, "key", "kept").unwrap();

    // Whoever changed the places of two directories died between the moves.
    let directory = world.layout.addon_server(&addon.server.name);
    std::fs::rename(directory.join("buckets/still-1"), directory.join("former/still-1")).unwrap();
    world.driver.provision(&addon).unwrap();
    assert_eq!(Bucket.read(&binding, "key").unwrap().as_deref(), Some("kept"));
    world.driver.retire(&addon.server).unwrap();
}
