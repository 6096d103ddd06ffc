//! `patch`: edits of the copy.

use super::steps::At;
use super::turn::{Manner, Turn};
use super::working::Working;
use super::world::World;
use super::{answered, lifetime};
use crate::object::Record;
use crate::rule::Occasion;
use crate::rule::edit::{Edit, EditContext, Endpoint, FixedFields, is_noop, plan};
use crate::rule::expr::{ExprFault, Scope, Variables};

/// A step with `patch`. Whether it changed something.
pub(super) fn step(
    at: &At<'_>,
    (edits, status): (&[Edit], bool),
    item: Option<&Record>,
    working: &mut Working<'_>,
    turn: &mut Turn,
) -> Result<bool, ExprFault> {
    let endpoint = match status {
        true => Endpoint::Status,
        false => Endpoint::Main,
    };
    let mut changed = false;
    for edit in edits {
        let edit = (edit, item);
        if at.held {
            changed |= lifetime::hold(at.world, at.rule, edit, working, at.how(), turn)?;
        } else {
            changed |= patch(at.world, edit, endpoint, working, at.how(), turn)?;
        }
    }
    Ok(changed)
}

/// What becomes of an edit of a field that is fixed at creation. `creates`: the rule looks at creations too, where it makes the edit.
pub(super) fn fixed_fields(world: &World<'_>, creates: bool) -> FixedFields {
    match world.context.occasion {
        Occasion::Create => FixedFields::Written,
        _ if creates => FixedFields::LeftOut,
        _ => FixedFields::Told,
    }
}

/// Whether the edit changed something.
pub(super) fn patch(
    world: &World<'_>,
    (edit, item): (&Edit, Option<&Record>),
    endpoint: Endpoint,
    working: &mut Working<'_>,
    (manner, variables, creates): (Manner<'_>, Option<&Variables>, bool),
    turn: &mut Turn,
) -> Result<bool, ExprFault> {
    let schema = world.schema.as_deref();
    let (applied, found) = (turn.applied.clone(), turn.found.clone());
    let previous = turn.previous.clone();
    let scope = Scope {
        applied: applied.as_ref().map(Record::root),
        found: found.as_ref().map(Record::root),
        item: item.map(Record::root),
        previous: previous.as_ref().map(Record::root),
        ..world.scope(working.record(), variables)
    };
    if !manner.claim_all && is_noop(edit, &scope, schema, &mut turn.recheck_at) {
        return Ok(false);
    }
    let context = EditContext {
        schema,
        endpoint,
        barred: manner.barred,
        answers: answered::answers(world, manner.index, world.subject.key),
        fixed: fixed_fields(world, creates),
    };
    let mut planned = plan(edit, &scope, &context)?;
    turn.recheck(planned.recheck_at);
    turn.wrong_types.append(&mut planned.wrong_types);
    // What of the step can be made is made; those behind it build on all of it.
    turn.failed |= !planned.findings.is_empty();
    for (reason, message) in std::mem::take(&mut planned.findings) {
        turn.find(reason.into(), message);
    }
    if let Some(overruled) = &planned.overruled {
        answered::tell(world, world.subject.key, overruled, turn);
    }
    let changes = planned.changes();
    if changes {
        turn.asked.extend(planned.claims.iter().cloned());
        turn.found.get_or_insert_with(|| working.record().clone());
        working.write(&planned);
        turn.changed = true;
    }
    turn.claims.append(&mut planned.claims);
    Ok(changes)
}
