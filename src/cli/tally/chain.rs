//! What several steps make of one object, decided each on what is there now: each goes on from what those before it leave, as in a run.

use crate::decide::RuleChange;
use crate::object::Record;
use crate::rule::Verb;
use serde_json::{Map, Value};

/// Of so many changes of one object it is looked which goes on from which; of more than that, as of an object that is applied for thousands,
/// they are taken as they stand.
const MOST_IN_ORDER: usize = 100;

/// Whether two changes are shown as one diff. What is told or archived is another one each time.
pub fn share_a_diff(a: &RuleChange, b: &RuleChange) -> bool {
    a.object == b.object && a.verb == b.verb && !stands_alone(a.verb)
}

/// Whether each change by this verb is something for itself.
pub(super) fn stands_alone(verb: Verb) -> bool {
    matches!(verb, Verb::Event | Verb::Archive)
}

/// As [`share_a_diff`], where each rule is shown by itself.
pub(super) fn share_a_diff_by_itself(a: &RuleChange, b: &RuleChange) -> bool {
    a.rule == b.rule && share_a_diff(a, b)
}

/// Lets each change go on from the one before it, as far as they share a diff; those of which nothing is left then are left out.
pub(super) fn chained(
    changes: Vec<RuleChange>,
    share: fn(&RuleChange, &RuleChange) -> bool,
) -> Vec<RuleChange> {
    let mut groups: Vec<Vec<RuleChange>> = vec![];
    for change in changes {
        match groups.last_mut() {
            Some(group) if share(&group[0], &change) => group.push(change),
            _ => groups.push(vec![change]),
        }
    }
    groups.into_iter().flat_map(of_one_object).collect()
}

fn of_one_object(group: Vec<RuleChange>) -> Vec<RuleChange> {
    // A deletion has no state that anything could go on from.
    if group.len() < 2 || group.iter().any(|change| change.after.is_none()) {
        return group;
    }
    let mut state: Option<Option<Record>> = None;
    let mut chain = vec![];
    let mut left: Vec<Option<RuleChange>> = group.into_iter().map(Some).collect();
    let ordered = left.len() <= MOST_IN_ORDER;
    for turn in 0..left.len() {
        let at = match ordered {
            true => next(&left, state.as_ref()),
            false => turn,
        };
        let Some(mut change) = left[at].take() else {
            continue;
        };
        let before = state.get_or_insert_with(|| change.before.clone());
        if change.before != *before {
            let after = three_way(&change, before.as_ref());
            if after == *before {
                continue;
            }
            change.before.clone_from(before);
            change.after = after;
        }
        before.clone_from(&change.after);
        chain.push((at, change));
    }
    // Shown in the order of the rules.
    chain.sort_by_key(|(at, _)| *at);
    chain.into_iter().map(|(_, change)| change).collect()
}

/// Which comes next: the one that goes on from a state; to begin with, the first that goes on from none of the others.
fn next(left: &[Option<RuleChange>], state: Option<&Option<Record>>) -> usize {
    let open = || {
        let numbered = left.iter().enumerate();
        numbered.filter_map(|(at, change)| Some((at, change.as_ref()?)))
    };
    let fits = |change: &RuleChange| match state {
        Some(state) => change.before == *state,
        None => change.before.is_none() || open().all(|(_, other)| other.after != change.before),
    };
    let found = open().find(|(_, change)| fits(change));
    found.or_else(|| open().next()).map_or(0, |(at, _)| at)
}

/// What a change makes of another state than the one that it was decided on.
fn three_way(change: &RuleChange, state: Option<&Record>) -> Option<Record> {
    let value = |record: Option<&Record>| record.map(Record::to_value);
    let (base, after) = (value(change.before.as_ref()), value(change.after.as_ref()));
    let made = merged(base.as_ref(), value(state).as_ref(), after.as_ref());
    made.map(|value| Record::from_value(&value))
}

/// Two values that come of the same one, together. Where both changed it, the second has its way.
fn merged(base: Option<&Value>, first: Option<&Value>, second: Option<&Value>) -> Option<Value> {
    if second == base || second == first {
        return first.cloned();
    }
    if first == base {
        return second.cloned();
    }
    match (first, second) {
        (Some(Value::Object(ours)), Some(Value::Object(theirs))) => {
            let base = base.and_then(Value::as_object);
            let names = theirs.keys().filter(|name| !ours.contains_key(*name));
            let mut all = Map::new();
            for name in ours.keys().chain(names) {
                let was = base.and_then(|base| base.get(name));
                if let Some(value) = merged(was, ours.get(name), theirs.get(name)) {
                    all.insert(name.clone(), value);
                }
            }
            Some(Value::Object(all))
        }
        (Some(Value::Array(ours)), Some(Value::Array(theirs))) => {
            let was = base
                .and_then(Value::as_array)
                .map_or(&[][..], Vec::as_slice);
            if ours.len() == was.len() && theirs.len() == was.len() {
                let each = was.iter().zip(ours).zip(theirs);
                let each = each.filter_map(|((was, ours), theirs)| {
                    merged(Some(was), Some(ours), Some(theirs))
                });
                return Some(Value::Array(each.collect()));
            }
            // What the second puts behind the elements that were there.
            match theirs.strip_prefix(was) {
                Some(more) => Some(Value::Array([&ours[..], more].concat())),
                None => second.cloned(),
            }
        }
        _ => second.cloned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn two_changes_of_one_value_are_both_in_what_becomes_of_it() {
        for (base, first, second, expected) in [
            (
                json!({}),
                json!({"l": {"a": 1}}),
                json!({"l": {"b": 2}}),
                json!({"l": {"a": 1, "b": 2}}),
            ),
            (
                json!({"a": 1, "b": 2}),
                json!({"b": 2}),
                json!({"a": 1}),
                json!({}),
            ),
            (
                json!({"a": 1}),
                json!({"a": 2}),
                json!({"a": 3}),
                json!({"a": 3}),
            ),
            (
                json!([{"n": "x"}, {"n": "y"}]),
                json!([{"n": "x", "i": 1}, {"n": "y"}]),
                json!([{"n": "x"}, {"n": "y", "i": 2}]),
                json!([{"n": "x", "i": 1}, {"n": "y", "i": 2}]),
            ),
            (
                json!(["a"]),
                json!(["a", "b"]),
                json!(["a", "c"]),
                json!(["a", "b", "c"]),
            ),
            (
                json!({}),
                json!({"f": ["b"]}),
                json!({"f": ["c"]}),
                json!({"f": ["b", "c"]}),
            ),
            (json!(["a", "b"]), json!(["b"]), json!(["a"]), json!(["a"])),
        ] {
            let made = merged(Some(&base), Some(&first), Some(&second));
            assert_eq!(made, Some(expected), "{base} {first} {second}");
        }
    }
}
