//! The six edits on one value: what stands at the place, and what the rule says, give what should stand there.

use super::answer::Answered;
use super::site::{element_token, key_of, push_token, scalar_text};
use super::{Claim, End, Overruled};
use crate::object::{Node, NodeKind};
use crate::schema::Type;
use serde_json::{Map, Value};

/// A value that is not what the edit needs: where (pointer), and what it needs.
#[derive(Debug)]
pub(super) struct Wrong(pub String, pub &'static str);

/// What should stand at a place.
#[derive(Debug)]
pub(super) enum Desired {
    Unchanged,
    Put(Value),
    Removed,
}

/// Notes what an edit wants where, and leaves out where it may not write.
pub(super) struct Claims<'b> {
    pub barred: &'b [Box<str>],
    pub from_current: bool,
    pub yields: bool,
    pub answered: Option<Answered<'b>>,
    /// The first place at which the server keeps something else.
    pub overruled: Option<Overruled>,
    pub made: Vec<Claim>,
}

impl Claims<'_> {
    /// False: nothing is to be written here.
    fn claim(&mut self, pointer: &str, value: Option<Value>, partial: bool) -> bool {
        if self.barred.iter().any(|b| meets(b, pointer)) {
            return false;
        }
        let answered = self.answered.as_ref();
        let stands = answered.and_then(|a| a.stands(pointer, value.as_ref(), partial));
        self.made.push(Claim {
            pointer: pointer.into(),
            value,
            partial,
            from_current: self.from_current,
            yields: self.yields,
        });
        let Some(overruled) = stands else {
            return true;
        };
        if self.overruled.is_none() {
            self.overruled = overruled;
        }
        false
    }
}

/// Whether one pointer is the other or lies above it.
pub(crate) fn meets(a: &str, b: &str) -> bool {
    let (short, long) = if a.len() <= b.len() { (a, b) } else { (b, a) };
    long.starts_with(short) && (long.len() == short.len() || long.as_bytes()[short.len()] == b'/')
}

/// Null members count as absent, so they are not written.
pub(super) fn without_nulls(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.retain(|_, v| !v.is_null());
            map.values_mut().for_each(without_nulls);
        }
        Value::Array(list) => list.iter_mut().for_each(without_nulls),
        _ => {}
    }
}

pub(super) fn set(
    current: Option<Node<'_>>,
    value: Value,
    pointer: &str,
    claims: &mut Claims<'_>,
) -> Desired {
    if value.is_null() {
        return remove(current, pointer, claims);
    }
    if !claims.claim(pointer, Some(value.clone()), false) {
        return Desired::Unchanged;
    }
    Desired::Put(value)
}

pub(super) fn remove(current: Option<Node<'_>>, pointer: &str, claims: &mut Claims<'_>) -> Desired {
    if claims.claim(pointer, None, false) && current.is_some() {
        Desired::Removed
    } else {
        Desired::Unchanged
    }
}

pub(super) fn default(
    current: Option<Node<'_>>,
    value: &Value,
    pointer: &mut String,
    claims: &mut Claims<'_>,
) -> Result<Desired, Wrong> {
    Ok(fill(current, value, pointer, claims)?.map_or(Desired::Unchanged, Desired::Put))
}

/// `None`: nothing is missing.
fn fill(
    current: Option<Node<'_>>,
    wanted: &Value,
    pointer: &mut String,
    claims: &mut Claims<'_>,
) -> Result<Option<Value>, Wrong> {
    match (current, wanted) {
        (_, Value::Null) => Ok(None),
        (None, Value::Object(map)) if !map.is_empty() => {
            let filled = fill_map(None, map, pointer, claims)?;
            Ok(filled.filter(|v| v.as_object().is_some_and(|m| !m.is_empty())))
        }
        (None, leaf) => Ok(claims
            .claim(pointer, Some(leaf.clone()), false)
            .then(|| leaf.clone())),
        (Some(node), Value::Object(map)) if node.kind() == NodeKind::Map => {
            fill_map(Some(node), map, pointer, claims)
        }
        (Some(_), Value::Object(_)) => Err(Wrong(pointer.clone(), "a map")),
        (Some(_), _) => Ok(None),
    }
}

fn fill_map(
    current: Option<Node<'_>>,
    wanted: &Map<String, Value>,
    pointer: &mut String,
    claims: &mut Claims<'_>,
) -> Result<Option<Value>, Wrong> {
    let mut filled: Option<Value> = None;
    let length = pointer.len();
    for (name, value) in wanted {
        push_token(pointer, name);
        let below = current
            .and_then(|n| n.get_str(name))
            .filter(|n| !n.is_null());
        if let Some(member) = fill(below, value, pointer, claims)? {
            let whole = filled.get_or_insert_with(|| {
                current.map_or_else(|| Value::Object(Map::new()), Node::to_value)
            });
            if let Some(map) = whole.as_object_mut() {
                map.insert(name.clone(), member);
            }
        }
        pointer.truncate(length);
    }
    Ok(filled)
}

pub(super) fn merge(
    current: Option<Node<'_>>,
    value: &Value,
    pointer: &mut String,
    empties: Empties,
    claims: &mut Claims<'_>,
) -> Result<Desired, Wrong> {
    let Value::Object(patch) = value else {
        return Err(Wrong(pointer.clone(), "a map"));
    };
    if current.is_some_and(|n| n.kind() != NodeKind::Map) {
        return Err(Wrong(pointer.clone(), "a map"));
    }
    let mut target = current.map_or_else(|| Value::Object(Map::new()), Node::to_value);
    merge_into(&mut target, patch, pointer, empties, claims);
    let created_nothing =
        current.is_none() && !patch.is_empty() && target.as_object().is_none_or(Map::is_empty);
    Ok(if created_nothing {
        Desired::Unchanged
    } else {
        Desired::Put(target)
    })
}

/// What becomes of a map that a merge would create only to remove from it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Empties {
    /// It is there, empty, as the standard says.
    Kept,
    /// Kubernetes' own kinds store what is empty as what is absent: it would be written again and again.
    LeftOut,
}

/// RFC 7386, leaf by leaf.
fn merge_into(
    target: &mut Value,
    patch: &Map<String, Value>,
    pointer: &mut String,
    empties: Empties,
    claims: &mut Claims<'_>,
) {
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Value::Object(map) = target else { return };
    let length = pointer.len();
    for (name, value) in patch {
        push_token(pointer, name);
        match value {
            Value::Null => {
                if claims.claim(pointer, None, false) {
                    map.shift_remove(name);
                }
            }
            Value::Object(below) if !below.is_empty() => {
                let mut member = map.get(name).cloned().unwrap_or_default();
                merge_into(&mut member, below, pointer, empties, claims);
                let removes_only = member.as_object().is_some_and(Map::is_empty);
                let stands = !removes_only || map.get(name).is_some_and(Value::is_object);
                let mut kept = || {
                    let made = Some(Value::Object(Map::new()));
                    empties == Empties::Kept && claims.claim(pointer, made, false)
                };
                if stands || kept() {
                    map.insert(name.clone(), member);
                }
            }
            Value::Object(_) if map.get(name).is_some_and(Value::is_object) => {}
            leaf => {
                if claims.claim(pointer, Some(leaf.clone()), false) {
                    let mut leaf = leaf.clone();
                    without_nulls(&mut leaf);
                    map.insert(name.clone(), leaf);
                }
            }
        }
        pointer.truncate(length);
    }
}

/// A patch merged into a value, claiming nothing.
fn merged(target: &mut Value, patch: &Map<String, Value>) {
    let mut claims = Claims {
        barred: &[],
        from_current: false,
        yields: false,
        answered: None,
        overruled: None,
        made: Vec::new(),
    };
    merge_into(
        target,
        patch,
        &mut String::new(),
        Empties::LeftOut,
        &mut claims,
    );
}

fn elements<'v>(value: &'v Value, pointer: &str) -> Result<&'v [Value], Wrong> {
    match value {
        Value::Array(list) => Ok(list),
        _ => Err(Wrong(pointer.to_owned(), "a list")),
    }
}

fn list_of(current: Option<Node<'_>>, pointer: &str) -> Result<Vec<Value>, Wrong> {
    match current {
        None => Ok(vec![]),
        Some(node) if node.kind() == NodeKind::List => {
            Ok(node.items().map(Node::to_value).collect())
        }
        Some(_) => Err(Wrong(pointer.to_owned(), "a list")),
    }
}

fn place(list: &mut Vec<Value>, new: Vec<Value>, at: End) {
    match at {
        End::Start => {
            list.splice(0..0, new);
        }
        End::End => list.extend(new),
    }
}

/// `keys` tell elements apart; `element` is their type.
pub(super) fn upsert(
    current: Option<Node<'_>>,
    value: &Value,
    (keys, at): (&[&str], End),
    element: Option<Type<'_>>,
    pointer: &mut String,
    claims: &mut Claims<'_>,
) -> Result<Desired, Wrong> {
    let patches = elements(value, pointer)?;
    let mut list = list_of(current, pointer)?;
    let key_in = |value: &Value| -> Option<Vec<Value>> {
        keys.iter()
            .map(|key| {
                value
                    .get(*key)
                    .filter(|v| !v.is_null())
                    .cloned()
                    .or_else(|| element?.default_of(key))
            })
            .collect()
    };
    let standing: Vec<Option<Vec<Value>>> = match current {
        Some(node) => node
            .items()
            .map(|n| keys.iter().map(|key| key_of(n, key, element)).collect())
            .collect(),
        None => vec![],
    };
    let mut new: Vec<(Vec<Value>, Value)> = vec![];
    let length = pointer.len();
    for patch in patches {
        let Value::Object(map) = patch else {
            return Err(Wrong(pointer.clone(), "a list of maps"));
        };
        let Some(key) = key_in(patch).filter(|k| !k.is_empty()) else {
            return Err(Wrong(pointer.clone(), "a list whose elements have a key"));
        };
        push_token(pointer, &element_token(keys, &key));
        let may = claims.claim(pointer, Some(patch.clone()), true);
        pointer.truncate(length);
        if !may {
            continue;
        }
        let index = standing
            .iter()
            .position(|s| s.as_ref().is_some_and(|s| equal_keys(s, &key)));
        if let Some(index) = index {
            merged(&mut list[index], map);
        } else if let Some((_, earlier)) = new.iter_mut().find(|(k, _)| equal_keys(k, &key)) {
            merged(earlier, map);
        } else {
            let mut created = Value::Object(Map::new());
            merged(&mut created, map);
            new.push((key, created));
        }
    }
    place(&mut list, new.into_iter().map(|(_, v)| v).collect(), at);
    Ok(if current.is_none() && list.is_empty() {
        Desired::Unchanged
    } else {
        Desired::Put(Value::Array(list))
    })
}

fn equal_keys(a: &[Value], b: &[Value]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| equal_scalars(a, b))
}

fn equal_scalars(a: &Value, b: &Value) -> bool {
    a == b || matches!((a.as_f64(), b.as_f64()), (Some(a), Some(b)) if a == b)
}

pub(super) fn add(
    current: Option<Node<'_>>,
    value: &Value,
    at: End,
    pointer: &mut String,
    claims: &mut Claims<'_>,
) -> Result<Desired, Wrong> {
    let wanted = elements(value, pointer)?;
    let mut list = list_of(current, pointer)?;
    let mut new: Vec<Value> = vec![];
    let length = pointer.len();
    for scalar in wanted {
        if scalar.is_null() {
            continue;
        }
        if scalar.is_object() || scalar.is_array() {
            return Err(Wrong(pointer.clone(), "a list of scalars"));
        }
        push_token(pointer, &format!("={}", scalar_text(scalar)));
        let may = claims.claim(pointer, Some(scalar.clone()), false);
        pointer.truncate(length);
        if may && !list.iter().chain(&new).any(|v| equal_scalars(v, scalar)) {
            new.push(scalar.clone());
        }
    }
    if new.is_empty() {
        return Ok(Desired::Unchanged);
    }
    place(&mut list, new, at);
    Ok(Desired::Put(Value::Array(list)))
}
