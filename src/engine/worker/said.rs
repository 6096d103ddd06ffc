//! A message behind an edit tells the old value, also when the object is looked at again and is just as the edit has left it: what `warn` and
//! `deny` steps said when their rule acted stands, until the object is another one or the message another one for another reason.

use super::Engine;
use crate::decide::{Decision, Finding, Reason, Standing};
use crate::engine::fingerprint;
use crate::object::{ObjectKey, Record};
use crate::rule::set::RuleSet;
use std::sync::Arc;

/// What was said of an object that was then written.
pub(super) struct Said {
    /// The object as it was written.
    version: String,
    /// That state, once it was looked at.
    state: Option<u64>,
    messages: Vec<Messages>,
}

/// All that one rule said for one reason.
struct Messages {
    rule: Arc<str>,
    reason: Reason,
    told: Vec<String>,
    /// What it said instead when it first looked at what was written.
    instead: Option<Vec<String>>,
}

impl Messages {
    fn is_of(&self, finding: &Finding, key: &ObjectKey) -> bool {
        finding.rule == self.rule && finding.reason == self.reason && finding.object == *key
    }
}

impl Engine {
    /// The server took what these rules have changed of an object.
    pub(super) fn note_said(&mut self, key: &ObjectKey, version: &str, rules: &[Arc<str>]) {
        let findings = self.findings.get(key).cloned().unwrap_or_default();
        self.said_at_admission(key, version, rules, &findings);
    }

    /// These rules have changed an object before it was stored at this version, and found this.
    pub fn said_at_admission(
        &mut self,
        key: &ObjectKey,
        version: &str,
        rules: &[Arc<str>],
        findings: &[Finding],
    ) {
        let mut messages: Vec<Messages> = vec![];
        for finding in findings {
            let says = matches!(finding.reason, Reason::Warning | Reason::Denied);
            if !says || finding.object != *key || !rules.contains(&finding.rule) {
                continue;
            }
            let text = finding.message.clone();
            match messages.iter_mut().find(|m| m.is_of(finding, key)) {
                Some(messages) => messages.told.push(text),
                None => messages.push(Messages {
                    rule: finding.rule.clone(),
                    reason: finding.reason,
                    told: vec![text],
                    instead: None,
                }),
            }
        }
        self.said.remove(key);
        if !messages.is_empty() {
            let said = Said {
                version: version.to_owned(),
                state: None,
                messages,
            };
            self.said.insert(key.clone(), said);
        }
    }

    /// Puts what was said when a rule acted in place of what it says of what came of that.
    pub(super) fn as_said_before(
        &mut self,
        key: &ObjectKey,
        record: &Record,
        decision: &Decision,
        findings: &mut [Finding],
    ) {
        let Some(mut said) = self.said.remove(key) else {
            return;
        };
        let state = fingerprint::state(record.root());
        let is_as_written = match said.state {
            Some(written) => written == state,
            None => record.meta().resource_version() == said.version,
        };
        if !is_as_written {
            return;
        }
        said.state = Some(state);
        said.messages.retain_mut(|messages| {
            let index = self.rules.index_of(&messages.rule);
            let standing = index.map(|index| decision.standing(index));
            let acts = decision.changes.iter().any(|change| {
                change.rule == messages.rule && change.object == *key && !change.verb.is_free()
            });
            let of_rule = findings.iter_mut().filter(|f| messages.is_of(f, key));
            let of_rule: Vec<&mut Finding> = of_rule.collect();
            let now = of_rule.iter().map(|finding| finding.message.clone());
            let now: Vec<String> = now.collect();
            let instead = messages.instead.get_or_insert_with(|| now.clone());
            let stands = matches!(standing, Some(Standing::Matched { .. }))
                && !acts
                && *instead == now
                && now.len() == messages.told.len();
            if stands {
                for (finding, told) in of_rule.into_iter().zip(&messages.told) {
                    finding.message.clone_from(told);
                }
            }
            stands
        });
        if !said.messages.is_empty() {
            self.said.insert(key.clone(), said);
        }
    }

    /// Rules were loaded: those that are not what they were have said nothing.
    pub(super) fn keep_said(&mut self, older: &RuleSet) {
        let hash = |rules: &RuleSet, name: &str| rules.get(name).map(|rule| rule.hash);
        let rules = Arc::clone(&self.rules);
        self.said.retain(|_, said| {
            said.messages
                .retain(|m| hash(older, &m.rule) == hash(&rules, &m.rule));
            !said.messages.is_empty()
        });
    }
}
