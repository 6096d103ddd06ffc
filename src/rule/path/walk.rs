//! What a path selects. Recursion is as deep as the path has segments and the object levels, both bounded; the fast way through plain
//! names has none and allocates nothing.

use super::{Path, PodPrefix, Root, Segment, Selector, filter};
use crate::object::{Key, Node};
use smallvec::SmallVec;
use std::sync::LazyLock;

/// The names that lead to a Pod in every built-in kind, interned once.
static POD_NAMES: LazyLock<[Key; 3]> = LazyLock::new(|| {
    [
        Key::new("spec"),
        Key::new("template"),
        Key::new("jobTemplate"),
    ]
});

/// The Pod of an object.
pub(super) fn pod<'a>(root: Node<'a>, prefix: PodPrefix) -> Option<Node<'a>> {
    prefix?.iter().try_fold(root, |node, name| {
        match POD_NAMES.iter().find(|key| key.as_str() == *name) {
            Some(key) => node.get(key),
            None => node.get_str(name),
        }
    })
}

impl Path {
    /// Calls `found` for each selected value, in document order; null values are passed over (null counts as absent). Stops when it answers
    /// false. `$` is `root`, also inside filters.
    pub fn select<'a>(
        &self,
        root: Node<'a>,
        pod_prefix: PodPrefix,
        found: &mut dyn FnMut(Node<'a>) -> bool,
    ) {
        let start = match self.root {
            Root::Object => Some(root),
            Root::Pod | Root::Containers => pod(root, pod_prefix),
        };
        let Some(start) = start else {
            return;
        };
        match &self.plain {
            Some(names) => {
                if let Some(node) = names.iter().try_fold(start, |node, name| node.get(name))
                    && !node.is_null()
                {
                    found(node);
                }
            }
            None => {
                walk(root, start, &self.segments, found);
            }
        }
    }
}

/// Answers false once `found` did.
pub(super) fn walk<'a>(
    root: Node<'a>,
    node: Node<'a>,
    segments: &[Segment],
    found: &mut dyn FnMut(Node<'a>) -> bool,
) -> bool {
    let Some((segment, rest)) = segments.split_first() else {
        return node.is_null() || found(node);
    };
    if segment.descendant {
        descend(root, node, segment, rest, found)
    } else {
        step(root, node, segment, rest, found)
    }
}

/// `..`: a value before what is below it.
fn descend<'a>(
    root: Node<'a>,
    node: Node<'a>,
    segment: &Segment,
    rest: &[Segment],
    found: &mut dyn FnMut(Node<'a>) -> bool,
) -> bool {
    step(root, node, segment, rest, found)
        && children(node, &mut |child| {
            descend(root, child, segment, rest, found)
        })
}

fn step<'a>(
    root: Node<'a>,
    node: Node<'a>,
    segment: &Segment,
    rest: &[Segment],
    found: &mut dyn FnMut(Node<'a>) -> bool,
) -> bool {
    segment.selectors.iter().all(|selector| match selector {
        Selector::Name(key, _) => node
            .get(key)
            .is_none_or(|child| walk(root, child, rest, found)),
        Selector::Wildcard => children(node, &mut |child| walk(root, child, rest, found)),
        Selector::Index(index) => {
            element(node, *index).is_none_or(|(_, child)| walk(root, child, rest, found))
        }
        Selector::Slice(start, end, by) => slice(node, *start, *end, *by)
            .into_iter()
            .all(|(_, child)| walk(root, child, rest, found)),
        Selector::Filter(test) => filter::passing(test, root, node, &mut |child| {
            walk(root, child, rest, found)
        }),
    })
}

/// Elements or members, in order, until `found` answers false.
pub(super) fn children<'a>(node: Node<'a>, found: &mut dyn FnMut(Node<'a>) -> bool) -> bool {
    node.items().all(&mut *found) && node.entries().all(|(_, child)| found(child))
}

/// An element and its index from the front; a negative index counts from the end.
pub(super) fn element(node: Node<'_>, index: i64) -> Option<(usize, Node<'_>)> {
    let at = match usize::try_from(index) {
        Ok(at) => at,
        Err(_) => {
            let back = usize::try_from(index.unsigned_abs()).ok()?;
            node.items().count().checked_sub(back)?
        }
    };
    node.items().nth(at).map(|child| (at, child))
}

/// The elements of a slice with their indexes, as RFC 9535 (2.3.4.2.2) bounds them.
pub(super) fn slice(
    node: Node<'_>,
    start: Option<i64>,
    end: Option<i64>,
    step: i64,
) -> SmallVec<[(usize, Node<'_>); 8]> {
    let mut elements: SmallVec<[(usize, Node<'_>); 8]> = node.items().enumerate().collect();
    let length = i64::try_from(elements.len()).unwrap_or(i64::MAX);
    if step == 0 || length == 0 {
        return SmallVec::new();
    }
    let normal = |index: i64| {
        if index >= 0 {
            index
        } else {
            length.saturating_add(index)
        }
    };
    let forward = step > 0;
    let (lowest, highest) = if forward {
        (0, length)
    } else {
        (-1, length - 1)
    };
    let bound = |index: Option<i64>, otherwise: i64| {
        index.map_or(otherwise, |index| normal(index).clamp(lowest, highest))
    };
    let (from, to) = if forward {
        (bound(start, 0), bound(end, length))
    } else {
        (bound(start, length - 1), bound(end, -1))
    };
    if forward {
        let step = usize::try_from(step).unwrap_or(usize::MAX);
        let mut index = 0usize;
        elements.retain(|(at, _)| {
            let at = *at as i64;
            let taken = at >= from && at < to && index.is_multiple_of(step);
            if at >= from && at < to {
                index += 1;
            }
            taken
        });
        return elements;
    }
    let mut taken = SmallVec::new();
    let mut index = from;
    while index > to {
        if let Some(element) = usize::try_from(index).ok().and_then(|at| elements.get(at)) {
            taken.push(*element);
        }
        index = index.saturating_add(step);
    }
    taken
}
