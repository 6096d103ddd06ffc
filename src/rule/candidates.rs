//! Which rules of a kind the labels of an object leave in question, without asking each: most rules select by a label, and most objects
//! do not carry it.

use super::Rule;
use super::selector::LabelOperator;
use crate::object::{Meta, Node};
use ahash::AHashMap;
use smallvec::SmallVec;

/// Positions among the rules of a kind, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Positions(SmallVec<[u64; 4]>);

impl Positions {
    /// Puts one in.
    pub fn insert(&mut self, position: usize) {
        let word = position / 64;
        if word >= self.0.len() {
            self.0.resize(word + 1, 0);
        }
        self.0[word] |= 1 << (position % 64);
    }

    /// Puts all of these in.
    pub fn extend(&mut self, others: &Positions) {
        if others.0.len() > self.0.len() {
            self.0.resize(others.0.len(), 0);
        }
        for (word, other) in self.0.iter_mut().zip(&others.0) {
            *word |= other;
        }
    }

    /// Whether `position` is in, and nothing else.
    pub fn is_only(&self, position: usize) -> bool {
        self.from(0) == Some(position) && self.from(position + 1).is_none()
    }

    /// The first that is not before `position`.
    pub fn from(&self, position: usize) -> Option<usize> {
        let mut word = position / 64;
        let mut bits = self.0.get(word)? & (u64::MAX << (position % 64));
        while bits == 0 {
            word += 1;
            bits = *self.0.get(word)?;
        }
        Some(word * 64 + bits.trailing_zeros() as usize)
    }
}

/// Rules that ask for one label.
#[derive(Default)]
struct ByKey {
    /// Whatever its value.
    any: Positions,
    by_value: AHashMap<Box<str>, Positions>,
}

/// The index of one kind's rules.
#[derive(Default)]
pub struct Candidates {
    /// Those whose selector asks for no label to be there.
    always: Positions,
    by_key: AHashMap<Box<str>, ByKey>,
}

impl Candidates {
    /// Adds the rule at `position`, the number of rules added before.
    pub fn add(&mut self, position: usize, rule: &Rule) {
        let requirements = rule.matches.selector.requirements();
        // One requirement is enough to find it by; that with the fewest values leaves the fewest objects in question.
        let found_by = requirements
            .iter()
            .filter(|r| matches!(r.operator(), LabelOperator::In | LabelOperator::Exists))
            .min_by_key(|r| (r.operator() == LabelOperator::Exists, r.values().len()));
        let Some(requirement) = found_by else {
            return self.always.insert(position);
        };
        let by_key = self.by_key.entry(requirement.key().into()).or_default();
        if requirement.operator() == LabelOperator::Exists {
            by_key.any.insert(position);
        }
        for value in requirement.values() {
            let value = by_key.by_value.entry(value.clone()).or_default();
            value.insert(position);
        }
    }

    /// Every rule whose selector can match these labels, and perhaps some whose cannot: the others are out of scope.
    pub fn of(&self, object: Meta<'_>) -> Positions {
        let mut found = self.always.clone();
        if self.by_key.is_empty() {
            return found;
        }
        for (key, value) in object.labels().into_iter().flat_map(Node::entries) {
            let Some(by_key) = self.by_key.get(key) else {
                continue;
            };
            found.extend(&by_key.any);
            if let Some(rules) = value.as_str().and_then(|value| by_key.by_value.get(value)) {
                found.extend(rules);
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::object::Record;
    use crate::rule::compile::{SourceFile, compile};
    use crate::rule::expr::NamespaceObject;
    use crate::rule::selector::InScope;
    use crate::schema::Schema;
    use proptest::prelude::*;
    use serde_json::json;
    use std::collections::BTreeSet;
    use std::sync::Arc;

    fn rules(selectors: &[String]) -> Vec<Arc<Rule>> {
        let files: Vec<SourceFile> = selectors
            .iter()
            .enumerate()
            .map(|(i, selector)| SourceFile {
                name: format!("{i}.yaml").into(),
                bytes: format!("apiVersion: ordain.dev/v1alpha1\nkind: Rule\nmetadata: {{name: r{i}}}\nspec:\n  match:\n    resources: [{{apiVersion: v1, kind: Pod}}]\n    selector: {selector}\n  actions: [{{warn: {{message: m}}}}]\n").into_bytes(),
            })
            .collect();
        let compiled = compile(&files, &Schema::bundled());
        assert!(compiled.problems.is_empty(), "{}", compiled.problems[0]);
        compiled.rules
    }

    fn selector() -> impl Strategy<Value = String> {
        let requirement = prop_oneof![
            ("[ab]", prop::collection::vec("[xy]", 1..3)).prop_map(|(key, values)| format!(
                "{{key: {key}, operator: In, values: {values:?}}}"
            )),
            ("[ab]", "[xy]").prop_map(|(key, value)| format!(
                "{{key: {key}, operator: NotIn, values: [{value}]}}"
            )),
            ("[ab]", prop::sample::select(vec!["Exists", "DoesNotExist"]))
                .prop_map(|(key, operator)| format!("{{key: {key}, operator: {operator}}}")),
        ];
        prop::collection::vec(requirement, 0..3)
            .prop_map(|all| format!("{{matchExpressions: [{}]}}", all.join(", ")))
    }

    proptest! {
        #[test]
        fn no_rule_in_scope_is_left_out(
            selectors in prop::collection::vec(selector(), 1..9),
            labels in prop::collection::btree_map("[abc]", "[xyz]", 0..4),
        ) {
            let rules = rules(&selectors);
            let mut index = Candidates::default();
            for (position, rule) in rules.iter().enumerate() {
                index.add(position, rule);
            }
            let pod = Record::from_value(&json!({"metadata": {"name": "a", "labels": labels}}));
            let found = index.of(pod.meta());
            let mut positions = BTreeSet::new();
            let mut next = 0;
            while let Some(position) = found.from(next) {
                positions.insert(position);
                next = position + 1;
            }
            for (position, rule) in rules.iter().enumerate() {
                if rule.matches.covers(pod.meta(), NamespaceObject::None) != InScope::No {
                    prop_assert!(positions.contains(&position), "{}", selectors[position]);
                }
            }
        }

        #[test]
        fn positions_are_a_set(a in prop::collection::btree_set(0usize..400, 0..20), b in prop::collection::btree_set(0usize..400, 0..20), from in 0usize..420) {
            let of = |set: &BTreeSet<usize>| {
                let mut positions = Positions::default();
                set.iter().for_each(|p| positions.insert(*p));
                positions
            };
            let mut both = of(&a);
            both.extend(&of(&b));
            prop_assert_eq!(both.from(from), a.union(&b).copied().filter(|p| *p >= from).min());
        }
    }

    #[test]
    fn rules_that_select_something_else_are_not_asked() {
        let rules = rules(&[
            "{matchLabels: {team: core}}".to_owned(),
            "{matchLabels: {team: edge}}".to_owned(),
            "{matchExpressions: [{key: app, operator: Exists}]}".to_owned(),
            "{matchExpressions: [{key: app, operator: DoesNotExist}]}".to_owned(),
        ]);
        let mut index = Candidates::default();
        for (position, rule) in rules.iter().enumerate() {
            index.add(position, rule);
        }
        let of = |labels| {
            let pod = Record::from_value(&json!({"metadata": {"labels": labels}}));
            let found = index.of(pod.meta());
            (0..4)
                .filter(|p| found.from(*p) == Some(*p))
                .collect::<Vec<_>>()
        };
        assert_eq!(of(json!({"team": "edge"})), [1, 3]);
        assert_eq!(of(json!({"team": "core", "app": "a"})), [0, 2, 3]);
        assert_eq!(of(json!({"team": 1})), [3]);
        assert_eq!(of(json!(null)), [3]);
    }
}
