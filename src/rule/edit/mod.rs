//! Edits: the six ways to change a value at a path.
//!
//! `noop` answers the converged case from the record alone · `plan` what an edit would change, place by place · `value` the six edits on
//! one value · `same` when two values are one to the server · `site` where a place is, in the record and in the schema · `write` the
//! planned changes into a tree · `about` the places it is about, changed or not · `answer` what the server made of what was asked for.

mod about;
mod answer;
mod fixed;
mod noop;
mod plan;
mod same;
mod site;
mod value;
mod write;

pub use about::about;
pub use answer::{Answers, holds};
pub use noop::is_noop;
pub use plan::plan;
pub(crate) use same::{completed, misfit, same};
pub(crate) use site::{element_token, key_of, push_token, scalar_text};
pub(crate) use value::meets;

use super::expr::{Expr, ExprFault, Scope, Template};
use super::path::{Hop, Location, Path};
use super::test::Test;
use crate::schema::KindSchema;
use jiff::Timestamp;
use serde_json::Value;
use smallvec::SmallVec;

/// One entry of `patch`.
pub struct Edit {
    /// Where. Never with `..`.
    pub path: Path,
    /// Tests on `item` (on a path of plain names: on the object).
    pub tests: Vec<Test>,
    /// What.
    pub change: EditChange,
    /// 1-based line in the rule's file.
    pub line: usize,
}

/// What an edit does.
pub enum EditChange {
    /// Creates or replaces.
    Set(Template),
    /// Creates; of a map, each absent leaf.
    Default(Template),
    /// RFC 7386.
    Merge(Template),
    /// Merges elements of a list by their key, adds those that are not there.
    Upsert {
        /// A list of maps.
        elements: Template,
        /// The fields that tell elements apart; `None`: those of the schema.
        key: Option<Vec<Box<str>>>,
        /// Where new ones go.
        at: End,
    },
    /// Adds scalars to a list where they are missing.
    Add {
        /// A list of scalars.
        elements: Template,
        /// Where new ones go.
        at: End,
    },
    /// Removes.
    Remove,
}

impl EditChange {
    /// The value it works with.
    pub fn template(&self) -> Option<&Template> {
        match self {
            Self::Set(template) | Self::Default(template) | Self::Merge(template) => Some(template),
            Self::Upsert { elements, .. } | Self::Add { elements, .. } => Some(elements),
            Self::Remove => None,
        }
    }
}

impl Edit {
    /// Whether its value, or its `where`, reads `current`: such an edit skips places where there is nothing.
    pub fn reads_current(&self) -> bool {
        self.value_reads_current()
            || self.tests.iter().any(|test| {
                let mut reads = false;
                test.clauses(&mut |clause| reads |= clause.expressions().any(Expr::reads_current));
                reads
            })
    }

    fn value_reads_current(&self) -> bool {
        self.change.template().is_some_and(|template| {
            template.literal().is_none() && template.expressions().iter().any(|e| e.reads_current())
        })
    }
}

/// Where new elements go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum End {
    /// Before the first.
    Start,
    /// Behind the last.
    #[default]
    End,
}

/// The endpoint a `patch` writes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// The object; of a kind with a status subresource, all but `status`.
    Main,
    /// `subresource: status`: only `status`.
    Status,
}

/// What becomes of a change of a field that is fixed at creation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FixedFields {
    /// It is not made, and a finding says so.
    Told,
    /// It is not made.
    LeftOut,
    /// It is made: the object is being created.
    Written,
}

/// What an edit is made under.
#[derive(Clone, Copy)]
pub struct EditContext<'s> {
    /// Guides parents, list keys, fixed fields and types; without one, parents are created along maps.
    pub schema: Option<&'s KindSchema>,
    /// Places that this endpoint does not write are left out.
    pub endpoint: Endpoint,
    /// What becomes of changes of fields that are fixed at creation.
    pub fixed: FixedFields,
    /// Pointers, as in [`Claim`], at which the rule has lost a conflict: it writes nothing there.
    pub barred: &'s [Box<str>],
    /// What the server stored in answer to this rule: where that stands, nothing is written.
    pub answers: Option<&'s Answers>,
}

/// A place that an edit writes, and the value it wants there; also where that value stands already.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// RFC 6901, but elements of a list with keys are named by them: `/spec/containers/name=app/image`; an added scalar is
    /// `/metadata/finalizers/=example.com~1f`.
    pub pointer: Box<str>,
    /// `None`: absent.
    pub value: Option<Value>,
    /// Fields of maps that are not in `value` stay as they are (`upsert`).
    pub partial: bool,
    /// The value was made from the one that stood there.
    pub from_current: bool,
    /// Only where nothing stands (`default`): whoever has a value for the place has it his way, before or after.
    pub yields: bool,
}

/// Why an edit cannot be made at a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hindrance {
    /// What stands there is not of the type that the edit needs.
    WrongType,
    /// The field is fixed at creation.
    ImmutableField,
}

/// A place at which the server does not keep all that was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Overruled {
    /// As in [`Claim`].
    pub pointer: Box<str>,
    /// What the edit wants there; `None`: nothing.
    pub wanted: Option<Value>,
    /// What stands there; `None`: nothing.
    pub kept: Option<Value>,
}

/// What came of one edit.
#[derive(Debug, Default)]
pub struct Planned {
    /// Sorted by place, each place once. Empty: nothing changes.
    changes: Vec<Change>,
    /// What the edit wants where.
    pub claims: Vec<Claim>,
    /// Findings: `WrongType` and `ImmutableField`, with a message that names the place and never its value.
    pub findings: Vec<(Hindrance, String)>,
    /// The first place at which the server keeps something else.
    pub overruled: Option<Overruled>,
    /// Values that the edit's `where` could not read, to be counted.
    pub wrong_types: Vec<String>,
    /// The earliest later moment at which the edit's `where` may come out differently.
    pub recheck_at: Option<Timestamp>,
}

#[derive(Debug)]
struct Change {
    location: Location,
    action: Action,
}

#[derive(Debug)]
enum Action {
    Put(Value),
    /// `with_parent`: the list or free map it is in goes too when it is left empty.
    Remove {
        with_parent: bool,
    },
}

impl Planned {
    /// Whether writing it would change anything.
    pub fn changes(&self) -> bool {
        !self.changes.is_empty()
    }

    /// The only value that it puts below maps, and where, if there is nothing else that it changes.
    pub fn only_put(&self) -> Option<(SmallVec<[&str; 6]>, &Value)> {
        let [change] = self.changes.as_slice() else {
            return None;
        };
        let Action::Put(value) = &change.action else {
            return None;
        };
        let mut path = SmallVec::new();
        for hop in &change.location {
            match hop {
                Hop::Name(name) => path.push(&**name),
                Hop::Index(_) => return None,
            }
        }
        Some((path, value))
    }

    /// Writes the changes into the tree of the same state as the record they were planned on.
    pub fn write(&self, copy: &mut Value) {
        for change in self.changes.iter().rev() {
            write::write(copy, change);
        }
    }
}

/// Plans an edit and writes it: for callers that have the tree at hand. `scope.object` is the record of the same state as `copy`.
///
/// # Errors
/// As [`plan`].
pub fn apply(
    edit: &Edit,
    scope: &Scope<'_>,
    context: &EditContext<'_>,
    copy: &mut Value,
) -> Result<Planned, ExprFault> {
    let planned = plan(edit, scope, context)?;
    planned.write(copy);
    Ok(planned)
}

#[cfg(test)]
mod tests;
