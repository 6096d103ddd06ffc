//! Edits that feed themselves: a `set` whose value is made from the one it replaces and never comes to rest.

use super::document::Context;
use crate::object::{Node, Record};
use crate::rule::edit::{Edit, EditChange};
use crate::rule::expr::{NamespaceObject, Scope, Template};
use crate::rule::path::{Hop, Path, PodPrefix};
use crate::rule::test::{self, Test, TestRun, Verdict};
use crate::schema::{KindSchema, Shape};
use jiff::Timestamp;
use serde_json::{Value, json};

/// How often a value is put in again. A pass gives up after as many rounds: what rests later never does.
const APPLICATIONS: usize = 10;
/// A value that cannot be computed any more after so many (too large a number) has not come to rest either.
const ENOUGH: usize = 3;
/// Largest value that is gone on with, in bytes of JSON.
const LARGEST: usize = 64 << 10;

/// Whether a `set` never comes to rest: tried on a few values of the field's type, and what it gives is put in the field again. It rests
/// where the value stays, and where a test of the rule or the edit passes on one value and no longer on the next. Said only if it rests
/// for none of them.
pub(super) fn feeds_itself(
    context: &Context<'_, '_>,
    path: &Path,
    template: &Template,
    tests: &[Test],
) -> bool {
    // It is made once, whatever it gives.
    if template.literal().is_some() || context.once {
        return false;
    }
    // The object of a step with `target` is another one than the subject.
    let current = template.expressions().iter().any(|e| e.reads_current());
    if context.subject_kinds.is_some() && !current {
        return false;
    }
    let schemas = || context.kinds.iter().filter_map(|k| k.schema.as_deref());
    let shape = super::paths::types(schemas(), path, None)
        .first()
        .map(|t| t.shape());
    let kind = context.kinds.first().map(|k| k.name().to_owned());
    let trial = Trial {
        path,
        base: json!({
            "apiVersion": "v1",
            "kind": kind.unwrap_or_default(),
            "metadata": {"name": "name", "namespace": "namespace", "labels": {}, "annotations": {}},
        }),
        template,
        tests: context.tests.iter().chain(tests).collect(),
        pod: schemas().next().and_then(KindSchema::pod_prefix),
    };
    let mut tried = false;
    for sample in samples(shape) {
        match trial.rests(sample) {
            Some(true) => return false,
            Some(false) => tried = true,
            None => {}
        }
    }
    tried
}

/// Whether what an edit writes makes a test fail that held before it: a test of the rule, or of the edit, that looks at the very field.
/// Said only of values that are written out and where it is certain.
pub(super) fn ends_itself(context: &Context<'_, '_>, edit: &Edit) -> bool {
    let schemas = || context.kinds.iter().filter_map(|k| k.schema.as_deref());
    let pod = schemas().next().and_then(KindSchema::pod_prefix);
    let base = json!({
        "apiVersion": "v1",
        "kind": context.kinds.first().map(|k| k.name()),
        "metadata": {"name": "name", "namespace": "namespace", "labels": {}, "annotations": {}},
    });
    let planted = |value: &Value| edit.path.planted(&base, pod, value);
    let written = match (&edit.change, edit.change.template().map(Template::literal)) {
        (EditChange::Remove, _) => Some(base.clone()),
        (EditChange::Set(_) | EditChange::Default(_), Some(Some(value))) => planted(value),
        _ => None,
    };
    let Some(written) = written.map(|object| Record::from_value(&object)) else {
        return false;
    };
    let shape = super::paths::types(schemas(), &edit.path, None)
        .first()
        .map(|t| t.shape());
    let tests: Vec<&Test> = context.tests.iter().chain(&edit.tests).collect();
    let mut befores = vec![base.clone()];
    if !matches!(edit.change, EditChange::Default(_)) {
        // The values that the tests name are those on which they turn.
        let mut named = samples(shape);
        named.extend([json!(0), json!(-1), json!(1_000_000)]);
        for test in &tests {
            test.clauses(&mut |clause| named.extend(clause.literals()));
        }
        befores.extend(named.iter().filter_map(planted));
    }
    let passes = |test: &Test, object: &Record| {
        let scope = Scope {
            previous: None,
            object: object.root(),
            found: None,
            pod,
            namespace_object: NamespaceObject::Unknown,
            now: Timestamp::UNIX_EPOCH,
            item: None,
            current: edit.path.first(object.root(), pod),
            applied: None,
            variables: None,
            request: None,
            schedule_start: None,
            other: None,
        };
        let mut run = TestRun {
            scope: &scope,
            recheck_at: None,
            trace: None,
        };
        test::all(std::slice::from_ref(test), &mut run)
    };
    let befores: Vec<Record> = befores.iter().map(Record::from_value).collect();
    tests.iter().any(|test| {
        passes(test, &written) == Verdict::Fail
            && befores.iter().any(|b| passes(test, b) == Verdict::Pass)
    })
}

fn samples(shape: Option<Shape>) -> Vec<Value> {
    let numbers = [json!(1), json!(7), json!(1000)];
    let texts = [json!("a"), json!("nginx:1.25"), json!("1.0.0"), json!("2")];
    let amounts = [json!("1Gi"), json!("100m"), json!("2")];
    let lists = [json!([]), json!(["a"])];
    let booleans = [json!(true), json!(false)];
    match shape {
        Some(Shape::Integer | Shape::Number) => numbers.to_vec(),
        Some(Shape::String) => texts.to_vec(),
        Some(Shape::Quantity) => amounts.to_vec(),
        Some(Shape::List) => lists.to_vec(),
        Some(Shape::Boolean) => booleans.to_vec(),
        Some(Shape::Time | Shape::Object | Shape::Map) => vec![],
        _ => [&numbers[..], &texts[..], &lists[..], &booleans[..]].concat(),
    }
}

/// A template applied to its own results.
struct Trial<'a> {
    path: &'a Path,
    base: Value,
    template: &'a Template,
    tests: Vec<&'a Test>,
    pod: PodPrefix,
}

/// What one application came to.
struct Step {
    /// `None`: there is none, or it cannot be computed.
    next: Option<Value>,
    /// Which tests pass on the value before.
    passes: Vec<bool>,
}

impl Trial<'_> {
    /// `None`: it cannot be evaluated on this sample.
    fn rests(&self, sample: Value) -> Option<bool> {
        let mut value = sample;
        let mut passed: Option<Vec<bool>> = None;
        for application in 0..APPLICATIONS {
            let step = self.apply(&value);
            let ends = |before: &[bool]| {
                let pairs = before.iter().zip(&step.passes);
                pairs.into_iter().any(|(before, now)| *before && !*now)
            };
            if passed.as_deref().is_some_and(ends) {
                return Some(true);
            }
            match step.next {
                Some(next) if next == value => return Some(true),
                Some(next) if next.to_string().len() <= LARGEST => value = next,
                _ => return (application >= ENOUGH).then_some(false),
            }
            passed = Some(step.passes);
        }
        Some(false)
    }

    fn apply(&self, value: &Value) -> Step {
        // Where no object can be made for the path, the value itself is enough for most templates.
        let planted = self.path.planted(&self.base, self.pod, value);
        let object = Record::from_value(planted.as_ref().unwrap_or(&self.base));
        let current = Record::from_value(value);
        let places = self.path.places(object.root(), self.pod);
        let item = places
            .first()
            .filter(|place| place.present)
            .and_then(|place| Some(&place.location[..place.item?]))
            .and_then(|hops| follow(object.root(), hops));
        let scope = Scope {
            object: object.root(),
            found: None,
            pod: self.pod,
            namespace_object: NamespaceObject::Unknown,
            now: Timestamp::UNIX_EPOCH,
            item,
            current: Some(current.root()),
            applied: None,
            variables: None,
            request: None,
            other: None,
            schedule_start: None,
            previous: None,
        };
        let passes = |test: &&Test| {
            let mut run = TestRun {
                scope: &scope,
                recheck_at: None,
                trace: None,
            };
            test::all(std::slice::from_ref(*test), &mut run) == Verdict::Pass
        };
        Step {
            passes: self.tests.iter().map(passes).collect(),
            next: self.template.render(&scope).ok().flatten(),
        }
    }
}

fn follow<'a>(root: Node<'a>, hops: &[Hop]) -> Option<Node<'a>> {
    hops.iter().try_fold(root, |node, hop| match hop {
        Hop::Name(name) => node.get_str(name),
        Hop::Index(index) => node.at(*index),
    })
}
