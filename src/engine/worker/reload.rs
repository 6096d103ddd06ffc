//! Another rule set takes the place of the one in force.

use super::Engine;
use super::glance::{Quiet, looks_at_tests_alone};
use super::rules::RuleState;
use super::states::RuleStates;
use crate::engine::memory::Uid;
use crate::engine::store::{Name, key_of};
use crate::engine::{Report, WatchedKind, standings};
use crate::object::{GroupKind, ObjectKey, Record};
use crate::rule::Mode;
use crate::rule::expr::NamespaceObject;
use crate::rule::set::RuleSet;
use ahash::{AHashMap, AHashSet};
use jiff::Timestamp;
use std::sync::Arc;

impl Engine {
    /// Puts a rule set in force. Only objects that added or changed rules can concern, or that removed ones did, are looked at again.
    pub fn load(&mut self, rules: Arc<RuleSet>, now: Timestamp) {
        let difference = rules.difference(&self.rules);
        let followed = self.wanted();
        let older = std::mem::replace(&mut self.rules, rules);
        let mut states: AHashMap<Arc<str>, RuleState> = older
            .rules()
            .iter()
            .map(|r| r.name.clone())
            .zip(std::mem::take(&mut self.states).into_vec())
            .collect();
        self.keep_said(&older);
        let same = |name: &Arc<str>| {
            older
                .get(name)
                .is_some_and(|o| self.rules.get(name).is_some_and(|n| n.hash == o.hash))
        };
        let of_all = self
            .rules
            .rules()
            .iter()
            .map(|rule| match states.remove(&rule.name) {
                Some(state) if same(&rule.name) => state.kept(rule),
                Some(mut state) => {
                    let matches = std::mem::take(&mut state.matches);
                    let ended = std::mem::take(&mut state.owned);
                    self.reports
                        .extend(ended.into_iter().map(Report::FindingEnded));
                    let mut state = state.changed(rule);
                    // What is done about a match has changed, not what matches.
                    let before = older.get(&rule.name).map(|o| o.match_hash);
                    if before == Some(rule.match_hash) && rule.mode != Mode::Off && rule.remembers()
                    {
                        state.matches = matches;
                        state.matches.forget_numbers();
                    }
                    state
                }
                None => RuleState::of(rule),
            })
            .collect();
        self.states = RuleStates::new(&self.rules, of_all);
        for state in states.into_values() {
            self.reports
                .extend(state.findings().map(|f| Report::FindingEnded(f.clone())));
        }
        self.forbidden.retain(|(rule, _, _), _| same(rule));
        self.settled_deeds.retain(|_, settled| {
            settled.retain(|s| same(&s.rule));
            !settled.is_empty()
        });
        self.answers.retain(same);
        self.away.retain(same);
        let mut keys = vec![];
        let mut keys_with_room = vec![];
        let mut quiet: Vec<Quiet> = vec![];
        let mut touched: AHashSet<GroupKind> = difference.concerned.iter().cloned().collect();
        for name in difference.removed.iter().chain(&difference.changed) {
            if let Some(rule) = older.get(name) {
                touched.extend(rule.matches.kinds.iter().map(|k| k.kind.clone()));
            }
        }
        let namespaces: AHashMap<Arc<str>, Record> = match self.store.kind(&self.namespace_kind) {
            Some(kind) => kind
                .iter()
                .map(|(n, e)| (n.name.clone(), e.record.clone()))
                .collect(),
            None => AHashMap::new(),
        };
        for kind in &touched {
            let before = older.for_kind(kind);
            let after = self.rules.for_kind(kind);
            // Where each rule of the kind stood before, if it is the same rule.
            let stood: Vec<Option<usize>> = after
                .iter()
                .map(|index| {
                    let name = &self.rules.rules()[*index].name;
                    if !same(name) {
                        return None;
                    }
                    before
                        .iter()
                        .position(|old| older.rules()[*old].name == *name)
                })
                .collect();
            let went: Vec<usize> = (0..before.len())
                .filter(|p| !stood.contains(&Some(*p)))
                .collect();
            // Rules that are the same but are not about this kind any more: what it is about depends on what kinds there are.
            let leave: Vec<(usize, usize)> = went
                .iter()
                .filter_map(|position| {
                    let name = &older.rules()[before[*position]].name;
                    let index = self.rules.index_of(name)?;
                    same(name).then_some((*position, index))
                })
                .collect();
            let Some(objects) = self
                .store
                .kinds_mut()
                .find(|(k, _)| *k == kind)
                .map(|(_, o)| o)
            else {
                continue;
            };
            let new = (0..after.len()).filter(|p| stood[*p].is_none());
            let new = new.map(|p| (p, after[p])).collect();
            let quiet_ones = Quiet {
                kind: kind.clone(),
                new,
            };
            let may_be_quiet = went
                .iter()
                .map(|p| &older.rules()[before[*p]])
                .chain(quiet_ones.new.iter().map(|(_, i)| &self.rules.rules()[*i]))
                .all(|rule| looks_at_tests_alone(rule));
            // The usual case, a rule that was edited: all others have the places that they had.
            let mut places = stood.iter().enumerate();
            let in_place = places.all(|(p, from)| from.is_none_or(|from| from == p));
            let mut fresh: Vec<Name> = vec![];
            let mut any_quiet = false;
            for (name, entry) in objects.iter_mut() {
                let old = &entry.standings;
                for (position, index) in &leave {
                    let state = &mut self.states[*index];
                    state.count(standings::get(old, *position), -1);
                    keys_with_room.extend(state.forget(&key_of(kind, name)));
                    state.matches.gone(Uid::of(entry.record.meta().uid()));
                }
                let mut concerned = false;
                // As each rule that stayed stood, at the place that it has now.
                if in_place {
                    for position in &went {
                        let stood = standings::take(&mut entry.standings, *position);
                        concerned |= stood > standings::IN_SCOPE;
                    }
                } else {
                    let stood_at = |position: &usize| standings::get(old, *position);
                    concerned = went.iter().any(|p| stood_at(p) > standings::IN_SCOPE);
                    let mut now = standings::Standings::new();
                    for (position, from) in stood.iter().enumerate() {
                        if let Some(from) = from {
                            standings::set(&mut now, position, standings::get(old, *from));
                        }
                    }
                    if now.as_slice() != &**old {
                        entry.standings = now.as_slice().into();
                    }
                }
                if quiet_ones.new.is_empty() && !concerned {
                    continue;
                }
                if may_be_quiet
                    && !concerned
                    && !entry.fresh
                    && standings::none_has_to_do(&entry.standings)
                {
                    entry.glance = true;
                    any_quiet = true;
                    continue;
                }
                concerned = concerned
                    || quiet_ones.new.iter().any(|(_, index)| {
                        let rule = &self.rules.rules()[*index];
                        let namespace =
                            name.namespace.as_ref().map_or(NamespaceObject::None, |n| {
                                namespaces.get(n).map_or(NamespaceObject::Unknown, |r| {
                                    NamespaceObject::Known(r.root())
                                })
                            });
                        rule.concerns(entry.record.meta(), namespace)
                    });
                if concerned {
                    fresh.push(name.clone());
                }
            }
            if any_quiet {
                quiet.push(quiet_ones);
            }
            for name in fresh {
                objects.set_fresh(&name, true);
                keys.push(key_of(kind, &name));
            }
        }
        for key in keys {
            self.forget_refusals_of(key, now);
        }
        for key in keys_with_room {
            self.queue.push(key, now);
        }
        let touched = [&difference.added, &difference.changed, &difference.removed];
        let first = older.rules().is_empty();
        self.load_lifetimes(touched.into_iter().flatten(), first, now);
        self.follow_anew(&followed);
        self.drop_kinds(now);
        self.load_related(&older, now);
        self.drop_kept_back(now);
        self.review_readiness();
        self.look_at_clocks();
        self.load_rivals(now);
        for quiet in quiet {
            self.glance_at(&quiet, now);
        }
        for index in 0..self.states.len() {
            let state = &self.states[index];
            let vouched = state.refusal.is_some() && state.unproven.is_empty();
            self.review_paths(index);
            if vouched {
                self.look_at_matched(index, now);
            }
        }
    }

    /// Other kinds are followed than before, or in another way.
    pub(super) fn follow_anew(&mut self, followed: &[WatchedKind]) {
        let wanted = self.wanted();
        for kind in &wanted {
            let before = followed.iter().find(|f| f.kind == kind.kind);
            // Followed at another version, so far without what is beside metadata, or without objects that rules can match now: what is
            // stored is not what rules read.
            if before.is_some_and(|b| {
                b.version != kind.version
                    || (b.metadata_only && !kind.metadata_only)
                    || !b.scope.contains(&kind.scope)
            }) {
                self.store.kind_mut(&kind.kind).doubt();
            }
        }
        self.followed = wanted.into_iter().map(|w| (w.kind, w.scope)).collect();
    }

    /// Forgets the objects of kinds that are no longer followed, and everything that was remembered about them.
    fn drop_kinds(&mut self, now: Timestamp) {
        let followed = &self.followed;
        let dropped: Vec<GroupKind> = self
            .store
            .kinds()
            .map(|(kind, _)| kind.clone())
            .filter(|kind| !followed.contains_key(kind))
            .collect();
        for kind in &dropped {
            let keys: Vec<ObjectKey> = match self.store.kind(kind) {
                Some(objects) => objects.iter().map(|(name, _)| key_of(kind, name)).collect(),
                None => vec![],
            };
            for key in keys {
                self.forget(&key, now);
                self.release(&key);
            }
            self.queue.drop_kind(kind);
        }
        self.store.retain(|kind| !dropped.contains(kind));
    }
}
