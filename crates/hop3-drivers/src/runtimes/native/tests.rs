// SPDX-License-Identifier: Apache-2.0
//! The names the runtime gives and reads; what it does with real processes is in the end-to-end tests.

use super::*;
use hop3_core::workload::InstanceState;

fn status(name: &str, port: &str) -> Status {
    Status {
        id: format!("shop.{name}"),
        group: "shop".into(),
        name: name.into(),
        state: InstanceState::Running,
        pid: Some(7),
        started_ms: 1,
        restarts: 0,
        last_exit: None,
        labels: BTreeMap::from([(PORT_LABEL.to_owned(), port.to_owned())]),
    }
}

#[test]
fn a_status_is_read_back_as_the_instance_it_was_made_for() {
    let instance = instance(&status("my_web-2.v12.3", "20001")).unwrap();
    assert_eq!((instance.process.as_str(), instance.release), ("my_web-2", ReleaseNumber(12)));
    assert_eq!(instance.address.unwrap().to_string(), "127.0.0.1:20001");
    for foreign in ["web", "web.3.1", "web.vx.1", "WEB.v1.1"] {
        assert!(super::instance(&status(foreign, "1")).is_none(), "{foreign}");
    }
}

#[test]
fn no_port_is_given_twice_and_none_that_somebody_holds() {
    let mut taken = BTreeSet::new();
    let mut next = PORTS.end - 1;
    let first = free_port(&mut next, &mut taken).unwrap();
    let held = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
    assert!(!PORTS.contains(&held), "the kernel's own range begins above ours");
    let blocker = free_port(&mut next, &mut taken).unwrap();
    let blocker = TcpListener::bind((Ipv4Addr::LOCALHOST, blocker)).unwrap();
    next = blocker.local_addr().unwrap().port();
    taken.remove(&next);
    let second = free_port(&mut next, &mut taken).unwrap();
    assert!(first != second && second != blocker.local_addr().unwrap().port());
    assert!(PORTS.contains(&first) && PORTS.contains(&second));
}
