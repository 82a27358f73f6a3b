// SPDX-License-Identifier: Apache-2.0
//! `Keeper`: keeps the product that is chosen running, from within the proxy role. It starts it on the role's sockets
//! or takes over one that runs, starts it again when it ends, and ends it when the role ends or the choice changes.

use super::choice::Choice;
use super::door::Door;
use super::launch;
use super::process::{Main, wait};
use super::product::{products, worker_user};
use hop3_core::layout::Layout;
use hop3_proxy::{Behind, Front, Sockets};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open};
use std::fs;
use std::io;
use std::path::PathBuf;
use std::process::Child;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// A product that starts accepts within this.
const START: Duration = Duration::from_secs(10);
/// What is under way may take so long when the proxy ends, and when another one serves already.
const STOP_GRACE: Duration = Duration::from_secs(10);
const REPLACED_GRACE: Duration = Duration::from_secs(300);
const MAX_PAUSE: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub struct Keeper(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    layout: Layout,
    choice: Choice,
    /// Our own program, which becomes the product.
    hop3: PathBuf,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    main: Option<Main>,
    /// Of a product that would lose who has just come in when it ends.
    door: Option<Door>,
    is_ending: bool,
}

impl Keeper {
    /// A keeper of what is chosen; none when that is the built-in proxy.
    pub fn of_choice(layout: &Layout, hop3: PathBuf) -> Option<Keeper> {
        let choice = Choice::in_force(layout);
        let keeper = |choice| {
            Keeper(Arc::new(Shared { layout: layout.clone(), choice, hop3, state: Mutex::default() }))
        };
        choice.map(keeper)
    }
}

/// Ends what a role that was killed has left running and is not chosen: it would go on accepting.
pub fn end_leftovers(layout: &Layout) {
    let chosen = Choice::in_force(layout).map(|choice| choice.product.name());
    let folder = layout.front();
    for product in products().into_iter().filter(|product| Some(product.name()) != chosen) {
        let Some(main) = Main::recorded(&folder, product.name()) else { continue };
        main.signal_all(product.facts().end);
        if !wait(STOP_GRACE, || product.has_closed(main)) {
            main.signal_all(Signal::KILL);
        }
        main.forget(&folder, product.name());
    }
}

/// A product accepts connections, whether or not a proxy role lives that keeps it.
pub fn front_accepts(layout: &Layout) -> bool {
    products().into_iter().any(|product| Main::accepting(&layout.front(), product.name()).is_some())
}

/// Ends every product that a role has left running, with what is under way when that takes long.
pub fn end_fronts(layout: &Layout) {
    let folder = layout.front();
    for product in products() {
        let Some(main) = Main::recorded(&folder, product.name()) else { continue };
        main.signal_all(product.facts().end);
        if !main.wait_for_end(STOP_GRACE) {
            main.signal_all(Signal::KILL);
            main.wait_for_end(STOP_GRACE);
        }
        main.forget(&folder, product.name());
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn name(&self) -> &'static str {
        self.choice.product.name()
    }

    /// Starts it and waits until it accepts.
    fn start(&self, sockets: &Sockets) -> io::Result<(Main, Child)> {
        let folder = self.layout.front();
        fs::create_dir_all(folder.join("tmp"))?;
        if let Some((file, text)) = self.choice.product.beside(sockets.http.len()) {
            fs::write(folder.join(file), text)?;
        }
        // One that accepts before it knows its routes would refuse whoever comes in between.
        let door = self.door(sockets)?;
        let closed = door.as_ref().map(Door::close).transpose()?;
        let mut child = launch::start(&self.hop3, &self.layout, sockets)?;
        let main = Main::of(child.id()).ok_or(io::ErrorKind::NotFound)?;
        let mut ended = None;
        let is_there = wait(START, || {
            ended = child.try_wait().ok().flatten();
            ended.is_some() || self.choice.product.is_up(main, &self.choice.current(&self.layout))
        });
        drop(closed);
        self.state().door = door;
        if let Some(status) = ended {
            return Err(io::Error::other(format!("{} ended with {status}", self.name())));
        }
        if !is_there {
            main.signal_all(Signal::KILL);
            let _ = child.wait();
            return Err(io::Error::other(format!("{} does not accept connections", self.name())));
        }
        if let Err(error) = main.record(&folder, self.name()) {
            // Nobody would find it any more.
            main.signal_all(Signal::KILL);
            let _ = child.wait();
            return Err(error);
        }
        Ok((main, child))
    }

    fn door(&self, sockets: &Sockets) -> io::Result<Option<Door>> {
        self.choice.product.is_alone().then(|| Door::of(sockets)).transpose()
    }

    /// Has it accept no more and end after its last request.
    fn dismiss(&self, main: Main, door: Option<&Door>) {
        let closed = door.map(Door::close);
        main.signal(self.choice.product.facts().end);
        if closed.is_some() {
            wait(STOP_GRACE, || self.choice.product.has_closed(main));
        }
    }

    /// Waits for its end and starts it again, for as long as it is wanted.
    fn keep(&self, mut main: Main, mut child: Option<Child>, mut sockets: Sockets) {
        loop {
            wait_for(main);
            if let Some(mut child) = child.take() {
                let _ = child.wait();
            }
            if self.state().is_ending {
                return;
            }
            tracing::error!(product = self.name(), "it ended by itself; it is started again");
            // Workers that outlived it.
            main.signal_all(self.choice.product.facts().end);
            let Some((started, its_child)) = self.start_again(&mut sockets) else { return };
            (main, child) = (started, Some(its_child));
        }
    }

    fn start_again(&self, sockets: &mut Sockets) -> Option<(Main, Child)> {
        let mut pause = Duration::from_millis(100);
        loop {
            let started = self.sockets(sockets).and_then(|()| self.start(sockets));
            let mut state = self.state();
            match started {
                Ok((main, _)) if state.is_ending => {
                    main.signal_all(Signal::KILL);
                    return None;
                }
                Ok((main, child)) => {
                    state.main = Some(main);
                    return Some((main, child));
                }
                Err(_) if state.is_ending => return None,
                Err(error) => tracing::error!(product = self.name(), %error, "it does not start"),
            }
            drop(state);
            thread::sleep(pause);
            pause = (pause * 2).min(MAX_PAUSE);
        }
    }

    /// The sockets of one that was taken over ended with it.
    fn sockets(&self, sockets: &mut Sockets) -> io::Result<()> {
        if sockets.is_empty() {
            let place = self.choice.place(&self.layout).map_err(io::Error::other)?;
            *sockets = Sockets::beside(place.http, place.https)?;
        }
        Ok(())
    }
}

/// Until the process has ended.
fn wait_for(main: Main) {
    let opened = Pid::from_raw(main.pid).map(|pid| pidfd_open(pid, PidfdFlags::empty()));
    if let Some(Ok(process)) = opened
        && main.lives()
    {
        let _ = poll(&mut [PollFd::new(&process, PollFlags::IN)], None);
    }
}

impl Front for Keeper {
    fn behind(&self) -> Behind {
        let socket = self.0.layout.behind_socket();
        Behind { socket, reader: worker_user().map(|(_, number)| number) }
    }

    fn is_running(&self) -> bool {
        Main::accepting(&self.0.layout.front(), self.0.name()).is_some()
    }

    fn begin(&self, sockets: Sockets) -> anyhow::Result<()> {
        let (main, child) = match Main::accepting(&self.0.layout.front(), self.0.name()) {
            Some(main) => {
                self.0.state().door = self.0.door(&sockets)?;
                (main, None)
            }
            None => {
                if let Some(dead) = Main::recorded(&self.0.layout.front(), self.0.name()) {
                    dead.signal_all(self.0.choice.product.facts().end);
                }
                let (main, child) = self.0.start(&sockets)?;
                (main, Some(child))
            }
        };
        self.0.state().main = Some(main);
        let shared = Arc::clone(&self.0);
        thread::Builder::new().name("front".into()).spawn(move || shared.keep(main, child, sockets))?;
        Ok(())
    }

    fn end(&self, is_replaced: bool) {
        let shared = &self.0;
        let (main, door) = {
            let mut state = shared.state();
            state.is_ending = true;
            (state.main, state.door.take())
        };
        let is_kept =
            || Choice::in_force(&shared.layout).is_some_and(|choice| choice.product.name() == shared.name());
        let Some(main) = main.filter(|_| !is_replaced || !is_kept()) else { return };
        main.forget(&shared.layout.front(), shared.name());
        shared.dismiss(main, door.as_ref());
        if !main.wait_for_end(if is_replaced { REPLACED_GRACE } else { STOP_GRACE }) {
            main.signal_all(Signal::KILL);
            main.wait_for_end(STOP_GRACE);
        }
    }
}
