//! What a rule remembers on its subject itself: the annotation `state.ordain.dev/RULE`, written in the same request as the change it is about.
//!
//! ```json
//! {"version": 1, "uid": "…", "by": "ordain", "former": {"/spec/replicas": {"was": 3, "set": 0}}, "once": {"0": "key"}}
//! ```
//!
//! It carries the subject's uid and is void on any other object, as controllers copy annotations; and the daemon's namespace, as another
//! installation in the same cluster may have a rule of the same name. An object that the same rule has applied
//! carries the annotation with its own subjects already ([`ownership`]), which belongs to server-side apply; there this state stands under
//! `subject.ordain.dev/RULE`.

use crate::object::{GroupKind, Meta, ObjectKey, Record, STATE_DOMAINS};
use crate::rule::apply::ownership;
use serde_json::{Map, Value, json};

/// The format that is written. Older ones are read; a newer one is left alone.
pub const VERSION: u64 = 1;

/// Largest text of one rule on one object, in bytes: all annotations of an object may take 256 KiB together.
pub const LARGEST: usize = 64 << 10;

/// Most subjects that are written down on an object.
pub const MOST_SUBJECTS: usize = 8;

const APART: &str = STATE_DOMAINS[1];

/// A field that a rule has changed, and what to do to undo that.
#[derive(Clone, Debug, PartialEq)]
pub struct Former {
    /// RFC 6901, without list elements.
    pub pointer: Box<str>,
    /// What stood there before; `None`: nothing.
    pub was: Option<Value>,
    /// What the rule wrote there; `None`: it removed what stood there. Whoever finds something else there finds another's change.
    pub set: Option<Value>,
    /// How many of the maps above it the rule has made.
    pub made: usize,
}

impl Former {
    /// The maps that were made for it, the deepest first.
    pub fn maps_made(&self) -> impl Iterator<Item = &str> {
        let above = |of: &str| of.rfind('/').unwrap_or_default();
        let whole: &str = &self.pointer;
        let maps =
            std::iter::successors(Some(above(whole)), move |end| Some(above(&whole[..*end])));
        maps.map(|end| &whole[..end]).take(self.made)
    }
}

/// What a rule remembers on one subject.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SubjectState {
    /// The namespace of the daemon that wrote it; empty where that was not said.
    pub by: Box<str>,
    /// By pointer, each once.
    pub former: Vec<Former>,
    /// The last key of each step that acts `once`, by the step.
    pub once: Map<String, Value>,
    /// The subjects for which the fields were changed, with their uids, where that is not the object itself; not more than
    /// [`MOST_SUBJECTS`] of them are written down.
    pub subjects: Vec<(ObjectKey, String)>,
}

/// What an object says of a rule.
#[derive(Clone, Debug, PartialEq)]
pub enum Said {
    /// Nothing, or nothing that is true of this object.
    Nothing,
    /// This.
    State(SubjectState),
    /// The daemon of this namespace remembers something here, for a rule of the same name.
    Foreign(Box<str>),
    /// It is written in a later format: nothing may be concluded, and nothing written over it.
    Newer(u64),
}

/// The state would not fit into the annotation: its size in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLarge(pub usize);

/// The names of the rules that an object says something of, be it as their subject or as what they applied.
pub fn rules(record: &Record) -> impl Iterator<Item = &str> {
    let carries = record.may_carry_state();
    let annotations = carries.then(|| record.meta().annotations()).flatten();
    let names = annotations.into_iter().flat_map(|all| all.entries());
    names.filter_map(|(name, _)| rule_of(name))
}

/// The rule that an annotation of this name belongs to.
pub fn rule_of(annotation: &str) -> Option<&str> {
    STATE_DOMAINS
        .iter()
        .find_map(|d| annotation.strip_prefix(d))
}

/// The names under which a rule may keep state on an object.
pub fn names(rule: &str) -> [String; 2] {
    [ownership::annotation(rule), format!("{APART}{rule}")]
}

/// Whether the rule's annotation proper tells of the subjects that the object was applied for.
fn is_applied(meta: Meta<'_>, rule: &str) -> bool {
    let text = meta.annotation(&ownership::annotation(rule));
    text.is_some_and(|text| text.starts_with(ownership::BEGINS))
}

fn name(meta: Meta<'_>, rule: &str) -> String {
    match is_applied(meta, rule) {
        true => format!("{APART}{rule}"),
        false => ownership::annotation(rule),
    }
}

impl SubjectState {
    /// Whether there is nothing to remember.
    pub fn is_empty(&self) -> bool {
        self.former.is_empty() && self.once.is_empty()
    }

    /// What is remembered of a field.
    pub fn former(&self, pointer: &str) -> Option<&Former> {
        self.former.iter().find(|f| &*f.pointer == pointer)
    }

    /// As [`read`](Self::read), for the daemon of a namespace: what another one wrote is none of its business.
    pub fn read_own(meta: Meta<'_>, rule: &str, by: &str) -> Said {
        match Self::read(meta, rule) {
            Said::State(state) if !state.by.is_empty() && *state.by != *by => {
                Said::Foreign(state.by)
            }
            said => said,
        }
    }

    /// What an object says of a rule as its subject.
    pub fn read(meta: Meta<'_>, rule: &str) -> Said {
        match meta.annotation(&name(meta, rule)) {
            Some(text) => Self::parse(text, meta.uid()),
            None => Said::Nothing,
        }
    }

    fn parse(text: &str, uid: &str) -> Said {
        let Ok(Value::Object(said)) = serde_json::from_str::<Value>(text) else {
            return Said::Nothing;
        };
        if said.get("uid").and_then(Value::as_str) != Some(uid) {
            return Said::Nothing;
        }
        match said.get("version").and_then(Value::as_u64) {
            Some(version) if version > VERSION => return Said::Newer(version),
            Some(_) => {}
            None => return Said::Nothing,
        }
        let former = said.get("former").and_then(Value::as_object);
        let mut former: Vec<Former> = former
            .into_iter()
            .flatten()
            .filter(|(pointer, _)| pointer.starts_with('/'))
            .map(|(pointer, of)| Former {
                pointer: pointer.as_str().into(),
                was: of.get("was").cloned(),
                set: of.get("set").cloned(),
                made: of
                    .get("made")
                    .and_then(Value::as_u64)
                    .and_then(|made| usize::try_from(made).ok())
                    .unwrap_or_default(),
            })
            .collect();
        former.sort_by(|a, b| a.pointer.cmp(&b.pointer));
        let once = said.get("once").and_then(Value::as_object);
        let by = said.get("by").and_then(Value::as_str).unwrap_or_default();
        Said::State(SubjectState {
            by: by.into(),
            former,
            once: once.cloned().unwrap_or_default(),
            subjects: subjects_of(&said),
        })
    }

    fn text(&self, uid: &str) -> String {
        let mut said = json!({"version": VERSION, "uid": uid});
        if !self.by.is_empty() {
            said["by"] = json!(*self.by);
        }
        if !self.former.is_empty() {
            let mut all: Vec<&Former> = self.former.iter().collect();
            all.sort_by(|a, b| a.pointer.cmp(&b.pointer));
            let mut former = Map::new();
            for one in all {
                let mut of = Map::new();
                for (name, value) in [("was", &one.was), ("set", &one.set)] {
                    if let Some(value) = value {
                        of.insert(name.into(), value.clone());
                    }
                }
                if one.made > 0 {
                    of.insert("made".into(), json!(one.made));
                }
                former.insert(one.pointer.to_string(), Value::Object(of));
            }
            said["former"] = Value::Object(former);
            if !self.subjects.is_empty() {
                let subjects = self.subjects.iter().map(|(key, uid)| {
                    json!({
                        "group": *key.kind.group,
                        "kind": *key.kind.kind,
                        "namespace": key.namespace.as_deref(),
                        "name": *key.name,
                        "uid": uid,
                    })
                });
                said["for"] = subjects.collect();
            }
        }
        if !self.once.is_empty() {
            said["once"] = Value::Object(self.once.clone());
        }
        said.to_string()
    }

    /// Writes it on the tree of an object whose metadata is `meta`; with nothing to remember the annotation goes.
    ///
    /// # Errors
    /// It does not fit; the tree is as it was.
    pub fn write(&self, meta: Meta<'_>, rule: &str, object: &mut Value) -> Result<(), TooLarge> {
        let name = name(meta, rule);
        let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) else {
            return Ok(());
        };
        if self.is_empty() {
            if let Some(annotations) = metadata.get_mut("annotations")
                && let Some(map) = annotations.as_object_mut()
            {
                map.shift_remove(&name);
                if map.is_empty() {
                    metadata.shift_remove("annotations");
                }
            }
            return Ok(());
        }
        let text = self.text(meta.uid());
        if text.len() > LARGEST {
            return Err(TooLarge(text.len()));
        }
        let annotations = metadata.entry("annotations").or_insert(Value::Null);
        if !annotations.is_object() {
            *annotations = json!({});
        }
        annotations[name] = Value::String(text);
        Ok(())
    }
}

fn subjects_of(said: &Map<String, Value>) -> Vec<(ObjectKey, String)> {
    let all = said.get("for").and_then(Value::as_array);
    let text = |of: &Value, field: &str| of.get(field).and_then(Value::as_str).map(str::to_owned);
    all.into_iter()
        .flatten()
        .filter_map(|of| {
            let kind = GroupKind::new(&text(of, "group")?, &text(of, "kind")?);
            let namespace = text(of, "namespace");
            let key = ObjectKey::new(kind, namespace.as_deref(), &text(of, "name")?);
            Some((key, text(of, "uid")?))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::object::Record;
    use ownership::Ownership;

    fn state() -> SubjectState {
        let once = json!({"0": "key"}).as_object().unwrap().clone();
        SubjectState {
            by: "".into(),
            former: vec![
                Former {
                    pointer: "/metadata/labels/a~1b".into(),
                    was: None,
                    set: Some(json!("x")),
                    made: 1,
                },
                Former {
                    pointer: "/spec/replicas".into(),
                    was: Some(json!(3)),
                    set: Some(json!(0)),
                    made: 0,
                },
                Former {
                    pointer: "/spec/suspend".into(),
                    was: Some(json!(true)),
                    set: None,
                    made: 0,
                },
            ],
            once,
            subjects: vec![(
                ObjectKey::new(GroupKind::new("", "ConfigMap"), Some("n"), "s"),
                "u2".into(),
            )],
        }
    }

    fn object() -> Value {
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "namespace": "n", "uid": "u1"}})
    }

    fn read(object: &Value) -> Said {
        SubjectState::read(Record::from_value(object).meta(), "rule")
    }

    fn written(mut object: Value, state: &SubjectState) -> Value {
        let record = Record::from_value(&object);
        state.write(record.meta(), "rule", &mut object).unwrap();
        object
    }

    #[test]
    fn what_is_written_is_read_again_and_goes_without_a_trace() {
        let there = written(object(), &state());
        assert_eq!(read(&there), Said::State(state()));
        let text = there["metadata"]["annotations"]["state.ordain.dev/rule"].as_str();
        assert_eq!(
            text,
            Some(
                r#"{"version":1,"uid":"u1","former":{"/metadata/labels/a~1b":{"set":"x","made":1},"/spec/replicas":{"was":3,"set":0},"/spec/suspend":{"was":true}},"for":[{"group":"","kind":"ConfigMap","namespace":"n","name":"s","uid":"u2"}],"once":{"0":"key"}}"#
            )
        );
        let record = Record::from_value(&there);
        assert_eq!(rules(&record).collect::<Vec<_>>(), ["rule"]);
        assert_eq!(written(there, &SubjectState::default()), object());
    }

    #[test]
    fn on_another_object_it_is_void() {
        let mut copied = written(object(), &state());
        copied["metadata"]["uid"] = json!("u2");
        assert_eq!(read(&copied), Said::Nothing);
        // And written over.
        assert_eq!(read(&written(copied, &state())), Said::State(state()));
    }

    #[test]
    fn what_another_installation_wrote_is_none_of_ours() {
        let mut theirs = state();
        theirs.by = "platform".into();
        let there = written(object(), &theirs);
        let record = Record::from_value(&there);
        let read = |by| SubjectState::read_own(record.meta(), "rule", by);
        assert_eq!(read("platform"), Said::State(theirs));
        assert_eq!(read("ordain"), Said::Foreign("platform".into()));
    }

    #[test]
    fn rubbish_says_nothing_and_a_later_format_is_left_alone() {
        for (text, expected) in [
            ("", Said::Nothing),
            ("{", Said::Nothing),
            ("[]", Said::Nothing),
            (r#"{"uid": "u1"}"#, Said::Nothing),
            (r#"{"version": "1", "uid": "u1"}"#, Said::Nothing),
            (
                r#"{"version": 9, "uid": "u1", "former": 3}"#,
                Said::Newer(9),
            ),
            (r#"{"version": 9, "uid": "u2"}"#, Said::Nothing),
            (
                r#"{"version": 1, "uid": "u1", "former": {"x": 1}, "once": []}"#,
                Said::State(SubjectState::default()),
            ),
        ] {
            let mut object = object();
            object["metadata"]["annotations"] = json!({"state.ordain.dev/rule": text});
            assert_eq!(read(&object), expected, "{text}");
        }
    }

    #[test]
    fn an_object_that_the_same_rule_applied_carries_both() {
        let mut object = object();
        let key = ObjectKey::new(GroupKind::new("", "ConfigMap"), Some("n"), "a");
        let ownership = Ownership::default().write(&key);
        object["metadata"]["annotations"] = json!({"state.ordain.dev/rule": ownership});
        let both = written(object.clone(), &state());
        assert_eq!(read(&both), Said::State(state()));
        let record = Record::from_value(&both);
        assert!(Ownership::read(record.meta(), "rule", &key).is_some());
        assert_eq!(written(both, &SubjectState::default()), object);
    }

    #[test]
    fn what_does_not_fit_is_not_written() {
        let mut large = state();
        large.former[1].was = Some(json!("x".repeat(LARGEST)));
        let mut there = object();
        let record = Record::from_value(&there);
        let refused = large.write(record.meta(), "rule", &mut there);
        assert!(refused.is_err_and(|TooLarge(size)| size > LARGEST));
        assert_eq!(there, object());
    }
}
