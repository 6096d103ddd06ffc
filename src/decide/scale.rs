//! `scale`: an edit of the replicas, written through another endpoint.

use super::steps::At;
use super::turn::Turn;
use super::working::Working;
use super::{lifetime, patch};
use crate::object::GroupKind;
use crate::rule::edit::{Edit, Endpoint};
use crate::rule::expr::ExprFault;

/// A step with `scale`. Whether it changed something. `once`: it acts once.
pub(super) fn step(
    at: &At<'_>,
    edits: &[(Vec<GroupKind>, Edit)],
    once: bool,
    working: &mut Working<'_>,
    turn: &mut Turn,
) -> Result<bool, ExprFault> {
    let mut changed = false;
    let kind = &at.world.subject.key.kind;
    for (_, edit) in edits.iter().filter(|(kinds, _)| kinds.contains(kind)) {
        if at.held {
            lifetime::hold(at.world, at.rule, (edit, None), working, at.how(), turn)?;
            continue;
        }
        changed |= patch::patch(
            at.world,
            (edit, None),
            Endpoint::Main,
            working,
            at.how(),
            turn,
        )?;
        // What is remembered of it goes with it, and the scale subresource carries none of that.
        turn.scaled |= changed && !once;
    }
    Ok(changed)
}
