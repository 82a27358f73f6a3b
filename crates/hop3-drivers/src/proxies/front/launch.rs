// SPDX-License-Identifier: Apache-2.0
//! How a product becomes a process with our sockets: the role starts `hop3 front`, hands it the sockets over its
//! standard input, and it becomes the product. In a process that starts others too, a descriptor cannot be left open
//! for one of them alone.

use super::choice::Choice;
use super::product::{Handed, program};
use hop3_core::descriptor;
use hop3_core::layout::Layout;
use hop3_proxy::Sockets;
use rustix::io::{FdFlags, fcntl_setfd};
use serde::{Deserialize, Serialize};
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// What comes with the descriptors.
#[derive(Serialize, Deserialize)]
struct Counts {
    http: usize,
    https: usize,
}

/// The numbers that the sockets have in the product.
pub(crate) struct Numbers {
    pub(crate) http: Vec<i32>,
    pub(crate) https: Vec<i32>,
}

impl Numbers {
    pub(crate) fn all(&self) -> Vec<i32> {
        [self.http.as_slice(), &self.https].concat()
    }
}

/// Starts the product that is chosen, in a process group of its own. `hop3` is our program.
pub(crate) fn start(hop3: &Path, layout: &Layout, sockets: &Sockets) -> io::Result<Child> {
    let (ours, theirs) = UnixStream::pair()?;
    let child = Command::new(hop3)
        .args(["front", "--root"])
        .arg(layout.root())
        .stdin(Stdio::from(OwnedFd::from(theirs)))
        .stdout(Stdio::null())
        .process_group(0)
        .spawn()?;
    let descriptors: Vec<_> = sockets.http.iter().chain(&sockets.https).map(AsFd::as_fd).collect();
    let counts = Counts { http: sockets.http.len(), https: sockets.https.len() };
    descriptor::send(&ours, serde_json::to_string(&counts)?, &descriptors)?;
    Ok(child)
}

/// The other side: becomes the product. Returns only what went wrong.
pub fn become_front(layout: &Layout) -> String {
    become_chosen(layout).err().map_or_else(String::new, |error| error.to_string())
}

fn become_chosen(layout: &Layout) -> Result<(), Box<dyn std::error::Error>> {
    let choice = Choice::read(layout)?.ok_or("no other proxy is chosen")?;
    let (sockets, numbers) = receive()?;
    for socket in &sockets {
        fcntl_setfd(socket, FdFlags::empty())?;
    }
    let (folder, place) = (choice.current(layout), choice.place(layout)?);
    let start = choice.product.start(&folder, &place);
    let dress = choice.product.dress(&numbers, &folder, &place)?;
    let variables = start.handed.iter().map(|handed| (handed.variable, told(handed, &numbers)));
    let mut command = Command::new(program(choice.product)?);
    if let Some(folder) = dress.folder {
        command.current_dir(folder);
    }
    let error = command
        .args(start.arguments)
        .args(dress.arguments)
        .env_clear()
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .envs(variables)
        .envs(dress.variables)
        .stdin(Stdio::null())
        .exec();
    Err(error.into())
}

fn told(handed: &Handed, numbers: &Numbers) -> String {
    let numbers: Vec<String> = (handed.of)(numbers).iter().map(i32::to_string).collect();
    format!("{}{}{}", handed.before, numbers.join(handed.between), handed.after)
}

fn receive() -> io::Result<(Vec<OwnedFd>, Numbers)> {
    let launcher = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    let (line, sockets) = descriptor::receive(&launcher)?;
    let counts: Counts = serde_json::from_str(&line)?;
    let numbers: Vec<i32> = sockets.iter().map(AsRawFd::as_raw_fd).collect();
    if numbers.len() != counts.http + counts.https {
        return Err(io::Error::other("the sockets did not come"));
    }
    let (http, https) = numbers.split_at(counts.http);
    Ok((sockets, Numbers { http: http.to_vec(), https: https.to_vec() }))
}
