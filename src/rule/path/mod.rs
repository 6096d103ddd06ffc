//! JSONPath (RFC 9535) from one of three roots. The only user of the JSONPath crate, and of it only the parser: the walk is our own,
//! over records, because the crate hands out references and cannot walk a flat record.
//!
//! `parse` text to a compiled path · `walk` what a path selects · `places` where an edit goes · `check` a path against a kind's schema.
//! null counts as absent everywhere.

mod check;
mod parse;
mod places;
mod walk;

use crate::object::{Key, Node};
use regex::Regex;
use serde_json::Value;
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
    /// From the object's root, or from the Pod for the other two roots.
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
    /// What is wrong.
    pub message: String,
    /// What to write instead.
    pub mend: Option<String>,
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
    /// How many hops of `location` lead to what the last wildcard, filter, index or slice selected (`item`); `None` for a path of plain names.
    pub item: Option<usize>,
    /// Whether the value is there (null counts as absent).
    pub present: bool,
}

/// How a kind keeps its Pod; the context every walk needs. Empty for Pod itself, `None` if it has none (then `$pod` selects nothing).
pub type PodPrefix = Option<&'static [&'static str]>;

#[derive(Clone, Debug)]
struct Segment {
    /// `..`: this and everything below.
    descendant: bool,
    selectors: SmallVec<[Selector; 1]>,
}

impl Segment {
    /// The one name, if that is all it selects.
    fn name(&self) -> Option<&Key> {
        match (self.descendant, self.selectors.as_slice()) {
            (false, [Selector::Name(key, _)]) => Some(key),
            _ => None,
        }
    }
}

#[derive(Clone, Debug)]
enum Selector {
    /// And its byte offset in the text.
    Name(Key, usize),
    Wildcard,
    Index(i64),
    Slice(Option<i64>, Option<i64>, i64),
    Filter(Box<Filter>),
}

#[derive(Clone, Debug)]
enum Filter {
    Or(Vec<Filter>),
    And(Vec<Filter>),
    Not(Box<Filter>),
    Exists(Query),
    Compare(Comparison, Operand, Operand),
    /// `match` and `search`: the text, and the pattern (anchored for `match`).
    Regex(Operand, Regex),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

#[derive(Clone, Debug)]
struct Query {
    /// `$…` inside a filter: from the object, not from the element.
    absolute: bool,
    segments: Vec<Segment>,
}

#[derive(Clone, Debug)]
enum Operand {
    Literal(Value),
    /// The first value of a singular query.
    Query(Query),
    /// `length(…)`
    Length(Box<Operand>),
    /// `count(…)`
    Count(Query),
    /// `value(…)`: the value if there is exactly one.
    Value(Query),
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

    /// Whether it is a path of plain names, so that it selects at most one value.
    pub fn is_plain(&self) -> bool {
        self.plain.is_some()
    }

    /// Whether it has a `..`.
    pub fn has_descendants(&self) -> bool {
        self.segments.iter().any(|s| s.descendant)
    }

    /// The names of a plain path from the object's root, with the kind's Pod prefix; `None` if it is not plain, or the kind has no Pod.
    pub fn plain_names(&self, pod: PodPrefix) -> Option<Vec<Key>> {
        let names = self.plain.as_ref()?;
        let prefix: &[&str] = if self.root == Root::Object { &[] } else { pod? };
        Some(
            prefix
                .iter()
                .map(|n| Key::new(n))
                .chain(names.iter().cloned())
                .collect(),
        )
    }

    /// Whether it reads only below `metadata`, or `apiVersion` and `kind`.
    pub fn is_metadata_only(&self) -> bool {
        self.root == Root::Object && only_metadata(&self.segments, true)
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

/// `from_root`: these segments start at the object; else at an element that is known to be metadata already.
fn only_metadata(segments: &[Segment], from_root: bool) -> bool {
    if from_root {
        let Some(first) = segments.first() else {
            return false;
        };
        let names = |s: &Selector| matches!(s, Selector::Name(k, _) if ["metadata", "apiVersion", "kind"].contains(&k.as_str()));
        if first.descendant || !first.selectors.iter().all(names) {
            return false;
        }
    }
    segments.iter().flat_map(|s| &s.selectors).all(|s| match s {
        Selector::Filter(filter) => filter_only_metadata(filter),
        _ => true,
    })
}

fn filter_only_metadata(filter: &Filter) -> bool {
    let query = |q: &Query| only_metadata(&q.segments, q.absolute);
    fn operand(o: &Operand, query: &dyn Fn(&Query) -> bool) -> bool {
        match o {
            Operand::Literal(_) => true,
            Operand::Query(q) | Operand::Count(q) | Operand::Value(q) => query(q),
            Operand::Length(inner) => operand(inner, query),
        }
    }
    match filter {
        Filter::Or(all) | Filter::And(all) => all.iter().all(filter_only_metadata),
        Filter::Not(inner) => filter_only_metadata(inner),
        Filter::Exists(q) => query(q),
        Filter::Compare(_, a, b) => operand(a, &query) && operand(b, &query),
        Filter::Regex(a, _) => operand(a, &query),
    }
}

#[cfg(test)]
mod tests;
