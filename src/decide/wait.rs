//! `wait`: the next step comes when what the step wrote passes some tests.

use super::Reason;
use super::apply::Progress;
use super::turn::Turn;
use super::world::World;
use crate::object::duration;
use crate::object::{ObjectKey, Record};
use crate::rule::expr::{ExprFault, Scope, Variables};
use crate::rule::set::RuleIndex;
use crate::rule::test::{self, TestRun, Verdict};
use crate::rule::{Step, Wait};
use serde_json::{Map, Value};

/// What is waited for.
pub(super) struct Awaited<'a> {
    /// The rule.
    pub rule: RuleIndex,
    /// The step, with its number: see [`super::event::step`].
    pub step: (&'a Step, usize),
    /// The tests.
    pub wait: &'a Wait,
    /// What the step wrote, if that is not the subject.
    pub target: Option<ObjectKey>,
}

/// Whether the next step may come.
pub(super) fn progress(
    world: &World<'_>,
    awaited: Awaited<'_>,
    of: (&Record, Option<&Variables>),
    turn: &mut Turn,
) -> Result<Progress, ExprFault> {
    let target = match &awaited.target {
        None => None,
        Some(object) => {
            let unknown = |why| ExprFault::Unknown(format!("{object}: {why}"));
            let live = world.context.neighbours.get(object).map_err(unknown)?;
            // One that is not there has nothing that could pass.
            Some(live.unwrap_or_else(|| Record::from_value(&Value::Object(Map::new()))))
        }
    };
    Ok(match holds_up(world, &awaited, target.as_ref(), of, turn) {
        true => Progress::Stopped,
        false => Progress::Done,
    })
}

/// Whether the next step may come behind one that acts on the members of a list: each of them has to pass.
pub(super) fn of_members(
    world: &World<'_>,
    (rule, (position, list)): (RuleIndex, (usize, usize)),
    (step, wait): (&Step, &Wait),
    of: (&Record, Option<&Variables>),
    turn: &mut Turn,
) -> Result<Progress, ExprFault> {
    let lists = of.1.map(Variables::lists).cloned().unwrap_or_default();
    let members = match lists.get(list).map(|list| list.members()) {
        Some(Ok(members)) => members,
        Some(Err(why)) => return Err(ExprFault::Unknown(why.to_string())),
        None => return Ok(Progress::Done),
    };
    let mut progress = Progress::Done;
    for (element, member) in members.iter().enumerate() {
        let awaited = Awaited {
            rule,
            step: (step, super::event::step(position, element)),
            wait,
            target: Some(member.key.clone()),
        };
        progress = progress.max(self::progress(world, awaited, of, turn)?);
    }
    Ok(progress)
}

/// Whether the tests do not pass yet.
fn holds_up(
    world: &World<'_>,
    awaited: &Awaited<'_>,
    target: Option<&Record>,
    (record, variables): (&Record, Option<&Variables>),
    turn: &mut Turn,
) -> bool {
    let applied = turn.applied.clone();
    let scope = Scope {
        applied: applied.as_ref().map(Record::root),
        item: target.map(Record::root),
        ..world.scope(record, variables)
    };
    let mut trace = vec![];
    let mut run = TestRun {
        scope: &scope,
        recheck_at: None,
        trace: Some(&mut trace),
    };
    let verdict = test::all(&awaited.wait.tests, &mut run);
    let recheck = run.recheck_at;
    turn.recheck(recheck);
    match verdict {
        Verdict::Pass => return false,
        Verdict::Fail => {}
        // `wait` belongs to the loop, where no verdict is left open by an expression.
        Verdict::WrongType(why) | Verdict::Failed(why) => turn.wrong_types.push(why),
        Verdict::Unknown(why) => turn.find(Reason::Waiting, why),
    }
    let (step, number) = awaited.step;
    let now = world.context.now;
    let known = world.context.neighbours.waits_since(awaited.rule, number);
    let since = known.unwrap_or(now).min(now);
    turn.waits.push(number);
    let Some(timeout) = awaited.wait.timeout else {
        return true;
    };
    let until = jiff::SignedDuration::try_from(timeout)
        .ok()
        .and_then(|timeout| since.checked_add(timeout).ok());
    match until {
        Some(until) if until <= now => {
            let failing = trace.iter().find(|clause| clause.verdict != Verdict::Pass);
            let clause = failing.map_or(String::new(), |f| format!(" for `{}`", f.clause));
            let message = format!(
                "waited {} behind `{}`{clause}, in vain so far: the steps behind it come when it passes",
                duration::format(timeout),
                step.action.verb().as_str()
            );
            turn.find(Reason::TimedOut, message);
        }
        until => turn.recheck(until),
    }
    true
}
