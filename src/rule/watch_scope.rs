//! How little of a kind its rules need to see: what they ask of labels, names and namespaces goes into the list and the watch, so that
//! objects that no rule can match never arrive.
//!
//! A scope only leaves out objects that are in no rule's scope, or fail a test of every rule. It is the union over the rules, put as one
//! selector: what one selector cannot say is left open. An object that leaves a scope is shown as deleted; so a rule that remembers
//! something of objects that do not match, or counts them, keeps its kinds whole.

use super::selector::{LabelOperator, Match, Requirement};
use super::test::{Operator, ReadAs, Subject, Test};
use super::{Action, Lifetime, Rule, Step};
use crate::object::{Key, Meta, Node};
use std::collections::{BTreeMap, BTreeSet};

/// Longest selector in bytes that is sent: it is part of a URL.
const LONGEST: usize = 2_000;

/// What a constraint is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum About {
    Label(Box<str>),
    Name,
    Namespace,
}

/// The values that something may have: of these, or any but these.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Values {
    Only(BTreeSet<Box<str>>),
    AllBut(BTreeSet<Box<str>>),
}

/// What is left open of something that is absent or has a value.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Allowed {
    absent: bool,
    values: Values,
}

impl Values {
    fn intersection(self, other: Values) -> Values {
        use Values::{AllBut, Only};
        match (self, other) {
            (Only(a), Only(b)) => Only(&a & &b),
            (Only(only), AllBut(but)) | (AllBut(but), Only(only)) => Only(&only - &but),
            (AllBut(a), AllBut(b)) => AllBut(&a | &b),
        }
    }

    fn union(self, other: Values) -> Values {
        use Values::{AllBut, Only};
        match (self, other) {
            (Only(a), Only(b)) => Only(&a | &b),
            (Only(only), AllBut(but)) | (AllBut(but), Only(only)) => AllBut(&but - &only),
            (AllBut(a), AllBut(b)) => AllBut(&a & &b),
        }
    }

    fn has(&self, value: &str) -> bool {
        match self {
            Values::Only(only) => only.contains(value),
            Values::AllBut(but) => !but.contains(value),
        }
    }
}

impl Allowed {
    fn and(self, other: Allowed) -> Allowed {
        Allowed {
            absent: self.absent && other.absent,
            values: self.values.intersection(other.values),
        }
    }

    fn or(self, other: Allowed) -> Allowed {
        Allowed {
            absent: self.absent || other.absent,
            values: self.values.union(other.values),
        }
    }

    fn not(self) -> Allowed {
        Allowed {
            absent: !self.absent,
            values: match self.values {
                Values::Only(values) => Values::AllBut(values),
                Values::AllBut(values) => Values::Only(values),
            },
        }
    }

    fn is_everything(&self) -> bool {
        self.absent && matches!(&self.values, Values::AllBut(but) if but.is_empty())
    }

    /// Whether everything else that is allowed is allowed here.
    fn contains(&self, other: &Allowed) -> bool {
        other.clone().and(self.clone()) == *other
    }

    fn has(&self, value: Option<&str>) -> bool {
        value.map_or(self.absent, |value| self.values.has(value))
    }

    /// As a part of a label selector; `None` where the syntax has no words for it.
    fn label(&self, key: &str) -> Option<String> {
        let list =
            |values: &BTreeSet<Box<str>>| values.iter().map(|v| &**v).collect::<Vec<_>>().join(",");
        match (self.absent, &self.values) {
            (true, Values::Only(only)) => only.is_empty().then(|| format!("!{key}")),
            (false, Values::Only(only)) => match only.len() {
                0 => None,
                1 => Some(format!("{key}={}", list(only))),
                _ => Some(format!("{key} in ({})", list(only))),
            },
            (absent, Values::AllBut(but)) => {
                let there = (!absent).then(|| key.to_owned());
                let others = match but.len() {
                    0 => None,
                    1 => Some(format!("{key}!={}", list(but))),
                    _ => Some(format!("{key} notin ({})", list(but))),
                };
                let parts: Vec<String> = there.into_iter().chain(others).collect();
                (!parts.is_empty()).then(|| parts.join(","))
            }
        }
    }

    /// As a part of a field selector, which knows no alternatives.
    fn field(&self, field: &str) -> Option<String> {
        match &self.values {
            Values::Only(only) if only.len() == 1 => {
                only.first().map(|value| format!("{field}={value}"))
            }
            Values::Only(_) => None,
            Values::AllBut(but) => {
                let parts: Vec<String> = but.iter().map(|v| format!("{field}!={v}")).collect();
                (!parts.is_empty()).then(|| parts.join(","))
            }
        }
    }
}

/// Constraints that must all hold.
type Constraints = BTreeMap<About, Allowed>;

/// What of a kind is listed and watched. Everything, unless it says otherwise.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WatchScope {
    constraints: Constraints,
}

impl WatchScope {
    /// The union of what these rules need of a kind; `namespaced` where it is known that its objects lie in namespaces.
    pub fn of<'r>(rules: impl Iterator<Item = &'r Rule>, namespaced: bool) -> WatchScope {
        let mut all: Option<Constraints> = None;
        for rule in rules {
            let needed = needed(rule, namespaced);
            let united = match all {
                None => needed,
                Some(before) => union(before, needed),
            };
            if united.is_empty() {
                return WatchScope::default();
            }
            all = Some(united);
        }
        let mut constraints = all.unwrap_or_default();
        constraints.retain(|about, allowed| {
            said(about, allowed).is_some_and(|text| text.len() <= LONGEST / 2)
        });
        let mut scope = WatchScope { constraints };
        while scope.label_selector().len() > LONGEST || scope.field_selector().len() > LONGEST {
            scope.constraints.pop_last();
        }
        scope
    }

    /// Whether nothing is left out.
    pub fn is_everything(&self) -> bool {
        self.constraints.is_empty()
    }

    /// Whether an object lies in it.
    pub fn admits(&self, object: Meta<'_>) -> bool {
        self.constraints.iter().all(|(about, allowed)| match about {
            About::Name => allowed.has(Some(object.name())),
            About::Namespace => allowed.has(object.namespace()),
            About::Label(key) => {
                let label = object
                    .labels()
                    .and_then(|labels| labels.get(&Key::new(key)));
                allowed.has(label.and_then(Node::as_str))
            }
        })
    }

    /// Whether every object of the other one lies in this one.
    pub fn contains(&self, other: &WatchScope) -> bool {
        self.constraints.iter().all(|(about, allowed)| {
            let others = other.constraints.get(about);
            others.is_some_and(|other| allowed.contains(other))
        })
    }

    fn selector(&self, of_labels: bool) -> String {
        let parts = self
            .constraints
            .iter()
            .filter(|(about, _)| matches!(about, About::Label(_)) == of_labels);
        let parts: Vec<String> = parts
            .filter_map(|(about, allowed)| said(about, allowed))
            .collect();
        parts.join(",")
    }

    /// The API server's `labelSelector`, not yet escaped for a URL; empty where nothing is asked of labels.
    pub fn label_selector(&self) -> String {
        self.selector(true)
    }

    /// The API server's `fieldSelector`, not yet escaped for a URL; empty where nothing is asked of names and namespaces.
    pub fn field_selector(&self) -> String {
        self.selector(false)
    }
}

impl std::fmt::Display for WatchScope {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let parts = [self.label_selector(), self.field_selector()];
        let parts: Vec<String> = parts.into_iter().filter(|part| !part.is_empty()).collect();
        f.write_str(&parts.join(","))
    }
}

/// A constraint in the words of a selector, if there are any for it.
fn said(about: &About, allowed: &Allowed) -> Option<String> {
    match about {
        About::Label(key) => allowed.label(key),
        About::Name => allowed.field("metadata.name"),
        About::Namespace => allowed.field("metadata.namespace"),
    }
}

fn union(mut a: Constraints, b: Constraints) -> Constraints {
    let mut both = Constraints::new();
    for (about, allowed) in b {
        if let Some(before) = a.remove(&about) {
            let allowed = before.or(allowed);
            if !allowed.is_everything() {
                both.insert(about, allowed);
            }
        }
    }
    both
}

fn constrain(constraints: &mut Constraints, about: About, allowed: Allowed) {
    let allowed = match constraints.remove(&about) {
        Some(before) => before.and(allowed),
        None => allowed,
    };
    constraints.insert(about, allowed);
}

/// What every object has on which a rule may do something, or of which it keeps something in mind. Empty: it must see all.
fn needed(rule: &Rule, namespaced: bool) -> Constraints {
    // All fields by name: whoever adds one that makes objects matter which do not match answers with nothing here.
    let Rule {
        name: _,
        description: _,
        mode: _,
        schedule: _,
        enforce_for: _,
        when: _,
        admission: _,
        priority: _,
        matches,
        tests,
        tests_without_lists: _,
        tests_without_variables: _,
        // Their kinds are kept whole.
        related: _,
        variables: _,
        // An object that leaves has no place among the others any more, as one that does not match.
        pick: _,
        // See `forgets`.
        steps: _,
        limits,
        allow_protected: _,
        source: _,
        hash: _,
        match_hash: _,
        metadata_only: _,
        reads_namespace: _,
        reads_namespace_object: _,
        reads_now: _,
        unchecked_paths,
    } = rule;
    // Counts what is in scope.
    if limits.abort_percent.is_some() || !forgets(rule) {
        return Constraints::new();
    }
    let mut constraints = Constraints::new();
    of_match(matches, namespaced, &mut constraints);
    // A path that no schema knows is looked for on every object in scope, whatever the tests say of it.
    if unchecked_paths.is_empty() {
        for test in tests {
            of_test(test, false, &mut constraints);
        }
    }
    constraints
}

/// Whether a rule keeps nothing in mind of an object that has ceased to match, and writes no other one.
pub fn forgets(rule: &Rule) -> bool {
    rule.steps.iter().all(step_forgets) && !writes_in_parts(rule)
}

/// Whether a rule writes to several endpoints of its subject: the first may end the match, and the others come after it.
fn writes_in_parts(rule: &Rule) -> bool {
    let endpoint = |step: &Step| match &step.action {
        Action::Patch { status, .. } => Some(if *status { 1 } else { 0 }),
        Action::Scale { .. } => Some(2),
        Action::Restart { .. } => Some(0),
        _ => None,
    };
    let mut endpoints = rule.steps.iter().filter_map(endpoint);
    let first = endpoints.next();
    endpoints.any(|other| Some(other) != first)
}

fn step_forgets(step: &Step) -> bool {
    let Step {
        action,
        target,
        id: _,
        // Its key is remembered beyond the end of a match.
        once,
        for_each: _,
        // Nor is anything waited for any more.
        wait: _,
        // A match ends where its object leaves.
        after: _,
        lifetime,
        line: _,
    } = step;
    // What it has changed is given back when the object no longer matches.
    if once.is_some() || target.is_some() || *lifetime == Lifetime::WhileMatched {
        return false;
    }
    match action {
        Action::Patch { .. }
        | Action::Scale { .. }
        | Action::Delete { .. }
        | Action::Evict
        | Action::Warn { .. }
        // Its numbers go with the match.
        | Action::Metric(_)
        | Action::Deny { .. } => true,
        // Done once each time a match begins; what is applied is compared with what there is.
        Action::Event { .. }
        | Action::Archive(_)
        | Action::Restart { .. }
        | Action::Rollback { .. }
        | Action::Apply(_) => false,
    }
}

fn of_match(matches: &Match, namespaced: bool, constraints: &mut Constraints) {
    for requirement in matches.selector.requirements() {
        let about = About::Label(requirement.key().into());
        constrain(constraints, about, of_requirement(requirement));
    }
    let fields = [
        (About::Name, &matches.names, true),
        (About::Namespace, &matches.namespaces, namespaced),
    ];
    for (about, globs, known) in fields {
        if !known {
            continue;
        }
        let text = |names: Vec<&str>| names.into_iter().map(Into::into).collect();
        if let Some(names) = globs.exact_includes() {
            let allowed = Allowed {
                absent: false,
                values: Values::Only(text(names)),
            };
            constrain(constraints, about.clone(), allowed);
        }
        let others = globs.exact_excludes();
        if !others.is_empty() {
            let allowed = Allowed {
                absent: false,
                values: Values::AllBut(text(others)),
            };
            constrain(constraints, about, allowed);
        }
    }
}

fn of_requirement(requirement: &Requirement) -> Allowed {
    let values = || requirement.values().iter().cloned().collect();
    match requirement.operator() {
        LabelOperator::In => one_of(values()),
        LabelOperator::NotIn => one_of(values()).not(),
        LabelOperator::Exists => there(),
        LabelOperator::DoesNotExist => there().not(),
    }
}

fn one_of(values: BTreeSet<Box<str>>) -> Allowed {
    Allowed {
        absent: false,
        values: Values::Only(values),
    }
}

fn there() -> Allowed {
    Allowed {
        absent: false,
        values: Values::AllBut(BTreeSet::new()),
    }
}

/// What a test that passes (`negated`: one that does not) says of one label.
fn of_test(test: &Test, negated: bool, constraints: &mut Constraints) {
    match test {
        Test::Clause(clause) => {
            let Subject::Path(path) = clause.subject() else {
                return;
            };
            let Some(key) = label_key(path) else {
                return;
            };
            let Some(passes) = of_clause(clause) else {
                return;
            };
            let allowed = match (passes, negated) {
                (Passes::Exactly(allowed), true) => allowed.not(),
                (Passes::Exactly(allowed) | Passes::Within(allowed), false) => allowed,
                (Passes::Within(_), true) => return,
            };
            constrain(constraints, About::Label(key), allowed);
        }
        Test::All(tests) if !negated => {
            for test in tests {
                of_test(test, false, constraints);
            }
        }
        Test::None(tests) if !negated => {
            for test in tests {
                of_test(test, true, constraints);
            }
        }
        Test::Any(tests) if negated => {
            for test in tests {
                of_test(test, true, constraints);
            }
        }
        Test::Any(tests) => {
            let mut all: Option<Constraints> = None;
            for test in tests {
                let mut one = Constraints::new();
                of_test(test, false, &mut one);
                all = Some(match all {
                    None => one,
                    Some(before) => union(before, one),
                });
            }
            for (about, allowed) in all.unwrap_or_default() {
                constrain(constraints, about, allowed);
            }
        }
        Test::All(_) | Test::None(_) => {}
    }
}

/// What a label has where a clause passes.
enum Passes {
    /// And where it has that, the clause passes.
    Exactly(Allowed),
    Within(Allowed),
}

fn of_clause(clause: &super::test::Clause) -> Option<Passes> {
    let operator = clause.operator();
    // These look at how many values there are: none is a number too.
    if matches!(clause.read_as(), Some(ReadAs::Count | ReadAs::Size)) {
        return None;
    }
    // With `as` a label may be there and its value absent.
    let plain = clause.read_as().is_none();
    let listed = || {
        let texts = clause.literal_texts()?;
        let fits = |text: &&str| Requirement::label("a", text).is_ok();
        texts
            .iter()
            .all(fits)
            .then(|| one_of(texts.into_iter().map(Into::into).collect()))
    };
    let exactly = match operator {
        _ if !plain => None,
        Operator::Equals | Operator::In => listed(),
        Operator::NotEquals | Operator::NotIn => listed().map(Allowed::not),
        Operator::Exists => Some(there()),
        Operator::DoesNotExist => Some(there().not()),
        _ => None,
    };
    match exactly {
        Some(allowed) => Some(Passes::Exactly(allowed)),
        // A test that is not negative passes on no absent value.
        None if !operator.is_negative() => Some(Passes::Within(there())),
        None => None,
    }
}

/// The key of the one label that a path points at.
fn label_key(path: &super::path::Path) -> Option<Box<str>> {
    if path.root() != super::path::Root::Object {
        return None;
    }
    let names = path.plain_names(Some(&[]))?;
    let [metadata, labels, key] = &names[..] else {
        return None;
    };
    let is_label = metadata.as_str() == "metadata" && labels.as_str() == "labels";
    // What the server would not take for a key no object has.
    let fits = is_label && Requirement::new(key.as_str(), LabelOperator::Exists, &[]).is_ok();
    fits.then(|| key.as_str().into())
}

#[cfg(test)]
mod tests;
