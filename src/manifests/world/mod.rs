//! A cluster in memory: what an API server and its garbage collector do with objects, as far as rules can tell.
//!
//! Knows neither files nor clock. Every change comes out as an [`Observation`].
//!
//! `writes` what is made of a request · `managers` who owns which fields.

mod evict;
mod managers;
mod writes;

use super::admission::SaidAtAdmission;
use crate::decide::state_annotation;
use crate::engine::{Observation, Outcome, WatchedKind};
use crate::object::{GroupKind, Gvk, ObjectKey, Record};
use crate::rule::Propagation;
use crate::rule::apply::ownership;
use crate::schema::{KindSchema, Schema};
use jiff::Timestamp;
use managers::Managers;
use serde_json::{Value, json};
use std::collections::{BTreeMap, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

/// The label that every Namespace has.
const NAME_LABEL: &str = "kubernetes.io/metadata.name";

/// What is kept of one object beside its record.
#[derive(Clone, Debug)]
struct Held {
    record: Record,
    /// The uid was made here: owner references to it are followed by kind and name.
    made_uid: bool,
    /// A Namespace that no manifest describes.
    implied: bool,
    /// Which field manager owns which places; what none of them owns is a person's.
    managers: Managers,
}

/// The cluster.
pub struct World {
    objects: BTreeMap<ObjectKey, Held>,
    schema: Schema,
    /// The last resource version given out.
    version: u64,
    /// How often each key was created, so that a new object of an old name has another uid.
    created: BTreeMap<ObjectKey, u32>,
    events: VecDeque<Observation>,
    /// What was said at admissions since somebody last asked.
    pub(super) said: Vec<SaidAtAdmission>,
}

impl World {
    /// Without objects. The schema says which kinds are namespaced and have a status subresource.
    pub fn new(schema: Schema) -> World {
        World {
            objects: BTreeMap::new(),
            schema,
            version: 0,
            created: BTreeMap::new(),
            events: VecDeque::new(),
            said: vec![],
        }
    }

    /// What kinds look like here.
    pub fn schema(&self) -> &Schema {
        &self.schema
    }

    /// Another schema (a CustomResourceDefinition came or went).
    pub fn set_schema(&mut self, schema: Schema) {
        self.schema = schema;
    }

    /// Every object, in the order of keys.
    pub fn objects(&self) -> impl Iterator<Item = (&ObjectKey, &Record)> {
        self.objects.iter().map(|(key, held)| (key, &held.record))
    }

    /// Whether this is a Namespace that exists only because objects are in it.
    pub fn is_implied(&self, key: &ObjectKey) -> bool {
        self.objects.get(key).is_some_and(|held| held.implied)
    }

    /// One object.
    pub fn get(&self, key: &ObjectKey) -> Option<&Record> {
        self.objects.get(key).map(|held| &held.record)
    }

    /// What happened since the last call, in order.
    pub fn take_events(&mut self) -> VecDeque<Observation> {
        std::mem::take(&mut self.events)
    }

    /// A list of one kind, as a watch begins. Objects written at another version than the rules read are left out and named: nothing converts them here.
    pub fn list(&self, watched: &WatchedKind) -> Vec<Observation> {
        let kind = &watched.kind;
        let mut list = vec![Observation::ListStarted { kind: kind.clone() }];
        for (_, held) in self.objects.iter().filter(|(key, _)| key.kind == *kind) {
            list.push(seen(watched, &held.record));
        }
        list.push(Observation::ListDone { kind: kind.clone() });
        list
    }

    /// The key a manifest would have: its namespace is `default` where the kind has namespaces and it names none, and none where it has none.
    pub fn key_of(&self, manifest: &Value) -> ObjectKey {
        let text = |v: &Value| v.as_str().unwrap_or("").to_owned();
        let gvk = Gvk::from_api_version(&text(&manifest["apiVersion"]), &text(&manifest["kind"]));
        let kind = gvk.group_kind();
        let namespace = text(&manifest["metadata"]["namespace"]);
        // Of the kinds that nobody knows, most are namespaced.
        let namespaced = !self.schema.scope(&kind).is_cluster();
        let namespace = match (namespaced, namespace.is_empty()) {
            (false, _) => None,
            (true, true) => Some("default"),
            (true, false) => Some(namespace.as_str()),
        };
        ObjectKey::new(kind, namespace, &text(&manifest["metadata"]["name"]))
    }

    /// A person creates an object, or replaces it with this content: what the server fills in is filled in, and kept where it was filled in before.
    pub fn put(&mut self, manifest: &Value, now: Timestamp) -> ObjectKey {
        let key = self.key_of(manifest);
        if let Some(namespace) = key.namespace.clone() {
            self.imply_namespace(&namespace, now);
        }
        let mut value = manifest.clone();
        let former = self.objects.get(&key).filter(|h| !h.implied).cloned();
        if !value["metadata"].is_object() {
            value["metadata"] = json!({});
        }
        let meta = &mut value["metadata"];
        match &key.namespace {
            Some(namespace) => meta["namespace"] = json!(**namespace),
            None => {
                if let Some(meta) = meta.as_object_mut() {
                    meta.shift_remove("namespace");
                }
            }
        }
        if is_namespace(&key) {
            if !meta["labels"].is_object() {
                meta["labels"] = json!({});
            }
            meta["labels"][NAME_LABEL] = json!(*key.name);
        }
        let absent = |meta: &Value, field: &str| meta[field].as_str().unwrap_or("").is_empty();
        let mut made_uid = false;
        if let Some(former) = &former {
            for field in ["uid", "creationTimestamp", "deletionTimestamp"] {
                let had = former
                    .record
                    .root()
                    .path(&["metadata", field])
                    .map(|n| n.to_value());
                if let Some(had) = had.filter(|h| !h.is_null())
                    && absent(meta, field)
                {
                    made_uid |= field == "uid" && former.made_uid;
                    meta[field] = had;
                }
            }
        }
        if let Some(former) = &former {
            keep_state(meta, &former.record);
        }
        if absent(meta, "uid") {
            meta["uid"] = json!(self.make_uid(&key));
            made_uid = true;
        }
        if absent(meta, "creationTimestamp") {
            meta["creationTimestamp"] = json!(seconds(now));
        }
        let given = meta["resourceVersion"]
            .as_str()
            .and_then(|v| v.parse::<u64>().ok());
        if let Some(former) = &former {
            let mut same = value.clone();
            same["metadata"]["resourceVersion"] = json!(former.record.meta().resource_version());
            if Record::from_value(&same) == former.record {
                return key;
            }
        }
        self.version = match (given, &former) {
            // The version of the file itself, if it can be had: what was read from a cluster keeps its own.
            (Some(given), None) if given > self.version => given,
            _ => self.version + 1,
        };
        let version = match (given, &former) {
            (Some(given), None) => given,
            _ => self.version,
        };
        value["metadata"]["resourceVersion"] = json!(version.to_string());
        self.store(key.clone(), &value, made_uid, false);
        self.reap(&key, now);
        key
    }

    /// A person deletes an object, with what `kubectl delete` asks for. False if there is none.
    pub fn delete(&mut self, key: &ObjectKey, now: Timestamp) -> bool {
        let known = self.objects.contains_key(key);
        if known {
            self.remove(key, Some(Propagation::Background), now);
        }
        known
    }

    /// A Namespace whose manifest is gone: it exists all the same, and has only its name label.
    pub fn undescribe(&mut self, key: &ObjectKey, now: Timestamp) {
        if is_namespace(key) && self.objects.remove(key).is_some() {
            self.imply_namespace(&key.name, now);
        }
    }

    /// Reads one object.
    pub fn read(&self, key: &ObjectKey) -> Outcome {
        match self.get(key) {
            Some(record) => Outcome::Read(record.clone()),
            None => Outcome::Gone,
        }
    }

    /// Stores a new state of an object that exists, at the next resource version.
    fn update(&mut self, key: &ObjectKey, mut value: Value, held: &Held) -> Record {
        self.version += 1;
        value["metadata"]["resourceVersion"] = json!(self.version.to_string());
        // As a server answers: what is empty there is absent.
        if let Some(metadata) = value["metadata"].as_object_mut() {
            for name in ["labels", "annotations"] {
                let empty = metadata.get(name).and_then(Value::as_object);
                if empty.is_some_and(serde_json::Map::is_empty) {
                    metadata.shift_remove(name);
                }
            }
        }
        self.store(key.clone(), &value, held.made_uid, held.implied)
    }

    fn type_of(&self, key: &ObjectKey, api_version: &str) -> Option<Arc<KindSchema>> {
        let gvk = Gvk::from_api_version(api_version, &key.kind.kind);
        self.schema.kind_at(&gvk)
    }

    fn store(&mut self, key: ObjectKey, value: &Value, made_uid: bool, implied: bool) -> Record {
        let record = Record::from_value(value);
        let former = self.objects.get(&key);
        let former = former.filter(|f| f.record.meta().uid() == record.meta().uid());
        let managers = former.map(|f| (f.managers.clone(), f.record.to_value()));
        let managers = managers.map(|(mut managers, before)| {
            let kind = self.type_of(&key, record.meta().api_version());
            let ty = kind.as_deref().and_then(KindSchema::root);
            managers.changed(&before, value, None, ty);
            managers
        });
        self.events.push_back(Observation::Applied {
            kind: key.kind.clone(),
            record: record.clone(),
        });
        self.objects.insert(
            key,
            Held {
                record: record.clone(),
                made_uid,
                implied,
                managers: managers.unwrap_or_default(),
            },
        );
        record
    }

    /// An object that is being deleted and whose last finalizer is gone goes.
    fn reap(&mut self, key: &ObjectKey, now: Timestamp) {
        let done = self
            .get(key)
            .is_some_and(|record| record.meta().is_deleting() && finalizers(record) == 0);
        if done {
            self.drop_object(key, Some(Propagation::Background), now);
        }
    }

    fn remove(&mut self, key: &ObjectKey, propagation: Option<Propagation>, now: Timestamp) {
        let Some(held) = self.objects.get(key).cloned() else {
            return;
        };
        if finalizers(&held.record) == 0 {
            return self.drop_object(key, propagation, now);
        }
        if !held.record.meta().is_deleting() {
            let mut value = held.record.to_value();
            value["metadata"]["deletionTimestamp"] = json!(seconds(now));
            value["metadata"]["deletionGracePeriodSeconds"] = json!(0);
            self.update(key, value, &held);
        }
    }

    /// Takes an object out, and does with its dependents what the garbage collector does.
    fn drop_object(&mut self, key: &ObjectKey, propagation: Option<Propagation>, now: Timestamp) {
        // A work list, not recursion: chains of owners may be long.
        let mut gone = vec![(key.clone(), propagation)];
        while let Some((key, propagation)) = gone.pop() {
            let Some(held) = self.objects.remove(&key) else {
                continue;
            };
            self.version += 1;
            self.events.push_back(Observation::Deleted {
                key: key.clone(),
                resource_version: Some(self.version.to_string()),
            });
            if is_namespace(&key) {
                let inside: Vec<ObjectKey> = self
                    .objects
                    .keys()
                    .filter(|k| k.namespace.as_deref() == Some(&*key.name))
                    .cloned()
                    .collect();
                for inner in inside {
                    if self.mark_or_take(&inner, now) {
                        gone.push((inner, Some(Propagation::Background)));
                    }
                }
            }
            let orphan = match propagation {
                Some(p) => p == Propagation::Orphan,
                // The server's own default for this one kind.
                None => *key.kind.kind == *"Job" && *key.kind.group == *"batch",
            };
            for dependent in self.dependents(&key, &held) {
                let Some(child) = self.objects.get(&dependent).cloned() else {
                    continue;
                };
                let mut value = child.record.to_value();
                let owners = value["metadata"]["ownerReferences"]
                    .as_array()
                    .cloned()
                    .unwrap_or_default();
                let rest: Vec<Value> = owners
                    .into_iter()
                    .filter(|o| !refers(o, &key, &held))
                    .collect();
                if orphan || rest.iter().any(|o| self.owner_exists(o, &dependent)) {
                    if let Some(meta) = value["metadata"].as_object_mut() {
                        if rest.is_empty() {
                            meta.shift_remove("ownerReferences");
                        } else {
                            meta.insert("ownerReferences".into(), Value::Array(rest));
                        }
                    }
                    self.update(&dependent, value, &child);
                } else if self.mark_or_take(&dependent, now) {
                    gone.push((dependent, Some(Propagation::Background)));
                }
            }
        }
    }

    /// Marks an object with finalizers for deletion; true if it has none and may be taken out.
    fn mark_or_take(&mut self, key: &ObjectKey, now: Timestamp) -> bool {
        let free = self.get(key).is_some_and(|r| finalizers(r) == 0);
        if !free {
            self.remove(key, None, now);
        }
        free
    }

    fn dependents(&self, key: &ObjectKey, held: &Held) -> Vec<ObjectKey> {
        self.objects
            .iter()
            .filter(|(child, _)| key.namespace.is_none() || child.namespace == key.namespace)
            .filter(|(_, child)| {
                child
                    .record
                    .root()
                    .path(&["metadata", "ownerReferences"])
                    .is_some_and(|owners| owners.items().any(|o| refers(&o.to_value(), key, held)))
            })
            .map(|(child, _)| child.clone())
            .collect()
    }

    fn owner_exists(&self, reference: &Value, child: &ObjectKey) -> bool {
        self.objects.iter().any(|(key, held)| {
            (key.namespace.is_none() || key.namespace == child.namespace)
                && refers(reference, key, held)
        })
    }

    pub(super) fn imply_namespace(&mut self, name: &str, now: Timestamp) {
        let key = ObjectKey::new(GroupKind::new("", "Namespace"), None, name);
        if self.objects.contains_key(&key) {
            return;
        }
        self.version += 1;
        let value = json!({
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {
                "name": name,
                "labels": {NAME_LABEL: name},
                "uid": self.make_uid(&key),
                "resourceVersion": self.version.to_string(),
                "creationTimestamp": seconds(now),
            },
            "spec": {"finalizers": ["kubernetes"]},
            "status": {"phase": "Active"},
        });
        self.store(key, &value, true, true);
    }

    /// The same for the same key, another one for each further object of that key.
    fn make_uid(&mut self, key: &ObjectKey) -> String {
        let times = self.created.entry(key.clone()).or_insert(0);
        *times += 1;
        let half = |salt: u8| {
            let mut hasher = DefaultHasher::new();
            (
                salt,
                &key.kind.group,
                &key.kind.kind,
                &key.namespace,
                &key.name,
                *times,
            )
                .hash(&mut hasher);
            hasher.finish()
        };
        let (high, low) = (half(0), half(1));
        format!(
            "{:08x}-{:04x}-4{:03x}-8{:03x}-{:012x}",
            high >> 32,
            (high >> 16) & 0xffff,
            high & 0xfff,
            low >> 52,
            low & 0xffff_ffff_ffff
        )
    }
}

/// What a watch of this kind says of a record.
pub fn seen(watched: &WatchedKind, record: &Record) -> Observation {
    let api_version = record.meta().api_version();
    let version = api_version.rsplit('/').next().unwrap_or("");
    if version == &*watched.version {
        return Observation::Applied {
            kind: watched.kind.clone(),
            record: record.clone(),
        };
    }
    Observation::Undecodable {
        kind: watched.kind.clone(),
        reason: format!(
            "{} is written at {api_version}, the rules read {}: manifests are not converted",
            record.meta().name(),
            watched.version
        ),
    }
}

pub(super) fn is_namespace(key: &ObjectKey) -> bool {
    key.kind.group.is_empty() && &*key.kind.kind == "Namespace"
}

fn seconds(now: Timestamp) -> String {
    Timestamp::from_second(now.as_second())
        .unwrap_or(now)
        .to_string()
}

fn finalizers(record: &Record) -> usize {
    record
        .root()
        .path(&["metadata", "finalizers"])
        .map_or(0, |list| list.items().count())
}

/// Whether an owner reference means this object. Where the uid was made here, no manifest can know it: then kind and name decide.
fn refers(reference: &Value, key: &ObjectKey, held: &Held) -> bool {
    let text = |field: &str| reference[field].as_str().unwrap_or("");
    let uid = text("uid");
    if !uid.is_empty() && uid == held.record.meta().uid() {
        return true;
    }
    let group = text("apiVersion").split_once('/').map_or("", |(g, _)| g);
    (held.made_uid || uid.is_empty())
        && group == &*key.kind.group
        && text("kind") == &*key.kind.kind
        && text("name") == &*key.name
}

/// What a manifest says once everything is taken out that a server would fill in and the manifest itself did not say.
pub fn without_generated(value: &Value, said: Option<&Value>) -> Value {
    let mut value = value.clone();
    let says = |field: &str| said.is_some_and(|s| s["metadata"].get(field).is_some());
    if let Some(meta) = value.get_mut("metadata").and_then(Value::as_object_mut) {
        for field in ["uid", "resourceVersion", "creationTimestamp", "generation"] {
            if !says(field) {
                meta.shift_remove(field);
            }
        }
    }
    value
}

/// Annotations in which rules keep state stay when a person applies a manifest that does not name them.
fn keep_state(meta: &mut Value, former: &Record) {
    for rule in state_annotation::rules(former) {
        for name in state_annotation::names(rule) {
            let text = former.meta().annotation(&name);
            // For whom an object was applied is of the manifest that was applied.
            let Some(text) = text.filter(|t| !t.starts_with(ownership::BEGINS)) else {
                continue;
            };
            let annotations = &mut meta["annotations"];
            if !annotations.is_object() {
                *annotations = json!({});
            }
            if annotations.get(&name).is_none() {
                annotations[name] = json!(text);
            }
        }
    }
}

#[cfg(test)]
mod tests;
