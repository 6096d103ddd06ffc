//! Moments and durations: the standard library's conversions and parts, and `age()`.

use super::{Function, global, member, mismatch, unreadable};
use crate::object::duration;
use crate::rule::expr::eval::{Fault, Frame};
use crate::rule::expr::operators::overflow;
use crate::rule::expr::value::{DURATION, INT, STRING, TIMESTAMP, Text, Val};
use chrono::{Datelike, NaiveDateTime, Offset, TimeZone, Timelike};
use jiff::{SignedDuration, Timestamp};

pub(super) static TABLE: &[Function] = &[
    global(
        "timestamp",
        &[STRING | TIMESTAMP | INT],
        |frame, args| match &args[0] {
            Val::Int(seconds) => Timestamp::from_second(*seconds)
                .map(Val::Timestamp)
                .map_err(|_| Fault::failed("`timestamp`: the moment is out of range")),
            other => Ok(Val::Timestamp(moment(frame, other, "timestamp")?)),
        },
    )
    .at_load(),
    global(
        "duration",
        &[STRING | DURATION],
        |frame, args| match &args[0] {
            Val::Text(text) => read_duration(frame, text).map(Val::Duration),
            other => Ok(other.clone()),
        },
    )
    .at_load(),
    global("age", &[STRING | TIMESTAMP], |frame, args| {
        let since = moment(frame, &args[0], "age")?;
        match frame.scope {
            Some(scope) => Ok(Val::Duration(scope.now.duration_since(since))),
            None => Err(Fault::failed("`age`: the time is not known")),
        }
    }),
    member("getFullYear", &[TIMESTAMP, STRING], |frame, args| {
        of_moment(frame, args, |time| i64::from(time.year()))
    })
    .optional(1),
    member("getMonth", &[TIMESTAMP, STRING], |frame, args| {
        of_moment(frame, args, |time| i64::from(time.month0()))
    })
    .optional(1),
    member("getDayOfYear", &[TIMESTAMP, STRING], |frame, args| {
        of_moment(frame, args, |time| i64::from(time.ordinal0()))
    })
    .optional(1),
    member("getDayOfMonth", &[TIMESTAMP, STRING], |frame, args| {
        of_moment(frame, args, |time| i64::from(time.day0()))
    })
    .optional(1),
    member("getDate", &[TIMESTAMP, STRING], |frame, args| {
        of_moment(frame, args, |time| i64::from(time.day()))
    })
    .optional(1),
    member("getDayOfWeek", &[TIMESTAMP, STRING], |frame, args| {
        of_moment(frame, args, |time| {
            i64::from(time.weekday().num_days_from_sunday())
        })
    })
    .optional(1),
    member(
        "getHours",
        &[TIMESTAMP | DURATION, STRING],
        |frame, args| {
            of_either(
                frame,
                args,
                |time| i64::from(time.hour()),
                |d| d.as_secs() / 3_600,
            )
        },
    )
    .optional(1),
    member(
        "getMinutes",
        &[TIMESTAMP | DURATION, STRING],
        |frame, args| {
            of_either(
                frame,
                args,
                |time| i64::from(time.minute()),
                |d| d.as_secs() / 60,
            )
        },
    )
    .optional(1),
    member(
        "getSeconds",
        &[TIMESTAMP | DURATION, STRING],
        |frame, args| {
            of_either(
                frame,
                args,
                |time| i64::from(time.second()),
                |d| d.as_secs(),
            )
        },
    )
    .optional(1),
    member(
        "getMilliseconds",
        &[TIMESTAMP | DURATION, STRING],
        |frame, args| {
            of_either(
                frame,
                args,
                |time| i64::from(time.nanosecond() / 1_000_000),
                |d| i64::try_from(d.as_millis()).unwrap_or(i64::MAX),
            )
        },
    )
    .optional(1),
];

fn moment(frame: &Frame<'_, '_>, value: &Val<'_>, function: &str) -> Result<Timestamp, Fault> {
    match value {
        Val::Timestamp(moment) => Ok(*moment),
        Val::Text(text) => rfc3339(text).ok_or_else(|| {
            let reason = format!(
                "{:?} is no timestamp; write for example `2026-01-31T12:00:00Z`",
                &**text
            );
            unreadable(frame, function, "timestamp", reason)
        }),
        _ => Err(Fault::failed("a timestamp is needed")),
    }
}

/// RFC 3339 as Go reads it: no lower case, no blank, no leap second, years 1 to 9999. The last day of 9999, which stands for "never", is
/// beyond what the time library knows and becomes the latest moment that it does.
fn rfc3339(text: &str) -> Option<Timestamp> {
    let bytes = text.as_bytes();
    let zone = text.ends_with('Z') || matches!(bytes.iter().rev().nth(5), Some(b'+' | b'-'));
    if bytes.get(10) != Some(&b'T') || !zone || bytes.get(17..19) == Some(b"60") {
        return None;
    }
    match text.parse::<Timestamp>() {
        Ok(moment) => (moment.as_second() >= FIRST_SECOND).then_some(moment),
        Err(_) => {
            let earlier = format!("9998{}", text.strip_prefix("9999")?);
            earlier.parse::<Timestamp>().ok()?;
            Some(Timestamp::MAX)
        }
    }
}

/// The start of year 1.
const FIRST_SECOND: i64 = -62_135_596_800;

/// As rules write durations, also with a sign as Go does.
fn read_duration(frame: &Frame<'_, '_>, text: &Text<'_>) -> Result<SignedDuration, Fault> {
    let (negative, rest) = match text.strip_prefix(['-', '+']) {
        Some(rest) => (text.starts_with('-'), rest),
        None => (false, &**text),
    };
    let duration = duration::parse(rest)
        .map_err(|reason| unreadable(frame, "duration", "duration", reason))?;
    let duration = as_signed(duration)?;
    Ok(if negative { -duration } else { duration })
}

/// The wall clock of a moment, in UTC or the time zone that is the second argument.
fn clock(frame: &Frame<'_, '_>, args: &[Val<'_>]) -> Result<NaiveDateTime, Fault> {
    let out_of_range = || Fault::failed("the moment is out of range");
    let Some(Val::Timestamp(moment)) = args.first() else {
        return Err(Fault::failed("a timestamp is needed"));
    };
    let utc = chrono::DateTime::from_timestamp_nanos(0)
        .checked_add_signed(chrono::Duration::new(moment.as_second(), 0).ok_or_else(out_of_range)?)
        .and_then(|time| {
            time.checked_add_signed(chrono::Duration::nanoseconds(
                moment.subsec_nanosecond().into(),
            ))
        })
        .ok_or_else(out_of_range)?
        .naive_utc();
    let Some(Val::Text(zone)) = args.get(1) else {
        return Ok(utc);
    };
    if zone.is_empty() {
        return Ok(utc);
    }
    let seconds = match zone.parse::<chrono_tz::Tz>() {
        Ok(zone) => zone.offset_from_utc_datetime(&utc).fix().local_minus_utc(),
        Err(_) => fixed_offset(zone).ok_or_else(|| {
            let reason = format!(
                "{:?} is no time zone; write for example `Europe/Berlin` or `+02:00`",
                &**zone
            );
            unreadable(frame, "time zone", "time zone", reason)
        })?,
    };
    utc.checked_add_signed(chrono::Duration::seconds(seconds.into()))
        .ok_or_else(out_of_range)
}

/// `+02:00`, `-08:00`, `02:00`, in seconds.
fn fixed_offset(text: &str) -> Option<i32> {
    let (sign, rest) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let (hours, minutes) = rest.split_once(':')?;
    let plain = |part: &str| part.len() == 2 && part.bytes().all(|b| b.is_ascii_digit());
    if !plain(hours) || !plain(minutes) {
        return None;
    }
    let (hours, minutes): (i32, i32) = (hours.parse().ok()?, minutes.parse().ok()?);
    (hours < 24 && minutes < 60).then_some(sign * (hours * 3_600 + minutes * 60))
}

fn of_moment<'a>(
    frame: &mut Frame<'_, 'a>,
    args: &[Val<'a>],
    of: impl Fn(NaiveDateTime) -> i64,
) -> Result<Val<'a>, Fault> {
    Ok(Val::Int(of(clock(frame, args)?)))
}

fn of_either<'a>(
    frame: &mut Frame<'_, 'a>,
    args: &[Val<'a>],
    of: impl Fn(NaiveDateTime) -> i64,
    of_duration: impl Fn(&SignedDuration) -> i64,
) -> Result<Val<'a>, Fault> {
    match args {
        [Val::Duration(duration)] => Ok(Val::Int(of_duration(duration))),
        [Val::Duration(_), ..] => mismatch(),
        _ => of_moment(frame, args, of),
    }
}

/// Nanoseconds as a duration.
fn as_signed(duration: std::time::Duration) -> Result<SignedDuration, Fault> {
    SignedDuration::try_from(duration).map_err(|_| overflow())
}
