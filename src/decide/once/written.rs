//! What was done `once`, as it is written down beside what was done: on the subject, on a member of a `target`, on what was applied.

use super::{Act, Acted};
use crate::decide::memory::LastAct;
use crate::decide::state_annotation::{Said, SubjectState, TooLarge};
use crate::decide::steps::At;
use crate::decide::working::Working;
use crate::decide::world::World;
use crate::object::Record;
use crate::rule::apply::Apply;
use crate::rule::apply::ownership::Ownership;
use crate::rule::expr::{ExprFault, Scope};
use crate::rule::{Action, Rule};
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// Most that are written down on an object; what acted for others the daemon remembers.
const MOST_WRITTEN: usize = 256;

/// Writes down beside what a step changes on a member of its `target` that it has acted.
pub(in crate::decide) fn write_on_member(
    at: &At<'_>,
    working: &mut Working<'_>,
    acted: &Acted,
) -> Result<(), ExprFault> {
    let name = on_member(acted.act, &acted.uid);
    write_on(at.world, at.rule, working, (name, &acted.last))
}

/// Between an act and the uid of the subject for which it was done, on a member.
const FOR: char = '@';

/// What has acted on a member for a subject, by its name there.
fn on_member(act: Act, subject: &str) -> String {
    format!("{act}{FOR}{subject}")
}

/// The uid of the subject in such a name.
pub(in crate::decide) fn subject_of(name: &str) -> Option<&str> {
    name.split_once(FOR).map(|(_, uid)| uid)
}

/// Writes an act down on the copy of an object.
pub(super) fn write_on(
    world: &World<'_>,
    rule: &Rule,
    working: &mut Working<'_>,
    (name, last): (String, &LastAct),
) -> Result<(), ExprFault> {
    let by = world.context.state_namespace;
    let mut state = match SubjectState::read_own(working.record().meta(), &rule.name, by) {
        Said::State(state) => state,
        Said::Nothing => SubjectState {
            by: by.into(),
            ..SubjectState::default()
        },
        Said::Foreign(other) => {
            return Err(ExprFault::Failed(format!(
                "a rule of this name in the installation of namespace {other} remembers something on the object"
            )));
        }
        Said::Newer(version) => {
            return Err(ExprFault::Failed(format!(
                "what this rule remembers on the object is in format {version}, which this version does not know"
            )));
        }
    };
    add(&mut state.once, name, last);
    working
        .remember(&state, &rule.name)
        .map_err(|TooLarge(size)| {
            ExprFault::Failed(format!(
                "what this rule remembers on the object takes {size} bytes"
            ))
        })
}

/// Writes an act down beside others; of too many the oldest goes.
fn add(all: &mut Map<String, Value>, name: String, last: &LastAct) {
    all.insert(name, written(last));
    while all.len() > MOST_WRITTEN {
        let at = |of: &Value| of.get("at").map(ToString::to_string);
        let oldest = all.iter().min_by_key(|(_, of)| at(of));
        let Some(oldest) = oldest.map(|(act, _)| act.clone()) else {
            break;
        };
        all.shift_remove(&oldest);
    }
}

/// Writes down in what is applied for what it is: see [`Ownership::once`].
pub(in crate::decide) fn write_on_applied(all: &mut Map<String, Value>, acted: &Acted) {
    add(all, on_member(acted.act, &acted.uid), &acted.last);
}

/// What stands beside what a step did last, wherever that was: on a member of its `target`, on what it applies, on the subject.
pub(super) fn last(
    at: &At<'_>,
    act: Act,
    (record, member): (&Record, Option<&Record>),
    scope: &Scope<'_>,
) -> Result<Option<LastAct>, ExprFault> {
    let uid = at.world.subject.record.meta().uid();
    match (member, &at.step.action) {
        (Some(member), _) => Ok(on(at, member, &on_member(act, uid))),
        (None, Action::Apply(apply)) => on_applied(at, apply, scope, &on_member(act, uid)),
        (None, _) if at.step.writes_that_it_acted() => Ok(on(at, record, &act.to_string())),
        (None, _) => Ok(None),
    }
}

/// Whether what [`last`] found is done, and not just what this very pass has put on its copy of the subject.
pub(super) fn is_stored(at: &At<'_>, act: Act, is_of_member: bool, last: &LastAct) -> bool {
    let elsewhere = is_of_member || matches!(at.step.action, Action::Apply(_));
    let stored = || on(at, at.world.subject.record, &act.to_string());
    elsewhere || stored().as_ref() == Some(last)
}

/// What an object says of a step under a name, in the annotation that was written with its last change.
fn on(at: &At<'_>, record: &Record, name: &str) -> Option<LastAct> {
    if !record.may_carry_state() {
        return None;
    }
    let by = at.world.context.state_namespace;
    let Said::State(state) = SubjectState::read_own(record.meta(), &at.rule.name, by) else {
        return None;
    };
    read(state.once.get(name)?)
}

/// What the object that a step applies says of what it was applied for; nothing where it is not there, or not known.
fn on_applied(
    at: &At<'_>,
    apply: &Apply,
    scope: &Scope<'_>,
    name: &str,
) -> Result<Option<LastAct>, ExprFault> {
    let object = apply.object(scope, at.world.subject.key)?;
    let Ok(Some(live)) = at.world.context.neighbours.get(&object) else {
        return Ok(None);
    };
    let said = Ownership::read(live.meta(), &at.rule.name, &object);
    Ok(said.and_then(|said| read(said.once.get(name)?)))
}

fn read(said: &Value) -> Option<LastAct> {
    let at: Timestamp = said.get("at")?.as_str()?.parse().ok()?;
    let nth = said.get("nth").and_then(Value::as_u64);
    Some(LastAct {
        key: said.get("key").and_then(Value::as_str).map(Arc::from),
        nth: nth
            .and_then(|nth| u32::try_from(nth).ok())
            .unwrap_or_default(),
        at,
    })
}

/// The acts that an object itself tells of: those that the daemon of this namespace wrote with its changes.
pub fn in_annotation(record: &Record, rule: &str, by: &str) -> Vec<(Act, LastAct)> {
    if !record.may_carry_state() {
        return vec![];
    }
    let Said::State(state) = SubjectState::read_own(record.meta(), rule, by) else {
        return vec![];
    };
    let acts = state.once.iter();
    acts.filter_map(|(act, said)| Some((Act::parse(act)?, read(said)?)))
        .collect()
}

/// How an act stands in the annotation.
fn written(last: &LastAct) -> Value {
    let mut said = json!({"nth": last.nth, "at": last.at.to_string()});
    if let Some(key) = &last.key {
        said["key"] = json!(**key);
    }
    said
}
