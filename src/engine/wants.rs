//! Which subjects want what of which other objects: who is to be looked at when such an object changes, and whether they agree.

use crate::decide::{BETWEEN, Want};
use crate::object::ObjectKey;
use ahash::{AHashMap, AHashSet};
use std::sync::Arc;

/// What one rule wants of one object.
#[derive(Default)]
struct OfRule {
    by_subject: AHashMap<ObjectKey, u64>,
    /// How many want which contents.
    contents: AHashMap<u64, usize>,
}

impl OfRule {
    fn leave(&mut self, subject: &ObjectKey) -> Option<u64> {
        let contents = self.by_subject.remove(subject)?;
        if let Some(count) = self.contents.get_mut(&contents) {
            *count -= 1;
            if *count == 0 {
                self.contents.remove(&contents);
            }
        }
        Some(contents)
    }

    fn enter(&mut self, subject: &ObjectKey, contents: u64) {
        self.by_subject.insert(subject.clone(), contents);
        *self.contents.entry(contents).or_default() += 1;
    }
}

/// The name of a rule and a place of the object, of a want that is about one place alone.
fn place(want: &str) -> Option<(&str, &str)> {
    want.split_once(BETWEEN)
        .filter(|(_, at)| at.starts_with('/'))
}

/// The subjects for which other rules want something at the same place, if these contents are not theirs.
fn opposed<'r>(
    rules: &'r AHashMap<Arc<str>, OfRule>,
    rule: &str,
    contents: u64,
) -> impl Iterator<Item = &'r ObjectKey> {
    let own = place(rule).map(|(name, at)| (name.to_owned(), at.to_owned()));
    let others = rules.iter().filter(move |(other, _)| {
        let (Some((name, at)), Some(own)) = (place(other), &own) else {
            return false;
        };
        name != own.0 && at == own.1
    });
    others.flat_map(move |(_, of_rule)| {
        let subjects = of_rule.by_subject.iter();
        subjects
            .filter(move |(_, wanted)| **wanted != contents)
            .map(|(subject, _)| subject)
    })
}

/// All of it. Rebuilt by looking at the subjects.
#[derive(Default)]
pub struct Wants {
    by_object: AHashMap<ObjectKey, AHashMap<Arc<str>, OfRule>>,
    by_subject: AHashMap<ObjectKey, Vec<(ObjectKey, Arc<str>)>>,
}

impl Wants {
    /// Everything a subject wants now. Answers the subjects that are to be looked at because they agreed with it, or did not, and that is otherwise now.
    pub fn set(&mut self, subject: &ObjectKey, wants: &[Want]) -> Vec<ObjectKey> {
        if wants.is_empty() && !self.by_subject.contains_key(subject) {
            return vec![];
        }
        let mut former: AHashMap<(ObjectKey, Arc<str>), u64> = AHashMap::new();
        for (object, rule) in self.by_subject.remove(subject).unwrap_or_default() {
            let Some(rules) = self.by_object.get_mut(&object) else {
                continue;
            };
            if let Some(contents) = rules.get_mut(&rule).and_then(|r| r.leave(subject)) {
                former.insert((object, rule), contents);
            }
        }
        let mut concerned = AHashSet::new();
        for want in wants {
            let place = (want.object.clone(), want.rule.clone());
            let rules = self.by_object.entry(want.object.clone()).or_default();
            let before = former.remove(&place);
            for contents in before.into_iter().chain([want.contents]) {
                if before != Some(want.contents) {
                    concerned.extend(opposed(rules, &want.rule, contents).cloned());
                }
            }
            let of_rule = rules.entry(want.rule.clone()).or_default();
            if before != Some(want.contents) {
                let others = of_rule.by_subject.iter();
                concerned.extend(
                    others
                        .filter(|(_, contents)| before.is_some() || **contents != want.contents)
                        .map(|(other, _)| other.clone()),
                );
            }
            of_rule.enter(subject, want.contents);
            self.by_subject
                .entry(subject.clone())
                .or_default()
                .push(place);
        }
        for ((object, rule), contents) in former {
            let Some(rules) = self.by_object.get_mut(&object) else {
                continue;
            };
            concerned.extend(opposed(rules, &rule, contents).cloned());
            if let Some(of_rule) = rules.get(&rule) {
                let others = of_rule.by_subject.iter();
                concerned.extend(
                    others
                        .filter(|(_, other)| **other != contents)
                        .map(|(other, _)| other.clone()),
                );
            }
            rules.retain(|_, of_rule| !of_rule.by_subject.is_empty());
            if rules.is_empty() {
                self.by_object.remove(&object);
            }
        }
        concerned.into_iter().collect()
    }

    /// The subjects that want something of an object.
    pub fn subjects(&self, object: &ObjectKey) -> Vec<ObjectKey> {
        let rules = self.by_object.get(object).into_iter().flatten();
        rules
            .flat_map(|(_, of_rule)| of_rule.by_subject.keys().cloned())
            .collect()
    }

    /// A subject other than this one for which the rule wants other contents; of several, the first by name.
    pub fn disagreeing(
        &self,
        object: &ObjectKey,
        rule: &str,
        subject: &ObjectKey,
        contents: u64,
    ) -> Option<ObjectKey> {
        let of_rule = self.by_object.get(object)?.get(rule)?;
        if of_rule.contents.keys().all(|other| *other == contents) {
            return None;
        }
        let others = of_rule.by_subject.iter();
        others
            .filter(|(other, wanted)| *other != subject && **wanted != contents)
            .map(|(other, _)| other)
            .min()
            .cloned()
    }

    /// The other rules that want other contents of a place of an object than a rule does, each with a subject for which it does.
    pub fn opposing(
        &self,
        object: &ObjectKey,
        rule: &str,
        contents: u64,
    ) -> Vec<(Arc<str>, ObjectKey)> {
        let Some(rules) = self.by_object.get(object) else {
            return vec![];
        };
        let own = place(rule);
        let mut found = vec![];
        for (other, of_rule) in rules {
            let (Some((name, at)), Some(own)) = (place(other), own) else {
                continue;
            };
            if name == own.0 || at != own.1 {
                continue;
            }
            let subjects = of_rule.by_subject.iter();
            let differs = subjects.filter(|(_, wanted)| **wanted != contents);
            found.extend(
                differs
                    .map(|(subject, _)| subject)
                    .min()
                    .map(|subject| (name.into(), subject.clone())),
            );
        }
        found.sort();
        found
    }

    /// The subjects for which a rule wants these contents.
    pub fn agreeing(&self, object: &ObjectKey, rule: &str, contents: u64) -> Vec<ObjectKey> {
        let rules = self.by_object.get(object);
        let Some(of_rule) = rules.and_then(|rules| rules.get(rule)) else {
            return vec![];
        };
        let all = of_rule.by_subject.iter();
        all.filter(|(_, wanted)| **wanted == contents)
            .map(|(subject, _)| subject.clone())
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::object::GroupKind;

    fn key(name: &str) -> ObjectKey {
        ObjectKey::new(GroupKind::new("", "ConfigMap"), Some("shop"), name)
    }

    fn want(object: &str, contents: u64) -> Want {
        Want {
            rule: "r".into(),
            object: key(object),
            contents,
        }
    }

    #[test]
    fn rules_that_want_other_values_at_one_place_hear_of_each_other() {
        let at = |rule: &str, place: &str, contents: u64| Want {
            rule: format!("{rule}{BETWEEN}{place}").into(),
            ..want("shared", contents)
        };
        let mut wants = Wants::default();
        let (a, b, shared) = (key("a"), key("b"), key("shared"));
        assert!(wants.set(&a, &[at("one", "/x", 1)]).is_empty());
        assert!(wants.set(&b, &[at("two", "/y", 2)]).is_empty());
        let opposing = |wants: &Wants| wants.opposing(&shared, &at("one", "/x", 1).rule, 1);
        assert!(opposing(&wants).is_empty());
        assert_eq!(
            wants.set(&b, &[at("two", "/x", 2)]),
            std::slice::from_ref(&a)
        );
        let two: Arc<str> = "two".into();
        assert_eq!(opposing(&wants), vec![(two.clone(), b.clone())]);
        assert!(wants.set(&b, &[at("two", "/x", 2)]).is_empty());
        // They agree; they do not again; one is gone.
        assert_eq!(
            wants.set(&b, &[at("two", "/x", 1)]),
            std::slice::from_ref(&a)
        );
        assert!(opposing(&wants).is_empty());
        assert_eq!(
            wants.set(&b, &[at("two", "/x", 3)]),
            std::slice::from_ref(&a)
        );
        assert_eq!(wants.set(&b, &[]), std::slice::from_ref(&a));
        // One subject of two rules.
        assert!(
            wants
                .set(&a, &[at("one", "/x", 1), at("two", "/x", 2)])
                .iter()
                .all(|k| *k == a)
        );
        assert_eq!(opposing(&wants), vec![(two, a.clone())]);
    }

    #[test]
    fn subjects_are_told_when_they_begin_or_cease_to_agree() {
        let mut wants = Wants::default();
        let (a, b, shared) = (key("a"), key("b"), key("shared"));
        assert!(wants.set(&a, &[want("shared", 1)]).is_empty());
        assert!(wants.set(&a, &[want("shared", 1)]).is_empty());
        assert_eq!(wants.disagreeing(&shared, "r", &a, 1), None);
        // In disagreement, in agreement, gone while in disagreement.
        assert_eq!(
            wants.set(&b, &[want("shared", 2)]),
            std::slice::from_ref(&a)
        );
        assert_eq!(wants.disagreeing(&shared, "r", &a, 1), Some(b.clone()));
        assert_eq!(wants.disagreeing(&shared, "r", &b, 2), Some(a.clone()));
        assert_eq!(wants.disagreeing(&shared, "other", &b, 2), None);
        assert_eq!(
            wants.set(&b, &[want("shared", 1)]),
            std::slice::from_ref(&a)
        );
        assert_eq!(wants.disagreeing(&shared, "r", &a, 1), None);
        assert_eq!(wants.agreeing(&shared, "r", 1).len(), 2);
        assert_eq!(
            wants.set(&b, &[want("shared", 3)]),
            std::slice::from_ref(&a)
        );
        assert_eq!(wants.set(&b, &[]), std::slice::from_ref(&a));
        assert_eq!(wants.subjects(&shared), std::slice::from_ref(&a));
        assert!(wants.set(&a, &[]).is_empty());
        assert!(wants.by_object.is_empty() && wants.by_subject.is_empty());
    }
}
