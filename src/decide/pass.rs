//! One pass over one object.

mod conclude;

use super::apply::{Deed, Neighbours, Opponent, Want};
use super::conflict::Settled;
use super::lifetime;
use super::look::{look, look_from, scope};
use super::memory::{Later, Memory, Note};
use super::once::Acted;
use super::says::{Says, as_told_before};
use super::sequel::{self, Remaining};
use super::turn::{Deletion, Manner, Turn, act, earlier};
use super::working::{Snapshot, Working};
use super::world::World;
use super::{Decision, Reason, Standing, Subject};
use crate::object::{ObjectKey, Record};
use crate::rule::candidates::Positions;
use crate::rule::edit::Claim;
use crate::rule::metric::Sample;
use crate::rule::pick::Rank;
use crate::rule::related::Lists;
use crate::rule::selector::InScope;
use crate::rule::set::{RuleIndex, RuleSet};
use crate::rule::{Action, Mode, Occasion, Rule, Step};
use jiff::Timestamp;
use std::sync::Arc;

/// Rounds after which rules that still change something are given up on.
pub const ROUNDS: usize = 10;

/// What a pass may know besides the object.
pub struct PassContext<'a> {
    /// The rules in force.
    pub rules: &'a RuleSet,
    /// The subject's Namespace: `Ok(None)` if it is cluster-scoped, `Err(reason)` if it is not known. For a Namespace: itself.
    pub namespace: Result<Option<&'a Record>, &'a str>,
    /// The moment of the pass.
    pub now: Timestamp,
    /// Why the object is looked at.
    pub occasion: Occasion,
    /// At admission: `request`.
    pub request: Option<&'a Record>,
    /// Whether this rule may act on this object now; a closed gate makes it behave as in Audit. Frozen, aborted, throttled, breaker open.
    /// Asked only for rules that match.
    pub gate: &'a dyn Fn(RuleIndex) -> bool,
    /// Whether it may give back there what it has changed: as the gate, but whether it is the object's turn in `pick` is not asked.
    pub returns: &'a dyn Fn(RuleIndex) -> bool,
    /// Take every rule as Enforce (`plan`, `test`).
    pub assume_enforce: bool,
    /// Nothing is done (`plan`): steps behind one that acts on another object are shown too.
    pub ahead: bool,
    /// Only this rule is asked, as if its schedule were open (`plan`, of one whose schedule is closed).
    pub alone: Option<RuleIndex>,
    /// What may be known of other objects.
    pub neighbours: &'a dyn Neighbours,
    /// What is remembered of the subject.
    pub memory: &'a dyn Memory,
    /// The daemon's own namespace, protected with everything in it.
    pub state_namespace: &'a str,
}

impl PassContext<'_> {
    /// What other rules want of an object that a rule wants something of. One that is asked alone meets none but itself.
    pub(super) fn opposing(&self, want: &Want) -> Vec<Opponent> {
        let mut all = self.neighbours.opposing(want);
        if self.alone.is_some() {
            all.retain(|opponent| opponent.rule == want.rule);
        }
        all
    }
}

/// Decides. Never panics, never blocks; a rule that fails does not stop the others.
///
/// Where a rule did something to the object, what its turn said counts; else what its last turn said.
pub fn pass(subject: &Subject<'_>, context: &PassContext<'_>) -> Decision {
    let indexes = match &context.alone {
        Some(index) => std::slice::from_ref(index),
        None => context.rules.for_kind(&subject.key.kind),
    };
    let mut decision = Decision::default();
    if indexes.is_empty() && !lifetime::concerns(subject.record) {
        return decision;
    }
    let world = World::new(subject, context);
    let (given_back, ends) = lifetime::ends(&world, indexes);
    let (mut run, mut settled) = settle_and_run(&world, indexes, &given_back);
    run.rules_that_only_tell(&mut settled);
    run.conclude(settled, ends, &mut decision);
    decision
}

/// Runs until the end result is one that the next pass would leave alone. A conflict is settled for the state in which it was found; where
/// that led to another state, it is looked at again from there, as the next pass would.
fn settle_and_run<'w, 'a>(
    world: &'w World<'a>,
    indexes: &'w [RuleIndex],
    given_back: &Snapshot,
) -> (Run<'w, 'a>, Settled) {
    let mut from: Option<Stage> = None;
    let mut tries = 0;
    loop {
        let mut settled = Settled::default();
        let mut thorough = false;
        let mut run = loop {
            let mut run = Run::new(world, indexes, thorough, (given_back, from.as_ref()));
            if run.rounds(&mut settled) {
                break run;
            }
            thorough = true;
        };
        tries += 1;
        let moved = run.has_moved(from.as_ref());
        let rests = !moved || settled.findings.is_empty();
        if rests || run.deletion.is_some() || !run.no_fixpoint.is_empty() {
            return (run, settled);
        }
        if tries == ROUNDS {
            run.no_fixpoint = run.slots.iter().map(|slot| slot.position).collect();
            return (run, settled);
        }
        from = Some(run.leave());
    }
}

/// A state to go on from, and how it came about.
struct Stage {
    state: Snapshot,
    slots: Vec<Slot>,
    ranks: Vec<(usize, Rank)>,
}

/// What is kept of a rule that had something to say.
#[derive(Clone, Default)]
struct Slot {
    position: usize,
    /// From turns that changed something.
    kept: Vec<(Reason, String)>,
    /// From the last turn.
    latest: Vec<(Reason, String)>,
    says: Says,
    /// Of other objects, from the last turn.
    told: Vec<(ObjectKey, Reason, String)>,
    wrong_types: Vec<String>,
    /// The states around each turn that changed something.
    effects: Vec<(Record, Record)>,
    /// Whether a `scale` is part of its effects.
    scales: bool,
    /// Whether that is one with what is remembered of it.
    scales_along: bool,
    /// Whether a `restart`, a `rollback` is part of them.
    restarts: bool,
    rolls_back: bool,
    /// What it asks of other objects, what it does when that is done, and what it wants of them.
    deeds: Vec<Deed>,
    sequel: Vec<Remaining>,
    wants: Vec<Want>,
    /// Steps that wait for their time.
    later: Vec<Later>,
    /// The lists that it matched with.
    lists: Option<Arc<Lists>>,
    waits: Vec<usize>,
    samples: Vec<Sample>,
    /// What is to be remembered.
    notes: Vec<(RuleIndex, Note)>,
    /// The steps that act once and are part of its effects.
    remembered: Vec<Acted>,
    /// What it wants where it changed something.
    asked: Vec<Claim>,
    /// Whether it deletes the object.
    deletes: bool,
    /// Whether it does so by eviction.
    evicts: bool,
    /// Whether what it does counts: it enforces and its gate is open.
    enforces: bool,
}

/// One try at a pass, under the conflicts settled so far.
struct Run<'w, 'a> {
    world: &'w World<'a>,
    /// Every rule says what it wants, also where that is so already: a rule that changes something may be in conflict with one that does not.
    /// Most passes change nothing and need none of it, so the first try goes without and ends at the first change,
    /// unless no other rule is in question.
    thorough: bool,
    indexes: &'w [RuleIndex],
    working: Working<'a>,
    /// Positions of the rules that the labels of some state so far have left in question. No other is asked: it is out of scope.
    candidates: Positions,
    /// By position in `indexes`.
    standings: Vec<Standing>,
    /// Only of rules that had something to say, in no order.
    slots: Vec<Slot>,
    /// Positions of matching rules that enforce but whose gate is closed, in the last round.
    gated: Vec<usize>,
    /// Of those of all rounds.
    ever_gated: Vec<usize>,
    deletion: Option<(usize, Deletion)>,
    /// Positions of the rules whose last turn ended before its last step.
    cut: Vec<usize>,
    /// Who changed something in the last round, where the rounds did not come to an end.
    no_fixpoint: Vec<usize>,
    recheck_at: Option<Timestamp>,
    /// By position: of the first state that a rule matched.
    ranks: Vec<(usize, Rank)>,
}

impl<'w, 'a> Run<'w, 'a> {
    fn new(
        world: &'w World<'a>,
        indexes: &'w [RuleIndex],
        thorough: bool,
        (given_back, from): (&Snapshot, Option<&Stage>),
    ) -> Self {
        let mut run = Run {
            world,
            thorough,
            indexes,
            working: Working::new(world.subject.record),
            candidates: Positions::default(),
            standings: vec![Standing::OutOfScope; indexes.len()],
            slots: vec![],
            gated: vec![],
            ever_gated: vec![],
            deletion: None,
            cut: vec![],
            no_fixpoint: vec![],
            recheck_at: None,
            ranks: vec![],
        };
        run.working.restore(given_back.clone());
        if let Some(from) = from {
            run.ranks.clone_from(&from.ranks);
            run.working.restore(from.state.clone());
            run.slots.clone_from(&from.slots);
            for slot in &run.slots {
                run.standings[slot.position] = Standing::Matched { acts: true };
                run.candidates.insert(slot.position);
            }
        }
        run.ask_for_candidates();
        run
    }

    /// The copy has changed, and its labels perhaps too.
    fn ask_for_candidates(&mut self) {
        if self.world.context.alone.is_some() {
            return self.candidates.insert(0);
        }
        let meta = self.working.record().meta();
        let kind = &self.world.subject.key.kind;
        self.candidates
            .extend(&self.world.context.rules.candidates(kind, meta));
    }

    fn has_moved(&self, from: Option<&Stage>) -> bool {
        match from {
            Some(from) => !self.working.is(&from.state),
            None => !self.working.is(&Snapshot::default()),
        }
    }

    /// What of this run stays true for one that goes on from its end.
    fn leave(self) -> Stage {
        let acted = self.slots.into_iter().filter(|s| !s.effects.is_empty());
        Stage {
            state: self.working.snapshot(),
            ranks: self.ranks,
            slots: acted
                .map(|mut slot| {
                    slot.says.forget_latest();
                    Slot {
                        latest: vec![],
                        told: vec![],
                        wrong_types: vec![],
                        ..slot
                    }
                })
                .collect(),
        }
    }

    fn rule(&self, position: usize) -> &'w Arc<Rule> {
        &self.world.context.rules.rules()[self.indexes[position]]
    }

    fn enforces(&self, position: usize) -> bool {
        let rule = self.rule(position);
        (self.world.context.assume_enforce || rule.mode == Mode::Enforce) && self.world.chosen(rule)
    }

    /// Rounds of the rules that enforce, until one changes nothing. False: begin again, thoroughly, under what was settled meanwhile.
    fn rounds(&mut self, settled: &mut Settled) -> bool {
        for _ in 0..ROUNDS {
            let start = self.working.snapshot();
            let mut claims: Vec<(RuleIndex, Claim)> = vec![];
            let mut changed: Vec<usize> = vec![];
            self.gated.clear();
            let mut next = 0;
            // Those whose turn is first, where there are any, and then the others.
            let mut of_first = settled.reorders();
            loop {
                let Some(position) = self.candidates.from(next) else {
                    if !of_first {
                        break;
                    }
                    (of_first, next) = (false, 0);
                    continue;
                };
                next = position + 1;
                if settled.is_first(self.indexes[position]) != of_first || !self.enforces(position)
                {
                    continue;
                }
                let rule = self.rule(position);
                let scope = scope(self.world, rule, &self.working);
                if scope == InScope::No {
                    self.passed_by(position);
                    continue;
                }
                let mut turn = Turn::new();
                look_from(scope, self.world, rule, &self.working, &mut turn);
                if self.is_quiet(&turn) {
                    self.note_quiet(position, &turn);
                    continue;
                }
                let index = self.indexes[position];
                let before = self.working.snapshot();
                let matched = matches!(turn.standing, Standing::Matched { .. });
                if matched && !settled.is_stopped(index) && self.deletion.is_none() {
                    if !(self.world.context.gate)(index) {
                        self.gated.push(position);
                        self.ever_gated.push(position);
                        continue;
                    }
                    let rivals = self.world.context.rules.has_rivals(index);
                    let manner = Manner {
                        index,
                        ahead: self.world.context.ahead,
                        chained: false,
                        barred: settled.barred(index),
                        claim_all: self.thorough || rivals,
                        has_changed: self.has_changed(position),
                    };
                    act(
                        self.world,
                        self.rule(position),
                        &mut self.working,
                        manner,
                        &mut turn,
                    );
                    if rivals && settled.meet(self.world, (index, &turn)) {
                        return false;
                    }
                    if turn.more {
                        let barred = settled.barred(index);
                        turn.sequel = self.sequel(position, barred, &before);
                    }
                } else if matched && !settled.is_stopped(index) {
                    self.would_delete_too(position, &mut turn);
                }
                if turn.changed {
                    self.ask_for_candidates();
                }
                // A rule that is alone in question is in conflict with nobody.
                if turn.changed && !self.thorough && !self.candidates.is_only(position) {
                    return false;
                }
                if !turn.claims.is_empty() {
                    if !claims.is_empty() {
                        let start = self.working.record_of(&start);
                        if settled.settle(self.world, (index, &turn), &claims, &start) {
                            return false;
                        }
                    }
                    claims.extend(turn.claims.drain(..).map(|claim| (index, claim)));
                }
                if turn.changed {
                    changed.push(position);
                }
                let effect = turn.changed.then(|| {
                    (
                        self.working.record_of(&before),
                        self.working.record().clone(),
                    )
                });
                if let Some(deletion) = turn.deletion {
                    self.deletion = Some((position, deletion));
                }
                self.note(position, turn, effect, true);
            }
            if self.deletion.is_some() || changed.is_empty() || self.working.is(&start) {
                self.no_fixpoint.clear();
                return true;
            }
            self.no_fixpoint = changed;
        }
        true
    }

    /// What the rule does when that is done which its turn asks for.
    fn sequel(&self, position: usize, barred: &[Box<str>], start: &Snapshot) -> Vec<Remaining> {
        let rule = self.rule(position);
        let state = self.working.record_of(start);
        let mut working = Working::new(&state);
        let mut whole = look(self.world, rule, &working);
        if !matches!(whole.standing, Standing::Matched { .. }) {
            return vec![];
        }
        let manner = Manner {
            index: self.indexes[position],
            ahead: false,
            chained: true,
            barred,
            claim_all: false,
            has_changed: false,
        };
        act(self.world, rule, &mut working, manner, &mut whole);
        let last = working.record().clone();
        let record_of = |copy: &Snapshot| working.record_of(copy);
        let from = (&state, &record_of as &dyn Fn(&Snapshot) -> Record);
        sequel::behind(self.world, rule, whole, from, last)
    }

    fn has_changed(&self, position: usize) -> bool {
        let mut slots = self.slots.iter();
        slots.any(|slot| slot.position == position && !slot.effects.is_empty())
    }

    /// A rule's turn after another one has deleted the object: nothing is left to do, but an object that it would delete as well is due for
    /// it, and counts for its limits, whoever comes first.
    fn would_delete_too(&self, position: usize, turn: &mut Turn) {
        let rule = self.rule(position);
        let deletes = |step: &Step| {
            matches!(step.action, Action::Delete { .. } | Action::Evict) && step.target.is_none()
        };
        if !rule.steps.iter().any(deletes) {
            return;
        }
        let state = self.working.record().clone();
        let manner = Manner {
            index: self.indexes[position],
            // What it changes before would be written first; it is due all the same.
            ahead: true,
            chained: false,
            barred: &[],
            claim_all: false,
            has_changed: false,
        };
        let mut own = look(self.world, rule, &self.working);
        act(
            self.world,
            rule,
            &mut Working::new(&state),
            manner,
            &mut own,
        );
        if own.deletion.is_some() {
            turn.standing = own.standing;
        }
    }

    /// Rules in Audit, and those with a closed gate, on the final state; nobody sees what they do.
    fn rules_that_only_tell(&mut self, settled: &mut Settled) {
        let mut next = 0;
        while let Some(position) = self.candidates.from(next) {
            next = position + 1;
            if self.enforces(position) && !self.gated.contains(&position) {
                continue;
            }
            let rule = self.rule(position);
            let scope = scope(self.world, rule, &self.working);
            if scope == InScope::No {
                self.passed_by(position);
                continue;
            }
            let mut turn = Turn::new();
            look_from(scope, self.world, rule, &self.working, &mut turn);
            if self.is_quiet(&turn) {
                self.note_quiet(position, &turn);
                continue;
            }
            let mut effect = None;
            if matches!(turn.standing, Standing::Matched { .. }) {
                let state = self.working.record().clone();
                let mut own = Working::new(&state);
                let index = self.indexes[position];
                let rivals = self.enforces(position) && self.world.context.rules.has_rivals(index);
                let manner = Manner {
                    index,
                    ahead: true,
                    chained: false,
                    barred: &[],
                    claim_all: rivals,
                    has_changed: false,
                };
                act(self.world, self.rule(position), &mut own, manner, &mut turn);
                if rivals {
                    settled.note_wants(self.world, (index, &turn));
                }
                effect = turn.changed.then(|| (state.clone(), own.record().clone()));
            }
            self.note(position, turn, effect, false);
        }
    }

    /// The rule's `match` leaves the copy out now; what it did in earlier rounds stays.
    fn passed_by(&mut self, position: usize) {
        let standing = &mut self.standings[position];
        if *standing == Standing::OutOfScope {
            return;
        }
        if *standing != (Standing::Matched { acts: true }) {
            *standing = Standing::OutOfScope;
        }
        if let Some(slot) = self.slots.iter_mut().find(|s| s.position == position) {
            slot.latest.clear();
            slot.says.forget_latest();
            slot.told.clear();
            slot.wrong_types.clear();
        }
    }

    /// Whether a turn leaves nothing to note but how the rule stands, as long as no rule has said anything.
    fn is_quiet(&self, turn: &Turn) -> bool {
        turn.is_quiet() && self.slots.is_empty() && self.cut.is_empty()
    }

    /// As [`Run::note`], of such a turn.
    fn note_quiet(&mut self, position: usize, turn: &Turn) {
        self.recheck_at = earlier(self.recheck_at, turn.recheck_at);
        let standing = &mut self.standings[position];
        if *standing != (Standing::Matched { acts: true }) {
            *standing = turn.standing;
        }
    }

    fn note(
        &mut self,
        position: usize,
        turn: Turn,
        effect: Option<(Record, Record)>,
        enforces: bool,
    ) {
        self.recheck_at = earlier(self.recheck_at, turn.recheck_at);
        if let Some(rank) = turn.rank
            && self.ranks.iter().all(|(known, _)| *known != position)
        {
            self.ranks.push((position, rank));
        }
        let matched = matches!(turn.standing, Standing::Matched { .. });
        self.cut.retain(|known| *known != position);
        if turn.cut && (matched || turn.standing == Standing::Failed) {
            self.cut.push(position);
        }
        let standing = &mut self.standings[position];
        // What a rule has done in this pass it has done, also if it no longer matches thanks to that.
        if *standing != (Standing::Matched { acts: true }) {
            *standing = turn.standing;
        }
        let says_nothing = turn.findings.is_empty()
            && turn.wrong_types.is_empty()
            && turn.says.is_empty()
            && turn.told.is_empty()
            && effect.is_none()
            && turn.deeds.is_empty()
            && turn.wants.is_empty()
            && turn.later.is_empty()
            && turn.waits.is_empty()
            && turn.samples.is_empty()
            && turn.notes.is_empty()
            && turn.already.is_empty()
            && turn.deletion.is_none();
        let slot = match self.slots.iter_mut().position(|s| s.position == position) {
            Some(at) => &mut self.slots[at],
            None if says_nothing => return,
            None => {
                self.slots.push(Slot {
                    position,
                    enforces,
                    ..Slot::default()
                });
                let last = self.slots.len() - 1;
                &mut self.slots[last]
            }
        };
        slot.latest.clear();
        // What it asked of others before its own changes ended its match it has asked.
        if matched {
            slot.deeds = match slot.effects.is_empty() {
                true => turn.deeds,
                false => as_told_before(&mut slot.deeds, turn.deeds),
            };
            if slot.sequel.is_empty() {
                slot.sequel = turn.sequel;
            }
            slot.later = turn.later;
            slot.lists = turn.lists;
            slot.waits = turn.waits;
        }
        // The numbers of the steps before one that fails stand.
        if matched || turn.standing == Standing::Failed {
            slot.samples = turn.samples;
        }
        // A step that fails ends the list, not what the steps before it keep in order.
        if matched || !turn.wants.is_empty() {
            slot.wants = turn.wants;
        }
        slot.wrong_types = turn.wrong_types;
        slot.told = turn.told;
        slot.scales |= turn.scaled;
        slot.scales_along |= turn.scaled_along;
        slot.remembered.extend(turn.remembered);
        slot.asked.extend(turn.asked);
        for note in turn.notes.into_iter().chain(turn.already) {
            if !slot.notes.contains(&note) {
                slot.notes.push(note);
            }
        }
        slot.deletes |= turn.deletion.is_some();
        slot.evicts |= turn.deletion.is_some_and(|deletion| deletion.evicts);
        slot.restarts |= turn.restarts;
        slot.rolls_back |= turn.rolls_back;
        slot.says.take(turn.says, effect.is_some());
        if effect.is_some() {
            slot.kept.extend(turn.findings);
        } else {
            slot.latest = turn.findings;
        }
        slot.effects.extend(effect);
    }
}

#[cfg(test)]
mod tests;
