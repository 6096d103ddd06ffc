//! Why a rule does something to an object, or does not.

use super::Engine;
use crate::decide::explain::{self, Explanation, mode};
use crate::decide::pass::PassContext;
use crate::decide::{Decision, Finding, Reason, Standing, Subject};
use crate::engine::Lost;
use crate::engine::store::Sync;
use crate::object::{ObjectKey, Record};
use crate::rule::{Mode, Occasion, Rule};
use crate::schema::{Schema, nearest, parse_object};
use jiff::Timestamp;
use std::sync::Arc;

/// Why there is nothing to explain.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unexplained {
    /// No rule in force has this name.
    #[error("no rule `{0}` is in force{1}")]
    NoRule(String, String),
    /// The text names no object.
    #[error("{0}")]
    NoName(String),
    /// The rule's `match` does not have the kind.
    #[error("the rule is about {0}, not about {1}")]
    NotAbout(String, String),
    /// Nothing is there by this name.
    #[error("there is no {0}{1}")]
    NoObject(ObjectKey, String),
    /// The kind cannot be followed, or was not listed yet.
    #[error("{0} is not known: {1}")]
    NotKnown(ObjectKey, String),
}

impl Engine {
    /// Explains what a rule makes of an object: `KIND/NAMESPACE/NAME` or `KIND/NAME`. Changes nothing.
    ///
    /// # Errors
    /// When there is no such rule or object, or nothing is known of it.
    pub fn explain(
        &mut self,
        name: &str,
        object: &str,
        now: Timestamp,
    ) -> Result<Explanation, Unexplained> {
        let rules = Arc::clone(&self.rules);
        let Some(index) = rules.index_of(name) else {
            let near = nearest(name, rules.rules().iter().map(|rule| &*rule.name));
            let mend = near.first().map(|near| format!(": did you mean `{near}`?"));
            return Err(Unexplained::NoRule(name.into(), mend.unwrap_or_default()));
        };
        let rule = &rules.rules()[index];
        let key = key_of_text(object, rule, self.rules.schema())?;
        if !rule.when.has(Occasion::Reconcile) {
            let why = "the rule looks at admission only, and there is no admission server yet: with `--manifests` the object is presented as one that comes to be";
            return Err(Unexplained::NotKnown(key, why.into()));
        }
        let record = self.known(&key)?;
        let mut decision = self.decide_without(&key, &record, now, &[]);
        // Of one that is closed it is told what it would do.
        let alone = self.is_asked_alone(index, &key).then_some(index);
        if alone.is_some() {
            let closed = std::mem::take(&mut decision.closed);
            decision.changes.extend(closed);
        }
        let subject = Subject {
            key: &key,
            record: &record,
        };
        let clauses = self.in_context(&key, &record, now, &[], |context| {
            explain::clauses(&subject, rule, &PassContext { alone, ..*context })
        });
        let asks_since = rule.steps.iter().any(|step| step.after.is_some());
        let held_since = asks_since.then(|| {
            self.in_context(&key, &record, now, &[], |context| {
                context.memory.since(index)
            })
        });
        let standing = decision.standing(index);
        let matches = matches!(standing, Standing::Matched { .. });
        let mut in_the_way = self.in_the_way(index, &key, (matches, now));
        if standing == Standing::NotPicked {
            in_the_way.extend(self.places_held(index, &decision));
        }
        if matches {
            let state_namespace = &self.options.state_namespace;
            in_the_way.extend(explain::protections(&subject, rule, state_namespace));
        }
        let beside = self.beside(index, &key, &decision);
        let concluded = explain::concluded((rule, index), &key, now, clauses, &decision);
        // What is looked at ahead matches at its time, and does nothing before.
        let outcome = match matches {
            true if concluded.clauses.schedule_is_closed() => Some("its schedule is closed"),
            true if self.is_stopped(index, &key) => Some("it matches, and the rule is stopped"),
            _ => None,
        };
        Ok(Explanation {
            held_since: held_since.flatten().filter(|_| matches),
            in_the_way,
            beside,
            acts: concluded.acts && outcome.is_none(),
            outcome: outcome.map_or(concluded.outcome, str::to_owned),
            ..concluded
        })
    }

    /// Whether the rule does nothing more to the object until a person acknowledges it or the rule is changed.
    fn is_stopped(&self, index: usize, key: &ObjectKey) -> bool {
        let state = &self.states[index];
        state.limits.aborted().is_some() || !state.unproven.is_empty() || state.breaker_open(key)
    }

    fn known(&self, key: &ObjectKey) -> Result<Record, Unexplained> {
        let unknown = |why: String| Err(Unexplained::NotKnown(key.clone(), why));
        let Some(kind) = self.store.kind(&key.kind) else {
            return unknown("its kind is not followed: is the rule Off?".into());
        };
        if let Some(entry) = self.store.get(key) {
            return Ok(entry.record.clone());
        }
        match &kind.sync {
            Sync::Pending => unknown("its kind is not listed yet".into()),
            Sync::Lost(Lost::NoSuchKind) => unknown("the cluster has no such kind".into()),
            Sync::Lost(Lost::Forbidden(why)) => {
                unknown(format!("its kind may not be listed and watched: {why}"))
            }
            Sync::Lost(Lost::OutOfScope) => {
                unknown("its kind is cluster-scoped, and only some namespaces are looked at".into())
            }
            Sync::Lost(Lost::Unreachable(why)) => unknown(why.clone()),
            Sync::Synced => {
                let names: Vec<_> = kind.iter().map(|(name, _)| name).collect();
                let elsewhere = names.iter().find(|name| name.name == key.name);
                let mend = match elsewhere.and_then(|name| name.namespace.as_deref()) {
                    Some(namespace) => format!(": one of this name is in `{namespace}`"),
                    None => {
                        let here = names.iter().filter(|name| name.namespace == key.namespace);
                        let near = nearest(&key.name, here.map(|name| &*name.name));
                        let near = near.first().map(|near| format!(": did you mean `{near}`?"));
                        near.unwrap_or_default()
                    }
                };
                Err(Unexplained::NoObject(key.clone(), mend))
            }
        }
    }

    /// What keeps the rule from acting on the object now.
    fn in_the_way(
        &mut self,
        index: usize,
        key: &ObjectKey,
        (matches, now): (bool, Timestamp),
    ) -> Vec<String> {
        let rule = Arc::clone(&self.rules.rules()[index]);
        let state = &self.states[index];
        let mut told: Vec<String> = state
            .conditions
            .iter()
            .map(|finding| format!("{}: {}", finding.reason, finding.message))
            .collect();
        if !state.ready && told.is_empty() && rule.mode != Mode::Off {
            told.push("not every kind that the rule needs is listed yet".into());
        }
        if !matches {
            return told;
        }
        match rule.mode {
            Mode::Audit if !self.options.assume_enforce => {
                told.push("mode: Audit: it is only told".into());
            }
            _ if self.frozen => told.push("all rules are frozen to Audit".into()),
            _ if self.enforces(&rule) && !self.enforces_on(index, key) => {
                told.push("enforceFor: the rule stays in Audit for it".into());
            }
            _ => {}
        }
        if let Some(schedule) = rule.schedule.as_ref().filter(|s| !s.is_open(now))
            && let Some(opens) = schedule.next_opening(now)
        {
            told.push(format!("schedule: it opens at {opens}"));
        }
        if let Some((reason, message)) = self.closed(index, key, now).and_then(|c| c.finding) {
            told.push(format!("{reason}: {message}"));
        }
        if let Some(refusal) = &self.states[index].refusal {
            told.push(format!("{}: {}", refusal.reason, refusal.message));
        }
        // What is asked again, and what is not before something changes.
        let refused = self.refused.get(key).into_iter().flatten();
        let found = self.findings.get(key).into_iter().flatten();
        let stands = |finding: &&Finding| {
            matches!(finding.reason, Reason::Refused | Reason::OwnershipConflict)
        };
        for finding in refused.chain(found.filter(stands)) {
            let line = format!("{}: {}", finding.reason, finding.message);
            if finding.rule == rule.name && !told.contains(&line) {
                told.push(line);
            }
        }
        if self.counts_first(index) && !self.states[index].scope_known {
            told.push("its limits wait until all objects in its scope were looked at".into());
        }
        if self.awaits_rivals(index) {
            told.push(
                "it waits until everything was looked at for which something may be wanted of the same objects".into(),
            );
        }
        if self.standby {
            told.push("this replica stands by: another one acts".into());
        }
        told
    }

    /// Who of its group is on the way out and holds a place among those that `pick` takes.
    fn places_held(&self, index: usize, decision: &Decision) -> Option<String> {
        let picks = self.states[index].picks.as_ref()?;
        let (_, rank) = decision.ranks.iter().find(|(of, _)| *of == index)?;
        let leaving = picks.leaving(&rank.group);
        let first = leaving.first()?;
        let others = match leaving.len() - 1 {
            0 => String::new(),
            others => format!(" and {others} more"),
        };
        Some(format!(
            "pick: {first}{others} of its group, being deleted, is among those that `take` counts until it is gone"
        ))
    }

    /// Other rules that do something to the object now.
    fn beside(&self, index: usize, key: &ObjectKey, decision: &Decision) -> Vec<String> {
        let rules = self.rules.rules();
        let acts = |standing: &Standing| *standing == Standing::Matched { acts: true };
        let others = decision
            .standings
            .iter()
            .filter(|(other, _)| *other != index && !self.is_asked_alone(*other, key));
        others
            .filter(|(_, standing)| acts(standing))
            .map(|(other, _)| {
                let rule = &rules[*other];
                let verbs: Vec<&str> = decision
                    .changes
                    .iter()
                    .filter(|change| change.rule == rule.name && change.object == *key)
                    .map(|change| change.verb.as_str())
                    .collect();
                let order = if *other < index { "before" } else { "after" };
                let what = match verbs.as_slice() {
                    [] => "acts".to_owned(),
                    verbs => format!("wants to {} it", verbs.join(", ")),
                };
                format!(
                    "{} ({}, priority {}), whose turn is {order} this rule's, {what}",
                    rule.name,
                    mode(rule.mode),
                    rule.priority
                )
            })
            .collect()
    }
}

/// The object that a text names, as one of the kinds that a rule is about.
///
/// # Errors
/// It names none, or one of another kind.
pub fn key_of_text(object: &str, rule: &Rule, schema: &Schema) -> Result<ObjectKey, Unexplained> {
    let kinds = &rule.matches.kinds;
    let mut key = parse_object(object, schema).map_err(Unexplained::NoName)?;
    // Without a group a kind of the rule is meant, where it has one of this name.
    let bare = object.starts_with(|c: char| c.is_ascii_uppercase());
    if let Some(own) = kinds.iter().find(|k| k.kind.kind == key.kind.kind)
        && bare
    {
        key.kind = own.kind.clone();
    }
    if kinds.iter().any(|k| k.kind == key.kind) {
        return Ok(key);
    }
    let about: Vec<String> = kinds.iter().map(|k| k.kind.to_string()).collect();
    Err(Unexplained::NotAbout(
        about.join(", "),
        key.kind.to_string(),
    ))
}

impl Unexplained {
    /// Whether asking again later may give an answer.
    pub fn may_change(&self) -> bool {
        matches!(self, Unexplained::NotKnown(..))
    }
}
