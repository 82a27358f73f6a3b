// SPDX-License-Identifier: Apache-2.0
//! Ports open and close with the table, and go to a successor with everything else.

use super::*;
use crate::{Limits, Options, Running};
use std::num::NonZeroUsize;
use std::thread;

#[test]
fn a_port_opens_with_its_route_and_closes_without_harm_to_who_is_connected() {
    let (proxy, one, port) = (Proxy::start(), echo("one"), free_port());
    proxy.put(carried("a", Entry::Port(port), &[&one]));
    let mut kept = call(port, "one");
    let two = echo("two");
    proxy.put(carried("a", Entry::Port(port), &[&two]));
    talks(&mut kept);
    call(port, "two");
    assert!(matches!(proxy.ask(&Request::Remove { name: "a".into() }), Answer::Done));
    assert!(TcpStream::connect(at(port)).is_err());
    talks(&mut kept);
    // Whoever wants it can have it, and so can the proxy again.
    let other = TcpListener::bind(at(port)).unwrap();
    let again = || carried("a", Entry::Port(port), &[&two]);
    assert_eq!(refused(put(&proxy, again())), "tcp.port-in-use");
    drop(other);
    proxy.put(again());
    call(port, "two");
    talks(&mut kept);
}

#[test]
fn a_port_that_cannot_be_had_is_refused_and_changes_nothing() {
    let (proxy, one, port) = (Proxy::start(), echo("one"), free_port());
    proxy.put(carried("a", Entry::Port(port), &[&one]));
    let own = Port::new(proxy.http.port()).unwrap();
    assert_eq!(refused(put(&proxy, carried("a", Entry::Port(own), &[&one]))), "tcp.port-own");
    let holder = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = Port::new(holder.local_addr().unwrap().port()).unwrap();
    let mut both = carried("a", Entry::Port(free_port()), &[&one]);
    both.tcp.push(TcpRoute { entry: Entry::Port(taken), ..both.tcp[0].clone() });
    let Entry::Port(first) = both.tcp[0].entry else { panic!() };
    assert_eq!(refused(put(&proxy, both)), "tcp.port-in-use");
    assert!(TcpStream::connect(at(first)).is_err(), "half of a refused change was left");
    call(port, "one");
    drop(holder);
}

#[test]
fn a_port_that_somebody_took_meanwhile_does_not_keep_the_others_closed() {
    let (proxy, one) = (Proxy::start(), echo("one"));
    let (lost, kept) = (free_port(), free_port());
    proxy.put(carried("a", Entry::Port(lost), &[&one]));
    proxy.put(carried("b", Entry::Port(kept), &[&one]));
    let root = proxy.stop();
    let thief = TcpListener::bind(at(lost)).unwrap();
    let proxy = Proxy::resume_at(root);
    call(kept, "one");
    // A change of who has it is taken all the same, and so is the whole table.
    let two = echo("two");
    proxy.put(carried("a", Entry::Port(lost), &[&two]));
    drop(thief);
    let all = vec![carried("a", Entry::Port(lost), &[&two]), carried("b", Entry::Port(kept), &[&one])];
    assert!(matches!(proxy.ask(&table(all)), Answer::Done));
    call(lost, "two");
    call(kept, "one");
}

#[test]
fn a_successor_gets_the_ports_and_the_old_one_keeps_its_connections() {
    // More sockets than one message between processes can hold.
    let limits = || Limits { threads: NonZeroUsize::new(2), ..Limits::default() };
    let (root, one) = (tempfile::tempdir().unwrap(), echo("one"));
    let old = Running::start(options(root.path()), limits()).unwrap();
    let mut all = carried("a", Entry::Port(free_port()), &[&one]);
    while all.tcp.len() < 150 {
        all.tcp.push(TcpRoute { entry: Entry::Port(free_port()), ..all.tcp[0].clone() });
    }
    let ports: Vec<Port> = all
        .tcp
        .iter()
        .map(|route| match route.entry {
            Entry::Port(port) => port,
            Entry::Host(_) => panic!(),
        })
        .collect();
    let answer = ask(root.path(), &Request::Put { service: Cow::Owned(all) });
    assert!(matches!(answer, Answer::Done), "{answer:?}");
    let mut kept = call(ports[0], "one");
    let new = Running::start(Options { takes_over: true, ..options(root.path()) }, limits()).unwrap();
    let retiring = thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            old.replaced().await;
            old.all_done().await;
        });
        old.stop().unwrap();
    });
    for port in &ports {
        talks(&mut call(*port, "one"));
    }
    talks(&mut kept);
    drop(kept);
    retiring.join().unwrap();
    call(ports[149], "one");
    // The successor can close what it was given.
    ask(root.path(), &Request::Remove { name: "a".into() });
    assert!(TcpStream::connect(at(ports[0])).is_err());
    new.stop().unwrap();
}

/// Connections of many come and go while the table changes and the port's listeners stay.
#[test]
fn no_connection_is_lost_while_the_table_changes() {
    let (proxy, port) = (Proxy::start(), free_port());
    let first = echo("x");
    proxy.put(carried("a", Entry::Port(port), &[&first]));
    thread::scope(|scope| {
        let callers: Vec<_> =
            (0..4).map(|_| scope.spawn(|| (0..300).for_each(|_| talks(&mut call(port, "x"))))).collect();
        let mut before = first;
        while !callers.iter().all(|caller| caller.is_finished()) {
            let next = echo("x");
            proxy.put(carried("a", Entry::Port(port), &[&next]));
            assert!(
                matches!(proxy.drain(&[before.id.clone()], Duration::from_secs(10)), Answer::Drained(d) if d.cut == 0)
            );
            before.refuse();
            before = next;
        }
    });
}
