//! What the server made of the values that rules asked for: it completes a value with defaults, an admission webhook writes another one.
//! Where that stands still, asking again would be answered with the same object: the edit has all that it can have.
//!
//! Kept as hashes, since values may be secret, and looked at only where an edit finds a difference.

use super::noop::is_merged;
use super::same::same;
use super::site::at;
use super::{Claim, Overruled};
use crate::object::{Node, NodeKind, Record};
use crate::schema::{KindSchema, Type};
use serde_json::Value;
use std::hash::Hash;

/// Most places of one object at which one rule's answers are remembered. What is forgotten is asked for once more.
const MOST: usize = 64;

/// Stable within one process; a collision among the few places of one object is all that could be forced.
const SEEDS: ahash::RandomState = ahash::RandomState::with_seeds(0x6f72, 0x6461, 0x696e, 0x0003);

/// What the server stored in answer to what one rule asked of one object, where that is not just what was asked for.
#[derive(Debug, Default)]
pub struct Answers(Vec<Answer>);

/// Hashes of a place, of the value wanted there, and of what was stored.
#[derive(Debug)]
struct Answer {
    place: u64,
    wanted: u64,
    stored: u64,
}

impl Answers {
    /// Takes the object as the server answered with it. Every place of `claims` was written.
    pub fn learn<'c>(
        &mut self,
        claims: impl Iterator<Item = &'c Claim>,
        answer: &Record,
        schema: Option<&KindSchema>,
    ) {
        for claim in claims {
            let place = hash(&*claim.pointer);
            self.0.retain(|known| known.place != place);
            let (node, ty) = at(answer.root(), &claim.pointer, schema);
            if fits(node, claim.value.as_ref(), claim.partial, ty) {
                continue;
            }
            if self.0.len() == MOST {
                self.0.remove(0);
            }
            self.0.push(Answer {
                place,
                wanted: wanted(claim.value.as_ref()),
                stored: stored(node, claim.value.as_ref().filter(|_| claim.partial)),
            });
        }
    }

    /// Whether every value was stored as it was wanted.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether what the server stored in answer to a claim stands in an object; with it, what it kept instead, if that is less than was
    /// asked for.
    pub fn stand(
        &self,
        claim: &Claim,
        object: &Record,
        schema: Option<&KindSchema>,
    ) -> Option<Option<Overruled>> {
        let answered = Answered {
            answers: self,
            object: object.root(),
            schema,
        };
        answered.stands(&claim.pointer, claim.value.as_ref(), claim.partial)
    }

    fn to(&self, pointer: &str, value: Option<&Value>) -> Option<&Answer> {
        let place = hash(pointer);
        let answer = self.0.iter().find(|known| known.place == place)?;
        (answer.wanted == wanted(value)).then_some(answer)
    }
}

/// What of the object under an edit was answered by the server.
#[derive(Clone, Copy)]
pub(super) struct Answered<'s> {
    pub answers: &'s Answers,
    pub object: Node<'s>,
    pub schema: Option<&'s KindSchema>,
}

impl Answered<'_> {
    /// As [`Answers::stand`].
    pub fn stands(
        &self,
        pointer: &str,
        value: Option<&Value>,
        partial: bool,
    ) -> Option<Option<Overruled>> {
        let answer = self.answers.to(pointer, value)?;
        let (node, ty) = at(self.object, pointer, self.schema);
        if answer.stored != stored(node, value.filter(|_| partial)) {
            return None;
        }
        let overruled = !is_in(value, node, ty);
        Some(overruled.then(|| Overruled {
            pointer: pointer.into(),
            wanted: value.cloned(),
            kept: node.map(Node::to_value),
        }))
    }
}

/// Whether a state is as a claim wants it.
pub fn holds(claim: &Claim, record: &Record, schema: Option<&KindSchema>) -> bool {
    let (node, ty) = at(record.root(), &claim.pointer, schema);
    fits(node, claim.value.as_ref(), claim.partial, ty)
}

fn fits(
    node: Option<Node<'_>>,
    value: Option<&Value>,
    partial: bool,
    ty: Option<Type<'_>>,
) -> bool {
    match (node, value) {
        (None, None) => true,
        (Some(node), Some(Value::Object(map))) if partial => is_merged(node, map, ty),
        (Some(node), Some(value)) => same(node, value, ty),
        _ => false,
    }
}

/// Whether all that is wanted stands there, whatever else does: elements of lists in any order. What is empty may be absent.
fn is_in(wanted: Option<&Value>, node: Option<Node<'_>>, ty: Option<Type<'_>>) -> bool {
    let Some(wanted) = wanted.filter(|value| !value.is_null()) else {
        return node.is_none();
    };
    let Some(node) = node else {
        return is_empty(wanted);
    };
    match (wanted, node.kind()) {
        (Value::Object(map), NodeKind::Map) => map.iter().all(|(name, value)| {
            let there = node.get_str(name).filter(|n| !n.is_null());
            is_in(Some(value), there, ty.and_then(|ty| ty.field(name)))
        }),
        (Value::Array(list), NodeKind::List) => {
            let element = ty.and_then(Type::element);
            let mut left: Vec<Node<'_>> = node.items().collect();
            list.iter().all(|value| {
                let found = left
                    .iter()
                    .position(|item| is_in(Some(value), Some(*item), element));
                found.map(|found| left.remove(found)).is_some()
            })
        }
        _ => same(node, wanted, ty),
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.is_empty(),
        _ => false,
    }
}

fn hash(value: &(impl Hash + ?Sized)) -> u64 {
    SEEDS.hash_one(value)
}

fn wanted(value: Option<&Value>) -> u64 {
    value.map_or(0, |value| digest(Record::from_value(value).root()))
}

/// `partial`: what is not in this map is not looked at.
fn stored(node: Option<Node<'_>>, partial: Option<&Value>) -> u64 {
    match (node, partial) {
        (None, _) => 0,
        (Some(node), Some(Value::Object(map))) if node.kind() == NodeKind::Map => {
            let members = map.iter().map(|(name, below)| {
                let there = node.get_str(name).filter(|n| !n.is_null());
                hash(&(name, stored(there, Some(below))))
            });
            members.fold(1, u64::wrapping_add)
        }
        (Some(node), _) => digest(node),
    }
}

/// Members of maps in any order, null as absent.
fn digest(node: Node<'_>) -> u64 {
    match node.kind() {
        NodeKind::Map => {
            let there = node.entries().filter(|(_, member)| !member.is_null());
            let members = there.map(|(name, member)| hash(&(name, digest(member))));
            members.fold(1, u64::wrapping_add)
        }
        NodeKind::List => node
            .items()
            .fold(2, |before, item| hash(&(before, digest(item)))),
        NodeKind::String => hash(&node.as_str()),
        NodeKind::Bool => hash(&node.as_bool()),
        NodeKind::Null => 3,
        NodeKind::Int => hash(&node.as_i64()),
        NodeKind::Float => hash(&node.as_f64().map(f64::to_bits)),
    }
}
