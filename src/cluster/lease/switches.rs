//! Switches that all replicas share, kept as annotations of the Lease: every replica reads it, the one that leads writes it anyway, and it
//! outlives them all. A person may set them with kubectl as well.

use serde_json::{Value, json};
use std::sync::Arc;

/// `"true"`: every rule behaves as in Audit.
pub const FROZEN: &str = "ordain.dev/frozen";
/// Rules that were stopped and may go on, separated by commas. Whoever leads takes it away when it has done so.
pub const ACKNOWLEDGE: &str = "ordain.dev/acknowledge";
/// Another value than before: a reload that lost many rules was meant.
pub const ACKNOWLEDGE_RELOAD: &str = "ordain.dev/acknowledge-reload";

/// One that was pressed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Switch {
    /// Every rule behaves as in Audit, or as its mode says.
    Freeze(bool),
    /// This rule was stopped and goes on.
    Acknowledge(Arc<str>),
    /// A reload that lost many rules was meant; with a value that is new.
    AcknowledgeReload(String),
}

fn read<'l>(lease: &'l Value, name: &str) -> Option<&'l str> {
    lease["metadata"]["annotations"][name].as_str()
}

/// Whether a Lease says that all is frozen.
pub fn frozen(lease: &Value) -> bool {
    read(lease, FROZEN) == Some("true")
}

/// The rules that a Lease says may go on.
pub fn acknowledged(lease: &Value) -> Vec<Arc<str>> {
    let names = read(lease, ACKNOWLEDGE).unwrap_or_default().split(',');
    let names = names.map(str::trim).filter(|name| !name.is_empty());
    names.map(Into::into).collect()
}

/// What a Lease says of reloads.
pub fn reload(lease: &Value) -> Option<Arc<str>> {
    read(lease, ACKNOWLEDGE_RELOAD).map(Into::into)
}

/// The Lease with a switch pressed.
pub fn press(mut lease: Value, switch: &Switch) -> Value {
    match switch {
        Switch::Freeze(true) => write(&mut lease, FROZEN, "true"),
        Switch::Freeze(false) => remove(&mut lease, FROZEN),
        Switch::Acknowledge(rule) => {
            let mut rules = acknowledged(&lease);
            if !rules.contains(rule) {
                rules.push(rule.clone());
            }
            write(&mut lease, ACKNOWLEDGE, &rules.join(","));
        }
        Switch::AcknowledgeReload(when) => write(&mut lease, ACKNOWLEDGE_RELOAD, when),
    }
    lease
}

/// Sets an annotation.
pub fn write(lease: &mut Value, name: &str, value: &str) {
    if let Some(metadata) = lease.get_mut("metadata").filter(|m| m.is_object()) {
        if !metadata["annotations"].is_object() {
            metadata["annotations"] = json!({});
        }
        metadata["annotations"][name] = value.into();
    }
}

/// Takes an annotation away.
pub fn remove(lease: &mut Value, name: &str) {
    let annotations = lease.pointer_mut("/metadata/annotations");
    if let Some(annotations) = annotations.and_then(Value::as_object_mut) {
        annotations.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_pressed_is_read_and_other_annotations_stay() {
        let lease = json!({"metadata": {"name": "ordain"}});
        assert!(!frozen(&lease) && acknowledged(&lease).is_empty() && reload(&lease).is_none());
        let pressed = press(lease, &Switch::Freeze(true));
        assert!(frozen(&pressed));
        let pressed = press(pressed, &Switch::Acknowledge("a".into()));
        let pressed = press(pressed, &Switch::Acknowledge("b".into()));
        let mut pressed = press(pressed, &Switch::Acknowledge("a".into()));
        assert_eq!(acknowledged(&pressed), ["a".into(), "b".into()]);
        write(&mut pressed, "team", "x");
        let pressed = press(pressed, &Switch::AcknowledgeReload("now".into()));
        assert_eq!(reload(&pressed).as_deref(), Some("now"));
        let mut pressed = press(pressed, &Switch::Freeze(false));
        remove(&mut pressed, ACKNOWLEDGE);
        assert!(!frozen(&pressed) && acknowledged(&pressed).is_empty());
        assert_eq!(
            pressed["metadata"]["annotations"],
            json!({"team": "x", ACKNOWLEDGE_RELOAD: "now"})
        );
    }

    #[test]
    fn annotations_that_somebody_wrote_by_hand_are_read_as_meant() {
        let lease = json!({"metadata": {"annotations": {ACKNOWLEDGE: " a, ,b ", FROZEN: "yes"}}});
        assert_eq!(acknowledged(&lease), ["a".into(), "b".into()]);
        assert!(!frozen(&lease));
        let odd = json!({"metadata": {"annotations": 7}});
        assert!(acknowledged(&odd).is_empty());
        assert!(frozen(&press(odd, &Switch::Freeze(true))));
    }
}
