//! A bad file never replaces a good rule: which rules are in force after a reload.

use super::FileSet;
use crate::rule::Rule;
use crate::rule::compile::Compiled;
use std::collections::BTreeMap;
use std::sync::Arc;

/// More rules than this must be lost at once, and more than half of all, to be taken for a fault.
pub const MOST_LOST: usize = 3;

/// The rules in force, and what waits for a person.
#[derive(Default)]
pub struct LastGood {
    rules: BTreeMap<Arc<str>, Arc<Rule>>,
    /// A composition that lost too much, kept for an acknowledgement.
    withheld: Option<Vec<Arc<Rule>>>,
    /// Files of the last good set that held `Parameters`.
    with_parameters: Vec<Arc<str>>,
}

/// What a reload came to.
pub struct Composition {
    /// What is in force now.
    pub rules: Vec<Arc<Rule>>,
    /// Of these, the rules that stay in their last good version because the new one has errors or cannot be read.
    pub kept: Vec<Arc<str>>,
    /// The whole reload was taken for a fault: nothing changed. One sentence for people.
    pub fault: Option<String>,
}

impl LastGood {
    /// Takes what was read and compiled into force, as far as it is good.
    pub fn compose(&mut self, files: &FileSet, compiled: &Compiled) -> Composition {
        let mut next: BTreeMap<Arc<str>, Arc<Rule>> = compiled
            .rules
            .iter()
            .map(|rule| (rule.name.clone(), rule.clone()))
            .collect();
        let mut kept = vec![];
        let mut keep = |rule: &Arc<Rule>, next: &mut BTreeMap<_, _>| {
            if !next.contains_key(&rule.name) {
                next.insert(rule.name.clone(), rule.clone());
                kept.push(rule.name.clone());
            }
        };
        for (name, _) in &compiled.broken {
            if let Some(rule) = self.rules.get(name) {
                keep(rule, &mut next);
            }
        }
        for rule in self.rules.values() {
            let file = &*rule.source.0;
            let unreadable = compiled.unreadable.iter().any(|f| **f == *file)
                || files.unreadable.iter().any(|u| u.covers(file));
            if unreadable {
                keep(rule, &mut next);
            }
        }
        kept.sort();
        let rules: Vec<Arc<Rule>> = next.into_values().collect();
        let fault = self
            .fault(files, &rules)
            .or_else(|| self.parameters_lost(files, compiled));
        if fault.is_some() {
            self.withheld = Some(rules);
            return Composition {
                rules: self.in_force(),
                kept: vec![],
                fault,
            };
        }
        self.take(&rules);
        self.with_parameters.clone_from(&compiled.with_parameters);
        Composition {
            rules,
            kept,
            fault: None,
        }
    }

    /// A person says that the loss was meant: what was withheld comes into force. `None` if nothing was.
    pub fn acknowledge(&mut self) -> Option<Vec<Arc<Rule>>> {
        let rules = self.withheld.take()?;
        self.take(&rules);
        Some(rules)
    }

    /// What is in force.
    pub fn in_force(&self) -> Vec<Arc<Rule>> {
        self.rules.values().cloned().collect()
    }

    /// Whether a reload is withheld.
    pub fn is_withholding(&self) -> bool {
        self.withheld.is_some()
    }

    fn take(&mut self, rules: &[Arc<Rule>]) {
        self.withheld = None;
        self.rules = rules
            .iter()
            .map(|rule| (rule.name.clone(), rule.clone()))
            .collect();
    }

    /// Without its `Parameters`, which cannot be read just now, a rule would fall back to its defaults.
    fn parameters_lost(&self, files: &FileSet, compiled: &Compiled) -> Option<String> {
        let lost = self.with_parameters.iter().find(|file| {
            compiled.unreadable.contains(file) || files.unreadable.iter().any(|u| u.covers(file))
        })?;
        Some(format!(
            "{lost}, which sets parameters, cannot be read: rules would fall back to their defaults"
        ))
    }

    fn fault(&self, files: &FileSet, next: &[Arc<Rule>]) -> Option<String> {
        if self.rules.is_empty() {
            return None;
        }
        if let Some(u) = files.unreadable.iter().find(|u| u.whole) {
            return Some(format!("{} cannot be read: {}", u.path, u.reason));
        }
        if files.is_empty() {
            return Some("no rule file is left".into());
        }
        let lost = self
            .rules
            .keys()
            .filter(|name| !next.iter().any(|rule| rule.name == **name))
            .count();
        (lost > MOST_LOST && lost * 2 > self.rules.len()).then(|| {
            format!(
                "{lost} of {} rules are gone at once, more than half",
                self.rules.len()
            )
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::rule::compile::{SourceFile, compile};
    use crate::rules_dir::Unreadable;
    use crate::schema::Schema;

    fn rule(name: &str, label: &str) -> String {
        format!(
            "apiVersion: ordain.dev/v1alpha1\nkind: Rule\nmetadata: {{name: {name}}}\nspec:\n  match:\n    resources:\n    \
             - {{apiVersion: v1, kind: ConfigMap}}\n  actions:\n  - patch:\n    - {{path: $.metadata.labels.a, set: {label}}}\n---\n"
        )
    }

    fn set(files: &[(&str, &str)]) -> FileSet {
        FileSet {
            files: files
                .iter()
                .map(|(name, text)| SourceFile {
                    name: (*name).into(),
                    bytes: text.as_bytes().to_vec(),
                })
                .collect(),
            unreadable: vec![],
        }
    }

    fn reload(last: &mut LastGood, files: FileSet) -> Composition {
        let compiled = compile(&files.files, &Schema::bundled());
        last.compose(&files, &compiled)
    }

    fn names(rules: &[Arc<Rule>]) -> Vec<&str> {
        rules.iter().map(|r| &*r.name).collect()
    }

    /// While the values of parameters cannot be read, nothing falls back to a default.
    #[test]
    fn parameters_that_cannot_be_read_are_a_fault() {
        let rule = rule("a", "\"${params.team}\"").replace(
            "spec:\n",
            "spec:\n  parameters: [{name: team, default: nobody}]\n",
        );
        let values = |team: &str| {
            format!(
                "apiVersion: ordain.dev/v1alpha1\nkind: Parameters\nmetadata: {{name: p}}\nspec: {{values: {{team: {team}}}}}\n"
            )
        };
        let mut last = LastGood::default();
        let mut load = |values: &str| {
            let files = set(&[("a.yaml", &rule), ("p.yaml", values)]);
            let compiled = compile(&files.files, &Schema::bundled());
            let composition = last.compose(&files, &compiled);
            (composition.rules[0].hash, composition.fault.is_some())
        };
        let (first, _) = load(&values("shop"));
        assert_eq!(load("kind: ["), (first, true));
        assert_eq!(load(&values("shop")), (first, false));
        let (other, fault) = load(&values("depot"));
        assert!(other != first && !fault);
        // Taken away on purpose: the default.
        let (default, fault) = load("# nothing\n");
        assert!(default != other && !fault);
    }

    #[test]
    fn a_broken_rule_keeps_its_last_good_version_and_the_others_move_on() {
        let mut last = LastGood::default();
        let good = rule("a", "one") + &rule("b", "one");
        let first = reload(&mut last, set(&[("r.yaml", &good)]));
        assert_eq!(names(&first.rules), ["a", "b"]);
        let broken = rule("a", "two").replace("$.metadata", "$.metaData") + &rule("b", "two");
        let second = reload(&mut last, set(&[("r.yaml", &broken)]));
        assert_eq!(names(&second.rules), ["a", "b"]);
        assert_eq!(second.kept, ["a".into()]);
        assert_eq!(second.rules[0].hash, first.rules[0].hash);
        assert_ne!(second.rules[1].hash, first.rules[1].hash);
        // Mended, it comes into force; removed, it goes.
        let third = reload(&mut last, set(&[("r.yaml", &rule("a", "two"))]));
        assert_eq!(names(&third.rules), ["a"]);
        assert!(third.kept.is_empty() && third.fault.is_none());
    }

    #[test]
    fn a_file_that_is_no_yaml_keeps_every_rule_that_came_from_it() {
        let mut last = LastGood::default();
        let good = rule("a", "one") + &rule("b", "one");
        reload(
            &mut last,
            set(&[("r.yaml", &good), ("s.yaml", &rule("c", "one"))]),
        );
        let second = reload(
            &mut last,
            set(&[("r.yaml", "kind: [\n\t- {"), ("s.yaml", &rule("c", "two"))]),
        );
        assert_eq!(names(&second.rules), ["a", "b", "c"]);
        assert_eq!(second.kept, ["a".into(), "b".into()]);
        let mut denied = set(&[("s.yaml", &rule("c", "two"))]);
        denied.unreadable.push(Unreadable {
            path: "r.yaml".into(),
            reason: "permission denied".into(),
            whole: false,
        });
        assert_eq!(names(&reload(&mut last, denied).rules), ["a", "b", "c"]);
    }

    #[test]
    fn losing_more_than_half_and_more_than_three_waits_for_a_person() {
        let mut last = LastGood::default();
        let files: Vec<(String, String)> = ["a", "b", "c", "d", "e", "f", "g"]
            .iter()
            .map(|n| (format!("{n}.yaml"), rule(n, "one")))
            .collect();
        let take = |n: usize| {
            set(&files[..n]
                .iter()
                .map(|(f, t)| (f.as_str(), t.as_str()))
                .collect::<Vec<_>>())
        };
        reload(&mut last, take(7));
        // Three fewer: an order.
        assert!(reload(&mut last, take(4)).fault.is_none());
        reload(&mut last, take(7));
        let fault = reload(&mut last, take(3));
        assert_eq!(
            fault.fault.as_deref(),
            Some("4 of 7 rules are gone at once, more than half")
        );
        assert_eq!(fault.rules.len(), 7);
        assert!(last.is_withholding());
        // Back again: nothing is withheld any more.
        assert!(reload(&mut last, take(7)).fault.is_none());
        assert!(last.acknowledge().is_none());
        reload(&mut last, take(2));
        assert_eq!(names(&last.acknowledge().unwrap()), ["a", "b"]);
        assert_eq!(last.in_force().len(), 2);
    }

    #[test]
    fn an_empty_or_unreadable_folder_is_a_fault() {
        let mut last = LastGood::default();
        assert!(reload(&mut last, FileSet::default()).fault.is_none());
        reload(&mut last, set(&[("rules/a.yaml", &rule("a", "one"))]));
        let empty = reload(&mut last, FileSet::default());
        assert_eq!(empty.fault.as_deref(), Some("no rule file is left"));
        assert_eq!(names(&empty.rules), ["a"]);
        let gone = FileSet {
            files: vec![],
            unreadable: vec![Unreadable {
                path: "rules".into(),
                reason: "gone".into(),
                whole: true,
            }],
        };
        let gone = reload(&mut last, gone);
        assert_eq!(gone.fault.as_deref(), Some("rules cannot be read: gone"));
        assert_eq!(names(&gone.rules), ["a"]);
    }
}
