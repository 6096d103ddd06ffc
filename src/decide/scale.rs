//! `scale`: an edit of the replicas, written through another endpoint.

use super::steps::At;
use super::turn::Turn;
use super::working::Working;
use super::{lifetime, patch};
use crate::object::{GroupKind, Record};
use crate::rule::edit::{Edit, Endpoint};
use crate::rule::expr::ExprFault;

/// A step with `scale`. Whether it changed something. `once`: it acts once.
pub(super) fn step(
    at: &At<'_>,
    edits: &[(Vec<GroupKind>, Edit)],
    (item, once): (Option<&Record>, bool),
    working: &mut Working<'_>,
    turn: &mut Turn,
) -> Result<bool, ExprFault> {
    let mut changed = false;
    let kind = &at.world.subject.key.kind;
    for (_, edit) in edits.iter().filter(|(kinds, _)| kinds.contains(kind)) {
        if at.held {
            changed |= lifetime::hold(at.world, at.rule, (edit, item), working, at.how(), turn)?;
        } else {
            changed |= patch::patch(
                at.world,
                (edit, item),
                Endpoint::Main,
                working,
                at.how(),
                turn,
            )?;
        }
        turn.scaled |= changed;
        // What is remembered of it goes with it, and the scale subresource carries none of that.
        turn.scaled_along |= changed && (once || at.held);
    }
    Ok(changed)
}
