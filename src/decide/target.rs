//! Steps with `target`: what they ask of each member of a list. Protection, annotations, preconditions and conflicts are those of the member.

use super::apply::{Deed, Progress, Prospect, Want, is_ignored};
use super::event;
use super::patch::fixed_fields;
use super::protect::protected;
use super::turn::Turn;
use super::working::Working;
use super::world::{World, schema_of};
use super::writes::{self, value_at};
use super::{Operation, Reason, RuleChange, Write};
use crate::object::{ObjectKey, Record};
use crate::rule::edit::{Claim, Edit, EditContext, Endpoint, plan};
use crate::rule::expr::{ExprFault, Other, Scope, Variables};
use crate::rule::path::PodPrefix;
use crate::rule::related::Member;
use crate::rule::set::RuleIndex;
use crate::rule::{Action, Occasion, Rule, Step};
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, LazyLock};

/// Hashes are compared within one process only.
static STATE: LazyLock<RandomState> = LazyLock::new(RandomState::new);

/// One step of one rule, for one subject.
struct Act<'a, 's> {
    world: &'a World<'a>,
    index: RuleIndex,
    rule: &'a Rule,
    /// Of the step among those of the rule.
    position: usize,
    step: &'a Step,
    scope: &'a Scope<'s>,
}

/// A step for each member of the list that is its target. It is as far as the member that is farthest behind.
pub(super) fn each(
    world: &World<'_>,
    (index, rule): (RuleIndex, &Rule),
    (position, list): (usize, usize),
    (record, variables): (&Record, Option<&Variables>),
    turn: &mut Turn,
) -> Result<Progress, ExprFault> {
    let lists = variables.map(Variables::lists).cloned().unwrap_or_default();
    let name = rule.related.get(list).map_or("", |list| &list.name);
    let unknown = |why: &str| ExprFault::Unknown(format!("`{name}` is not known: {why}"));
    let members = match lists.get(list) {
        Some(list) => list.members().map_err(|why| unknown(why))?,
        None => return Err(unknown("it is not computed")),
    };
    let Some(step) = rule.steps.get(position) else {
        return Ok(Progress::Done);
    };
    let (applied, found) = (turn.applied.clone(), turn.found.clone());
    let scope = Scope {
        applied: applied.as_ref().map(Record::root),
        found: found.as_ref().map(Record::root),
        ..world.scope(record, variables)
    };
    let act = Act {
        world,
        index,
        rule,
        position,
        step,
        scope: &scope,
    };
    let mut progress = Progress::Done;
    for member in members {
        progress = progress.max(act.on(member, turn)?);
    }
    Ok(progress)
}

impl Act<'_, '_> {
    fn on(&self, member: &Member, turn: &mut Turn) -> Result<Progress, ExprFault> {
        let (world, rule) = (self.world, self.rule);
        let meta = member.record.meta();
        if is_ignored(world, rule, &member.key, &member.record) {
            return Ok(Progress::Done);
        }
        let action = &self.step.action;
        let own = world.context.state_namespace;
        if let Some(why) = protected(rule, action, &member.key, meta, own) {
            let (key, verb) = (&member.key, action.verb().as_str());
            turn.find(
                Reason::Protected,
                format!("{key} is protected from {verb}: {why}"),
            );
            return Ok(Progress::Done);
        }
        let goes = meta.is_deleting();
        match action {
            Action::Patch { edits, status } if !goes => {
                let endpoint = match status {
                    true => Endpoint::Status,
                    false => Endpoint::Main,
                };
                let edits: Vec<&Edit> = edits.iter().collect();
                self.edit(member, &edits, endpoint, turn)
            }
            Action::Scale { edits } if !goes => {
                let of_kind = edits
                    .iter()
                    .filter(|(kinds, _)| kinds.contains(&member.key.kind));
                let edits: Vec<&Edit> = of_kind.map(|(_, edit)| edit).collect();
                self.edit(member, &edits, Endpoint::Main, turn)
            }
            Action::Delete {
                propagation,
                grace_period_seconds,
            } if !goes => {
                let operation = Operation::Delete {
                    propagation: *propagation,
                    grace_period_seconds: *grace_period_seconds,
                };
                Ok(self.ask(member, operation, None, turn))
            }
            Action::Evict if !goes => Ok(self.ask(member, Operation::Evict, None, turn)),
            Action::Event {
                warning,
                reason,
                message,
            } => event::event(
                world,
                (self.index, rule),
                (event::step_on(self.position, meta.uid()), None),
                (*warning, reason, message),
                (self.scope, &member.key, &member.record),
                turn,
            ),
            Action::Warn { message } | Action::Deny { message } => {
                let reason = match action {
                    Action::Deny { .. } => Reason::Denied,
                    _ => Reason::Warning,
                };
                let text = match message.literal() {
                    Some(literal) => Some(literal.clone()),
                    None => message.render(self.scope)?,
                };
                if let Some(text) = text {
                    let text = text
                        .as_str()
                        .map_or_else(|| text.to_string(), str::to_owned);
                    turn.told.push((member.key.clone(), reason, text));
                }
                Ok(Progress::Done)
            }
            _ => Ok(Progress::Done),
        }
    }

    /// Edits of a member, as one request.
    fn edit(
        &self,
        member: &Member,
        edits: &[&Edit],
        endpoint: Endpoint,
        turn: &mut Turn,
    ) -> Result<Progress, ExprFault> {
        let schema = schema_of(&member.key, &member.record, self.world.context);
        let pod = schema.as_ref().and_then(|s| s.pod_prefix());
        let context = EditContext {
            schema: schema.as_deref(),
            endpoint,
            barred: &[],
            fixed: fixed_fields(self.world, self.rule.when.has(Occasion::Create)),
        };
        let mut working = Working::new(&member.record);
        let mut changes = false;
        for edit in edits {
            let record = working.record().clone();
            let scope = Scope {
                other: Some(Other {
                    object: record.root(),
                    pod,
                    joins: false,
                }),
                ..*self.scope
            };
            let mut planned = plan(edit, &scope, &context)?;
            turn.recheck(planned.recheck_at);
            turn.wrong_types.append(&mut planned.wrong_types);
            for (reason, message) in std::mem::take(&mut planned.findings) {
                turn.find(reason, format!("{}: {message}", member.key));
            }
            if let Some(other) = self.disagrees(member, &planned.claims, turn) {
                let message = format!(
                    "{}: the rule wants other contents of it for {other}; it is left as it is until they agree",
                    member.key
                );
                turn.find(Reason::Conflict, message);
                return Ok(Progress::Stopped);
            }
            if planned.changes() {
                working.write(&planned);
                changes = true;
            }
        }
        if !changes {
            return Ok(Progress::Done);
        }
        let (before, after) = (member.record.to_value(), working.record().to_value());
        let operation = match (&self.step.action, edits) {
            (Action::Scale { .. }, [edit, ..]) => {
                let names = edit.path.plain_names(PodPrefix::None).unwrap_or_default();
                let path: Vec<String> = names.iter().map(|n| n.as_str().to_owned()).collect();
                match value_at(&after, &path).cloned() {
                    Some(replicas) => Operation::Scale { replicas, path },
                    None => return Ok(Progress::Done),
                }
            }
            _ => match writes::operations(&member.record, &before, &after) {
                Some(operations) => Operation::Patch {
                    status: endpoint == Endpoint::Status,
                    operations,
                },
                None => return Ok(Progress::Done),
            },
        };
        Ok(self.ask(member, operation, Some(after), turn))
    }

    /// Another subject for which the rule wants another value at one of these places.
    fn disagrees(&self, member: &Member, claims: &[Claim], turn: &mut Turn) -> Option<ObjectKey> {
        let subject = self.world.subject.key;
        for claim in claims.iter().filter(|claim| !claim.from_current) {
            let place: Arc<str> = format!("{}\n{}", self.rule.name, claim.pointer).into();
            let value = claim.value.as_ref().map(ToString::to_string);
            let contents = STATE.hash_one(value);
            let mut wants = turn.wants.iter();
            if wants.any(|want| want.object == member.key && want.rule == place) {
                // A later step of this turn; the subject agrees with itself.
                continue;
            }
            turn.wants.push(Want {
                rule: place.clone(),
                object: member.key.clone(),
                contents,
            });
            let neighbours = self.world.context.neighbours;
            let other = neighbours.disagreeing(&member.key, &place, subject, contents);
            if other.is_some() {
                return other;
            }
        }
        None
    }

    fn ask(
        &self,
        member: &Member,
        operation: Operation,
        after: Option<serde_json::Value>,
        turn: &mut Turn,
    ) -> Progress {
        let change = RuleChange {
            rule: self.rule.name.clone(),
            mode: self.rule.mode,
            verb: operation.verb(),
            object: member.key.clone(),
            before: member.record.to_value(),
            after: after.clone(),
            why: vec![],
        };
        let rules = vec![self.rule.name.clone()];
        let about = (&member.key, &member.record);
        let write: Write = writes::write(about, operation, rules, after);
        match self.world.context.neighbours.prospect(self.index, &write) {
            Prospect::Made => Progress::Done,
            Prospect::New => {
                turn.deeds.push(Deed { write, change });
                Progress::Asked
            }
            Prospect::Barred(reason, message, until) => {
                if !message.is_empty() {
                    turn.find(reason, format!("{}: {message}", member.key));
                }
                turn.recheck(until);
                Progress::Stopped
            }
        }
    }
}
