//! The immutable set of compiled rules, indexed by kind.

use super::candidates::{Candidates, Positions};
use super::watch_scope::WatchScope;
use super::{Mode, Occasion, ResolvedKind, Rule, rivals};
use crate::object::{GroupKind, Meta};
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
    doubt: Doubt,
    /// See [`RuleSet::has_rivals`]; empty: none has.
    rivals: Vec<bool>,
}

/// Rules that are not in a set although nobody has taken them away: what they did must not be undone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Doubt {
    /// None: what is not in the set is not in force.
    #[default]
    None,
    /// These, by name: they do not compile.
    Rules(Vec<Arc<str>>),
    /// Any: some file could not be read, or only some rules were asked for.
    All,
}

/// What the set knows of one kind.
#[derive(Default)]
struct OfKind {
    rules: Vec<RuleIndex>,
    candidates: Candidates,
    limited: Vec<RuleIndex>,
    /// Where those stand among `rules`.
    limited_positions: Vec<usize>,
    remembering: Vec<RuleIndex>,
    reads_more_than_metadata: bool,
    /// Objects matter that no rule of the kind matches.
    whole: bool,
    scope: WatchScope,
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
    pub fn new(rules: Vec<Arc<Rule>>, schema: Schema) -> RuleSet {
        Self::at(Occasion::Reconcile, rules, schema)
    }

    /// As [`RuleSet::new`], of the rules that look at this occasion; the others are there, but match nothing.
    pub fn at(occasion: Occasion, mut rules: Vec<Arc<Rule>>, schema: Schema) -> RuleSet {
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
            if rule.mode == Mode::Off || !rule.when.has(occasion) {
                continue;
            }
            for resolved in &rule.matches.kinds {
                let of_kind = by_kind.entry(resolved.kind.clone()).or_default();
                if of_kind.rules.last() != Some(&index) {
                    let position = of_kind.rules.len();
                    of_kind.candidates.add(position, rule);
                    of_kind.rules.push(index);
                    if rule.is_counted() {
                        of_kind.limited.push(index);
                        of_kind.limited_positions.push(position);
                    }
                    if rule.remembers() {
                        of_kind.remembering.push(index);
                    }
                }
                of_kind.reads_more_than_metadata |= !rule.metadata_only;
            }
            for list in &rule.related {
                for resolved in &list.kinds {
                    let of_kind = by_kind.entry(resolved.kind.clone()).or_default();
                    of_kind.reads_more_than_metadata |= !list.metadata_only;
                    // Who is not there counts too.
                    of_kind.whole = true;
                }
            }
            for resolved in rule.read_kinds() {
                let of_kind = by_kind.entry(resolved.kind.clone()).or_default();
                of_kind.reads_more_than_metadata = true;
                of_kind.whole = true;
            }
            // What a rule writes is compared with what there is.
            for resolved in rule.applied_kinds() {
                let of_kind = by_kind.entry(resolved.kind.clone()).or_default();
                of_kind.reads_more_than_metadata = true;
                of_kind.whole = true;
            }
            for resolved in rule.kinds() {
                if kinds.iter().all(|known| known.kind != resolved.kind) {
                    kinds.push(resolved);
                }
            }
        }
        kinds.sort_by(|a, b| a.kind.cmp(&b.kind));
        for (kind, of_kind) in &mut by_kind {
            // Annotations of any Namespace can tell rules to leave everything in it alone.
            if of_kind.whole || *kind == GroupKind::new("", "Namespace") {
                continue;
            }
            let namespaced = schema.kind(kind).is_some_and(|schema| schema.namespaced);
            let of = of_kind.rules.iter().map(|index| &*rules[*index]);
            of_kind.scope = WatchScope::of(of, namespaced);
        }
        RuleSet {
            rivals: rivals::of(&rules),
            rules,
            by_name,
            by_kind,
            kinds,
            schema,
            doubt: Doubt::None,
        }
    }

    /// The same set, with rules left out of it that may not be taken for gone.
    #[must_use]
    pub fn doubting(mut self, doubt: Doubt) -> RuleSet {
        self.doubt = doubt;
        self
    }

    /// Whether a rule that is not in the set may be in force all the same.
    pub fn doubts(&self, name: &str) -> bool {
        match &self.doubt {
            Doubt::None => false,
            Doubt::Rules(names) => names.iter().any(|n| **n == *name),
            Doubt::All => true,
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

    /// Positions in [`RuleSet::for_kind`] of the rules that the object's labels leave in question; all others are out of scope.
    pub fn candidates(&self, kind: &GroupKind, object: Meta<'_>) -> Positions {
        self.by_kind
            .get(kind)
            .map_or(Positions::default(), |of_kind| {
                of_kind.candidates.of(object)
            })
    }

    /// Of the rules of this kind those of which something is kept for every object (see [`Rule::is_counted`]), in evaluation order.
    pub fn limited(&self, kind: &GroupKind) -> &[RuleIndex] {
        self.by_kind
            .get(kind)
            .map_or(&[], |of_kind| &of_kind.limited)
    }

    /// As [`RuleSet::limited`], each with its position in [`RuleSet::for_kind`].
    pub fn limited_in_place(
        &self,
        kind: &GroupKind,
    ) -> impl Iterator<Item = (RuleIndex, usize)> + '_ {
        let of_kind = self.by_kind.get(kind).into_iter();
        of_kind.flat_map(|k| {
            let positions = k.limited_positions.iter().copied();
            k.limited.iter().copied().zip(positions)
        })
    }

    /// Of the rules of this kind those that something is remembered of, in evaluation order.
    pub fn remembering(&self, kind: &GroupKind) -> &[RuleIndex] {
        self.by_kind
            .get(kind)
            .map_or(&[], |of_kind| &of_kind.remembering)
    }

    /// Whether another rule may write the same place of the same object, where one of the two has that object as a target.
    pub fn has_rivals(&self, rule: RuleIndex) -> bool {
        self.rivals.get(rule).is_some_and(|has| *has)
    }

    /// Where a rule stands in [`RuleSet::rules`].
    pub fn index_of(&self, name: &str) -> Option<RuleIndex> {
        self.by_name.get(name).copied()
    }

    /// Every kind that some rule not `Off` matches, applies or has a list of, each once, sorted by group and kind.
    pub fn kinds(&self) -> Vec<ResolvedKind> {
        self.kinds.clone()
    }

    /// Whether every rule of the kind reads nothing but metadata. True for a kind that no rule matches.
    pub fn metadata_only(&self, kind: &GroupKind) -> bool {
        self.by_kind
            .get(kind)
            .is_none_or(|of_kind| !of_kind.reads_more_than_metadata)
    }

    /// What of a kind some rule can match, or must see for another reason.
    pub fn watch_scope(&self, kind: &GroupKind) -> WatchScope {
        let of_kind = self.by_kind.get(kind);
        of_kind.map_or(WatchScope::default(), |of_kind| of_kind.scope.clone())
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
                Some(old) if old.hash == rule.hash && old.is_about_the_same_as(rule) => {
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::rule::compile::{SourceFile, compile};

    fn set(rules: &[(&str, &str)]) -> RuleSet {
        let schema = Schema::bundled();
        let files: Vec<SourceFile> = rules
            .iter()
            .map(|(name, spec)| SourceFile {
                name: format!("{name}.yaml").into(),
                bytes: format!(
                    "apiVersion: ordain.dev/v1alpha1\nkind: Rule\nmetadata: {{name: {name}}}\nspec: {spec}\n"
                )
                .into_bytes(),
            })
            .collect();
        let compiled = compile(&files, &schema);
        let problems: Vec<String> = compiled.problems.iter().map(ToString::to_string).collect();
        assert!(!compiled.has_errors(), "{}", problems.join("\n"));
        RuleSet::new(compiled.rules, schema)
    }

    const PODS: &str = "match: {resources: [{apiVersion: v1, kind: Pod}]}";
    const JOBS: &str = "match: {resources: [{apiVersion: batch/v1, kind: Job}]}";
    const DELETE: &str = "actions: [{delete: {}}]";

    fn names(set: &RuleSet, group: &str, kind: &str) -> Vec<String> {
        set.for_kind(&GroupKind::new(group, kind))
            .iter()
            .map(|index| set.rules()[*index].name.to_string())
            .collect()
    }

    #[test]
    fn rules_run_by_priority_and_then_name() {
        let set = set(&[
            ("b", &format!("{{{PODS}, {DELETE}}}")),
            ("a", &format!("{{{PODS}, {DELETE}}}")),
            ("last", &format!("{{priority: -1, {PODS}, {DELETE}}}")),
            ("first", &format!("{{priority: 5, {PODS}, {DELETE}}}")),
            (
                "off",
                &format!("{{mode: Off, priority: 9, {PODS}, {DELETE}}}"),
            ),
            ("job", &format!("{{{JOBS}, {DELETE}}}")),
        ]);
        assert_eq!(names(&set, "", "Pod"), ["first", "a", "b", "last"]);
        assert_eq!(names(&set, "batch", "Job"), ["job"]);
        assert!(names(&set, "", "Secret").is_empty());
        let kinds: Vec<String> = set.kinds().iter().map(|k| k.kind.to_string()).collect();
        assert_eq!(kinds, ["Pod", "Job.batch"]);
        assert!(set.get("off").is_some() && set.get("none").is_none());
    }

    #[test]
    fn the_difference_names_what_changed_and_whom_it_concerns() {
        let older = set(&[
            ("same", &format!("{{{PODS}, {DELETE}}}")),
            ("changed", &format!("{{{PODS}, {DELETE}}}")),
            ("gone", &format!("{{{PODS}, {DELETE}}}")),
        ]);
        let newer = set(&[
            ("same", &format!("{{{DELETE}, {PODS}}}")),
            ("changed", &format!("{{{JOBS}, {DELETE}}}")),
            ("off", &format!("{{mode: Off, {PODS}, {DELETE}}}")),
        ]);
        let difference = newer.difference(&older);
        assert_eq!(difference.added, ["off".into()]);
        assert_eq!(difference.changed, ["changed".into()]);
        assert_eq!(difference.removed, ["gone".into()]);
        assert_eq!(difference.concerned, [GroupKind::new("batch", "Job")]);
        assert!(newer.difference(&newer).is_empty());
    }

    #[test]
    fn what_is_read_is_known() {
        let metadata = "where: [{path: $.metadata.labels.a, operator: Exists}]";
        let spec = "where: [{path: $.spec.nodeName, operator: Exists}]";
        let lean = set(&[("a", &format!("{{{PODS}, {metadata}, {DELETE}}}"))]);
        assert!(lean.metadata_only(&GroupKind::new("", "Pod")) && !lean.needs_namespaces());
        let full = set(&[
            ("a", &format!("{{{PODS}, {metadata}, {DELETE}}}")),
            ("b", &format!("{{{PODS}, {spec}, {DELETE}}}")),
        ]);
        assert!(!full.metadata_only(&GroupKind::new("", "Pod")));
        let reading = "where: [{expression: '${namespaceObject.metadata.name}', value: a}]";
        assert!(set(&[("a", &format!("{{{PODS}, {reading}, {DELETE}}}"))]).needs_namespaces());
        let selecting = "match: {resources: [{apiVersion: v1, kind: Pod}], namespaceSelector: {matchLabels: {a: b}}}";
        assert!(set(&[("a", &format!("{{{selecting}, {DELETE}}}"))]).needs_namespaces());
        let writing = "actions: [{patch: [{path: $.spec.activeDeadlineSeconds, default: 60}]}]";
        let written = set(&[("a", &format!("{{{PODS}, {writing}}}"))]);
        assert!(!written.metadata_only(&GroupKind::new("", "Pod")));
    }
}
