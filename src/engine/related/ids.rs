//! Objects as numbers, so that tables are small. An object keeps its number while somebody holds it.

use crate::object::ObjectKey;
use ahash::AHashMap;

/// The number of an object.
pub(super) type Id = u32;

#[derive(Default)]
pub(super) struct Ids {
    by_key: AHashMap<ObjectKey, Id>,
    /// Keys, and how often each is held; `None`: free.
    all: Vec<Option<(ObjectKey, u32)>>,
    free: Vec<Id>,
}

impl Ids {
    pub fn find(&self, key: &ObjectKey) -> Option<Id> {
        self.by_key.get(key).copied()
    }

    pub fn key(&self, id: Id) -> Option<&ObjectKey> {
        self.all.get(id as usize)?.as_ref().map(|(key, _)| key)
    }

    /// The object's number, held once more.
    pub fn hold(&mut self, key: &ObjectKey) -> Id {
        if let Some(id) = self.by_key.get(key) {
            if let Some(Some((_, held))) = self.all.get_mut(*id as usize) {
                *held += 1;
            }
            return *id;
        }
        let id = match self.free.pop() {
            Some(id) => id,
            None => {
                self.all.push(None);
                (self.all.len() - 1) as Id
            }
        };
        self.all[id as usize] = Some((key.clone(), 1));
        self.by_key.insert(key.clone(), id);
        id
    }

    /// Held once less.
    pub fn release(&mut self, id: Id) {
        let Some(slot) = self.all.get_mut(id as usize) else {
            return;
        };
        let Some((key, held)) = slot else { return };
        *held -= 1;
        if *held == 0 {
            self.by_key.remove(key);
            *slot = None;
            self.free.push(id);
        }
    }

    pub fn bytes(&self) -> usize {
        let entry = size_of::<ObjectKey>();
        self.by_key.capacity() * (entry + size_of::<Id>() + 1) + self.all.capacity() * (entry + 8)
    }

    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.by_key.len()
    }
}
