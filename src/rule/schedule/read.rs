//! Reading the parts of a schedule, and what is wrong with them in words.

use croner::Cron;
use croner::errors::CronError;
use croner::parser::{CronParser, Seconds, Year};
use jiff::SignedDuration;
use jiff::civil::DateTime;
use jiff::tz::{TimeZone, TimeZoneDatabase};
use std::sync::LazyLock;

/// Longest expression, in bytes.
const LONGEST: usize = 256;
/// So many beginnings are looked at to find the shortest time between two.
const MOST: usize = 1_000;
/// Beginnings are looked at from here on: the first day of a leap year.
const FIRST: DateTime = DateTime::constant(2024, 1, 1, 0, 0, 0, 0);
/// And to here, so that the 29th of February comes up.
const LAST: DateTime = DateTime::constant(2034, 1, 1, 0, 0, 0, 0);

static ZONES: LazyLock<TimeZoneDatabase> = LazyLock::new(TimeZoneDatabase::bundled);

/// A zone of the IANA database by its name, such as `Europe/Berlin`, in any case.
pub fn zone(name: &str) -> Option<TimeZone> {
    ZONES.get(name).ok()
}

/// All of their names, in order.
pub fn zone_names() -> Vec<String> {
    ZONES.available().map(|name| name.to_string()).collect()
}

/// Reads an expression of five fields: minute, hour, day of the month, month, day of the week. As with CronJobs, if both kinds of day are
/// given one of them is enough; `@daily` and its like stand for what they say.
///
/// # Errors
/// A sentence for people, and what to write instead where that can be guessed.
pub fn cron(text: &str) -> Result<Cron, (String, Option<String>)> {
    if text.len() > LONGEST {
        return Err((
            format!("a cron expression has at most {LONGEST} characters"),
            None,
        ));
    }
    let fields: Vec<&str> = text.split_whitespace().collect();
    if let Some(zone) = fields.first().and_then(|first| {
        first
            .strip_prefix("TZ=")
            .or_else(|| first.strip_prefix("CRON_TZ="))
    }) {
        return Err((
            "the time zone does not stand in the expression".into(),
            Some(format!("write `timeZone: {zone}` beside `cron`")),
        ));
    }
    let named = text.trim_start().starts_with('@');
    if fields.len() != 5 && !named {
        let count = match fields.len() {
            0 => "none".to_owned(),
            6 => "six".to_owned(),
            7 => "seven".to_owned(),
            n => n.to_string(),
        };
        let mend = match fields.as_slice() {
            [_, rest @ ..] if rest.len() == 5 => Some(format!(
                "it is to the minute: without the seconds write `{}`",
                rest.join(" ")
            )),
            _ => Some("write for example `0 20 * * 1-5`: at 20:00 from Monday to Friday".into()),
        };
        return Err((
            format!(
                "a cron expression has five fields (minute, hour, day of the month, month, day of the week), and here are {count}"
            ),
            mend,
        ));
    }
    let parser = CronParser::builder()
        .seconds(Seconds::Disallowed)
        .year(Year::Disallowed)
        .build();
    let cron = parser.parse(text).map_err(|error| {
        if named {
            let mend = "there are @hourly, @daily, @weekly, @monthly and @yearly";
            return (
                format!("`{text}` is no cron expression"),
                Some(mend.to_owned()),
            );
        }
        (refused(text, &error), None)
    })?;
    match cron.find_next_occurrence(&FIRST, true) {
        Ok(first) if first < LAST => Ok(cron),
        _ => Err((format!("`{text}` is a day that never comes"), None)),
    }
}

fn refused(text: &str, error: &CronError) -> String {
    let why = match error {
        CronError::InvalidPattern(why)
        | CronError::IllegalCharacters(why)
        | CronError::ComponentError(why) => why.trim_end_matches('.').to_owned(),
        other => other.to_string().trim_end_matches('.').to_owned(),
    };
    format!("`{text}` is no cron expression: {why}")
}

/// The shortest time between two beginnings, on a clock that is never changed.
fn shortest_period(cron: &Cron) -> Option<SignedDuration> {
    let mut shortest: Option<SignedDuration> = None;
    let mut before = cron.find_next_occurrence(&FIRST, true).ok()?;
    for _ in 0..MOST {
        let Ok(next) = cron.find_next_occurrence(&before, false) else {
            break;
        };
        if next > LAST {
            break;
        }
        let between = next.duration_since(before);
        shortest = Some(shortest.map_or(between, |known| known.min(between)));
        before = next;
    }
    shortest
}

/// Why windows of this length cannot follow each other: the next one begins before one ends.
pub fn overlap(cron: &Cron, duration: SignedDuration) -> Option<SignedDuration> {
    shortest_period(cron).filter(|period| duration > *period)
}
