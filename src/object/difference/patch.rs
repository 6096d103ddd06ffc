//! The smallest JSON patch between two states.

use super::tree::Tree;
use crate::object::Node;
use json_patch::jsonptr::PointerBuf;
use json_patch::{AddOperation, PatchOperation, RemoveOperation, ReplaceOperation};
use serde_json::Value;

/// Lists whose changed middles multiply to more than this are compared place by place instead of being aligned (its cost is that product).
const ALIGNED: usize = 250_000;

/// Fields that tell elements of a list apart, in the order in which they are looked at.
const IDENTITIES: [&str; 8] = [
    "name",
    "key",
    "uid",
    "type",
    "containerPort",
    "port",
    "mountPath",
    "ip",
];

/// The smallest RFC 6902 patch that turns `before` into `after`: values that are the same stay untouched, an element that goes or comes
/// in the middle of a list is one operation, and where describing a list's changes would be longer than the list, the list is replaced.
pub fn json_patch(before: &Value, after: &Value) -> Vec<PatchOperation> {
    let mut patch = Vec::new();
    compare(before, after, &mut PointerBuf::new(), &mut patch);
    patch
}

/// As [`json_patch`], between two records. What is the same is compared as bytes, and only what differs becomes JSON.
pub fn record_patch(before: Node<'_>, after: Node<'_>) -> Vec<PatchOperation> {
    let mut patch = Vec::new();
    compare(before, after, &mut PointerBuf::new(), &mut patch);
    patch
}

fn compare<'a, T: Tree<'a>>(
    before: T,
    after: T,
    at: &mut PointerBuf,
    patch: &mut Vec<PatchOperation>,
) {
    if before.is_map() && after.is_map() {
        for (name, old, new) in before.changed(after) {
            at.push_back(name);
            match (old, new) {
                (Some(old), Some(new)) => compare(old, new, at, patch),
                (None, Some(new)) => patch.push(add(at, new.value())),
                _ => patch.push(remove(at)),
            }
            at.pop_back();
        }
    } else if before.is_list() && after.is_list() {
        let first = patch.len();
        compare_lists(&before.elements(), &after.elements(), at, patch);
        if patch.len() == first {
            return;
        }
        let described: usize = patch[first..].iter().map(operation_size).sum();
        let whole = after.value();
        if described > OPERATION + at.as_str().len() + size(&whole) {
            patch.truncate(first);
            patch.push(replace(at, whole));
        }
    } else if !before.same(after) {
        patch.push(replace(at, after.value()));
    }
}

/// One element of an alignment, in terms of the old and the new index.
enum Pair {
    Both(usize, usize),
    Old(usize),
    New(usize),
}

fn compare_lists<'a, T: Tree<'a>>(
    old: &[T],
    new: &[T],
    at: &mut PointerBuf,
    patch: &mut Vec<PatchOperation>,
) {
    let same = |(a, b): &(&T, &T)| a.same(**b);
    let prefix = old.iter().zip(new).take_while(same).count();
    let (old_rest, new_rest) = (&old[prefix..], &new[prefix..]);
    let backwards = old_rest.iter().rev().zip(new_rest.iter().rev());
    let suffix = backwards.take_while(same).count();
    let old_middle = &old_rest[..old_rest.len() - suffix];
    let new_middle = &new_rest[..new_rest.len() - suffix];
    let pairs = align(old_middle, new_middle);
    // From the end to the start, so that an operation never moves the place of a later one. `cursor` is the old index an addition goes before.
    let mut cursor = prefix + old_middle.len();
    for pair in pairs.iter().rev() {
        match *pair {
            Pair::Both(i, j) => {
                cursor = prefix + i;
                at.push_back(cursor);
                compare(old_middle[i], new_middle[j], at, patch);
            }
            Pair::Old(i) => {
                cursor = prefix + i;
                at.push_back(cursor);
                patch.push(remove(at));
            }
            Pair::New(j) => {
                at.push_back(cursor);
                patch.push(add(at, new_middle[j].value()));
            }
        }
        at.pop_back();
    }
}

fn identity<'a, T: Tree<'a>>(value: T) -> Option<(&'static str, T)> {
    if !value.is_map() {
        return None;
    }
    IDENTITIES
        .iter()
        .find_map(|name| Some((*name, value.member(name)?)))
}

/// How much two elements have in common: the same, the same thing changed, something else of the same make, nothing.
fn likeness<'a, T: Tree<'a>>(a: T, b: T) -> u32 {
    if a.same(b) {
        return 8;
    }
    match (identity(a), identity(b)) {
        (Some((by, a)), Some((also, b))) if by == also && a.same(b) => 6,
        (None, None) if a.is_map() && b.is_map() => 2,
        // Replacing is one operation, removing and adding are two.
        _ => 1,
    }
}

/// Pairs elements in order so that the most is kept.
fn align<'a, T: Tree<'a>>(old: &[T], new: &[T]) -> Vec<Pair> {
    let (rows, columns) = (old.len(), new.len());
    if rows == 0 || columns == 0 || rows.saturating_mul(columns) > ALIGNED {
        let both = rows.min(columns);
        let mut pairs: Vec<Pair> = (0..both).map(|i| Pair::Both(i, i)).collect();
        pairs.extend((both..rows).map(Pair::Old));
        pairs.extend((both..columns).map(Pair::New));
        return pairs;
    }
    let width = columns + 1;
    let mut best = vec![0u32; (rows + 1) * width];
    let mut like = vec![0u32; rows * columns];
    for i in (0..rows).rev() {
        for j in (0..columns).rev() {
            let together = likeness(old[i], new[j]);
            like[i * columns + j] = together;
            best[i * width + j] = (together + best[(i + 1) * width + j + 1])
                .max(best[(i + 1) * width + j])
                .max(best[i * width + j + 1]);
        }
    }
    let (mut i, mut j) = (0, 0);
    let mut pairs = Vec::with_capacity(rows.max(columns));
    while i < rows && j < columns {
        let here = best[i * width + j];
        if here == like[i * columns + j] + best[(i + 1) * width + j + 1] {
            pairs.push(Pair::Both(i, j));
            i += 1;
            j += 1;
        } else if here == best[(i + 1) * width + j] {
            pairs.push(Pair::Old(i));
            i += 1;
        } else {
            pairs.push(Pair::New(j));
            j += 1;
        }
    }
    pairs.extend((i..rows).map(Pair::Old));
    pairs.extend((j..columns).map(Pair::New));
    pairs
}

fn add(at: &PointerBuf, value: Value) -> PatchOperation {
    PatchOperation::Add(AddOperation {
        path: at.clone(),
        value,
    })
}

fn remove(at: &PointerBuf) -> PatchOperation {
    PatchOperation::Remove(RemoveOperation { path: at.clone() })
}

fn replace(at: &PointerBuf, value: Value) -> PatchOperation {
    PatchOperation::Replace(ReplaceOperation {
        path: at.clone(),
        value,
    })
}

/// Bytes of an operation beside its path and value: `{"op":"replace","path":"","value":}`.
const OPERATION: usize = 35;

fn operation_size(operation: &PatchOperation) -> usize {
    let value = match operation {
        PatchOperation::Add(o) => size(&o.value),
        PatchOperation::Replace(o) => size(&o.value),
        _ => 0,
    };
    OPERATION + operation.path().as_str().len() + value
}

/// Roughly the bytes of a value as JSON.
fn size(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(_) => 5,
        Value::Number(_) => 6,
        Value::String(s) => s.len() + 2,
        Value::Array(list) => 2 + list.iter().map(|v| size(v) + 1).sum::<usize>(),
        Value::Object(map) => {
            2 + map
                .iter()
                .map(|(k, v)| k.len() + 4 + size(v))
                .sum::<usize>()
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::object::Record;
    use proptest::prelude::*;
    use serde_json::json;

    fn operations(before: &Value, after: &Value) -> Vec<String> {
        json_patch(before, after)
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    fn containers(names: &[&str]) -> Value {
        let image = "registry.example.com/with/a/long/path:v1";
        json!({"spec": {"containers": names.iter().map(|n| json!({"name": n, "image": image})).collect::<Vec<_>>()}})
    }

    #[test]
    fn changes_only_what_changed() {
        assert_eq!(
            operations(
                &json!({"a": 1, "b": {"c/d": "x"}}),
                &json!({"b": {"c/d": "y"}, "e": null})
            ),
            [
                r#"{"op":"remove","path":"/a"}"#,
                r#"{"op":"replace","path":"/b/c~1d","value":"y"}"#,
                r#"{"op":"add","path":"/e","value":null}"#,
            ]
        );
    }

    #[test]
    fn removes_and_adds_in_the_middle_of_a_list_with_one_operation() {
        let (before, after) = (
            containers(&["a", "b", "c", "d"]),
            containers(&["a", "c", "d"]),
        );
        assert_eq!(
            operations(&before, &after),
            [r#"{"op":"remove","path":"/spec/containers/1"}"#]
        );
        let back = operations(&after, &before);
        assert_eq!(back.len(), 1, "{back:?}");
        assert!(back[0].starts_with(r#"{"op":"add","path":"/spec/containers/1""#));
    }

    #[test]
    fn changes_an_element_behind_a_removed_one_where_it_stands() {
        let before = containers(&["a", "b", "c"]);
        let mut after = containers(&["a", "c"]);
        after["spec"]["containers"][1]["image"] = json!("other:v2");
        assert_eq!(
            operations(&before, &after),
            [
                r#"{"op":"replace","path":"/spec/containers/2/image","value":"other:v2"}"#,
                r#"{"op":"remove","path":"/spec/containers/1"}"#,
            ]
        );
    }

    #[test]
    fn replaces_a_list_where_describing_it_is_longer() {
        let before = json!({"l": [1, 2, 3, 4, 5, 6, 7, 8]});
        assert_eq!(
            operations(&before, &json!({"l": [8, 1, 9, 10, 11]})),
            [r#"{"op":"replace","path":"/l","value":[8,1,9,10,11]}"#]
        );
    }

    #[test]
    fn long_lists_do_not_cost_their_square() {
        let list = |from: usize| json!((from..from + 20_000).collect::<Vec<_>>());
        let (before, mut patched) = (list(0), list(0));
        let after = list(7);
        let patch = json_patch(&before, &after);
        assert_eq!(patch.len(), 1);
        json_patch::patch(&mut patched, &patch).unwrap();
        assert_eq!(patched, after);
    }

    fn tree() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            (0..4i64).prop_map(Value::from),
            "[a-c~/]{0,3}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 48, 6, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                proptest::collection::vec(("(name|key|[a-c~/]{0,2})", inner), 0..5)
                    .prop_map(|entries| Value::Object(entries.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        #[test]
        fn the_patch_leads_from_before_to_after(before in tree(), after in tree()) {
            let patch = json_patch(&before, &after);
            prop_assert_eq!(patch.is_empty(), before == after);
            let mut patched = before;
            json_patch::patch(&mut patched, &patch).unwrap();
            prop_assert_eq!(patched, after);
        }

        #[test]
        fn records_are_compared_as_trees_are(before in tree(), after in tree()) {
            // The compact form leaves out what managers say, and nothing else.
            let (old, new) = (Record::from_value(&before), Record::from_value(&after));
            prop_assert_eq!(record_patch(old.root(), new.root()), json_patch(&before, &after));
        }
    }
}
