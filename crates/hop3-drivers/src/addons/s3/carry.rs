// SPDX-License-Identifier: Apache-2.0
//! All objects of a bucket, written out and read back: an archive (tar) of its directory, with the attributes that the
//! server keeps beside the data.
//!
//! The server never changes the data of a file: an object that is written again is another file. So a backup is of
//! the moment in which every file got a second name, while the server stood still; metadata that are changed while it
//! is read are told as they are then.
//!
//! What is read back lies beside until all of it is there. Then the directories change places, while nobody comes in.

use super::whole::{Ending, Whole};
use super::{S3, USER};
use crate::addons::unreadable;
use hop3_core::addon::AddonServer;
use hop3_core::{Kind, Problem};
use std::io::{Read, Write};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{SystemTime, UNIX_EPOCH};

/// The server's own directory in a bucket: parts of what is not an object yet.
const PARTS: &str = "--exclude=./.sgwtmp";

/// What a server that was killed at the wrong instant left of an object's second name.
const LEFTOVERS: &str = "--exclude=.*.sgwtmp.[0-9]*";

/// Whose a bucket is and who may come in: never out of an archive.
const OWN: [&str; 6] = ["acl", "policy", "ownership", "bucket-lock", "versioning", "website"];

impl S3 {
    pub(super) fn write_out(
        &self,
        server: &AddonServer,
        bucket: &str,
        to: &mut dyn Write,
    ) -> Result<(), Problem> {
        let moment = moment(bucket);
        self.forget_moments(server, bucket, &moment)?;
        let outcome = self.keep_moment(server, bucket, &moment).and_then(|()| {
            let mut to = Ending::new(to);
            let directory = format!("--directory=moments/{moment}");
            let argv =
                ["tar", "--create", "--file=-", "--format=posix", "--pax-option=delete=atime,delete=ctime"];
            let more = [
                "--owner=0",
                "--group=0",
                "--numeric-owner",
                "--sort=name",
                "--xattrs",
                "--xattrs-include=user.*",
            ];
            let last = ["--no-wildcards-match-slash", PARTS, LEFTOVERS, &directory, "."];
            let argv = argv.iter().chain(&more).chain(&last).copied();
            self.host.drain(&self.host.job(server, USER, argv), &mut to)?;
            to.end().map_err(unreadable)
        });
        let removed = self.run(server, &["rm", "-rf", &format!("moments/{moment}")]);
        outcome.and(removed.map(drop))
    }

    /// A second name for each file, all as of one moment.
    fn keep_moment(&self, server: &AddonServer, bucket: &str, moment: &str) -> Result<(), Problem> {
        let (from, to) = (format!("buckets/{bucket}"), format!("moments/{moment}"));
        self.host.standing_still(server, || self.run(server, &["cp", "-al", "-T", &from, &to]).map(drop))
    }

    /// Those that whoever died in the middle left.
    fn forget_moments(&self, server: &AddonServer, bucket: &str, moment: &str) -> Result<(), Problem> {
        let (all, own) =
            (format!("{bucket}.*"), format!("{}.*", moment.rsplit_once('.').unwrap_or_default().0));
        let argv = ["find", "moments", "-mindepth", "1", "-maxdepth", "1", "-name", &all];
        let then = ["!", "-name", &own, "-exec", "rm", "-rf", "{}", "+"];
        self.run(server, &[argv.as_slice(), &then].concat()).map(drop)
    }

    pub(super) fn read_back(
        &self,
        server: &AddonServer,
        bucket: &str,
        from: &mut dyn Read,
    ) -> Result<(), Problem> {
        let first = super::super::beginning(from, 1)?;
        let incoming = format!("incoming/{bucket}");
        self.run(server, &["rm", "-rf", &incoming])?;
        self.run(server, &["mkdir", "-m", "0700", &incoming])?;
        let read = self.unpack(server, &incoming, &mut first.as_slice().chain(from));
        let read = read
            .and_then(|()| self.dress(server, bucket, &incoming))
            .and_then(|()| self.swap(server, bucket));
        let removed = self.run(server, &["rm", "-rf", &incoming, &format!("former/{bucket}")]);
        read.and(removed.map(drop))
    }

    fn unpack(&self, server: &AddonServer, incoming: &str, from: &mut dyn Read) -> Result<(), Problem> {
        let mut from = Whole::new(from);
        let directory = format!("--directory={incoming}");
        let argv = ["tar", "--extract", "--file=-", "--no-same-owner", "--xattrs", "--xattrs-include=user.*"];
        let own = OWN.map(|attribute| format!("--xattrs-exclude=user.{attribute}"));
        let argv = argv.into_iter().chain(own.iter().map(String::as_str)).chain([PARTS, &directory]);
        let unpacked = self.host.feed(&self.host.job(server, USER, argv), &mut from);
        let is_whole = from.ends_whole().map_err(unreadable)?;
        // It may have been refused for want of room: what it said is the news then.
        match (is_whole, unpacked) {
            (true, unpacked) => unpacked.map(drop)?,
            (false, _) => return Err(not_ours("it has no end, or not the one that fits")),
        }
        self.run(server, &["chmod", "-R", "u+rwX", incoming])?;
        // A link could lead out of the bucket, to what is another addon's.
        let others = [
            "find", incoming, "!", "(", "-type", "d", "-o", "-type", "f", "-links", "1", ")", "-print",
            "-quit",
        ];
        match self.run(server, &others)?.is_empty() {
            true => Ok(()),
            false => Err(not_ours("it has something that is neither a file nor a directory")),
        }
    }

    /// Whose the bucket is, and who may come in, as it is now.
    fn dress(&self, server: &AddonServer, bucket: &str, incoming: &str) -> Result<(), Problem> {
        let now = format!("--directory=buckets/{bucket}");
        let own = OWN.map(|attribute| format!("--xattrs-include=user.{attribute}"));
        let argv = ["tar", "--create", "--file=-", "--format=posix", "--no-recursion", "--xattrs"];
        let argv = argv.into_iter().chain(own.iter().map(String::as_str)).chain([now.as_str(), "."]);
        let mut attributes = Vec::new();
        self.host.drain(&self.host.job(server, USER, argv), &mut attributes)?;
        let directory = format!("--directory={incoming}");
        let argv = ["tar", "--extract", "--file=-", "--xattrs", "--xattrs-include=user.*", &directory];
        self.host.feed(&self.host.job(server, USER, argv), &mut attributes.as_slice()).map(drop)
    }

    fn swap(&self, server: &AddonServer, bucket: &str) -> Result<(), Problem> {
        let [now, incoming, former] =
            ["buckets", "incoming", "former"].map(|place| format!("{place}/{bucket}"));
        self.run(server, &["rm", "-rf", &former])?;
        let (away, back) = (["mv", "-T", &now, &former], ["mv", "-T", &former, &now]);
        self.host.standing_still(server, || {
            self.run(server, &away)?;
            self.run(server, &["mv", "-T", &incoming, &now]).map(drop).inspect_err(|_| {
                // The first problem is the one to tell; the next look puts it back where this does not.
                let _ = self.run(server, &back);
            })
        })
    }

    /// Where whoever changed the places died between the two moves, what there was is there again.
    pub(super) fn put_back(&self, server: &AddonServer, bucket: &str) -> Result<(), Problem> {
        let [now, former] = ["buckets", "former"].map(|place| format!("{place}/{bucket}"));
        let there = self.run(
            server,
            &["find", "buckets", "former", "-mindepth", "1", "-maxdepth", "1", "-name", bucket],
        )?;
        match there.lines().collect::<Vec<_>>().as_slice() {
            [only] if *only == former => self.run(server, &["mv", "-T", &former, &now]).map(drop),
            _ => Ok(()),
        }
    }
}

/// Another name for each backup; those of this process are told from those of one before it.
fn moment(bucket: &str) -> String {
    static STARTED: std::sync::LazyLock<u128> = std::sync::LazyLock::new(|| {
        SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos()
    });
    static NUMBER: AtomicU64 = AtomicU64::new(1);
    format!("{bucket}.{}.{}", *STARTED, NUMBER.fetch_add(1, Relaxed))
}

fn not_ours(why: &str) -> Problem {
    Problem::new(
        Kind::User,
        "addon.not-a-backup",
        "these are no objects that were written out, or not all of them",
    )
    .detail(why)
    .hint("make them with: hop3 addon export; other files are uploaded with a client of S3")
}
