//! Rules that may want different things of one object, where one of them has it as a target: they do not meet in one pass.

use super::edit::{meets, push_token};
use super::path::PodPrefix;
use super::{Action, Mode, ResolvedKind, Rule, Step};
use crate::object::GroupKind;
use std::sync::Arc;

/// What a step writes of objects of a kind.
struct Writes<'r> {
    rule: usize,
    kind: &'r GroupKind,
    /// The object is a target.
    aims: bool,
    /// RFC 6901; `None`: it is not known before there is an object.
    places: Option<Vec<String>>,
}

impl Writes<'_> {
    fn meets(&self, other: &Writes<'_>) -> bool {
        if self.rule == other.rule || self.kind != other.kind {
            return false;
        }
        match (&self.places, &other.places) {
            (Some(ours), Some(theirs)) => {
                let mut pairs = ours.iter().flat_map(|a| theirs.iter().map(move |b| (a, b)));
                pairs.any(|(a, b)| meets(a, b))
            }
            _ => true,
        }
    }
}

/// For each rule, whether it has such rivals; empty: no rule has.
pub(super) fn of(rules: &[Arc<Rule>]) -> Vec<bool> {
    if rules.iter().all(|rule| rule.targeting().next().is_none()) {
        return vec![];
    }
    let mut writes = vec![];
    for (index, rule) in rules.iter().enumerate() {
        if rule.mode == Mode::Off {
            continue;
        }
        for step in &rule.steps {
            let list = step.target.and_then(|list| rule.related.get(list));
            let kinds: &[ResolvedKind] = match (step.target, list) {
                (None, _) => &rule.matches.kinds,
                (_, Some(list)) => &list.kinds,
                (Some(_), None) => &[],
            };
            let Some(places) = places(step) else { continue };
            writes.extend(kinds.iter().map(|resolved| Writes {
                rule: index,
                kind: &resolved.kind,
                aims: step.target.is_some(),
                places: places.clone(),
            }));
        }
    }
    let mut found = vec![false; rules.len()];
    for one in writes.iter().filter(|one| one.aims) {
        for other in &writes {
            if one.meets(other) {
                found[one.rule] = true;
                found[other.rule] = true;
            }
        }
    }
    match found.contains(&true) {
        true => found,
        false => vec![],
    }
}

/// Where a step changes its object; `None`: it does not.
fn places(step: &Step) -> Option<Option<Vec<String>>> {
    let Action::Patch { edits, .. } = &step.action else {
        let changes = matches!(
            step.action,
            Action::Scale { .. } | Action::Restart { .. } | Action::Rollback { .. }
        );
        return changes.then_some(None);
    };
    let pointers = edits.iter().map(|edit| {
        let names = edit.path.plain_names(PodPrefix::None)?;
        let mut pointer = String::new();
        for name in &names {
            push_token(&mut pointer, name.as_str());
        }
        Some(pointer)
    });
    Some(pointers.collect())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use crate::rule::compile::{SourceFile, compile};
    use crate::rule::set::RuleSet;
    use crate::schema::Schema;

    const PODS: &str = "match: {resources: [{apiVersion: v1, kind: Pod}]}";
    const OF_SERVICES: &str = "match: {resources: [{apiVersion: v1, kind: Service}]}, related: [{name: pods, resources: [{apiVersion: v1, kind: Pod}]}]";

    /// A rule about Pods, or one that has Pods as a target, which sets something.
    fn sets(aims: bool, edit: &str) -> String {
        match aims {
            true => format!("{{{OF_SERVICES}, actions: [{{target: pods, patch: [{edit}]}}]}}"),
            false => format!("{{{PODS}, actions: [{{patch: [{edit}]}}]}}"),
        }
    }

    fn rivals(rules: &[String]) -> Vec<bool> {
        let files: Vec<SourceFile> = rules
            .iter()
            .enumerate()
            .map(|(n, spec)| SourceFile {
                name: format!("{n}.yaml").into(),
                bytes: format!("apiVersion: ordain.dev/v1alpha1\nkind: Rule\nmetadata: {{name: r{n}}}\nspec: {spec}\n").into_bytes(),
            })
            .collect();
        let schema = Schema::bundled();
        let compiled = compile(&files, &schema);
        assert!(!compiled.has_errors(), "{:?}", compiled.problems);
        let set = RuleSet::new(compiled.rules, schema);
        (0..rules.len())
            .map(|index| set.has_rivals(index))
            .collect()
    }

    #[test]
    fn those_who_may_write_one_place_of_a_target_are_rivals() {
        let label = "{path: $.metadata.labels.a, set: x}";
        let labels = "{path: $.metadata.labels, merge: {b: x}}";
        let other = "{path: $.metadata.labels.b, set: x}";
        let images = "{path: '$containers[*].image', set: x}";
        let cases = [
            ([(true, label), (true, label)], true),
            ([(true, label), (false, label)], true),
            ([(false, label), (true, labels)], true),
            ([(true, label), (true, other)], false),
            ([(true, label), (false, images)], true),
            // They meet in one pass.
            ([(false, label), (false, label)], false),
        ];
        for (pair, expected) in cases {
            let rules = pair.map(|(aims, edit)| sets(aims, edit));
            assert_eq!(rivals(&rules), [expected; 2], "{rules:?}");
        }
        // A third one that has nothing to do with them, and one that is off.
        let off = sets(false, label).replacen('{', "{mode: \"Off\", ", 1);
        let rules = [sets(true, label), sets(false, other), off];
        assert_eq!(rivals(&rules), [false; 3]);
        let scales = "{match: {resources: [{apiVersion: apps/v1, kind: Deployment}]}, related: [{name: sets, resources: [{apiVersion: apps/v1, kind: StatefulSet}]}], actions: [{target: sets, scale: {replicas: 1}}]}";
        let sized = "{match: {resources: [{apiVersion: apps/v1, kind: StatefulSet}]}, actions: [{patch: [{path: $.spec.replicas, set: 2}]}]}";
        let rules = [scales.to_owned(), sized.to_owned(), sets(true, label)];
        assert_eq!(rivals(&rules), [true, true, false]);
    }
}
