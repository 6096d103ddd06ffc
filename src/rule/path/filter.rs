//! The tests inside a path: `?@.name == 'x' && !search(@.image, '^registry/')`.

use super::super::number::Number;
use super::walk::{children, walk};
use super::{Segment, Selector};
use crate::object::{Node, NodeKind};
use regex::Regex;
use serde_json::Value;
use std::cmp::Ordering;
use std::fmt;

/// A logical expression.
#[derive(Clone, Debug)]
pub(super) enum Filter {
    Or(Vec<Filter>),
    And(Vec<Filter>),
    Not(Box<Filter>),
    /// Something is selected.
    Exists(Query),
    Compare(Comparison, Operand, Operand),
    /// `search` unanchored, `match` anchored: the text, the pattern.
    Regex(Operand, Regex),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Comparison {
    Equal,
    NotEqual,
    Less,
    AtMost,
    Greater,
    AtLeast,
}

/// A path inside a filter.
#[derive(Clone, Debug)]
pub(super) struct Query {
    /// From `$`, not from `@`.
    pub(super) absolute: bool,
    pub(super) segments: Vec<Segment>,
}

/// A side of a comparison.
#[derive(Clone, Debug)]
pub(super) enum Operand {
    Literal(Value),
    /// A query of names and indexes: at most one value.
    Query(Query),
    /// `length(…)`
    Length(Box<Operand>),
    /// `count(…)`
    Count(Query),
    /// `value(…)`: the value if exactly one is selected.
    Value(Query),
}

/// A value to compare. Absent and null are both nothing.
#[derive(Clone, Copy)]
enum Compared<'f, 'a> {
    Nothing,
    Node(Node<'a>),
    Literal(&'f Value),
    Number(Number),
}

impl Query {
    /// Whether it is names and indexes only.
    pub(super) fn is_singular(&self) -> bool {
        self.segments.iter().all(|segment| {
            !segment.descendant
                && matches!(
                    segment.selectors.as_slice(),
                    [Selector::Name(..) | Selector::Index(_)]
                )
        })
    }

    /// Calls `found` for each value that is not null until it answers false.
    fn each<'a>(&self, root: Node<'a>, current: Node<'a>, found: &mut dyn FnMut(Node<'a>) -> bool) {
        let start = if self.absolute { root } else { current };
        walk(root, start, &self.segments, found);
    }

    fn first<'a>(&self, root: Node<'a>, current: Node<'a>) -> Option<Node<'a>> {
        let mut first = None;
        self.each(root, current, &mut |node| {
            first = Some(node);
            false
        });
        first
    }
}

impl fmt::Display for Query {
    /// As one would write it; only for paths of names and indexes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.absolute { "$" } else { "@" })?;
        for selector in self.segments.iter().flat_map(|segment| &segment.selectors) {
            match selector {
                Selector::Name(key, _) if is_shorthand(key.as_str()) => {
                    write!(f, ".{}", key.as_str())?
                }
                Selector::Name(key, _) => write!(
                    f,
                    "['{}']",
                    key.as_str().replace('\\', "\\\\").replace('\'', "\\'")
                )?,
                Selector::Index(index) => write!(f, "[{index}]")?,
                _ => f.write_str("[…]")?,
            }
        }
        Ok(())
    }
}

/// Whether a name can stand behind a dot.
fn is_shorthand(name: &str) -> bool {
    !name.starts_with(|c: char| c.is_ascii_digit())
        && !name.is_empty()
        && name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || c == '_' || !c.is_ascii())
}

impl Filter {
    /// Whether `current` passes; `root` is what `$` means.
    pub(super) fn holds(&self, root: Node<'_>, current: Node<'_>) -> bool {
        match self {
            Filter::Or(all) => all.iter().any(|filter| filter.holds(root, current)),
            Filter::And(all) => all.iter().all(|filter| filter.holds(root, current)),
            Filter::Not(inner) => !inner.holds(root, current),
            Filter::Exists(query) => query.first(root, current).is_some(),
            Filter::Compare(comparison, left, right) => {
                comparison.holds(left.value(root, current), right.value(root, current))
            }
            Filter::Regex(text, regex) => match text.value(root, current) {
                Compared::Node(node) => node.as_str().is_some_and(|text| regex.is_match(text)),
                Compared::Literal(value) => value.as_str().is_some_and(|text| regex.is_match(text)),
                _ => false,
            },
        }
    }

    /// The paths in it, also those of filters inside them.
    pub(super) fn queries(&self) -> Vec<&Query> {
        let mut queries = Vec::new();
        self.gather(&mut queries);
        queries
    }

    fn gather<'f>(&'f self, queries: &mut Vec<&'f Query>) {
        match self {
            Filter::Or(all) | Filter::And(all) => {
                all.iter().for_each(|filter| filter.gather(queries))
            }
            Filter::Not(inner) => inner.gather(queries),
            Filter::Exists(query) => query.gather(queries),
            Filter::Compare(_, left, right) => {
                left.gather(queries);
                right.gather(queries);
            }
            Filter::Regex(text, _) => text.gather(queries),
        }
    }
}

impl Query {
    fn gather<'f>(&'f self, queries: &mut Vec<&'f Query>) {
        queries.push(self);
        for selector in self.segments.iter().flat_map(|segment| &segment.selectors) {
            if let Selector::Filter(filter) = selector {
                filter.gather(queries);
            }
        }
    }
}

impl Operand {
    fn gather<'f>(&'f self, queries: &mut Vec<&'f Query>) {
        if let Some(query) = self.query() {
            query.gather(queries);
        }
    }

    /// The path in it, if it is no literal.
    pub(super) fn query(&self) -> Option<&Query> {
        match self {
            Operand::Literal(_) => None,
            Operand::Query(query) | Operand::Count(query) | Operand::Value(query) => Some(query),
            Operand::Length(inner) => inner.query(),
        }
    }

    fn value<'f, 'a>(&'f self, root: Node<'a>, current: Node<'a>) -> Compared<'f, 'a> {
        let number = |n: usize| Compared::Number(Number::Int(i64::try_from(n).unwrap_or(i64::MAX)));
        match self {
            Operand::Literal(Value::Null) => Compared::Nothing,
            Operand::Literal(value) => Compared::Literal(value),
            Operand::Query(query) => query
                .first(root, current)
                .map_or(Compared::Nothing, Compared::Node),
            Operand::Length(inner) => {
                let length = match inner.value(root, current) {
                    Compared::Node(node) => node.len(),
                    Compared::Literal(Value::String(text)) => Some(text.chars().count()),
                    _ => None,
                };
                length.map_or(Compared::Nothing, number)
            }
            Operand::Count(query) => {
                let mut count = 0;
                query.each(root, current, &mut |_| {
                    count += 1;
                    true
                });
                number(count)
            }
            Operand::Value(query) => {
                let mut only = None;
                let mut several = false;
                query.each(root, current, &mut |node| {
                    several = only.is_some();
                    only = Some(node);
                    !several
                });
                match only {
                    Some(node) if !several => Compared::Node(node),
                    _ => Compared::Nothing,
                }
            }
        }
    }
}

impl<'a> Compared<'_, 'a> {
    fn number(self) -> Option<Number> {
        match self {
            Compared::Nothing => None,
            Compared::Node(node) => Number::of_node(node),
            Compared::Literal(value) => Number::of_value(value),
            Compared::Number(number) => Some(number),
        }
    }

    fn text(&self) -> Option<&str> {
        match self {
            Compared::Node(node) => node.as_str(),
            Compared::Literal(value) => value.as_str(),
            _ => None,
        }
    }

    fn equals(self, other: Compared<'_, '_>) -> bool {
        if let (Some(a), Some(b)) = (self.number(), other.number()) {
            return a.compare(b) == Some(Ordering::Equal);
        }
        match (self, other) {
            (Compared::Nothing, Compared::Nothing) => true,
            (Compared::Node(a), Compared::Node(b)) => a.same(b),
            (Compared::Node(node), Compared::Literal(value))
            | (Compared::Literal(value), Compared::Node(node)) => node.equals(value),
            (Compared::Literal(a), Compared::Literal(b)) => a == b,
            _ => false,
        }
    }

    /// Numbers with numbers, texts with texts (by code points); nothing else has an order.
    fn order(self, other: Compared<'_, '_>) -> Option<Ordering> {
        match (self.number(), other.number()) {
            (Some(a), Some(b)) => a.compare(b),
            _ => Some(self.text()?.cmp(other.text()?)),
        }
    }
}

impl Comparison {
    fn holds(self, left: Compared<'_, '_>, right: Compared<'_, '_>) -> bool {
        match self {
            Comparison::Equal => left.equals(right),
            Comparison::NotEqual => !left.equals(right),
            Comparison::Less => left.order(right) == Some(Ordering::Less),
            Comparison::Greater => left.order(right) == Some(Ordering::Greater),
            // RFC 9535: `<=` is `<` or `==`, also for values without an order.
            Comparison::AtMost => left.order(right) == Some(Ordering::Less) || left.equals(right),
            Comparison::AtLeast => {
                left.order(right) == Some(Ordering::Greater) || left.equals(right)
            }
        }
    }
}

/// The children of a value that pass, in order, until `found` answers false.
pub(super) fn passing<'a>(
    filter: &Filter,
    root: Node<'a>,
    node: Node<'a>,
    found: &mut dyn FnMut(Node<'a>) -> bool,
) -> bool {
    if !matches!(node.kind(), NodeKind::List | NodeKind::Map) {
        return true;
    }
    children(node, &mut |child| {
        !filter.holds(root, child) || found(child)
    })
}
