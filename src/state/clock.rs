//! What was kept as another clock shows it.

use super::{OfRule, Shard};
use jiff::{SignedDuration, Timestamp};

impl Shard {
    /// As a clock would show it that is this much ahead (negative: behind) of the one that it was written by: what has lasted so long has
    /// lasted so long.
    ///
    /// The moments of a schedule stay: they are names out of a calendar, of which each is done with once, and not lengths of time.
    pub fn shift(&mut self, by: SignedDuration) {
        let shift = |at: &mut Timestamp| *at = at.saturating_add(by).unwrap_or(*at);
        shift(&mut self.at);
        for OfRule {
            matches, counted, ..
        } in self.state.rules.values_mut()
        {
            let matches = matches.iter_mut().flat_map(|(_, all)| all.values_mut());
            for one in matches {
                one.since.iter_mut().for_each(shift);
                one.doubt.iter_mut().for_each(shift);
                one.done
                    .iter_mut()
                    .for_each(|(_, last)| shift(&mut last.at));
                one.pending.iter_mut().for_each(|(_, _, at)| shift(at));
                one.waits.iter_mut().for_each(|(_, at)| shift(at));
            }
            let acted = counted.iter_mut().flat_map(|(_, of)| &mut of.acted);
            acted.for_each(|(_, at)| shift(at));
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::decide::{Act, LastAct};
    use crate::object::{GroupKind, ObjectKey};
    use crate::state::{Counted, Match, State};
    use std::collections::BTreeMap;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_767_225_600 + seconds).unwrap()
    }

    /// A shard in which every kind of moment is, as a clock shows them that is ahead by so many seconds.
    fn shown(ahead: i64) -> Shard {
        let at = |seconds| at(ahead + seconds);
        let last = LastAct {
            key: None,
            nth: 1,
            at: at(3),
        };
        let one = Match {
            since: Some(at(1)),
            doubt: Some(at(2)),
            nth: 1,
            done: vec![(Act::numbered(0), last)],
            pending: vec![(Act::numbered(1), "key".into(), at(4))],
            waits: vec![(2, at(5))],
            archived: vec![(3, 9)],
        };
        let key = ObjectKey::new(GroupKind::new("", "ConfigMap"), Some("shop"), "a");
        let counted = Counted {
            acted: vec![(key, at(6))],
            ..Counted::default()
        };
        let of = OfRule {
            matches: Some((7, BTreeMap::from([(8, one)]))),
            counted: Some((9, counted)),
            moments: Some((7, self::at(0))),
            ..OfRule::default()
        };
        Shard {
            shards: 1,
            shard: 0,
            at: at(10),
            writer: "w".into(),
            state: State {
                rules: BTreeMap::from([("r".into(), of)]),
            },
        }
    }

    #[test]
    fn every_length_of_time_stays_as_long_as_it_was() {
        for by in [3_600, -3_600] {
            let mut shard = shown(0);
            shard.shift(SignedDuration::from_secs(by));
            assert_eq!(shard, shown(by));
        }
    }
}
