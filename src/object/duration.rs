//! Durations as rules write them: `90s`, `7d`, `1h30m`, `500ms`, `2w`.

use std::fmt::Write;
use std::time::Duration;

/// The longest duration that is read: 100 years of 365 days.
pub const LONGEST: Duration = Duration::from_secs(100 * 365 * 86_400);

/// Units by length, longest first, with their nanoseconds. `w` is read, but not written.
const UNITS: [(&str, u128); 9] = [
    ("w", 7 * 86_400 * 1_000_000_000),
    ("d", 86_400 * 1_000_000_000),
    ("h", 3_600 * 1_000_000_000),
    ("m", 60 * 1_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
    ("us", 1_000),
    ("µs", 1_000),
    ("ns", 1),
];

/// Reads `90s`, `7d`, `1h30m`, also Go's `1h0m0s` and `1.5h`; a fraction of a nanosecond is dropped. Errors carry a sentence for people.
///
/// # Errors
/// Text that is no duration, is negative, or longer than [`LONGEST`].
pub fn parse(text: &str) -> Result<Duration, String> {
    let wrong = || {
        format!(
            "{text:?} is no duration; write for example `90s`, `1h30m` or `7d` (units: w d h m s ms us ns)"
        )
    };
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    if text.starts_with('-') {
        return Err(format!("{text:?}: a duration cannot be negative"));
    }
    if text.len() > 64 || text.is_empty() {
        return Err(wrong());
    }
    if text.bytes().all(|b| b.is_ascii_digit()) {
        return Err(format!("{text:?} has no unit; write for example `{text}s`"));
    }
    let mut nanos = 0u128;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
        let (whole, after) = rest.split_at(digits(rest));
        let (fraction, after) = match after.strip_prefix('.') {
            Some(after) => after.split_at(digits(after)),
            None => ("", after),
        };
        let end = after
            .find(|c: char| c.is_ascii_digit() || c == '.')
            .unwrap_or(after.len());
        let (unit, after) = after.split_at(end);
        let (_, length) = UNITS
            .iter()
            .find(|(name, _)| *name == unit)
            .ok_or_else(wrong)?;
        if whole.is_empty() && fraction.is_empty() {
            return Err(wrong());
        }
        let long = || format!("{text:?} is longer than 100 years");
        let whole: u128 = if whole.is_empty() {
            0
        } else {
            whole.parse().map_err(|_| long())?
        };
        // From the last digit to the first; each floor is exact because what is added is whole.
        let part = fraction.bytes().rev().fold(0u128, |sum, digit| {
            (sum + u128::from(digit - b'0') * length) / 10
        });
        nanos = whole
            .checked_mul(*length)
            .and_then(|n| n.checked_add(part))
            .and_then(|n| n.checked_add(nanos))
            .filter(|n| *n <= LONGEST.as_nanos())
            .ok_or_else(long)?;
        rest = after;
    }
    Ok(Duration::new(
        (nanos / 1_000_000_000) as u64,
        (nanos % 1_000_000_000) as u32,
    ))
}

/// Writes the shortest form that `parse` reads back: `7d`, `1h30m`.
pub fn format(duration: Duration) -> String {
    let mut out = String::new();
    let mut nanos = duration.as_nanos();
    for (unit, length) in UNITS {
        if unit == "w" || unit == "µs" {
            continue;
        }
        if nanos >= length {
            let _ = write!(out, "{}{unit}", nanos / length);
            nanos %= length;
        }
    }
    if out.is_empty() {
        out.push_str("0s");
    }
    out
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_and_writes() {
        for (text, seconds, written) in [
            ("90s", 90.0, "1m30s"),
            ("7d", 604_800.0, "7d"),
            ("2w", 1_209_600.0, "14d"),
            ("1h30m", 5_400.0, "1h30m"),
            ("1h0m0s", 3_600.0, "1h"),
            ("500ms", 0.5, "500ms"),
            ("1.5h", 5_400.0, "1h30m"),
            (".5s", 0.5, "500ms"),
            ("250us", 0.000_25, "250us"),
            ("250µs", 0.000_25, "250us"),
            ("0", 0.0, "0s"),
            ("0s", 0.0, "0s"),
            ("36500d", 3_153_600_000.0, "36500d"),
        ] {
            let duration = parse(text).unwrap();
            assert_eq!(duration.as_secs_f64(), seconds, "{text}");
            assert_eq!(format(duration), written, "{text}");
        }
    }

    #[test]
    fn refuses() {
        for (text, reason) in [
            ("", "no duration"),
            ("7", "has no unit"),
            ("7 d", "no duration"),
            ("d", "no duration"),
            ("7days", "no duration"),
            ("1h30", "no duration"),
            ("1y", "no duration"),
            ("-1h", "negative"),
            ("P7D", "no duration"),
            ("36501d", "100 years"),
            ("99999999999999999999999999999999999999999999s", "100 years"),
            ("1.2.3s", "no duration"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(reason), "{text}: {error}");
        }
    }

    proptest! {
        #[test]
        fn arbitrary_text_is_read_or_refused(text in "\\PC{0,40}") {
            let _ = parse(&text);
        }

        #[test]
        fn what_is_written_reads_back(nanos in 0u64..3_000_000_000_000_000_000) {
            let duration = Duration::from_nanos(nanos);
            prop_assert_eq!(parse(&format(duration)), Ok(duration));
        }
    }
}
