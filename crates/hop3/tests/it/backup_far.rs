// SPDX-License-Identifier: Apache-2.0
//! Backups that go to an object storage and over SSH, with the real servers on this machine: made, listed, proven and
//! restored there; and a storage that is gone before a backup, or goes in its middle.

use crate::backup::{create, data, has_restic};
use crate::backup_trouble::{app_with, end, refused};
use crate::disk_full::{MIB, noise};
use crate::gateway::{Gateway, KEY, SECRET};
use crate::harness::{Hop, skip};
use crate::ssh::{SSHD, key, listens};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

fn add_cloud(hop: &Hop, gateway: &Gateway, more: &[&str]) {
    let location = format!("s3:http://127.0.0.1:{}/hop3-backups", gateway.port);
    let env = [format!("AWS_ACCESS_KEY_ID={KEY}"), format!("AWS_SECRET_ACCESS_KEY={SECRET}")];
    let arguments = ["backup", "targets", "add", "cloud", &location, "--env", &env[0], "--env", &env[1]];
    let added = hop.hop3(arguments.iter().chain(more)).expect_ok();
    assert!(added.text.contains(&location) && !added.text.contains(SECRET), "{}", added.text);
}

/// A backup at that place is listed, proven, and comes back as a copy.
fn serves(hop: &Hop, target: &str) -> String {
    let id = create(hop, &["-a", "shop", "--to", target]);
    let listed = hop.json(["backup", "list", "--json"]);
    assert_eq!((&listed[0]["id"], &listed[0]["target"]), (&id.as_str().into(), &target.into()));
    hop.hop3(["backup", "verify", &id]).expect_ok();
    let copy = format!("{target}-copy");
    hop.hop3(["backup", "restore", &id, "--as", &copy]).expect_ok();
    let noise = |app: &str| fs::read(data(hop, app).join("noise")).unwrap();
    assert!(noise(&copy) == noise("shop"), "the copy has other data");
    id
}

fn backups_at(hop: &Hop, target: &str) -> usize {
    let listed = hop.json(["backup", "list", "--json"]);
    listed.as_array().unwrap().iter().filter(|backup| backup["target"] == target).count()
}

#[test]
fn backups_go_to_an_object_storage_and_wait_for_it() {
    let test = "backups_go_to_an_object_storage_and_wait_for_it";
    if !has_restic(test) {
        return;
    }
    let hop = Hop::start();
    let Some(gateway) = Gateway::start(test, &hop.scratch().join("cloud"), None) else { return };
    app_with(&hop, "shop", MIB);
    add_cloud(&hop, &gateway, &[]);
    let id = serves(&hop, "cloud");

    let port = gateway.port;
    drop(gateway);
    let told = [
        refused(&hop, &["backup", "create", "-a", "shop", "--to", "cloud"], "backup.unreachable"),
        refused(&hop, &["backup", "verify", &id], "backup.unreachable"),
        refused(&hop, &["backup", "restore", &id, "--as", "other"], "backup.unreachable"),
    ];
    assert!(!(told.concat() + &hop.operator_log()).contains(SECRET), "{}", told.concat());
    create(&hop, &["-a", "shop"]);
    assert_eq!(backups_at(&hop, "cloud"), 1);

    let _gateway = Gateway::start(test, &hop.scratch().join("cloud"), Some(port));
    hop.hop3(["backup", "verify", &id]).expect_ok();
    create(&hop, &["-a", "shop", "--to", "cloud"]);
    assert_eq!(backups_at(&hop, "cloud"), 2);

    // Somebody else's key is told from a place that is away.
    let location = format!("s3:http://127.0.0.1:{port}/hop3-backups");
    let env = [format!("AWS_ACCESS_KEY_ID={KEY}"), "AWS_SECRET_ACCESS_KEY=anothersWord".to_owned()];
    let add = ["backup", "targets", "add", "again", &location, "--env", &env[0], "--env", &env[1]];
    refused(&hop, &add, "backup.denied");
}

#[test]
fn an_object_storage_that_goes_in_the_middle_is_told_and_harms_no_backup() {
    let test = "an_object_storage_that_goes_in_the_middle_is_told_and_harms_no_backup";
    if !has_restic(test) {
        return;
    }
    let hop = Hop::start();
    let cloud = hop.scratch().join("cloud");
    let Some(gateway) = Gateway::start(test, &cloud, None) else { return };
    app_with(&hop, "shop", MIB);
    // So slow that the middle is long.
    add_cloud(&hop, &gateway, &["--limit-upload", "4000"]);
    let first = create(&hop, &["-a", "shop", "--to", "cloud"]);
    let before = size(&cloud);
    noise(&data(&hop, "shop").join("more"), 60 * MIB);
    let asked = hop
        .command(["backup", "create", "-a", "shop", "--to", "cloud"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    crate::harness::until("some of it is there", || size(&cloud) > before + 8 * MIB);
    let port = gateway.port;
    drop(gateway);
    let output = asked.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && said.contains("error[backup.unreachable]"), "{said}");
    assert!(said.contains("hint:") && !said.contains(SECRET), "{said}");
    assert_eq!(backups_at(&hop, "cloud"), 1);

    let _gateway = Gateway::start(test, &cloud, Some(port));
    hop.hop3(["backup", "verify", &first]).expect_ok();
    let second = create(&hop, &["-a", "shop", "--to", "cloud"]);
    hop.hop3(["backup", "verify", &second]).expect_ok();
    assert_eq!(backups_at(&hop, "cloud"), 2);
}

/// Bytes of all files beneath a directory.
fn size(directory: &Path) -> u64 {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries
        .map(|entry| match entry.metadata() {
            Ok(metadata) if metadata.is_dir() => size(&entry.path()),
            // What is being renamed is counted at the next look.
            metadata => metadata.map_or(0, |metadata| metadata.len()),
        })
        .sum()
}

/// A machine that takes files over SSH, and a key that it lets in.
struct House {
    directory: PathBuf,
    port: u16,
}

impl House {
    fn new(hop: &Hop, test: &str) -> Option<House> {
        let (is_root, here) = (rustix::process::geteuid().is_root(), Path::new(SSHD).exists());
        if !is_root || !here {
            skip(test, if here { "sshd must be root" } else { "there is no sshd (openssh-server)" });
            return None;
        }
        fs::create_dir_all("/run/sshd").unwrap();
        let directory = hop.scratch().join("house");
        fs::create_dir(&directory).unwrap();
        ["host", "client"].iter().for_each(|name| key(&directory.join(name)));
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let config = format!(
            "ListenAddress 127.0.0.1:{port}\nHostKey {here}/host\nPidFile {here}/pid\nAuthorizedKeysFile {here}/client.pub\n\
             UsePAM no\nStrictModes no\nPasswordAuthentication no\nKbdInteractiveAuthentication no\nPermitRootLogin yes\n\
             Subsystem sftp internal-sftp\n",
            here = directory.display(),
        );
        fs::write(directory.join("config"), config).unwrap();
        Some(House { directory, port })
    }

    fn serve(&self) -> Child {
        let mut sshd = Command::new(SSHD);
        sshd.args(["-D", "-e", "-f"]).arg(self.directory.join("config")).stdin(Stdio::null());
        listens(sshd.stderr(fs::File::create(self.directory.join("log")).unwrap()), self.port)
    }

    /// What the operator of a server does to let its backups in.
    fn introduce(&self, hop: &Hop, file: &str) {
        let place = hop.root().join("backups/home/.ssh");
        fs::create_dir_all(&place).unwrap();
        let host = fs::read_to_string(self.directory.join("host.pub")).unwrap();
        match file {
            "known_hosts" => {
                fs::write(place.join(file), format!("[127.0.0.1]:{} {host}", self.port)).unwrap();
            }
            _ => drop(fs::copy(self.directory.join("client"), place.join(file)).unwrap()),
        }
    }
}

/// restic may end before it has passed on what ssh said; then the hint has all that can be the matter.
fn not_let_in(hop: &Hop, arguments: &[&str], code: &str) {
    let said = hop.hop3(arguments);
    let reason = said.text.contains(code) || said.text.contains("backup.unreachable");
    assert!(!said.ok && reason && said.text.contains("backups/home/.ssh"), "{}", said.text);
}

#[test]
fn backups_go_over_ssh_once_both_sides_know_each_other() {
    let test = "backups_go_over_ssh_once_both_sides_know_each_other";
    if !has_restic(test) {
        return;
    }
    let hop = Hop::start();
    let Some(house) = House::new(&hop, test) else { return };
    app_with(&hop, "shop", MIB);
    let location = format!("sftp://root@127.0.0.1:{}/{}", house.port, house.directory.join("kept").display());
    let add = ["backup", "targets", "add", "house", &location];
    let sshd = house.serve();
    not_let_in(&hop, &add, "backup.stranger");
    house.introduce(&hop, "known_hosts");
    not_let_in(&hop, &add, "backup.denied");
    house.introduce(&hop, "id_ed25519");
    hop.hop3(add).expect_ok();
    let id = serves(&hop, "house");

    end(sshd);
    refused(&hop, &["backup", "create", "-a", "shop", "--to", "house"], "backup.unreachable");
    let sshd = house.serve();
    hop.hop3(["backup", "verify", &id]).expect_ok();
    create(&hop, &["-a", "shop", "--to", "house"]);
    assert_eq!(backups_at(&hop, "house"), 2);
    end(sshd);
}
