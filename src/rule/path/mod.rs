//! JSONPath (RFC 9535) from one of three roots. The only user of the JSONPath crate, and of it only the parser: the walk is our own, over
//! records, because the crate hands out references and cannot walk a flat record.
//!
//! `scan` a first look at the text · `parse` text to a compiled path · `dialect` other dialects and syntax errors · `walk` what a path
//! selects · `filter` the tests inside it · `places` where an edit goes · `planted` an object to try it on · `check` a path against a kind's schema. null counts as absent
//! everywhere.
//!
//! Narrower than the RFC, so that the cost of a path is bounded by the size of the object: inside a filter `$` takes names and indexes only,
//! a path has at most three `..` and means at most 1,024 places by its brackets, patterns are literals, and nothing is compared with null.

mod check;
mod dialect;
mod filter;
mod parse;
mod places;
mod planted;
mod scan;
mod vouch;
mod walk;

use crate::object::{Key, Node};
use filter::Filter;
use scan::Span;
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
pub struct Path {
    text: Box<str>,
    root: Root,
    /// From the object's root, or from the Pod's for the other two.
    segments: Vec<Segment>,
    /// The names, if every segment is one name: the fast way.
    plain: Option<Box<[Key]>>,
}

/// What is wrong with a path, relative to its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathProblem {
    /// Byte offset in the path's text.
    pub at: usize,
    /// Bytes to mark, at least 1.
    pub length: usize,
    /// What is wrong, one sentence without a full stop.
    pub message: String,
    /// What to write instead.
    pub mend: Option<String>,
}

impl PathProblem {
    fn mended(mut self, mend: impl Into<String>) -> Self {
        self.mend = Some(mend.into());
        self
    }
}

/// One step from the root to a selected value.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Hop {
    /// A member of a map.
    Name(Box<str>),
    /// An element of a list.
    Index(usize),
}

/// A selected place: the hops from the object's root to it.
pub type Location = SmallVec<[Hop; 6]>;

/// A place selected for an edit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// From the object's root to the selected value, or to where it would be.
    pub location: Location,
    /// How many hops of `location` lead to what the last wildcard, filter, index or slice selected (`item`); `None` for a path of names.
    pub item: Option<usize>,
    /// Whether the value is there (null counts as absent).
    pub present: bool,
}

/// How a kind keeps its Pod; the context every walk needs. Empty for Pod itself, `None` if it has none (then `$pod` selects nothing).
pub type PodPrefix = Option<&'static [&'static str]>;

/// The lists that `$containers` stands for.
const CONTAINER_LISTS: [&str; 3] = ["containers", "initContainers", "ephemeralContainers"];

#[derive(Clone, Debug)]
struct Segment {
    /// `..`: the value itself and everything below it.
    descendant: bool,
    selectors: SmallVec<[Selector; 1]>,
}

#[derive(Clone, Debug)]
enum Selector {
    /// And where it stands in the text.
    Name(Key, Span),
    Wildcard,
    Index(i64),
    /// Start, end, step.
    Slice(Option<i64>, Option<i64>, i64),
    Filter(Box<Filter>),
}

impl Segment {
    /// The one name, if that is all it selects.
    fn name(&self) -> Option<&Key> {
        match (self.descendant, self.selectors.as_slice()) {
            (false, [Selector::Name(key, _)]) => Some(key),
            _ => None,
        }
    }

    /// Whether it selects by names alone, one or several.
    fn is_names(&self) -> bool {
        !self.descendant
            && self
                .selectors
                .iter()
                .all(|s| matches!(s, Selector::Name(..)))
    }
}

impl Path {
    /// As it was written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Where it starts.
    pub fn root(&self) -> Root {
        self.root
    }

    /// Whether it is a path of plain names (each a single name), so that it selects at most one value.
    pub fn is_plain(&self) -> bool {
        self.plain.is_some()
    }

    /// Whether an edit at it has an `item`: what the last wildcard, filter, index or slice selected. Names have none, one or several.
    pub fn has_item(&self) -> bool {
        !self.segments.iter().all(Segment::is_names)
    }

    /// Whether there is a `..` in it, outside of filters.
    pub fn has_descendants(&self) -> bool {
        self.segments.iter().any(|segment| segment.descendant)
    }

    /// The names of a plain path from the object's root, with the kind's Pod prefix; `None` if it is not plain, or starts at the Pod of a
    /// kind that has none.
    pub fn plain_names(&self, pod: PodPrefix) -> Option<Vec<Key>> {
        let names = self.plain.as_ref()?;
        let prefix: &[&str] = if self.root == Root::Object { &[] } else { pod? };
        Some(
            prefix
                .iter()
                .map(|name| Key::new(name))
                .chain(names.iter().cloned())
                .collect(),
        )
    }

    /// Whether it selects by filters, so that what stands there decides whether it is selected.
    pub fn has_filter(&self) -> bool {
        let mut selectors = self.segments.iter().flat_map(|s| &s.selectors);
        selectors.any(|selector| matches!(selector, Selector::Filter(_)))
    }

    /// Whether what it selects and what another one does may be the same, or lie one in the other. As far as their first names say.
    pub fn may_meet(&self, other: &Path, pod: PodPrefix) -> bool {
        let leading = |path: &Path| {
            let prefix: &[&str] = match path.root {
                Root::Object => &[],
                _ => pod.unwrap_or_default(),
            };
            let names = path.segments.iter().map_while(Segment::name);
            let prefix = prefix.iter().map(|name| Key::new(name));
            prefix.chain(names.cloned()).collect::<Vec<Key>>()
        };
        let (own, others) = (leading(self), leading(other));
        own.iter().zip(&others).all(|(a, b)| a == b)
    }

    /// Whether it reads only below `metadata`, or `apiVersion` and `kind`.
    pub fn is_metadata_only(&self) -> bool {
        self.root == Root::Object
            && starts_in_metadata(&self.segments)
            && self
                .segments
                .iter()
                .flat_map(|segment| &segment.selectors)
                .all(|selector| match selector {
                    Selector::Filter(filter) => filter
                        .queries()
                        .into_iter()
                        .all(|query| !query.absolute || starts_in_metadata(&query.segments)),
                    _ => true,
                })
    }

    /// Where it reads `metadata.managedFields` of the object, for a message: what it names there is not kept.
    pub fn managed_fields(&self) -> Option<PathProblem> {
        let filters = self.segments.iter().flat_map(|segment| &segment.selectors);
        let mut queries = filters.filter_map(|selector| match selector {
            Selector::Filter(filter) => Some(filter.queries()),
            _ => None,
        });
        let place = (self.root == Root::Object)
            .then(|| names_managed_fields(&self.segments))
            .flatten()
            .or_else(|| {
                let from_root = queries.by_ref().flatten().filter(|query| query.absolute);
                let mut found = from_root.filter_map(|query| names_managed_fields(&query.segments));
                found.next()
            })?;
        Some(
            place
                .problem(NO_MANAGED_FIELDS)
                .mended(INSTEAD_OF_MANAGED_FIELDS),
        )
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
}

/// What reads `metadata.managedFields` is told.
pub const NO_MANAGED_FIELDS: &str =
    "Ordain keeps no `metadata.managedFields` of any object: this would never find one";
/// What to read instead.
pub const INSTEAD_OF_MANAGED_FIELDS: &str = "read what says it otherwise: an annotation, `$.metadata.creationTimestamp`, `$.metadata.generation`";

/// The place of `managedFields` in a path that names it below `metadata`.
fn names_managed_fields(segments: &[Segment]) -> Option<Span> {
    let [metadata, below, ..] = segments else {
        return None;
    };
    let named = |segment: &Segment, name: &str| {
        segment
            .selectors
            .iter()
            .find_map(|selector| match selector {
                Selector::Name(key, place) if key.as_str() == name => Some(*place),
                _ => None,
            })
    };
    named(metadata, "metadata").and_then(|_| named(below, "managedFields"))
}

fn starts_in_metadata(segments: &[Segment]) -> bool {
    segments.first().is_some_and(|first| {
        !first.descendant
            && first.selectors.iter().all(|selector| match selector {
                Selector::Name(key, _) => {
                    ["metadata", "apiVersion", "kind"].contains(&key.as_str())
                }
                _ => false,
            })
    })
}

#[cfg(test)]
mod tests;
