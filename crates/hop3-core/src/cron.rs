// SPDX-License-Identifier: Apache-2.0
//! Schedules of crontab(5): five fields, and the question whether a minute is meant. Pure: no clock, no time zone.
//!
//! Day of month and day of week are joined by *or* when both are restricted, as every cron does it. `@daily` and its
//! like, `*/0` and values out of range are refused.

use crate::problem::{Kind, Problem};

const MONTHS: &[&str] = &["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const DAYS: &[&str] = &["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

/// When a command is due. Each field is a set of small numbers, as bits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule {
    minutes: u64,
    hours: u64,
    days: u64,
    months: u64,
    weekdays: u64,
    /// Whether a day field begins with `*`: then it restricts nothing of its own.
    any_day: bool,
    any_weekday: bool,
}

/// A minute of the calendar: month and day of month count from 1, the week begins with Sunday as 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Minute {
    pub minute: u8,
    pub hour: u8,
    pub day: u8,
    pub month: u8,
    pub weekday: u8,
}

/// What one field may hold.
struct Field {
    title: &'static str,
    first: u8,
    last: u8,
    names: &'static [&'static str],
}

const MINUTE: Field = Field { title: "minute", first: 0, last: 59, names: &[] };
const HOUR: Field = Field { title: "hour", first: 0, last: 23, names: &[] };
const DAY: Field = Field { title: "day of month", first: 1, last: 31, names: &[] };
const MONTH: Field = Field { title: "month", first: 1, last: 12, names: MONTHS };
const WEEKDAY: Field = Field { title: "day of week", first: 0, last: 7, names: DAYS };

impl Schedule {
    /// Reads five fields.
    ///
    /// # Errors
    /// `cron.bad-schedule`, naming the field.
    pub fn parse(text: &str) -> Result<Schedule, Problem> {
        let fields: Vec<&str> = text.split_whitespace().collect();
        let [minute, hour, day, month, weekday] = fields[..] else {
            return Err(refuse(format!("a schedule has five fields, and this has {}", fields.len())));
        };
        let weekdays = WEEKDAY.parse(weekday)?;
        Ok(Schedule {
            minutes: MINUTE.parse(minute)?,
            hours: HOUR.parse(hour)?,
            days: DAY.parse(day)?,
            months: MONTH.parse(month)?,
            // Sunday is 0 and 7.
            weekdays: weekdays | (weekdays >> 7 & 1),
            any_day: day.starts_with('*'),
            any_weekday: weekday.starts_with('*'),
        })
    }

    /// Tells whether the command is due in that minute.
    pub fn matches(&self, at: Minute) -> bool {
        let has = |set: u64, value: u8| set >> value & 1 == 1;
        let day = has(self.days, at.day);
        let weekday = has(self.weekdays, at.weekday % 7);
        let is_day = if self.any_day || self.any_weekday { day && weekday } else { day || weekday };
        has(self.minutes, at.minute) && has(self.hours, at.hour) && has(self.months, at.month) && is_day
    }
}

impl Field {
    fn parse(&self, text: &str) -> Result<u64, Problem> {
        text.split(',').try_fold(0, |set, item| Ok(set | self.parse_item(item)?))
    }

    /// `*`, `5`, `1-5`, each with `/2` behind; `5/10` means from 5 to the end.
    fn parse_item(&self, item: &str) -> Result<u64, Problem> {
        let (range, step) = match item.split_once('/') {
            Some((range, step)) => (range, Some(self.number(step, item)?)),
            None => (item, None),
        };
        if step == Some(0) {
            return Err(refuse(format!("a step of 0 in the field \"{}\" never comes", self.title)));
        }
        let (first, last) = match range.split_once('-') {
            _ if range == "*" => (self.first, self.last),
            Some((first, last)) => (self.value(first, item)?, self.value(last, item)?),
            None if step.is_some() => (self.value(range, item)?, self.last),
            None => (self.value(range, item)?, self.value(range, item)?),
        };
        if first > last {
            return Err(refuse(format!("the range \"{range}\" in the field \"{}\" is empty", self.title)));
        }
        let steps = (first..=last).step_by(usize::from(step.unwrap_or(1)));
        Ok(steps.fold(0, |set, value| set | 1 << value))
    }

    fn value(&self, text: &str, item: &str) -> Result<u8, Problem> {
        let lower = text.to_ascii_lowercase();
        if let Some(index) = self.names.iter().position(|name| *name == lower) {
            return Ok(index as u8 + self.first);
        }
        let value = self.number(text, item)?;
        if (self.first..=self.last).contains(&value) {
            return Ok(value);
        }
        Err(refuse(format!("{value} is not a {}; it goes from {} to {}", self.title, self.first, self.last)))
    }

    fn number(&self, text: &str, item: &str) -> Result<u8, Problem> {
        let is_number = !text.is_empty() && text.len() <= 3 && text.bytes().all(|b| b.is_ascii_digit());
        let shown: String = item.chars().take(40).flat_map(char::escape_debug).collect();
        let wrong = || refuse(format!("the field \"{}\" cannot be \"{shown}\"", self.title));
        if is_number { text.parse().map_err(|_| wrong()) } else { Err(wrong()) }
    }
}

fn refuse(why: String) -> Problem {
    Problem::new(Kind::Config, "cron.bad-schedule", why)
        .hint("write minute, hour, day of month, month and day of week: \"30 4 * * mon-fri\"")
}

#[cfg(test)]
mod tests;
