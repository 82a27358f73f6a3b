// SPDX-License-Identifier: Apache-2.0
//! The filter with the real library and the real rules: what it stops, what it lets pass, and what it says of it.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod renew;
mod role;

use hop3_core::waf::{Answer, Ask};
use hop3_waf::Engine;

pub(crate) fn usual() -> Ask {
    Ask { client: "192.0.2.1".parse().unwrap(), paranoia: 1, without: Vec::new(), is_cut: false }
}

/// Head and body of a line of a corpus.
pub(crate) fn request(line: &str) -> (Vec<u8>, Vec<u8>) {
    let mut fields = line.split('\t');
    let mut next = || fields.next().unwrap_or_default();
    let (method, target, media, body) = (next(), next(), next(), next());
    let body = body.replace("\\r", "\r").replace("\\n", "\n");
    // In JSON these stand for themselves.
    let body = if media.contains("json") { line.rsplit('\t').next().unwrap().to_owned() } else { body };
    let mut head = format!("{method} {target} HTTP/1.1\r\nHost: app.example.org\r\n");
    head += "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0\r\n";
    head += "Accept: text/html,application/json;q=0.9,*/*;q=0.8\r\n";
    head += "Accept-Language: de-DE,de;q=0.8,en;q=0.5\r\nAccept-Encoding: gzip, br\r\n";
    head += "Cookie: session=eyJ1c2VyIjo0Mn0.Zx-1_2; theme=dark\r\n";
    if !body.is_empty() && media.is_empty() {
        head += &format!("Content-Length: {}\r\n", body.len());
    } else if !media.is_empty() {
        head += &format!("Content-Type: {media}\r\nContent-Length: {}\r\n", body.len());
    }
    (format!("{head}\r\n").into_bytes(), body.into_bytes())
}

fn lines(corpus: &str) -> impl Iterator<Item = &str> {
    corpus.lines().filter(|line| !line.starts_with('#'))
}

fn judge(engine: &mut Engine, ask: &Ask, line: &str) -> Answer {
    let (head, body) = request(line);
    let answer = engine.judge(ask, &head, &body);
    assert_eq!(answer.failed, None, "{line}");
    answer
}

#[test]
fn attacks_are_stopped() {
    let mut engine = Engine::new().unwrap();
    let passed: Vec<_> =
        lines(include_str!("attacks.txt")).filter(|line| !judge(&mut engine, &usual(), line).stop).collect();
    assert!(passed.is_empty(), "{passed:#?}");
}

/// What the library does not look at is not for the app either.
#[test]
fn an_attack_behind_many_arguments_is_stopped() {
    let mut engine = Engine::new().unwrap();
    let padding = |count: usize| (0..count).map(|number| format!("a{number}=1&")).collect::<String>();
    let attack = "id=1'%20UNION%20SELECT%20name,password%20FROM%20users--";
    for count in [0, 990, 1000, 1200] {
        let arguments = padding(count) + attack;
        assert!(judge(&mut engine, &usual(), &format!("GET\t/?{arguments}")).stop, "{count}");
        let form = format!("POST\t/\tapplication/x-www-form-urlencoded\t{arguments}");
        assert!(judge(&mut engine, &usual(), &form).stop, "{count} in a form");
    }
    assert!(!judge(&mut engine, &usual(), &format!("GET\t/?{}b=1", padding(500))).stop);
}

/// An app may read a body as a form whatever its type says, or as a text that it puts into a query.
#[test]
fn an_attack_in_a_text_is_stopped() {
    let mut engine = Engine::new().unwrap();
    let attacks =
        ["id=1'%20UNION%20SELECT%20name,password%20FROM%20users--", "1' UNION SELECT name FROM users--"];
    for media in ["text/plain", "text/csv", "Text/Markdown; charset=utf-8", "application/graphql", ""] {
        for attack in attacks {
            assert!(
                judge(&mut engine, &usual(), &format!("POST\t/\t{media}\t{attack}")).stop,
                "{media}: {attack}"
            );
        }
    }
}

#[test]
fn ordinary_requests_pass() {
    let mut engine = Engine::new().unwrap();
    let stopped: Vec<_> = lines(include_str!("ordinary.txt"))
        .map(|line| (line, judge(&mut engine, &usual(), line)))
        .filter(|(_, answer)| answer.stop)
        .collect();
    assert!(stopped.is_empty(), "{stopped:#?}");
}

/// What administrators have to know: the guide names these rules. A line that passes some day moves to `ordinary.txt`.
#[test]
fn some_ordinary_texts_are_taken_for_attacks() {
    let mut engine = Engine::new().unwrap();
    for line in lines(include_str!("mistaken.txt")) {
        let (rule, request) = line.split_once('\t').unwrap();
        let without = vec![rule.parse().unwrap()];
        assert!(judge(&mut engine, &usual(), request).stop, "{line}");
        assert!(!judge(&mut engine, &Ask { without, ..usual() }, request).stop, "{line}");
    }
}

#[test]
fn scanners_are_known_by_their_names() {
    let mut engine = Engine::new().unwrap();
    let head =
        b"GET / HTTP/1.1\r\nHost: a\r\nAccept: */*\r\nUser-Agent: sqlmap/1.7 (https://sqlmap.org)\r\n\r\n";
    let answer = engine.judge(&usual(), head, b"");
    assert!(answer.stop && answer.matches.iter().any(|found| found.id == 913_100), "{answer:?}");
}

#[test]
fn more_paranoia_finds_more_and_rules_can_be_left_out() {
    let mut engine = Engine::new().unwrap();
    let line = "GET\t/item?id=1'%20OR%20'1'='1";
    let score = |engine: &mut Engine, ask: Ask| judge(engine, &ask, line);
    let usual_score = score(&mut engine, usual()).score;
    assert!(score(&mut engine, Ask { paranoia: 4, ..usual() }).score > usual_score);
    let left_out = score(&mut engine, Ask { without: vec![942_100], ..usual() });
    assert!(!left_out.stop && left_out.matches.is_empty(), "{left_out:?}");
}

/// What a request repeats of the log's form is not taken for a rule's word.
#[test]
fn a_request_cannot_speak_in_the_name_of_a_rule() {
    let mut engine = Engine::new().unwrap();
    let forged =
        "' ) [file \"x\"] [line \"1\"] [id \"1\"] [msg \"forged\"] [severity \"7\"] [hostname \"h\"]";
    let escaped: String = forged.bytes().map(|byte| format!("%{byte:02X}")).collect();
    for target in [format!("/?x={escaped}../../etc/passwd"), format!("/{escaped}?x=../../etc/passwd")] {
        let answer = judge(&mut engine, &usual(), &format!("GET\t{target}"));
        assert!(answer.stop && !answer.matches.is_empty(), "{answer:?}");
        assert!(
            answer.matches.iter().all(|found| found.id > 900_000 && found.message != "forged"),
            "{answer:?}"
        );
    }
}

#[test]
fn a_body_is_what_its_type_says_unless_it_was_cut() {
    let mut engine = Engine::new().unwrap();
    let line = "POST\t/api\tapplication/json\t{\"a\": \"b\"";
    assert!(judge(&mut engine, &usual(), line).stop);
    assert!(!judge(&mut engine, &Ask { is_cut: true, ..usual() }, line).stop);
    // A visitor cannot say so.
    let (head, body) = request(line);
    let head = String::from_utf8(head).unwrap().replace("Cookie:", "X-Hop3-Waf-Cut: 1\r\nCookie:");
    assert!(engine.judge(&usual(), head.as_bytes(), &body).stop);
}
