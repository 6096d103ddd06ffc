//! An object in which a path selects one given value, to try a rule on.

use super::{Path, PodPrefix, Root, Selector};
use crate::object::Record;
use serde_json::{Value, json};

impl Path {
    /// `base` with this value where the path leads; lists on the way get one element. `None` where that cannot be told: `..`, a filter
    /// that the element does not pass, a kind without a Pod.
    pub fn planted(&self, base: &Value, pod: PodPrefix, value: &Value) -> Option<Value> {
        let prefix: &[&str] = if self.root == Root::Object { &[] } else { pod? };
        let mut object = base.clone();
        let mut at = &mut object;
        for name in prefix {
            at = member(at, name)?;
        }
        for segment in &self.segments {
            if segment.descendant {
                return None;
            }
            at = match segment.selectors.first()? {
                Selector::Name(name, _) => member(at, name.as_str())?,
                _ => {
                    *at = json!([null]);
                    at.get_mut(0)?
                }
            };
        }
        *at = value.clone();
        let record = Record::from_value(&object);
        let found = self.first(record.root(), pod)?;
        found.equals(value).then_some(object)
    }
}

fn member<'v>(at: &'v mut Value, name: &str) -> Option<&'v mut Value> {
    if at.is_null() {
        *at = json!({});
    }
    let map = at.as_object_mut()?;
    Some(map.entry(name).or_insert(Value::Null))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_value_is_where_the_path_finds_it() {
        let template: PodPrefix = Some(&["spec", "template"]);
        let base = json!({"metadata": {"name": "a"}});
        let planted = |path: &str, pod| Path::parse(path).unwrap().planted(&base, pod, &json!(7));
        for (path, pod, wanted) in [
            (
                "$.spec.replicas",
                None,
                json!({"metadata": {"name": "a"}, "spec": {"replicas": 7}}),
            ),
            (
                "$.metadata.x",
                None,
                json!({"metadata": {"name": "a", "x": 7}}),
            ),
            (
                "$.l[*].x",
                None,
                json!({"metadata": {"name": "a"}, "l": [{"x": 7}]}),
            ),
            (
                "$.l[?@.x].x",
                None,
                json!({"metadata": {"name": "a"}, "l": [{"x": 7}]}),
            ),
            (
                "$containers[0].x",
                template,
                json!({"metadata": {"name": "a"}, "spec": {"template": {"spec": {"containers": [{"x": 7}]}}}}),
            ),
        ] {
            assert_eq!(planted(path, pod), Some(wanted), "{path}");
        }
        for (path, pod) in [
            ("$..x", None),
            ("$.l[?@.name == 'b'].x", None),
            ("$.l[3]", None),
            ("$pod.spec.x", None),
            ("$.metadata.name.x", None),
        ] {
            assert_eq!(planted(path, pod), None, "{path}");
        }
    }
}
