//! Former values on one object's tree: noting what a rule is about to write over, and putting it back.

use crate::decide::state_annotation::{self, Former, Said, SubjectState};
use crate::object::{Node, Record};
use crate::rule::edit::{completed, same};
use crate::schema::{KindSchema, Type};
use serde_json::{Map, Value};

/// The names that a pointer is made of.
pub(super) fn tokens(pointer: &str) -> impl Iterator<Item = String> + '_ {
    let names = pointer.split('/').skip(1);
    names.map(|name| name.replace("~1", "/").replace("~0", "~"))
}

/// What stands at a pointer; null counts as absent.
pub(super) fn at<'a>(root: Node<'a>, pointer: &str) -> Option<Node<'a>> {
    let found = tokens(pointer).try_fold(root, |node, name| node.get_str(&name));
    found.filter(|node| !node.is_null())
}

fn type_at<'s>(schema: Option<&'s KindSchema>, pointer: &str) -> Option<Type<'s>> {
    let root = schema.and_then(KindSchema::root)?;
    tokens(pointer).try_fold(root, |ty, name| ty.field(&name))
}

/// Whether what stands somewhere is this value to the server.
pub(super) fn is(node: Option<Node<'_>>, value: Option<&Value>, ty: Option<Type<'_>>) -> bool {
    match (node, value) {
        (None, None) => true,
        (Some(node), Some(value)) => same(node, value, ty),
        _ => false,
    }
}

/// Whether what stands somewhere is what a rule has set there, as it did or as the server has completed it: with its default where the rule
/// has removed a field.
fn is_as_set(
    node: Option<Node<'_>>,
    (pointer, set): (&str, Option<&Value>),
    schema: Option<&KindSchema>,
) -> bool {
    let ty = type_at(schema, pointer);
    match (node, set) {
        (Some(node), Some(set)) => completed(node, set, ty),
        (Some(node), None) => {
            let names: Vec<String> = tokens(pointer).collect();
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            let default = schema.and_then(|schema| schema.default_at(&names));
            default.is_some_and(|default| completed(node, &default, ty))
        }
        (node, set) => is(node, set, ty),
    }
}

/// Notes what a rule has written at these places: the states before and after it did.
pub(super) fn note(
    state: &mut SubjectState,
    places: &[Box<str>],
    (before, after): (&Record, &Record),
    schema: Option<&KindSchema>,
) {
    for pointer in places {
        let (old, new) = (at(before.root(), pointer), at(after.root(), pointer));
        let unchanged = match (old, new) {
            (None, None) => true,
            (Some(old), Some(new)) => old.same(new),
            _ => false,
        };
        if unchanged {
            continue;
        }
        let set = new.map(Node::to_value);
        let known = state.former.iter().position(|f| f.pointer == *pointer);
        match known.map(|at| &mut state.former[at]) {
            // Its own value of before takes another one: what it found there at first stays.
            Some(former) if is_as_set(old, (pointer, former.set.as_ref()), schema) => {
                former.set = set;
            }
            // Somebody else changed it meanwhile: that is what is given back.
            _ => {
                let former = Former {
                    pointer: pointer.clone(),
                    was: old.map(Node::to_value),
                    set,
                    made: made_above(before, &state.former, pointer),
                };
                match known {
                    Some(at) => state.former[at] = former,
                    None => state.former.push(former),
                }
            }
        }
    }
}

/// How many of the maps above a place go with what was written there: those that are not there, and those that were made for a field that
/// some rule has changed. Whichever of them goes last takes such a map along.
fn made_above(before: &Record, own: &[Former], pointer: &str) -> usize {
    let meta = before.meta();
    let others: Vec<Former> = state_annotation::rules(before)
        .filter_map(|rule| match SubjectState::read(meta, rule) {
            Said::State(state) => Some(state.former),
            _ => None,
        })
        .flatten()
        .collect();
    let made: Vec<&str> = own
        .iter()
        .chain(&others)
        .flat_map(Former::maps_made)
        .collect();
    let mut above = pointer;
    let mut count = 0;
    while let Some((map, _)) = above.rsplit_once('/')
        && !map.is_empty()
        && (made.contains(&map) || at(before.root(), map).is_none())
    {
        count += 1;
        above = map;
    }
    count
}

/// Puts back every field that is as the rule left it, and takes it out of the state; those named in `keep` stay as they are. True: some was.
pub(super) fn put_back(
    tree: &mut Value,
    state: &mut SubjectState,
    keep: &[Box<str>],
    schema: Option<&KindSchema>,
) -> bool {
    let count = state.former.len();
    state.former.retain(|former| {
        if keep.contains(&former.pointer) {
            return true;
        }
        let record = Record::from_value(tree);
        let there = at(record.root(), &former.pointer);
        if !is_as_set(there, (&former.pointer, former.set.as_ref()), schema) {
            return true;
        }
        restore(tree, former);
        false
    });
    state.former.len() < count
}

/// Takes out of the state what has its former value already. What is left somebody else has changed.
pub(super) fn drop_restored(
    tree: &Value,
    state: &mut SubjectState,
    keep: &[Box<str>],
    schema: Option<&KindSchema>,
) {
    let record = Record::from_value(tree);
    state.former.retain(|former| {
        keep.contains(&former.pointer)
            || !is(
                at(record.root(), &former.pointer),
                former.was.as_ref(),
                type_at(schema, &former.pointer),
            )
    });
}

fn restore(tree: &mut Value, former: &Former) {
    let names: Vec<String> = tokens(&former.pointer).collect();
    match &former.was {
        Some(value) => put(tree, &names, value.clone()),
        None => take(tree, &names, former.made),
    }
}

fn put(tree: &mut Value, names: &[String], value: Value) {
    let mut place = tree;
    for name in names {
        if place.is_null() {
            *place = Value::Object(Map::new());
        }
        let Some(map) = place.as_object_mut() else {
            return;
        };
        place = map.entry(name.as_str()).or_insert(Value::Null);
    }
    *place = value;
}

/// Removes a field, and of the maps above it those that were made for it and are empty now.
fn take(tree: &mut Value, names: &[String], made: usize) {
    for depth in (names.len().saturating_sub(made + 1)..names.len()).rev() {
        let Some((last, above)) = names[..=depth].split_last() else {
            return;
        };
        let parent = above
            .iter()
            .try_fold(&mut *tree, |value, name| value.get_mut(name));
        let Some(map) = parent.and_then(Value::as_object_mut) else {
            return;
        };
        let is_leaf = depth + 1 == names.len();
        let empty = |value: &Value| value.as_object().is_some_and(Map::is_empty);
        if !is_leaf && !map.get(last).is_some_and(empty) {
            return;
        }
        map.shift_remove(last);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::object::GroupKind;
    use crate::schema::Schema;
    use serde_json::json;

    fn noted(state: &mut SubjectState, place: &str, before: &Value, after: &Value) {
        let records = (Record::from_value(before), Record::from_value(after));
        note(state, &[place.into()], (&records.0, &records.1), None);
    }

    #[test]
    fn what_is_noted_comes_back_exactly() {
        for (place, before, after) in [
            (
                "/a/b/c",
                json!({"x": 1}),
                json!({"x": 1, "a": {"b": {"c": 2}}}),
            ),
            ("/a/b/c", json!({"a": {}}), json!({"a": {"b": {"c": 2}}})),
            ("/a/b~1c", json!({"a": {"b/c": [1]}}), json!({"a": {}})),
            ("/a", json!({"a": 1}), json!({"a": {"deep": true}})),
            ("/a", json!({"a": 1}), json!({})),
        ] {
            let mut state = SubjectState::default();
            noted(&mut state, place, &before, &after);
            let mut tree = after.clone();
            assert!(put_back(&mut tree, &mut state, &[], None), "{place}");
            assert_eq!(tree, before, "{place}");
            assert!(state.former.is_empty());
        }
    }

    #[test]
    fn maps_made_for_a_field_stay_when_others_use_them() {
        let mut state = SubjectState::default();
        noted(&mut state, "/a/b", &json!({}), &json!({"a": {"b": 1}}));
        let mut tree = json!({"a": {"b": 1, "c": 2}});
        assert!(put_back(&mut tree, &mut state, &[], None));
        assert_eq!(tree, json!({"a": {"c": 2}}));
    }

    #[test]
    fn a_map_made_for_one_of_several_fields_goes_with_the_last() {
        let (none, one) = (json!({}), json!({"a": {"b": {"c": 1}}}));
        let two = json!({"a": {"b": {"c": 1, "d": 2}}});
        let mut state = SubjectState::default();
        noted(&mut state, "/a/b/c", &none, &one);
        noted(&mut state, "/a/b/d", &one, &two);
        let mut tree = two.clone();
        assert!(put_back(&mut tree, &mut state, &[], None));
        assert_eq!(tree, none);
        // What was there before stays.
        let (there, set) = (json!({"a": {"b": {}}}), json!({"a": {"b": {"c": 1}}}));
        noted(&mut state, "/a/b/c", &there, &set);
        let mut tree = set;
        assert!(put_back(&mut tree, &mut state, &[], None));
        assert_eq!(tree, there);
    }

    #[test]
    fn the_first_value_stays_noted_while_the_rule_changes_its_own() {
        let mut state = SubjectState::default();
        noted(&mut state, "/a", &json!({"a": 1}), &json!({"a": 2}));
        noted(&mut state, "/a", &json!({"a": 2}), &json!({"a": 3}));
        let known = state.former("/a").cloned();
        assert_eq!(
            known.map(|f| (f.was, f.set)),
            Some((Some(json!(1)), Some(json!(3))))
        );
        // Another's value is written over, and given back later.
        noted(&mut state, "/a", &json!({"a": 9}), &json!({"a": 3}));
        assert_eq!(state.former.len(), 1);
        assert_eq!(state.former[0].was, Some(json!(9)));
    }

    #[test]
    fn what_the_server_completed_is_as_the_rule_left_it() {
        let schema = Schema::bundled().kind(&GroupKind::new("apps", "Deployment"));
        let of = |spec: Value| json!({"spec": spec, "metadata": {"labels": spec["labels"]}});
        let rolling = json!({"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": "25%"}});
        for (place, set, stored, ours) in [
            (
                "/spec/strategy",
                json!({"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}}),
                json!({"strategy": rolling}),
                true,
            ),
            (
                "/spec/strategy",
                json!({"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 2}}}),
                json!({"strategy": rolling}),
                false,
            ),
            (
                "/metadata/labels",
                json!({"labels": {"a": "1"}}),
                json!({"labels": {"a": "1", "b": "2"}}),
                false,
            ),
        ] {
            let (before, after) = (of(json!({"x": 1})), of(set));
            let mut state = SubjectState::default();
            let records = (Record::from_value(&before), Record::from_value(&after));
            let schema = schema.as_deref();
            note(
                &mut state,
                &[place.into()],
                (&records.0, &records.1),
                schema,
            );
            let mut tree = of(stored);
            assert_eq!(
                put_back(&mut tree, &mut state, &[], schema),
                ours,
                "{place}"
            );
        }
    }

    #[test]
    fn the_default_of_a_removed_field_is_as_the_rule_left_it() {
        let of = |spec: Value| json!({"spec": spec});
        for (group, kind, place, (was, stored, another)) in [
            (
                "apps",
                "Deployment",
                "/spec/replicas",
                (
                    json!({"replicas": 3}),
                    json!({"replicas": 1}),
                    json!({"replicas": 5}),
                ),
            ),
            (
                "",
                "Service",
                "/spec/sessionAffinity",
                (
                    json!({"sessionAffinity": "ClientIP"}),
                    json!({"sessionAffinity": "None"}),
                    json!({"sessionAffinity": "Other"}),
                ),
            ),
        ] {
            let schema = Schema::bundled().kind(&GroupKind::new(group, kind));
            let schema = schema.as_deref();
            let mut state = SubjectState::default();
            let removed = Record::from_value(&of(json!({})));
            for before in [&was, &stored] {
                let before = Record::from_value(&of(before.clone()));
                note(&mut state, &[place.into()], (&before, &removed), schema);
            }
            let mut others = state.clone();
            let mut tree = of(another.clone());
            assert!(!put_back(&mut tree, &mut others, &[], schema), "{kind}");
            let mut tree = of(stored);
            assert!(put_back(&mut tree, &mut state, &[], schema), "{kind}");
            assert_eq!(tree, of(was), "{kind}");
        }
    }

    #[test]
    fn what_somebody_else_changed_is_left() {
        let mut state = SubjectState::default();
        noted(&mut state, "/a", &json!({"a": 1}), &json!({"a": 2}));
        let mut tree = json!({"a": 5});
        assert!(!put_back(&mut tree, &mut state, &[], None));
        assert_eq!((tree, state.former.len()), (json!({"a": 5}), 1));
        // Put right by hand: nothing is left to do.
        drop_restored(&json!({"a": 1}), &mut state, &[], None);
        assert!(state.former.is_empty());
    }
}
