//! JSONPath (RFC 9535) from one of three roots. The only user of the JSONPath crate, and of it only the parser: the walk is our own, over records.

use crate::object::{Key, Node};
use smallvec::SmallVec;

/// Where a path starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Root {
    /// `$`
    Object,
    /// `$pod`: the Pod, wherever the kind keeps it.
    Pod,
    /// `$containers`: the three lists of containers; an edit leaves `ephemeralContainers` out.
    Containers,
}

/// A parsed path. Regular expressions in filters are compiled; names are interned.
#[derive(Clone, Debug)]
pub struct Path {/* private fields */}

/// What is wrong with a path, relative to its text.
#[derive(Clone, Debug)]
pub struct PathProblem {
    /// Byte offset and length in the path's text.
    pub at: usize,
    pub length: usize,
    pub message: String,
    pub mend: Option<String>,
}

/// One step from the root to a selected value.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Hop {
    Name(Box<str>),
    Index(usize),
}

/// A selected place: the hops from the object's root to it.
pub type Location = SmallVec<[Hop; 6]>;

/// A place selected for an edit.
#[derive(Clone, Debug)]
pub struct Place {
    /// From the object's root to the selected value, or to where it would be.
    pub location: Location,
    /// How many hops of `location` lead to what the last wildcard, filter, index or `..` selected (`item`); `None` for a path of plain names.
    pub item: Option<usize>,
    /// Whether the value is there (null counts as absent).
    pub present: bool,
}

/// How a kind keeps its Pod; the context every walk needs. Empty for Pod itself, `None` if it has none (then `$pod` selects nothing).
pub type PodPrefix = Option<&'static [&'static str]>;

impl Path {
    /// Parses `$…`, `$pod…`, `$containers[…]…`. `.spec.x`, `{.spec.x}` and `spec.x` get "did you mean `$.spec.x`"; blanks in bare names, bad regular expressions, `?@.x == null`, `$containers` without a selector are problems.
    pub fn parse(_text: &str) -> Result<Path, PathProblem> {
        todo!()
    }
    /// As it was written.
    pub fn text(&self) -> &str {
        todo!()
    }
    pub fn root(&self) -> Root {
        todo!()
    }
    /// Whether it is a path of plain names (each a single name), so that it selects at most one value.
    pub fn is_plain(&self) -> bool {
        todo!()
    }
    /// The names of a plain path from the object's root, with the kind's Pod prefix; `None` if it is not plain.
    pub fn plain_names(&self, _pod: PodPrefix) -> Option<Vec<Key>> {
        todo!()
    }
    /// Whether it reads only below `metadata`, or `apiVersion` and `kind`.
    pub fn is_metadata_only(&self) -> bool {
        todo!()
    }
    /// Calls `found` for each selected value, in document order; null values are passed over (null counts as absent). Stops when it answers false.
    pub fn select<'a>(
        &self,
        _root: Node<'a>,
        _pod: PodPrefix,
        _found: &mut dyn FnMut(Node<'a>) -> bool,
    ) {
        todo!()
    }
    /// The first selected value.
    pub fn first<'a>(&self, root: Node<'a>, pod: PodPrefix) -> Option<Node<'a>> {
        let mut first = None;
        self.select(root, pod, &mut |node| {
            first = Some(node);
            false
        });
        first
    }
    /// The places an edit at this path means: existing ones, and for a trailing run of plain names also those that do not exist yet
    /// (`$containers[*].resources.limits` names one place per container, there or not). `..` selects nothing here. `ephemeralContainers` are left out.
    pub fn places(&self, _root: Node<'_>, _pod: PodPrefix) -> Vec<Place> {
        todo!()
    }
    /// Checks the path against a kind's type: an error (first name that the schema does not know, with the nearest names) or fine. Unknown below `Any` is fine. Filters are checked too.
    pub fn check(&self, _kind: &crate::schema::KindSchema) -> Result<(), PathProblem> {
        todo!()
    }
    /// The type of what the path selects, where the schema knows it and it is the same for all.
    pub fn type_in<'s>(
        &self,
        _kind: &'s crate::schema::KindSchema,
    ) -> Option<crate::schema::Type<'s>> {
        todo!()
    }
}
