// SPDX-License-Identifier: Apache-2.0
//! Mail that Python's own library sends: kept as files, or handed on by one server to another.

use crate::clients::answer;
use crate::world::World;
use hop3_core::addon::{Binding, Credential};
use hop3_core::secret::Secret;
use std::path::PathBuf;
use std::process::Command;

const CLIENT: &str = r#"
import email.message, os, smtplib, sys
message = email.message.EmailMessage()
message["Subject"], message["From"], message["To"] = sys.argv[1], "shop@example.org", "ada@example.org"
message.set_content("Grüße\n.\n..\nFrom nobody\n")
with smtplib.SMTP(os.environ["SMTP_HOST"], int(os.environ["SMTP_PORT"])) as smtp:
    smtp.login(os.environ["SMTP_USER"], os.environ["SMTP_PASSWORD"])
    smtp.send_message(message)
"#;

fn send(binding: &Binding, subject: &str) -> Result<String, String> {
    answer(binding, Command::new("/usr/bin/python3").args(["-c", CLIENT, subject]), "")
}

fn url_of(binding: &Binding) -> String {
    binding.variables[&"SMTP_URL".parse().unwrap()].expose().clone()
}

/// An addon that keeps its messages.
fn inbox(world: &World) -> (hop3_core::addon::WantedAddon, Binding, PathBuf) {
    let mut addon = world.bare("inbox_1");
    addon.settings.insert("inbox".into(), "yes".into());
    world.driver.serve(&addon.server).unwrap();
    let binding = world.driver.provision(&addon).unwrap();
    let directory = world.layout.addon_server(&addon.server.name).join("inbox");
    (addon, binding, directory)
}

fn messages(directory: &PathBuf) -> Vec<String> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(directory).unwrap().map(|e| e.unwrap().path()).collect();
    files.sort();
    files.iter().map(|file| std::fs::read_to_string(file).unwrap()).collect()
}

pub(crate) fn inbox_keeps(world: &World) {
    let (addon, binding, directory) = inbox(world);
    for subject in ["first", "second"] {
        send(&binding, subject).unwrap();
    }
    let kept = messages(&directory);
    assert_eq!(kept.len(), 2);
    assert!(kept[0].starts_with("Return-Path: <shop@example.org>\r\nDelivered-To: ada@example.org\r\n"));
    assert!(kept[0].contains("Subject: first\r\n") && kept[1].contains("Subject: second\r\n"), "{kept:?}");
    assert!(kept[0].contains("\r\n.\r\n..\r\n"), "{}", kept[0]);

    // Carried away and brought back; the same password goes on.
    let mut backup = Vec::new();
    world.driver.backup(&addon, None, &mut backup).unwrap();
    send(&binding, "third").unwrap();
    world.driver.restore(&addon, &mut backup.as_slice()).unwrap();
    assert_eq!(messages(&directory), kept);
    let again = world.driver.provision(&addon).unwrap();
    assert_eq!(url_of(&again), url_of(&binding));
    assert!(world.driver.restore(&addon, &mut &b"no archive"[..]).is_err());
    assert_eq!(messages(&directory), kept);

    world.stop(&addon.server);
    assert!(!world.driver.status(&addon).unwrap().is_up);
    world.driver.serve(&addon.server).unwrap();
    send(&binding, "after").unwrap();
    assert_eq!(messages(&directory).len(), 3);
    world.driver.destroy(&addon).unwrap();
    assert!(send(&binding, "late").unwrap_err().contains("535"));
    world.driver.retire(&addon.server).unwrap();
}

pub(crate) fn relays(world: &World) {
    let (far, told, directory) = inbox(world);
    let mut addon = world.bare("relay_1");
    addon.server.name = "mail-101".parse().unwrap();
    addon.settings.insert("tls".into(), "no".into());
    addon.credentials[0].password = Secret::new(url_of(&told));
    world.driver.serve(&addon.server).unwrap();
    let first = world.driver.provision(&addon).unwrap();
    assert!(world.driver.status(&addon).unwrap().is_up);
    send(&first, "relayed").unwrap();
    assert!(messages(&directory)[0].contains("Subject: relayed\r\n"));

    // Another smarthost: both users are valid until the former one goes.
    addon.credentials.push(Credential { user: "relay_1_2".into(), password: Secret::new(url_of(&told)) });
    let second = world.driver.provision(&addon).unwrap();
    for binding in [&first, &second] {
        send(binding, "both").unwrap();
    }
    addon.credentials.remove(0);
    world.driver.provision(&addon).unwrap();
    assert!(send(&first, "former").unwrap_err().contains("535"));
    send(&second, "newest").unwrap();
    assert_eq!(messages(&directory).len(), 4);

    // Without TLS no password is said; a smarthost that is away is told, and the app hears it.
    addon.settings.remove("tls");
    world.driver.provision(&addon).unwrap();
    assert!(send(&second, "clear").unwrap_err().contains("STARTTLS"));
    addon.settings.insert("tls".into(), "no".into());
    world.driver.provision(&addon).unwrap();
    world.driver.retire(&far.server).unwrap();
    let status = world.driver.status(&addon).unwrap();
    assert!(!status.is_up && status.trouble.unwrap().contains("does not answer"));
    assert!(send(&second, "away").unwrap_err().contains("451"));
    addon.credentials[0].password = Secret::new("hunter2".into());
    let problem = world.driver.provision(&addon).err().unwrap();
    assert!(problem.hint.contains("inbox=yes") && !format!("{problem:?}").contains("hunter2"), "{problem:?}");
    world.driver.retire(&addon.server).unwrap();
}
