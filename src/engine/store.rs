//! What is known of the cluster: per kind, every object's record.

use super::Lost;
use crate::object::{GroupKind, ObjectKey, Record};
use ahash::{AHashMap, AHashSet};
use std::borrow::Borrow;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// Namespace and name within a kind.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Name {
    /// `None` for a cluster-scoped object.
    pub namespace: Option<Arc<str>>,
    /// The name.
    pub name: Arc<str>,
}

/// Namespace and name as text: what a [`Name`] is looked up by without making one.
trait Named {
    fn parts(&self) -> (Option<&str>, &str);
}

impl Named for Name {
    fn parts(&self) -> (Option<&str>, &str) {
        (self.namespace.as_deref(), &self.name)
    }
}

impl Named for (Option<&str>, &str) {
    fn parts(&self) -> (Option<&str>, &str) {
        *self
    }
}

impl Hash for dyn Named + '_ {
    fn hash<H: Hasher>(&self, state: &mut H) {
        hash_parts(self.parts(), state);
    }
}

impl PartialEq for dyn Named + '_ {
    fn eq(&self, other: &Self) -> bool {
        self.parts() == other.parts()
    }
}

impl Eq for dyn Named + '_ {}

impl Hash for Name {
    fn hash<H: Hasher>(&self, state: &mut H) {
        hash_parts(self.parts(), state);
    }
}

/// Each text with one write; the length of the first one tells where it ends.
#[inline]
fn hash_parts((namespace, name): (Option<&str>, &str), state: &mut impl Hasher) {
    let namespace = namespace.unwrap_or_default();
    state.write_usize(namespace.len());
    state.write(namespace.as_bytes());
    state.write(name.as_bytes());
}

impl<'n> Borrow<dyn Named + 'n> for Name {
    fn borrow(&self) -> &(dyn Named + 'n) {
        self
    }
}

/// One stored object.
pub struct Entry {
    /// As last seen.
    pub record: Record,
    /// Per rule of the kind, in evaluation order, two bits: see [`super::standings`].
    pub standings: Box<[u8]>,
    /// Which list or later event it was last seen in.
    mark: u32,
    /// Put in by a list or concerned by a reload, and not evaluated since.
    pub fresh: bool,
    /// A reload leaves it to a glance of the rules that are new.
    pub glance: bool,
}

/// Whether a kind's objects are known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Sync {
    /// No list was completed yet.
    #[default]
    Pending,
    /// Known.
    Synced,
    /// Not followed.
    Lost(Lost),
}

/// The objects of one kind.
#[derive(Default)]
pub struct KindStore {
    objects: AHashMap<Name, Entry>,
    /// The namespaces of its objects, so that each is in memory once.
    namespaces: AHashSet<Arc<str>>,
    listing: bool,
    /// Whether they are known.
    pub sync: Sync,
    mark: u32,
    /// Bytes of all records.
    pub bytes: usize,
    /// Entries that are fresh.
    pub fresh: usize,
    /// What came since it is followed.
    pub seen: Seen,
}

/// What lists and watches delivered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Items of lists.
    pub listed: u64,
    /// Objects that were not known.
    pub added: u64,
    /// Objects that were.
    pub modified: u64,
    /// Objects that are gone.
    pub deleted: u64,
    /// Items left out because they could not be decoded.
    pub undecodable: u64,
}

/// What an observation did to the store.
#[derive(Debug, PartialEq, Eq)]
pub enum Effect {
    /// Older than what is known: left out.
    Older,
    /// Another object of the same name took the place of the one with this uid.
    Replaced(Box<str>),
    /// Nothing that a rule could see.
    None,
    /// A new object, or a change beyond `resourceVersion`.
    Changed,
}

impl KindStore {
    /// Number of objects.
    pub fn len(&self) -> usize {
        self.objects.len()
    }

    /// Bytes that finding an object takes, beside the records: an estimate from the table's capacity.
    pub fn index_bytes(&self) -> usize {
        let standings: usize = self.objects.values().map(|e| e.standings.len()).sum();
        self.objects.capacity() * (size_of::<Name>() + size_of::<Entry>() + 1) + standings
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.objects.is_empty()
    }

    /// One object.
    pub fn get(&self, name: &Name) -> Option<&Entry> {
        self.objects.get(name)
    }

    /// As [`KindStore::get`], by text.
    pub fn get_text(&self, namespace: Option<&str>, name: &str) -> Option<&Entry> {
        let text: &dyn Named = &(namespace, name);
        self.objects.get(text)
    }

    /// One object.
    pub fn get_mut(&mut self, name: &Name) -> Option<&mut Entry> {
        self.objects.get_mut(name)
    }

    /// All objects.
    pub fn iter(&self) -> impl Iterator<Item = (&Name, &Entry)> {
        self.objects.iter()
    }

    /// All objects.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (&Name, &mut Entry)> {
        self.objects.iter_mut()
    }

    /// A list begins.
    pub fn begin_list(&mut self) {
        self.mark = self.mark.wrapping_add(1);
        self.listing = true;
    }

    /// The list that began will not be completed, and what is known may be out of date.
    pub fn lose(&mut self, why: Lost) {
        self.listing = false;
        self.sync = Sync::Lost(why);
    }

    /// What is known is not what rules read any more, nor is the list that is under way: only another one makes it known.
    pub fn doubt(&mut self) {
        self.listing = false;
        self.sync = Sync::Pending;
    }

    /// Whether a list is under way.
    pub fn is_listing(&self) -> bool {
        self.listing
    }

    /// How often a list began.
    pub fn lists(&self) -> u32 {
        self.mark
    }

    /// Ends a list: answers what is gone.
    pub fn end_list(&mut self) -> Vec<(Name, Entry)> {
        if !std::mem::take(&mut self.listing) {
            return vec![];
        }
        self.sync = Sync::Synced;
        let mark = self.mark;
        let gone: Vec<Name> = self
            .objects
            .iter()
            .filter(|(_, e)| e.mark != mark)
            .map(|(n, _)| n.clone())
            .collect();
        self.namespaces.retain(|name| Arc::strong_count(name) > 1);
        gone.into_iter()
            .filter_map(|name| self.remove(&name).map(|entry| (name, entry)))
            .collect()
    }

    /// Takes an object as it is now. Answers the stored name, whose text is shared, and what changed.
    pub fn apply(&mut self, record: Record) -> (Name, Effect) {
        let meta = record.meta();
        let mark = self.mark;
        let text: &dyn Named = &(meta.namespace(), meta.name());
        let known = self.objects.get_key_value(text).map(|(name, _)| name);
        let name = match known {
            Some(name) => name.clone(),
            None => Name {
                namespace: meta.namespace().map(|text| self.namespace(text)),
                name: meta.name().into(),
            },
        };
        if let Some(entry) = self.objects.get_mut(&name) {
            entry.mark = mark;
            let known = entry.record.meta();
            let effect = if known.uid() != meta.uid() {
                Effect::Replaced(known.uid().into())
            } else if !self.listing && is_older(meta.resource_version(), known.resource_version()) {
                // A late event, after a direct read. A list is never late: versions can go back with a restored backup.
                self.seen.modified += 1;
                return (name, Effect::Older);
            } else if same_but_for_version(&entry.record, &record) {
                Effect::None
            } else {
                Effect::Changed
            };
            match self.listing {
                true => self.seen.listed += 1,
                false => self.seen.modified += 1,
            }
            self.bytes = self.bytes + record.size() - entry.record.size();
            entry.record = record;
            return (name, effect);
        }
        match self.listing {
            true => self.seen.listed += 1,
            false => self.seen.added += 1,
        }
        self.bytes += record.size();
        self.objects.insert(
            name.clone(),
            Entry {
                record,
                standings: Box::default(),
                mark,
                fresh: false,
                glance: false,
            },
        );
        (name, Effect::Changed)
    }

    fn namespace(&mut self, text: &str) -> Arc<str> {
        if let Some(known) = self.namespaces.get(text) {
            return known.clone();
        }
        let namespace: Arc<str> = text.into();
        self.namespaces.insert(namespace.clone());
        namespace
    }

    /// Forgets an object.
    pub fn remove(&mut self, name: &Name) -> Option<Entry> {
        let entry = self.objects.remove(name)?;
        self.bytes -= entry.record.size();
        self.fresh -= usize::from(entry.fresh);
        Some(entry)
    }

    /// Marks all objects as not evaluated.
    pub fn all_fresh(&mut self) {
        for entry in self.objects.values_mut() {
            entry.fresh = true;
        }
        self.fresh = self.objects.len();
    }

    /// Marks an object as not evaluated since a list or reload.
    pub fn set_fresh(&mut self, name: &Name, fresh: bool) {
        if let Some(entry) = self.objects.get_mut(name)
            && entry.fresh != fresh
        {
            entry.fresh = fresh;
            if fresh {
                self.fresh += 1
            } else {
                self.fresh -= 1
            }
        }
    }
}

/// Whether a version is certainly the older one; those that are no numbers cannot be told.
fn is_older(version: &str, than: &str) -> bool {
    match (version.parse::<u128>(), than.parse::<u128>()) {
        (Ok(version), Ok(than)) => version < than,
        _ => false,
    }
}

/// Whether two states differ in nothing but `metadata.resourceVersion`.
fn same_but_for_version(old: &Record, new: &Record) -> bool {
    let (old, new) = (old.root(), new.root());
    let mut others = new.entries();
    for (name, value) in old.entries() {
        let Some((other_name, other)) = others.next() else {
            return false;
        };
        if name != other_name {
            return false;
        }
        if name != "metadata" {
            if !value.same(other) {
                return false;
            }
            continue;
        }
        let mut fields = other.entries();
        for (field, value) in value.entries() {
            let Some((other_field, other)) = fields.next() else {
                return false;
            };
            if field != other_field || (field != "resourceVersion" && !value.same(other)) {
                return false;
            }
        }
        if fields.next().is_some() {
            return false;
        }
    }
    others.next().is_none()
}

/// Everything that is known.
#[derive(Default)]
pub struct Store {
    kinds: AHashMap<GroupKind, KindStore>,
}

impl Store {
    /// The objects of a kind, made empty if it is new.
    pub fn kind_mut(&mut self, kind: &GroupKind) -> &mut KindStore {
        self.kinds.entry(kind.clone()).or_default()
    }

    /// The objects of a kind.
    pub fn kind(&self, kind: &GroupKind) -> Option<&KindStore> {
        self.kinds.get(kind)
    }

    /// All kinds.
    pub fn kinds(&self) -> impl Iterator<Item = (&GroupKind, &KindStore)> {
        self.kinds.iter()
    }

    /// All kinds.
    pub fn kinds_mut(&mut self) -> impl Iterator<Item = (&GroupKind, &mut KindStore)> {
        self.kinds.iter_mut()
    }

    /// Takes the objects of a kind out, for [`Store::put_back`].
    pub fn take_out(&mut self, kind: &GroupKind) -> Option<KindStore> {
        self.kinds.get_mut(kind).map(std::mem::take)
    }

    /// Puts them back in.
    pub fn put_back(&mut self, kind: &GroupKind, objects: KindStore) {
        *self.kind_mut(kind) = objects;
    }

    /// Forgets kinds that are no longer followed.
    pub fn retain(&mut self, wanted: impl Fn(&GroupKind) -> bool) {
        self.kinds.retain(|kind, _| wanted(kind));
    }

    /// One object.
    pub fn get(&self, key: &ObjectKey) -> Option<&Entry> {
        let objects = self.kinds.get(&key.kind)?;
        objects.get_text(key.namespace.as_deref(), &key.name)
    }
}

/// Namespace and name of a key.
pub fn name_of(key: &ObjectKey) -> Name {
    Name {
        namespace: key.namespace.clone(),
        name: key.name.clone(),
    }
}

/// The key of a name.
pub fn key_of(kind: &GroupKind, name: &Name) -> ObjectKey {
    ObjectKey {
        kind: kind.clone(),
        namespace: name.namespace.clone(),
        name: name.name.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn map(name: &str, version: &str, data: &str) -> Record {
        Record::from_value(
            &json!({"kind": "ConfigMap", "metadata": {"namespace": "n", "name": name, "resourceVersion": version}, "data": {"a": data}}),
        )
    }

    #[test]
    fn a_list_replaces_what_it_does_not_name() {
        let mut kind = KindStore::default();
        kind.begin_list();
        kind.apply(map("a", "1", "x"));
        kind.apply(map("b", "2", "x"));
        assert!(kind.end_list().is_empty());
        kind.begin_list();
        kind.apply(map("b", "2", "x"));
        let gone = kind.end_list();
        assert_eq!(
            gone.iter().map(|(n, _)| &*n.name).collect::<Vec<_>>(),
            ["a"]
        );
        assert_eq!((kind.len(), kind.bytes), (1, map("b", "2", "x").size()));
    }

    #[test]
    fn a_late_event_is_left_out_and_a_list_never_is_late() {
        let mut kind = KindStore::default();
        kind.begin_list();
        kind.apply(map("a", "5", "x"));
        kind.end_list();
        assert_eq!(kind.apply(map("a", "4", "w")).1, Effect::Older);
        assert_eq!(kind.bytes, map("a", "5", "x").size());
        kind.begin_list();
        assert_eq!(kind.apply(map("a", "3", "v")).1, Effect::Changed);
        assert!(kind.end_list().is_empty());
        let other = json!({"kind": "ConfigMap", "metadata": {"namespace": "n", "name": "a", "uid": "other", "resourceVersion": "1"}});
        let replaced = Effect::Replaced("".into());
        assert_eq!(kind.apply(Record::from_value(&other)).1, replaced);
        assert_eq!(kind.len(), 1);
        let seen = Seen {
            listed: 2,
            modified: 2,
            ..Seen::default()
        };
        assert_eq!(kind.seen, seen);
    }

    #[test]
    fn an_event_that_changes_only_the_version_is_none() {
        let mut kind = KindStore::default();
        assert_eq!(kind.apply(map("a", "1", "x")).1, Effect::Changed);
        assert_eq!(kind.apply(map("a", "2", "x")).1, Effect::None);
        assert_eq!(kind.apply(map("a", "3", "y")).1, Effect::Changed);
    }
}
