//! The working copy of a pass: the stored record until something changes it.

use super::state_annotation::{SubjectState, TooLarge};
use crate::object::Record;
use crate::rule::edit::Planned;
use serde_json::Value;
use std::cell::OnceCell;

/// A copy that is a reference until its first change.
pub(super) struct Working<'p> {
    original: &'p Record,
    /// What it is now, if that is not the original.
    current: Option<Record>,
    /// The tree of the current state, kept from one change to the next.
    tree: Option<Value>,
    /// Whether the current state is being deleted: every rule asks.
    deleting: OnceCell<bool>,
    /// Whether the current state is another than the original.
    moved: OnceCell<bool>,
}

/// A state to go back to, or to compare with; by default the original.
#[derive(Clone, Default)]
pub(super) struct Snapshot(Option<Record>);

impl<'p> Working<'p> {
    pub fn new(original: &'p Record) -> Self {
        Self {
            original,
            current: None,
            tree: None,
            deleting: OnceCell::new(),
            moved: OnceCell::new(),
        }
    }

    fn becomes(&mut self, current: Option<Record>) {
        self.current = current;
        self.deleting = OnceCell::new();
        self.moved = OnceCell::new();
    }

    pub fn is_deleting(&self) -> bool {
        let look = || self.record().meta().is_deleting();
        *self.deleting.get_or_init(look)
    }

    pub fn record(&self) -> &Record {
        self.current.as_ref().unwrap_or(self.original)
    }

    /// Writes a plan made on the current record.
    pub fn write(&mut self, planned: &Planned) {
        if self.tree.is_none()
            && let Some((path, value)) = planned.only_put()
            && let Some(current) = self.record().with(&path, value)
        {
            return self.becomes(Some(current));
        }
        let mut tree = self.tree.take().unwrap_or_else(|| self.record().to_value());
        planned.write(&mut tree);
        self.becomes(Some(Record::from_value(&tree)));
        self.tree = Some(tree);
    }

    /// Changes the tree of the current state by hand.
    pub fn change<T>(&mut self, by: impl FnOnce(&mut Value) -> T) -> T {
        let mut tree = self.tree.take().unwrap_or_else(|| self.record().to_value());
        let answer = by(&mut tree);
        self.becomes(Some(Record::from_value(&tree)));
        self.tree = Some(tree);
        answer
    }

    /// Writes what a rule remembers on the subject.
    pub fn remember(&mut self, state: &SubjectState, rule: &str) -> Result<(), TooLarge> {
        let mut tree = self.tree.take().unwrap_or_else(|| self.record().to_value());
        state.write(self.record().meta(), rule, &mut tree)?;
        self.becomes(Some(Record::from_value(&tree)));
        self.tree = Some(tree);
        Ok(())
    }

    pub fn snapshot(&self) -> Snapshot {
        Snapshot(self.current.clone())
    }

    pub fn restore(&mut self, snapshot: Snapshot) {
        self.becomes(snapshot.0);
        self.tree = None;
    }

    /// Whether the state is the one of the snapshot.
    pub fn is(&self, snapshot: &Snapshot) -> bool {
        match (&self.current, &snapshot.0) {
            (None, None) => true,
            (Some(current), None) => !*self.moved.get_or_init(|| current != self.original),
            (_, Some(then)) => self.record() == then,
        }
    }

    /// The record of a snapshot of this copy.
    pub fn record_of(&self, snapshot: &Snapshot) -> Record {
        snapshot.0.clone().unwrap_or_else(|| self.original.clone())
    }
}
