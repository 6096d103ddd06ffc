//! `event`: a Kubernetes Event on the subject, once each time a match begins.

use super::apply::{Deed, Progress, Prospect};
use super::once::Occasion;
use super::steps::At;
use super::turn::Turn;
use super::{Operation, RuleChange, Write, tell};
use crate::object::{GroupKind, ObjectKey, Record};
use crate::rule::Verb;
use crate::rule::expr::{ExprFault, Scope, Template};
use serde_json::{Value, json};

/// Longest note, in bytes: the server refuses a longer one.
const LONGEST_NOTE: usize = 1_024;
/// Longest reason, in bytes.
const LONGEST_REASON: usize = 128;
/// The name of an Event is that of its subject, so much of it, and a number.
const LONGEST_NAME: usize = 200;
/// Elements of a `forEach` are fewer.
const ELEMENTS: usize = 1 << 16;
/// The kind as it is written.
pub(crate) const API_VERSION: &str = "events.k8s.io/v1";
/// Who reports.
const CONTROLLER: &str = "ordain.dev/ordain";

/// Of the number of a step on a member: the top bit, which no other number has, and the place of the step.
const PLACE: u32 = usize::BITS - 16;

/// A number for a step and the object that is its target, by uid (FNV-1a), and the element of its `forEach`; above those of all steps without one.
pub(super) fn step_on(position: usize, uid: &str, item: Option<&Record>) -> usize {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    let item = item.map(|item| format!("\u{0}{}", item.to_value()));
    for byte in uid.bytes().chain(item.iter().flat_map(|item| item.bytes())) {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    1 << (usize::BITS - 1) | position << PLACE | hash as usize >> 16
}

/// The place of the step that has such a number.
pub(super) fn place_of(number: usize) -> Option<usize> {
    let place = number >> PLACE;
    (place >> 15 == 1).then_some(place & 0x7fff)
}

/// A number for a step and an element of its `forEach`.
pub(super) fn step(position: usize, element: usize) -> usize {
    position * ELEMENTS + element
}

pub(super) fn event(
    at: &At<'_>,
    (step, occasion): (usize, Option<&Occasion>),
    (warning, reason, message): (bool, &Template, &Template),
    (scope, key, record): (&Scope<'_>, &ObjectKey, &Record),
    turn: &mut Turn,
) -> Result<Progress, ExprFault> {
    let (world, rule, index) = (at.world, at.rule, at.manner.index);
    let neighbours = world.context.neighbours;
    let nth = match occasion {
        Some(_) => 0,
        None => match neighbours.begun(index, step) {
            Some(_) if !turn.has_room(at) => return Ok(Progress::Stopped),
            Some(nth) => nth,
            None => return Ok(Progress::Done),
        },
    };
    let reason = shortened(text(reason, scope)?, LONGEST_REASON);
    if reason.is_empty() {
        return Err(ExprFault::Failed("the reason of an event is empty".into()));
    }
    let note = shortened(text(message, scope)?, LONGEST_NOTE);
    let meta = record.meta();
    let which = occasion.map(Occasion::which);
    let name = match &which {
        Some(which) => name_of(&key.name, [&rule.name, meta.uid(), which, ""]),
        None => name(&key.name, &rule.name, step, meta.uid(), nth),
    };
    let kind = if warning { "Warning" } else { "Normal" };
    let told = Told {
        name: &name,
        kind,
        reason: &reason,
        note: &note,
        action: &rule.name,
    };
    let (object, event) = about(key, meta, &told);
    let write = Write {
        object,
        api_version: API_VERSION.into(),
        operation: Operation::Event {
            event,
            time: world.context.now,
            step,
        },
        rules: vec![rule.name.clone()],
        expected: None,
        uid: String::new(),
        resource_version: String::new(),
        acts: vec![],
        wanted: None,
    };
    match neighbours.prospect(index, &write) {
        Prospect::Made => return Ok(Progress::Done),
        Prospect::New => {}
        Prospect::Barred(reason, message, until) => {
            turn.find(reason, format!("the event: {message}"));
            turn.recheck(until);
            return Ok(Progress::Stopped);
        }
    }
    let change = RuleChange {
        rule: rule.name.clone(),
        mode: rule.mode,
        verb: Verb::Event,
        object: key.clone(),
        before: None,
        after: Some(Record::from_value(
            &json!({"type": kind, "reason": reason, "note": tell::without_secrets(at, note, turn.lists.as_deref())}),
        )),
        why: vec![],
    };
    let once = true;
    turn.deeds.push(Deed {
        write,
        change,
        once,
    });
    Ok(Progress::Asked)
}

/// What an Event says.
pub(crate) struct Told<'a> {
    /// Of the Event, see [`name_of`].
    pub name: &'a str,
    /// `Normal` or `Warning`.
    pub kind: &'a str,
    /// In CamelCase; at most 128 bytes.
    pub reason: &'a str,
    /// For people; what is beyond 1,024 bytes is cut off.
    pub note: &'a str,
    /// Name of the rule.
    pub action: &'a str,
}

/// An Event about an object, all of it but the time.
pub(crate) fn about(
    key: &ObjectKey,
    meta: crate::object::Meta<'_>,
    told: &Told<'_>,
) -> (ObjectKey, Value) {
    let mut regarding = json!({
        "apiVersion": meta.api_version(),
        "kind": meta.kind(),
        "name": meta.name(),
        "uid": meta.uid(),
    });
    if let Some(namespace) = &key.namespace {
        regarding["namespace"] = json!(**namespace);
    }
    // Events on what has no namespace lie in this one.
    let namespace = key.namespace.as_deref().unwrap_or("default");
    let event = json!({
        "apiVersion": API_VERSION,
        "kind": "Event",
        "metadata": {"name": told.name, "namespace": namespace},
        "reportingController": CONTROLLER,
        "reportingInstance": "ordain",
        "action": told.action,
        "type": told.kind,
        "reason": told.reason,
        "note": shortened(told.note.to_owned(), LONGEST_NOTE),
        "regarding": regarding,
    });
    let kind = GroupKind::new("events.k8s.io", "Event");
    (ObjectKey::new(kind, Some(namespace), told.name), event)
}

fn text(template: &Template, scope: &Scope<'_>) -> Result<String, ExprFault> {
    let value = match template.literal() {
        Some(literal) => Some(literal.clone()),
        None => template.render(scope)?,
    };
    Ok(match value {
        Some(Value::String(text)) => text,
        Some(other) => other.to_string(),
        None => String::new(),
    })
}

/// At most so many bytes, cut between characters.
fn shortened(mut text: String, bytes: usize) -> String {
    let mut end = bytes.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.truncate(end);
    text
}

/// The same for the same match, so that telling it again is telling the same: made from rule, step, uid, and how often the match has begun.
fn name(subject: &str, rule: &str, step: usize, uid: &str, nth: u32) -> String {
    name_of(subject, [rule, uid, &step.to_string(), &nth.to_string()])
}

/// The name of an Event on a subject: the same for the same parts (FNV-1a).
pub(crate) fn name_of(subject: &str, parts: [&str; 4]) -> String {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for part in parts {
        for byte in part.bytes().chain([0xff]) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }
    // Names of some kinds have characters that those of Events must not have.
    let good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '.';
    let subject: String = subject
        .chars()
        .take(LONGEST_NAME)
        .map(|c| if good(c) { c } else { '-' })
        .collect();
    let subject = subject.trim_matches(['-', '.']);
    let subject = if subject.is_empty() {
        "object"
    } else {
        subject
    };
    format!("{subject}.{hash:016x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_cut_between_characters() {
        assert_eq!(shortened("äöü".into(), 3), "ä");
        assert_eq!(shortened("äöü".into(), 4), "äö");
        assert_eq!(shortened("abc".into(), 9), "abc");
    }

    #[test]
    fn a_name_tells_matches_apart() {
        let one = name("web", "r", 0, "u", 0);
        assert_eq!(one, name("web", "r", 0, "u", 0));
        for other in [
            name("web", "s", 0, "u", 0),
            name("web", "r", 1, "u", 0),
            name("web", "r", 0, "v", 0),
            name("web", "r", 0, "u", 1),
        ] {
            assert_ne!(one, other);
        }
        assert!(name("system:Node_x", "r", 0, "u", 0).starts_with("system--ode-x."));
        assert!(name("::", "r", 0, "u", 0).starts_with("object."));
    }
}
