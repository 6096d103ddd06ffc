//! The steps of a rule that matched, in order.

use super::apply::{self, Progress};
use super::checkpoint::Checkpoint;
use super::elements::{each, elements, stops};
use super::once::{self, Chance};
use super::protect::protected;
use super::turn::{Deletion, Manner, Turn};
use super::wait::{self, Awaited};
use super::working::{Snapshot, Working};
use super::world::World;
use super::{Reason, archive, event, memory, metric, patch, rollout, scale, target, tell};
use crate::object::Record;
use crate::rule::expr::{ExprFault, Scope, Variables};
use crate::rule::{Action, Lifetime, Occasion, Rule, Step, Wait};
use smallvec::{SmallVec, smallvec};

/// A step of a rule, and how it is taken.
pub(super) struct At<'a> {
    pub world: &'a World<'a>,
    pub rule: &'a Rule,
    pub manner: Manner<'a>,
    pub variables: Option<&'a Variables>,
    pub position: usize,
    pub step: &'a Step,
    /// What it changes is given back when the match ends.
    pub held: bool,
    /// Behind it it is waited.
    pub waits: Option<&'a Wait>,
}

impl At<'_> {
    /// As edits are made.
    pub fn how(&self) -> (Manner<'_>, Option<&Variables>, bool) {
        let creates = self.rule.when.has(Occasion::Create);
        (self.manner, self.variables, creates)
    }

    /// What a step that acts on the subject itself is done with: each element of its `forEach`, or nothing, once.
    pub fn items(
        &self,
        working: &Working<'_>,
        turn: &Turn,
    ) -> Result<SmallVec<[Option<Record>; 1]>, ExprFault> {
        if self.step.for_each.is_none() {
            return Ok(smallvec![None]);
        }
        let scope = Scope {
            applied: turn.applied.as_ref().map(Record::root),
            found: turn.found.as_ref().map(Record::root),
            ..self.world.scope(working.record(), self.variables)
        };
        let items = elements(self.step, &scope)?.unwrap_or_default();
        Ok(items.into_iter().map(Some).collect())
    }
}

/// Takes them.
pub(super) fn all(
    world: &World<'_>,
    rule: &Rule,
    working: &mut Working<'_>,
    (manner, variables, last): (Manner<'_>, Option<&Variables>, &mut Checkpoint),
    turn: &mut Turn,
) -> Result<(), ExprFault> {
    let at_admission = world.context.occasion != Occasion::Reconcile;
    // Until the last step was come to.
    turn.cut = true;
    let mut skipped = false;
    for (position, step) in rule.steps.iter().enumerate() {
        if position > 0 && (turn.changed || !turn.deeds.is_empty()) {
            *last = Checkpoint::of(working, turn);
        }
        let held = step.lifetime == Lifetime::WhileMatched;
        if at_admission && !admits(step) {
            continue;
        }
        let at = At {
            world,
            rule,
            manner,
            variables,
            position,
            step,
            held,
            waits: step
                .wait
                .as_ref()
                .filter(|_| !at_admission && !manner.ahead),
        };
        let next = match step.target {
            Some(list) => on_members(&at, list, working, turn)?,
            None => on_subject(&at, working, turn)?,
        };
        match next {
            Next::Comes => {}
            Next::ComesPast => skipped = true,
            Next::Waits => return Ok(()),
        }
    }
    turn.cut = skipped;
    Ok(())
}

/// What a step means for those behind it.
enum Next {
    /// The next one comes.
    Comes,
    /// It comes, though this one was left out.
    ComesPast,
    /// They wait.
    Waits,
}

impl Next {
    fn after(progress: Progress, manner: Manner<'_>) -> Self {
        match stops(progress, manner) {
            true => Next::Waits,
            false => Next::Comes,
        }
    }
}

/// Whether a step is taken at an admission. There the object has no identity that its former values could be bound to: what needs that, or
/// time, the loop does.
fn admits(step: &Step) -> bool {
    let verb = matches!(
        step.action,
        Action::Patch { status: false, .. } | Action::Deny { .. } | Action::Warn { .. }
    );
    let held = step.lifetime == Lifetime::WhileMatched;
    let loops = held || step.target.is_some() || step.after.is_some() || step.once.is_some();
    verb && !loops
}

fn on_members(
    at: &At<'_>,
    list: usize,
    working: &mut Working<'_>,
    turn: &mut Turn,
) -> Result<Next, ExprFault> {
    let of = (at.manner.index, at.rule);
    if memory::holds_up(at.world, of, at.position, turn) {
        return Ok(Next::Waits);
    }
    let about = (working.record(), at.variables);
    let place = (at.position, list);
    let mut progress = target::each(at.world, of, place, about, turn)?;
    if let (Some(wait), Progress::Done) = (at.waits, progress) {
        let awaited = (at.step, wait);
        progress = wait::of_members(at.world, (at.manner.index, place), awaited, about, turn)?;
    }
    Ok(Next::after(progress, at.manner))
}

fn on_subject(at: &At<'_>, working: &mut Working<'_>, turn: &mut Turn) -> Result<Next, ExprFault> {
    let At {
        world, rule, step, ..
    } = *at;
    let shield = protected(
        rule,
        &step.action,
        world.subject.key,
        working.record().meta(),
        world.context.state_namespace,
    );
    if let Some(why) = shield {
        let verb = step.action.verb().as_str();
        turn.find(Reason::Protected, format!("protected from {verb}: {why}"));
        return Ok(Next::ComesPast);
    }
    let of = (at.manner.index, rule);
    if memory::holds_up(world, of, at.position, turn) {
        return Ok(Next::Waits);
    }
    let occasion = match once::of_subject(world, of, step, (working, at.variables), turn)? {
        Chance::Always => None,
        Chance::Acts(occasion) => Some(occasion),
        Chance::Done => return Ok(Next::Comes),
        Chance::Waits => return Ok(Next::Waits),
    };
    let mut changed = false;
    match &step.action {
        Action::Patch { edits, status } => {
            changed = patch::step(at, (edits, *status), working, turn)?;
        }
        Action::Scale { edits } => {
            changed = scale::step(at, edits, occasion.is_some(), working, turn)?;
        }
        Action::Apply(apply) => {
            let progress = apply::step(at, apply, working.record(), turn)?;
            if stops(progress, at.manner) {
                return Ok(Next::Waits);
            }
        }
        Action::Archive(archive) => {
            let record = working.record();
            let progress = archive::archive(world, of, (at.position, archive), record, turn);
            if stops(progress, at.manner) {
                return Ok(Next::Waits);
            }
        }
        Action::Metric(metric) => {
            let mut one = |scope: &Scope<'_>, _: usize, turn: &mut Turn| {
                metric::sample(world, at.position, metric, scope, turn)
            };
            each(
                world,
                step,
                (working.record(), at.variables),
                turn,
                &mut one,
            )?;
        }
        Action::Event {
            warning,
            reason,
            message,
        } => {
            let words = (*warning, reason, message);
            let progress = event::step_of(at, words, working.record(), turn)?;
            if stops(progress, at.manner) {
                return Ok(Next::Waits);
            }
        }
        Action::Delete { .. } | Action::Evict => {
            turn.deletion = Deletion::of(&step.action);
            return Ok(Next::Waits);
        }
        Action::Restart { .. } | Action::Rollback { .. } => {
            if !rollout::step(at, working, turn)? {
                return Ok(Next::Waits);
            }
        }
        Action::Warn { message } | Action::Deny { message } => {
            tell::step(at, message, working, turn)?;
        }
    }
    if let Some(occasion) = occasion {
        once::in_the_same_write(world, of, occasion, (working, changed), at.manner, turn)?;
    }
    if let Some(wait) = at.waits
        && !matches!(step.action, Action::Apply(_))
    {
        // What is changed in this pass is not written yet.
        if !working.is(&Snapshot::default()) {
            return Ok(Next::Waits);
        }
        let awaited = Awaited {
            rule: at.manner.index,
            step: (step, event::step(at.position, 0)),
            wait,
            target: None,
        };
        let of = (working.record(), at.variables);
        if wait::progress(world, awaited, of, turn)? != Progress::Done {
            return Ok(Next::Waits);
        }
    }
    Ok(Next::Comes)
}
