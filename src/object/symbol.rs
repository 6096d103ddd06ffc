//! The process-wide table of interned field names.
//!
//! It only grows and is bounded: [`CAPACITY`] names in all, of which names of free maps (labels, annotations, data) may take
//! [`FREE_CAPACITY`], so that a cluster with 100,000 label keys cannot crowd out the fields of the API. A name that no longer fits,
//! or is longer than [`LONGEST`] bytes, is stored inline in the record; reading is the same for both.

use ahash::AHashMap;
use parking_lot::Mutex;
use std::cell::RefCell;
use std::sync::OnceLock;

/// Names the table can hold. The built-in kinds of Kubernetes have about 3,000 distinct field names.
pub const CAPACITY: usize = 16_384;
/// Of these, names that are keys of free maps.
pub const FREE_CAPACITY: usize = 4_096;
/// Longest name worth interning, in bytes.
pub const LONGEST: usize = 96;

/// Names by symbol, readable without a lock.
static NAMES: [OnceLock<&'static str>; CAPACITY] = [const { OnceLock::new() }; CAPACITY];

struct Table {
    symbols: AHashMap<&'static str, u32>,
    free: usize,
}

static TABLE: OnceLock<Mutex<Table>> = OnceLock::new();

fn table() -> &'static Mutex<Table> {
    TABLE.get_or_init(|| {
        Mutex::new(Table {
            symbols: AHashMap::new(),
            free: 0,
        })
    })
}

thread_local! {
    /// What this thread has seen of the table, so that decoding takes no lock per key.
    static SEEN: RefCell<AHashMap<&'static str, u32>> = RefCell::new(AHashMap::new());
}

/// The symbol of a name, interning it if there is room. `free`: the name is a key of a free map.
pub(super) fn intern(name: &str, free: bool) -> Option<u32> {
    if name.len() > LONGEST {
        return None;
    }
    SEEN.with_borrow_mut(|seen| {
        if let Some(symbol) = seen.get(name) {
            return Some(*symbol);
        }
        let mut table = table().lock();
        let symbol = match table.symbols.get(name) {
            Some(symbol) => *symbol,
            None => {
                let next = table.symbols.len();
                if next >= CAPACITY || (free && table.free >= FREE_CAPACITY) {
                    return None;
                }
                if free {
                    table.free += 1;
                }
                // Leaked on purpose: the table is bounded and lives as long as the process.
                let kept: &'static str = Box::leak(name.into());
                NAMES[next].get_or_init(|| kept);
                table.symbols.insert(kept, next as u32);
                next as u32
            }
        };
        if let Some(kept) = name_of(symbol) {
            seen.insert(kept, symbol);
        }
        Some(symbol)
    })
}

/// The symbol of a name that has been interned before.
pub(super) fn find(name: &str) -> Option<u32> {
    if name.len() > LONGEST {
        return None;
    }
    SEEN.with_borrow_mut(|seen| {
        if let Some(symbol) = seen.get(name) {
            return Some(*symbol);
        }
        let symbol = *table().lock().symbols.get(name)?;
        if let Some(kept) = name_of(symbol) {
            seen.insert(kept, symbol);
        }
        Some(symbol)
    })
}

/// The name of a symbol.
pub(super) fn name_of(symbol: u32) -> Option<&'static str> {
    NAMES.get(symbol as usize)?.get().copied()
}

/// How many names are interned, for the memory report.
pub fn interned() -> usize {
    table().lock().symbols.len()
}

/// A field name prepared for look-ups: interned once, compared as a number afterwards.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    pub(super) symbol: Option<u32>,
    text: Box<str>,
}

impl Key {
    /// Interns `name` if the table has room.
    pub fn new(name: &str) -> Self {
        Self {
            symbol: intern(name, false),
            text: name.into(),
        }
    }

    /// The name itself.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl From<&str> for Key {
    fn from(name: &str) -> Self {
        Self::new(name)
    }
}
