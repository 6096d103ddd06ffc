//! One pass over one object.

use super::conflict::Settled;
use super::turn::{Deletion, Manner, Turn, World, act, earlier, is_out_of_scope, look};
use super::working::{Snapshot, Working};
use super::writes::{self, Authors};
use super::{Decision, Finding, Reason, RuleChange, Standing, Subject};
use crate::object::Record;
use crate::object::difference::json_patch;
use crate::rule::edit::Claim;
use crate::rule::set::{RuleIndex, RuleSet};
use crate::rule::{Action, Mode, Rule, Verb};
use jiff::Timestamp;
use serde_json::Value;
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
    /// Whether this rule may act on this object now; a closed gate makes it behave as in Audit. Frozen, aborted, throttled, breaker open.
    /// Asked only for rules that match.
    pub gate: &'a dyn Fn(RuleIndex) -> bool,
    /// Take every rule as Enforce (`plan`, `test`).
    pub assume_enforce: bool,
    /// The daemon's own namespace, protected with everything in it.
    pub state_namespace: &'a str,
}

/// Decides. Never panics, never blocks; a rule that fails does not stop the others.
///
/// Where a rule did something to the object, what its turn said counts; else what its last turn said.
pub fn pass(subject: &Subject<'_>, context: &PassContext<'_>) -> Decision {
    let indexes = context.rules.for_kind(&subject.key.kind);
    let mut decision = Decision::default();
    if indexes.is_empty() {
        return decision;
    }
    let world = World::new(subject, context);
    let (mut run, settled) = settle_and_run(&world, indexes);
    run.rules_that_only_tell();
    run.conclude(settled, &mut decision);
    decision
}

/// Runs until the end result is one that the next pass would leave alone. A conflict is settled for the state in which it was found; where
/// that led to another state, it is looked at again from there, as the next pass would.
fn settle_and_run<'w, 'a>(
    world: &'w World<'a>,
    indexes: &'w [RuleIndex],
) -> (Run<'w, 'a>, Settled) {
    let mut from: Option<Stage> = None;
    let mut tries = 0;
    loop {
        let mut settled = Settled::default();
        let mut thorough = false;
        let mut run = loop {
            let mut run = Run::new(world, indexes, thorough, from.as_ref());
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
}

/// What is kept of a rule that had something to say.
#[derive(Clone, Default)]
struct Slot {
    position: usize,
    /// From turns that changed something.
    kept: Vec<(Reason, String)>,
    /// From the last turn.
    latest: Vec<(Reason, String)>,
    wrong_types: Vec<String>,
    /// The states around each turn that changed something.
    effects: Vec<(Record, Record)>,
    /// Whether it deletes the object.
    deletes: bool,
    /// Whether what it does counts: it enforces and its gate is open.
    enforces: bool,
}

/// One try at a pass, under the conflicts settled so far.
struct Run<'w, 'a> {
    world: &'w World<'a>,
    /// Every rule says what it wants, also where that is so already: a rule that changes something may be in conflict with one that does not.
    /// Most passes change nothing and need none of it, so the first try goes without and ends at the first change.
    thorough: bool,
    indexes: &'w [RuleIndex],
    working: Working<'a>,
    /// By position in `indexes`.
    standings: Vec<(RuleIndex, Standing)>,
    /// Only of rules that had something to say, in no order.
    slots: Vec<Slot>,
    /// Positions of matching rules that enforce but whose gate is closed, in the last round.
    gated: Vec<usize>,
    deletion: Option<(usize, Deletion)>,
    /// Who changed something in the last round, where the rounds did not come to an end.
    no_fixpoint: Vec<usize>,
    recheck_at: Option<Timestamp>,
}

impl<'w, 'a> Run<'w, 'a> {
    fn new(
        world: &'w World<'a>,
        indexes: &'w [RuleIndex],
        thorough: bool,
        from: Option<&Stage>,
    ) -> Self {
        let mut run = Run {
            world,
            thorough,
            indexes,
            working: Working::new(world.subject.record),
            standings: indexes
                .iter()
                .map(|index| (*index, Standing::OutOfScope))
                .collect(),
            slots: vec![],
            gated: vec![],
            deletion: None,
            no_fixpoint: vec![],
            recheck_at: None,
        };
        if let Some(from) = from {
            run.working.restore(from.state.clone());
            run.slots.clone_from(&from.slots);
            for slot in &run.slots {
                run.standings[slot.position].1 = Standing::Matched { acts: true };
            }
        }
        run
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
            slots: acted
                .map(|slot| Slot {
                    latest: vec![],
                    wrong_types: vec![],
                    ..slot
                })
                .collect(),
        }
    }

    fn rule(&self, position: usize) -> &'w Arc<Rule> {
        &self.world.context.rules.rules()[self.indexes[position]]
    }

    fn enforces(&self, position: usize) -> bool {
        self.world.context.assume_enforce || self.rule(position).mode == Mode::Enforce
    }

    /// Rounds of the rules that enforce, until one changes nothing. False: begin again, thoroughly, under what was settled meanwhile.
    fn rounds(&mut self, settled: &mut Settled) -> bool {
        for _ in 0..ROUNDS {
            let start = self.working.snapshot();
            let mut claims: Vec<(RuleIndex, Claim)> = vec![];
            let mut changed: Vec<usize> = vec![];
            self.gated.clear();
            for position in 0..self.indexes.len() {
                if !self.enforces(position) {
                    continue;
                }
                if is_out_of_scope(self.world, self.rule(position), &self.working) {
                    self.passed_by(position);
                    continue;
                }
                let index = self.indexes[position];
                let before = self.working.snapshot();
                let mut turn = look(self.world, self.rule(position), &self.working);
                let matched = matches!(turn.standing, Standing::Matched { .. });
                if matched && !settled.is_stopped(index) && self.deletion.is_none() {
                    if !(self.world.context.gate)(index) {
                        self.gated.push(position);
                        continue;
                    }
                    let manner = Manner {
                        barred: settled.barred(index),
                        claim_all: self.thorough,
                    };
                    act(
                        self.world,
                        self.rule(position),
                        &mut self.working,
                        manner,
                        &mut turn,
                    );
                }
                if turn.changed && !self.thorough {
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

    /// Rules in Audit, and those with a closed gate, on the final state; nobody sees what they do.
    fn rules_that_only_tell(&mut self) {
        for position in 0..self.indexes.len() {
            if self.enforces(position) && !self.gated.contains(&position) {
                continue;
            }
            if is_out_of_scope(self.world, self.rule(position), &self.working) {
                self.passed_by(position);
                continue;
            }
            let mut turn = look(self.world, self.rule(position), &self.working);
            let mut effect = None;
            if matches!(turn.standing, Standing::Matched { .. }) {
                let state = self.working.record().clone();
                let mut own = Working::new(&state);
                let manner = Manner {
                    barred: &[],
                    claim_all: false,
                };
                act(self.world, self.rule(position), &mut own, manner, &mut turn);
                effect = turn.changed.then(|| (state.clone(), own.record().clone()));
            }
            self.note(position, turn, effect, false);
        }
    }

    /// The rule's `match` leaves the copy out now; what it did in earlier rounds stays.
    fn passed_by(&mut self, position: usize) {
        let standing = &mut self.standings[position].1;
        if *standing == Standing::OutOfScope {
            return;
        }
        if *standing != (Standing::Matched { acts: true }) {
            *standing = Standing::OutOfScope;
        }
        if let Some(slot) = self.slots.iter_mut().find(|s| s.position == position) {
            slot.latest.clear();
            slot.wrong_types.clear();
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
        let standing = &mut self.standings[position].1;
        // What a rule has done in this pass it has done, also if it no longer matches thanks to that.
        if *standing != (Standing::Matched { acts: true }) {
            *standing = turn.standing;
        }
        let says_nothing = turn.findings.is_empty()
            && turn.wrong_types.is_empty()
            && effect.is_none()
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
        slot.wrong_types = turn.wrong_types;
        slot.deletes |= turn.deletion.is_some();
        if effect.is_some() {
            slot.kept.extend(turn.findings);
        } else {
            slot.latest = turn.findings;
        }
        slot.effects.extend(effect);
    }

    fn conclude(mut self, settled: Settled, decision: &mut Decision) {
        self.slots.sort_by_key(|slot| slot.position);
        let stays = !self.has_moved(None);
        let fixpoint = self.no_fixpoint.is_empty();
        decision.recheck_at = self.recheck_at;
        for slot in &mut self.slots {
            let rule = &self.world.context.rules.rules()[self.indexes[slot.position]];
            let mut findings: Vec<(Reason, String)> = std::mem::take(&mut slot.kept);
            for finding in std::mem::take(&mut slot.latest) {
                if !findings.contains(&finding) {
                    findings.push(finding);
                }
            }
            decision
                .findings
                .extend(findings.into_iter().map(|f| self.world.finding(rule, f)));
            decision.wrong_types.extend(
                std::mem::take(&mut slot.wrong_types)
                    .into_iter()
                    .map(|reason| (self.indexes[slot.position], reason)),
            );
            // What came before a deletion is not written: the object goes.
            let void =
                slot.deletes || (slot.enforces && (!fixpoint || stays || self.deletion.is_some()));
            if !void && let Some(change) = self.world.patched(rule, &slot.effects) {
                decision.changes.push(change);
            }
            if slot.deletes {
                let before = self.world.subject.record.to_value();
                decision
                    .changes
                    .push(self.world.change(rule, Verb::Delete, before, None));
            }
        }
        for (index, reason, message) in settled.findings {
            let rule = &self.world.context.rules.rules()[index];
            decision
                .findings
                .push(self.world.finding(rule, (reason, message)));
        }
        if !fixpoint {
            let names: Vec<String> = self
                .no_fixpoint
                .iter()
                .map(|p| format!("`{}`", self.rule(*p).name))
                .collect();
            let message = format!(
                "after {ROUNDS} rounds {} still change the object; nothing is written",
                names.join(", ")
            );
            for position in &self.no_fixpoint {
                decision.findings.push(
                    self.world
                        .finding(self.rule(*position), (Reason::NoFixpoint, message.clone())),
                );
            }
        }
        if self.world.ignored.unreadable
            && let Some((position, _)) = self
                .standings
                .iter()
                .enumerate()
                .find(|(_, (_, standing))| *standing == Standing::Ignored)
        {
            let message = "the annotation ordain.dev/ignore-until is not a time (such as 2026-01-31T12:00:00Z): ignored until it is mended".to_owned();
            decision.findings.push(
                self.world
                    .finding(self.rule(position), (Reason::WrongType, message)),
            );
        }
        if let Some((position, deletion)) = self.deletion {
            let name = self.rule(position).name.clone();
            decision
                .writes
                .push(writes::delete(self.world, name, deletion));
        } else if fixpoint && !stays {
            decision.writes = writes::patches(self.world, self.working.record(), self.authors());
        }
        decision.standings = self.standings;
    }

    /// The rules whose effects are in the working copy, by endpoint.
    fn authors(&self) -> Authors {
        let mut authors = Authors::default();
        for slot in self
            .slots
            .iter()
            .filter(|s| s.enforces && !s.effects.is_empty())
        {
            let rule = self.rule(slot.position);
            let patches = |wanted: bool| {
                rule.steps.iter().any(
                    |step| matches!(step.action, Action::Patch { status, .. } if status == wanted),
                )
            };
            if patches(false) {
                authors.main.push(rule.name.clone());
            }
            if patches(true) {
                authors.status.push(rule.name.clone());
            }
        }
        authors
    }
}

impl World<'_> {
    fn finding(&self, rule: &Rule, (reason, message): (Reason, String)) -> Finding {
        Finding {
            rule: rule.name.clone(),
            object: self.subject.key.clone(),
            reason,
            message,
        }
    }

    fn change(&self, rule: &Rule, verb: Verb, before: Value, after: Option<Value>) -> RuleChange {
        RuleChange {
            rule: rule.name.clone(),
            mode: rule.mode,
            verb,
            object: self.subject.key.clone(),
            before,
            after,
        }
    }

    /// All a rule did in all rounds, as one change; `None` if it came to nothing.
    fn patched(&self, rule: &Rule, effects: &[(Record, Record)]) -> Option<RuleChange> {
        let ((first, then), later) = effects.split_first()?;
        let before = first.to_value();
        let mut after = then.to_value();
        for (from, to) in later {
            let to = to.to_value();
            let patch = json_patch(&from.to_value(), &to);
            if json_patch::patch(&mut after, &patch).is_err() {
                // Others have changed what this turn built on: then its whole state is the nearest to what it did.
                after = to;
            }
        }
        (before != after).then(|| self.change(rule, Verb::Patch, before, Some(after)))
    }
}

#[cfg(test)]
mod tests;
