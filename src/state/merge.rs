//! Two daemons wrote one state: what both know, on the safe side.

use super::{Match, OfRule, State};
use std::collections::BTreeMap;

impl State {
    /// Takes what another daemon knows: the later beginning of each match, so that none seems older than somebody saw it, and all that has
    /// acted, so that nothing acts twice. What limits and breakers have counted is each one's own.
    pub fn merge(&mut self, other: State) {
        for (name, of) in other.rules {
            self.rules.entry(name).or_default().merge(of);
        }
    }
}

impl OfRule {
    fn merge(&mut self, other: OfRule) {
        match (&mut self.matches, other.matches) {
            (Some((hash, own)), Some((same, mut others))) if *hash == same => {
                if self.numbers != other.numbers {
                    others.values_mut().for_each(Match::forget_numbers);
                }
                merge_matches(own, others);
            }
            (own @ None, others) => {
                *own = others;
                self.numbers = other.numbers;
            }
            // The rules differ: each remembers what its own has matched.
            _ => {}
        }
        if self.holds.is_empty() {
            self.holds = other.holds;
        }
        match (&mut self.moments, other.moments) {
            // What one of them is done with is done.
            (Some((hash, own)), Some((same, others))) if *hash == same => *own = (*own).max(others),
            (own @ None, others) => *own = others,
            _ => {}
        }
    }
}

fn merge_matches(own: &mut BTreeMap<u128, Match>, others: BTreeMap<u128, Match>) {
    for (uid, other) in others {
        own.entry(uid).or_default().merge(other);
    }
}

impl Match {
    /// What is known by the numbers of steps holds for another text of the rule.
    pub fn forget_numbers(&mut self) {
        self.waits.clear();
        self.archived.clear();
    }

    fn merge(&mut self, other: Match) {
        self.since = self.since.max(other.since);
        self.doubt = match (self.doubt, other.doubt) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (one, None) | (None, one) => one,
        };
        self.nth = self.nth.max(other.nth);
        for (act, last) in other.done {
            match self.done.iter_mut().find(|(known, _)| *known == act) {
                Some((_, known)) if known.at < last.at => *known = last,
                Some(_) => {}
                None => self.done.push((act, last)),
            }
        }
        for (step, since) in other.waits {
            match self.waits.iter_mut().find(|(known, _)| *known == step) {
                Some((_, known)) => *known = (*known).min(since),
                None => self.waits.push((step, since)),
            }
        }
        // Of two contents neither is surely the last.
        self.archived.retain(|one| other.archived.contains(one));
        for (act, key, since) in other.pending {
            match self.pending.iter_mut().find(|(known, ..)| *known == act) {
                Some((_, _, known)) => *known = (*known).max(since),
                None => self.pending.push((act, key, since)),
            }
        }
    }
}
