//! `schedule`: the windows of time in which a rule matches, and single moments.
//!
//! Time zones are those of the IANA database that is built in: what a rule does hangs neither on the machine nor on its image.

mod read;
#[cfg(test)]
mod tests;

pub use read::{cron, overlap, zone, zone_names};

use croner::Cron;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, Zoned};

/// When a rule matches. Never empty.
#[derive(Debug)]
pub struct Schedule {
    entries: Vec<Entry>,
}

/// One of its times, with or without a length.
#[derive(Debug)]
pub struct Entry {
    /// When it begins, by the clock on the wall of the zone.
    pub cron: Cron,
    /// Whose clock.
    pub zone: TimeZone,
    /// How long a window lasts, in time that really passes. `None`: a single moment.
    pub duration: Option<SignedDuration>,
}

impl Schedule {
    /// Of these times.
    pub fn new(entries: Vec<Entry>) -> Schedule {
        Schedule { entries }
    }

    /// When the window began that is open at `now`; of several the one that began last. A window holds its first moment and not its last.
    pub fn open_since(&self, now: Timestamp) -> Option<Timestamp> {
        let open = self.entries.iter().filter_map(|entry| {
            let start = entry.last(now)?;
            (now < entry.end(start)?).then_some(start)
        });
        open.max()
    }

    /// The latest single moment that is not later than `now`.
    pub fn last_moment(&self, now: Timestamp) -> Option<Timestamp> {
        let moments = self.entries.iter().filter(|e| e.duration.is_none());
        moments.filter_map(|entry| entry.last(now)).max()
    }

    /// Whether a window is open at `now`, or it is one of the single moments.
    pub fn is_open(&self, now: Timestamp) -> bool {
        self.open_since(now).is_some() || self.last_moment(now) == Some(now)
    }

    /// As [`Schedule::is_open`], for a single pass: a single moment is due in the whole minute that it begins.
    pub fn is_open_in_the_minute(&self, now: Timestamp) -> bool {
        let due = |moment: Timestamp| now.duration_since(moment) < SignedDuration::from_mins(1);
        self.is_open(now) || self.last_moment(now).is_some_and(due)
    }

    /// The first moment after `now` at which a window opens, or a single moment comes.
    pub fn next_opening(&self, now: Timestamp) -> Option<Timestamp> {
        let all = self.entries.iter();
        all.filter_map(|entry| entry.next(now)).min()
    }

    /// The first moment after `now` at which something of it changes: a window opens or closes, or a single moment comes.
    pub fn next_turn(&self, now: Timestamp) -> Option<Timestamp> {
        let closing = self.entries.iter().filter_map(|entry| {
            let end = entry.end(entry.last(now)?)?;
            (end > now).then_some(end)
        });
        closing.chain(self.next_opening(now)).min()
    }
}

impl Entry {
    /// The latest beginning that is not later than `now`.
    fn last(&self, now: Timestamp) -> Option<Timestamp> {
        let found = self.cron.find_previous_occurrence(&self.at(now)?, true);
        // What lies before the calendar is no beginning.
        found.ok().map(|at| at.timestamp())
    }

    /// The first beginning after `now`.
    fn next(&self, now: Timestamp) -> Option<Timestamp> {
        let found = self.cron.find_next_occurrence(&self.at(now)?, false);
        found.ok().map(|at| at.timestamp())
    }

    fn end(&self, start: Timestamp) -> Option<Timestamp> {
        start.checked_add(self.duration?).ok()
    }

    /// The second that `now` is in: cron knows nothing smaller.
    fn at(&self, now: Timestamp) -> Option<Zoned> {
        let second = now.as_nanosecond().div_euclid(1_000_000_000);
        let second = Timestamp::from_second(i64::try_from(second).ok()?).ok()?;
        Some(second.to_zoned(self.zone.clone()))
    }
}
