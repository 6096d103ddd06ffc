//! The places that an edit on a path of plain names is about, be they as it wants them already or not: for rules that give back what they changed.

use super::plan::{left_out, passes};
use super::site::{Site, push_token};
use super::{Edit, EditChange, EditContext, Planned};
use crate::rule::expr::{ExprFault, Scope};
use serde_json::Value;

/// RFC 6901 pointers; of a `default` with a map, one for each of its leaves. `None`: the edit is not made on this object now, as its `where`
/// fails, it has no value, or there is no such place.
///
/// # Errors
/// An expression of the edit failed, or read something that is not known.
pub fn about(
    edit: &Edit,
    scope: &Scope<'_>,
    context: &EditContext<'_>,
) -> Result<Option<Vec<Box<str>>>, ExprFault> {
    let (object, pod) = scope.edited();
    let places = edit.path.places(object, pod);
    let [place] = places.as_slice() else {
        return Ok(None);
    };
    if left_out(place, scope, context) || (edit.reads_current() && !place.present) {
        return Ok(None);
    }
    let Ok(site) = Site::find(object, &place.location, context.schema) else {
        return Ok(None);
    };
    let scope = Scope {
        current: site.node,
        ..*scope
    };
    if !passes(edit, &scope, &mut Planned::default())? {
        return Ok(None);
    }
    let EditChange::Default(template) = &edit.change else {
        return Ok(Some(vec![site.pointer.into()]));
    };
    let value = match template.literal() {
        Some(literal) => Some(literal.clone()),
        None => template.render(&scope)?,
    };
    Ok(value.map(|value| {
        let mut found = vec![];
        leaves(&mut site.pointer.clone(), &value, &mut found);
        found
    }))
}

fn leaves(pointer: &mut String, value: &Value, found: &mut Vec<Box<str>>) {
    match value {
        Value::Null => {}
        Value::Object(map) if !map.is_empty() => {
            let length = pointer.len();
            for (name, member) in map {
                push_token(pointer, name);
                leaves(pointer, member, found);
                pointer.truncate(length);
            }
        }
        _ => found.push(pointer.as_str().into()),
    }
}
