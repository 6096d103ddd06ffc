//! The immutable set of compiled rules, indexed by kind.

use super::{Mode, ResolvedKind, Rule};
use crate::object::GroupKind;
use crate::schema::Schema;
use ahash::AHashMap;
use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Rules in evaluation order (priority descending, then name), indexed by kind. Never changed after it is made.
pub struct RuleSet {
    rules: Vec<Arc<Rule>>,
    by_name: AHashMap<Arc<str>, RuleIndex>,
    by_kind: AHashMap<GroupKind, OfKind>,
    /// Sorted by group and kind.
    kinds: Vec<ResolvedKind>,
    schema: Schema,
}

/// What the set knows of one kind.
#[derive(Default)]
struct OfKind {
    rules: Vec<RuleIndex>,
    reads_more_than_metadata: bool,
}

/// Index of a rule in its set.
pub type RuleIndex = usize;

/// What changed between two sets.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct SetDifference {
    /// Names of rules that only the newer set has, sorted.
    pub added: Vec<Arc<str>>,
    /// Names of rules that both have, with another document, sorted.
    pub changed: Vec<Arc<str>>,
    /// Names of rules that only the older set has, sorted.
    pub removed: Vec<Arc<str>>,
    /// Kinds whose objects some added or changed rule of the newer set can concern, sorted; rules that are `Off` concern none.
    pub concerned: Vec<GroupKind>,
}

impl SetDifference {
    /// Whether the two sets hold the same rules.
    pub fn is_empty(&self) -> bool {
        self.added.is_empty() && self.changed.is_empty() && self.removed.is_empty()
    }
}

impl RuleSet {
    /// Of two rules with one name the first in evaluation order counts; the compiler never makes two.
    pub fn new(mut rules: Vec<Arc<Rule>>, schema: Schema) -> RuleSet {
        rules.sort_by(|a, b| (Reverse(a.priority), &a.name).cmp(&(Reverse(b.priority), &b.name)));
        let mut by_name = AHashMap::with_capacity(rules.len());
        rules.retain(|rule| {
            let index = by_name.len();
            match by_name.entry(rule.name.clone()) {
                std::collections::hash_map::Entry::Occupied(_) => false,
                std::collections::hash_map::Entry::Vacant(entry) => {
                    entry.insert(index);
                    true
                }
            }
        });
        let mut by_kind: AHashMap<GroupKind, OfKind> = AHashMap::new();
        let mut kinds: Vec<ResolvedKind> = vec![];
        for (index, rule) in rules.iter().enumerate() {
            if rule.mode == Mode::Off {
                continue;
            }
            for resolved in &rule.matches.kinds {
                let of_kind = by_kind.entry(resolved.kind.clone()).or_default();
                if of_kind.rules.is_empty() {
                    kinds.push(resolved.clone());
                }
                if of_kind.rules.last() != Some(&index) {
                    of_kind.rules.push(index);
                }
                of_kind.reads_more_than_metadata |= !rule.metadata_only;
            }
        }
        kinds.sort_by(|a, b| a.kind.cmp(&b.kind));
        RuleSet {
            rules,
            by_name,
            by_kind,
            kinds,
            schema,
        }
    }

    /// All rules, `Off` ones too, in evaluation order.
    pub fn rules(&self) -> &[Arc<Rule>] {
        &self.rules
    }

    /// A rule by its name.
    pub fn get(&self, name: &str) -> Option<&Arc<Rule>> {
        self.by_name
            .get(name)
            .and_then(|index| self.rules.get(*index))
    }

    /// The rules that name this kind, in evaluation order, `Off` ones left out.
    pub fn for_kind(&self, kind: &GroupKind) -> &[RuleIndex] {
        self.by_kind.get(kind).map_or(&[], |of_kind| &of_kind.rules)
    }

    /// Every kind that some rule not `Off` matches, each once, sorted by group and kind.
    pub fn kinds(&self) -> Vec<ResolvedKind> {
        self.kinds.clone()
    }

    /// Whether every rule of the kind reads nothing but metadata. True for a kind that no rule matches.
    pub fn metadata_only(&self, kind: &GroupKind) -> bool {
        self.by_kind
            .get(kind)
            .is_none_or(|of_kind| !of_kind.reads_more_than_metadata)
    }

    /// Whether some rule not `Off` reads the Namespaces of its objects.
    pub fn needs_namespaces(&self) -> bool {
        self.rules
            .iter()
            .any(|rule| rule.mode != Mode::Off && rule.reads_namespace)
    }

    /// The schema the rules were compiled against.
    pub fn schema(&self) -> &Schema {
        &self.schema
    }

    /// What this set has that `older` has not, and the other way round.
    pub fn difference(&self, older: &RuleSet) -> SetDifference {
        let mut difference = SetDifference::default();
        let mut concerned = BTreeSet::new();
        for rule in &self.rules {
            let names = match older.get(&rule.name) {
                Some(old) if old.hash == rule.hash && old.matches.kinds == rule.matches.kinds => {
                    continue;
                }
                Some(_) => &mut difference.changed,
                None => &mut difference.added,
            };
            names.push(rule.name.clone());
            if rule.mode != Mode::Off {
                concerned.extend(rule.matches.kinds.iter().map(|k| k.kind.clone()));
            }
        }
        for rule in &older.rules {
            if self.get(&rule.name).is_none() {
                difference.removed.push(rule.name.clone());
            }
        }
        difference.added.sort();
        difference.changed.sort();
        difference.removed.sort();
        difference.concerned = concerned.into_iter().collect();
        difference
    }
}
