//! What is counted while the engine works: plain numbers, read when somebody asks.

use crate::object::GroupKind;
use crate::rule::Verb;
use std::time::Duration;

/// Upper bounds of a [`Histogram`]'s buckets in seconds: doubled from a millisecond to about a quarter of a minute, as a write lasts at most ten seconds.
pub const BOUNDS: [f64; 15] = [
    0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128, 0.256, 0.512, 1.024, 2.048, 4.096,
    8.192, 16.384,
];

/// How often something took how long.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Histogram {
    /// Per bound those that took no longer, and longer than the bound before; the last: longer than all.
    pub buckets: [u64; BOUNDS.len() + 1],
    /// Seconds, all together.
    pub sum: f64,
}

impl Histogram {
    /// Counts one.
    pub fn add(&mut self, took: Duration) {
        let seconds = took.as_secs_f64();
        let at = BOUNDS.partition_point(|bound| *bound < seconds);
        self.buckets[at] += 1;
        self.sum += seconds;
    }

    /// How many there were.
    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }
}

/// Numbers by a label of few values: looked up one by one.
#[derive(Clone, Debug, PartialEq)]
pub struct Counter<L>(Vec<(L, u64)>);

impl<L> Default for Counter<L> {
    fn default() -> Self {
        Self(vec![])
    }
}

impl<L: PartialEq> Counter<L> {
    /// Counts one.
    pub fn add(&mut self, label: L) {
        match self.0.iter_mut().find(|(known, _)| *known == label) {
            Some((_, n)) => *n += 1,
            None => self.0.push((label, 1)),
        }
    }

    /// In the order in which they came up first.
    pub fn iter(&self) -> impl Iterator<Item = (&L, u64)> {
        self.0.iter().map(|(label, n)| (label, *n))
    }
}

/// A change by what is not its object: kind, verb and how it ended (`Ok` or [`super::Fault::as_str`]).
pub type Ended = (GroupKind, Verb, &'static str);

/// What is counted of one rule since the start. It goes on when the rule changes, and goes with it.
#[derive(Clone, Debug, Default)]
pub struct RuleCounts {
    /// Objects it was evaluated on.
    pub evaluations: u64,
    /// Objects that were asked whether they belong to one of its lists.
    pub related_candidates: u64,
    /// Changes that were made.
    pub made: u64,
    /// Requests that failed.
    pub failures: u64,
    /// Tests that failed because a value could not be read as its type.
    pub wrong_types: u64,
    /// Changes, made and failed.
    pub changes: Counter<Ended>,
    /// Changes that it would have made, once per state of object and rule.
    pub would_change: Counter<(GroupKind, Verb)>,
    /// Failed evaluations and requests by category.
    pub errors: Counter<&'static str>,
    /// From the moment a change was seen, or an object came due, to the answer to the write that followed.
    pub reaction: Histogram,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_falls_into_the_first_bucket_that_holds_it() {
        let mut histogram = Histogram::default();
        for millis in [0, 1, 3, 8, 20_000] {
            histogram.add(Duration::from_millis(millis));
        }
        let filled: Vec<usize> = (0..=BOUNDS.len())
            .filter(|at| histogram.buckets[*at] > 0)
            .collect();
        assert_eq!(filled, [0, 2, 3, BOUNDS.len()]);
        assert_eq!(histogram.buckets[0], 2, "a bound belongs to its bucket");
        assert_eq!((histogram.count(), histogram.sum), (5, 20.012));
    }

    #[test]
    fn a_counter_keeps_each_label_once() {
        let mut counter = Counter::default();
        for label in ["a", "b", "a"] {
            counter.add(label);
        }
        assert_eq!(counter.iter().collect::<Vec<_>>(), [(&"a", 2), (&"b", 1)]);
    }
}
