//! Steps for as long as a match lasts that end this very match: what they write would be taken back at once, and written again.

use super::document::Context;
use super::feedback::{Turning, samples, with_the_others};
use crate::object::{Key, Record};
use crate::rule::edit::{Edit, EditChange};
use crate::rule::expr::{NamespaceObject, Scope, Template, Variables};
use crate::rule::path::{Path, PodPrefix};
use crate::rule::selector::{LabelSelector, Requirement};
use crate::rule::test::{self, Subject, Test, TestRun, Verdict};
use crate::schema::KindSchema;
use jiff::Timestamp;
use serde_json::{Value, json};

/// Whether what an edit writes, with what the rule's other edits do, makes a test fail that held before it, or takes away a label that
/// `match` selects by. Tried on objects for which the test holds; said only of values that are written out, and only if it fails for each of
/// the objects that the edit changes.
pub(super) fn is_ended_by(context: &Context<'_, '_>, edit: &Edit) -> bool {
    let schemas = || context.kinds.iter().filter_map(|k| k.schema.as_deref());
    let pod = schemas().next().and_then(KindSchema::pod_prefix);
    let literal = edit.change.template().map(Template::literal);
    let change = match (&edit.change, literal) {
        (EditChange::Remove, _) => Change::Remove,
        (EditChange::Set(_), Some(Some(value))) => Change::Set(value),
        (EditChange::Default(_), Some(Some(value))) => Change::Default(value),
        _ => return false,
    };
    let Some(names) = edit.path.plain_names(pod) else {
        return false;
    };
    let shape = super::paths::types(schemas(), &edit.path, None)
        .first()
        .map(|t| t.shape());
    let mut values = samples(shape);
    values.extend([json!(0), json!(-1), json!(1_000_000)]);
    let trial = Trial {
        context,
        edit,
        change,
        names,
        values,
        pod,
        base: json!({
            "apiVersion": "v1",
            "kind": context.kinds.first().map(|k| k.name()),
            "metadata": {"name": "name", "namespace": "namespace", "labels": {}, "annotations": {}},
        }),
    };
    let turning = Turning::of(context, (&edit.path, pod), &edit.tests, computable(context));
    let tested = turning.is_seen && turning.tests.iter().any(|(test, _)| trial.ends(test));
    tested
        || context
            .selector
            .requirements()
            .iter()
            .any(|r| trial.takes(r))
}

/// Whether what variables come to can be seen of an object alone.
fn computable(context: &Context<'_, '_>) -> bool {
    let variables = &context.declared.variables;
    let mut expressions = variables.iter().flat_map(|v| v.value.expressions());
    !expressions.any(|e| e.reads_now() || e.reads_lists() != 0 || e.reads_namespace_object())
}

/// What an edit does.
enum Change<'e> {
    Set(&'e Value),
    Default(&'e Value),
    Remove,
}

/// An edit, tried on objects.
struct Trial<'t, 'a, 'b> {
    context: &'t Context<'a, 'b>,
    edit: &'t Edit,
    change: Change<'t>,
    /// Its path.
    names: Vec<Key>,
    /// What may stand there.
    values: Vec<Value>,
    pod: PodPrefix,
    /// The least of an object.
    base: Value,
}

impl Trial<'_, '_, '_> {
    fn ends(&self, test: &Test) -> bool {
        // The values that the tests name are those on which they turn.
        let mut values = self.values.clone();
        let mut looked_at: Vec<&Path> = vec![&self.edit.path];
        test.clauses(&mut |clause| {
            values.extend(clause.literals());
            if let Subject::Path(path) = clause.subject()
                && path.may_meet(&self.edit.path, self.pod)
            {
                looked_at.push(path);
            }
        });
        let planted = looked_at.iter().flat_map(|path| {
            values
                .iter()
                .filter_map(|value| path.planted(&self.base, self.pod, value))
        });
        self.always_fails(planted.collect(), |object| self.verdict(test, object))
    }

    /// Whether it takes away what a selector asks of the labels.
    fn takes(&self, requirement: &Requirement) -> bool {
        let quoted = Value::from(requirement.key());
        let Ok(label) = Path::parse(&format!("$.metadata.labels[{quoted}]")) else {
            return false;
        };
        // Another edit of the label that is not written out may give it back.
        let own = self.edit.path.text();
        let mut others = self.context.writes.iter().filter(|w| w.path.text() != own);
        let unseen = others.any(|w| w.value.is_none() && w.path.may_meet(&label, self.pod));
        if unseen || !label.may_meet(&self.edit.path, self.pod) {
            return false;
        }
        let values = requirement.values().iter().map(|value| json!(value));
        let planted = values
            .chain([json!("a")])
            .filter_map(|value| label.planted(&self.base, self.pod, &value));
        let alone = LabelSelector::new(vec![requirement.clone()]);
        self.always_fails(planted.collect(), |object| {
            match alone.matches(object.meta().labels()) {
                true => Verdict::Pass,
                false => Verdict::Fail,
            }
        })
    }

    /// Whether something that holds for some of the objects, or one without any of it, fails for all of those once they are edited.
    fn always_fails(&self, mut befores: Vec<Value>, verdict: impl Fn(&Record) -> Verdict) -> bool {
        befores.push(self.base.clone());
        // What else there is beside the field may be what counts.
        let beside: Vec<Value> = befores.iter().filter_map(|b| self.with_more(b)).collect();
        befores.extend(beside);
        let mut ended = false;
        for before in &befores {
            if verdict(&Record::from_value(before)) != Verdict::Pass {
                continue;
            }
            let Some(after) = self.edited(before).filter(|after| after != before) else {
                continue;
            };
            if verdict(&Record::from_value(&after)) != Verdict::Fail {
                return false;
            }
            ended = true;
        }
        ended
    }

    /// With another field beside the one that is edited.
    fn with_more(&self, object: &Value) -> Option<Value> {
        let (_, above) = self.names.split_last()?;
        let mut object = object.clone();
        let mut at = &mut object;
        for name in above {
            at = at.get_mut(name.as_str())?;
        }
        at.as_object_mut()?.insert("other".into(), json!("other"));
        Some(object)
    }

    /// What becomes of an object. `None`: it stays, or nobody can tell.
    fn edited(&self, before: &Value) -> Option<Value> {
        let planted = |value: &Value| self.edit.path.planted(before, self.pod, value);
        let edited = match self.change {
            Change::Set(value) => planted(value)?,
            Change::Default(value) => {
                let there = self
                    .names
                    .iter()
                    .try_fold(before, |at, name| at.get(name.as_str()));
                match there.filter(|there| !there.is_null()) {
                    Some(there) => planted(&filled(there, value))?,
                    None => planted(value)?,
                }
            }
            Change::Remove => {
                let mut object = before.clone();
                removed(&mut object, &self.names);
                object
            }
        };
        Some(with_the_others(
            self.context,
            &self.edit.path,
            edited,
            self.pod,
        ))
    }

    fn verdict(&self, test: &Test, object: &Record) -> Verdict {
        let mut scope = Scope {
            previous: None,
            object: object.root(),
            found: None,
            pod: self.pod,
            namespace_object: NamespaceObject::Unknown,
            now: Timestamp::UNIX_EPOCH,
            item: None,
            current: self.edit.path.first(object.root(), self.pod),
            applied: None,
            variables: None,
            request: None,
            schedule_start: None,
            other: None,
        };
        let declared = &self.context.declared.variables;
        let variables = Variables::compute(declared, Default::default(), &scope);
        scope.variables = Some(&variables);
        let mut run = TestRun {
            scope: &scope,
            recheck_at: None,
            trace: None,
        };
        test::all(std::slice::from_ref(test), &mut run)
    }
}

/// A map with what it lacks of another one; anything else stays.
fn filled(there: &Value, with: &Value) -> Value {
    let (Some(there), Some(with)) = (there.as_object(), with.as_object()) else {
        return there.clone();
    };
    let mut filled = there.clone();
    for (name, value) in with {
        let new = match there.get(name).filter(|there| !there.is_null()) {
            Some(there) => self::filled(there, value),
            None => value.clone(),
        };
        filled.insert(name.clone(), new);
    }
    Value::Object(filled)
}

/// Takes a field out, and the map that is left empty by it.
fn removed(object: &mut Value, names: &[Key]) {
    let Some((name, above)) = names.split_last() else {
        return;
    };
    let mut at = &mut *object;
    for name in above {
        let Some(inner) = at.get_mut(name.as_str()) else {
            return;
        };
        at = inner;
    }
    let Some(map) = at.as_object_mut() else {
        return;
    };
    let empty = map.remove(name.as_str()).is_some() && map.is_empty();
    let Some((parent, above)) = above.split_last().filter(|_| empty) else {
        return;
    };
    let mut at = object;
    for name in above {
        let Some(inner) = at.get_mut(name.as_str()) else {
            return;
        };
        at = inner;
    }
    if let Some(map) = at.as_object_mut() {
        map.remove(parent.as_str());
    }
}
