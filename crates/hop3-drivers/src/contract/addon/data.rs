// SPDX-License-Identifier: Apache-2.0
//! What is written out, read back and removed.

use super::ground::{Judge, Made, Verdict};
use super::writer::{Writer, key_of};

/// A backup beside writes is one moment, and can be read back into another addon as often as one likes.
pub(super) fn carries(judge: &Judge<'_>) -> Verdict {
    let from = judge.make("carries")?;
    let to = judge.make("copy")?;
    judge.ground.client.write(&to.binding, "former", "gone")?;
    let (backup, _) = Writer::beside(judge.ground.client, &from.binding, |writer| {
        writer.more(10)?;
        let mut backup = Vec::new();
        judge.driver().backup(&from.wanted, None, &mut backup)?;
        writer.more(3)?;
        Ok(backup)
    })?;
    let mut wrong = Vec::new();
    for turn in ["once", "twice"] {
        judge.driver().restore(&to.wanted, &mut backup.as_slice())?;
        let moment = moment(judge, &to)?;
        wrong.extend(moment.into_iter().map(|word| format!("restored {turn}: {word}")));
        wrong.extend(judge.holds(&to.binding, "former", None));
        wrong.extend(judge.holds(&to.binding, "since", None));
        judge.ground.client.write(&to.binding, "since", "gone")?;
        judge.ground.client.write(&to.binding, "first", "changed")?;
        wrong.extend(judge.holds(&to.binding, "first", Some("changed")));
    }
    // What it is from goes on as it is.
    judge.ground.client.write(&from.binding, "first", "goes on")?;
    wrong.extend(judge.holds(&from.binding, "since", None));
    Ok(wrong)
}

/// Everything up to a number is there and nothing after it.
fn moment(judge: &Judge<'_>, made: &Made) -> Verdict {
    let read = |key: &str| judge.ground.client.read(&made.binding, key);
    let number = |key: &str| -> Result<u64, Box<dyn std::error::Error>> {
        Ok(read(key)?.ok_or_else(|| format!("there is no {key}"))?.parse()?)
    };
    let (first, second) = (number("first")?, number("second")?);
    let mut wrong = Vec::new();
    if first != second && first != second + 1 {
        wrong.push(format!("not one moment: first is {first}, second is {second}"));
    }
    for number in 1..=second {
        wrong.extend(judge.holds(&made.binding, &key_of(number), Some(&number.to_string())));
    }
    wrong.extend(judge.holds(&made.binding, &key_of(first + 1), None));
    Ok(wrong)
}

/// What is counted with a backup beside writes is what the backup holds, and whoever has another count is found out.
pub(super) fn counts(judge: &Judge<'_>) -> Verdict {
    let Some(counts) = judge.driver().counts() else { return Ok(Vec::new()) };
    let from = judge.make("counted")?;
    let to = judge.make("recounted")?;
    let (saved, _) = Writer::beside(judge.ground.client, &from.binding, |writer| {
        writer.more(10)?;
        let mut backup = Vec::new();
        let held = counts.backup_counted(&from.wanted, &mut backup)?;
        writer.more(3)?;
        Ok((backup, held))
    })?;
    let (backup, held) = saved;
    let Some(held) = held else { return Ok(vec!["nothing was counted".to_owned()]) };
    judge.driver().restore(&to.wanted, &mut backup.as_slice())?;
    let restored = || -> Result<_, Box<dyn std::error::Error>> {
        Ok(counts.count(&to.wanted)?.ok_or("nothing was counted afterwards")?)
    };
    let mut wrong = held.differences(&restored()?);
    if held.total() < 10 {
        wrong.push(format!("only {held} were counted"));
    }
    judge.ground.client.write(&to.binding, "one-more", "is found out")?;
    if held.differences(&restored()?).is_empty() {
        wrong.push("one more is not found out".to_owned());
    }
    Ok(wrong)
}

/// What is no backup, or not a whole one, changes nothing.
pub(super) fn refuses(judge: &Judge<'_>) -> Verdict {
    let made = judge.make("refuses")?;
    for number in 0..50 {
        judge.ground.client.write(&made.binding, &format!("key-{number}"), "kept")?;
    }
    let mut backup = Vec::new();
    judge.driver().backup(&made.wanted, None, &mut backup)?;
    judge.ground.client.write(&made.binding, "key-1", "since")?;
    let half = backup.get(..backup.len() / 2).unwrap_or_default();
    let all_but_the_end = backup.get(..backup.len().saturating_sub(9)).unwrap_or_default();
    let mut wrong = Vec::new();
    let garbage: [(&str, &[u8]); 5] = [
        ("nothing", b""),
        ("a sentence", b"this is no backup\n"),
        ("noise", b"\xff\x00\xfe\x01PGDMP\x00REDIS--"),
        ("half a backup", half),
        ("a backup without its end", all_but_the_end),
    ];
    for (what, bytes) in garbage {
        if judge.driver().restore(&made.wanted, &mut &*bytes).is_ok() {
            wrong.push(format!("{what} is restored without a word"));
        }
        let holds = [("key-1", "since"), ("key-49", "kept")];
        let lost = holds.iter().flat_map(|(key, value)| judge.holds(&made.binding, key, Some(value)));
        wrong.extend(lost.map(|word| format!("after {what}: {word}")));
        if let Err(said) = judge.ground.client.write(&made.binding, "key-2", what) {
            wrong.push(format!("after {what} an app cannot write: {said}"));
        }
    }
    Ok(wrong)
}

/// Gone is gone, for the addon alone, and a new one of the same name is empty.
pub(super) fn destroys(judge: &Judge<'_>) -> Verdict {
    let neighbour = judge.make("neighbour")?;
    let made = judge.make("destroys")?;
    judge.ground.client.write(&neighbour.binding, "key", "stays")?;
    judge.ground.client.write(&made.binding, "key", "goes")?;
    judge.driver().destroy(&made.wanted)?;
    judge.driver().destroy(&made.wanted)?;
    let mut wrong = judge.is_refused("whoever had it", &made.binding);
    if judge.driver().status(&made.wanted)?.is_up {
        wrong.push("it is said to be up".to_owned());
    }
    let again = judge.driver().provision(&made.wanted)?;
    wrong.extend(judge.holds(&again, "key", None));
    wrong.extend(judge.holds(&neighbour.binding, "key", Some("stays")));
    Ok(wrong)
}
