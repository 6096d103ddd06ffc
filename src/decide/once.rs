//! `once`: steps that act once each time a match begins, or when their key has changed.

use super::apply::Progress;
use super::memory::{LastAct, Later, Note, moment_after};
use super::state_annotation::{Said, SubjectState, TooLarge};
use super::steps::At;
use super::turn::{Manner, Turn};
use super::working::Working;
use super::world::World;
use crate::object::{Meta, Record};
use crate::rule::expr::{ExprFault, Scope, Template};
use crate::rule::set::RuleIndex;
use crate::rule::{FirstSeen, Rule, Step, StepId, Verb};
use jiff::Timestamp;
use serde_json::{Value, json};
use std::fmt;
use std::sync::Arc;

/// Longest key, in bytes: it is kept of every object.
pub const LONGEST_KEY: usize = 256;
/// Most elements that are written down on an object; what acted for others the daemon remembers.
const MOST_WRITTEN: usize = 256;

/// A step, for one element of its `forEach` or one object of its `target`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Act {
    /// Which step of the rule.
    pub step: StepId,
    /// Hash of the element; 0 without any.
    pub element: u64,
}

impl Act {
    /// What acts once each time a match begins, by its number among the steps and their elements.
    pub fn numbered(step: usize) -> Act {
        Act {
            // Not one that a step with `once` has.
            step: StepId {
                verb: Verb::Event,
                nth: u16::MAX,
            },
            element: step as u64,
        }
    }

    /// As in memory that is kept: `event`, `event/1`, `event/1/00000000000000ff`.
    pub fn parse(text: &str) -> Option<Act> {
        let mut parts = text.splitn(3, '/');
        let verb = Verb::parse(parts.next()?)?;
        let nth = match parts.next() {
            Some(nth) => nth.parse().ok()?,
            None => 0,
        };
        let element = match parts.next() {
            Some(element) => u64::from_str_radix(element, 16).ok()?,
            None => 0,
        };
        Some(Act {
            step: StepId { verb, nth },
            element,
        })
    }
}

impl fmt::Display for Act {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let StepId { verb, nth } = self.step;
        match (nth, self.element) {
            (0, 0) => f.write_str(verb.as_str()),
            (nth, 0) => write!(f, "{}/{nth}", verb.as_str()),
            (nth, element) => write!(f, "{}/{nth}/{element:016x}", verb.as_str()),
        }
    }
}

/// What a request does once: remembered when it is answered well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acted {
    /// Name of the rule.
    pub rule: Arc<str>,
    /// Uid of its subject.
    pub uid: Box<str>,
    /// Which step.
    pub act: Act,
    /// As it is remembered.
    pub last: LastAct,
}

/// Whether a step acts now.
pub(super) enum Chance {
    /// It is no step that acts once.
    Always,
    /// It does.
    Acts(Occasion),
    /// It has, or only looks on this time: the next step comes.
    Done,
    /// Its key has not been the same for long enough: the list stops.
    Waits,
}

/// Why a step acts.
pub(super) struct Occasion {
    pub acted: Acted,
    /// The key that was remembered.
    pub previous: Record,
    identity: String,
}

impl Occasion {
    /// Which step acts for what: the same for the same effect and for no other of the rule and subject. Of it the identity of what is done
    /// outside the subject is made.
    pub fn which(&self) -> String {
        format!("{} {}", self.acted.act, self.identity)
    }
}

/// What came of a step on an occasion.
pub(super) struct Came {
    pub progress: Progress,
    /// Whether it changed the copy.
    pub changed: bool,
    /// How many requests on other objects there were before it.
    pub asked: usize,
}

/// Whether a step acts now for one element (see [`Act`]), if it is one that acts once; on a member of its `target`, if it has one.
pub(super) fn chance_of(
    at: &At<'_>,
    (element, item): (u64, Option<&Record>),
    (record, member): (&Record, Option<&Record>),
    turn: &mut Turn,
) -> Result<Chance, ExprFault> {
    if at.step.once.is_none() {
        return Ok(Chance::Always);
    }
    turn.previous = None;
    let names = turn.names();
    let scope = names.scope(at, record, item);
    let of = (at.manner.index, at.rule);
    let step = (at.step, element, member);
    chance(at.world, of, step, (record, &scope), turn)
}

/// Sees to it that it is remembered what a step did on an occasion.
pub(super) fn settle(
    at: &At<'_>,
    occasion: Occasion,
    came: Came,
    working: &mut Working<'_>,
    turn: &mut Turn,
) -> Result<(), ExprFault> {
    turn.previous = None;
    if came.progress == Progress::Stopped {
        return Ok(());
    }
    if at.step.writes_that_it_acted() {
        let of = (at.manner.index, at.rule);
        let copy = (working, came.changed);
        return in_the_same_write(at.world, of, occasion, copy, at.manner, turn);
    }
    let asked = &mut turn.deeds[came.asked..];
    if !asked.is_empty() {
        for deed in asked {
            deed.write.acts.push(occasion.acted.clone());
        }
    } else if came.changed || turn.deletion.is_some() {
        turn.remembered.push(occasion.acted);
    } else if at.manner.barred.is_empty() {
        // It was so already.
        let note = Note::Acted(occasion.acted.act, occasion.acted.last);
        turn.already.push((at.manner.index, note));
    }
    Ok(())
}

/// Writes down beside the change of a step that it has acted, so that neither is there without the other.
fn in_the_same_write(
    world: &World<'_>,
    (index, rule): (RuleIndex, &Rule),
    occasion: Occasion,
    (working, changed): (&mut Working<'_>, bool),
    manner: Manner<'_>,
    turn: &mut Turn,
) -> Result<(), ExprFault> {
    let Acted { act, last, .. } = &occasion.acted;
    if !changed {
        // Nothing to do is done, unless another rule stood in the way.
        if manner.barred.is_empty() {
            turn.already.push((index, Note::Acted(*act, last.clone())));
        }
        return Ok(());
    }
    write_on(world, rule, working, (act.to_string(), last))?;
    // What is remembered there is written in the next request; elsewhere when it is answered.
    turn.remembered.push(Acted {
        uid: world.subject.record.meta().uid().into(),
        ..occasion.acted
    });
    Ok(())
}

/// As [`in_the_same_write`], of what a step changes on a member of its `target`.
pub(super) fn write_on_member(
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

/// Writes an act down on the copy of an object.
fn write_on(
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
    state.once.insert(name, written(last));
    while state.once.len() > MOST_WRITTEN {
        let at = |of: &Value| of.get("at").map(ToString::to_string);
        let oldest = state.once.iter().min_by_key(|(_, of)| at(of));
        let Some(oldest) = oldest.map(|(act, _)| act.clone()) else {
            break;
        };
        state.once.shift_remove(&oldest);
    }
    working
        .remember(&state, &rule.name)
        .map_err(|TooLarge(size)| {
            ExprFault::Failed(format!(
                "what this rule remembers on the object takes {size} bytes"
            ))
        })
}

/// A member of a list with an element of a `forEach`, as an [`Act`] counts them.
pub(super) fn element_on(uid: &str, item: Option<&Record>) -> u64 {
    let item = item.map_or(Value::Null, Record::to_value);
    element(&json!([uid, item]))
}

/// Element of a `forEach`, as an [`Act`] counts it: FNV-1a of its text, never 0.
pub(super) fn element(item: &Value) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for byte in item.to_string().bytes() {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    hash.max(1)
}

/// Whether a step that acts once does so now.
fn chance(
    world: &World<'_>,
    (index, rule): (RuleIndex, &Rule),
    (step, element, member): (&Step, u64, Option<&Record>),
    (record, scope): (&Record, &Scope<'_>),
    turn: &mut Turn,
) -> Result<Chance, ExprFault> {
    let memory = world.context.memory;
    let now = world.context.now;
    let act = Act {
        step: step.id,
        element,
    };
    let once = step.once.as_ref();
    let key = match once.and_then(|once| once.key.as_ref()) {
        Some(template) => Some(key_of(template, scope)?),
        None => None,
    };
    let uid = world.subject.record.meta().uid();
    let written = match member {
        Some(member) => in_writing(world, member, rule, &on_member(act, uid)),
        None if step.writes_that_it_acted() => in_writing(world, record, rule, &act.to_string()),
        None => None,
    };
    let known = memory.last(index, act);
    // What was written with a change is never lost; what is remembered elsewhere may be some seconds old.
    let last = match (written, known) {
        (Some(written), Some(known)) if known.at >= written.at => Some(known),
        (Some(written), _) => {
            // What this very pass has put on its copy is not done yet.
            let stored = || in_writing(world, world.subject.record, rule, &act.to_string());
            if member.is_some() || stored().as_ref() == Some(&written) {
                turn.notes.push((index, Note::Acted(act, written.clone())));
            }
            Some(written)
        }
        (None, known) => known,
    };
    let nth = memory.nth(index);
    let begun = last.as_ref().map_or(nth, |last| last.nth.max(nth));
    if begun > nth {
        turn.notes.push((index, Note::Begun(begun)));
    }
    let same = last.as_ref().filter(|last| match &key {
        Some(key) => last.key.as_ref() == Some(key),
        None => last.nth == begun,
    });
    let pending = memory.pending(index, act);
    if let Some(same) = same {
        if pending.is_some() {
            turn.notes.push((index, Note::Settled(act)));
        }
        let expires = once
            .and_then(|once| once.within)
            .map(|within| moment_after(same.at, within));
        match expires {
            Some(at) if at <= now => {}
            expires => {
                turn.recheck(expires);
                return Ok(Chance::Done);
            }
        }
    }
    let this = LastAct {
        key: key.clone(),
        nth: begun,
        at: now,
    };
    let looks_on = once.is_some_and(|once| once.first_seen == FirstSeen::Record);
    if looks_on && last.is_none() {
        turn.notes.push((index, Note::Acted(act, this)));
        return Ok(Chance::Done);
    }
    if let (Some(key), Some(after)) = (&key, step.after) {
        let since = match pending {
            Some((pending, at)) if pending == *key => at,
            _ => {
                turn.notes.push((index, Note::Pending(act, key.clone())));
                now
            }
        };
        let held = memory.since(index).unwrap_or(now);
        let due = moment_after(since.max(held), after);
        if due > now {
            turn.recheck(Some(due));
            if world.context.ahead {
                turn.later.push(Later {
                    rule: rule.name.clone(),
                    mode: rule.mode,
                    verb: step.action.verb(),
                    object: world.subject.key.clone(),
                    at: due,
                });
            }
            return Ok(Chance::Waits);
        }
    }
    let again = same.map_or(String::new(), |same| {
        format!("/{}", same.at.as_millisecond())
    });
    let which = key
        .as_deref()
        .map_or_else(|| begun.to_string(), str::to_owned);
    let previous = last.and_then(|last| last.key);
    Ok(Chance::Acts(Occasion {
        acted: Acted {
            rule: rule.name.clone(),
            uid: world.subject.record.meta().uid().into(),
            act,
            last: this,
        },
        previous: Record::from_value(&json!(previous.as_deref().unwrap_or_default())),
        identity: format!("{which}{again}"),
    }))
}

fn key_of(template: &Template, scope: &Scope<'_>) -> Result<Arc<str>, ExprFault> {
    let value = match template.literal() {
        Some(literal) => Some(literal.clone()),
        None => template.render(scope)?,
    };
    let text = match value {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text,
        Some(value @ (Value::Bool(_) | Value::Number(_))) => value.to_string(),
        Some(Value::Array(_) | Value::Object(_)) => {
            return Err(ExprFault::Failed(
                "the `key` of `once` is a list or a map: write `hash(…)` around it".into(),
            ));
        }
    };
    if text.len() > LONGEST_KEY {
        return Err(ExprFault::Failed(format!(
            "the `key` of `once` has {} bytes, and at most {LONGEST_KEY} are kept: write `hash(…)` around it",
            text.len()
        )));
    }
    Ok(text.into())
}

/// What the subject itself says of a step, in the annotation that was written with its last change.
fn in_writing(world: &World<'_>, record: &Record, rule: &Rule, name: &str) -> Option<LastAct> {
    if !super::state_annotation::were_seen() {
        return None;
    }
    let by = world.context.state_namespace;
    let Said::State(state) = SubjectState::read_own(record.meta(), &rule.name, by) else {
        return None;
    };
    read(state.once.get(name)?)
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
pub fn in_annotation(meta: Meta<'_>, rule: &str, by: &str) -> Vec<(Act, LastAct)> {
    if !super::state_annotation::were_seen() {
        return vec![];
    }
    let Said::State(state) = SubjectState::read_own(meta, rule, by) else {
        return vec![];
    };
    let acts = state.once.iter();
    acts.filter_map(|(act, said)| Some((Act::parse(act)?, read(said)?)))
        .collect()
}

/// How an act stands in the annotation.
pub(super) fn written(last: &LastAct) -> Value {
    let mut said = json!({"nth": last.nth, "at": last.at.to_string()});
    if let Some(key) = &last.key {
        said["key"] = json!(**key);
    }
    said
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn acts_are_read_as_they_are_written() {
        for text in ["event", "event/1", "patch/12/00000000000000ff"] {
            assert_eq!(
                Act::parse(text).map(|act| act.to_string()),
                Some(text.into())
            );
        }
        for text in [
            "",
            "fly",
            "event/x",
            "event/1/zz",
            "event/-1",
            "event/70000",
        ] {
            assert_eq!(Act::parse(text), None, "{text}");
        }
    }

    #[test]
    fn elements_are_told_apart_by_what_they_are() {
        assert_eq!(element(&json!({"a": 1})), element(&json!({"a": 1})));
        assert_ne!(element(&json!("a")), element(&json!("b")));
        assert_ne!(element(&json!("1")), element(&json!(1)));
    }
}
