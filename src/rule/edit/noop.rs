//! Whether an edit would change nothing, from the record alone: most objects are as the rules want them, most of the time.

use super::plan::upsert_keys;
use super::same::same;
use super::{Edit, EditChange};
use crate::object::{Node, NodeKind};
use crate::rule::expr::Scope;
use crate::rule::test::{self, TestRun, Verdict};
use crate::schema::{KindSchema, Type};
use jiff::Timestamp;
use serde_json::{Map, Value};

/// Whether this edit certainly changes nothing and finds nothing. False where that takes a [`plan`](super::plan) to say.
/// Literal values are compared where they stand, without allocating. `recheck_at` becomes the earlier of itself and the moment at which
/// the edit's `where` may come out differently.
pub fn is_noop(
    edit: &Edit,
    scope: &Scope<'_>,
    schema: Option<&KindSchema>,
    recheck_at: &mut Option<Timestamp>,
) -> bool {
    let literal = edit.change.template().and_then(|t| t.literal());
    let computed = edit.change.template().is_some() && literal.is_none();
    let reads_current = (computed || !edit.tests.is_empty()) && edit.reads_current();
    let (object, pod) = scope.edited();
    edit.path.targets(object, pod, &mut |item, current| {
        if reads_current && current.is_none() {
            return true;
        }
        if !computed && edit.tests.is_empty() {
            return unchanged(edit, current, literal, schema);
        }
        let scope = Scope {
            item: item.or(scope.item),
            current,
            ..*scope
        };
        if !edit.tests.is_empty() {
            let mut run = TestRun {
                scope: &scope,
                recheck_at: *recheck_at,
                trace: None,
            };
            let verdict = test::all(&edit.tests, &mut run);
            *recheck_at = run.recheck_at;
            match verdict {
                Verdict::Pass => {}
                Verdict::Fail => return true,
                Verdict::WrongType(_) | Verdict::Unknown(_) | Verdict::Failed(_) => return false,
            }
        }
        match edit.change.template().filter(|_| computed) {
            None => unchanged(edit, current, literal, schema),
            Some(template) => match template.render(&scope) {
                Ok(Some(value)) => unchanged(edit, current, Some(&value), schema),
                Ok(None) => true,
                Err(_) => false,
            },
        }
    })
}

fn unchanged(
    edit: &Edit,
    current: Option<Node<'_>>,
    value: Option<&Value>,
    schema: Option<&KindSchema>,
) -> bool {
    let (node, value) = match (current, value) {
        (None, value) => {
            return matches!(edit.change, EditChange::Remove) && value.is_none();
        }
        (Some(node), Some(value)) => (node, value),
        (Some(_), None) => return false,
    };
    // The type is looked up only where the values are not plainly equal.
    let ty = || schema.and_then(|kind| edit.path.type_in(kind));
    match (&edit.change, value) {
        (EditChange::Set(_), value) => {
            node.equals(value) || ty().is_some_and(|ty| same(node, value, Some(ty)))
        }
        (EditChange::Default(_), Value::Object(map)) => is_filled(node, map),
        (EditChange::Default(_), _) => true,
        (EditChange::Merge(_), Value::Object(map)) => {
            is_merged(node, map, None) || ty().is_some_and(|ty| is_merged(node, map, Some(ty)))
        }
        (EditChange::Add { .. }, Value::Array(list)) => {
            node.kind() == NodeKind::List
                && list
                    .iter()
                    .all(|wanted| node.items().any(|n| n.equals(wanted)))
        }
        (EditChange::Upsert { key, .. }, Value::Array(list)) => {
            let ty = ty();
            let keys = upsert_keys(key.as_deref(), ty);
            !keys.is_empty()
                && node.kind() == NodeKind::List
                && list
                    .iter()
                    .all(|wanted| is_upserted(node, wanted, &keys, ty))
        }
        _ => false,
    }
}

fn is_filled(node: Node<'_>, wanted: &Map<String, Value>) -> bool {
    node.kind() == NodeKind::Map
        && wanted.iter().all(|(name, value)| {
            let there = node.get_str(name).filter(|n| !n.is_null());
            match (there, value) {
                (_, Value::Null) => true,
                (Some(below), Value::Object(map)) => is_filled(below, map),
                (there, _) => there.is_some(),
            }
        })
}

pub(super) fn is_merged(node: Node<'_>, patch: &Map<String, Value>, ty: Option<Type<'_>>) -> bool {
    node.kind() == NodeKind::Map
        && patch.iter().all(|(name, value)| {
            let there = node.get_str(name).filter(|n| !n.is_null());
            let ty = ty.and_then(|t| t.field(name));
            match (there, value) {
                (there, Value::Null) => there.is_none(),
                (Some(below), Value::Object(map)) => is_merged(below, map, ty),
                (Some(below), leaf) => same(below, leaf, ty),
                (None, _) => false,
            }
        })
}

/// An element that leaves a key to its default is left to the plan.
fn is_upserted(list: Node<'_>, wanted: &Value, keys: &[&str], ty: Option<Type<'_>>) -> bool {
    let Value::Object(map) = wanted else {
        return false;
    };
    let mut same_key = list.items().filter(|element| {
        keys.iter().all(|key| {
            map.get(*key)
                .is_some_and(|v| element.get_str(key).is_some_and(|n| n.equals(v)))
        })
    });
    same_key
        .next()
        .is_some_and(|element| is_merged(element, map, ty.and_then(Type::element)))
}
