//! Which subjects want what of which other objects: who is to be looked at when such an object changes, and whether they agree.

use crate::decide::{BETWEEN, Opponent, Want, opposes};
use crate::object::ObjectKey;
use crate::rule::edit::Claim;
use ahash::{AHashMap, AHashSet};
use std::sync::Arc;

/// Contents, and what is wanted at one place, of a want that is about one.
type Wanted = (u64, Option<Arc<Claim>>);

/// What one rule wants of one object.
#[derive(Default)]
struct OfRule {
    by_subject: AHashMap<ObjectKey, Wanted>,
    /// How many want which contents.
    contents: AHashMap<u64, usize>,
}

impl OfRule {
    fn leave(&mut self, subject: &ObjectKey) -> Option<Wanted> {
        let (contents, claim) = self.by_subject.remove(subject)?;
        if let Some(count) = self.contents.get_mut(&contents) {
            *count -= 1;
            if *count == 0 {
                self.contents.remove(&contents);
            }
        }
        Some((contents, claim))
    }

    fn enter(&mut self, subject: &ObjectKey, want: &Want) {
        // Two steps may want one thing: it counts once.
        self.leave(subject);
        let wanted = (want.contents, want.claim.clone());
        self.by_subject.insert(subject.clone(), wanted);
        *self.contents.entry(want.contents).or_default() += 1;
    }

    /// The subjects that want other contents.
    fn others(&self, contents: u64) -> impl Iterator<Item = &ObjectKey> {
        let all = self.by_subject.iter();
        all.filter(move |(_, (wanted, _))| *wanted != contents)
            .map(|(subject, _)| subject)
    }
}

/// The name of a rule, of a want that is about one place alone.
fn of_place(want: &str) -> Option<&str> {
    let (name, at) = want.split_once(BETWEEN)?;
    at.starts_with('/').then_some(name)
}

/// The subjects for which other rules want something that cannot be beside what a rule wants, each with the claim and its rule.
fn opposed<'r>(
    rules: &'r AHashMap<Arc<str>, OfRule>,
    rule: &str,
    claim: &Claim,
) -> impl Iterator<Item = (&'r str, &'r ObjectKey, &'r Claim)> {
    let own = of_place(rule).unwrap_or(rule);
    let others = rules.iter().filter_map(move |(other, of_rule)| {
        let name = of_place(other).filter(|name| *name != own)?;
        Some((name, of_rule))
    });
    others.flat_map(move |(name, of_rule)| {
        let theirs = of_rule.by_subject.iter();
        theirs.filter_map(move |(subject, (_, theirs))| {
            let theirs = theirs.as_deref().filter(|theirs| opposes(claim, theirs))?;
            Some((name, subject, theirs))
        })
    })
}

/// All of it. Rebuilt by looking at the subjects.
#[derive(Default)]
pub struct Wants {
    by_object: AHashMap<ObjectKey, AHashMap<Arc<str>, OfRule>>,
    by_subject: AHashMap<ObjectKey, Vec<(ObjectKey, Arc<str>)>>,
}

impl Wants {
    /// Those who want something of objects in a namespace.
    pub fn subjects_in(&self, namespace: &str) -> Vec<ObjectKey> {
        let inside = |object: &ObjectKey| object.namespace.as_deref() == Some(namespace);
        let objects = self.by_object.iter().filter(|(object, _)| inside(object));
        let rules = objects.flat_map(|(_, rules)| rules.values());
        let subjects = rules.flat_map(|of_rule| of_rule.by_subject.keys());
        let subjects: AHashSet<&ObjectKey> = subjects.collect();
        subjects.into_iter().cloned().collect()
    }

    /// Everything a subject wants now. Answers the subjects that are to be looked at because they agreed with it, or did not, and that is otherwise now.
    pub fn set(&mut self, subject: &ObjectKey, wants: &[Want]) -> Vec<ObjectKey> {
        if wants.is_empty() && !self.by_subject.contains_key(subject) {
            return vec![];
        }
        let mut former: AHashMap<(ObjectKey, Arc<str>), Wanted> = AHashMap::new();
        for (object, rule) in self.by_subject.remove(subject).unwrap_or_default() {
            let Some(rules) = self.by_object.get_mut(&object) else {
                continue;
            };
            if let Some(wanted) = rules.get_mut(&rule).and_then(|r| r.leave(subject)) {
                former.insert((object, rule), wanted);
            }
        }
        let mut concerned: AHashSet<ObjectKey> = AHashSet::new();
        for want in wants {
            let place = (want.object.clone(), want.rule.clone());
            let rules = self.by_object.entry(want.object.clone()).or_default();
            let before = former.remove(&place);
            let same = before.as_ref().is_some_and(|(b, _)| *b == want.contents);
            if !same {
                let past = before.as_ref().and_then(|(_, claim)| claim.as_deref());
                for claim in past.into_iter().chain(want.claim.as_deref()) {
                    let opposed = opposed(rules, &want.rule, claim);
                    concerned.extend(opposed.map(|(_, subject, _)| subject.clone()));
                }
            }
            let of_rule = rules.entry(want.rule.clone()).or_default();
            if !same {
                match before {
                    Some(_) => concerned.extend(of_rule.by_subject.keys().cloned()),
                    None => concerned.extend(of_rule.others(want.contents).cloned()),
                }
            }
            of_rule.enter(subject, want);
            self.by_subject
                .entry(subject.clone())
                .or_default()
                .push(place);
        }
        for ((object, rule), (contents, claim)) in former {
            let Some(rules) = self.by_object.get_mut(&object) else {
                continue;
            };
            if let Some(claim) = &claim {
                let opposed = opposed(rules, &rule, claim);
                concerned.extend(opposed.map(|(_, subject, _)| subject.clone()));
            }
            if let Some(of_rule) = rules.get(&rule) {
                concerned.extend(of_rule.others(contents).cloned());
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
        let others = of_rule.others(contents);
        others.filter(|other| *other != subject).min().cloned()
    }

    /// Whether some subject of a rule wants something of an object as a whole, under one of these names.
    pub fn is_wanted(&self, object: &ObjectKey, rules: &[&str]) -> bool {
        let known = self.by_object.get(object);
        known.is_some_and(|known| rules.iter().any(|rule| known.contains_key(*rule)))
    }

    /// The other rules that want something of an object that cannot be beside what is wanted at a place of it, each once, sorted.
    pub fn opposing(&self, want: &Want) -> Vec<Opponent> {
        let (Some(rules), Some(claim)) = (self.by_object.get(&want.object), &want.claim) else {
            return vec![];
        };
        let opposed = opposed(rules, &want.rule, claim);
        let mut found: Vec<Opponent> = opposed
            .map(|(rule, subject, theirs)| Opponent {
                rule: rule.into(),
                subject: subject.clone(),
                place: theirs.pointer.clone(),
            })
            .collect();
        found.sort();
        // What a rule wants of its own subject is one thing, what it wants of a target another.
        let own = |of: &Opponent| of.subject == want.object;
        found.dedup_by(|a, b| a.rule == b.rule && own(a) == own(b));
        found
    }

    /// The subjects for which a rule wants these contents.
    pub fn agreeing(&self, object: &ObjectKey, rule: &str, contents: u64) -> Vec<ObjectKey> {
        let rules = self.by_object.get(object);
        let Some(of_rule) = rules.and_then(|rules| rules.get(rule)) else {
            return vec![];
        };
        let all = of_rule.by_subject.iter();
        all.filter(|(_, (wanted, _))| *wanted == contents)
            .map(|(subject, _)| subject.clone())
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::object::GroupKind;
    use serde_json::{Value, json};

    fn key(name: &str) -> ObjectKey {
        ObjectKey::new(GroupKind::new("", "ConfigMap"), Some("shop"), name)
    }

    fn want(object: &str, contents: u64) -> Want {
        Want {
            rule: "r".into(),
            object: key(object),
            contents,
            claim: None,
        }
    }

    #[test]
    fn rules_that_want_other_values_at_one_place_hear_of_each_other() {
        let at = |rule: &str, place: &str, contents: u64| Want {
            rule: format!("{rule}{BETWEEN}{place}").into(),
            claim: Some(Arc::new(Claim {
                pointer: place.into(),
                value: Some(json!(contents)),
                partial: false,
                from_current: false,
                yields: false,
            })),
            ..want("shared", contents)
        };
        let opponent = |rule: &str, subject: &ObjectKey| Opponent {
            rule: rule.into(),
            subject: subject.clone(),
            place: "/x".into(),
        };
        let mut wants = Wants::default();
        let (a, b) = (key("a"), key("b"));
        assert!(wants.set(&a, &[at("one", "/x", 1)]).is_empty());
        assert!(wants.set(&b, &[at("two", "/y", 2)]).is_empty());
        let opposing = |wants: &Wants| wants.opposing(&at("one", "/x", 1));
        assert!(opposing(&wants).is_empty());
        assert_eq!(
            wants.set(&b, &[at("two", "/x", 2)]),
            std::slice::from_ref(&a)
        );
        assert_eq!(opposing(&wants), [opponent("two", &b)]);
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
        assert_eq!(opposing(&wants), [opponent("two", &a)]);
        // What lies above a place and says otherwise is in the way, what says the same is not; a default never is.
        let whole = |value: Value, yields: bool| {
            let mut want = at("three", "/x", 7);
            want.rule = format!("three{BETWEEN}/").into();
            want.claim = Some(Arc::new(Claim {
                pointer: "".into(),
                value: Some(value),
                partial: false,
                from_current: false,
                yields,
            }));
            wants.opposing(&want).len()
        };
        let counts = (
            whole(json!({"x": 1}), false),
            whole(json!({"x": 3}), false),
            whole(json!({"x": 3}), true),
        );
        // `one` wants 1 there, `two` wants 2.
        assert_eq!(counts, (1, 2, 0));
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
