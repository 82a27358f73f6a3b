// SPDX-License-Identifier: Apache-2.0
//! A client that stays, as the owner of something that another one needs: an open transaction.

use super::Host;
use super::client::{ANSWER_BYTES, broken, judge, said};
use hop3_core::Problem;
use hop3_core::driver::Stdio;
use hop3_core::sandbox::Job;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;

impl Host {
    /// Runs a client that stays while something else is done, which is told the first line of what it answers to this.
    /// Gives the rest of its answer.
    pub(in super::super) fn beside(
        &self,
        job: &Job,
        input: &str,
        done: impl FnOnce(&str) -> Result<(), Problem>,
    ) -> Result<String, Problem> {
        let attached = self.runner.attach(job, Stdio::Data)?;
        let stream = UnixStream::from(attached.stream);
        let said = said(attached.errors);
        let mut answer = BufReader::new(&stream).take(ANSWER_BYTES);
        let mut first = String::new();
        let begun = (&stream).write_all(input.as_bytes()).and_then(|()| answer.read_line(&mut first));
        // One that ends without a word says below why.
        if matches!(begun, Ok(1..))
            && let Err(problem) = done(first.trim())
        {
            (attached.signal)(9);
            return (attached.wait)().and(Err(problem));
        }
        let _ = stream.shutdown(Shutdown::Write);
        let mut rest = String::new();
        let read = answer.read_to_string(&mut rest);
        judge(job, (attached.wait)()?, said)?;
        read.map(|_| rest).map_err(|e| broken(job, &e))
    }
}
