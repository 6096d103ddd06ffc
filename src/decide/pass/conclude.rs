//! What came of a run of rounds: changes, findings, writes.

use super::{ROUNDS, Run};
use crate::decide::conflict::Settled;
use crate::decide::lifetime::{self, End};
use crate::decide::sequel::Sequel;
use crate::decide::world::World;
use crate::decide::writes::{self, Authors};
use crate::decide::{Decision, Finding, Reason, RuleChange, Standing, Wanted};
use crate::object::Record;
use crate::object::difference::{record_patch, short};
use crate::rule::expr::Variables;
use crate::rule::path::PodPrefix;
use crate::rule::related::Lists;
use crate::rule::test::{self, Test, TestRun, Verdict};
use crate::rule::{Action, Lifetime, Mode, Rule, Step, Verb};
use std::sync::Arc;

/// Where `restart` writes, below the Pod template.
const RESTARTED_AT: [&str; 3] = [
    "metadata",
    "annotations",
    "kubectl.kubernetes.io/restartedAt",
];

impl Run<'_, '_> {
    pub(super) fn conclude(
        mut self,
        mut settled: Settled,
        ends: Vec<End>,
        decision: &mut Decision,
    ) {
        decision.wants.append(&mut settled.wants);
        self.slots.sort_by_key(|slot| slot.position);
        let stays = !self.has_moved(None);
        let fixpoint = self.no_fixpoint.is_empty();
        decision.recheck_at = self.recheck_at;
        decision.gated = self.ever_gated.iter().map(|at| self.indexes[*at]).collect();
        decision.cut = self.cut.iter().map(|at| self.indexes[*at]).collect();
        let mut given_back: Vec<Arc<str>> = vec![];
        for end in ends {
            let void = end.acts && (!fixpoint || stays || self.deletion.is_some());
            decision.ending.extend(end.index.filter(|_| !void));
            for (reason, message) in end.findings {
                decision.findings.push(Finding {
                    rule: end.rule.clone(),
                    object: self.world.subject.key.clone(),
                    reason,
                    message,
                });
            }
            let made = (!void).then(|| composed(&end.effects)).flatten();
            let Some((before, after)) = made else {
                continue;
            };
            if end.acts {
                given_back.push(end.rule.clone());
            }
            let change = RuleChange {
                rule: end.rule,
                mode: end.mode,
                verb: Verb::Patch,
                object: self.world.subject.key.clone(),
                before: Some(before),
                after: Some(after),
                why: vec![end.why.to_owned()],
            };
            let rule = end.index.map(|at| &self.world.context.rules.rules()[at]);
            let scaled = rule.and_then(|rule| self.world.replicas_held(rule));
            let parts = [(Verb::Scale, scaled)];
            decision.changes.extend(self.world.by_verb(change, parts));
        }
        for slot in &mut self.slots {
            let rule = &self.world.context.rules.rules()[self.indexes[slot.position]];
            let mut findings: Vec<(Reason, String)> = std::mem::take(&mut slot.kept);
            let says = std::mem::take(&mut slot.says).into_findings();
            for finding in std::mem::take(&mut slot.latest).into_iter().chain(says) {
                if !findings.contains(&finding) {
                    findings.push(finding);
                }
            }
            decision
                .findings
                .extend(findings.into_iter().map(|f| self.world.finding(rule, f)));
            decision
                .findings
                .extend(std::mem::take(&mut slot.told).into_iter().map(
                    |(object, reason, message)| Finding {
                        rule: rule.name.clone(),
                        object,
                        reason,
                        message,
                    },
                ));
            decision.wrong_types.extend(
                std::mem::take(&mut slot.wrong_types)
                    .into_iter()
                    .map(|reason| (self.indexes[slot.position], reason)),
            );
            // What is changed for a rule where another one deletes the object is not written: it goes. What the rule itself does before that is
            // written before, by a request of its own; only where nothing is done both come in one pass.
            let others_delete = self.deletion.is_some() && !slot.deletes && !slot.evicts;
            let void = slot.enforces && (!fixpoint || stays || others_delete);
            let first = decision.changes.len();
            if !void && let Some(change) = self.world.patched(rule, &slot.effects) {
                let did = (slot.scales, slot.restarts, slot.rolls_back);
                let parts = self.world.parts(rule, did);
                decision.changes.extend(self.world.by_verb(change, parts));
            }
            decision.wants.append(&mut slot.wants);
            decision.later.append(&mut slot.later);
            decision.notes.append(&mut slot.notes);
            let index = self.indexes[slot.position];
            let waits = std::mem::take(&mut slot.waits).into_iter();
            decision.waits.extend(waits.map(|step| (index, step)));
            let samples = std::mem::take(&mut slot.samples).into_iter();
            decision
                .samples
                .extend(samples.map(|sample| (index, sample)));
            if !slot.enforces || fixpoint {
                for deed in std::mem::take(&mut slot.deeds) {
                    decision.changes.push(deed.change);
                    if slot.enforces {
                        decision.others.push(deed.write);
                    }
                }
            }
            let stages = std::mem::take(&mut slot.sequel);
            if slot.enforces && fixpoint && !stages.is_empty() {
                let rule = rule.name.clone();
                decision.sequels.push(Sequel { rule, stages });
            }
            if slot.deletes {
                let verb = if slot.evicts {
                    Verb::Evict
                } else {
                    Verb::Delete
                };
                let before = self.world.subject.record.clone();
                decision
                    .changes
                    .push(self.world.change(rule, verb, before, None));
            }
            if decision.changes.len() > first {
                let state = slot.effects.first().map(|(before, _)| before);
                let state = state.unwrap_or(self.working.record());
                let why = self.world.why(rule, state, slot.lists.take());
                let chosen = self.world.chosen(rule);
                for change in &mut decision.changes[first..] {
                    change.why.clone_from(&why);
                    if !chosen && change.mode == Mode::Enforce {
                        change.mode = Mode::Audit;
                    }
                }
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
            && let Some(position) = self
                .standings
                .iter()
                .position(|standing| *standing == Standing::Ignored)
        {
            let message = "the annotation ordain.dev/ignore-until is not a time (such as 2026-01-31T12:00:00Z): ignored until it is mended".to_owned();
            decision.findings.push(
                self.world
                    .finding(self.rule(position), (Reason::WrongType, message)),
            );
        }
        if let Some((position, deletion)) = self.deletion {
            let name = self.rule(position).name.clone();
            let mut write = writes::delete(self.world, name, deletion);
            let slot = self.slots.iter_mut().find(|s| s.position == position);
            write.acts = slot.map_or(vec![], |slot| std::mem::take(&mut slot.remembered));
            decision.writes.push(write);
        } else if fixpoint && !stays {
            let mut authors = self.authors();
            given_back.retain(|rule| !authors.main.contains(rule));
            authors.main.splice(0..0, given_back);
            decision.writes = writes::patches(self.world, self.working.record(), authors);
        }
        decision.ranks = std::mem::take(&mut self.ranks)
            .into_iter()
            .map(|(position, rank)| (self.indexes[position], rank))
            .collect();
        decision.standings = self
            .indexes
            .iter()
            .zip(self.standings)
            .filter(|(_, standing)| *standing != Standing::OutOfScope)
            .map(|(index, standing)| (*index, standing))
            .collect();
    }

    /// The rules whose effects are in the working copy, by endpoint.
    fn authors(&mut self) -> Authors {
        let mut authors = Authors::default();
        let rules = self.world.context.rules.rules();
        let acting = self.slots.iter_mut();
        for slot in acting.filter(|s| s.enforces && !s.effects.is_empty()) {
            let rule = &rules[self.indexes[slot.position]];
            let asked = std::mem::take(&mut slot.asked);
            authors.wanted.extend(asked.into_iter().map(|claim| Wanted {
                rule: rule.name.clone(),
                claim,
            }));
            let patches = |wanted: bool| {
                rule.steps.iter().any(|step| {
                    matches!(step.action, Action::Patch { status, .. } if status == wanted)
                        && step.target.is_none()
                }) || (!wanted && lifetime::holds(rule))
            };
            if patches(false) || slot.restarts || slot.rolls_back || slot.scales_along {
                authors.main.push(rule.name.clone());
            }
            if patches(true) {
                authors.status.push(rule.name.clone());
            }
            authors.acts.extend(slot.remembered.iter().cloned());
            if slot.scales && !slot.scales_along {
                authors.scale.push(rule.name.clone());
                authors.replicas = authors.replicas.or_else(|| self.world.replicas(rule));
            }
        }
        authors
    }
}

impl World<'_> {
    /// The tests of a rule that held on a state, for people.
    fn why(&self, rule: &Rule, record: &Record, lists: Option<Arc<Lists>>) -> Vec<String> {
        self.opens(rule);
        let scope = self.scope(record, None);
        let computes = !rule.variables.is_empty() || lists.is_some();
        let lists = lists.unwrap_or_default();
        let variables = computes.then(|| Variables::compute(&rule.variables, lists, &scope));
        let scope = self.scope(record, variables.as_ref());
        let secret = rule.may_quote_secrets(&self.subject.key.kind);
        let mut why = vec![];
        let counts = rule.related.iter().filter_map(|list| list.count.as_ref());
        for test in rule.tests.iter().chain(counts) {
            let mut trace = vec![];
            let mut run = TestRun {
                scope: &scope,
                recheck_at: None,
                trace: Some(&mut trace),
            };
            test::all(std::slice::from_ref(test), &mut run);
            if matches!(test, Test::None(_)) {
                let clauses: Vec<String> = trace.into_iter().map(|t| t.clause).collect();
                why.push(format!("none of: {}", clauses.join(", ")));
                continue;
            }
            let held = trace.into_iter().filter(|t| t.verdict == Verdict::Pass);
            why.extend(held.map(|t| match t.value {
                Some(value) if !secret => format!("{} (is {})", t.clause, short(&value)),
                _ => t.clause,
            }));
        }
        why
    }

    fn finding(&self, rule: &Rule, (reason, message): (Reason, String)) -> Finding {
        Finding {
            rule: rule.name.clone(),
            object: self.subject.key.clone(),
            reason,
            message,
        }
    }

    pub(in crate::decide) fn change(
        &self,
        rule: &Rule,
        verb: Verb,
        before: Record,
        after: Option<Record>,
    ) -> RuleChange {
        RuleChange {
            rule: rule.name.clone(),
            mode: rule.mode,
            verb,
            object: self.subject.key.clone(),
            before: Some(before),
            after,
            why: vec![],
        }
    }

    /// Where the replicas are that a rule scales: names from the object's root.
    pub(in crate::decide) fn replicas(&self, rule: &Rule) -> Option<Vec<String>> {
        self.scaled_by(rule, &|step| step.target.is_none())
    }

    /// As [`World::replicas`], of what it takes back, be the object its subject or a target.
    fn replicas_held(&self, rule: &Rule) -> Option<Vec<String>> {
        self.scaled_by(rule, &|step| step.lifetime == Lifetime::WhileMatched)
    }

    fn scaled_by(&self, rule: &Rule, asked: &dyn Fn(&Step) -> bool) -> Option<Vec<String>> {
        let kind = &self.subject.key.kind;
        rule.steps
            .iter()
            .filter(|step| asked(step))
            .find_map(|step| {
                let Action::Scale { edits } = &step.action else {
                    return None;
                };
                let (_, edit) = edits.iter().find(|(kinds, _)| kinds.contains(kind))?;
                let names = edit.path.plain_names(PodPrefix::None)?;
                Some(names.iter().map(|n| n.as_str().to_owned()).collect())
            })
    }

    /// What a rule has scaled, restarted or rolled back, and where.
    pub(in crate::decide) fn parts(
        &self,
        rule: &Rule,
        (scales, restarts, rolls_back): (bool, bool, bool),
    ) -> [(Verb, Option<Vec<String>>); 3] {
        let template = ["spec", "template"].map(str::to_owned);
        let restarted = [&template[..], &RESTARTED_AT.map(str::to_owned)].concat();
        let scaled = scales.then(|| self.replicas(rule)).flatten();
        [
            (Verb::Restart, restarts.then_some(restarted)),
            (Verb::Rollback, rolls_back.then(|| template.to_vec())),
            (Verb::Scale, scaled),
        ]
    }

    /// Of something that was changed: what was scaled, restarted or rolled back is a change of its own.
    pub(in crate::decide) fn by_verb(
        &self,
        mut change: RuleChange,
        parts: impl IntoIterator<Item = (Verb, Option<Vec<String>>)>,
    ) -> Vec<RuleChange> {
        let mut changes = vec![];
        let mut stays = false;
        for (verb, path) in parts {
            let (Some(path), Some(before), Some(after)) = (path, &change.before, &change.after)
            else {
                continue;
            };
            let between = writes::with_value_of(after, before, &path);
            if between != *after {
                let between = writes::without_state_since(between, before, &change.rule);
                changes.push(RuleChange {
                    verb,
                    before: Some(between.clone()),
                    ..change.clone()
                });
                stays = change.before.as_ref() == Some(&between);
                change.after = Some(between);
            }
        }
        if !stays {
            changes.push(change);
        }
        changes
    }

    /// All a rule did in all rounds, as one change; `None` if it came to nothing.
    fn patched(&self, rule: &Rule, effects: &[(Record, Record)]) -> Option<RuleChange> {
        let (before, after) = composed(effects)?;
        Some(self.change(rule, Verb::Patch, before, Some(after)))
    }
}

/// The state before several changes, and what they make of it; `None` if that comes to nothing.
fn composed(effects: &[(Record, Record)]) -> Option<(Record, Record)> {
    let ((before, then), later) = effects.split_first()?;
    let mut after = then.clone();
    for (from, to) in later {
        let patch = record_patch(from.root(), to.root());
        let mut tree = after.to_value();
        after = match json_patch::patch(&mut tree, &patch) {
            Ok(()) => Record::from_value(&tree),
            // Others have changed what this turn built on: then its whole state is the nearest to what it did.
            Err(_) => to.clone(),
        };
    }
    (*before != after).then(|| (before.clone(), after))
}
