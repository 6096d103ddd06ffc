//! What a server makes of an eviction.

use super::World;
use crate::engine::{Fault, Outcome};
use crate::object::{GroupKind, Meta, ObjectKey};
use crate::rule::selector::{LabelOperator, LabelSelector, Requirement};
use jiff::Timestamp;
use serde_json::{Value, json};

impl World {
    /// The Pod goes, unless a PodDisruptionBudget among the objects says in its status that none may go now.
    pub(super) fn evict(&mut self, key: &ObjectKey, now: Timestamp) -> Outcome {
        if !key.kind.group.is_empty() || &*key.kind.kind != "Pod" {
            let message = format!("{} cannot be evicted", key.kind);
            return Outcome::Failed(Fault::Refused(message));
        }
        let Some(pod) = self.get(key).cloned() else {
            return Outcome::Gone;
        };
        let kind = GroupKind::new("policy", "PodDisruptionBudget");
        let budgets: Vec<(ObjectKey, Value)> = self
            .objects
            .iter()
            .filter(|(k, _)| k.kind == kind && k.namespace == key.namespace)
            .map(|(k, held)| (k.clone(), held.record.to_value()))
            .filter(|(_, budget)| selects(&budget["spec"]["selector"], pod.meta()))
            .collect();
        if let [_, _, ..] = budgets.as_slice() {
            let message = "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.";
            return Outcome::Failed(Fault::Rejected(message.into()));
        }
        if let Some((budget, mut value)) = budgets.into_iter().next()
            && let Some(allowed) = value["status"]["disruptionsAllowed"].as_i64()
        {
            if allowed <= 0 {
                let message = format!(
                    "Cannot evict pod as it would violate the pod's disruption budget. The disruption budget {} allows no disruption now",
                    budget.name
                );
                return Outcome::Failed(Fault::Budget(message));
            }
            value["status"]["disruptionsAllowed"] = json!(allowed - 1);
            self.put(&value, now);
        }
        self.remove(key, None, now);
        Outcome::Gone
    }
}

/// Whether a label selector as it stands in an object selects a Pod. One that cannot be read selects it: then it may not go.
fn selects(selector: &Value, pod: Meta<'_>) -> bool {
    let labels = selector["matchLabels"].as_object();
    let mut requirements = vec![];
    for (key, value) in labels.into_iter().flatten() {
        match Requirement::label(key, value.as_str().unwrap_or_default()) {
            Ok(requirement) => requirements.push(requirement),
            Err(_) => return true,
        }
    }
    for expression in selector["matchExpressions"]
        .as_array()
        .into_iter()
        .flatten()
    {
        let operator = LabelOperator::ALL
            .into_iter()
            .find(|o| Some(o.as_str()) == expression["operator"].as_str());
        let values = expression["values"].as_array();
        let values: Vec<&str> = values
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        let key = expression["key"].as_str().unwrap_or_default();
        match operator.map(|operator| Requirement::new(key, operator, &values)) {
            Some(Ok(requirement)) => requirements.push(requirement),
            _ => return true,
        }
    }
    LabelSelector::new(requirements).matches(pod.labels())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::object::Record;

    #[test]
    fn a_selector_selects_by_labels_and_expressions() {
        let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a", "labels": {"app": "web", "tier": "front"}}});
        let pod = Record::from_value(&pod);
        let selected = |selector| selects(&selector, pod.meta());
        assert!(selected(json!({"matchLabels": {"app": "web"}})));
        assert!(!selected(json!({"matchLabels": {"app": "api"}})));
        assert!(selected(
            json!({"matchExpressions": [{"key": "tier", "operator": "In", "values": ["front", "back"]}]})
        ));
        assert!(!selected(
            json!({"matchExpressions": [{"key": "tier", "operator": "DoesNotExist"}]})
        ));
        // An empty one selects all, as in policy/v1.
        assert!(selected(json!({})));
        assert!(selected(
            json!({"matchExpressions": [{"key": "tier", "operator": "Like"}]})
        ));
    }
}
