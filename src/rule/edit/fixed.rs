//! Changes that the server never takes: of what is fixed at creation, of what is marked immutable, of lists that only grow.

use super::Action;
use crate::object::Node;
use crate::object::difference::json_patch;
use crate::rule::path::{Hop, Place};
use crate::schema::{Fixed, Growing, KindSchema};
use serde_json::Value;

/// Why a change is one that the server never takes.
pub(super) fn fixed(
    schema: Option<&KindSchema>,
    object: Node<'_>,
    place: &Place,
    current: Option<Node<'_>>,
    action: &Action,
) -> Option<String> {
    let here: Vec<Option<&str>> = place
        .location
        .iter()
        .map(|hop| match hop {
            Hop::Name(name) => Some(&**name),
            Hop::Index(_) => None,
        })
        .collect();
    if let Some(fixed) = schema.and_then(|schema| takes_away(schema, object, place, action)) {
        return Some(told(&fixed));
    }
    let check = |path: &[Option<&str>]| -> Option<String> {
        if is_immutable(object, path) {
            return Some("the object is marked `immutable`".into());
        }
        schema?.fixed(path).as_ref().map(told)
    };
    let (Some(node), Action::Put(new)) = (current, action) else {
        return check(&here);
    };
    let old = node.to_value();
    json_patch(&old, new).iter().find_map(|operation| {
        let tokens: Vec<String> = operation
            .path()
            .tokens()
            .map(|t| t.decoded().into_owned())
            .collect();
        let mut path = here.clone();
        let mut at = Some(&old);
        for token in &tokens {
            match at {
                Some(Value::Array(list)) => {
                    path.push(None);
                    at = token.parse::<usize>().ok().and_then(|i| list.get(i));
                }
                other => {
                    path.push(Some(token));
                    at = other.and_then(|v| v.get(token));
                }
            }
        }
        check(&path)
    })
}

/// ConfigMaps and Secrets with `immutable: true` keep their data, and stay so.
fn is_immutable(object: Node<'_>, path: &[Option<&str>]) -> bool {
    let says = |name: &str| object.get_str(name).and_then(Node::as_str);
    matches!(
        path.first(),
        Some(Some("data" | "binaryData" | "stringData" | "immutable"))
    ) && matches!(says("kind"), Some("ConfigMap" | "Secret"))
        && says("apiVersion") == Some("v1")
        && object.get_str("immutable").and_then(Node::as_bool) == Some(true)
}

fn told(fixed: &Fixed) -> String {
    match fixed.instead {
        Some(instead) => format!("{} is fixed at creation; patch {instead}", fixed.what),
        None => format!("{} is fixed at creation", fixed.what),
    }
}

/// Whether a change removes or alters elements of a list that only grows.
fn takes_away(
    schema: &KindSchema,
    object: Node<'_>,
    place: &Place,
    action: &Action,
) -> Option<Fixed> {
    let growing = schema.growing()?;
    let list = object.path(growing.list)?.to_value();
    let old = list.as_array().filter(|old| !old.is_empty())?;
    let mut along = growing.list.iter().zip(&place.location);
    if !along.all(|(name, hop)| matches!(hop, Hop::Name(at) if **at == **name)) {
        return None;
    }
    let below = growing.list.get(place.location.len()..).unwrap_or_default();
    let rest = place.location.get(growing.list.len()..).unwrap_or_default();
    let lost = match (rest, action) {
        ([], Action::Remove { .. }) => true,
        // The list, or what holds it.
        ([], Action::Put(new)) => {
            let new = below.iter().try_fold(new, |at, name| at.get(*name));
            !keeps(old, new, &growing)
        }
        ([Hop::Index(at)], Action::Put(new)) => {
            old.get(*at).is_some_and(|old| !is_kept(old, new, &growing))
        }
        ([_, Hop::Name(field), ..], _) => **field != *growing.free,
        _ => true,
    };
    lost.then_some(growing.fixed)
}

/// Whether each element of the list is in the new one too.
fn keeps(old: &[Value], new: Option<&Value>, growing: &Growing) -> bool {
    let new = new.and_then(Value::as_array);
    let new = new.map(Vec::as_slice).unwrap_or_default();
    old.iter()
        .all(|old| new.iter().any(|new| is_kept(old, new, growing)))
}

fn is_kept(old: &Value, new: &Value, growing: &Growing) -> bool {
    let bare = |element: &Value| {
        let mut element = element.clone();
        if let Some(map) = element.as_object_mut() {
            map.shift_remove(growing.free);
            map.retain(|_, value| !value.is_null());
        }
        element
    };
    bare(old) == bare(new)
}
