//! What a path selects in a record, in document order, without allocating for paths of names, wildcards and indexes.

use super::{Comparison, Filter, Operand, Path, PodPrefix, Query, Root, Segment, Selector};
use crate::object::{Node, NodeKind};
use serde_json::Value;
use std::cmp::Ordering;

/// Answers whether to go on.
type Found<'f, 'a> = &'f mut dyn FnMut(Node<'a>) -> bool;

impl Path {
    /// Calls `found` for each selected value, in document order; null values are passed over. Stops when it answers false.
    pub fn select<'a>(
        &self,
        root: Node<'a>,
        pod: PodPrefix,
        found: &mut dyn FnMut(Node<'a>) -> bool,
    ) {
        let start = if self.root == Root::Object {
            root
        } else {
            let Some(start) = pod.and_then(|names| root.path(names)) else {
                return;
            };
            start
        };
        if let Some(names) = &self.plain {
            let last = names.iter().try_fold(start, |node, name| node.get(name));
            if let Some(node) = last.filter(|n| !n.is_null()) {
                found(node);
            }
            return;
        }
        walk(start, &self.segments, root, found);
    }
}

/// The value at a possibly negative index.
fn at_index(node: Node<'_>, index: i64) -> Option<Node<'_>> {
    if index >= 0 {
        return node.at(usize::try_from(index).ok()?);
    }
    let length = node.items().count();
    length
        .checked_sub(usize::try_from(index.unsigned_abs()).ok()?)
        .and_then(|i| node.at(i))
}

/// The indexes a slice selects, as RFC 9535 section 2.3.4 computes them.
pub(super) fn slice_indexes(
    length: usize,
    start: Option<i64>,
    end: Option<i64>,
    step: i64,
) -> Vec<usize> {
    let n = length as i64;
    if step == 0 || n == 0 {
        return vec![];
    }
    let normal = |i: i64| if i >= 0 { i } else { n.saturating_add(i) };
    let mut out = vec![];
    if step > 0 {
        let (lower, upper) = (
            normal(start.unwrap_or(0)).clamp(0, n),
            normal(end.unwrap_or(n)).clamp(0, n),
        );
        let mut i = lower;
        while i < upper {
            out.push(i as usize);
            i = i.saturating_add(step);
        }
    } else {
        let upper = start.map_or(n - 1, normal).clamp(-1, n - 1);
        let lower = end.map_or(-1, normal).clamp(-1, n - 1);
        let mut i = upper;
        while i > lower {
            out.push(i as usize);
            i = i.saturating_add(step);
        }
    }
    out
}

/// Calls `each` for the children that one selector selects.
pub(super) fn children<'a>(
    node: Node<'a>,
    selector: &Selector,
    root: Node<'a>,
    each: Found<'_, 'a>,
) -> bool {
    match selector {
        Selector::Name(key, _) => node.get(key).is_none_or(each),
        Selector::Index(index) => at_index(node, *index).is_none_or(each),
        Selector::Wildcard => match node.kind() {
            NodeKind::List => node.items().all(each),
            _ => node.entries().all(|(_, child)| each(child)),
        },
        Selector::Slice(start, end, step) => {
            let items: Vec<Node<'a>> = node.items().collect();
            slice_indexes(items.len(), *start, *end, *step)
                .into_iter()
                .all(|i| each(items[i]))
        }
        Selector::Filter(filter) => {
            let mut passing = |child: Node<'a>| !passes(filter, child, root) || each(child);
            match node.kind() {
                NodeKind::List => node.items().all(&mut passing),
                _ => node.entries().all(|(_, child)| passing(child)),
            }
        }
    }
}

fn walk<'a>(node: Node<'a>, segments: &[Segment], root: Node<'a>, found: Found<'_, 'a>) -> bool {
    let Some((segment, rest)) = segments.split_first() else {
        return node.is_null() || found(node);
    };
    for selector in &segment.selectors {
        if !children(node, selector, root, &mut |child| {
            walk(child, rest, root, found)
        }) {
            return false;
        }
    }
    if segment.descendant {
        let mut below = |child: Node<'a>| walk(child, segments, root, found);
        return match node.kind() {
            NodeKind::List => node.items().all(&mut below),
            _ => node.entries().all(|(_, child)| below(child)),
        };
    }
    true
}

/// The first value of a query, null passed over.
fn first<'a>(query: &Query, current: Node<'a>, root: Node<'a>) -> Option<Node<'a>> {
    let mut first = None;
    walk(
        if query.absolute { root } else { current },
        &query.segments,
        root,
        &mut |node| {
            first = Some(node);
            false
        },
    );
    first
}

/// Whether an element passes a filter.
pub(super) fn passes<'a>(filter: &Filter, current: Node<'a>, root: Node<'a>) -> bool {
    match filter {
        Filter::Or(all) => all.iter().any(|f| passes(f, current, root)),
        Filter::And(all) => all.iter().all(|f| passes(f, current, root)),
        Filter::Not(inner) => !passes(inner, current, root),
        Filter::Exists(query) => first(query, current, root).is_some(),
        Filter::Regex(text, regex) => match resolve(text, current, root) {
            Resolved::Node(node) => node.as_str().is_some_and(|t| regex.is_match(t)),
            Resolved::Literal(Value::String(t)) => regex.is_match(t),
            _ => false,
        },
        Filter::Compare(comparison, left, right) => compare(
            *comparison,
            &resolve(left, current, root),
            &resolve(right, current, root),
        ),
    }
}

/// What an operand is for one element.
enum Resolved<'f, 'a> {
    Nothing,
    Node(Node<'a>),
    Literal(&'f Value),
    Number(i64),
}

fn resolve<'f, 'a>(operand: &'f Operand, current: Node<'a>, root: Node<'a>) -> Resolved<'f, 'a> {
    match operand {
        Operand::Literal(value) => Resolved::Literal(value),
        Operand::Query(query) => {
            first(query, current, root).map_or(Resolved::Nothing, Resolved::Node)
        }
        Operand::Length(inner) => {
            let length = match resolve(inner, current, root) {
                Resolved::Node(node) => node.len(),
                Resolved::Literal(Value::String(text)) => Some(text.chars().count()),
                _ => None,
            };
            length.map_or(Resolved::Nothing, |n| Resolved::Number(n as i64))
        }
        Operand::Count(query) => {
            let mut count = 0;
            walk(
                if query.absolute { root } else { current },
                &query.segments,
                root,
                &mut |_| {
                    count += 1;
                    true
                },
            );
            Resolved::Number(count)
        }
        Operand::Value(query) => {
            let mut values = vec![];
            walk(
                if query.absolute { root } else { current },
                &query.segments,
                root,
                &mut |node| {
                    values.push(node);
                    values.len() < 2
                },
            );
            match values[..] {
                [one] => Resolved::Node(one),
                _ => Resolved::Nothing,
            }
        }
    }
}

impl Resolved<'_, '_> {
    fn integer(&self) -> Option<i64> {
        match self {
            Resolved::Node(node) => node.as_i64(),
            Resolved::Literal(value) => value.as_i64(),
            Resolved::Number(n) => Some(*n),
            Resolved::Nothing => None,
        }
    }
    fn number(&self) -> Option<f64> {
        match self {
            Resolved::Node(node) => node.as_f64(),
            Resolved::Literal(value) => value.as_f64(),
            Resolved::Number(n) => Some(*n as f64),
            Resolved::Nothing => None,
        }
    }
    fn text(&self) -> Option<&str> {
        match self {
            Resolved::Node(node) => node.as_str(),
            Resolved::Literal(value) => value.as_str(),
            _ => None,
        }
    }
}

fn equal(left: &Resolved<'_, '_>, right: &Resolved<'_, '_>) -> bool {
    match (left, right) {
        (Resolved::Nothing, Resolved::Nothing) => true,
        (Resolved::Nothing, _) | (_, Resolved::Nothing) => false,
        (Resolved::Node(a), Resolved::Node(b)) => a.same(*b),
        (Resolved::Node(node), Resolved::Literal(value))
        | (Resolved::Literal(value), Resolved::Node(node)) => node.equals(value),
        (Resolved::Literal(a), Resolved::Literal(b)) => a == b,
        (Resolved::Number(n), other) | (other, Resolved::Number(n)) => {
            other.number() == Some(*n as f64)
        }
    }
}

/// Numbers and texts have an order; everything else has none.
fn order(left: &Resolved<'_, '_>, right: &Resolved<'_, '_>) -> Option<Ordering> {
    if let (Some(a), Some(b)) = (left.integer(), right.integer()) {
        return Some(a.cmp(&b));
    }
    match (left.number(), right.number()) {
        (Some(a), Some(b)) => a.partial_cmp(&b),
        _ => Some(left.text()?.cmp(right.text()?)),
    }
}

fn compare(comparison: Comparison, left: &Resolved<'_, '_>, right: &Resolved<'_, '_>) -> bool {
    match comparison {
        Comparison::Equal => equal(left, right),
        Comparison::NotEqual => !equal(left, right),
        Comparison::Less => order(left, right) == Some(Ordering::Less),
        Comparison::Greater => order(left, right) == Some(Ordering::Greater),
        Comparison::LessOrEqual => order(left, right) == Some(Ordering::Less) || equal(left, right),
        Comparison::GreaterOrEqual => {
            order(left, right) == Some(Ordering::Greater) || equal(left, right)
        }
    }
}
