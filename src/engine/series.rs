//! The series that rules with `metric` steps make: what each object adds to them.

use crate::object::ObjectKey;
use crate::rule::metric::{Aggregate, Metric, Sample};
use ahash::{AHashMap, AHashSet};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Most series of one metric.
pub const MOST: usize = 1_000;

/// The values of a series' labels.
pub type Labels = Arc<[Box<str>]>;

/// What one rule's metrics are made of.
#[derive(Debug, Default)]
pub struct Series {
    of: AHashMap<ObjectKey, Vec<Sample>>,
    /// Per series (step and labels) how many objects add to it.
    known: AHashMap<(usize, Labels), usize>,
    /// Per step how many series there are.
    count: AHashMap<usize, usize>,
    /// Objects that add to none because there are too many already.
    left_out: AHashSet<ObjectKey>,
}

impl Series {
    /// What an object adds now. Answers an object to look at again, for which there may be room now.
    pub fn set(&mut self, object: &ObjectKey, samples: Vec<Sample>) -> Option<ObjectKey> {
        if samples.is_empty() && self.of.is_empty() && self.left_out.is_empty() {
            return None;
        }
        if self.of.get(object) == Some(&samples) {
            return None;
        }
        let before = self.known.len();
        for sample in self.of.remove(object).unwrap_or_default() {
            self.leave(&sample);
        }
        let was_out = self.left_out.remove(object);
        let mut taken = vec![];
        for mut sample in samples {
            if self.join(&mut sample) {
                taken.push(sample);
            } else {
                self.left_out.insert(object.clone());
            }
        }
        if !taken.is_empty() {
            self.of.insert(object.clone(), taken);
        }
        let room = self.known.len() < before || (was_out && !self.left_out.contains(object));
        room.then(|| self.left_out.iter().next().cloned()).flatten()
    }

    fn join(&mut self, sample: &mut Sample) -> bool {
        let key = (sample.step, sample.labels.clone());
        if let Some((known, _)) = self.known.get_key_value(&key) {
            // One text for all that add to it.
            sample.labels = known.1.clone();
        } else {
            let count = self.count.entry(sample.step).or_default();
            if *count >= MOST {
                return false;
            }
            *count += 1;
        }
        *self.known.entry(key).or_default() += 1;
        true
    }

    fn leave(&mut self, sample: &Sample) {
        let key = (sample.step, sample.labels.clone());
        let Some(objects) = self.known.get_mut(&key) else {
            return;
        };
        *objects -= 1;
        if *objects == 0 {
            self.known.remove(&key);
            if let Some(count) = self.count.get_mut(&sample.step) {
                *count -= 1;
            }
        }
    }

    /// Forgets everything.
    pub fn reset(&mut self) {
        *self = Self::default();
    }

    /// Whether some objects are left out.
    pub fn is_crowded(&self) -> bool {
        !self.left_out.is_empty()
    }

    /// The series of a step, sorted by their labels.
    pub fn rows(&self, step: usize, metric: &Metric) -> Vec<(Labels, f64)> {
        let mut rows: BTreeMap<&Labels, Vec<f64>> = BTreeMap::new();
        let samples = self.of.values().flatten();
        for sample in samples.filter(|sample| sample.step == step) {
            rows.entry(&sample.labels).or_default().push(sample.value);
        }
        // What one object says several times with the same labels adds up.
        let aggregate = metric.aggregate.unwrap_or(Aggregate::Sum);
        rows.into_iter()
            .map(|(labels, numbers)| (labels.clone(), aggregate.of(&numbers)))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::object::GroupKind;
    use crate::rule::expr::Template;

    fn key(n: usize) -> ObjectKey {
        ObjectKey::new(GroupKind::new("", "Pod"), Some("n"), &n.to_string())
    }

    fn sample(label: &str, value: f64) -> Sample {
        Sample {
            step: 0,
            labels: vec![label.into()].into(),
            value,
        }
    }

    fn rows(series: &Series, aggregate: Aggregate) -> Vec<(String, f64)> {
        let metric = Metric {
            name: "m".into(),
            counter: false,
            labels: vec![("a".into(), Template::default())],
            value: Template::default(),
            aggregate: Some(aggregate),
        };
        let rows = series.rows(0, &metric).into_iter();
        rows.map(|(labels, value)| (labels[0].to_string(), value))
            .collect()
    }

    #[test]
    fn numbers_come_change_and_go_with_their_objects() {
        let mut series = Series::default();
        series.set(&key(1), vec![sample("x", 1.0)]);
        series.set(&key(2), vec![sample("x", 5.0), sample("y", 2.0)]);
        let pair = |label: &str, value| (label.to_owned(), value);
        assert_eq!(
            rows(&series, Aggregate::Sum),
            [pair("x", 6.0), pair("y", 2.0)]
        );
        assert_eq!(
            rows(&series, Aggregate::Max),
            [pair("x", 5.0), pair("y", 2.0)]
        );
        series.set(&key(2), vec![sample("x", 3.0)]);
        assert_eq!(rows(&series, Aggregate::Average), [pair("x", 2.0)]);
        series.set(&key(1), vec![]);
        series.set(&key(2), vec![]);
        assert_eq!(rows(&series, Aggregate::Sum), []);
        assert_eq!((series.known.len(), series.count[&0]), (0, 0));
    }

    #[test]
    fn beyond_the_cap_objects_are_left_out_until_there_is_room() {
        let mut series = Series::default();
        for n in 0..MOST + 2 {
            series.set(&key(n), vec![sample(&n.to_string(), 1.0)]);
        }
        assert!(series.is_crowded());
        assert_eq!(rows(&series, Aggregate::Count).len(), MOST);
        // One more of a series that is there is taken.
        assert_eq!(series.set(&key(9_999), vec![sample("0", 1.0)]), None);
        assert!(!series.left_out.contains(&key(9_999)));
        let next = series.set(&key(5), vec![]).unwrap();
        assert!(series.left_out.contains(&next));
        let after = series.set(&next, vec![sample(&next.name, 1.0)]).unwrap();
        assert!(series.is_crowded());
        series.set(&key(6), vec![]);
        assert_eq!(series.set(&after, vec![sample(&after.name, 1.0)]), None);
        assert!(!series.is_crowded());
    }
}
