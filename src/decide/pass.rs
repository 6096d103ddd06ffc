//! One pass over one object.

use super::{Decision, Subject};
use crate::object::Record;
use crate::rule::set::{RuleIndex, RuleSet};
use jiff::Timestamp;

/// What a pass may know besides the object.
pub struct PassContext<'a> {
    pub rules: &'a RuleSet,
    /// The subject's Namespace: `Ok(None)` if it is cluster-scoped, `Err(reason)` if it is not known. For a Namespace: itself.
    pub namespace: Result<Option<&'a Record>, &'a str>,
    pub now: Timestamp,
    /// Whether this rule may act on this object now; a closed gate makes it behave as in Audit. Frozen, aborted, throttled, breaker open.
    pub gate: &'a dyn Fn(RuleIndex) -> bool,
    /// Take every rule as Enforce (`plan`, `test`).
    pub assume_enforce: bool,
    /// The daemon's own namespace, protected with everything in it.
    pub state_namespace: &'a str,
}

/// Decides. Never panics, never blocks; a rule that fails does not stop the others.
pub fn pass(_subject: &Subject<'_>, _context: &PassContext<'_>) -> Decision {
    todo!()
}
