//! Admission without an API server: what rules with `when: [Create, Update, Delete]` say of an object before it is stored.
//!
//! No I/O, no clock. `plan` and `test` always admit, `run --once --manifests` does with `--admit`.

use super::World;
use super::world::is_namespace;
use crate::decide::pass::{PassContext, pass};
use crate::decide::{Alone, Decision, Finding, Operation, Reason, RuleChange, Subject};
use crate::object::{GroupKind, ObjectKey, Record};
use crate::rule::set::RuleSet;
use crate::rule::{Mode, Occasion};
use jiff::Timestamp;
use serde_json::{Value, json};
use std::sync::Arc;

/// The rules that take part in admissions.
pub struct Admission {
    creates: RuleSet,
    updates: RuleSet,
    deletes: RuleSet,
    /// Take every rule as Enforce.
    assume_enforce: bool,
    /// Every rule behaves as in Audit.
    frozen: bool,
    state_namespace: String,
}

/// What came of one request.
pub struct Admitted {
    /// The object as it is to be stored; `None`: refused. Of a deletion the object as it is.
    pub object: Option<Value>,
    /// What rules changed, or would have changed.
    pub changes: Vec<RuleChange>,
    /// What a person should know.
    pub findings: Vec<Finding>,
}

impl Admission {
    /// Of the rules of a set, those that look at some admission.
    pub fn new(
        rules: &RuleSet,
        assume_enforce: bool,
        frozen: bool,
        state_namespace: &str,
    ) -> Admission {
        let at = |occasion| RuleSet::at(occasion, rules.rules().to_vec(), rules.schema().clone());
        Admission {
            creates: at(Occasion::Create),
            updates: at(Occasion::Update),
            deletes: at(Occasion::Delete),
            assume_enforce,
            frozen,
            state_namespace: state_namespace.into(),
        }
    }

    /// Whether a rule that enforces is one whose word counts here.
    pub fn acts(&self, mode: Mode) -> bool {
        !self.frozen && (self.assume_enforce || mode == Mode::Enforce)
    }

    /// A person puts this manifest: a creation, or an update of what is there.
    pub fn put(&self, world: &mut World, manifest: &Value, now: Timestamp) -> Admitted {
        let key = world.key_of(manifest);
        if let Some(namespace) = &key.namespace {
            world.imply_namespace(namespace, now);
        }
        let mut object = manifest.clone();
        if let (Some(namespace), Some(meta)) = (&key.namespace, object["metadata"].as_object_mut())
        {
            meta.insert("namespace".into(), json!(**namespace));
        }
        let former = (!world.is_implied(&key))
            .then(|| world.get(&key))
            .flatten()
            .map(Record::to_value);
        let (rules, occasion) = match &former {
            Some(_) => (&self.updates, Occasion::Update),
            None => (&self.creates, Occasion::Create),
        };
        self.ask(rules, occasion, world, &key, object, former, now)
    }

    /// A person deletes an object that is there.
    pub fn delete(&self, world: &World, key: &ObjectKey, now: Timestamp) -> Option<Admitted> {
        let object = world.get(key)?.to_value();
        let occasion = Occasion::Delete;
        Some(self.ask(
            &self.deletes,
            occasion,
            world,
            key,
            object.clone(),
            Some(object),
            now,
        ))
    }

    #[expect(clippy::too_many_arguments, reason = "a request has that many parts")]
    fn ask(
        &self,
        rules: &RuleSet,
        occasion: Occasion,
        world: &World,
        key: &ObjectKey,
        object: Value,
        former: Option<Value>,
        now: Timestamp,
    ) -> Admitted {
        if rules.for_kind(&key.kind).is_empty() {
            return Admitted {
                object: Some(object),
                changes: vec![],
                findings: vec![],
            };
        }
        let record = Record::from_value(&object);
        let namespace = match &key.namespace {
            _ if is_namespace(key) => Ok(Some(&record)),
            None => Ok(None),
            Some(name) => {
                let key = ObjectKey::new(GroupKind::new("", "Namespace"), None, name);
                world.get(&key).map(Some).ok_or("it does not exist")
            }
        };
        let request = Record::from_value(&request(occasion, key, &object, former.as_ref()));
        let context = PassContext {
            rules,
            namespace,
            now,
            occasion,
            request: Some(&request),
            gate: &|_| !self.frozen,
            assume_enforce: self.assume_enforce,
            ahead: false,
            neighbours: &Alone,
            state_namespace: &self.state_namespace,
        };
        let subject = Subject {
            key,
            record: &record,
        };
        let decision = pass(&subject, &context);
        self.conclude(rules, decision, object, occasion)
    }

    fn conclude(
        &self,
        rules: &RuleSet,
        decision: Decision,
        object: Value,
        occasion: Occasion,
    ) -> Admitted {
        let enforces = |rule: &Arc<str>| rules.get(rule).is_some_and(|rule| self.acts(rule.mode));
        let refused = decision
            .findings
            .iter()
            .any(|finding| finding.reason == Reason::Denied && enforces(&finding.rule));
        if refused {
            return Admitted {
                object: None,
                changes: vec![],
                findings: decision.findings,
            };
        }
        let mut changed = None;
        for write in decision.writes {
            if let (Operation::Patch { .. }, Some(expected)) = (write.operation, write.expected) {
                changed = Some(expected);
            }
        }
        // What is being deleted is changed by nobody.
        let stays = occasion == Occasion::Delete;
        Admitted {
            object: Some(changed.filter(|_| !stays).unwrap_or(object)),
            changes: if stays { vec![] } else { decision.changes },
            findings: decision.findings,
        }
    }
}

/// `request`, as an API server tells a webhook of it, as far as there is something to tell without one: the user is nobody.
fn request(occasion: Occasion, key: &ObjectKey, object: &Value, former: Option<&Value>) -> Value {
    let operation = match occasion {
        Occasion::Delete => "DELETE",
        Occasion::Update => "UPDATE",
        Occasion::Create | Occasion::Reconcile => "CREATE",
    };
    let api_version = object["apiVersion"].as_str().unwrap_or_default();
    let version = api_version.rsplit('/').next().unwrap_or_default();
    json!({
        "operation": operation,
        "name": *key.name,
        "namespace": key.namespace.as_deref().unwrap_or_default(),
        "kind": {"group": *key.kind.group, "version": version, "kind": *key.kind.kind},
        "userInfo": {"username": "", "groups": []},
        "dryRun": false,
        "oldObject": former,
    })
}
