// SPDX-License-Identifier: Apache-2.0
//! The import corpus: what becomes a variable, byte for byte, and what is refused where.

use super::{parse, write};
use expect_test::{Expect, expect};

fn check(text: &str, expected: Expect) {
    let shown = match parse(".env", text) {
        Ok(variables) => variables.iter().map(|(key, value)| format!("{key} = {value:?}\n")).collect(),
        Err(problem) => crate::render::clean_lines(&problem.render()),
    };
    expected.assert_eq(&shown);
}

#[test]
fn ordinary_files() {
    check(
        "# comment\n\nA=1\nexport B=two words # told\n  C = spaced  \nD=#all comment\nE=a#b\nF=\nA=again\n",
        expect![[r#"
            A = "again"
            B = "two words"
            C = "spaced"
            D = ""
            E = "a#b"
            F = ""
        "#]],
    );
    check(
        "\u{feff}A=1\r\nB=2\r\n",
        expect![[r#"
        A = "1"
        B = "2"
    "#]],
    );
    check(
        "A=1",
        expect![[r#"
        A = "1"
    "#]],
    );
    check(
        "exported=1\nexport=2\n",
        expect![[r#"
        export = "2"
        exported = "1"
    "#]],
    );
    check("", expect![[""]]);
}

#[test]
fn quotes_and_lines() {
    check(
        "A='lit $HOME \\n \"x\"' # c\nB=\"esc \\\"q\\\" \\n\\t\\\\ \\$H `id` $(id)\"\n",
        expect![[r#"
        A = "lit $HOME \\n \"x\""
        B = "esc \"q\" \n\t\\ $H `id` $(id)"
    "#]],
    );
    check(
        "PEM=\"-----BEGIN KEY-----\nMII=\n-----END KEY-----\n\"\nNEXT='a\r\nb'\n",
        expect![[r#"
        NEXT = "a\r\nb"
        PEM = "-----BEGIN KEY-----\nMII=\n-----END KEY-----\n"
    "#]],
    );
    check(
        "A=it's\nB=say \"x\"\n",
        expect![[r#"
        A = "it's"
        B = "say \"x\""
    "#]],
    );
}

#[test]
fn nothing_is_expanded() {
    check(
        "A=${OTHER}\nB=$(id)\nC=`id`\nD=${{svc.X}}\nE=%n%s\nF==lead\n",
        expect![[r#"
        A = "${OTHER}"
        B = "$(id)"
        C = "`id`"
        D = "${{svc.X}}"
        E = "%n%s"
        F = "=lead"
    "#]],
    );
}

#[test]
fn refused_with_their_place() {
    let files = [
        "A=1\nno equals\n",
        "A B=1\n",
        "A;id=1\n",
        "=1\n",
        "1A=x\n",
        "É=x\n",
        "A='never\nclosed\n",
        "A=\"ends in \\",
        "A='x' y\n",
        "A=a\0b\n",
    ];
    let shown: String = files.iter().map(|text| parse(".env", text).unwrap_err().render() + "\n").collect();
    expect![[r#"
        error[config.bad-import]: .env cannot be imported: this line has no =
          --> .env:2:1
           | no equals
           | ^
        hint: write each variable as KEY=value

        error[config.bad-key]: "A B" is not a key for a config variable
          --> .env:1:1
           | A B=1
           | ^
        hint: a key is letters, digits and underscores, and does not begin with a digit

        error[config.bad-key]: "A;id" is not a key for a config variable
          --> .env:1:1
           | A;id=1
           | ^
        hint: a key is letters, digits and underscores, and does not begin with a digit

        error[config.bad-key]: "" is not a key for a config variable
          --> .env:1:1
           | =1
           | ^
        hint: a key is letters, digits and underscores, and does not begin with a digit

        error[config.bad-key]: "1A" is not a key for a config variable
          --> .env:1:1
           | 1A=x
           | ^
        hint: a key is letters, digits and underscores, and does not begin with a digit

        error[config.bad-key]: "É" is not a key for a config variable
          --> .env:1:1
           | É=x
           | ^
        hint: a key is letters, digits and underscores, and does not begin with a digit

        error[config.bad-import]: .env cannot be imported: this quote is never closed
          --> .env:1:3
           | A='never
           |   ^
        hint: close it with ', or quote the value with the other kind of quote

        error[config.bad-import]: .env cannot be imported: this quote is never closed
          --> .env:1:3
           | A="ends in \
           |   ^
        hint: close it with ", or quote the value with the other kind of quote

        error[config.bad-import]: .env cannot be imported: something follows the closing quote
          --> .env:1:7
           | A='x' y
           |       ^
        hint: quote the whole value

        error[config.bad-import]: .env cannot be imported: the value has a NUL byte, which no environment can hold
          --> .env:1:3
           | A=a b
           |   ^

    "#]].assert_eq(&crate::render::clean_lines(&shown));
}

#[test]
fn what_is_written_is_read_back_byte_for_byte() {
    let values = [
        "",
        " ",
        "plain",
        "a b",
        "a\nb\n",
        "\r\n",
        "it's",
        "\"",
        "'\"",
        "$HOME",
        "`id`",
        "#x",
        "a #b",
        "\\",
        "\\n",
        "'\\n",
        "'\\\r$`\"",
        "=x",
        "\t",
        "trailing ",
        "-----BEGIN-----\nabc=\n-----END-----\n",
        "é\u{202e}",
        "\u{1b}[2J",
    ];
    for value in values {
        let key = "KEY".parse().unwrap();
        let text = write(&key, value);
        let read = parse("x", &format!("A=1\n{text}B=2\n")).unwrap();
        assert_eq!(read.get(&key).map(String::as_str), Some(value), "{text}");
        assert_eq!(read.len(), 3, "{text}");
    }
}
