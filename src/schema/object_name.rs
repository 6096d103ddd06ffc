//! Objects as people write them: `KIND/NAMESPACE/NAME`.

use super::{Schema, nearest};
use crate::object::{GroupKind, Gvk, ObjectKey};
use std::sync::Arc;

/// Parses `KIND/NAMESPACE/NAME` or `KIND/NAME`, with `GROUP/VERSION/` or `VERSION/` before it where needed. Without a group the kind is looked up in the schema;
/// where several groups have it, the first by name of group wins.
///
/// # Errors
/// A sentence for people, with the nearest kind if it was misspelt.
pub fn parse_object(text: &str, schema: &Schema) -> Result<ObjectKey, String> {
    let parts: Vec<&str> = text.split('/').collect();
    if parts.iter().any(|p| p.is_empty()) {
        return Err(format!(
            "`{text}` is no object: KIND/NAMESPACE/NAME, or KIND/NAME without a namespace"
        ));
    }
    let is_kind = |part: &str| part.starts_with(|c: char| c.is_ascii_uppercase());
    let at = parts.iter().position(|p| is_kind(p)).ok_or_else(|| {
        format!("`{text}` names no kind: KIND/NAMESPACE/NAME, or KIND/NAME without a namespace")
    })?;
    let group: Option<Arc<str>> = match at {
        0 => None,
        1 => Some("".into()),
        2 => Some(parts[0].into()),
        _ => return Err(format!("`{text}` has too much before its kind")),
    };
    let kind = match group {
        Some(group) => GroupKind {
            group,
            kind: parts[at].into(),
        },
        None => schema
            .kinds()
            .iter()
            .map(|k| k.gvk.group_kind())
            .chain(schema.seen().iter().map(Gvk::group_kind))
            .find(|k| &*k.kind == parts[at])
            .ok_or_else(|| {
                let kinds = schema.kinds();
                let near = nearest(parts[at], kinds.iter().map(|k| &*k.gvk.kind));
                match near.first() {
                    Some(near) => format!("no kind `{}`: did you mean `{near}`?", parts[at]),
                    None => format!(
                        "no kind `{}` is known: write GROUP/VERSION/{text}",
                        parts[at]
                    ),
                }
            })?,
    };
    match parts[at + 1..] {
        [name] => Ok(ObjectKey::new(kind, None, name)),
        [namespace, name] => Ok(ObjectKey::new(kind, Some(namespace), name)),
        _ => Err(format!(
            "`{text}` is no object: KIND/NAMESPACE/NAME, or KIND/NAME without a namespace"
        )),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn objects_are_named_as_people_write_them() {
        let schema = Schema::bundled();
        let shown =
            |text: &str| parse_object(text, &schema).map(|key| format!("{} {key}", key.kind));
        assert_eq!(
            shown("ConfigMap/shop/a").unwrap(),
            "ConfigMap ConfigMap/shop/a"
        );
        assert_eq!(
            shown("Deployment/shop/a").unwrap(),
            "Deployment.apps Deployment/shop/a"
        );
        assert_eq!(shown("Namespace/shop").unwrap(), "Namespace Namespace/shop");
        assert_eq!(
            shown("v1/ConfigMap/shop/a").unwrap(),
            "ConfigMap ConfigMap/shop/a"
        );
        assert_eq!(
            shown("example.com/v1/Boat/shop/a").unwrap(),
            "Boat.example.com Boat/shop/a"
        );
        let seen = schema.with_seen([(Gvk::from_api_version("example.com/v1", "Boat"), true)]);
        let key = parse_object("Boat/shop/a", &seen).unwrap();
        assert_eq!(key.kind.to_string(), "Boat.example.com");
        assert_eq!(
            shown("Deploymnet/shop/a").unwrap_err(),
            "no kind `Deploymnet`: did you mean `Deployment`?"
        );
        for wrong in [
            "ConfigMap",
            "configmap/a",
            "ConfigMap//a",
            "ConfigMap/a/b/c",
            "a/b/c/ConfigMap/d",
        ] {
            assert!(shown(wrong).is_err(), "{wrong}");
        }
    }
}
