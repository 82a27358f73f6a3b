// SPDX-License-Identifier: Apache-2.0
//! What the server is told: its configuration, and Erlang that it evaluates. Names and passwords are Hop3's own
//! making, checked once more where they are put between quotes.

use super::ADMIN;
use crate::addons::{number, plain};
use hop3_core::Problem;
use hop3_core::addon::{AddonServer, WantedAddon};

/// What stays as it is while the server runs.
pub(super) fn config(server: &AddonServer) -> Result<String, Problem> {
    let password = plain(server.password.expose())?;
    Ok(format!(
        "listeners.tcp.1 = 127.0.0.1:{}\n\
         default_user = {ADMIN}\n\
         default_pass = {password}\n\
         loopback_users = none\n\
         disk_free_limit.absolute = 100MB\n\
         log.console = true\n\
         log.console.level = warning\n",
        server.port
    ))
}

/// The virtual host, exactly these users, and their end where they are no more: their connections are closed.
pub(super) fn provision(addon: &WantedAddon) -> Result<String, Problem> {
    let users = addon.credentials.iter().map(|credential| {
        let (user, password) = (plain(&credential.user)?, plain(credential.password.expose())?);
        Ok(format!("{{<<\"{user}\">>, <<\"{password}\">>}}"))
    });
    let users: Vec<String> = users.collect::<Result<_, Problem>>()?;
    let limit = match addon.settings.get("connections") {
        Some(limit) => format!("[{{<<\"max-connections\">>, {}}}]", number("connections", limit)?),
        None => "[]".to_owned(),
    };
    Ok(format!(
        r#"Host = <<"{}">>, By = <<"{ADMIN}">>, Users = [{}],
        case rabbit_vhost:exists(Host) of true -> ok; false -> rabbit_vhost:add(Host, By) end,
        Known = [proplists:get_value(user, User) || User <- rabbit_auth_backend_internal:list_users()],
        lists:foreach(fun({{User, Password}}) ->
            case lists:member(User, Known) of
                false -> ok = rabbit_auth_backend_internal:add_user(User, Password, By);
                true ->
                    case rabbit_auth_backend_internal:user_login_authentication(User, [{{password, Password}}]) of
                        {{ok, _}} -> ok;
                        _ -> ok = rabbit_auth_backend_internal:change_password(User, Password, By)
                    end
            end,
            ok = rabbit_auth_backend_internal:set_permissions(User, Host, <<".*">>, <<".*">>, <<".*">>, By)
        end, Users),
        {FORGET},
        ok = rabbit_vhost_limit:set(Host, {limit}, By),
        ok.
        "#,
        plain(&addon.database)?,
        users.join(", ")
    ))
}

/// Ends users of the virtual host that are not among `Users`.
const FORGET: &str = "Present = [proplists:get_value(user, Row) || \
         Row <- rabbit_auth_backend_internal:list_vhost_permissions(Host)],
        [rabbit_auth_backend_internal:delete_user(User, By) || User <- Present, User =/= By, \
         not lists:keymember(User, 1, Users)]";

pub(super) fn destroy(addon: &WantedAddon) -> Result<String, Problem> {
    Ok(format!(
        r#"Host = <<"{}">>, By = <<"{ADMIN}">>, Users = [],
        case rabbit_vhost:exists(Host) of
            true -> {FORGET}, rabbit_vhost:delete(Host, By);
            false -> ok
        end,
        ok.
        "#,
        plain(&addon.database)?
    ))
}
