//! `restart` and `rollback`: changes of the copy.

use super::apply::Progress;
use super::steps::At;
use super::turn::Turn;
use super::working::Working;
use super::{Reason, patch, rollback};
use crate::object::ObjectKey;
use crate::rule::edit::Endpoint;
use crate::rule::expr::ExprFault;
use crate::rule::rollout::has_rollouts;
use crate::rule::{Action, Step};

/// A step with one of them, and whether it changed something.
pub(super) fn step(
    at: &At<'_>,
    working: &mut Working<'_>,
    turn: &mut Turn,
) -> Result<(Progress, bool), ExprFault> {
    let (world, rule, step) = (at.world, at.rule, at.step);
    let all = at.how();
    let changed = match &step.action {
        Action::Restart { edit } if !rollback::is_paused(working.record()) => {
            let changed = patch::patch(world, (edit, None), Endpoint::Main, working, all, turn)?;
            turn.restarts |= changed;
            changed
        }
        Action::Restart { .. } => {
            turn.find(Reason::Waiting, PAUSED.to_owned());
            return Ok((Progress::Stopped, false));
        }
        Action::Rollback { to } => {
            let which = (*to, at.position, step.line);
            let of = (world.subject.key, world.subject.record);
            let mut told = vec![];
            let way = rollback::way(world, rule, which, (of, working), &mut told)?;
            for (reason, message) in told {
                turn.find(reason, message);
            }
            match way {
                rollback::Way::Nowhere => return Ok((Progress::Stopped, false)),
                rollback::Way::There => false,
                rollback::Way::Back(edit, state) => {
                    let edit = (&*edit, None);
                    let changed = patch::patch(world, edit, Endpoint::Main, working, all, turn)?;
                    if changed {
                        rollback::remember(working, &state, rule)?;
                    }
                    turn.rolls_back |= changed;
                    changed
                }
            }
        }
        _ => false,
    };
    Ok((Progress::Done, changed))
}

/// Why a workload is not restarted.
pub(super) const PAUSED: &str = "it is paused: it can be restarted once it is resumed";

/// Whether a step has no meaning for an object: it rolls out what has no rollouts.
pub(super) fn leaves_alone(step: &Step, object: &ObjectKey) -> bool {
    matches!(
        step.action,
        Action::Restart { .. } | Action::Rollback { .. }
    ) && !has_rollouts(&object.kind)
}
