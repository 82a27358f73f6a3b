// SPDX-License-Identifier: Apache-2.0
//! `hop3 config`: what is set reaches the API as it was typed, and values are shown only where somebody asks.

use super::command::check;
use expect_test::expect;
use serde_json::json;

#[test]
fn config_set_keeps_everything_after_the_first_equals_sign() {
    let arguments = ["config", "set", "URL=a=b c", "EMPTY=", "-a", "shop"];
    check(
        "PATCH /api/apps/shop/config",
        json!({"release": 4}),
        &arguments,
        expect![[r#"
            PATCH /api/apps/shop/config {"set":{"EMPTY":"","URL":"a=b c"},"unset":[],"no_restart":false}
            --
            set 2 variables; shop v4 is live
            exit status 0
        "#]],
    );
}

#[test]
fn config_unset_can_wait_for_the_next_release() {
    let arguments = ["config", "unset", "DEBUG", "--no-restart", "-a", "shop"];
    check(
        "PATCH /api/apps/shop/config",
        json!({"release": null}),
        &arguments,
        expect![[r#"
            PATCH /api/apps/shop/config {"set":{},"unset":["DEBUG"],"no_restart":true}
            --
            removed 1 variable; it counts from the next release of shop on
            exit status 0
        "#]],
    );
}

#[test]
fn config_list_hides_values() {
    let answer = json!({"variables": {"SECRET": null, "DEBUG": null}});
    check(
        "GET /api/apps/shop/config",
        answer,
        &["config", "list", "-a", "shop"],
        expect![[r#"
        GET /api/apps/shop/config
        --
        KEY
        DEBUG
        SECRET
        exit status 0
    "#]],
    );
}

#[test]
fn config_list_with_show_can_be_imported_again() {
    let answer = json!({"variables": {"PEM": "-----BEGIN\nx=\n", "PLAIN": "1", "QUOTE": "it's \"$5\""}});
    check(
        "GET /api/apps/shop/config?show=true",
        answer,
        &["config", "list", "--show", "-a", "shop"],
        expect![[r#"
            GET /api/apps/shop/config?show=true
            --
            PEM='-----BEGIN
            x=
            '
            PLAIN=1
            QUOTE="it's \"\$5\""
            exit status 0
        "#]],
    );
}

#[test]
fn config_get_of_an_absent_key_is_not_found() {
    let arguments = ["config", "get", "NOPE", "-a", "shop"];
    check(
        "GET /api/apps/shop/config?show=true",
        json!({"variables": {}}),
        &arguments,
        expect![[r#"
        GET /api/apps/shop/config?show=true
        --
        error[config.no-such-key]: shop has no config variable NOPE
        hint: see them with: hop3 config list -a shop
        exit status 3
    "#]],
    );
}
