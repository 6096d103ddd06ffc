//! Objects that a reload concerns and with which no rule has anything to do, neither before nor after: most of them, most of the time. The
//! tests of the rules that are new are looked at once, there and then; nothing is queued, and no other rule is asked.

use super::Engine;
use super::lifetimes::Lifetimes;
use crate::decide::glance::{Glance, Glimpse, Namespace};
use crate::decide::{Finding, Standing};
use crate::engine::queue::Queue;
use crate::engine::standings;
use crate::engine::store::{Entry, KindStore, Name, key_of};
use crate::object::{GroupKind, ObjectKey, Record};
use crate::rule::Rule;
use crate::rule::set::{RuleIndex, RuleSet};
use crate::rule::watch_scope::forgets;
use ahash::AHashMap;
use jiff::Timestamp;
use smallvec::SmallVec;
use std::num::NonZero;
use std::sync::Arc;
use std::thread;

/// Where objects are left to a glance: the kind, and the rules of it that are new. The objects are marked with [`Entry::glance`]: no rule that
/// stayed has to do with them, nor had one that went.
pub(super) struct Quiet {
    pub kind: GroupKind,
    /// Position among the rules of the kind, and index.
    pub new: Vec<(usize, RuleIndex)>,
}

/// So many objects are worth a thread of their own.
const WORTH_A_THREAD: usize = 8_192;
/// More threads than this wait for memory.
const MOST_THREADS: usize = 4;

/// Whether nothing is kept of an object on which a rule's tests fail: no memory, no place among others, no list that it depends on, no window
/// that opens.
pub(super) fn looks_at_tests_alone(rule: &Rule) -> bool {
    forgets(rule)
        && !rule.remembers()
        && rule.pick.is_none()
        && rule.related.is_empty()
        && rule.schedule.is_none()
        && rule.enforce_for.is_none()
}

/// What all glances at one kind share.
struct Shared<'e> {
    quiet: &'e Quiet,
    rules: &'e RuleSet,
    namespaces: Option<&'e KindStore>,
    is_of_namespaces: bool,
    /// The rules may be asked; else every object that they do not leave out is left for later.
    asks: bool,
    findings: &'e AHashMap<ObjectKey, Vec<Finding>>,
    queue: &'e Queue,
    lifetimes: &'e Lifetimes,
    state_namespace: &'e str,
    now: Timestamp,
}

/// What came of some glances.
#[derive(Default)]
struct Seen {
    /// Those that have to be evaluated as a whole.
    left: Vec<Name>,
    /// How many others were looked at.
    looked: u64,
    /// For each new rule, how many of those are in its scope.
    in_scope: Vec<usize>,
}

impl Engine {
    /// Looks at them; those with which the new rules have something to do are evaluated as a whole.
    pub(super) fn glance_at(&mut self, quiet: &Quiet, now: Timestamp) {
        let simple = quiet
            .new
            .iter()
            .all(|(_, index)| self.states[*index].ready && !self.counts_first(*index));
        let asks = simple && self.is_ready(&quiet.kind) && !self.standby;
        let Some(mut objects) = self.store.take_out(&quiet.kind) else {
            return;
        };
        let rules = Arc::clone(&self.rules);
        let shared = Shared {
            quiet,
            rules: &rules,
            namespaces: self.store.kind(&self.namespace_kind),
            is_of_namespaces: quiet.kind == self.namespace_kind,
            asks,
            findings: &self.findings,
            queue: &self.queue,
            lifetimes: &self.lifetimes,
            state_namespace: &self.options.state_namespace,
            now,
        };
        let seen = shared.look_at_all(&mut objects);
        self.store.put_back(&quiet.kind, objects);
        for seen in seen {
            self.evaluations += seen.looked;
            for ((_, index), in_scope) in quiet.new.iter().zip(seen.in_scope) {
                let state = &mut self.states[*index];
                state.in_scope += in_scope;
                state.counts.evaluations += seen.looked;
            }
            for name in seen.left {
                let key = key_of(&quiet.kind, &name);
                self.store.kind_mut(&quiet.kind).set_fresh(&name, true);
                self.forget_refusals_of(key, now);
            }
        }
    }

    /// A rule has come, changed or gone: what led nowhere may lead somewhere.
    pub(super) fn forget_refusals_of(&mut self, key: ObjectKey, now: Timestamp) {
        self.paused.remove(&key);
        self.settled.remove(&key);
        self.refused.remove(&key);
        self.queue.push(key, now);
    }
}

impl Shared<'_> {
    /// Many objects are shared out between threads: it is reading that takes the time.
    fn look_at_all(&self, objects: &mut KindStore) -> Vec<Seen> {
        let mut marked: Vec<(&Name, &mut Entry)> =
            objects.iter_mut().filter(|(_, e)| e.glance).collect();
        let cores = thread::available_parallelism().map_or(1, NonZero::get);
        let threads = (marked.len() / WORTH_A_THREAD).clamp(1, cores.min(MOST_THREADS));
        let part = marked.len().div_ceil(threads).max(1);
        let mut parts = marked.chunks_mut(part);
        let first = parts.next().unwrap_or_default();
        thread::scope(|scope| {
            let others: Vec<_> = parts
                .map(|part| scope.spawn(move || self.look_at(part)))
                .collect();
            let mut seen = vec![self.look_at(first)];
            for other in others {
                match other.join() {
                    Ok(part) => seen.push(part),
                    Err(panic) => std::panic::resume_unwind(panic),
                }
            }
            seen
        })
    }

    fn look_at(&self, objects: &mut [(&Name, &mut Entry)]) -> Seen {
        let asked = self.quiet.new.iter().map(|(_, index)| *index);
        let about = (&self.quiet.kind, asked);
        let glance = Glance::new(self.rules, about, self.now, self.state_namespace);
        let mut seen = Seen {
            in_scope: vec![0; self.quiet.new.len()],
            ..Seen::default()
        };
        let mut found: SmallVec<[Standing; 4]> = SmallVec::new();
        for (name, entry) in objects {
            entry.glance = false;
            let namespace = self.namespace_of(name, &entry.record);
            if !self.asks {
                if glance.concerns(&entry.record, namespace) {
                    seen.left.push(name.clone());
                }
                continue;
            }
            found.clear();
            let glimpse = glance.at(&entry.record, namespace, |standing| found.push(standing));
            match glimpse {
                Glimpse::OutOfScope => {}
                Glimpse::Silent if !self.is_involved(name, &entry.record) => {
                    seen.looked += 1;
                    for (at, standing) in found.iter().enumerate() {
                        let bits = standings::bits(standing);
                        seen.in_scope[at] += usize::from(bits == standings::IN_SCOPE);
                        note(&mut entry.standings, self.quiet.new[at].0, bits);
                    }
                }
                Glimpse::Silent | Glimpse::More => seen.left.push(name.clone()),
            }
        }
        seen
    }

    /// Whether something is on its way or known of an object that only a whole evaluation can go on with.
    fn is_involved(&self, name: &Name, record: &Record) -> bool {
        let is_known = || {
            let key = key_of(&self.quiet.kind, name);
            self.findings.contains_key(&key) || self.queue.is_held(&key)
        };
        let any_known = !self.findings.is_empty() || self.queue.held() > 0;
        self.lifetimes.concern(record) || (any_known && is_known())
    }

    fn namespace_of<'r>(&'r self, name: &Name, record: &'r Record) -> Namespace<'r> {
        if self.is_of_namespaces {
            return Ok(Some(record));
        }
        let Some(namespace) = &name.namespace else {
            return Ok(None);
        };
        let known = self
            .namespaces
            .and_then(|all| all.get_text(None, namespace));
        known.map(|entry| Some(&entry.record)).ok_or("not known")
    }
}

/// Notes how one rule stands towards an object.
fn note(standings: &mut Box<[u8]>, position: usize, bits: u8) {
    if standings::get(standings, position) == bits {
        return;
    }
    if standings::put(standings, position, bits) {
        return;
    }
    let mut longer: standings::Standings = standings.as_ref().into();
    standings::set(&mut longer, position, bits);
    *standings = longer.as_slice().into();
}
