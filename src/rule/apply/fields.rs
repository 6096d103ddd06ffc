//! Fields of manifests as server-side apply sees them: maps by name, lists with keys by their keys, sets by value, other lists as a whole.

use crate::object::{Node, NodeKind};
use crate::rule::edit::{element_token, key_of, push_token, same, scalar_text};
use crate::schema::{Shape, Type};
use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// How the elements of a list are told apart.
enum Elements<'s> {
    Keys(Vec<&'s str>),
    Set,
    Atomic,
}

fn elements(ty: Option<Type<'_>>) -> Elements<'_> {
    match ty.filter(|ty| ty.shape() == Shape::List) {
        Some(ty) if ty.is_set() => Elements::Set,
        Some(ty) => match ty.list_keys() {
            keys if keys.is_empty() => Elements::Atomic,
            keys => Elements::Keys(keys),
        },
        None => Elements::Atomic,
    }
}

fn keys_of(element: &Value, keys: &[&str], ty: Option<Type<'_>>) -> Option<Vec<Value>> {
    let known = |key: &&str| match element.get(*key) {
        Some(value) if !value.is_null() => Some(value.clone()),
        _ => ty?.default_of(key),
    };
    keys.iter().map(known).collect()
}

/// Whether what there is agrees with everything a manifest says. What the manifest does not say is not looked at.
pub fn agrees(live: Node<'_>, wanted: &Value, ty: Option<Type<'_>>) -> bool {
    match wanted {
        Value::Null => live.is_null(),
        Value::Object(map) => {
            live.kind() == NodeKind::Map
                && map.iter().all(|(name, value)| {
                    let there = live.get_str(name).filter(|node| !node.is_null());
                    there.is_some_and(|n| agrees(n, value, ty.and_then(|t| t.field(name))))
                })
        }
        Value::Array(list) => {
            if live.kind() != NodeKind::List {
                return false;
            }
            let element = ty.and_then(Type::element);
            match elements(ty) {
                Elements::Keys(keys) => list.iter().all(|value| {
                    let Some(wanted) = keys_of(value, &keys, element) else {
                        return false;
                    };
                    let mut items = live.items().filter(|item| {
                        let of_item: Option<Vec<Value>> =
                            keys.iter().map(|key| key_of(*item, key, element)).collect();
                        of_item.is_some_and(|k| k == wanted)
                    });
                    items
                        .next()
                        .is_some_and(|item| agrees(item, value, element))
                }),
                Elements::Set => list
                    .iter()
                    .all(|value| live.items().any(|item| same(item, value, element))),
                Elements::Atomic => {
                    let mut items = live.items();
                    let each = list
                        .iter()
                        .all(|v| items.next().is_some_and(|item| agrees(item, v, element)));
                    each && items.next().is_none()
                }
            }
        }
        scalar => same(live, scalar, ty),
    }
}

/// The places that a manifest says something about, as RFC 6901 pointers in which elements of lists are named by their keys:
/// `/spec/containers/name=app/image`. Identity (apiVersion, kind, name, namespace) belongs to nobody and is left out.
pub fn places(manifest: &Value, ty: Option<Type<'_>>) -> BTreeSet<String> {
    let mut places = BTreeSet::new();
    gather(manifest, ty, &mut String::new(), &mut places);
    for identity in [
        "/apiVersion",
        "/kind",
        "/metadata/name",
        "/metadata/namespace",
    ] {
        places.remove(identity);
    }
    places
}

fn gather(value: &Value, ty: Option<Type<'_>>, at: &mut String, places: &mut BTreeSet<String>) {
    let length = at.len();
    match value {
        Value::Object(map) if !map.is_empty() => {
            for (name, member) in map {
                push_token(at, name);
                gather(member, ty.and_then(|t| t.field(name)), at, places);
                at.truncate(length);
            }
        }
        Value::Array(list) if !list.is_empty() => {
            let element = ty.and_then(Type::element);
            match elements(ty) {
                Elements::Atomic => {
                    places.insert(at.clone());
                }
                Elements::Set => {
                    for scalar in list {
                        push_token(at, &format!("={}", scalar_text(scalar)));
                        places.insert(at.clone());
                        at.truncate(length);
                    }
                }
                Elements::Keys(keys) => {
                    for member in list {
                        match keys_of(member, &keys, element) {
                            Some(values) => push_token(at, &element_token(&keys, &values)),
                            None => continue,
                        }
                        gather(member, element, at, places);
                        at.truncate(length);
                    }
                }
            }
        }
        _ => {
            places.insert(at.clone());
        }
    }
}

/// What stands at a place of [`places`]; `None` if nothing does.
pub fn value_at<'v>(object: &'v Value, place: &str, ty: Option<Type<'_>>) -> Option<&'v Value> {
    let mut at = object;
    let mut ty = ty;
    for token in place.split('/').skip(1) {
        let token = unescaped(token);
        at = match at {
            Value::Object(map) => {
                ty = ty.and_then(|t| t.field(&token));
                map.get(&token)?
            }
            Value::Array(list) => {
                let position = position(list, &token, ty)?;
                ty = ty.and_then(Type::element);
                list.get(position)?
            }
            _ => return None,
        };
    }
    Some(at).filter(|value| !value.is_null())
}

fn unescaped(token: &str) -> String {
    token.replace("~1", "/").replace("~0", "~")
}

/// Where the element stands that a token names.
fn position(list: &[Value], token: &str, ty: Option<Type<'_>>) -> Option<usize> {
    if let Some(scalar) = token.strip_prefix('=') {
        return list.iter().position(|value| scalar_text(value) == scalar);
    }
    let element = ty.and_then(Type::element);
    let Elements::Keys(keys) = elements(ty) else {
        return None;
    };
    list.iter().position(|value| {
        keys_of(value, &keys, element).is_some_and(|values| element_token(&keys, &values) == token)
    })
}

/// Lays a manifest over what there is.
pub fn lay_over(target: &mut Value, manifest: &Value, ty: Option<Type<'_>>) {
    match manifest {
        Value::Object(map) => {
            if !target.is_object() {
                *target = Value::Object(Map::new());
            }
            let Some(target) = target.as_object_mut() else {
                return;
            };
            for (name, value) in map {
                let below = ty.and_then(|t| t.field(name));
                lay_over(target.entry(name).or_insert(Value::Null), value, below);
            }
        }
        Value::Array(list) => {
            let element = ty.and_then(Type::element);
            let known = target.as_array().cloned().unwrap_or_default();
            let laid = match elements(ty) {
                Elements::Atomic => list.clone(),
                Elements::Set => {
                    let mut all = known;
                    for value in list {
                        if !all.contains(value) {
                            all.push(value.clone());
                        }
                    }
                    all
                }
                Elements::Keys(keys) => {
                    let mut all = known;
                    for value in list {
                        let wanted = keys_of(value, &keys, element);
                        let there = all
                            .iter_mut()
                            .find(|v| wanted.is_some() && keys_of(v, &keys, element) == wanted);
                        match there {
                            Some(there) => lay_over(there, value, element),
                            None => all.push(value.clone()),
                        }
                    }
                    all
                }
            };
            *target = Value::Array(laid);
        }
        scalar => *target = scalar.clone(),
    }
}

/// Takes away what stands at some places, and the elements and maps that are left without anything but their keys. What tells elements apart
/// goes last, and never from an element that has something else: by it the element is found.
pub fn take_away(object: &mut Value, places: &[String], ty: Option<Type<'_>>) {
    let mut all: Vec<Vec<String>> = places
        .iter()
        .map(|place| place.split('/').skip(1).map(unescaped).collect())
        .collect();
    all.sort_by_key(|tokens| std::cmp::Reverse(tokens.len()));
    for keys in [false, true] {
        for tokens in &all {
            take(object, tokens, ty, keys);
        }
    }
}

/// Whether nothing is left of the value. `keys`: only what tells elements apart is taken, or only what does not.
fn take(value: &mut Value, tokens: &[String], ty: Option<Type<'_>>, keys: bool) -> bool {
    let Some((token, rest)) = tokens.split_first() else {
        return true;
    };
    match value {
        Value::Object(map) => {
            let below = ty.and_then(|t| t.field(token));
            let scalar = rest.is_empty();
            let gone = match map.get_mut(token) {
                Some(_) if scalar => !keys,
                Some(inner) => take(inner, rest, below, keys),
                None => false,
            };
            if gone {
                map.shift_remove(token);
            }
            map.is_empty()
        }
        Value::Array(list) => {
            let element = ty.and_then(Type::element);
            let Some(at) = position(list, token, ty) else {
                return false;
            };
            let gone = match (rest, elements(ty)) {
                ([field], Elements::Keys(of)) if of.contains(&field.as_str()) => {
                    let bare = |map: &Map<String, Value>| {
                        map.keys().all(|name| of.contains(&name.as_str()))
                    };
                    keys && list[at].as_object().is_some_and(bare)
                }
                ([], _) => !keys,
                _ => take(&mut list[at], rest, element, keys),
            };
            if gone {
                list.remove(at);
            }
            list.is_empty()
        }
        _ => false,
    }
}

/// A number for a set of places: which fields a rule has applied. The same in every version of Ordain, since it is kept in the cluster (FNV-1a).
pub fn hash(places: &BTreeSet<String>) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for place in places {
        for byte in place.bytes().chain([0xff]) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }
    hash
}
