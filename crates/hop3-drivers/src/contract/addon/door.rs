// SPDX-License-Identifier: Apache-2.0
//! Who may come in: the addon's own, with what it was told, and nobody else.

use super::ground::{Judge, Made, Verdict, credential, with};
use super::writer::Writer;
use hop3_core::addon::{Binding, Credential};
use hop3_core::secret::Secret;

/// Making twice is making once.
pub(super) fn creates(judge: &Judge<'_>) -> Verdict {
    let made = judge.make("creates")?;
    judge.ground.client.write(&made.binding, "key", "kept")?;
    judge.driver().serve(&made.wanted.server)?;
    let again = judge.driver().provision(&made.wanted)?;
    let mut wrong = Vec::new();
    if variables(&again) != variables(&made.binding) {
        wrong.push("making it again tells apps something else".to_owned());
    }
    // What nothing keeps may be gone; what is kept is as it was.
    if judge.driver().facts().capabilities.backs_up {
        wrong.extend(judge.holds(&again, "key", Some("kept")));
        judge.ground.client.write(&again, "key", "changed")?;
        wrong.extend(judge.holds(&made.binding, "key", Some("changed")));
    }
    let status = judge.driver().status(&made.wanted)?;
    if !status.is_up {
        wrong.push(format!("it is said to be down: {:?}", status.trouble));
    }
    Ok(wrong)
}

fn variables(binding: &Binding) -> Vec<(String, &str)> {
    binding.variables.iter().map(|(key, value)| (key.to_string(), value.expose().as_str())).collect()
}

/// One addon's credential is nothing to another addon.
pub(super) fn strangers(judge: &Judge<'_>) -> Verdict {
    let own = judge.make("own")?;
    let other = judge.make("other")?;
    judge.ground.client.write(&own.binding, "key", "of own")?;
    judge.ground.client.write(&other.binding, "key", "of other")?;
    let pass = |made: &Made| judge.ground.client.pass(made.wanted.credential(), &made.binding);
    let (mine, theirs) = (&pass(&own), &pass(&other));
    let named = |user: &str, password: &str| Credential {
        user: user.to_owned(),
        password: Secret::new(password.to_owned()),
    };
    if !is_told(&own.binding, mine) || !is_told(&other.binding, theirs) {
        return Ok(vec!["apps are not told what lets them in".to_owned()]);
    }
    let at_other = |who: &Credential| with(&other.binding, theirs, who);
    // He is refused, or led to what is his own: where a user belongs to one place, he cannot name another.
    let mut wrong = judge.is_no_guest("another addon's user", &at_other(mine), &other.binding, "of other");
    judge.ground.client.write(&own.binding, "key", "of own")?;
    wrong.extend(judge.is_refused("a wrong password", &at_other(&named(&theirs.user, "wrong"))));
    wrong.extend(judge.is_refused("no password", &at_other(&named(&theirs.user, ""))));
    let crossed = named(&theirs.user, mine.password.expose());
    wrong.extend(judge.is_refused("another addon's password", &at_other(&crossed)));
    let unknown = named("nobody_1_1", theirs.password.expose());
    if unknown.user != theirs.user {
        wrong.extend(judge.is_refused("an unknown user", &at_other(&unknown)));
    }
    wrong.extend(judge.holds(&own.binding, "key", Some("of own")));
    wrong.extend(judge.holds(&other.binding, "key", Some("of other")));
    Ok(wrong)
}

/// Otherwise nothing below would be tried.
fn is_told(binding: &Binding, credential: &Credential) -> bool {
    let password = credential.password.expose();
    binding.variables.values().any(|value| value.expose().contains(password.as_str()))
}

/// A password is changed while an app writes, and no write fails.
pub(super) fn rotates(judge: &Judge<'_>) -> Verdict {
    let made = judge.make("rotates")?;
    let mut wrong = Vec::new();
    let mut wanted = made.wanted.clone();
    let mut told = made.binding.clone();
    let (_, written) = Writer::beside(judge.ground.client, &made.binding, |writer| {
        writer.more(3)?;
        for number in 2..=3 {
            let former = told.clone();
            wanted.credentials.push(credential(&wanted.database, number));
            told = judge.driver().provision(&wanted)?;
            // Both are valid, and what one wrote the other one may change.
            for (who, binding) in [("new", &told), ("old", &former), ("new", &told)] {
                judge
                    .ground
                    .client
                    .write(binding, "shared", who)
                    .map_err(|e| format!("the {who} one: {e}"))?;
                wrong.extend(judge.holds(&former, "shared", Some(who)));
            }
            writer.more(3)?;
            writer.tell(&told)?;
            wanted.credentials.remove(0);
            told = judge.driver().provision(&wanted)?;
            writer.more(3)?;
            wrong.extend(judge.is_refused("a former password", &former));
            wrong.extend(judge.holds(&told, "shared", Some("new")));
        }
        Ok(())
    })?;
    let failed = written.failed.iter();
    wrong.extend(failed.map(|(number, said)| format!("write {number} failed with a valid password: {said}")));
    Ok(wrong)
}

/// All are told at once that they may no longer come in; whoever comes later may.
pub(super) fn closes(judge: &Judge<'_>) -> Verdict {
    let made = judge.make("closes")?;
    judge.ground.client.write(&made.binding, "key", "kept")?;
    let mut closed = made.wanted.clone();
    closed.credentials = vec![credential(&closed.database, 2)];
    let inside = judge.driver().provision(&closed)?;
    let mut wrong = judge.is_refused("whoever was let in before", &made.binding);
    wrong.extend(judge.holds(&inside, "key", Some("kept")));
    let opened = judge.driver().provision(&made.wanted)?;
    wrong.extend(judge.is_refused("whoever was let in meanwhile", &inside));
    wrong.extend(judge.holds(&opened, "key", Some("kept")));
    Ok(wrong)
}
