//! What is remembered of all rules in force, and of which of them it may have changed: only those are looked after between two objects.

use super::rules::RuleState;
use crate::rule::Rule;
use crate::rule::set::{RuleIndex, RuleSet};
use std::ops::{Deref, Index, IndexMut};

/// Whether a rule is to be looked after.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mark {
    /// Never: it keeps nothing that could make that necessary.
    Exempt,
    Untouched,
    /// Its state was in somebody's hands who may have changed it, or it waits for something.
    Touched,
}

/// By index in the rule set. Whoever takes a state that he may change marks its rule.
#[derive(Default)]
pub(super) struct RuleStates {
    states: Vec<RuleState>,
    marks: Vec<Mark>,
    /// The rules that are [`Mark::Touched`], each once.
    touched: Vec<RuleIndex>,
}

/// Whether something is ever to be done for a rule between two objects: [`super::Engine::look_after_rules`].
fn is_looked_after(rule: &Rule, state: &RuleState) -> bool {
    rule.is_counted()
        || rule.remembers()
        || rule.schedule.is_some()
        || !rule.unchecked_paths.is_empty()
        // Findings of what the rule was before, which end.
        || state.refusal.is_some()
        || state.crowded.is_some()
}

impl RuleStates {
    /// Of the rules of a set, in their order. Nobody has looked after any of them.
    pub fn new(rules: &RuleSet, states: Vec<RuleState>) -> Self {
        let all = rules.rules().iter().zip(&states);
        let marks: Vec<Mark> = all
            .map(|(rule, state)| match is_looked_after(rule, state) {
                true => Mark::Touched,
                false => Mark::Exempt,
            })
            .collect();
        let touched = marks.iter().enumerate();
        let touched = touched.filter(|(_, mark)| **mark == Mark::Touched);
        Self {
            touched: touched.map(|(index, _)| index).collect(),
            states,
            marks,
        }
    }

    pub fn into_vec(self) -> Vec<RuleState> {
        self.states
    }

    fn touch(&mut self, index: RuleIndex) {
        if self.marks[index] == Mark::Untouched {
            self.marks[index] = Mark::Touched;
            self.touched.push(index);
        }
    }

    /// Those that are to be looked after.
    pub fn touched(&self) -> &[RuleIndex] {
        &self.touched
    }

    /// As [`Self::touched`]. They stay marked, so that looking after them does not name them twice, until each is either
    /// [settled](Self::settle) or [given back](Self::give_back).
    pub fn take_touched(&mut self) -> Vec<RuleIndex> {
        std::mem::take(&mut self.touched)
    }

    /// One that was taken needs no further look until somebody touches it.
    pub fn settle(&mut self, taken: RuleIndex) {
        self.marks[taken] = Mark::Untouched;
    }

    /// What was taken and not settled is looked after again.
    pub fn give_back(&mut self, mut taken: Vec<RuleIndex>) {
        taken.append(&mut self.touched);
        self.touched = taken;
    }
}

impl Deref for RuleStates {
    type Target = [RuleState];

    fn deref(&self) -> &[RuleState] {
        &self.states
    }
}

impl Index<RuleIndex> for RuleStates {
    type Output = RuleState;

    fn index(&self, index: RuleIndex) -> &RuleState {
        &self.states[index]
    }
}

impl IndexMut<RuleIndex> for RuleStates {
    fn index_mut(&mut self, index: RuleIndex) -> &mut RuleState {
        self.touch(index);
        &mut self.states[index]
    }
}

impl<'a> IntoIterator for &'a RuleStates {
    type Item = &'a RuleState;
    type IntoIter = std::slice::Iter<'a, RuleState>;

    fn into_iter(self) -> Self::IntoIter {
        self.states.iter()
    }
}

impl<'a> IntoIterator for &'a mut RuleStates {
    type Item = &'a mut RuleState;
    type IntoIter = std::slice::IterMut<'a, RuleState>;

    fn into_iter(self) -> Self::IntoIter {
        for index in 0..self.states.len() {
            self.touch(index);
        }
        self.states.iter_mut()
    }
}
