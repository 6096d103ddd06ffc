//! The immutable set of compiled rules, indexed by kind.

use super::{ResolvedKind, Rule};
use crate::object::GroupKind;
use crate::schema::Schema;
use std::sync::Arc;

/// Rules in evaluation order (priority descending, then name), indexed by kind. Never changed after it is made.
pub struct RuleSet {/* private fields */}

/// Index of a rule in its set.
pub type RuleIndex = usize;

/// What changed between two sets.
#[derive(Debug, Default)]
pub struct SetDifference {
    pub added: Vec<Arc<str>>,
    pub changed: Vec<Arc<str>>,
    pub removed: Vec<Arc<str>>,
    /// Kinds whose objects some added or changed rule can concern.
    pub concerned: Vec<GroupKind>,
}

impl RuleSet {
    pub fn new(_rules: Vec<Arc<Rule>>, _schema: Schema) -> RuleSet {
        todo!()
    }
    pub fn rules(&self) -> &[Arc<Rule>] {
        todo!()
    }
    pub fn get(&self, _name: &str) -> Option<&Arc<Rule>> {
        todo!()
    }
    /// The rules that name this kind, in evaluation order, `Off` ones left out.
    pub fn for_kind(&self, _kind: &GroupKind) -> &[RuleIndex] {
        todo!()
    }
    /// Every kind that some rule not `Off` matches, each once.
    pub fn kinds(&self) -> Vec<ResolvedKind> {
        todo!()
    }
    /// Whether every rule of the kind reads nothing but metadata.
    pub fn metadata_only(&self, _kind: &GroupKind) -> bool {
        todo!()
    }
    /// Whether some rule needs Namespaces.
    pub fn needs_namespaces(&self) -> bool {
        todo!()
    }
    pub fn schema(&self) -> &Schema {
        todo!()
    }
    pub fn difference(&self, _older: &RuleSet) -> SetDifference {
        todo!()
    }
}
