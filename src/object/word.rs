//! The process-wide table of words: short texts that stand as values in many objects, such as `IfNotPresent`, the name of a node, or the
//! image of a Deployment's Pods. A record holds the number of a word in place of its text.
//!
//! It only grows and is bounded: [`CAPACITY`] words of [`SHORTEST`] to [`LONGEST`] bytes. A text becomes a word once it was met [`OFTEN`] times;
//! any other is stored in the record itself. Reading is the same for both. What Secrets and ConfigMaps hold under `data` never becomes one:
//! words outlive the objects that they were met in.

use ahash::{AHashMap, RandomState};
use parking_lot::Mutex;
use std::cell::RefCell;
use std::sync::OnceLock;

/// Words the table can hold.
pub const CAPACITY: usize = 16_384;
/// Shortest text that becomes a word, in bytes: a shorter one takes no more than its word.
pub const SHORTEST: usize = 2;
/// Longest text that becomes a word, in bytes.
pub const LONGEST: usize = 63;
/// How often a text is met before it becomes a word, unless others that fall on its place come between.
pub const OFTEN: u16 = 16;

/// Texts by word, readable without a lock.
static TEXTS: [OnceLock<&'static str>; CAPACITY] = [const { OnceLock::new() }; CAPACITY];

/// All words, by text.
#[derive(Default)]
struct Table {
    words: AHashMap<&'static str, u16>,
    /// Bytes of their texts.
    bytes: usize,
}

static TABLE: OnceLock<Mutex<Table>> = OnceLock::new();

fn table() -> &'static Mutex<Table> {
    TABLE.get_or_init(Mutex::default)
}

/// Places of [`Met`]: a power of two.
const PLACES: usize = 16_384;

/// A text that is met again and again.
#[derive(Clone, Copy, Default)]
struct Place {
    /// A part of its hash.
    tag: u32,
    /// How often it was met, less how often another one was that falls on the same place.
    met: u16,
    /// Its word, plus one; 0: it has none.
    word: u16,
}

/// What a thread has met lately: of the texts that fall on one place, the one that comes most often keeps it, as in the vote of Boyer and
/// Moore.
struct Met {
    places: Box<[Place]>,
    hasher: RandomState,
}

thread_local! {
    static MET: RefCell<Met> = RefCell::new(Met {
        places: vec![Place::default(); PLACES].into(),
        hasher: RandomState::new(),
    });
}

/// A text was met as a value: the word that it is, if it is one.
pub(super) fn meet(text: &str) -> Option<u16> {
    if !(SHORTEST..=LONGEST).contains(&text.len()) {
        return None;
    }
    MET.with_borrow_mut(|met| {
        let hash = met.hasher.hash_one(text);
        let place = &mut met.places[hash as usize & (PLACES - 1)];
        let tag = (hash >> 32) as u32;
        if place.tag != tag || place.met == 0 {
            if place.met > 0 {
                place.met -= 1;
            } else {
                *place = Place {
                    tag,
                    met: 1,
                    word: 0,
                };
            }
            return None;
        }
        if place.met < OFTEN {
            place.met += 1;
        }
        if let Some(word) = place.word.checked_sub(1) {
            return (text_of(word) == text).then_some(word);
        }
        if place.met < OFTEN {
            return None;
        }
        let word = enter(text)?;
        place.word = word + 1;
        Some(word)
    })
}

/// The word of a text, made if there is room.
fn enter(text: &str) -> Option<u16> {
    let mut table = table().lock();
    if let Some(word) = table.words.get(text) {
        return Some(*word);
    }
    let next = table.words.len();
    if next >= CAPACITY {
        return None;
    }
    // Leaked on purpose: the table is bounded and lives as long as the process.
    let kept: &'static str = Box::leak(text.into());
    TEXTS[next].get_or_init(|| kept);
    table.words.insert(kept, next as u16);
    table.bytes += kept.len();
    Some(next as u16)
}

/// The text of a word; `""` of a number that is none.
#[inline]
pub(super) fn text_of(word: u16) -> &'static str {
    let text = TEXTS.get(usize::from(word)).and_then(OnceLock::get);
    text.copied().unwrap_or_default()
}

/// Bytes that the words take, estimated, for the memory report. What threads have met lately is not among them: 128 KiB for each that decodes.
pub fn bytes() -> usize {
    let table = table().lock();
    let entry = size_of::<(&str, u16)>() + 1;
    table.bytes + table.words.capacity() * entry + table.words.len() * size_of::<OnceLock<&str>>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_met_often_becomes_a_word_and_what_is_too_long_never_does() {
        let met: Vec<_> = (0..OFTEN).map(|_| meet("a word of this test")).collect();
        let (before, last) = met.split_at(met.len() - 1);
        assert!(before.iter().all(Option::is_none));
        assert_eq!(last[0].map(text_of), Some("a word of this test"));
        assert_eq!(meet("a word of this test"), last[0]);
        let long = "x".repeat(LONGEST + 1);
        assert!((0..OFTEN * 2).all(|_| meet(&long).is_none()));
    }

    #[test]
    fn what_is_met_once_each_takes_no_room() {
        for n in 0..100_000 {
            meet(&format!("met once {n}"));
        }
        let words = table().lock().words.len();
        assert!(words < 1_000, "{words}, those of other tests included");
        assert!(bytes() < 100_000);
    }
}
