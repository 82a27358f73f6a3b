// SPDX-License-Identifier: Apache-2.0
//! `Tail`: lines of the proxy's access log as they are written, over the change to a new file.

use super::request::Lines;
use hop3_core::api::LogEntry;
use hop3_core::layout::Layout;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use std::fs::File;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::PathBuf;

const BLOCK: usize = 64 << 10;
/// So often somebody looks whether anybody reads still, and whether the proxy has made the folder.
const LOOK: Timespec = Timespec { tv_sec: 1, tv_nsec: 0 };

pub(crate) struct Tail {
    path: PathBuf,
    lines: Lines,
    file: Option<File>,
    /// Bytes of the file that were read.
    read: u64,
    /// The beginning of a line that is not whole.
    rest: Vec<u8>,
    news: OwnedFd,
    is_watching: bool,
}

impl Tail {
    /// From the end of what is there now.
    pub(super) fn open(layout: &Layout, service: &str) -> io::Result<Tail> {
        let path = layout.request_log();
        let file = if_there(File::open(&path))?;
        let read = file.as_ref().map_or(Ok(0), |file| file.metadata().map(|metadata| metadata.len()))?;
        let news = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
        let lines = Lines::of(service);
        let mut tail = Tail { path, lines, file, read, rest: Vec::new(), news, is_watching: false };
        tail.watch();
        Ok(tail)
    }

    /// Where in the present file it begins.
    pub(super) fn start(&self) -> u64 {
        self.read
    }

    /// Gives lines as they come, until `is_over` or nobody takes them.
    pub(crate) fn run(
        mut self,
        is_over: impl Fn() -> bool,
        mut take: impl FnMut(LogEntry) -> bool,
    ) -> io::Result<()> {
        while !is_over() {
            // What was written to the old file before the new one came is there by now.
            let next = self.successor()?;
            while let Some(block) = self.block()? {
                if !self.entries(&block).into_iter().all(&mut take) {
                    return Ok(());
                }
            }
            match next {
                Some(file) => {
                    (self.file, self.read) = (Some(file), 0);
                    self.rest.clear();
                }
                None => self.wait()?,
            }
        }
        Ok(())
    }

    /// The file that lies at the path, when it is another one.
    fn successor(&self) -> io::Result<Option<File>> {
        let Some(file) = if_there(File::open(&self.path))? else { return Ok(None) };
        let id = |file: &File| file.metadata().map(|metadata| (metadata.dev(), metadata.ino()));
        let is_same = match &self.file {
            Some(old) => id(old)? == id(&file)?,
            None => false,
        };
        Ok((!is_same).then_some(file))
    }

    fn block(&mut self) -> io::Result<Option<Vec<u8>>> {
        let Some(file) = &self.file else { return Ok(None) };
        let mut block = vec![0; BLOCK];
        let count = file.read_at(&mut block, self.read)?;
        self.read += count as u64;
        block.truncate(count);
        Ok((count > 0).then_some(block))
    }

    fn entries(&mut self, block: &[u8]) -> Vec<LogEntry> {
        self.rest.extend_from_slice(block);
        let end = self.rest.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        let whole: Vec<u8> = self.rest.drain(..end).collect();
        whole.split(|byte| *byte == b'\n').filter_map(|line| self.lines.entry(line)).collect()
    }

    /// The proxy makes the folder with its first line.
    fn watch(&mut self) {
        if let Some(folder) = self.path.parent().filter(|_| !self.is_watching) {
            let flags = WatchFlags::MODIFY | WatchFlags::CREATE | WatchFlags::MOVED_TO;
            self.is_watching = inotify::add_watch(&self.news, folder, flags).is_ok();
        }
    }

    fn wait(&mut self) -> io::Result<()> {
        self.watch();
        poll(&mut [PollFd::new(&self.news, PollFlags::IN)], Some(&LOOK))?;
        let mut buffer = [MaybeUninit::uninit(); 4096];
        let mut news = inotify::Reader::new(&self.news, &mut buffer);
        while news.next().is_ok() {}
        Ok(())
    }
}

fn if_there<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::sync::mpsc;

    #[test]
    fn lines_come_as_they_are_written_over_a_new_folder_halves_and_a_new_file() {
        let root = tempfile::tempdir().unwrap();
        let layout = Layout::new(root.path());
        let tail = Tail::open(&layout, "shop").unwrap();
        let (sent, got) = mpsc::channel();
        let follower = std::thread::spawn(move || tail.run(|| false, |entry| sent.send(entry.text).is_ok()));
        let path = layout.request_log();
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let line = |path: &str, service: &str| {
            format!(
                "{{\"time\":\"2026-01-01T00:00:00Z\",\"service\":\"{service}\",\"client\":\"::1\",\"method\":\"GET\",\
                 \"path\":\"{path}\",\"status\":200,\"bytes_out\":1,\"ms\":1.5}}\n"
            )
        };
        let append = |text: &str| {
            let mut file = File::options().append(true).create(true).open(&path).unwrap();
            io::Write::write_all(&mut file, text.as_bytes()).unwrap();
        };
        let next = || got.recv_timeout(std::time::Duration::from_secs(10)).unwrap();
        append(&line("/one", "shop"));
        assert!(next().contains(" /one "));
        let two = line("/two", "shop");
        append(&two[..20]);
        append(&(two[20..].to_owned() + &line("/x", "other")));
        assert!(next().contains(" /two "));
        append(&line("/three", "shop"));
        fs::rename(&path, path.with_extension("jsonl.1")).unwrap();
        append(&line("/four", "shop"));
        assert!(next().contains(" /three ") && next().contains(" /four "));
        drop(got);
        append(&line("/five", "shop"));
        follower.join().unwrap().unwrap();
    }
}
