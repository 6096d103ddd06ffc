//! A record with one value put in, without a tree in between: what a patch of a label or a number does.

use super::write::{self, Inside};
use super::{MAP, Node, Record, node, seal};
use serde_json::Value;

impl Record {
    /// The object with a value at a path of names, in place of what stands there, or behind the other members of its map. Maps that lead there
    /// are made where there is nothing or null.
    ///
    /// `None` where something else than a map stands on the way, or the place is one that a record leaves out.
    pub fn with(&self, path: &[&str], value: &Value) -> Option<Record> {
        let mut out = Vec::with_capacity(self.size() + 64);
        put(&mut out, Some(self.root()), path, value, Inside::Root)?;
        seal(&mut out);
        Some(Record(out.into()))
    }
}

fn put(
    out: &mut Vec<u8>,
    there: Option<Node<'_>>,
    path: &[&str],
    value: &Value,
    inside: Inside,
) -> Option<()> {
    let Some((name, below)) = path.split_first() else {
        write::put_value(out, value, 0, inside);
        return Some(());
    };
    if inside.drops(name, false) {
        return None;
    }
    let start = write::open(out, MAP);
    let mut found = false;
    if let Some(map) = there.filter(|node| !node.is_null()) {
        for (member, key, node) in node::members(map)? {
            if found || key != *name {
                out.extend_from_slice(member);
                continue;
            }
            found = true;
            out.extend_from_slice(&member[..member.len() - node.size()]);
            put(out, Some(node), below, value, inside.below(name))?;
        }
    }
    if !found {
        write::intern_key(out, name, inside.is_free());
        put(out, None, below, value, inside.below(name))?;
    }
    write::close(out, start);
    Some(())
}
