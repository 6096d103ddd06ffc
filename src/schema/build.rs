//! Makes a [`Table`]: interns names, then merges equal types.

use super::types::{Field, Node, Table};
use ahash::{HashMap, HashMapExt};

/// Rounds of refinement before merging is given up; each lets types differ one level deeper, and real schemas differ within twenty.
const ROUNDS: usize = 200;

/// A table in the making. Equal types may occur many times until [`Builder::finish`].
#[derive(Default)]
pub(super) struct Builder {
    table: Table,
    names: HashMap<Box<str>, u32>,
    leaves: HashMap<Node, u32>,
}

impl Builder {
    pub fn intern(&mut self, text: &str) -> u32 {
        if let Some(at) = self.names.get(text) {
            return *at;
        }
        let at = self.table.strings.len() as u32;
        self.table.strings.push(text.into());
        self.names.insert(text.into(), at);
        at
    }

    pub fn text(&self, at: u32) -> &str {
        self.table.text(at)
    }

    pub fn node(&self, at: u32) -> &Node {
        self.table.node(at)
    }

    pub fn add(&mut self, node: Node) -> u32 {
        let leaf = !matches!(node, Node::Object { .. } | Node::Map(_) | Node::List { .. });
        if leaf && let Some(at) = self.leaves.get(&node) {
            return *at;
        }
        let at = self.table.nodes.len() as u32;
        if leaf {
            self.leaves.insert(node.clone(), at);
        }
        self.table.nodes.push(node);
        at
    }

    /// A type that will be described later: types may refer to each other in circles.
    pub fn reserve(&mut self) -> u32 {
        let at = self.table.nodes.len() as u32;
        self.table.nodes.push(Node::Any);
        at
    }

    pub fn describe(&mut self, at: u32, node: Node) {
        if let Some(place) = self.table.nodes.get_mut(at as usize) {
            *place = node;
        }
    }

    /// An object; of two fields of one name the later counts.
    pub fn object(&self, mut fields: Vec<Field>, rest: Option<u32>) -> Node {
        fields.reverse();
        fields.sort_by(|a, b| self.text(a.name).cmp(self.text(b.name)));
        fields.dedup_by_key(|field| field.name);
        Node::Object { fields, rest }
    }

    /// Copies a type of another table, with all it refers to. `done` remembers what was copied from that table.
    pub fn import(&mut self, from: &Table, at: u32, done: &mut HashMap<u32, u32>) -> u32 {
        if let Some(copy) = done.get(&at) {
            return *copy;
        }
        let copy = self.reserve();
        done.insert(at, copy);
        let mut open = vec![(at, copy)];
        while let Some((at, copy)) = open.pop() {
            let mut node = from.node(at).clone();
            node.each_type(|of| {
                *of = *done.entry(*of).or_insert_with(|| {
                    let copy = self.reserve();
                    open.push((*of, copy));
                    copy
                });
            });
            node.each_text(|text| *text = self.intern(from.text(*text)));
            if let Node::Object { fields, rest } = node {
                node = self.object(fields, rest);
            }
            self.describe(copy, node);
        }
        copy
    }

    /// The smallest table that says the same about `roots`, which are set to their new places. Types are equal when nothing below them differs.
    pub fn finish<'r>(self, roots: impl IntoIterator<Item = &'r mut u32>) -> Table {
        let mut table = self.table;
        let Some(classes) = classes(&table.nodes) else {
            return table;
        };
        let mut small = Table::default();
        let mut place: HashMap<usize, u32> = HashMap::new();
        let mut texts: HashMap<u32, u32> = HashMap::new();
        let mut open: Vec<(usize, u32)> = Vec::new();
        let mut reach = |at: u32, small: &mut Table, open: &mut Vec<(usize, u32)>| {
            let class = classes.get(at as usize).copied().unwrap_or_default();
            *place.entry(class).or_insert_with(|| {
                let new = small.nodes.len() as u32;
                small.nodes.push(Node::Any);
                open.push((at as usize, new));
                new
            })
        };
        for root in roots {
            *root = reach(*root, &mut small, &mut open);
            while let Some((old, new)) = open.pop() {
                let Some(node) = table.nodes.get_mut(old) else {
                    continue;
                };
                let mut node = std::mem::replace(node, Node::Any);
                node.each_type(|of| *of = reach(*of, &mut small, &mut open));
                node.each_text(|text| {
                    *text = *texts.entry(*text).or_insert_with(|| {
                        let at = small.strings.len() as u32;
                        small.strings.push(
                            table
                                .strings
                                .get(*text as usize)
                                .cloned()
                                .unwrap_or_default(),
                        );
                        at
                    });
                });
                if let Some(place) = small.nodes.get_mut(new as usize) {
                    *place = node;
                }
            }
        }
        small
    }
}

/// Numbers the nodes so that two have one number when no path below them tells them apart (partition refinement, as when an automaton is minimised).
/// `None` if that does not settle.
fn classes(nodes: &[Node]) -> Option<Vec<usize>> {
    let mut classes = vec![0; nodes.len()];
    let mut count = 1;
    for _ in 0..ROUNDS {
        let mut seen: HashMap<Node, usize> = HashMap::new();
        let mut next = Vec::with_capacity(nodes.len());
        for node in nodes {
            let mut node = node.clone();
            node.each_type(|of| {
                *of = classes.get(*of as usize).copied().unwrap_or_default() as u32
            });
            let number = seen.len();
            next.push(*seen.entry(node).or_insert(number));
        }
        let settled = seen.len() == count;
        count = seen.len();
        classes = next;
        if settled {
            return Some(classes);
        }
    }
    None
}

impl Node {
    fn each_type(&mut self, mut change: impl FnMut(&mut u32)) {
        match self {
            Node::Object { fields, rest } => {
                fields.iter_mut().for_each(|field| change(&mut field.of));
                rest.iter_mut().for_each(change);
            }
            Node::Map(of) | Node::List { element: of, .. } => change(of),
            _ => {}
        }
    }

    fn each_text(&mut self, mut change: impl FnMut(&mut u32)) {
        match self {
            Node::Object { fields, .. } => {
                for field in fields {
                    change(&mut field.name);
                    field.default.iter_mut().for_each(&mut change);
                }
            }
            Node::List { keys, .. } => keys.iter_mut().for_each(change),
            _ => {}
        }
    }
}
