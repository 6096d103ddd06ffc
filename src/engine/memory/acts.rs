//! What has acted for one object and rule.

use super::{moment, nanos};
use crate::decide::{Act, LastAct, MOST, Present};
use crate::rule::StepId;
use std::sync::Arc;

/// Steps that act once, for one object. Most objects have one of them: it stands beside the rest without a place of its own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Acts {
    /// How many matches have ended in which something acted.
    pub nth: u32,
    first: Option<Done>,
    /// What few objects have.
    pub more: Option<Box<More>>,
}

/// A step that has acted, when and why: an [`Act`] and a [`LastAct`], laid out for their size.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Done {
    element: u64,
    /// In nanoseconds since 1970.
    at: i64,
    key: Option<Arc<str>>,
    nth: u32,
    step: StepId,
}

impl Done {
    fn act(&self) -> Act {
        Act {
            step: self.step,
            element: self.element,
        }
    }

    fn last(&self) -> LastAct {
        LastAct {
            key: self.key.clone(),
            nth: self.nth,
            at: moment(self.at),
        }
    }
}

/// What is seldom known of an object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct More {
    /// Other steps that have acted, those that did longest ago first.
    rest: Vec<Done>,
    /// Keys that have not been the same for long enough, and since when they are, in nanoseconds since 1970.
    pub pending: Vec<(Act, Arc<str>, i64)>,
    /// Steps behind which it is waited, by their numbers, and since when, in nanoseconds since 1970.
    pub waits: Vec<(usize, i64)>,
    /// Hash of the content that steps, by their numbers, have archived last.
    pub archived: Vec<(usize, u64)>,
    /// Since when the object is out of sight: gone, or only out of the scope in which its kind is watched. In nanoseconds since 1970.
    pub away: Option<i64>,
}

impl Acts {
    /// Nothing has acted since so many matches have ended.
    pub fn after(nth: u32) -> Self {
        Self {
            nth,
            ..Self::default()
        }
    }

    fn all(&self) -> impl Iterator<Item = &Done> {
        let rest = self.more.iter().flat_map(|more| &more.rest);
        self.first.iter().chain(rest)
    }

    fn all_mut(&mut self) -> impl Iterator<Item = &mut Done> {
        let rest = self.more.iter_mut().flat_map(|more| &mut more.rest);
        self.first.iter_mut().chain(rest)
    }

    /// What has acted, and when it did last.
    pub fn done(&self) -> impl Iterator<Item = (Act, LastAct)> {
        self.all().map(|done| (done.act(), done.last()))
    }

    /// Whether nothing has.
    pub fn is_idle(&self) -> bool {
        self.first.is_none()
    }

    pub fn last(&self, act: Act) -> Option<LastAct> {
        let mut done = self.all();
        done.find(|done| done.act() == act).map(Done::last)
    }

    pub fn pending(&self, act: Act) -> Option<(&Arc<str>, i64)> {
        let mut pending = self.more.as_ref()?.pending.iter();
        let found = pending.find(|(known, ..)| *known == act);
        found.map(|(_, key, since)| (key, *since))
    }

    pub fn acted(&mut self, act: Act, last: LastAct) {
        self.settled(act);
        // Without a key only the present match counts.
        let nth = self.nth;
        let keeps = |done: &Done| done.act() != act && (done.key.is_some() || done.nth == nth);
        self.first.take_if(|done| !keeps(done));
        self.change_more(|more| more.rest.retain(keeps));
        self.move_up();
        // No step asks for more, but what its objects tell themselves or what no step heeds.
        let of = act.of();
        if self.all().filter(|done| done.act().of() == of).count() < MOST {
            self.put(act, last);
        }
    }

    /// How much is remembered.
    pub fn len(&self) -> usize {
        let more = self.more.as_ref();
        let of_more = more.map(|more| more.rest.len() + more.pending.len() + more.archived.len());
        usize::from(self.first.is_some()) + of_more.unwrap_or_default()
    }

    /// For how many of those that are there a step has acted.
    pub fn acted_for(&self, present: &Present) -> usize {
        let counts = |done: &&Done| {
            let stands = done.key.is_some() || done.nth == self.nth;
            stands && present.has(done.act()) == Some(true)
        };
        self.all().filter(counts).count()
    }

    /// Forgets what a step has done for those that are gone, but for the last of them. Answers whether there was any.
    pub fn forget_gone(&mut self, present: &Present) -> bool {
        let before = self.len();
        let gone = |act: Act| present.has(act) == Some(false);
        let all = self.all().filter(|done| gone(done.act())).count();
        let mut over = all.saturating_sub(present.spare());
        let mut keeps = |done: &Done| {
            let goes = over > 0 && gone(done.act());
            over -= usize::from(goes);
            !goes
        };
        self.first.take_if(|done| !keeps(done));
        self.change_more(|more| {
            more.rest.retain(keeps);
            more.pending.retain(|(act, ..)| !gone(*act));
            let gone = |number: usize| present.has_number(number) == Some(false);
            let all = more.archived.iter().filter(|(n, _)| gone(*n)).count();
            let mut over = all.saturating_sub(present.spare());
            more.archived.retain(|(number, _)| {
                let goes = over > 0 && gone(*number);
                over -= usize::from(goes);
                !goes
            });
            // There may have been many.
            more.rest.shrink_to(2 * more.rest.len());
            more.archived.shrink_to(2 * more.archived.len());
        });
        self.move_up();
        self.len() < before
    }

    fn move_up(&mut self) {
        if let (None, Some(more)) = (&self.first, &mut self.more)
            && !more.rest.is_empty()
        {
            self.first = Some(more.rest.remove(0));
            self.change_more(|_| {});
        }
    }

    /// Adds one behind the others, without a look at them.
    pub fn put(&mut self, act: Act, last: LastAct) {
        let done = Done {
            element: act.element,
            at: nanos(last.at),
            key: last.key,
            nth: last.nth,
            step: act.step,
        };
        match self.first {
            None => self.first = Some(done),
            Some(_) => self.more().rest.push(done),
        }
    }

    pub fn waits(&mut self, act: Act, key: Arc<str>, now: i64) {
        self.settled(act);
        let pending = &mut self.more().pending;
        if pending.len() < MOST {
            pending.push((act, key, now));
        }
    }

    pub fn settled(&mut self, act: Act) {
        self.change_more(|more| more.pending.retain(|(known, ..)| *known != act));
    }

    /// `held`: it is known that it did. Answers whether that changes anything.
    pub fn match_ended(&mut self, held: bool) -> bool {
        let more = self.more.as_ref();
        let waited = more.is_some_and(|m| !m.pending.is_empty() || !m.waits.is_empty());
        self.change_more(|more| {
            more.pending.clear();
            more.waits.clear();
        });
        let nth = self.nth;
        let acted = held || self.all().any(|done| done.nth == nth);
        if acted {
            self.nth = nth.saturating_add(1);
        }
        acted || waited
    }

    /// If something has acted since a moment, the match in which it did goes on. False: nothing has.
    pub fn goes_on_since(&mut self, at: i64) -> bool {
        let done = self.all().filter(|done| done.at >= at);
        let nth = done.map(|done| done.nth).max();
        if let Some(nth) = nth {
            self.nth = nth;
        }
        nth.is_some()
    }

    pub fn clock_moved(&mut self, by: i64) {
        for done in self.all_mut() {
            done.at = done.at.saturating_add(by);
        }
        if let Some(more) = &mut self.more {
            for (.., since) in &mut more.pending {
                *since = since.saturating_add(by);
            }
            for (_, since) in &mut more.waits {
                *since = since.saturating_add(by);
            }
        }
    }

    /// Since when the object is out of sight.
    pub fn away(&self) -> Option<i64> {
        self.more.as_ref()?.away
    }

    /// It is out of sight since a moment, or is not.
    pub fn set_away(&mut self, since: Option<i64>) {
        match since {
            Some(_) => self.more().away = since,
            None => self.change_more(|more| more.away = None),
        }
    }

    /// Steps have other numbers: what is known by those is not known any more.
    pub fn forget_numbers(&mut self) {
        self.change_more(|more| {
            more.waits.clear();
            more.archived.clear();
        });
    }

    pub fn more(&mut self) -> &mut More {
        self.more.get_or_insert_default()
    }

    /// Changes what there may be, and keeps nothing of nothing.
    pub fn change_more(&mut self, change: impl FnOnce(&mut More)) {
        if let Some(more) = &mut self.more {
            change(more);
            if **more == More::default() {
                self.more = None;
            }
        }
    }

    /// Whether there is nothing to remember.
    pub fn is_blank(&self) -> bool {
        *self == Acts::default()
    }

    pub fn bytes(&self) -> usize {
        let keys = self.all().filter_map(|done| done.key.as_ref());
        let keys: usize = keys.map(|key| key.len() + 16).sum();
        let more = self.more.as_ref().map_or(0, |more| {
            size_of::<More>()
                + more.rest.capacity() * size_of::<Done>()
                + more.pending.capacity() * size_of::<(Act, Arc<str>, i64)>()
                + more.waits.capacity() * size_of::<(usize, i64)>()
                + more.archived.capacity() * size_of::<(usize, u64)>()
        });
        size_of::<Acts>() + more + keys
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rule::Verb;

    fn act(nth: u16) -> Act {
        let verb = Verb::Event;
        let step = StepId { verb, nth };
        Act { step, element: 7 }
    }

    fn last(key: bool, at: i64) -> LastAct {
        LastAct {
            key: key.then(|| "k".into()),
            nth: 0,
            at: moment(at),
        }
    }

    #[test]
    fn steps_stay_in_the_order_in_which_they_acted() {
        let mut acts = Acts::default();
        for n in 0..4 {
            acts.acted(act(n), last(true, i64::from(n)));
        }
        acts.acted(act(0), last(true, 9));
        let done: Vec<(u16, i64)> = acts.all().map(|d| (d.step.nth, d.at)).collect();
        assert_eq!(done, [(1, 1), (2, 2), (3, 3), (0, 9)]);
        assert_eq!(acts.last(act(3)), Some(last(true, 3)));
        assert_eq!(acts.last(act(4)), None);
        // What acted without a key in an earlier match is of no use.
        acts.acted(act(5), last(false, 10));
        acts.match_ended(true);
        acts.acted(act(0), last(true, 11));
        let done: Vec<u16> = acts.all().map(|d| d.step.nth).collect();
        assert_eq!(done, [1, 2, 3, 0]);
        assert_eq!(acts.done().count(), 4);
    }

    #[test]
    fn one_step_has_no_place_beside_the_rest() {
        let mut acts = Acts::default();
        assert!(acts.is_idle() && acts.is_blank());
        acts.acted(act(0), last(true, 1));
        acts.acted(act(0), last(true, 2));
        assert!(acts.more.is_none() && !acts.is_idle());
        acts.acted(act(1), last(true, 3));
        acts.first = None;
        acts.move_up();
        assert!(acts.more.is_none(), "nothing is kept of nothing");
        assert_eq!(acts.last(act(1)), Some(last(true, 3)));
    }

    #[test]
    fn of_too_many_the_last_is_not_remembered() {
        let mut acts = Acts::default();
        for n in 0..=MOST {
            let element = n as u64;
            acts.acted(Act { element, ..act(0) }, last(true, 0));
        }
        acts.acted(act(1), last(true, 0));
        let elements: Vec<u64> = acts.all().map(|d| d.element).collect();
        assert_eq!((elements.len(), elements[0]), (MOST + 1, 0));
        assert_eq!(acts.last(act(1)), Some(last(true, 0)), "of another step");
    }

    #[test]
    fn a_match_takes_as_much_as_it_was_thought_to() {
        assert_eq!((size_of::<Done>(), size_of::<Acts>()), (40, 56));
    }
}
