//! What a server makes of each request.

use super::managers::Managers;
use super::{NAME_LABEL, World, is_namespace, seconds};
use crate::decide::{Operation, Write};
use crate::engine::{Fault, Outcome};
use crate::object::{ObjectKey, Record};
use crate::schema::KindSchema;
use jiff::Timestamp;
use serde_json::{Value, json};

/// The field manager of composed patches.
const COMPOSED: &str = "ordain";

impl World {
    /// Does what a server does with a write.
    pub fn write(&mut self, write: &Write, now: Timestamp) -> Outcome {
        match &write.operation {
            Operation::Apply {
                manifest,
                manager,
                force,
                ..
            } => return self.apply(write, manifest, (manager, *force), now),
            // No sink is part of this world: whoever has one writes there.
            Operation::Archive { .. } => return Outcome::Accepted(String::new()),
            Operation::Event { event, time, .. } => return self.event(&write.object, event, *time),
            _ => {}
        }
        let Some(held) = self.objects.get(&write.object) else {
            return Outcome::Gone;
        };
        let meta = held.record.meta();
        let stale = |wanted: &str, actual: &str| !wanted.is_empty() && wanted != actual;
        if stale(&write.uid, meta.uid()) || stale(&write.resource_version, meta.resource_version())
        {
            return Outcome::Failed(Fault::Stale);
        }
        match &write.operation {
            Operation::Delete { propagation, .. } => {
                self.remove(&write.object, *propagation, now);
                Outcome::Gone
            }
            Operation::Evict => self.evict(&write.object, now),
            Operation::Patch { status, operations } => {
                self.patch(&write.object, *status, operations, now)
            }
            Operation::Scale { replicas, path } => self.scale(&write.object, replicas, path, now),
            Operation::Apply { .. } | Operation::Event { .. } | Operation::Archive { .. } => {
                Outcome::Gone
            }
        }
    }

    fn scale(
        &mut self,
        key: &ObjectKey,
        replicas: &Value,
        path: &[String],
        now: Timestamp,
    ) -> Outcome {
        let refuse = |message: String| Outcome::Failed(Fault::Refused(message));
        let known = self.schema.kind(&key.kind);
        if known.is_some_and(|k| !k.scale) {
            return refuse(format!("{} has no scale subresource", key.kind));
        }
        let allowed = 0..=i64::from(i32::MAX);
        if !replicas.as_i64().is_some_and(|n| allowed.contains(&n)) {
            return refuse(format!("spec.replicas: Invalid value: {replicas}"));
        }
        let Some(record) = self.get(key) else {
            return Outcome::Gone;
        };
        let names: Vec<&str> = path.iter().map(String::as_str).collect();
        let add = |depth: usize, value: Value| {
            json_patch::PatchOperation::Add(json_patch::AddOperation {
                path: json_patch::jsonptr::PointerBuf::from_tokens(names[..depth].iter().copied()),
                value,
            })
        };
        let mut operations: Vec<json_patch::PatchOperation> = (1..names.len())
            .filter(|depth| record.root().path(&names[..*depth]).is_none())
            .map(|depth| add(depth, json!({})))
            .collect();
        operations.push(add(names.len(), replicas.clone()));
        match self.patch(key, false, &operations, now) {
            Outcome::Written(record) => {
                Outcome::Accepted(record.meta().resource_version().to_owned())
            }
            other => other,
        }
    }

    fn patch(
        &mut self,
        key: &ObjectKey,
        status: bool,
        operations: &[json_patch::PatchOperation],
        now: Timestamp,
    ) -> Outcome {
        let Some(held) = self.objects.get(key).cloned() else {
            return Outcome::Gone;
        };
        let before = held.record.to_value();
        let mut after = before.clone();
        if let Err(error) = json_patch::patch(&mut after, operations) {
            return Outcome::Failed(Fault::Refused(format!(
                "the patch cannot be applied: {error}"
            )));
        }
        let named =
            |value: &Value, field: &str| value["metadata"][field].as_str().map(str::to_owned);
        if named(&after, "resourceVersion") != named(&before, "resourceVersion") {
            return Outcome::Failed(Fault::Stale);
        }
        for field in ["name", "namespace", "uid"] {
            if named(&after, field) != named(&before, field) {
                return Outcome::Failed(Fault::Refused(format!(
                    "metadata.{field}: Invalid value: field is immutable"
                )));
            }
        }
        for field in ["apiVersion", "kind"] {
            if after[field] != before[field] {
                return Outcome::Failed(Fault::Refused(format!(
                    "{field}: Invalid value: field is immutable"
                )));
            }
        }
        let known = self.schema.kind(&key.kind);
        if status && known.as_ref().is_some_and(|k| !k.status) {
            return Outcome::Failed(Fault::Refused(format!(
                "{} has no status subresource",
                key.kind
            )));
        }
        // Of a kind that nothing is known of, whoever writes to the endpoint says that there is one.
        if known.map_or(status, |k| k.status) {
            // Each endpoint takes only its own part.
            let (mut taken, other) = if status {
                (before.clone(), &after)
            } else {
                (after.clone(), &before)
            };
            match other.get("status") {
                Some(part) => taken["status"] = part.clone(),
                None => {
                    if let Some(taken) = taken.as_object_mut() {
                        taken.shift_remove("status");
                    }
                }
            }
            after = taken;
        }
        for field in ["creationTimestamp", "deletionTimestamp", "generation"] {
            restore(&mut after, &before, field);
        }
        if Record::from_value(&after) == held.record {
            return Outcome::Written(held.record);
        }
        if !status {
            raise_generation(&before, &mut after);
        }
        let kind = self.type_of(key, held.record.meta().api_version());
        let ty = kind.as_deref().and_then(KindSchema::root);
        let mut managers = held.managers.clone();
        managers.changed(&before, &after, Some(COMPOSED), ty);
        let record = self.update(key, after, &held);
        self.set_managers(key, managers);
        self.reap(key, now);
        Outcome::Written(record)
    }

    /// What server-side apply makes of it; where nothing is, it is created.
    fn apply(
        &mut self,
        write: &Write,
        manifest: &Value,
        (manager, force): (&str, bool),
        now: Timestamp,
    ) -> Outcome {
        let key = &write.object;
        let kind = self.type_of(key, &write.api_version);
        let ty = kind.as_deref().and_then(KindSchema::root);
        let Some(held) = self.objects.get(key).cloned() else {
            if !write.uid.is_empty() {
                return Outcome::Failed(Fault::Stale);
            }
            if let Some(namespace) = &key.namespace {
                self.imply_namespace(namespace, now);
            }
            let mut managers = Managers::default();
            let applied = managers.apply(&json!({}), (manifest, manager, true), ty);
            let mut value = applied.unwrap_or_else(|_| manifest.clone());
            value["metadata"]["uid"] = json!(self.make_uid(key));
            value["metadata"]["creationTimestamp"] = json!(seconds(now));
            if is_namespace(key) {
                value["metadata"]["labels"][NAME_LABEL] = json!(*key.name);
            }
            self.version += 1;
            value["metadata"]["resourceVersion"] = json!(self.version.to_string());
            let record = self.store(key.clone(), &value, true, false);
            self.set_managers(key, managers);
            return Outcome::Written(record);
        };
        let meta = held.record.meta();
        let stale = |wanted: &str, actual: &str| !wanted.is_empty() && wanted != actual;
        if stale(&write.uid, meta.uid()) || stale(&write.resource_version, meta.resource_version())
        {
            return Outcome::Failed(Fault::Stale);
        }
        let before = held.record.to_value();
        let mut managers = held.managers.clone();
        let mut after = match managers.apply(&before, (manifest, manager, force), ty) {
            Ok(after) => after,
            Err(conflicts) => {
                let named = conflicts
                    .iter()
                    .map(|(other, place)| format!("conflict with {other:?} at {place}"));
                let message = named.collect::<Vec<_>>().join(", ");
                return Outcome::Failed(Fault::OwnershipConflict(message));
            }
        };
        if kind.as_ref().is_some_and(|k| k.status) {
            match before.get("status") {
                Some(status) => after["status"] = status.clone(),
                None => {
                    if let Some(after) = after.as_object_mut() {
                        after.shift_remove("status");
                    }
                }
            }
        }
        if Record::from_value(&after) == held.record {
            self.set_managers(key, managers);
            return Outcome::Written(held.record);
        }
        raise_generation(&before, &mut after);
        let record = self.update(key, after, &held);
        self.set_managers(key, managers);
        self.reap(key, now);
        Outcome::Written(record)
    }

    fn set_managers(&mut self, key: &ObjectKey, managers: Managers) {
        if let Some(held) = self.objects.get_mut(key) {
            held.managers = managers;
        }
    }

    /// A new Event; one of the same name is the same.
    fn event(&mut self, key: &ObjectKey, event: &Value, time: Timestamp) -> Outcome {
        if let Some(known) = self.get(key) {
            return Outcome::Accepted(known.meta().resource_version().to_owned());
        }
        let mut value = event.clone();
        value["eventTime"] = json!(format!("{time:.6}"));
        value["metadata"]["uid"] = json!(self.make_uid(key));
        value["metadata"]["creationTimestamp"] = json!(seconds(time));
        self.version += 1;
        value["metadata"]["resourceVersion"] = json!(self.version.to_string());
        self.store(key.clone(), &value, true, false);
        Outcome::Accepted(self.version.to_string())
    }
}

/// A change of anything but metadata and status is a new generation.
fn raise_generation(before: &Value, after: &mut Value) {
    let Some(generation) = before["metadata"]["generation"].as_i64() else {
        return;
    };
    let rest = |value: &Value| {
        let mut rest = value.as_object().cloned().unwrap_or_default();
        rest.shift_remove("metadata");
        rest.shift_remove("status");
        rest
    };
    if rest(before) != rest(after) {
        after["metadata"]["generation"] = json!(generation + 1);
    }
}

fn restore(after: &mut Value, before: &Value, field: &str) {
    let Some(meta) = after["metadata"].as_object_mut() else {
        return;
    };
    match before["metadata"].get(field) {
        Some(value) => {
            meta.insert(field.into(), value.clone());
        }
        None => {
            meta.shift_remove(field);
        }
    }
}
