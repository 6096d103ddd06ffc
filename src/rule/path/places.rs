//! The places an edit at a path means: existing ones, and for a trailing run of plain names also those that are not there yet.

use super::walk::{children, element, pod as pod_of, slice};
use super::{CONTAINER_LISTS, Hop, Location, Path, Place, PodPrefix, Root, Segment, Selector};
use crate::object::{Node, NodeKind};
use ahash::AHashSet;

/// The list of containers that no edit touches: it can only be changed through a subresource of its own.
const NOT_EDITED: &str = CONTAINER_LISTS[2];

impl Path {
    /// The places an edit at this path means. `$containers[*].resources.limits` names one place per container, there or not. A path with
    /// `..` names none (a load error). `$containers` leaves `ephemeralContainers` out.
    pub fn places(&self, root: Node<'_>, pod: PodPrefix) -> Vec<Place> {
        let mut walk = Walk {
            root,
            location: Location::new(),
            item: None,
            places: vec![],
            containers: self.root == Root::Containers,
        };
        let mut start = Some(root);
        if self.root != Root::Object {
            let Some(prefix) = pod else { return vec![] };
            for name in prefix {
                walk.location.push(Hop::Name((*name).into()));
                start = start.and_then(|n| n.get_str(name));
            }
        }
        walk.go(start.filter(|n| !n.is_null()), &self.segments);
        let mut places = walk.places;
        if self.segments.iter().any(|s| s.selectors.len() > 1) {
            // Overlapping selectors (`[0,-1]`) mean a place once.
            let mut seen = AHashSet::new();
            places.retain(|place| seen.insert(place.location.clone()));
        }
        places
    }
}

/// Answers whether to go on; told the item and what stands at the place.
type Target<'f, 'a> = &'f mut dyn FnMut(Option<Node<'a>>, Option<Node<'a>>) -> bool;

impl Path {
    /// As [`Path::places`], but tells only the item of each place and what stands there (null counts as absent), mostly without allocating.
    /// A place that overlapping selectors mean twice is told twice. Stops when `found` answers false, and then answers false itself.
    pub fn targets<'a>(&self, root: Node<'a>, pod: PodPrefix, found: Target<'_, 'a>) -> bool {
        let start = match (self.root, pod) {
            (Root::Object, _) => Some(root),
            (_, None) => return true,
            _ => pod_of(root, pod).filter(|n| !n.is_null()),
        };
        let containers = self.root == Root::Containers;
        target(start, None, &self.segments, (root, containers), found)
    }
}

fn target<'a>(
    node: Option<Node<'a>>,
    item: Option<Node<'a>>,
    segments: &[Segment],
    (root, containers): (Node<'a>, bool),
    found: Target<'_, 'a>,
) -> bool {
    let Some((segment, rest)) = segments.split_first() else {
        return found(item, node);
    };
    if segment.descendant {
        return true;
    }
    let only_names = segment.is_names();
    let may_be_absent = only_names && rest.iter().all(Segment::is_names);
    let leaves_out = containers && only_names && segment.selectors.len() > 1;
    for selector in &segment.selectors {
        let mut below = |child: Node<'a>| {
            child.is_null()
                || target(
                    Some(child),
                    Some(child),
                    rest,
                    (root, containers),
                    &mut *found,
                )
        };
        let go_on = match (selector, node) {
            (Selector::Name(name, _), _) if leaves_out && name.as_str() == NOT_EDITED => true,
            (Selector::Name(name, _), _) => {
                let member = node.and_then(|n| n.get(name)).filter(|n| !n.is_null());
                !(member.is_some() || may_be_absent)
                    || target(member, item, rest, (root, containers), &mut *found)
            }
            (_, None) => true,
            (Selector::Wildcard, Some(node)) => children(node, &mut below),
            (Selector::Filter(filter), Some(node)) => children(node, &mut |child| {
                !filter.holds(root, child) || below(child)
            }),
            (Selector::Index(index), Some(node)) => {
                element(node, *index).is_none_or(|(_, child)| below(child))
            }
            (Selector::Slice(start, end, step), Some(node)) => slice(node, *start, *end, *step)
                .into_iter()
                .all(|(_, child)| below(child)),
        };
        if !go_on {
            return false;
        }
    }
    true
}

struct Walk<'a> {
    root: Node<'a>,
    location: Location,
    item: Option<usize>,
    places: Vec<Place>,
    containers: bool,
}

impl<'a> Walk<'a> {
    /// `node`: what stands at `location`; `None` if nothing does.
    fn go(&mut self, node: Option<Node<'a>>, segments: &[Segment]) {
        let Some((segment, rest)) = segments.split_first() else {
            let place = Place {
                location: self.location.clone(),
                item: self.item,
                present: node.is_some(),
            };
            self.places.push(place);
            return;
        };
        if segment.descendant {
            return;
        }
        if segment.is_names() {
            // What is not there is a place only if names alone lead to it: no element can be meant that does not exist.
            let may_be_absent = rest.iter().all(Segment::is_names);
            for selector in &segment.selectors {
                let Selector::Name(name, _) = selector else {
                    continue;
                };
                if self.containers && segment.selectors.len() > 1 && name.as_str() == NOT_EDITED {
                    continue;
                }
                let below = node.and_then(|n| n.get(name)).filter(|n| !n.is_null());
                if below.is_some() || may_be_absent {
                    self.step(Hop::Name(name.as_str().into()), below, rest);
                }
            }
            return;
        }
        let Some(node) = node else { return };
        for selector in &segment.selectors {
            self.select(node, selector, rest);
        }
    }

    fn step(&mut self, hop: Hop, node: Option<Node<'a>>, rest: &[Segment]) {
        self.location.push(hop);
        self.go(node, rest);
        self.location.pop();
    }

    fn element(&mut self, hop: Hop, node: Node<'a>, rest: &[Segment]) {
        if node.is_null() {
            return;
        }
        let outer = self.item.replace(self.location.len() + 1);
        self.step(hop, Some(node), rest);
        self.item = outer;
    }

    fn select(&mut self, node: Node<'a>, selector: &Selector, rest: &[Segment]) {
        match selector {
            Selector::Name(name, _) => {
                if let Some(below) = node.get(name).filter(|n| !n.is_null()) {
                    self.step(Hop::Name(name.as_str().into()), Some(below), rest);
                }
            }
            Selector::Index(index) => {
                if let Some((at, below)) = element(node, *index) {
                    self.element(Hop::Index(at), below, rest);
                }
            }
            Selector::Slice(start, end, step) => {
                for (at, below) in slice(node, *start, *end, *step) {
                    self.element(Hop::Index(at), below, rest);
                }
            }
            Selector::Wildcard | Selector::Filter(_) => {
                let root = self.root;
                let wanted = |child: Node<'a>| match selector {
                    Selector::Filter(filter) => filter.holds(root, child),
                    _ => true,
                };
                if node.kind() == NodeKind::List {
                    for (i, child) in node.items().enumerate().filter(|(_, c)| wanted(*c)) {
                        self.element(Hop::Index(i), child, rest);
                    }
                } else {
                    for (name, child) in node.entries().filter(|(_, c)| wanted(*c)) {
                        self.element(Hop::Name(name.into()), child, rest);
                    }
                }
            }
        }
    }
}
