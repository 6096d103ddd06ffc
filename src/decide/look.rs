//! Whether a rule matches the copy as its turn finds it.

use super::pass::PassContext;
use super::turn::Turn;
use super::working::Working;
use super::world::World;
use super::{Picked, Reason, Standing, Subject, related};
use crate::object::Record;
use crate::rule::Rule;
use crate::rule::expr::{ExprFault, Variables};
use crate::rule::pick::{Pick, PickFault, Rank};
use crate::rule::selector::InScope;
use crate::rule::test::{self, Test, TestRun, Verdict};

/// Whether the rule's `match` lets the copy in. Most rules of a kind leave most objects out.
pub(super) fn scope(world: &World<'_>, rule: &Rule, working: &Working<'_>) -> InScope {
    let record = working.record();
    let namespace = world.namespace_object(record);
    rule.matches
        .covers_one(record.meta(), working.is_deleting(), namespace)
}

/// Whether it leaves the copy out.
pub(super) fn is_out_of_scope(world: &World<'_>, rule: &Rule, working: &Working<'_>) -> bool {
    scope(world, rule, working) == InScope::No
}

/// Whether the rule matches the copy: the turn so far has the standing `Matched { acts: false }` exactly if it does.
pub(super) fn look(world: &World<'_>, rule: &Rule, working: &Working<'_>) -> Turn {
    let mut turn = Turn::new();
    look_from(scope(world, rule, working), world, rule, working, &mut turn);
    turn
}

/// As [`look`], where the rule's `match` was asked already.
pub(super) fn look_from(
    scope: InScope,
    world: &World<'_>,
    rule: &Rule,
    working: &Working<'_>,
    turn: &mut Turn,
) {
    match scope {
        InScope::No => {}
        InScope::Unknown => {
            turn.standing = Standing::Waiting;
            let why = world.context.namespace.err().unwrap_or_default();
            turn.find(
                Reason::Waiting,
                format!("its Namespace is not known: {why}"),
            );
        }
        InScope::Yes => look_inside(world, rule, working.record(), turn),
    }
}

/// As [`look`], where the rule's `match` is known to let the copy in.
pub(super) fn look_inside(world: &World<'_>, rule: &Rule, record: &Record, turn: &mut Turn) {
    if world.ignored.entirely || world.ignored.rule(&rule.name) {
        turn.standing = Standing::Ignored;
        if world.ignored.entirely {
            turn.recheck(world.ignored.until);
        }
        return;
    }
    if !world.opens(rule) {
        turn.standing = Standing::Unmatched;
        return;
    }
    let (before, rest) = rule.tests.split_at(rule.tests_without_variables);
    let (first, of_lists) = before.split_at(rule.tests_without_lists);
    let mut verdict = tests(world, first, turn, record);
    if verdict == Verdict::Pass && !rule.related.is_empty() {
        verdict = related::lists(world, rule, record, turn);
        if verdict == Verdict::Pass && !of_lists.is_empty() {
            verdict = tests(world, of_lists, turn, record);
        }
    }
    if verdict == Verdict::Pass && !rule.variables.is_empty() {
        let lists = turn.lists.clone().unwrap_or_default();
        let scope = world.scope(record, None);
        turn.variables = Some(Variables::compute(&rule.variables, lists, &scope));
        verdict = tests(world, rest, turn, record);
    }
    match verdict {
        Verdict::Pass => match &rule.pick {
            None => turn.standing = Standing::Matched { acts: false },
            Some(pick) => turn.standing = picked(world, (rule, pick), turn, record),
        },
        Verdict::Fail => turn.standing = Standing::Unmatched,
        Verdict::WrongType(reason) => {
            turn.standing = Standing::Unmatched;
            turn.wrong_types.push(reason);
        }
        Verdict::Unknown(reason) => {
            turn.standing = Standing::Waiting;
            turn.find(Reason::Waiting, reason);
        }
        Verdict::Failed(reason) => {
            turn.standing = Standing::Failed;
            turn.find(Reason::ExpressionFailed, reason);
        }
    }
}

/// Whether a rule whose tests pass is about the object.
fn picked(
    world: &World<'_>,
    (rule, pick): (&Rule, &Pick),
    turn: &mut Turn,
    record: &Record,
) -> Standing {
    let ranked = pick.rank(&world.scope(record, turn.variables.as_ref()));
    let rank = match ranked {
        Ok(rank) => turn.rank.insert(rank),
        Err(PickFault::Unsortable(why)) => {
            turn.find(Reason::WrongType, format!("pick: {why}"));
            return Standing::NotPicked;
        }
        Err(PickFault::Expression(ExprFault::Unknown(why))) => {
            turn.find(Reason::Waiting, why);
            return Standing::Waiting;
        }
        Err(PickFault::Expression(fault)) => {
            turn.find(Reason::ExpressionFailed, format!("pick: {fault}"));
            return Standing::Failed;
        }
    };
    let Some(index) = world.context.rules.index_of(&rule.name) else {
        return Standing::NotPicked;
    };
    match world.context.neighbours.picks(index, rank) {
        Picked::Yes => Standing::Matched { acts: false },
        Picked::No => Standing::NotPicked,
        Picked::Later => Standing::Waiting,
    }
}

/// The place among the others that an object being deleted would have if it were not: `None` if the rule would not match it, or nobody knows.
pub fn place_of_the_leaving(
    subject: &Subject<'_>,
    rule: &Rule,
    context: &PassContext<'_>,
) -> Option<Rank> {
    let world = World::new(subject, context);
    let record = subject.record;
    let namespace = world.namespace_object(record);
    let scope = rule.matches.covers_one(record.meta(), false, namespace);
    if scope != InScope::Yes {
        return None;
    }
    let mut turn = Turn::new();
    look_inside(&world, rule, record, &mut turn);
    turn.rank
}

fn tests(world: &World<'_>, tests: &[Test], turn: &mut Turn, record: &Record) -> Verdict {
    let scope = world.scope(record, turn.variables.as_ref());
    let mut run = TestRun {
        scope: &scope,
        recheck_at: None,
        trace: None,
    };
    let verdict = test::all(tests, &mut run);
    let recheck_at = run.recheck_at;
    turn.recheck(recheck_at);
    verdict
}
