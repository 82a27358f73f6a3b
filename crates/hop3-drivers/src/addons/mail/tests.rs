// SPDX-License-Identifier: Apache-2.0
//! A session by its words, and a smarthost that insists on TLS.

use super::relay::Smarthost;
use super::session::{Message, Reply, Session};
use super::settings::{Settings, Tls, User, Way};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::pki_types::PrivateKeyDer;
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

fn settings() -> std::io::Result<Settings> {
    let user = User { password: "secret".to_owned(), way: Way::Inbox };
    Ok(Settings { port: 0, users: BTreeMap::from([("shop_1".to_owned(), user)]) })
}

/// Says all of this at once; gives what is answered and what was delivered.
fn said(words: &str) -> (String, Vec<(String, Vec<String>, String)>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (stream, _) = listener.accept().unwrap();
    client.write_all(words.as_bytes()).unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    let delivered = Mutex::new(Vec::new());
    let deliver = |message: &Message, _: &Way| {
        let text = String::from_utf8_lossy(&message.text).into_owned();
        delivered.lock().unwrap().push((message.from.clone(), message.to.clone(), text));
        Reply::new(250, "2.0.0 taken")
    };
    // One that is cut off by a rule ends with an error.
    let _ = Session::new(stream, &settings, &deliver).run();
    let mut answer = String::new();
    let _ = client.read_to_string(&mut answer);
    (answer, delivered.into_inner().unwrap())
}

/// `\0shop_1\0secret`
const PLAIN: &str = "AUTH PLAIN AHNob3BfMQBzZWNyZXQ=\r\n";

#[test]
fn a_message_is_taken_from_whoever_signed_in() {
    let words = format!(
        "EHLO app\r\n{PLAIN}MAIL FROM:<a@b.org> SIZE=9 BODY=8BITMIME\r\nRCPT TO:<c@d.org>\r\nRCPT TO:<e@f.org>\r\n\
         DATA\r\nSubject: x\r\n\r\n..dot\r\n.\r\nQUIT\r\n"
    );
    let (answer, delivered) = said(&words);
    assert_eq!(delivered.len(), 1, "{answer}");
    let (from, to, text) = &delivered[0];
    assert_eq!((from.as_str(), to.join(" ").as_str()), ("a@b.org", "c@d.org e@f.org"));
    assert_eq!(text, "Subject: x\r\n\r\n.dot\r\n");
    assert!(answer.ends_with("221 2.0.0 bye\r\n"), "{answer}");
    // LOGIN, in both of its forms.
    for words in [
        "AUTH LOGIN\r\nc2hvcF8x\r\nc2VjcmV0\r\n",
        "AUTH LOGIN c2hvcF8x\r\nc2VjcmV0\r\n",
        "AUTH PLAIN\r\nAHNob3BfMQBzZWNyZXQ=\r\n",
    ] {
        assert!(said(words).0.contains("235 "), "{words}");
    }
}

#[test]
fn strangers_send_nothing() {
    for words in [
        "MAIL FROM:<a@b.org>\r\nRCPT TO:<c@d.org>\r\nDATA\r\nx\r\n.\r\n",
        "AUTH PLAIN AHNob3BfMQB3cm9uZw==\r\nMAIL FROM:<a@b.org>\r\nRCPT TO:<c@d.org>\r\nDATA\r\nx\r\n.\r\n",
        "AUTH PLAIN !!!\r\nMAIL FROM:<a@b.org>\r\nRCPT TO:<c@d.org>\r\nDATA\r\nx\r\n.\r\n",
        "AUTH PLAIN AAA=\r\nMAIL FROM:<a@b.org>\r\nRCPT TO:<c@d.org>\r\nDATA\r\nx\r\n.\r\n",
    ] {
        let (answer, delivered) = said(words);
        assert!(delivered.is_empty() && answer.contains("530 ") && !answer.contains("235 "), "{answer}");
    }
    let (answer, _) = said(&"AUTH PLAIN AHNob3BfMQB3cm9uZw==\r\n".repeat(9));
    assert_eq!(answer.matches("535 ").count(), 3, "{answer}");
}

#[test]
fn nothing_is_smuggled() {
    let begin = format!("{PLAIN}MAIL FROM:<a@b.org>\r\nRCPT TO:<c@d.org>\r\nDATA\r\nfirst\r\n");
    let second = "MAIL FROM:<evil@b.org>\r\nRCPT TO:<c@d.org>\r\nDATA\r\nsecond\r\n.\r\n";
    for end in ["\n.\n", "\r.\r", "x\n.\r\n", "x\r\n.\n", "x\r.\r\n"] {
        let (answer, delivered) = said(&format!("{begin}{end}{second}"));
        assert!(delivered.is_empty() && answer.contains("500 "), "{end:?}: {answer} {delivered:?}");
    }
    for path in ["<a@b.org\u{1}>", "<a b>", "<a@b> <c@d>x", "a@b.org", "<a@b.org", "<<a@b>>", "<ä@b>"] {
        let (_, delivered) =
            said(&format!("{PLAIN}MAIL FROM:{path}\r\nRCPT TO:{path}\r\nDATA\r\nx\r\n.\r\n"));
        let named = delivered.iter().all(|(from, to, _)| from == "a@b" && to == &["a@b"]);
        assert!(named, "{path:?}: {delivered:?}");
    }
    let (answer, delivered) =
        said(&format!("{PLAIN}MAIL FROM:<a@b>\r\n{}DATA\r\nx\r\n", "RCPT TO:<c@d>\r\n".repeat(101)));
    assert!(delivered.is_empty() && answer.contains("452 "), "{answer}");
}

/// A smarthost for one connection: TLS from the first byte or by STARTTLS, one user, and what it was told.
fn smarthost(tls: Tls) -> (u16, RootCertStore, std::thread::JoinHandle<Vec<String>>) {
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(cert.der().clone()).unwrap();
    let key = PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = config.with_no_client_auth().with_single_cert(vec![cert.der().clone()], key).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let thread = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut heard = Vec::new();
        if tls == Tls::Upgrade {
            stream.write_all(b"220 in the clear\r\n").unwrap();
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok);
            heard.extend(lines.next());
            stream.write_all(b"250-hi\r\n250 STARTTLS\r\n").unwrap();
            heard.extend(lines.next());
            stream.write_all(b"220 go\r\n").unwrap();
        }
        let connection = ServerConnection::new(Arc::new(config)).unwrap();
        let mut secure = BufReader::new(StreamOwned::new(connection, stream));
        if tls == Tls::Whole {
            let _ = secure.get_mut().write_all(b"220 hi\r\n");
        }
        let mut in_data = false;
        let mut line = String::new();
        while matches!(secure.read_line(&mut line), Ok(1..)) {
            let said = line.trim_end().to_owned();
            line.clear();
            let answer = match said.split(' ').next().unwrap() {
                "." => "250 2.0.0 queued as 42\r\n",
                _ if in_data => "",
                "EHLO" => "250-hi\r\n250-AUTH LOGIN PLAIN\r\n250 8BITMIME\r\n",
                "AUTH" => "235 welcome\r\n",
                "DATA" => "354 go on\r\n",
                "RCPT" if said.contains("unknown") => "550 5.1.1 unknown\r\n",
                _ => "250 fine\r\n",
            };
            in_data = said == "DATA" || in_data && said != ".";
            heard.push(said);
            if secure.get_mut().write_all(answer.as_bytes()).is_err() {
                break;
            }
        }
        heard
    });
    (port, roots, thread)
}

fn message(to: &str) -> Message {
    Message {
        from: "a@b.org".into(),
        to: vec![to.into()],
        text: "Subject: ä\r\n\r\n.dot\r\n".as_bytes().to_vec(),
    }
}

#[test]
fn a_smarthost_gets_messages_over_tls_alone() {
    for (tls, scheme) in [(Tls::Upgrade, "smtp"), (Tls::Whole, "smtps")] {
        let (port, roots, thread) = smarthost(tls);
        let url = format!("{scheme}://me:pass%20word@localhost:{port}");
        let smarthost = Smarthost::trusting(&url, tls, roots).unwrap();
        let reply = smarthost.send(&message("c@d.org")).unwrap();
        assert_eq!(reply, Reply::new(250, "2.0.0 queued as 42"));
        let heard = thread.join().unwrap();
        let wanted = ["AUTH PLAIN AG1lAHBhc3Mgd29yZA==", "MAIL FROM:<a@b.org> BODY=8BITMIME", "..dot"];
        assert!(wanted.iter().all(|line| heard.iter().any(|said| said == line)), "{heard:?}");
    }
}

#[test]
fn a_smarthost_that_is_not_who_it_should_be_hears_no_password() {
    for (tls, scheme) in [(Tls::Upgrade, "smtp"), (Tls::Whole, "smtps")] {
        let (port, _, thread) = smarthost(tls);
        let url = format!("{scheme}://me:hunter2@localhost:{port}");
        let stranger = Smarthost::trusting(&url, tls, RootCertStore::empty()).unwrap();
        let reply = stranger.send(&message("c@d.org")).unwrap_err();
        assert!(reply.code == 451 && !reply.text.contains("hunter2"), "{reply}");
        assert!(!thread.join().unwrap().iter().any(|said| said.starts_with("AUTH")));
    }
    // Neither does one whose certificate has another name.
    let (port, roots, thread) = smarthost(Tls::Upgrade);
    let url = format!("smtp://me:hunter2@127.0.0.1:{port}");
    let other_name = Smarthost::trusting(&url, Tls::Upgrade, roots).unwrap();
    assert_eq!(other_name.send(&message("c@d.org")).unwrap_err().code, 451);
    assert!(!thread.join().unwrap().iter().any(|said| said.starts_with("AUTH")));
}

#[test]
fn what_a_smarthost_refuses_its_app_is_refused() {
    let (port, roots, thread) = smarthost(Tls::Whole);
    let smarthost =
        Smarthost::trusting(&format!("smtps://me:p@localhost:{port}"), Tls::Whole, roots).unwrap();
    let reply = smarthost.send(&message("unknown@d.org")).unwrap_err();
    assert_eq!(reply, Reply::new(550, "5.1.1 unknown"));
    assert!(!thread.join().unwrap().iter().any(|said| said == "DATA"));
    let silent = Smarthost::trusting("smtp://localhost:1", Tls::No, RootCertStore::empty()).unwrap();
    assert_eq!(silent.send(&message("c@d.org")).unwrap_err().code, 451);
}
