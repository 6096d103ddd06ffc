//! Steps with `target`: what they ask of each member of a list. Protection, annotations, preconditions and conflicts are those of the member.

mod change;

use super::apply::{Deed, Progress, Prospect, is_ignored};
use super::once::{self, Chance, Occasion};
use super::protect::protected;
use super::steps::At;
use super::turn::Turn;
use super::working::Working;
use super::{Operation, Reason, RuleChange, Wanted, Write, archive, event, metric, tell, writes};
use crate::object::Record;
use crate::rule::Action;
use crate::rule::expr::{ExprFault, Scope, Variables};
use crate::rule::related::Member;

/// A step for each member of the list that is its target. It is as far as the member that is farthest behind.
pub(super) fn each(
    at: &At<'_>,
    list: usize,
    record: &Record,
    turn: &mut Turn,
) -> Result<Progress, ExprFault> {
    let lists = at
        .variables
        .map(Variables::lists)
        .cloned()
        .unwrap_or_default();
    let name = at.rule.related.get(list).map_or("", |list| &list.name);
    let unknown = |why: &str| ExprFault::Unknown(format!("`{name}` is not known: {why}"));
    let members = match lists.get(list) {
        Some(list) => list.members().map_err(|why| unknown(why))?,
        None => return Err(unknown("it is not computed")),
    };
    let items = at.items(record, turn)?;
    turn.counts_room(at, Some(members), &items);
    let mut progress = Progress::Done;
    for member in members {
        // Where all that would come is shown, it is as the steps before this one leave it.
        let left = match at.manner.ahead {
            true => as_left(turn, member),
            false => None,
        };
        let member = match &left {
            None => member,
            Some(None) => continue,
            Some(Some(left)) => left,
        };
        let on = On {
            at,
            record,
            member,
            items: &items,
        };
        progress = progress.max(on.act(turn)?);
    }
    Ok(progress)
}

/// What the steps of the turn so far would make of a member: nothing, where they take it away. `None`: they leave it as it is.
fn as_left(turn: &Turn, member: &Member) -> Option<Option<Member>> {
    let mut deeds = turn.deeds.iter().rev();
    let deed = deeds.find(|deed| deed.write.object == member.key)?;
    let left = |record: &Record| Member {
        key: member.key.clone(),
        record: record.clone(),
    };
    Some(deed.write.expected.as_ref().map(left))
}

/// A step, for one member.
struct On<'a> {
    at: &'a At<'a>,
    /// The subject.
    record: &'a Record,
    member: &'a Member,
    items: &'a [Option<Record>],
}

impl On<'_> {
    fn act(&self, turn: &mut Turn) -> Result<Progress, ExprFault> {
        let (world, rule, member) = (self.at.world, self.at.rule, self.member);
        let meta = member.record.meta();
        if is_ignored(world, rule, &member.key, &member.record, turn) {
            return Ok(Progress::Done);
        }
        let action = &self.at.step.action;
        let own = world.context.state_namespace;
        if let Some(why) = protected(rule, action, &member.key, meta, own) {
            let (key, verb) = (&member.key, action.verb().as_str());
            turn.find(
                Reason::Protected,
                format!("{key} is protected from {verb}: {why}"),
            );
            return Ok(Progress::Done);
        }
        // What goes is not changed any more, nor taken away again.
        if meta.is_deleting() && !action.verb().is_free() {
            return Ok(Progress::Done);
        }
        match action {
            Action::Patch { .. }
            | Action::Scale { .. }
            | Action::Restart { .. }
            | Action::Rollback { .. } => self.change(turn),
            _ => {
                let mut progress = Progress::Done;
                for item in self.items {
                    progress = progress.max(self.ask_for(item.as_ref(), turn)?);
                }
                Ok(progress)
            }
        }
    }

    fn chance(&self, item: Option<&Record>, turn: &mut Turn) -> Result<Chance, ExprFault> {
        let element = once::element_on(self.member.record.meta().uid(), item);
        once::chance_of(
            self.at,
            (element, item),
            (self.record, Some(&self.member.record)),
            turn,
        )
    }

    fn called(&self, item: Option<&Record>) -> usize {
        event::step_on(self.at.position, self.member.record.meta().uid(), item)
    }

    /// A step that leaves the member as it is, or takes it away, for one element of its `forEach`.
    fn ask_for(&self, item: Option<&Record>, turn: &mut Turn) -> Result<Progress, ExprFault> {
        let occasion = match self.chance(item, turn)? {
            Chance::Always => None,
            Chance::Acts(occasion) => Some(occasion),
            Chance::Done => return Ok(Progress::Done),
            Chance::Waits => return Ok(Progress::Stopped),
        };
        turn.previous = occasion.as_ref().map(|o| o.previous.clone());
        let names = turn.names();
        let scope = names.scope(self.at, self.record, item);
        let asked = turn.deeds.len();
        let progress = self.one(&scope, (item, occasion.as_ref()), turn)?;
        if let Some(occasion) = occasion {
            let came = once::Came {
                progress,
                changed: false,
                asked,
            };
            // Of what is done to others nothing is written on the subject.
            once::settle(
                self.at,
                occasion,
                came,
                &mut Working::new(self.record),
                turn,
            )?;
        }
        Ok(progress)
    }

    fn one(
        &self,
        scope: &Scope<'_>,
        (item, occasion): (Option<&Record>, Option<&Occasion>),
        turn: &mut Turn,
    ) -> Result<Progress, ExprFault> {
        let member = self.member;
        let action = &self.at.step.action;
        let about = (&member.key, &member.record);
        match action {
            Action::Delete {
                propagation,
                grace_period_seconds,
            } => {
                let operation = Operation::Delete {
                    propagation: *propagation,
                    grace_period_seconds: *grace_period_seconds,
                };
                Ok(self.ask(operation, None, (vec![], vec![]), turn))
            }
            Action::Evict => Ok(self.ask(Operation::Evict, None, (vec![], vec![]), turn)),
            Action::Event {
                warning,
                reason,
                message,
            } => {
                let number = (self.called(item), occasion);
                let words = (*warning, reason, message);
                event::event(self.at, number, words, (scope, about.0, about.1), turn)
            }
            Action::Archive(archive) => {
                let number = (self.called(item), occasion.is_some());
                Ok(archive::archive(self.at, archive, about, number, turn))
            }
            Action::Metric(metric) => {
                metric::sample(about.0, self.at.position, metric, scope, turn)
            }
            Action::Warn { message } | Action::Deny { message } => {
                if let Some(text) = tell::text(self.at, message, scope, turn.lists.as_deref())? {
                    turn.told
                        .push((member.key.clone(), tell::reason(action), text));
                }
                Ok(Progress::Done)
            }
            _ => Ok(Progress::Done),
        }
    }

    /// Asks for what is to be done with the member, unless that is so already or stands for later.
    fn ask(
        &self,
        operation: Operation,
        after: Option<Record>,
        (acts, wanted): (Vec<once::Acted>, Vec<Wanted>),
        turn: &mut Turn,
    ) -> Progress {
        let (at, member) = (self.at, self.member);
        let change = RuleChange {
            rule: at.rule.name.clone(),
            mode: at.rule.mode,
            verb: at.step.action.verb(),
            object: member.key.clone(),
            before: Some(member.record.clone()),
            after: after.clone(),
            why: vec![],
        };
        let rules = vec![at.rule.name.clone()];
        let about = (&member.key, &member.record);
        let mut write: Write = writes::write(about, operation, rules, after);
        write.acts = acts;
        write.wanted = (!wanted.is_empty()).then(|| wanted.into());
        match at
            .world
            .context
            .neighbours
            .prospect(at.manner.index, &write)
        {
            Prospect::Made => Progress::Done,
            Prospect::New => {
                let once = turn.acting.is_some();
                turn.deeds.push(Deed {
                    write,
                    change,
                    once,
                });
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
