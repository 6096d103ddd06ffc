//! Rules whose changes last only as long as they match: where they may hold something, and which of them are gone.
//!
//! A rule that is removed gives back what it holds. So the kinds that such rules were about are followed on, with or without other rules, and
//! a rule counts as gone only if it was in force here and is certainly not any more: one that does not compile, or whose file cannot be read,
//! is not gone, and the rules of somebody else never were here.

use super::Engine;
use crate::decide::{Decision, Finding, Reason, Standing, state_annotation};
use crate::engine::WatchedKind;
use crate::engine::store::{Sync, key_of};
use crate::object::{GroupKind, ObjectKey, Record};
use crate::rule::set::RuleSet;
use crate::rule::watch_scope::WatchScope;
use crate::rule::{Action, Lifetime, Mode, ResolvedKind, Rule};
pub use crate::state::HeldKind;
use ahash::AHashSet;
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// All of it.
#[derive(Default)]
pub(super) struct Lifetimes {
    known: Known,
    gone: BTreeSet<Arc<str>>,
    /// More are gone at once than anybody means to take away: they wait for a person.
    withheld: BTreeSet<Arc<str>>,
    /// Nothing new is changed before it is kept which rules may hold something.
    unkept: bool,
}

/// The rules that may hold something, with the kinds that they may hold it of.
pub type Known = BTreeMap<Arc<str>, Vec<HeldKind>>;

/// More rules than this must be gone at a start, and more than half of all, to be taken for a fault.
const MOST_GONE: usize = 3;

impl Lifetimes {
    /// Another rule set is in force.
    fn load(&mut self, rules: &RuleSet) {
        for rule in rules.rules().iter().filter(|rule| is_reversible(rule)) {
            for resolved in &rule.matches.kinds {
                self.remember(&rule.name, resolved, rule.metadata_only);
            }
            for step in &rule.steps {
                if let (Action::Apply(apply), Lifetime::WhileMatched) =
                    (&step.action, step.lifetime)
                {
                    self.remember(&rule.name, &apply.resolved(), false);
                }
            }
            for (step, kinds) in rule.targeting() {
                if step.lifetime == Lifetime::WhileMatched {
                    for resolved in kinds {
                        self.remember(&rule.name, resolved, false);
                    }
                }
            }
        }
        let known = self.known.keys();
        let gone = known.filter(|name| rules.get(name).is_none() && !rules.doubts(name));
        self.gone = gone.cloned().collect();
    }

    /// At a start nobody has seen rules go: so many at once are a folder that is not there, sooner than an order.
    fn withhold(&mut self) {
        if self.gone.len() > MOST_GONE && self.gone.len() * 2 > self.known.len() {
            self.withheld = self.gone.clone();
        }
        let withheld = &self.withheld;
        self.gone.retain(|name| !withheld.contains(name));
    }

    /// Whether a rule waits until it is kept that it may hold something.
    pub(super) fn hold_up(&self, rule: &Rule) -> bool {
        self.unkept && is_reversible(rule)
    }

    fn remember(&mut self, rule: &Arc<str>, resolved: &ResolvedKind, metadata_only: bool) {
        let kinds = self.known.entry(rule.clone()).or_default();
        match kinds.iter_mut().find(|k| k.resolved.kind == resolved.kind) {
            Some(known) => {
                known.resolved.version.clone_from(&resolved.version);
                known.metadata_only &= metadata_only;
            }
            None => kinds.push(HeldKind {
                resolved: resolved.clone(),
                metadata_only,
            }),
        }
    }

    /// The kinds that have to be followed for what rules may hold: of a rule in force also those that it is not about any more.
    fn kinds(&self, rules: &RuleSet) -> impl Iterator<Item = &HeldKind> {
        let asks = move |name: &Arc<str>| match rules.get(name) {
            Some(rule) => rule.mode != Mode::Off,
            None => self.gone.contains(name),
        };
        let known = self.known.iter().filter(move |(name, _)| asks(name));
        known.flat_map(|(_, kinds)| kinds)
    }

    /// Whether an object carries something of a rule that may hold it.
    pub(super) fn concern(&self, record: &Record) -> bool {
        !self.known.is_empty()
            && state_annotation::rules(record).any(|name| self.known.contains_key(name))
    }
}

/// Whether some step of a rule takes back what it did.
fn is_reversible(rule: &Rule) -> bool {
    let mut steps = rule.steps.iter();
    steps.any(|step| step.lifetime == Lifetime::WhileMatched)
}

impl Engine {
    /// Whether a rule that was in force is gone, so that what it holds is given back.
    pub(super) fn is_gone(&self, rule: &str) -> bool {
        // What takes its place, under another name perhaps, comes in the same pass.
        !self.frozen && !self.lifetimes.unkept && self.lifetimes.gone.contains(rule)
    }

    /// The kinds that are followed for what rules may hold.
    pub(super) fn want_held(&self, wanted: &mut Vec<WatchedKind>) {
        for held in self.lifetimes.kinds(&self.rules) {
            let resolved = &held.resolved;
            match wanted.iter_mut().find(|w| w.kind == resolved.kind) {
                Some(wanted) => {
                    wanted.metadata_only &= held.metadata_only;
                    wanted.scope = WatchScope::default();
                }
                None => wanted.push(WatchedKind {
                    kind: resolved.kind.clone(),
                    version: resolved.version.clone(),
                    metadata_only: held.metadata_only,
                    scope: WatchScope::default(),
                }),
            }
        }
    }

    /// Whether an object is looked at although no rule is about its kind.
    pub(super) fn is_held(&self, key: &ObjectKey) -> bool {
        let entry = self.store.get(key);
        entry.is_some_and(|entry| self.lifetimes.concern(&entry.record))
    }

    /// Whether objects of a kind may be looked at although no rule is about it.
    pub(super) fn may_be_held(&self, kind: &GroupKind) -> bool {
        let mut kinds = self.lifetimes.known.values().flatten();
        kinds.any(|held| held.resolved.kind == *kind)
    }

    /// Another rule set is in force, in which these rules are new, changed, or not any more: what they hold is looked at.
    pub(super) fn load_lifetimes<'n>(
        &mut self,
        touched: impl Iterator<Item = &'n Arc<str>>,
        first: bool,
        now: Timestamp,
    ) {
        let rules = Arc::clone(&self.rules);
        let gone = std::mem::take(&mut self.lifetimes.gone);
        self.forget_drained(&gone);
        self.lifetimes.load(&rules);
        let withheld = &mut self.lifetimes.withheld;
        withheld.retain(|name| rules.get(name).is_none());
        if first {
            self.lifetimes.withhold();
        } else {
            let withheld = self.lifetimes.withheld.clone();
            self.lifetimes.gone.retain(|name| !withheld.contains(name));
        }
        let names: AHashSet<Arc<str>> = touched
            .filter(|name| self.lifetimes.known.contains_key(*name))
            .cloned()
            .chain(self.lifetimes.gone.difference(&gone).cloned())
            .collect();
        self.look_at_carriers(&names, now);
    }

    /// The objects that carry something of these rules.
    fn carriers(&self, rules: &AHashSet<Arc<str>>) -> Vec<ObjectKey> {
        let mut keys = vec![];
        if rules.is_empty() {
            return keys;
        }
        for (kind, objects) in self.store.kinds() {
            let carry = |record| state_annotation::rules(record).any(|name| rules.contains(name));
            let carriers = objects.iter().filter(|(_, e)| carry(&e.record));
            keys.extend(carriers.map(|(name, _)| key_of(kind, name)));
        }
        keys
    }

    fn look_at_carriers(&mut self, rules: &AHashSet<Arc<str>>, now: Timestamp) {
        for key in self.carriers(rules) {
            self.queue.push(key, now);
        }
    }

    /// Rules have become ready: what they hold can be decided on.
    pub(super) fn look_at_held(&mut self, begun: &[usize], now: Timestamp) {
        let names = begun.iter().map(|index| &self.rules.rules()[*index].name);
        let known = names.filter(|name| self.lifetimes.known.contains_key(*name));
        let names = known.cloned().collect();
        self.look_at_carriers(&names, now);
    }

    /// Rules that are gone and hold nothing any more are forgotten.
    fn forget_drained(&mut self, gone: &BTreeSet<Arc<str>>) {
        for name in gone {
            if self.is_drained(name) {
                self.lifetimes.known.remove(name);
            }
        }
    }

    /// Whether no object carries anything of a rule.
    fn is_drained(&self, name: &Arc<str>) -> bool {
        let kinds = self.lifetimes.known.get(name);
        let listed = kinds.into_iter().flatten().all(|held| {
            let kind = self.store.kind(&held.resolved.kind);
            kind.is_some_and(|kind| kind.sync == Sync::Synced)
        });
        let carriers = || self.carriers(&AHashSet::from_iter([name.clone()]));
        listed && carriers().is_empty()
    }

    /// As [`Engine::lifetimes`], without rules that are gone and hold nothing any more.
    pub(super) fn held(&self) -> Known {
        let mut held = self.lifetimes.known.clone();
        held.retain(|name, _| !self.lifetimes.gone.contains(name) || !self.is_drained(name));
        held
    }

    /// What was kept with the rest of an earlier life, once the rules are loaded.
    pub(super) fn take_held(&mut self, held: Known, now: Timestamp) {
        let followed = self.wanted();
        for (name, kinds) in held {
            for kind in kinds {
                let (resolved, metadata_only) = (kind.resolved, kind.metadata_only);
                self.lifetimes.remember(&name, &resolved, metadata_only);
            }
        }
        self.load_lifetimes(std::iter::empty(), true, now);
        self.follow_anew(&followed);
    }

    /// What was kept of an earlier life. Comes before the first rule set.
    pub fn recall_lifetimes(&mut self, known: Known) {
        self.lifetimes.known = known;
    }

    /// The rules that may hold something, to be kept for a later life.
    pub fn lifetimes(&self) -> &Known {
        &self.lifetimes.known
    }

    /// Whether that is kept: before it is, no rule with `lifetime: WhileMatched` changes anything.
    pub fn set_lifetimes_kept(&mut self, kept: bool, now: Timestamp) {
        let was = std::mem::replace(&mut self.lifetimes.unkept, !kept);
        if was && kept {
            let rules = Arc::clone(&self.rules);
            for (index, rule) in rules.rules().iter().enumerate() {
                if is_reversible(rule) {
                    self.look_at_matched(index, now);
                }
            }
            let names = self.lifetimes.known.keys().cloned().collect();
            self.look_at_carriers(&names, now);
        }
    }

    /// Rules that were gone at the start, too many at once to be believed.
    pub fn withheld_lifetimes(&self) -> impl Iterator<Item = &Arc<str>> {
        self.lifetimes.withheld.iter()
    }

    /// A person says that those rules were taken away on purpose. False if there were none.
    pub fn acknowledge_lifetimes(&mut self, now: Timestamp) -> bool {
        let withheld = std::mem::take(&mut self.lifetimes.withheld);
        let names = withheld.iter().cloned().collect();
        let any = !withheld.is_empty();
        self.lifetimes.gone.extend(withheld);
        self.look_at_carriers(&names, now);
        any
    }

    /// What was told of fields that others have taken over is told as long as the rule does not match the object again.
    pub(super) fn note_taken_over(
        &mut self,
        key: &ObjectKey,
        decision: &Decision,
        findings: &mut Vec<Finding>,
    ) {
        let taken = |finding: &&Finding| finding.reason == Reason::TakenOver;
        if self.taken_over.is_empty() && !findings.iter().any(|f| taken(&f)) {
            return;
        }
        let matches = |rule: &Arc<str>| {
            let index = self.rules.index_of(rule);
            let standing = index.map(|index| decision.standing(index));
            matches!(standing, Some(Standing::Matched { .. }))
        };
        let mut known = self.taken_over.remove(key).unwrap_or_default();
        known.retain(|finding| !matches(&finding.rule) && !findings.contains(finding));
        findings.extend(known.iter().cloned());
        known.clear();
        known.extend(findings.iter().filter(taken).cloned());
        if !known.is_empty() {
            self.taken_over.insert(key.clone(), known);
        }
    }
}
