//! What a rule still has to do behind the first thing that it asks for. While it matches, each look at the object comes to the next step by
//! itself; where what was asked for ends the match, none does. So that no step is lost then, those behind are decided on along with the first,
//! from the same state and with the same values, and are made one by one as the one before is done.
//!
//! Steps behind a `wait` or an `after` are none of it: what they wait for is a part of the match.

use super::pass::PassContext;
use super::turn::{Deletion, Turn};
use super::working::Snapshot;
use super::world::World;
use super::writes::{self, Authors};
use super::{Operation, RuleChange, Subject, Write};
use crate::object::Record;
use crate::object::difference::record_patch;
use crate::rule::{Action, Rule, Verb};
use json_patch::PatchOperation;
use serde_json::Value;
use std::sync::Arc;

/// A request that comes when the one before it is done.
#[derive(Clone, Debug)]
pub struct Remaining {
    /// As it was decided on.
    pub write: Write,
    /// What it changes, for people.
    pub changes: Vec<RuleChange>,
    /// On the subject itself, whatever it is sent as.
    pub own: bool,
    /// What the object was, of a request that is made of a difference.
    pub before: Option<Record>,
}

/// What a rule asks for, and has to do when that is done.
#[derive(Clone, Debug)]
pub struct Sequel {
    /// Its name.
    pub rule: Arc<str>,
    /// In this order.
    pub stages: Vec<Remaining>,
}

/// How far a turn was before a step: how much it had asked of others, and the copy.
pub(super) type Mark = (usize, Snapshot);

/// A part of a turn.
enum Part {
    Own(Record, Record),
    Deed(usize),
    End(Deletion),
}

/// What there is behind the changes of the object itself with which a turn began: what it asks of others, and all that comes then. `whole` is
/// the same turn, gone on behind everything that it asks.
pub(super) fn behind(
    world: &World<'_>,
    rule: &Rule,
    whole: Turn,
    (start, record_of): (&Record, &dyn Fn(&Snapshot) -> Record),
    last: Record,
) -> Vec<Remaining> {
    let mut parts: Vec<Part> = vec![];
    let mut at = (0, start.clone());
    let marks = whole
        .marks
        .iter()
        .map(|(deeds, copy)| (*deeds, record_of(copy)));
    for (deeds, copy) in marks.chain([(whole.deeds.len(), last)]) {
        // A step that failed has undone what it asked.
        let deeds = deeds.min(whole.deeds.len());
        if copy != at.1 {
            match parts.last_mut() {
                Some(Part::Own(_, after)) => *after = copy.clone(),
                _ => parts.push(Part::Own(at.1, copy.clone())),
            }
        }
        parts.extend((at.0..deeds).map(Part::Deed));
        at = (deeds, copy);
    }
    parts.extend(whole.deletion.map(Part::End));
    let scales = whole.scaled && !whole.scaled_along;
    let did = (scales, whole.restarts, whole.rolls_back);
    let mut deeds: Vec<Option<_>> = whole.deeds.into_iter().map(Some).collect();
    let mut stages = vec![];
    let first = |part: &Part| matches!(part, Part::Own(..));
    for part in parts.into_iter().skip_while(first) {
        match part {
            Part::Own(before, after) => stages.extend(own(world, rule, (before, after), did)),
            Part::Deed(n) => {
                if let Some(deed) = deeds.get_mut(n).and_then(Option::take) {
                    let before = deed.change.before.clone();
                    stages.push(Remaining {
                        write: deed.write,
                        changes: vec![deed.change],
                        own: false,
                        before,
                    });
                }
            }
            Part::End(deletion) => {
                let verb = match deletion.evicts {
                    true => Verb::Evict,
                    false => Verb::Delete,
                };
                let before = world.subject.record.clone();
                stages.push(Remaining {
                    write: writes::delete(world, rule.name.clone(), deletion),
                    changes: vec![world.change(rule, verb, before, None)],
                    own: true,
                    before: None,
                });
            }
        }
    }
    stages
}

/// A change of the subject itself as requests.
fn own(
    world: &World<'_>,
    rule: &Rule,
    (before, after): (Record, Record),
    (scales, restarts, rolls_back): (bool, bool, bool),
) -> Vec<Remaining> {
    let name = || vec![rule.name.clone()];
    let own_steps = || rule.steps.iter().filter(|step| step.target.is_none());
    let status = own_steps().any(|s| matches!(s.action, Action::Patch { status: true, .. }));
    let authors = Authors {
        main: name(),
        status: if status { name() } else { vec![] },
        scale: if scales { name() } else { vec![] },
        replicas: scales.then(|| world.replicas(rule)).flatten(),
        ..Authors::default()
    };
    let subject = Subject {
        key: world.subject.key,
        record: &before,
    };
    let context: &PassContext<'_> = world.context;
    let then = World::new(&subject, context);
    let made = writes::patches(&then, &after, authors);
    let stays = before == after;
    let change = world.change(rule, Verb::Patch, before.clone(), Some(after));
    let changes = match stays {
        true => vec![],
        false => world.by_verb(change, world.parts(rule, (scales, restarts, rolls_back))),
    };
    let stage = |write: &Write| Remaining {
        changes: changes
            .iter()
            .filter(|change| write.makes(change))
            .map(|change| writes::part_of(change.clone(), write, &made))
            .collect(),
        write: write.clone(),
        own: true,
        before: Some(before.clone()),
    };
    made.iter().map(stage).collect()
}

/// What has become of a stage's object since it was decided on.
pub enum Carried {
    /// The request, for the object as it is now.
    On(Box<Write>),
    /// Nothing is left to do.
    Done,
    /// Somebody else has changed what it writes, or the object is another one.
    Void,
}

impl Remaining {
    /// The request for its object as it is now; `None`: there is none.
    pub fn for_now(&self, now: Option<&Record>) -> Carried {
        let on = |write| Carried::On(Box::new(write));
        let uid = now.map_or("", |now| now.meta().uid());
        match &self.write.operation {
            Operation::Event { .. } | Operation::Archive { .. } => return on(self.write.clone()),
            Operation::Apply { .. } => {
                return match uid == self.write.uid {
                    true => on(self.write.clone()),
                    false => Carried::Void,
                };
            }
            _ => {}
        }
        let Some(now) = now.filter(|now| now.meta().uid() == self.write.uid) else {
            return Carried::Void;
        };
        if now.meta().is_deleting() {
            return Carried::Void;
        }
        let version = now.meta().resource_version().to_owned();
        match (&self.write.operation, &self.before, &self.write.expected) {
            (Operation::Patch { status: false, .. }, Some(before), Some(expected)) => {
                let Some(after) = carried_over((before, expected), now) else {
                    return Carried::Void;
                };
                match writes::operations(now, &after) {
                    Some(operations) => on(Write {
                        operation: Operation::Patch {
                            status: false,
                            operations,
                        },
                        expected: Some(after),
                        resource_version: version,
                        ..self.write.clone()
                    }),
                    None => Carried::Done,
                }
            }
            (Operation::Patch { .. } | Operation::Scale { .. }, Some(before), _) => {
                let carried = writes::rebased(&self.write, before, now);
                carried.map_or(Carried::Void, on)
            }
            _ => on(Write {
                resource_version: version,
                ..self.write.clone()
            }),
        }
    }
}

/// A change of one state, made on another one; `None` if what it changes differs there.
fn carried_over((before, after): (&Record, &Record), now: &Record) -> Option<Record> {
    let mut tree = now.to_value();
    let former = before.to_value();
    let changes = record_patch(before.root(), after.root());
    for change in &changes {
        let place = change.path().as_str();
        let there = |tree: &Value| tree.pointer(place).cloned();
        // An element that is put into a list pushes the others on: what stood there is no matter.
        let inserts = matches!(change, PatchOperation::Add(_)) && there(&former).is_some();
        if !inserts && there(&former) != there(&tree) {
            return None;
        }
    }
    json_patch::patch(&mut tree, &changes).ok()?;
    Some(Record::from_value(&tree))
}
