//! A step: one verb and the modifiers beside it.

use super::expr::Template;
use super::test::Test;
use super::{Action, Verb};
use std::time::Duration;

/// How long what a step does stays.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Lifetime {
    /// Until somebody changes it.
    #[default]
    Permanent,
    /// As long as the match: then fields get their former values back, and applied objects go.
    WhileMatched,
}

/// One step of `actions`.
pub struct Step {
    /// What it does.
    pub action: Action,
    /// The list, by its place, of whose members each is its target; `None`: the subject.
    pub target: Option<usize>,
    /// It is made for each element of this list, which is its `item`.
    pub for_each: Option<Template>,
    /// Which one it is of the rule's steps with this verb.
    pub id: StepId,
    /// `after`: the match has held this long without a break.
    pub after: Option<Duration>,
    /// The next step comes when what it wrote passes these tests.
    pub wait: Option<Wait>,
    /// How long what it does stays.
    pub lifetime: Lifetime,
    /// `once`
    pub once: Option<Once>,
    /// 1-based line in the rule's file.
    pub line: usize,
}

impl Step {
    /// Whether it acts once each time a match begins, or when its key has changed.
    pub fn acts_once(&self) -> bool {
        self.once.is_some() || self.action.acts_once()
    }

    /// Whether it is a part of the write of the subject itself, which then tells that it was done.
    pub fn writes_that_it_acted(&self) -> bool {
        self.target.is_none()
            && matches!(
                self.action,
                Action::Patch { status: false, .. }
                    | Action::Scale { .. }
                    | Action::Restart { .. }
                    | Action::Rollback { .. }
            )
    }

    /// Whether it acts when its key has changed.
    pub fn has_key(&self) -> bool {
        self.once.as_ref().is_some_and(|once| once.key.is_some())
    }
}

/// A step as it is remembered: another one above it, or another text of its own, leaves it the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StepId {
    /// What it does.
    pub verb: Verb,
    /// How many steps above it do that.
    pub nth: u16,
}

/// `once`: a step acts when its key differs from the remembered one.
pub struct Once {
    /// `None`: once each time a match begins.
    pub key: Option<Template>,
    /// The same key acts again after this time.
    pub within: Option<Duration>,
    /// What comes of a key where none is remembered.
    pub first_seen: FirstSeen,
}

/// What comes of the first key of an object.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FirstSeen {
    /// The step acts.
    #[default]
    Act,
    /// It is remembered.
    Record,
}

/// `wait` of a step.
pub struct Wait {
    /// All must pass. `$` is the object that the step wrote.
    pub tests: Vec<Test>,
    /// After this long it is told that they do not.
    pub timeout: Option<Duration>,
}
