//! Changes of what a controller has made: it makes it anew, without them.

use super::Engine;
use crate::decide::{Finding, Reason, RuleChange};
use crate::engine::Report;
use crate::object::{Gvk, ObjectKey, Record};
use crate::rule::{Action, Lifetime, Occasion, Step, Verb};

impl Engine {
    /// Tells once, for a rule and a kind, that objects with a controller owner are changed: thousands of Pods are one mistake. A rule that
    /// matches the owner's kind too changes what the next ones are made from, and one that looks at creations changes those.
    pub(super) fn note_owned(&mut self, key: &ObjectKey, record: &Record, changes: &[RuleChange]) {
        if changes.is_empty() {
            return;
        }
        let Some((api_version, kind, name)) = record.meta().controller() else {
            return;
        };
        let owner = Gvk::from_api_version(api_version, kind).group_kind();
        let edits = |change: &&RuleChange| matches!(change.verb, Verb::Patch | Verb::Scale);
        for change in changes.iter().filter(edits) {
            let all = self.rules.rules();
            let Some(index) = all.iter().position(|rule| rule.name == change.rule) else {
                continue;
            };
            // What lasts only as long as the match is about this very object, and not about the next ones.
            let lasts = |step: &Step| {
                let edits = matches!(step.action, Action::Patch { .. } | Action::Scale { .. });
                edits && step.lifetime == Lifetime::Permanent
            };
            if !all[index].steps.iter().any(lasts) {
                continue;
            }
            let kinds = &all[index].matches.kinds;
            let told = &mut self.states[index].owned;
            if all[index].when.has(Occasion::Create)
                || kinds.iter().any(|k| k.kind == owner)
                || told.iter().any(|finding| finding.object.kind == key.kind)
            {
                continue;
            }
            let finding = Finding {
                rule: change.rule.clone(),
                object: ObjectKey::new(key.kind.clone(), None, "*"),
                reason: Reason::OwnedByController,
                message: format!(
                    "changes {key}, which {kind} {name} controls: what a controller has made it makes anew without the change, or sets it back; change the owner, or leave such objects out with a test that `$.metadata.ownerReferences` is `Empty`"
                ),
            };
            told.push(finding.clone());
            self.reports.push(Report::Finding(finding));
        }
    }
}
