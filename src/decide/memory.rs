//! What a pass may remember of its subject: since when a match holds (`after`).

use super::turn::{Turn, World};
use crate::object::ObjectKey;
use crate::rule::set::RuleIndex;
use crate::rule::{Mode, Rule, Verb};
use jiff::{SignedDuration, Timestamp};
use std::sync::Arc;
use std::time::Duration;

/// What was remembered of the subject of a pass.
pub trait Memory {
    /// Since when the present match of a rule is known to have held without a break; `None`: it begins now.
    fn since(&self, rule: RuleIndex) -> Option<Timestamp>;
}

/// Nothing was remembered: every match begins now.
pub struct Blank;

impl Memory for Blank {
    fn since(&self, _: RuleIndex) -> Option<Timestamp> {
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
    let due = SignedDuration::try_from(after)
        .ok()
        .and_then(|after| since.checked_add(after).ok())
        .unwrap_or(Timestamp::MAX);
    (due > now).then_some(due)
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
