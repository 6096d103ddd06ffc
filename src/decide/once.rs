//! `once`: steps that act once each time a match begins, or when their key has changed.
//!
//! `written` what stands beside what was done.

mod written;

use super::apply::Progress;
use super::memory::{LastAct, Later, Note, moment_after};
use super::steps::At;
use super::turn::{Manner, Turn};
use super::working::Working;
use super::world::World;
use super::{Reason, event};
use crate::object::Record;
use crate::rule::expr::{ExprFault, Scope, Template, hashed};
use crate::rule::related::Member;
use crate::rule::set::RuleIndex;
use crate::rule::{FirstSeen, Rule, StepId, Verb};
use serde_json::{Value, json};
use std::fmt;
use std::sync::Arc;
pub use written::in_annotation;
pub(super) use written::{subject_of, write_on_applied, write_on_member};

/// Longest key, in bytes: it is kept of every object.
pub const LONGEST_KEY: usize = 256;

/// A step, for one element of its `forEach` or one object of its `target`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Act {
    /// Which step of the rule.
    pub step: StepId,
    /// Hash of the element; 0 without any.
    pub element: u64,
}

/// Not one that a step with `once` has.
const NUMBERED: StepId = StepId {
    verb: Verb::Event,
    nth: u16::MAX,
};

impl Act {
    /// What acts once each time a match begins, by its number among the steps and their elements.
    pub fn numbered(step: usize) -> Act {
        Act {
            step: NUMBERED,
            element: step as u64,
        }
    }

    /// Which step it is of: the same for all its elements and members, and for no other step of the rule.
    pub fn of(&self) -> (StepId, Option<usize>) {
        let numbered = self.step == NUMBERED;
        let place = numbered.then(|| event::place_of(self.element as usize));
        (self.step, place.flatten())
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

/// Most elements and members that a step which acts once acts for, of one object: all of them are remembered.
///
/// Tests reach fewer sooner.
pub const MOST: usize = if cfg!(test) { 400 } else { 4_096 };
/// So many that are gone are remembered for a step, should they come back.
pub const SPARE: usize = if cfg!(test) { 50 } else { 256 };

/// All that a step which acts once is done with now: what else was remembered of it is of elements and members that are gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Present {
    step: StepId,
    place: usize,
    /// Of acts with `once`, sorted.
    elements: Vec<u64>,
    /// By the numbers of what acts once by nature, sorted.
    numbers: Vec<usize>,
}

impl Present {
    fn of(at: &At<'_>, members: Option<&[Member]>, items: &[Option<Record>]) -> Present {
        let mut present = Present {
            step: at.step.id,
            place: at.position,
            elements: vec![],
            numbers: vec![],
        };
        let once = at.step.once.is_some();
        match members {
            None if once => {
                let items = items.iter().flatten();
                present.elements = items.map(|item| element(&item.to_value())).collect();
            }
            None => {}
            Some(members) => {
                for member in members {
                    let uid = member.record.meta().uid();
                    for item in items {
                        let item = item.as_ref();
                        if once {
                            present.elements.push(element_on(uid, item));
                        }
                        present.numbers.push(event::step_on(at.position, uid, item));
                    }
                }
            }
        }
        present.elements.sort_unstable();
        present.numbers.sort_unstable();
        present
    }

    /// Whether an act is of this step; if so, whether it is of something that is still there.
    pub fn has(&self, act: Act) -> Option<bool> {
        if act.step == self.step {
            return Some(self.elements.binary_search(&act.element).is_ok());
        }
        let numbered = act.of() == (NUMBERED, Some(self.place));
        numbered.then(|| self.has_number(act.element as usize))?
    }

    /// As [`Present::has`], of a number.
    pub fn has_number(&self, number: usize) -> Option<bool> {
        let own = event::place_of(number) == Some(self.place);
        own.then(|| self.numbers.binary_search(&number).is_ok())
    }

    /// How many that are gone may be remembered beside those that are there.
    pub fn spare(&self) -> usize {
        let there = self.elements.len().max(self.numbers.len());
        MOST.saturating_sub(there).min(SPARE)
    }
}

impl Turn {
    /// Whether a step that acts once may act for one more element or member of which nothing is remembered. If not, it holds up those behind
    /// it: forgetting another one instead would make that one due again, without an end.
    pub fn has_room(&mut self, at: &At<'_>) -> bool {
        let Some(room) = &mut self.room else {
            return true;
        };
        if let Some(left) = room.checked_sub(1) {
            *room = left;
            return true;
        }
        let verb = at.step.action.verb().as_str();
        let of = match at.step.target {
            Some(_) => "members of its `target`",
            None => "elements of its `forEach`",
        };
        self.find(
            Reason::NotRemembered,
            format!(
                "`{verb}` acts once for each of the {of}, and for at most {MOST} of one object that is remembered: nothing is done for those beyond, nor by the steps behind it; narrow the list, or let several rules share it"
            ),
        );
        false
    }

    /// A step begins, and is to be done with these.
    pub fn counts_room(
        &mut self,
        at: &At<'_>,
        members: Option<&[Member]>,
        items: &[Option<Record>],
    ) {
        self.room = None;
        let repeats = members.is_some() || (at.step.once.is_some() && at.step.for_each.is_some());
        if !at.step.acts_once() || !repeats {
            return;
        }
        let memory = at.world.context.memory;
        let index = at.manner.index;
        let many = memory.has_many(index);
        // Most are done with few, and need no look at all that is remembered.
        if !many && members.map_or(1, <[Member]>::len) * items.len() <= SPARE {
            return;
        }
        let present = Present::of(at, members, items);
        self.room = Some(MOST.saturating_sub(memory.acted(index, &present)));
        if many {
            self.notes.push((index, Note::Present(present)));
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
    turn.acting = None;
    let names = turn.names();
    let scope = names.scope(at, record, item);
    chance(at, (element, member), (record, &scope), turn)
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
    turn.acting = None;
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
    written::write_on(world, rule, working, (act.to_string(), last))?;
    // What is remembered there is written in the next request; elsewhere when it is answered.
    turn.remembered.push(Acted {
        uid: world.subject.record.meta().uid().into(),
        ..occasion.acted
    });
    Ok(())
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
    at: &At<'_>,
    (element, member): (u64, Option<&Record>),
    (record, scope): (&Record, &Scope<'_>),
    turn: &mut Turn,
) -> Result<Chance, ExprFault> {
    let (world, rule, step) = (at.world, at.rule, at.step);
    let index = at.manner.index;
    let memory = world.context.memory;
    let now = world.context.now;
    let act = Act {
        step: step.id,
        element,
    };
    let once = step.once.as_ref();
    let key = match once.and_then(|once| once.key.as_ref()) {
        Some(template) => {
            let key = key_of(template, scope)?;
            // It is kept where many may read it.
            let secret = rule.may_quote_secrets(&world.subject.key.kind);
            Some(match secret && template.literal().is_none() {
                true => hashed(&key).into(),
                false => key,
            })
        }
        None => None,
    };
    let written = written::last(at, act, (record, member), scope)?;
    let known = memory.last(index, act);
    // What was written with a change is never lost; what is remembered elsewhere may be some seconds old.
    let last = match (written, known) {
        (Some(written), Some(known)) if known.at >= written.at => Some(known),
        (Some(written), _) => {
            if written::is_stored(at, act, member.is_some(), &written) {
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
    // What acted without a key in an earlier match makes room.
    let counts = |last: &LastAct| last.key.is_some() || last.nth == nth;
    let is_new = !last.as_ref().is_some_and(counts);
    if looks_on && last.is_none() {
        if !turn.has_room(at) {
            return Ok(Chance::Waits);
        }
        let within = once.and_then(|once| once.within);
        turn.recheck(within.map(|within| moment_after(now, within)));
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
    if is_new && !turn.has_room(at) {
        return Ok(Chance::Waits);
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
