//! What outlives a restart is kept, at most every five seconds, once it was recalled: [`super::recall`].

use super::Engine;
use super::lifetimes::Known;
use super::rules::RuleState;
use crate::decide::{Finding, Reason};
use crate::engine::{Effect, Fault, Keep, Kept, Outcome, Report, RequestId, fingerprint};
use crate::object::{GroupKind, ObjectKey};
use crate::rule::{Mode, Rule};
use crate::state::{self, Broken, Counted, LARGEST, Layout, Shard, Slots, State};
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What the state's objects are called, as far as they share a name.
pub const STATE_NAME: &str = "ordain-state";

/// How often at most the state is kept.
const INTERVAL: SignedDuration = SignedDuration::from_secs(5);
/// How often at most it is looked whether what was done has changed what rules have counted: that takes a look at all of it.
const LOOK: SignedDuration = SignedDuration::from_millis(250);
/// What could not be kept is tried again after this time.
const RETRY: SignedDuration = SignedDuration::from_secs(15);
/// Shards larger than this, in bytes, are cut finer.
const COMFORTABLE: usize = 500_000;

/// What is known of the state outside.
pub(super) struct Keeper {
    /// Whether it is kept at all.
    pub(super) on: bool,
    pub(super) writer: String,
    pub(super) layout: Layout,
    /// Of all rules, beside what their matches know themselves.
    pub(super) changed: Slots,
    /// What some rule remembers has changed, as far as that was looked after.
    pub(super) rules_changed: bool,
    /// Something was done or counted: the rules' own part is compared with what was kept of it.
    pub(super) touched: bool,
    /// What a person decides about, or is to: lost by a kill, a stopped rule would go on.
    pub(super) urgent: bool,
    /// Hash of what was kept of each rule's own part.
    pub(super) counted: BTreeMap<Arc<str>, u64>,
    /// The next time it may be kept.
    pub(super) next: Timestamp,
    /// When it was looked last what rules have counted.
    pub(super) looked: Timestamp,
    pub(super) asked: Option<(RequestId, Slots)>,
    /// All shards are to be written, and those of other layouts to go.
    pub(super) whole: bool,
    /// Why it is not kept.
    pub(super) trouble: Option<String>,
    /// Shards that cannot be kept, as they are larger than what holds them, and their bytes.
    pub(super) too_large: BTreeMap<usize, usize>,
    /// Something was recalled of objects that were not looked at since.
    pub(super) unseen: bool,
    /// What was kept of what rules may hold, where that is kept here.
    pub(super) held: Known,
}

impl Default for Keeper {
    fn default() -> Self {
        Keeper {
            on: false,
            writer: String::new(),
            layout: Layout::FIRST,
            changed: Slots::default(),
            rules_changed: false,
            touched: false,
            urgent: false,
            counted: BTreeMap::new(),
            next: Timestamp::MIN,
            looked: Timestamp::MIN,
            asked: None,
            whole: false,
            trouble: None,
            too_large: BTreeMap::new(),
            unseen: false,
            held: Known::new(),
        }
    }
}

impl Keeper {
    /// Something was done or counted.
    pub(super) fn touch(&mut self) {
        self.touched = true;
    }

    /// A rule was stopped, or a person let it go on: that is kept at once.
    pub(super) fn press(&mut self) {
        self.touched = true;
        self.urgent = true;
    }

    /// The clock was set back.
    pub(super) fn clock_set_back(&mut self, now: Timestamp) {
        self.next = self.next.min(now);
        self.looked = self.looked.min(now);
    }

    /// When it is worth a look, if something was done.
    fn looks(&self) -> Timestamp {
        let again = self.looked.checked_add(LOOK).unwrap_or(self.next);
        again.max(self.next)
    }

    /// Whether there is something to keep, whatever rules have counted meanwhile.
    fn is_behind(&self) -> bool {
        self.whole || !self.changed.is_empty()
    }
}

impl Engine {
    /// Shards that were found changed or gone, by their numbers: they are written again.
    pub fn mend(&mut self, shards: &[usize]) {
        for shard in shards {
            self.keeper.changed.extend(self.keeper.layout.slots(*shard));
        }
    }

    /// Whether everything that is to be kept is kept.
    pub fn is_kept(&mut self) -> bool {
        if !self.keeper.on {
            return true;
        }
        self.gather();
        self.keeper.asked.is_none() && self.keeper.changed.is_empty() && !self.keeper.whole
    }

    /// What is to be kept now, whenever that was done last: the daemon stops.
    pub fn keep_at_once(&mut self, now: Timestamp, effects: &mut Vec<Effect>) {
        self.keeper.next = self.keeper.next.min(now);
        self.keeper.looked = Timestamp::MIN;
        self.keep(now, effects);
    }

    /// Keeps what has changed, if it is time. Answers when it will be.
    pub(super) fn keep(&mut self, now: Timestamp, effects: &mut Vec<Effect>) -> Option<Timestamp> {
        if !self.keeper.on || self.keeper.asked.is_some() {
            return None;
        }
        if std::mem::take(&mut self.keeper.urgent) {
            self.keeper.next = self.keeper.next.min(now);
            self.keeper.looked = Timestamp::MIN;
        }
        let mut touched = self.states.touched().iter();
        let behind = self.keeper.is_behind()
            || self.keeper.rules_changed
            || touched.any(|index| self.states[*index].has_changed());
        if self.keeper.next > now {
            // Nothing is gathered for nothing.
            return match (behind, self.keeper.touched) {
                (true, _) => Some(self.keeper.next),
                (false, true) => Some(self.keeper.looks()),
                (false, false) => None,
            };
        }
        if self.keeper.looks() > now && !behind {
            return self.keeper.touched.then(|| self.keeper.looks());
        }
        if self.keeper.touched {
            self.keeper.looked = now;
        }
        self.gather();
        if !self.keeper.is_behind() {
            return None;
        }
        let slots = match self.keeper.whole {
            true => Slots::ALL,
            false => self.keeper.changed,
        };
        let shards = self.shards(slots, now);
        self.next_id += 1;
        self.keeper.asked = Some((self.next_id, slots));
        self.keeper.changed = Slots::default();
        self.keeper.next = now.checked_add(INTERVAL).unwrap_or(now);
        effects.push(Effect::Keep(
            self.next_id,
            Keep {
                layout: self.keeper.layout.shards(),
                shards,
                whole: self.keeper.whole,
            },
        ));
        None
    }

    /// What has changed since the last time.
    fn gather(&mut self) {
        if self.keeper.layout == Layout::WHOLE {
            let held = self.held();
            if held != self.keeper.held {
                self.keeper.held = held;
                self.keeper.changed = Slots::ALL;
            }
        }
        let keeper = &mut self.keeper;
        for (rule, of) in self.rules.rules().iter().zip(&mut self.states) {
            keeper.changed.extend(of.matches.take_changed());
            if !of.times.take_changed() && !keeper.touched {
                continue;
            }
            let hash = own_part(of);
            let known = keeper.counted.get(&rule.name).copied().unwrap_or_default();
            if hash != known {
                keeper.counted.insert(rule.name.clone(), hash);
                keeper.changed.add(state::slot_of_rule(&rule.name));
            }
        }
        keeper.rules_changed = false;
        keeper.touched = false;
    }

    /// The shards that hold some slot of a set, as text; cut finer if they have grown too large.
    fn shards(&mut self, slots: Slots, now: Timestamp) -> Vec<(usize, String)> {
        let mut slots = slots;
        loop {
            let layout = self.keeper.layout;
            let numbers = layout.shards_of(slots);
            let texts: Vec<(usize, String)> = self
                .cut(layout, &numbers)
                .into_iter()
                .zip(&numbers)
                .map(|(state, number)| {
                    let shard = Shard {
                        shards: layout.shards(),
                        shard: *number,
                        at: now,
                        writer: self.keeper.writer.clone(),
                        state,
                    };
                    (*number, shard.write())
                })
                .collect();
            let largest = texts.iter().map(|(_, text)| text.len()).max().unwrap_or(0);
            let finer = layout
                .finer()
                .filter(|_| largest > COMFORTABLE && layout != Layout::WHOLE);
            let Some(finer) = finer else {
                if layout == Layout::WHOLE {
                    return texts;
                }
                // Cut finer it would not be smaller: what one rule has counted stands in one shard.
                let too_large = &mut self.keeper.too_large;
                too_large.retain(|number, _| !numbers.contains(number));
                let (good, bad): (Vec<_>, Vec<_>) = texts
                    .into_iter()
                    .partition(|(_, text)| text.len() <= LARGEST);
                too_large.extend(bad.iter().map(|(number, text)| (*number, text.len())));
                return good;
            };
            self.keeper.layout = finer;
            self.keeper.too_large.clear();
            self.keeper.whole = true;
            slots = Slots::ALL;
        }
    }

    /// The state of some shards, in their order.
    pub(super) fn cut(&self, layout: Layout, numbers: &[usize]) -> Vec<State> {
        let mut slots = Slots::default();
        let mut places = vec![None; layout.shards()];
        for (at, number) in numbers.iter().enumerate() {
            slots.extend(layout.slots(*number));
            places[*number] = Some(at);
        }
        let place = |slot: usize| places.get(layout.shard(slot)).copied().flatten();
        let mut states = vec![State::default(); numbers.len()];
        for (rule, of) in self.rules.rules().iter().zip(&self.states) {
            for (uid, one) in of.matches.kept(slots) {
                if let Some(at) = place(state::slot_of_match(uid)) {
                    let kept = states[at].rules.entry(rule.name.clone()).or_default();
                    let anew = || (rule.match_hash, BTreeMap::new());
                    kept.numbers = Some(rule.hash);
                    kept.matches.get_or_insert_with(anew).1.insert(uid, one);
                }
            }
            if let Some(at) = place(state::slot_of_rule(&rule.name))
                && let Some(counted) = counted(of)
            {
                let kept = states[at].rules.entry(rule.name.clone()).or_default();
                kept.counted = Some((rule.hash, counted));
            }
            if let Some(at) = place(state::slot_of_rule(&rule.name))
                && let Some(until) = of.times.done()
            {
                let kept = states[at].rules.entry(rule.name.clone()).or_default();
                kept.moments = Some((rule.match_hash, until));
            }
        }
        if let (Layout::WHOLE, Some(all)) = (layout, states.first_mut()) {
            for (name, kinds) in &self.keeper.held {
                let kept = all.rules.entry(name.clone()).or_default();
                kept.holds.clone_from(kinds);
            }
        }
        states
    }

    /// The answer to [`Effect::Keep`]; false: it is of another request.
    pub(super) fn kept(&mut self, id: RequestId, outcome: &Outcome, now: Timestamp) -> bool {
        let Some((_, slots)) = self.keeper.asked.take_if(|(asked, _)| *asked == id) else {
            return false;
        };
        let (mut failed, mut missing) = (None, false);
        match outcome {
            Outcome::Kept(shards) => {
                for (number, kept) in shards {
                    let of_shard = self.keeper.layout.slots(*number);
                    match kept {
                        Kept::Done => continue,
                        Kept::Mended => {
                            let message = format!(
                                "shard {number} had been changed or deleted by somebody: it was written anew"
                            );
                            self.reports.push(Report::State(message));
                            continue;
                        }
                        Kept::Foreign(text) => self.meet(*number, text, now),
                        Kept::Failed(Fault::Fenced) => {}
                        Kept::Failed(fault) => failed = Some(fault.clone()),
                    }
                    missing = true;
                    self.keeper.changed.extend(of_shard);
                }
            }
            Outcome::Failed(Fault::Fenced) => {
                missing = true;
                self.keeper.changed.extend(slots);
            }
            other => {
                missing = true;
                self.keeper.changed.extend(slots);
                failed = Some(match other {
                    Outcome::Failed(fault) => fault.clone(),
                    _ => Fault::Timeout,
                });
            }
        }
        self.keeper.whole &= missing;
        if failed.is_some() {
            self.keeper.next = now.checked_add(RETRY).unwrap_or(now);
        }
        let too_large = self.keeper.too_large.first_key_value();
        let too_large = too_large.map(|(number, bytes)| {
            format!("shard {number} is {bytes} bytes, and a ConfigMap holds {LARGEST} of them")
        });
        let failed = failed.map(|fault| fault.message().to_owned());
        self.set_trouble(failed.or(too_large));
        true
    }

    /// Why the state is not kept; told with each rule that needs it.
    pub(super) fn set_trouble(&mut self, trouble: Option<String>) {
        if self.keeper.trouble != trouble {
            self.keeper.trouble = trouble;
            self.review_readiness();
        }
    }

    /// Whether some rule depends on what was kept before.
    pub fn has_to_remember(&self) -> bool {
        let mut rules = self.rules.rules().iter();
        rules.any(|rule| {
            let off = rule.mode == Mode::Off;
            !off && (rule.remembers() || rule.limits.are_counted() || rule.schedule.is_some())
        })
    }

    /// What is to be said of a rule whose memory is not kept.
    pub(super) fn not_kept(&self, rule: &Rule) -> Option<Finding> {
        let why = self.keeper.trouble.as_ref()?;
        if !rule.remembers() && !rule.limits.are_counted() {
            return None;
        }
        let home = &self.options.state_namespace;
        Some(Finding {
            rule: rule.name.clone(),
            object: ObjectKey::new(
                GroupKind::new("", "ConfigMap"),
                Some(home.as_str()),
                STATE_NAME,
            ),
            reason: Reason::NotRemembered,
            message: format!("what this rule remembers is not kept beyond a restart: {why}"),
        })
    }

    /// All of a rule's scope was looked at since the state was recalled: what was kept of other objects goes.
    pub(super) fn forget_the_unseen(&mut self, now: Timestamp) {
        if !self.keeper.unseen {
            return;
        }
        let mut left = false;
        for (rule, of) in self.rules.rules().iter().zip(&mut self.states) {
            if !of.matches.has_unseen() {
                continue;
            }
            let known = |k: &crate::rule::ResolvedKind| {
                let kind = self.store.kind(&k.kind);
                kind.is_some_and(|kind| kind.fresh == 0 && !kind.is_listing())
            };
            if !of.ready || !rule.matches.kinds.iter().all(known) {
                left = true;
                continue;
            }
            let everything = |k: &crate::rule::ResolvedKind| {
                self.followed
                    .get(&k.kind)
                    .is_none_or(|scope| scope.is_everything())
            };
            match rule.matches.kinds.iter().all(everything) {
                true => of.matches.all_seen(),
                false => of.matches.all_in_sight_seen(now),
            }
        }
        self.keeper.unseen = left;
    }
}

/// Hash of what is kept of a rule beside its matches; 0: nothing is.
pub(super) fn own_part(of: &RuleState) -> u64 {
    match (counted(of), of.times.done()) {
        (None, None) => 0,
        both => fingerprint::hash_of(&format!("{both:?}")),
    }
}

/// What limits and breakers of a rule have counted, if anything.
fn counted(of: &RuleState) -> Option<Counted> {
    let (acted, approved, aborted) = of.limits.kept();
    let open = of.breakers.iter().filter_map(|(key, breaker)| {
        let open = breaker.opened()?;
        let broken = Broken {
            trip: open.trip,
            places: open.places.clone(),
            others: open.others.clone(),
        };
        Some((key.clone(), broken))
    });
    let mut open: Vec<(ObjectKey, Broken)> = open.collect();
    open.sort_by(|a, b| a.0.cmp(&b.0));
    let counted = Counted {
        acted,
        approved,
        aborted,
        open,
    };
    (!counted.is_empty()).then_some(counted)
}
