//! `related`: named lists of other objects.
//!
//! `names` and `labels` what of a list is computed from the subject · `finder` how its candidates are found without asking each · `lists` what came of
//! the lists for one subject.
//!
//! A list is asked in two steps. [`Related::question`] reads the subject and answers which candidates to fetch; [`Question::admits`] asks one
//! candidate. Whoever keeps candidates in an index asks [`Related::keys`] where each belongs.

mod finder;
mod labels;
mod lists;
mod names;
mod question;

pub use finder::{Candidate, Finder, Keys, Probe, fixed};
pub use labels::{Expression, Labels};
pub use lists::{List, Lists, Member};
pub use names::Names;
pub use question::{Membership, Question};

use super::ResolvedKind;
use super::expr::Template;
use super::path::Path;
use super::selector::LabelSelector;
use super::test::Test;
use crate::object::{GroupKind, Key};
use std::sync::Arc;

/// Most lists of a rule.
pub const MOST: usize = 16;

/// Where the candidates of a list are looked for. Cluster-scoped kinds ignore it.
#[derive(Debug)]
pub enum Within {
    /// In the subject's namespace; for a Namespace in that.
    Subject,
    /// In all namespaces.
    All,
    /// In the one of this name.
    Named(Template),
}

/// A path that every object has. Where no schema knows the kinds of a list it is one of its [`Related::unchecked_paths`].
pub const OF_ANY_OBJECT: &str = "$.apiVersion";

/// One compiled list.
pub struct Related {
    /// An identifier of CEL.
    pub name: Arc<str>,
    /// The kinds of its candidates.
    pub kinds: Vec<ResolvedKind>,
    /// Those that only `kind: Workload` stands for: of these, objects without a controller owner.
    pub uncontrolled: Vec<GroupKind>,
    /// Some of them may be in namespaces.
    pub namespaced: bool,
    /// Some of them may be cluster-scoped.
    pub cluster_scoped: bool,
    /// Where they are.
    pub within: Within,
    /// What they are called.
    pub names: Names,
    /// Their labels.
    pub labels: Labels,
    /// The labels of their Namespaces.
    pub namespace_selector: Option<LabelSelector>,
    /// All must pass.
    pub tests: Vec<Test>,
    /// The places of those that come out the same for a candidate whatever the subject and the time ([`fixed`]).
    pub fixed: Vec<usize>,
    /// On the number of members; the rule matches only if it passes.
    pub count: Option<Test>,
    /// The name is the one object.
    pub one: bool,
    /// Only the metadata of candidates is read, here and by whoever reads the list.
    pub metadata_only: bool,
    /// Paths of its tests that no schema could vouch for, in a rule that deletes: while one selects nothing in any candidate, nobody knows who
    /// belongs to the list. Empty for other rules.
    pub unchecked_paths: Vec<Path>,
    /// The annotation by which what the rule itself applied is known.
    pub own: Key,
    /// How candidates are found.
    pub finder: Finder,
    /// Two lists of equal text keep their candidates in the same way. `None`: no other list does.
    pub shape: Option<Arc<str>>,
}
