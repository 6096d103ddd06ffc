//! One rule's turn: its tests and steps on the working copy as it finds it.

use super::apply::{Deed, Want};
use super::checkpoint::Checkpoint;
use super::memory::{Later, Note};
use super::once::Acted;
use super::says::Said;
use super::working::Working;
use super::world::World;
use super::{Reason, Standing, lifetime, sequel, steps};
use crate::object::{ObjectKey, Record};
use crate::rule::edit::Claim;
use crate::rule::expr::{ExprFault, Variables};
use crate::rule::metric::Sample;
use crate::rule::pick::Rank;
use crate::rule::related::Lists;
use crate::rule::set::RuleIndex;
use crate::rule::{Action, Occasion, Propagation, Rule};
use jiff::Timestamp;
use serde_json::{Map, Value};
use std::sync::Arc;

/// A `delete` step that was reached.
#[derive(Clone, Copy, Debug)]
pub(super) struct Deletion {
    /// Through the eviction subresource.
    pub evicts: bool,
    pub propagation: Option<Propagation>,
    pub grace_period_seconds: Option<i64>,
}

impl Deletion {
    /// What a step asks for, if it takes the object away.
    pub fn of(action: &Action) -> Option<Self> {
        match action {
            Action::Delete {
                propagation,
                grace_period_seconds,
            } => Some(Deletion {
                evicts: false,
                propagation: *propagation,
                grace_period_seconds: *grace_period_seconds,
            }),
            Action::Evict => Some(Deletion {
                evicts: true,
                propagation: None,
                grace_period_seconds: None,
            }),
            _ => None,
        }
    }
}

/// What came of a turn.
pub(super) struct Turn {
    pub standing: Standing,
    pub changed: bool,
    /// A `scale` is part of what changed.
    pub scaled: bool,
    /// One that goes through the main endpoint, together with what is remembered of it.
    pub scaled_along: bool,
    /// The places that steps with `lifetime: WhileMatched` are about.
    pub held: Vec<Box<str>>,
    /// Not every step was come to that wants something as long as it matches: none, as long as no step was.
    pub cut: bool,
    pub deletion: Option<Deletion>,
    /// A `restart`, a `rollback` is part of what changed.
    pub restarts: bool,
    pub rolls_back: bool,
    /// An edit could not be made: the list ends with its step.
    pub failed: bool,
    /// What is asked of other objects.
    pub deeds: Vec<Deed>,
    /// There are steps behind what was asked or changed, which come when that is done.
    pub more: bool,
    /// How far the turn was before each step, where it goes on behind what it asks ([`Manner::chained`]).
    pub marks: Vec<sequel::Mark>,
    /// What those steps do that come when the rest is done.
    pub sequel: Vec<sequel::Remaining>,
    /// What is wanted of them, be it so already or not.
    pub wants: Vec<Want>,
    /// Steps that wait for their time.
    pub later: Vec<Later>,
    /// Steps, by their numbers, behind which it is waited.
    pub waits: Vec<usize>,
    /// Numbers for `/metrics`.
    pub samples: Vec<Sample>,
    /// What is to be remembered of what was seen.
    pub notes: Vec<(RuleIndex, Note)>,
    /// The steps that act once and count as having acted, as what they do was so already.
    pub already: Vec<(RuleIndex, Note)>,
    /// The steps that act once and are part of what changed.
    pub remembered: Vec<Acted>,
    /// For how many more the step at hand may act once; `None`: there are few.
    pub room: Option<usize>,
    /// `previous` of the step at hand.
    pub previous: Option<Record>,
    /// For what the step at hand acts, if it acts once.
    pub acting: Option<Acted>,
    pub claims: Vec<Claim>,
    /// Those of edits that changed something.
    pub asked: Vec<Claim>,
    /// What steps with a name applied, by name, and the same as a record.
    named: Map<String, Value>,
    /// There is more of them than the record says.
    unread: bool,
    pub applied: Option<Record>,
    /// The step at hand has a `forEach`.
    pub repeats: bool,
    pub findings: Vec<(Reason, String)>,
    /// What `warn` and `deny` steps say.
    pub says: Vec<Said>,
    /// What is found of other objects.
    pub told: Vec<(ObjectKey, Reason, String)>,
    pub wrong_types: Vec<String>,
    pub recheck_at: Option<Timestamp>,
    /// The object's place among those that match, if the rule picks.
    pub rank: Option<Rank>,
    /// Of the state that the turn began with.
    pub variables: Option<Variables>,
    /// That state, once the turn has changed it.
    pub found: Option<Record>,
    pub lists: Option<Arc<Lists>>,
}

impl Turn {
    pub fn new() -> Self {
        Turn {
            standing: Standing::OutOfScope,
            changed: false,
            scaled: false,
            scaled_along: false,
            held: vec![],
            cut: true,
            deletion: None,
            restarts: false,
            rolls_back: false,
            failed: false,
            deeds: vec![],
            more: false,
            marks: vec![],
            sequel: vec![],
            wants: vec![],
            later: vec![],
            waits: vec![],
            samples: vec![],
            notes: vec![],
            already: vec![],
            remembered: vec![],
            room: None,
            previous: None,
            acting: None,
            claims: vec![],
            asked: vec![],
            named: Map::new(),
            unread: false,
            applied: None,
            repeats: false,
            findings: vec![],
            says: vec![],
            told: vec![],
            wrong_types: vec![],
            recheck_at: None,
            rank: None,
            variables: None,
            found: None,
            lists: None,
        }
    }

    /// Whether the rule has nothing to do with the object and nothing to say of it, as most rules in question after a look.
    pub fn is_quiet(&self) -> bool {
        matches!(self.standing, Standing::Unmatched | Standing::Ignored)
            && self.findings.is_empty()
            && self.wrong_types.is_empty()
            && self.rank.is_none()
    }

    pub fn recheck(&mut self, at: Option<Timestamp>) {
        self.recheck_at = earlier(self.recheck_at, at);
    }

    /// Later steps read this object as `applied.NAME`; of a step with `forEach`, a list of them, once it has ended ([`Turn::bind_elements`])
    /// and not with each of its elements anew.
    pub fn bind(&mut self, name: &str, object: &Record) {
        let object = object.to_value();
        if !self.repeats {
            self.named.insert(name.to_owned(), object);
            self.show_named();
        } else if let Some(list) = self
            .named
            .entry(name)
            .or_insert_with(|| Value::Array(vec![]))
            .as_array_mut()
        {
            list.push(object);
            self.unread = true;
        }
    }

    /// What a step with `forEach` has bound may be read by those behind it.
    pub fn bind_elements(&mut self) {
        if std::mem::take(&mut self.unread) {
            self.show_named();
        }
    }

    fn show_named(&mut self) {
        self.applied = Some(Record::from_value(&Value::Object(self.named.clone())));
    }

    /// As [`Turn::bind`], where there is no such object: `applied` is there without it.
    pub fn bind_nothing(&mut self, name: &str) {
        if self.repeats {
            let list = || Value::Array(vec![]);
            self.named.entry(name).or_insert_with(list);
        }
        self.applied = Some(Record::from_value(&Value::Object(self.named.clone())));
    }

    /// Takes down what a `warn` or `deny` step says.
    pub fn say(&mut self, step: usize, reason: Reason, text: String) {
        let said = Said { step, reason, text };
        if !self.says.contains(&said) {
            self.says.push(said);
        }
    }

    pub fn find(&mut self, reason: Reason, message: String) {
        let finding = (reason, message);
        if !self.findings.contains(&finding) {
            self.findings.push(finding);
        }
    }
}

/// The earlier of two moments.
pub(super) fn earlier(a: Option<Timestamp>, b: Option<Timestamp>) -> Option<Timestamp> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (one, None) | (None, one) => one,
    }
}

/// How a turn is taken.
#[derive(Clone, Copy)]
pub(super) struct Manner<'b> {
    /// Which rule.
    pub index: RuleIndex,
    /// Go on behind what is asked of other objects, to show all that would come.
    pub ahead: bool,
    /// Go on behind what is asked of others and what is changed, as if that were done, to know what comes then ([`sequel`]).
    pub chained: bool,
    /// Pointers at which the rule has lost a conflict.
    pub barred: &'b [Box<str>],
    /// Note what the rule wants also where it is so already.
    pub claim_all: bool,
    /// The rule has changed the object in this pass already.
    pub has_changed: bool,
}

/// The steps of a rule that matched. A step that fails is undone and ends the list, the steps before it stand; what waits undoes the whole
/// turn, and so does a failure at admission.
pub(super) fn act(
    world: &World<'_>,
    rule: &Rule,
    working: &mut Working<'_>,
    manner: Manner<'_>,
    turn: &mut Turn,
) {
    let mut last = Checkpoint::of(working, turn);
    let before = last.clone();
    let variables = turn.variables.take();
    let steps = steps::all(
        world,
        rule,
        working,
        (manner, variables.as_ref(), &mut last),
        turn,
    );
    match steps {
        Ok(()) => {
            // Of what goes with the match one that goes on behind everything says nothing.
            if !turn.cut && !manner.chained && lifetime::holds(rule) {
                lifetime::release(world, rule, working, turn);
            }
        }
        Err(ExprFault::Unknown(reason)) => {
            before.restore(working, turn);
            turn.deletion = None;
            turn.standing = Standing::Waiting;
            turn.find(Reason::Waiting, reason);
            return;
        }
        Err(fault) => {
            // A request passes unchanged by a rule that fails.
            let admission = world.context.occasion != Occasion::Reconcile;
            let until = if admission { before } else { last };
            until.restore(working, turn);
            turn.find(Reason::ExpressionFailed, fault.to_string());
            if !turn.changed && turn.deeds.is_empty() {
                turn.standing = Standing::Failed;
                return;
            }
        }
    }
    turn.standing = Standing::Matched {
        acts: turn.changed || turn.deletion.is_some() || !turn.deeds.is_empty(),
    };
}
