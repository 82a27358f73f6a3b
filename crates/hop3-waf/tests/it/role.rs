// SPDX-License-Identifier: Apache-2.0
//! The role, asked over its socket.

use super::{request, usual};
use hop3_core::layout::Layout;
use hop3_core::lock;
use hop3_core::waf::Answer;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::process::{Child, Command};

pub(crate) struct Role(pub(crate) Child);

impl Drop for Role {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub(crate) fn program() -> Command {
    Command::new(env!("CARGO_BIN_EXE_hop3-waf"))
}

fn ask(layout: &Layout, question: &[u8]) -> Vec<u8> {
    let mut stream = loop {
        if let Ok(stream) = UnixStream::connect(layout.waf_socket()) {
            break stream;
        }
        std::thread::yield_now();
    };
    stream.write_all(question).unwrap();
    let mut bytes = Vec::new();
    // Cut off when it did not like the question.
    let _ = stream.read_to_end(&mut bytes);
    bytes
}

#[test]
fn it_answers_questions_and_nothing_else() {
    let root = tempfile::tempdir().unwrap();
    let layout = Layout::new(root.path());
    let _role = Role(program().arg("--root").arg(root.path()).spawn().unwrap());
    let (head, body) = request("GET\t/?f=../../etc/passwd");
    let question = usual().question(&head, &body).unwrap();
    let answer = Answer::read(&ask(&layout, &question)).unwrap().unwrap();
    assert!(answer.stop && answer.score >= 5, "{answer:?}");
    assert!(lock::is_held(&layout.lock_of("waf")));
    for nonsense in [&[0xff; 12][..], b"GET / HTTP/1.1\r\n\r\n", &[0; 12]] {
        let answer = Answer::read(&ask(&layout, nonsense)).unwrap().unwrap();
        assert!(answer.failed.is_some(), "{answer:?}");
    }
    // A second one leaves the work to the first.
    let second = program().arg("--root").arg(root.path()).status().unwrap();
    assert!(second.success());
    assert!(program().arg("--check").status().unwrap().success());
}

/// The one who ended the others has looked already.
#[test]
fn one_that_is_kept_and_not_wanted_ends() {
    let root = tempfile::tempdir().unwrap();
    let layout = Layout::new(root.path());
    std::fs::create_dir_all(layout.run_of("waf")).unwrap();
    let mut kept = program();
    assert!(kept.arg("--root").arg(root.path()).arg("--kept").status().unwrap().success());
    assert!(!lock::is_held(&layout.lock_of("waf")));
}
