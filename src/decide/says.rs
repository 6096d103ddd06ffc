//! What `warn` and `deny` steps of a rule say of the subject in the rounds of one pass, and its events: each as it was when the rule acted. A
//! later round, which finds what the rule has made of the object, says nothing else of it.

use super::Reason;
use super::apply::Deed;

/// One sentence.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Said {
    /// Place of the step.
    pub step: usize,
    pub reason: Reason,
    pub text: String,
}

/// Those of one rule.
#[derive(Clone, Default)]
pub(super) struct Says {
    /// From turns that changed something.
    kept: Vec<Said>,
    /// From the last turn.
    latest: Vec<Said>,
}

impl Says {
    /// Takes what was said in a turn.
    pub fn take(&mut self, mut said: Vec<Said>, changed: bool) {
        said.retain(|said| self.kept.iter().all(|kept| kept.step != said.step));
        self.latest.clear();
        match changed {
            true => self.kept.extend(said),
            false => self.latest = said,
        }
    }

    /// What the last turn said is void, what the rule has changed stays.
    pub fn forget_latest(&mut self) {
        self.latest.clear();
    }

    pub fn into_findings(self) -> impl Iterator<Item = (Reason, String)> {
        let all = self.kept.into_iter().chain(self.latest);
        all.map(|said| (said.reason, said.text))
    }
}

/// What a rule asks of others in a turn after one in which it has changed the object: what is done once is done as it was decided on then.
pub(super) fn as_told_before(before: &mut Vec<Deed>, mut now: Vec<Deed>) -> Vec<Deed> {
    for deed in now.iter_mut().filter(|deed| deed.once) {
        let same = |told: &Deed| told.once && told.write.object == deed.write.object;
        if let Some(at) = before.iter().position(same) {
            *deed = before.swap_remove(at);
        }
    }
    now
}
