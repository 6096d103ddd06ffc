//! What was kept outside is taken back: at the start, and where another daemon was met.

use super::Engine;
use super::keep::{Keeper, own_part};
use super::lifetimes::Known;
use crate::decide::breaker::{Breaker, Open};
use crate::engine::Report;
use crate::engine::memory::Matches;
use crate::rule::Mode;
use crate::state::{self, Layout, Slots, State};
use jiff::Timestamp;
use std::sync::Arc;

/// What was recalled.
#[derive(Debug, Default)]
pub struct Recalled {
    /// Matches, and rules of which something was counted.
    pub entries: usize,
    /// What is wrong with some text, and its name.
    pub troubles: Vec<(String, state::Trouble)>,
    /// Nothing was taken, and nothing will be kept: a newer version wrote it.
    pub refused: bool,
}

impl Engine {
    /// Takes what was kept, as names and texts, and keeps it from now on under the name of `writer`. `whole`: in one piece, as a file.
    ///
    /// Called once the rules are loaded and before anything is decided. What was remembered so far is forgotten.
    pub fn recall<'t>(
        &mut self,
        texts: impl IntoIterator<Item = (&'t str, &'t str)>,
        (writer, whole): (&str, bool),
        now: Timestamp,
    ) -> Recalled {
        let read = state::read(texts);
        let refused = read.is_newer();
        let mut recalled = Recalled {
            entries: 0,
            troubles: read.troubles,
            refused,
        };
        if refused {
            return recalled;
        }
        let layout = match whole {
            true => Layout::WHOLE,
            false => read.layout.unwrap_or_default().max(Layout::FIRST),
        };
        self.keeper = Keeper {
            on: !self.options.dry,
            writer: writer.to_owned(),
            layout,
            changed: read.damaged,
            whole: read.damaged == Slots::ALL,
            ..Keeper::default()
        };
        for of in &mut self.states {
            of.matches = Matches::default();
        }
        self.keeper.unseen = true;
        recalled.entries = self.take(read.state, now);
        for (rule, of) in self.rules.rules().iter().zip(&self.states) {
            let hash = own_part(of);
            if hash != 0 {
                self.keeper.counted.insert(rule.name.clone(), hash);
            }
        }
        recalled
    }

    /// Takes a state: what is of rules in force, and of matches that are still decided about in the same way.
    pub(super) fn take(&mut self, state: State, now: Timestamp) -> usize {
        let mut entries = 0;
        let mut held = Known::new();
        for (name, of) in state.rules {
            if !of.holds.is_empty() {
                held.insert(name.clone(), of.holds);
            }
            let index = self.rules.index_of(&name);
            let rule = index.map(|index| Arc::clone(&self.rules.rules()[index]));
            let (Some(index), Some(rule)) = (index, rule) else {
                // Of a rule that is not there any more: what was kept of it goes.
                self.keeper.changed = Slots::ALL;
                continue;
            };
            let of_rule = &mut self.states[index];
            if let Some((hash, mut matches)) = of.matches {
                if of.numbers != Some(rule.hash) && !matches.is_empty() {
                    self.keeper.changed = Slots::ALL;
                    matches.values_mut().for_each(state::Match::forget_numbers);
                }
                if hash == rule.match_hash && rule.remembers() && rule.mode != Mode::Off {
                    entries += matches.len();
                    of_rule.matches.recall(matches, now);
                    self.in_waits |= of_rule.matches.has_waits();
                } else {
                    self.keeper.changed = Slots::ALL;
                }
            }
            if let Some((hash, until)) = of.moments {
                if hash == rule.match_hash && rule.schedule.is_some() && rule.mode != Mode::Off {
                    entries += 1;
                    of_rule.times.recall(until.min(now));
                } else {
                    self.keeper.changed.add(state::slot_of_rule(&name));
                }
            }
            if let Some((hash, counted)) = of.counted
                && hash == rule.hash
            {
                entries += 1;
                let said = (counted.acted, counted.approved, counted.aborted);
                of_rule.limits.recall(said, &rule.limits, now);
                for (key, broken) in counted.open {
                    let open = Open {
                        trip: broken.trip,
                        places: broken.places,
                        others: broken
                            .others
                            .or_else(|| Some("somebody else writes there too".into())),
                    };
                    of_rule.breakers.insert(key, Breaker::recalled(open));
                }
            }
        }
        if !held.is_empty() {
            self.keeper.held.clone_from(&held);
            self.take_held(held, now);
        }
        self.look_at_clocks();
        entries
    }

    /// Another daemon has written a shard: what it knows is taken too.
    pub(super) fn meet(&mut self, number: usize, text: &str, now: Timestamp) {
        let message = format!(
            "another daemon writes shard {number} of this state: two of them act on one cluster, unless one is just taking over"
        );
        self.reports.push(Report::State(message));
        let own = self.cut(self.keeper.layout, &[number]).pop();
        let mut all = own.unwrap_or_default();
        for of in all.rules.values_mut() {
            // It goes on counting.
            of.counted = None;
        }
        all.merge(state::read([("", text)]).state);
        self.take(all, now);
    }
}
