//! `rollback`: the Pod template of an earlier revision, as `kubectl rollout undo` would write it.
//!
//! Revisions are the ReplicaSets of a Deployment, the ControllerRevisions of a StatefulSet or DaemonSet. The revision that a rule has gone back
//! to is written down on the object, in the same request: if that does not hold either, the rule does not go back any further.

use super::Reason;
use super::state_annotation::{Said, SubjectState};
use super::working::Working;
use super::world::World;
use crate::object::{Node, ObjectKey, Record};
use crate::rule::edit::{Edit, EditChange};
use crate::rule::expr::{ExprFault, Template};
use crate::rule::path::Path;
use crate::rule::{Revision, Rule, rollout};
use serde_json::Value;

/// The number that the Deployment's controller gives a ReplicaSet, and the Deployment whose it is now.
const NUMBER: &str = "deployment.kubernetes.io/revision";
/// What the controller adds to the template of a ReplicaSet.
const HASH: &str = "pod-template-hash";

/// One revision of a workload.
struct Known {
    name: String,
    number: i64,
    template: Value,
}

/// What is to be done.
pub(super) enum Way {
    /// This template is to be written; the revision's name is to be remembered.
    Back(Box<Edit>, SubjectState),
    /// It is that revision already.
    There,
    /// It cannot be done, and that was told.
    Nowhere,
}

/// The way back from the present template of an object as it is stored. `step`: how the step is called in what the rule remembers.
pub(super) fn way(
    world: &World<'_>,
    rule: &Rule,
    (to, step, line): (Revision, usize, usize),
    ((key, stored), working): ((&ObjectKey, &Record), &Working<'_>),
    told: &mut Vec<(Reason, String)>,
) -> Result<Way, ExprFault> {
    let record = working.record();
    if is_paused(record) {
        let message = "it is paused: it can be rolled back once it is resumed";
        told.push((Reason::Waiting, message.to_owned()));
        return Ok(Way::Nowhere);
    }
    let Some(kind) = rollout::revisions_of(&key.kind) else {
        return Ok(Way::There);
    };
    let found = world.context.neighbours.revisions(key, &kind.kind);
    let found = found.map_err(|why| ExprFault::Unknown(format!("its revisions: {why}")))?;
    let mut known: Vec<Known> = found.iter().filter_map(read).collect();
    known.sort_by_key(|revision| revision.number);
    // As it is stored: later rounds of a pass find what the first one has written.
    let present = template(stored);
    let current = known
        .iter()
        .rposition(|revision| Some(&revision.template) == present.as_ref());
    let own = world.context.state_namespace;
    let mut state = match SubjectState::read_own(record.meta(), &rule.name, own) {
        Said::Nothing => SubjectState {
            by: own.into(),
            ..SubjectState::default()
        },
        Said::State(state) => state,
        Said::Foreign(by) => {
            let message = format!(
                "a rule of this name in the installation of namespace {by} remembers something on it"
            );
            told.push((Reason::Waiting, message));
            return Ok(Way::Nowhere);
        }
        Said::Newer(version) => {
            let message = format!("what the rule remembers on it is in a later format ({version})");
            told.push((Reason::Waiting, message));
            return Ok(Way::Nowhere);
        }
    };
    let place = format!("{step}/revision");
    let back_at = match SubjectState::read_own(stored.meta(), &rule.name, own) {
        Said::State(mut stored) => stored.once.shift_remove(&place),
        _ => None,
    };
    let is_own =
        |revision: &Known| back_at.as_ref().and_then(Value::as_str) == Some(revision.name.as_str());
    let target = match to {
        Revision::Number(number) => known.iter().rfind(|revision| revision.number == number),
        Revision::Previous => {
            if let Some(own) = current.map(|at| &known[at]).filter(|r| is_own(r)) {
                let message = format!(
                    "it is at {}, to which this rule has rolled it back: it is not rolled back any further",
                    own.name
                );
                told.push((Reason::NoRevision, message));
                return Ok(Way::Nowhere);
            }
            match current {
                Some(at) => known[..at].last(),
                // Its own revision is not made yet.
                None => known.last(),
            }
        }
    };
    let Some(target) = target else {
        let message = match to {
            Revision::Previous => "there is no earlier revision to roll back to".to_owned(),
            Revision::Number(number) => format!("there is no revision {number} to roll back to"),
        };
        told.push((Reason::NoRevision, message));
        return Ok(Way::Nowhere);
    };
    if Some(&target.template) == template(record).as_ref() {
        return Ok(Way::There);
    }
    state.once.insert(place, Value::from(target.name.as_str()));
    let path = Path::parse("$.spec.template");
    let path = path.map_err(|_| ExprFault::Failed("the template has no path".into()))?;
    let edit = Edit {
        path,
        tests: vec![],
        change: EditChange::Set(Template::of(target.template.clone())),
        line,
    };
    Ok(Way::Back(Box::new(edit), state))
}

/// Writes down what a rollback has gone back to, beside it.
pub(super) fn remember(
    working: &mut Working<'_>,
    state: &SubjectState,
    rule: &Rule,
) -> Result<(), ExprFault> {
    working.remember(state, &rule.name).map_err(|large| {
        ExprFault::Failed(format!("what is to be remembered takes {} bytes", large.0))
    })
}

/// Whether a rollout would not begin before it is resumed.
pub(super) fn is_paused(record: &Record) -> bool {
    let paused = record.root().path(&["spec", "paused"]);
    paused.and_then(Node::as_bool) == Some(true)
}

fn template(record: &Record) -> Option<Value> {
    let template = record.root().path(&["spec", "template"])?;
    Some(plain(template.to_value()))
}

fn read(record: &Record) -> Option<Known> {
    let meta = record.meta();
    let (number, template) = match meta.kind() {
        "ReplicaSet" => {
            let number = meta.annotation(NUMBER)?.parse().ok()?;
            (number, template(record)?)
        }
        _ => {
            let number = record.root().get_str("revision")?.as_i64()?;
            let template = record.root().path(&["data", "spec", "template"])?;
            (number, plain(template.to_value()))
        }
    };
    Some(Known {
        name: meta.name().to_owned(),
        number,
        template,
    })
}

/// The template as a person has written it: without what controllers add to it in a revision.
fn plain(mut template: Value) -> Value {
    if let Some(map) = template.as_object_mut() {
        map.shift_remove("$patch");
        let mut bare = false;
        if let Some(meta) = map.get_mut("metadata").and_then(Value::as_object_mut) {
            meta.retain(|_, value| !value.is_null());
            if let Some(labels) = meta.get_mut("labels").and_then(Value::as_object_mut) {
                labels.shift_remove(HASH);
            }
            bare = meta.is_empty();
        }
        if bare {
            map.shift_remove("metadata");
        }
    }
    template
}
