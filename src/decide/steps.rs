//! The steps of a rule that matched, in order.

use super::apply::{self, Progress};
use super::checkpoint::Checkpoint;
use super::elements::{elements, stops};
use super::once::{self, Chance};
use super::protect::protected;
use super::turn::{Deletion, Manner, Turn};
use super::wait::{self, Awaited};
use super::working::{Snapshot, Working};
use super::world::World;
use super::{
    Reason, archive, event, lifetime, memory, metric, patch, rollout, scale, target, tell,
};
use crate::object::{ObjectKey, Record};
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

    /// Whether what is asked of others might not be all: there are steps behind, or it comes behind a change of the object.
    fn leaves_more(&self, turn: &Turn) -> bool {
        let behind = self.position + 1 < self.rule.steps.len();
        !self.manner.ahead && (behind || turn.changed || self.manner.has_changed)
    }

    /// A sentence that is told of the subject, about another object perhaps.
    pub fn told_of(&self, object: &ObjectKey, message: String) -> String {
        match object == self.world.subject.key {
            true => message,
            false => format!("{object}: {message}"),
        }
    }

    /// What the step is done with: each element of its `forEach`, or nothing, once.
    pub fn items(
        &self,
        record: &Record,
        turn: &Turn,
    ) -> Result<SmallVec<[Option<Record>; 1]>, ExprFault> {
        if self.step.for_each.is_none() {
            return Ok(smallvec![None]);
        }
        let names = turn.names();
        let items = elements(self.step, &names.scope(self, record, None))?.unwrap_or_default();
        Ok(items.into_iter().map(Some).collect())
    }
}

/// What expressions of a step read besides the object and the item: kept apart from the turn, which goes on.
pub(super) struct Known {
    applied: Option<Record>,
    found: Option<Record>,
    previous: Option<Record>,
}

impl Turn {
    pub fn names(&self) -> Known {
        Known {
            applied: self.applied.clone(),
            found: self.found.clone(),
            previous: self.previous.clone(),
        }
    }
}

impl Known {
    /// What they read in all.
    pub fn scope<'r>(
        &'r self,
        at: &'r At<'_>,
        record: &'r Record,
        item: Option<&'r Record>,
    ) -> Scope<'r> {
        Scope {
            applied: self.applied.as_ref().map(Record::root),
            found: self.found.as_ref().map(Record::root),
            previous: self.previous.as_ref().map(Record::root),
            item: item.map(Record::root),
            ..at.world.scope(record, at.variables)
        }
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
    let mut skipped = false;
    for (position, step) in rule.steps.iter().enumerate() {
        // Those to come may want something, this one included.
        let coming = &rule.steps[position..];
        turn.cut = skipped || coming.iter().any(|s| s.lifetime == Lifetime::WhileMatched);
        let done = turn.changed
            || !turn.deeds.is_empty()
            || !turn.samples.is_empty()
            || !turn.already.is_empty();
        if position > 0 && done {
            *last = Checkpoint::of(working, turn);
        }
        let held = step.lifetime == Lifetime::WhileMatched;
        if at_admission && !admits(step) {
            continue;
        }
        if manner.chained {
            turn.marks.push((turn.deeds.len(), working.snapshot()));
            if held {
                // It goes with the match: of what comes when that has ended it is no part.
                continue;
            }
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
        if turn.failed {
            return Ok(());
        }
        match next {
            Next::Comes => {}
            Next::ComesPast => skipped = true,
            Next::Waits => return Ok(()),
            Next::WaitsTold => {
                let behind = &rule.steps[position + 1..];
                turn.cut = skipped || behind.iter().any(|s| s.lifetime == Lifetime::WhileMatched);
                return Ok(());
            }
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
    /// They wait, but all that this one wants is told: what it no longer wants may be taken back.
    WaitsTold,
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
    let record = working.record();
    let mut progress = target::each(at, list, record, turn)?;
    if let (Some(wait), Progress::Done) = (at.waits, progress) {
        let place = (at.position, list);
        let about = (record, at.variables);
        let awaited = (at.step, wait);
        progress = wait::of_members(at.world, (at.manner.index, place), awaited, about, turn)?;
    }
    let asked = progress == Progress::Asked;
    turn.more |= asked && at.leaves_more(turn);
    if asked && at.waits.is_some() {
        return Ok(Next::Waits);
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
    // What the steps before it have changed is written first: a finalizer may have to go, or a budget keep the object.
    let changed = turn.changed || at.manner.has_changed;
    let goes = matches!(step.action, Action::Delete { .. } | Action::Evict);
    if goes && changed && !at.manner.ahead && !at.manner.chained {
        turn.more = true;
        return Ok(Next::Waits);
    }
    turn.repeats = step.for_each.is_some();
    let mut progress = Progress::Done;
    let items = at.items(working.record(), turn)?;
    turn.counts_room(at, None, &items);
    if let (Action::Apply(apply), true) = (&step.action, items.is_empty())
        && let Some(name) = &apply.name
    {
        turn.bind_nothing(name);
    }
    let told = turn.wants.len();
    for (number, item) in items.iter().enumerate() {
        progress = progress.max(element(at, (number, item.as_ref()), working, turn)?);
    }
    turn.bind_elements();
    let asked = progress == Progress::Asked;
    turn.more |= asked && at.leaves_more(turn);
    if turn.deletion.is_some() || stops(progress, at.manner) || (asked && at.waits.is_some()) {
        // One object that cannot be applied does not keep those that nobody wants any more.
        let all = matches!(step.action, Action::Apply(_)) && turn.wants.len() - told == items.len();
        return Ok(if all { Next::WaitsTold } else { Next::Waits });
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

/// A step, for one element of its `forEach`; without one, for element 0, which is nothing.
fn element(
    at: &At<'_>,
    (number, item): (usize, Option<&Record>),
    working: &mut Working<'_>,
    turn: &mut Turn,
) -> Result<Progress, ExprFault> {
    if rollout::leaves_alone(at.step, at.world.subject.key) {
        return Ok(Progress::Done);
    }
    let act = item.map_or(0, |item| once::element(&item.to_value()));
    let occasion = match once::chance_of(at, (act, item), (working.record(), None), turn)? {
        Chance::Always => None,
        Chance::Acts(occasion) => Some(occasion),
        Chance::Done => {
            if let Action::Apply(apply) = &at.step.action {
                let element = (event::step(at.position, number), item);
                return apply::stays(at, apply, element, working.record(), turn);
            }
            if at.held {
                lifetime::keep(at, item, working.record(), turn)?;
            }
            return Ok(Progress::Done);
        }
        Chance::Waits => return Ok(Progress::Stopped),
    };
    turn.previous = occasion.as_ref().map(|o| o.previous.clone());
    turn.acting = occasion.as_ref().map(|o| o.acted.clone());
    let asked = turn.deeds.len();
    let mut changed = false;
    let called = event::step(at.position, number);
    let progress = match &at.step.action {
        Action::Patch { edits, status } => {
            changed = patch::step(at, (edits, *status), item, working, turn)?;
            Progress::Done
        }
        Action::Scale { edits } => {
            changed = scale::step(at, edits, (item, occasion.is_some()), working, turn)?;
            Progress::Done
        }
        Action::Restart { .. } | Action::Rollback { .. } => {
            let (progress, did) = rollout::step(at, working, turn)?;
            changed = did;
            progress
        }
        Action::Apply(apply) => {
            let element = (called, item);
            apply::step(at, apply, element, working.record(), turn)?
        }
        Action::Archive(archive) => {
            let subject = (at.world.subject.key, working.record());
            let done = (called, occasion.is_some());
            archive::archive(at, archive, subject, done, turn)
        }
        Action::Metric(metric) => {
            let names = turn.names();
            let scope = names.scope(at, working.record(), item);
            metric::sample(at.world.subject.key, at.position, metric, &scope, turn)?
        }
        Action::Event {
            warning,
            reason,
            message,
        } => {
            let words = (*warning, reason, message);
            let names = turn.names();
            let scope = names.scope(at, working.record(), item);
            let subject = at.world.subject;
            let about = (&scope, subject.key, subject.record);
            event::event(at, (called, occasion.as_ref()), words, about, turn)?
        }
        Action::Delete { .. } | Action::Evict => {
            turn.deletion = Deletion::of(&at.step.action);
            Progress::Done
        }
        Action::Warn { message } | Action::Deny { message } => {
            let names = turn.names();
            let scope = names.scope(at, working.record(), item);
            if let Some(text) = tell::text(at, message, &scope, turn.lists.as_deref())? {
                turn.say(at.position, tell::reason(&at.step.action), text);
            }
            Progress::Done
        }
    };
    if let Some(occasion) = occasion {
        let came = once::Came {
            progress,
            changed,
            asked,
        };
        once::settle(at, occasion, came, working, turn)?;
    }
    Ok(progress)
}
