//! Who else writes a field, as `metadata.managedFields` says: an entry lists the fields that a client has written last.

use super::places::{Step, Trail};
use jiff::Timestamp;
use serde_json::Value;

/// Most managers that a message names.
const MOST: usize = 3;
/// Longest name of one that is shown, in characters; the server takes 128.
const LONGEST: usize = 128;
/// The field manager of composed patches; those of a rule begin with it and a `/`.
const OWN: &str = "ordain";

/// One entry of `metadata.managedFields`.
#[derive(Clone, Debug, PartialEq)]
pub struct ManagedFields {
    /// The field manager: what a client calls itself.
    pub manager: String,
    /// `Apply` or `Update`.
    pub operation: String,
    /// `status`, `scale` …; empty for the object itself.
    pub subresource: String,
    /// When it last changed something.
    pub time: Option<Timestamp>,
    /// `fieldsV1`
    pub fields: Value,
}

impl ManagedFields {
    /// Reads the list as the server sends it; an entry without a manager is passed over.
    pub fn read(list: &Value) -> Vec<ManagedFields> {
        let entries = list.as_array().map_or(&[][..], Vec::as_slice);
        let text = |entry: &Value, field: &str| entry[field].as_str().unwrap_or("").to_owned();
        entries
            .iter()
            .map(|entry| ManagedFields {
                manager: text(entry, "manager").chars().take(LONGEST).collect(),
                operation: text(entry, "operation"),
                subresource: text(entry, "subresource"),
                time: entry["time"].as_str().and_then(|t| t.parse().ok()),
                fields: entry["fieldsV1"].clone(),
            })
            .filter(|entry| !entry.manager.is_empty())
            .collect()
    }

    fn is_other(&self) -> bool {
        let rest = self.manager.strip_prefix(OWN);
        !rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    /// Whether it wrote the place, something below it, or all around it.
    fn owns(&self, trail: &Trail) -> bool {
        let mut at = &self.fields;
        for (depth, step) in trail.0.iter().enumerate() {
            let Some(map) = at.as_object() else {
                return false;
            };
            if map.is_empty() {
                // A leaf of the entry: what is below it is written as a whole.
                return depth > 0;
            }
            let next = match step {
                Step::Field(name) => map.get(&format!("f:{name}")),
                Step::Element(element) => map
                    .iter()
                    .find(|(key, _)| is_element(key, element))
                    .map(|(_, below)| below),
            };
            match next {
                Some(next) => at = next,
                None => return false,
            }
        }
        !trail.0.is_empty()
    }
}

/// Whether `k:{"name":"app"}` or `v:"a"` means this element.
fn is_element(key: &str, element: &Value) -> bool {
    if let Some(value) = key.strip_prefix("v:") {
        return serde_json::from_str::<Value>(value).is_ok_and(|value| value == *element);
    }
    let keys = key.strip_prefix("k:");
    let keys = keys.and_then(|keys| serde_json::from_str::<Value>(keys).ok());
    keys.as_ref()
        .and_then(Value::as_object)
        .filter(|_| element.is_object())
        .is_some_and(|keys| {
            keys.iter().all(|(name, value)| {
                // Fields with a default may be left out.
                element.get(name).is_none_or(|found| found == value)
            })
        })
}

/// Who else writes these places, in words: `kubectl-edit` writes the same fields.
pub fn others(managed: &[ManagedFields], trails: &[Trail]) -> String {
    let mut found: Vec<&ManagedFields> = managed
        .iter()
        .filter(|m| m.is_other() && trails.iter().any(|trail| m.owns(trail)))
        .collect();
    let owns = !found.is_empty();
    if !owns {
        // A field that somebody takes away belongs to nobody: whoever changed anything last is the likeliest.
        found = managed.iter().filter(|m| m.is_other()).collect();
    }
    found.sort_by_key(|m| std::cmp::Reverse(m.time));
    let mut names: Vec<String> = vec![];
    for entry in found {
        let name = format!("`{}`", entry.manager);
        if !names.contains(&name) {
            names.push(name);
        }
        if names.len() == if owns { MOST } else { 1 } {
            break;
        }
    }
    names.reverse();
    match (names.split_last(), owns) {
        (None, _) => "something else writes the same fields".to_owned(),
        (Some((last, [])), true) => format!("{last} writes the same fields"),
        (Some((last, rest)), true) => {
            format!("{} and {last} write the same fields", rest.join(", "))
        }
        (Some((last, _)), false) => format!(
            "something else writes the same fields; of the other clients {last} was the last to change the object"
        ),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::json;

    fn managed() -> Vec<ManagedFields> {
        ManagedFields::read(&json!([
            {"manager": "ordain", "operation": "Update", "time": "2026-01-01T00:00:09Z", "fieldsV1": {"f:spec": {"f:replicas": {}}}},
            {"manager": "ordain/rule", "operation": "Apply", "time": "2026-01-01T00:00:09Z", "fieldsV1": {"f:spec": {"f:replicas": {}}}},
            {"manager": "ordainment", "operation": "Update", "time": "2026-01-01T00:00:01Z", "fieldsV1": {"f:metadata": {"f:labels": {".": {}, "f:a": {}}}}},
            {"manager": "kubectl-edit", "operation": "Update", "time": "2026-01-01T00:00:05Z",
             "fieldsV1": {"f:spec": {"f:template": {"f:spec": {"f:containers": {"k:{\"name\":\"app\"}": {"f:image": {}, "f:ports": {"k:{\"containerPort\":80,\"protocol\":\"TCP\"}": {".": {}}}}}}}}}},
            {"manager": "flux", "operation": "Apply", "time": "2026-01-01T00:00:04Z",
             "fieldsV1": {"f:metadata": {"f:finalizers": {".": {}, "v:\"f/a\"": {}}}, "f:spec": {"f:template": {"f:spec": {"f:containers": {"k:{\"name\":\"app\"}": {"f:image": {}}}}}, "f:selector": {}}}},
            {"operation": "Update"}, 7
        ]))
    }

    fn field(name: &str) -> Step {
        Step::Field(name.into())
    }

    fn container(name: &str) -> Vec<Step> {
        let mut steps: Vec<Step> = ["spec", "template", "spec", "containers"].map(field).into();
        steps.push(Step::Element(json!({"name": name, "image": "x"})));
        steps
    }

    fn said(steps: Vec<Step>) -> String {
        others(&managed(), &[Trail(steps)])
    }

    #[test]
    fn whoever_wrote_the_place_is_named() {
        let mut image = container("app");
        image.push(field("image"));
        assert_eq!(
            said(image),
            "`flux` and `kubectl-edit` write the same fields",
            "the latest last"
        );
        let mut ports = container("app");
        ports.extend([field("ports"), Step::Element(json!({"containerPort": 80}))]);
        assert_eq!(said(ports), "`kubectl-edit` writes the same fields");
        let labels = ["metadata", "labels", "a"].map(field);
        assert_eq!(said(labels.into()), "`ordainment` writes the same fields");
        let finalizer = [
            field("metadata"),
            field("finalizers"),
            Step::Element(json!("f/a")),
        ];
        assert_eq!(said(finalizer.into()), "`flux` writes the same fields");
    }

    #[test]
    fn what_is_written_as_a_whole_belongs_to_who_wrote_it() {
        let below = ["spec", "selector", "matchLabels", "app"].map(field);
        assert_eq!(said(below.into()), "`flux` writes the same fields");
        let above = ["spec", "template"].map(field);
        assert_eq!(
            said(above.into()),
            "`flux` and `kubectl-edit` write the same fields"
        );
    }

    #[test]
    fn what_nobody_else_owns_was_taken_away_by_somebody() {
        let text = "something else writes the same fields; of the other clients `kubectl-edit` was the last to change the object";
        for steps in [vec![field("spec"), field("replicas")], container("other")] {
            assert_eq!(said(steps), text);
        }
        let own = &managed()[..2];
        assert_eq!(others(own, &[]), "something else writes the same fields");
        assert_eq!(others(&[], &[]), "something else writes the same fields");
    }
}
