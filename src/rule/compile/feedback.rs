//! Edits that feed themselves: a `set` whose value is made from the one it replaces and never comes to rest.

use super::document::Context;
use super::parameters::has_expression;
use crate::object::{Node, Record};
use crate::rule::expr::{NamespaceObject, Params, Scope, Template};
use crate::rule::path::{Hop, Path, PodPrefix};
use crate::rule::test::{self, Subject, Test, TestRun, Verdict};
use crate::rule::yaml::{Data, Tree};
use crate::schema::{KindSchema, Shape};
use jiff::Timestamp;
use serde_json::{Value, json};

/// How often a value is put in again. A pass gives up after as many rounds: what rests later never does.
const APPLICATIONS: usize = 10;
/// A value that cannot be computed any more after so many (too large a number) has not come to rest either.
const ENOUGH: usize = 3;
/// Largest value that is gone on with, in bytes of JSON.
const LARGEST: usize = 64 << 10;

/// What some edit of the rule writes on its subject.
pub(super) struct Writing {
    pub path: Path,
    /// What stands there behind it; `None`: it is not written out.
    pub value: Option<Value>,
    /// Only where nothing is.
    fills: bool,
}

/// What the steps write, as far as it can be read before they are compiled. What removes is not among it: trials begin where nothing is.
pub(super) fn writings(steps: &[Tree]) -> Vec<Writing> {
    let mut found = vec![];
    let own = steps.iter().filter(|step| step.get("target").is_none());
    for step in own {
        if let Some(replicas) = step.get("scale").and_then(|s| s.get("replicas"))
            && let Ok(path) = Path::parse("$.spec.replicas")
        {
            let value = (!has_expression(replicas)).then(|| replicas.to_value());
            let fills = false;
            found.push(Writing { path, value, fills });
        }
        let Some(Data::List(edits)) = step.get("patch").map(|patch| &patch.data) else {
            continue;
        };
        for edit in edits.iter().filter(|edit| edit.get("remove").is_none()) {
            let path = edit.get("path").and_then(Tree::text);
            if let Some(Ok(path)) = path.map(Path::parse) {
                let value = edit.get("set").or_else(|| edit.get("default"));
                let literal = value.filter(|value| !has_expression(value));
                let value = literal.map(Tree::to_value);
                let fills = edit.get("set").is_none();
                found.push(Writing { path, value, fills });
            }
        }
    }
    found
}

/// What of the tests may turn on what the rule writes: the others hold after an edit as before it.
pub(super) struct Turning<'t> {
    /// Those of the rule, and those of the edit, which have an `item`.
    pub tests: Vec<(&'t Test, bool)>,
    /// Whether all that they turn on is written out.
    pub is_seen: bool,
}

impl<'t> Turning<'t> {
    /// `computes`: what variables come to is known.
    pub fn of(
        context: &'t Context<'_, '_>,
        (path, pod): (&Path, PodPrefix),
        tests: &'t [Test],
        computes: bool,
    ) -> Turning<'t> {
        let others = || {
            context
                .writes
                .iter()
                .filter(|w| w.path.text() != path.text())
        };
        let mut is_seen = true;
        let mut turns = |test: &Test, of_edit: bool| {
            let mut turns = of_edit;
            test.clauses(&mut |clause| match clause.subject() {
                // Nobody knows here what is read of the object.
                Subject::Expr(expr) => {
                    turns = true;
                    is_seen &= computes || !expr.reads_variables();
                    is_seen &= expr.reads_lists() == 0;
                    is_seen &= !expr.reads_namespace_object();
                    is_seen &= others().all(|w| w.value.is_some());
                }
                Subject::Path(tested) => {
                    turns |= tested.may_meet(path, pod);
                    for other in others().filter(|w| tested.may_meet(&w.path, pod)) {
                        turns = true;
                        is_seen &= other.value.is_some();
                    }
                }
            });
            turns
        };
        let of_rule = context.tests.iter().map(|test| (test, false));
        let of_edit = tests.iter().map(|test| (test, true));
        let tests = of_rule.chain(of_edit);
        Turning {
            tests: tests
                .filter(|(test, of_edit)| turns(test, *of_edit))
                .collect(),
            is_seen,
        }
    }
}

/// An object with what the other edits of the rule have written out.
pub(super) fn with_the_others(
    context: &Context<'_, '_>,
    path: &Path,
    mut object: Value,
    pod: PodPrefix,
) -> Value {
    for other in &context.writes {
        let there = |object: &Value| {
            let record = Record::from_value(object);
            let found = other.path.first(record.root(), pod);
            found.is_some_and(|found| !found.is_null())
        };
        if let Some(value) = &other.value
            && other.path.text() != path.text()
            && !(other.fills && there(&object))
            && let Some(with) = other.path.planted(&object, pod, value)
        {
            object = with;
        }
    }
    object
}

/// Whether a `set` never comes to rest: tried on a few values of the field's type, and what it gives is put in the field again. It rests
/// where the value stays, where the path does not select it any more, and where a test of the rule or the edit passes on one value and no
/// longer on the next. Said only if it rests for none of them, and never where what the tests turn on cannot be seen.
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
    // A parameter that was refused has no value to try.
    let unknown = |params: &Params| params.are_unknown();
    let reads = template.expressions().iter().any(|e| e.reads_parameters());
    if reads && context.declared.params.as_ref().is_some_and(unknown) {
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
    let pod = schemas().next().and_then(KindSchema::pod_prefix);
    let turning = Turning::of(context, (path, pod), tests, false);
    if !turning.is_seen {
        return false;
    }
    let base = json!({
        "apiVersion": "v1",
        "kind": kind.unwrap_or_default(),
        "metadata": {"name": "name", "namespace": "namespace", "labels": {}, "annotations": {}},
    });
    let trial = Trial {
        path,
        settled: with_the_others(context, path, base.clone(), pod),
        base,
        template,
        tests: turning.tests,
        pod,
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

/// Values of a field's type.
pub(super) fn samples(shape: Option<Shape>) -> Vec<Value> {
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
    /// With what the other edits write, from the second application on.
    settled: Value,
    template: &'a Template,
    /// With whether each sees an `item`.
    tests: Vec<(&'a Test, bool)>,
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
        for application in 0..APPLICATIONS {
            let Some(step) = self.apply(&value, application) else {
                // The path selects the first value, and what was made of it no more.
                return (application > 0).then_some(true);
            };
            if step.passes.iter().any(|passes| !passes) {
                // On such a value the rule does nothing.
                return (application > 0).then_some(true);
            }
            match step.next {
                Some(next) if next == value => return Some(true),
                Some(next) if next.to_string().len() <= LARGEST => value = next,
                _ => return (application >= ENOUGH).then_some(false),
            }
        }
        Some(false)
    }

    /// `None`: the path selects no such value.
    fn apply(&self, value: &Value, application: usize) -> Option<Step> {
        let base = match application {
            0 => &self.base,
            _ => &self.settled,
        };
        let planted = self.path.planted(base, self.pod, value);
        // Where no object can be made for the path, the value itself is enough for most templates, but not for tests.
        if planted.is_none() && (self.path.has_filter() || !self.tests.is_empty()) {
            return None;
        }
        let object = Record::from_value(planted.as_ref().unwrap_or(base));
        let current = Record::from_value(value);
        let places = self.path.places(object.root(), self.pod);
        let item = places
            .first()
            .filter(|place| place.present)
            .and_then(|place| Some(&place.location[..place.item?]))
            .and_then(|hops| follow(object.root(), hops));
        let scope = |item| Scope {
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
        let passes = |(test, of_edit): &(&Test, bool)| {
            // The rule's own tests are about the object.
            let scope = scope(item.filter(|_| *of_edit));
            let mut run = TestRun {
                scope: &scope,
                recheck_at: None,
                trace: None,
            };
            test::all(std::slice::from_ref(*test), &mut run) == Verdict::Pass
        };
        Some(Step {
            passes: self.tests.iter().map(passes).collect(),
            next: self.template.render(&scope(item)).ok().flatten(),
        })
    }
}

fn follow<'a>(root: Node<'a>, hops: &[Hop]) -> Option<Node<'a>> {
    hops.iter().try_fold(root, |node, hop| match hop {
        Hop::Name(name) => node.get_str(name),
        Hop::Index(index) => node.at(*index),
    })
}
