//! The index behind `related`: who may belong to which list of whom, both ways round.
//!
//! Each list keeps its candidates under the keys that they lie under ([`crate::rule::related::Related::keys`]), and beside them the subjects that have asked for a
//! key. A subject finds its candidates by looking up; a candidate that changes finds the subjects that it can concern under its former keys and
//! its new ones. Lists of one shape share a table.
//!
//! `ids` objects as numbers · `table` the candidates and subjects of one shape.

mod ids;
mod table;
#[cfg(test)]
mod tests;

use super::store::{Store, key_of};
use crate::object::{GroupKind, ObjectKey};
use crate::rule::Rule;
use crate::rule::path::PodPrefix;
use crate::rule::related::{Candidate, Keys, OF_ANY_OBJECT, Probe};
use crate::rule::set::RuleSet;
use ahash::{AHashMap, AHashSet};
use ids::{Id, Ids};
use smallvec::SmallVec;
use std::cell::RefCell;
use std::sync::Arc;
use table::Table;

/// A table by its place.
type TableId = u32;

/// What a subject has asked for: tables and keys.
type Asked = SmallVec<[(TableId, u64); 2]>;

/// By what lists share a table: their shape, else the very list of the very rule.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Shape {
    Shared(Arc<str>),
    Own(Arc<str>, u64, usize),
}

/// The index of all lists in force.
#[derive(Default)]
pub struct Index {
    ids: Ids,
    /// `None`: free.
    tables: Vec<Option<Table>>,
    by_shape: AHashMap<Shape, TableId>,
    /// By rule and list.
    of_rule: AHashMap<Arc<str>, Vec<TableId>>,
    /// The tables that have candidates of a kind, and where the kind keeps its Pod.
    by_kind: AHashMap<GroupKind, (PodPrefix, Vec<TableId>)>,
    /// Kinds of Namespaces' labels: some list selects by them.
    selects_namespaces: Vec<TableId>,
    /// Those whose members some step acts on.
    targets: Vec<TableId>,
    by_subject: AHashMap<Id, Asked>,
    /// How many of those there are of each kind: events of other kinds are no matter here.
    subjects_of_kind: AHashMap<GroupKind, usize>,
    /// What the subject that is being looked at has asked for.
    asked: RefCell<Asked>,
    /// By rule: candidates that were handed out.
    tested: RefCell<AHashMap<Arc<str>, u64>>,
}

impl Index {
    /// Whether no rule has a list.
    pub fn is_empty(&self) -> bool {
        self.by_kind.is_empty()
    }

    /// Puts the lists of a rule set in force. Tables whose shape stays are kept, with the subjects that have asked.
    ///
    /// Answers the subjects that are to be looked at because what they asked for is kept otherwise now.
    pub fn load(&mut self, rules: &RuleSet, store: &Store) -> Vec<ObjectKey> {
        let mut concerned: Vec<Id> = vec![];
        let mut wanted: AHashMap<Shape, (Arc<Rule>, usize)> = AHashMap::new();
        let mut of_rule: Vec<(Arc<str>, Vec<Shape>)> = vec![];
        let mut selects = AHashSet::new();
        let mut targets = AHashSet::new();
        for rule in rules.rules() {
            if rule.mode == crate::rule::Mode::Off || rule.related.is_empty() {
                continue;
            }
            let shapes = rule.related.iter().enumerate().map(|(place, list)| {
                let shape = match &list.shape {
                    Some(shape) => Shape::Shared(shape.clone()),
                    None => Shape::Own(rule.name.clone(), rule.hash, place),
                };
                if list.namespace_selector.is_some() {
                    selects.insert(shape.clone());
                }
                if rule.steps.iter().any(|step| step.target == Some(place)) {
                    targets.insert(shape.clone());
                }
                wanted
                    .entry(shape.clone())
                    .or_insert_with(|| (rule.clone(), place));
                shape
            });
            of_rule.push((rule.name.clone(), shapes.collect()));
        }
        self.drop_unwanted(&wanted);
        // Where a kind keeps its Pod comes from the schema, which may have changed with the set.
        let pods = |kind: &GroupKind| rules.schema().kind(kind).and_then(|s| s.pod_prefix());
        let stale: Vec<GroupKind> = self
            .by_kind
            .iter()
            .filter(|(kind, (pod, _))| pods(kind) != *pod)
            .map(|(kind, _)| kind.clone())
            .collect();
        self.by_kind.clear();
        let mut fresh = vec![];
        for (shape, (rule, place)) in wanted {
            let id = match self.by_shape.get(&shape) {
                Some(id) => *id,
                None => {
                    let id = self.free();
                    fresh.push(id);
                    self.tables[id as usize] = Some(Table::new(rule.clone(), place));
                    self.by_shape.insert(shape, id);
                    id
                }
            };
            for resolved in &rule.related[place].kinds {
                let (_, tables) = self
                    .by_kind
                    .entry(resolved.kind.clone())
                    .or_insert_with(|| (pods(&resolved.kind), vec![]));
                if !tables.contains(&id) {
                    tables.push(id);
                }
            }
        }
        let id_of = |shape: &Shape| self.by_shape.get(shape).copied();
        self.of_rule = of_rule
            .iter()
            .map(|(rule, shapes)| (rule.clone(), shapes.iter().filter_map(id_of).collect()))
            .collect();
        self.selects_namespaces = selects.iter().filter_map(id_of).collect();
        self.targets = targets.iter().filter_map(id_of).collect();
        for (kind, objects) in store.kinds() {
            let Some((pod, tables)) = self.by_kind.get(kind) else {
                continue;
            };
            let stale = stale.contains(kind);
            if !stale && !tables.iter().any(|id| fresh.contains(id)) {
                continue;
            }
            for (name, entry) in objects.iter() {
                let key = key_of(kind, name);
                let candidate = Candidate {
                    kind,
                    record: &entry.record,
                    pod: *pod,
                };
                let mut known = self.ids.find(&key);
                for id in tables.iter().filter(|id| stale || fresh.contains(id)) {
                    if let Some(table) = &mut self.tables[*id as usize] {
                        let put = (&key, known);
                        known = table.put(&mut self.ids, put, Some(candidate), &mut |id| {
                            concerned.push(id);
                        });
                    }
                }
            }
        }
        concerned.sort_unstable();
        concerned.dedup();
        concerned
            .iter()
            .filter_map(|id| self.ids.key(*id).cloned())
            .collect()
    }

    /// Forgets tables that no list has any more.
    fn drop_unwanted(&mut self, wanted: &AHashMap<Shape, (Arc<Rule>, usize)>) {
        let mut dropped = vec![];
        self.by_shape.retain(|shape, id| {
            let stays = wanted.contains_key(shape);
            if !stays {
                dropped.push(*id);
            }
            stays
        });
        if dropped.is_empty() {
            return;
        }
        for id in &dropped {
            if let Some(table) = self.tables[*id as usize].take() {
                table.dissolve(&mut self.ids);
            }
        }
        self.by_subject.retain(|_, asked| {
            asked.retain(|(table, _)| !dropped.contains(table));
            !asked.is_empty()
        });
        self.subjects_of_kind.clear();
        for subject in self.by_subject.keys() {
            if let Some(key) = self.ids.key(*subject) {
                *self.subjects_of_kind.entry(key.kind.clone()).or_default() += 1;
            }
        }
    }

    fn free(&mut self) -> TableId {
        let place = match self.tables.iter().position(Option::is_none) {
            Some(place) => place,
            None => {
                self.tables.push(None);
                self.tables.len() - 1
            }
        };
        place as TableId
    }

    /// An object is new, has changed or is gone: brings the tables up to date, and answers the subjects that it can concern, before or now.
    pub fn refresh(&mut self, store: &Store, key: &ObjectKey) -> Vec<ObjectKey> {
        let Some((pod, tables)) = self.by_kind.get(&key.kind) else {
            return vec![];
        };
        let candidate = store.get(key).map(|entry| Candidate {
            kind: &key.kind,
            record: &entry.record,
            pod: *pod,
        });
        let mut concerned: SmallVec<[Id; 8]> = SmallVec::new();
        let mut known = self.ids.find(key);
        for id in tables {
            if let Some(table) = &mut self.tables[*id as usize] {
                let put = (key, known);
                known = table.put(&mut self.ids, put, candidate, &mut |subject| {
                    concerned.push(subject);
                });
            }
        }
        concerned.sort_unstable();
        concerned.dedup();
        concerned
            .iter()
            .filter_map(|id| self.ids.key(*id).cloned())
            .collect()
    }

    /// The labels of a Namespace have changed: answers the subjects with lists that select by them and can have members in it.
    pub fn namespace_changed(&self, namespace: &str) -> Vec<ObjectKey> {
        self.with_members_in(&self.selects_namespaces, namespace)
    }

    /// The subjects of rules with steps that may act on members in a namespace.
    pub fn targets_in(&self, namespace: &str) -> Vec<ObjectKey> {
        self.with_members_in(&self.targets, namespace)
    }

    fn with_members_in(&self, tables: &[TableId], namespace: &str) -> Vec<ObjectKey> {
        let mut concerned = AHashSet::new();
        for id in tables {
            if let Some(table) = &self.tables[*id as usize] {
                table.subjects_of(
                    |candidate| {
                        let key = self.ids.key(candidate);
                        key.is_some_and(|key| key.namespace.as_deref() == Some(namespace))
                    },
                    &mut |subject| {
                        concerned.insert(subject);
                    },
                );
            }
        }
        let mut concerned: Vec<ObjectKey> = concerned
            .into_iter()
            .filter_map(|id| self.ids.key(id).cloned())
            .collect();
        concerned.sort();
        concerned
    }

    /// The candidates for a list of a rule; takes note that the subject at hand is to be told of others.
    ///
    /// # Errors
    /// The list has a path that no schema knows and no candidate has, or is not followed.
    pub fn ask(&self, rule: &Rule, list: usize, probe: &Probe) -> Result<Vec<&ObjectKey>, String> {
        let tables = self.of_rule.get(&rule.name);
        let Some(id) = tables.and_then(|tables| tables.get(list)) else {
            return Err("its objects are not followed".into());
        };
        let Some(table) = &self.tables[*id as usize] else {
            return Err("its objects are not followed".into());
        };
        let keys: Keys = match probe.each {
            true => table.rarest(&probe.keys).into_iter().collect(),
            false => probe.keys.clone(),
        };
        self.asked
            .borrow_mut()
            .extend(keys.iter().map(|key| (*id, *key)));
        if let Some(path) = table.unproven.first() {
            if path.text() == OF_ANY_OBJECT {
                return Err("no schema knows its kind and there is no object of it: it may be misspelt; its CustomResourceDefinition among the manifests vouches for it".into());
            }
            return Err(format!(
                "no schema knows `{}` and no object has it: it may be misspelt",
                path.text()
            ));
        }
        let mut found: SmallVec<[Id; 8]> = SmallVec::new();
        for key in &keys {
            table.candidates(*key, &mut |id| found.push(id));
        }
        if keys.len() > 1 {
            found.sort_unstable();
            found.dedup();
        }
        let mut tested = self.tested.borrow_mut();
        *tested.entry(rule.name.clone()).or_default() += found.len() as u64;
        Ok(found.iter().filter_map(|id| self.ids.key(*id)).collect())
    }

    /// The subject has been looked at: what it asked for meanwhile is what it is told of from now on.
    pub fn looked_at(&mut self, subject: &ObjectKey) {
        let mut asked = std::mem::take(self.asked.get_mut());
        if asked.is_empty() && !self.subjects_of_kind.contains_key(&subject.kind) {
            return;
        }
        asked.sort_unstable();
        asked.dedup();
        let known = self.ids.find(subject);
        let former = known.and_then(|id| self.by_subject.get(&id));
        if former.is_none_or(SmallVec::is_empty) && asked.is_empty() {
            return;
        }
        if former == Some(&asked) {
            return;
        }
        let former = known.and_then(|id| self.by_subject.remove(&id));
        self.count_subject(&subject.kind, former.is_some(), !asked.is_empty());
        let id = self.ids.hold(subject);
        for (table, key) in &asked {
            if former.as_ref().is_none_or(|f| !f.contains(&(*table, *key)))
                && let Some(table) = &mut self.tables[*table as usize]
            {
                self.ids.hold(subject);
                table.enter(*key, id);
            }
        }
        for (table, key) in former.into_iter().flatten() {
            if !asked.contains(&(table, key))
                && let Some(table) = &mut self.tables[table as usize]
            {
                table.leave(key, id);
                self.ids.release(id);
            }
        }
        if !asked.is_empty() {
            self.by_subject.insert(id, asked);
        }
        self.ids.release(id);
    }

    /// Whether a subject of a kind has asked for anything before and now.
    fn count_subject(&mut self, kind: &GroupKind, before: bool, now: bool) {
        match (before, now) {
            (false, true) => *self.subjects_of_kind.entry(kind.clone()).or_default() += 1,
            (true, false) => {
                if let Some(count) = self.subjects_of_kind.get_mut(kind) {
                    *count -= 1;
                    if *count == 0 {
                        self.subjects_of_kind.remove(kind);
                    }
                }
            }
            _ => {}
        }
    }

    /// A subject is gone.
    pub fn forget(&mut self, subject: &ObjectKey) {
        self.asked.get_mut().clear();
        self.looked_at(subject);
    }

    /// How many objects a rule has asked whether they belong to one of its lists.
    pub fn tested(&self, rule: &str) -> u64 {
        self.tested.borrow().get(rule).copied().unwrap_or_default()
    }

    /// How many objects all rules have asked, former rules too.
    #[cfg(test)]
    pub fn tested_by_all(&self) -> u64 {
        self.tested.borrow().values().sum()
    }

    /// Objects that it knows.
    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Bytes that it takes, estimated from capacities.
    pub fn bytes(&self) -> usize {
        let tables = self
            .tables
            .iter()
            .flatten()
            .map(Table::bytes)
            .sum::<usize>();
        let asked = self.by_subject.capacity() * (size_of::<Asked>() + size_of::<Id>() + 1);
        self.ids.bytes() + tables + asked
    }
}
