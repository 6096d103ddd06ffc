//! Whether a rule matches the copy as its turn finds it.

use super::turn::Turn;
use super::working::Working;
use super::world::World;
use super::{Picked, Reason, Standing, related};
use crate::object::Record;
use crate::rule::Rule;
use crate::rule::expr::{ExprFault, Variables};
use crate::rule::pick::{Pick, PickFault};
use crate::rule::selector::InScope;
use crate::rule::test::{self, Test, TestRun, Verdict};

/// Whether the rule's `match` leaves the copy out: what most rules of a kind do with most objects.
pub(super) fn is_out_of_scope(world: &World<'_>, rule: &Rule, working: &Working<'_>) -> bool {
    let record = working.record();
    rule.matches
        .covers(record.meta(), world.namespace_object(record))
        == InScope::No
}

/// Whether the rule matches the copy: the turn so far has the standing `Matched { acts: false }` exactly if it does.
pub(super) fn look(world: &World<'_>, rule: &Rule, working: &Working<'_>) -> Turn {
    let mut turn = Turn::new();
    let record = working.record();
    match rule
        .matches
        .covers(record.meta(), world.namespace_object(record))
    {
        InScope::No => return turn,
        InScope::Unknown => {
            turn.standing = Standing::Waiting;
            let why = world.context.namespace.err().unwrap_or_default();
            turn.find(
                Reason::Waiting,
                format!("its Namespace is not known: {why}"),
            );
            return turn;
        }
        InScope::Yes => {}
    }
    if world.ignored.entirely || world.ignored.rule(&rule.name) {
        turn.standing = Standing::Ignored;
        if world.ignored.entirely {
            turn.recheck(world.ignored.until);
        }
        return turn;
    }
    if !world.opens(rule) {
        turn.standing = Standing::Unmatched;
        return turn;
    }
    let (before, rest) = rule.tests.split_at(rule.tests_without_variables);
    let (first, of_lists) = before.split_at(rule.tests_without_lists);
    let mut verdict = tests(world, first, &mut turn, record);
    if verdict == Verdict::Pass && !rule.related.is_empty() {
        verdict = related::lists(world, rule, record, &mut turn);
        if verdict == Verdict::Pass && !of_lists.is_empty() {
            verdict = tests(world, of_lists, &mut turn, record);
        }
    }
    if verdict == Verdict::Pass && !rule.variables.is_empty() {
        let lists = turn.lists.clone().unwrap_or_default();
        let scope = world.scope(record, None);
        turn.variables = Some(Variables::compute(&rule.variables, lists, &scope));
        verdict = tests(world, rest, &mut turn, record);
    }
    match verdict {
        Verdict::Pass => match &rule.pick {
            None => turn.standing = Standing::Matched { acts: false },
            Some(pick) => turn.standing = picked(world, (rule, pick), &mut turn, record),
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
    }
    turn
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
