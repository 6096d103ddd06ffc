//! What a pass may remember of its subject: since when a match holds (`after`), and what has acted in it (`once`).

use super::once::{Act, Present};
use super::turn::Turn;
use super::world::World;
use crate::object::ObjectKey;
use crate::rule::edit::Answers;
use crate::rule::set::RuleIndex;
use crate::rule::{Mode, Rule, Step, Verb};
use jiff::{SignedDuration, Timestamp};
use std::sync::Arc;
use std::time::Duration;

/// What was remembered of the subject of a pass.
pub trait Memory {
    /// Since when the present match of a rule is known to have held without a break; `None`: it begins now.
    fn since(&self, rule: RuleIndex) -> Option<Timestamp>;

    /// How many matches of a rule in which it acted have ended before the present one.
    fn nth(&self, rule: RuleIndex) -> u32;

    /// When a step acted last.
    fn last(&self, rule: RuleIndex, act: Act) -> Option<LastAct>;

    /// The key that a step has since a moment and waits to act for.
    fn pending(&self, rule: RuleIndex, act: Act) -> Option<(Arc<str>, Timestamp)>;

    /// Whether so much is remembered that it is to be looked for what is gone.
    fn has_many(&self, _rule: RuleIndex) -> bool {
        false
    }

    /// For how many of those that are there a step has acted.
    fn acted(&self, _rule: RuleIndex, _present: &Present) -> usize {
        0
    }

    /// What the server stored in answer to what a rule asked of an object, the subject or another, where that is not just what was asked for.
    fn answers(&self, _rule: RuleIndex, _object: &ObjectKey) -> Option<&Answers> {
        None
    }
}

/// When a step acted last, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastAct {
    /// Its key, where it has one.
    pub key: Option<Arc<str>>,
    /// In which match.
    pub nth: u32,
    /// When.
    pub at: Timestamp,
}

/// What is to be remembered of a subject and a rule, whatever the rule's mode.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// So many matches have ended: it was lost.
    Begun(u32),
    /// A step counts as having acted.
    Acted(Act, LastAct),
    /// Its key has become this one.
    Pending(Act, Arc<str>),
    /// Its key is again the one it acted for.
    Settled(Act),
    /// What else is remembered of its step is of what is gone.
    Present(Present),
}

/// Nothing was remembered: every match begins now.
pub struct Blank;

impl Memory for Blank {
    fn since(&self, _: RuleIndex) -> Option<Timestamp> {
        None
    }

    fn nth(&self, _: RuleIndex) -> u32 {
        0
    }

    fn last(&self, _: RuleIndex, _: Act) -> Option<LastAct> {
        None
    }

    fn pending(&self, _: RuleIndex, _: Act) -> Option<(Arc<str>, Timestamp)> {
        None
    }
}

/// A step that comes when the match has held long enough. Told by a plan only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Later {
    /// Name of the rule.
    pub rule: Arc<str>,
    /// Its mode, as written.
    pub mode: Mode,
    /// What the step does.
    pub verb: Verb,
    /// The subject.
    pub object: ObjectKey,
    /// When, if the match goes on.
    pub at: Timestamp,
}

/// When a step with this `after` comes: `None` if now. A moment beyond all time never does.
fn due(world: &World<'_>, rule: RuleIndex, after: Duration) -> Option<Timestamp> {
    let now = world.context.now;
    let since = world.context.memory.since(rule).unwrap_or(now);
    let due = moment_after(since, after);
    (due > now).then_some(due)
}

/// A moment so much later; beyond all time it is the end of it.
pub(super) fn moment_after(moment: Timestamp, length: Duration) -> Timestamp {
    SignedDuration::try_from(length)
        .ok()
        .and_then(|length| moment.checked_add(length).ok())
        .unwrap_or(Timestamp::MAX)
}

/// Whether the match has held long enough for a step, as far as that alone decides.
pub(super) fn is_due(world: &World<'_>, index: RuleIndex, step: &Step) -> bool {
    step.has_key()
        || step
            .after
            .and_then(|after| due(world, index, after))
            .is_none()
}

/// Whether the step at `position` waits for its match to have held long enough, and with it those behind it.
pub(super) fn holds_up(
    world: &World<'_>,
    (index, rule): (RuleIndex, &Rule),
    position: usize,
    turn: &mut Turn,
) -> bool {
    let Some(step) = rule.steps.get(position) else {
        return false;
    };
    if step.has_key() {
        // It waits until its key has been the same for that long.
        return false;
    }
    let Some(at) = step.after.and_then(|after| due(world, index, after)) else {
        return false;
    };
    turn.recheck(Some(at));
    if world.context.ahead {
        for step in &rule.steps[position..] {
            if let Some(at) = step.after.and_then(|after| due(world, index, after)) {
                turn.later.push(Later {
                    rule: rule.name.clone(),
                    mode: rule.mode,
                    verb: step.action.verb(),
                    object: world.subject.key.clone(),
                    at,
                });
            }
        }
    }
    true
}
