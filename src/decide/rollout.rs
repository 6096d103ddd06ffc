//! `restart` and `rollback`: changes of the copy that are made once each time a match begins.

use super::steps::At;
use super::turn::Turn;
use super::working::Working;
use super::{Reason, event, patch, rollback};
use crate::rule::Action;
use crate::rule::edit::Endpoint;
use crate::rule::expr::ExprFault;
use crate::rule::rollout::has_rollouts;

/// False: the steps behind it have to wait.
pub(super) fn step(
    at: &At<'_>,
    working: &mut Working<'_>,
    turn: &mut Turn,
) -> Result<bool, ExprFault> {
    let (world, rule, step, position) = (at.world, at.rule, at.step, at.position);
    let all = at.how();
    let called = event::step(position, 0);
    let begun = world.context.neighbours.begun(at.manner.index, called);
    if begun.is_none() || !has_rollouts(&world.subject.key.kind) {
        return Ok(true);
    }
    let changed = match &step.action {
        Action::Restart { edit } if !rollback::is_paused(working.record()) => {
            let changed = patch::patch(world, (edit, None), Endpoint::Main, working, all, turn)?;
            turn.restarts |= changed;
            changed
        }
        Action::Restart { .. } => {
            let message = "it is paused: it can be restarted once it is resumed";
            turn.find(Reason::Waiting, message.to_owned());
            return Ok(false);
        }
        Action::Rollback { to } => {
            let which = (*to, position, step.line);
            match rollback::way(world, rule, which, working, turn)? {
                rollback::Way::Nowhere => return Ok(false),
                rollback::Way::There => false,
                rollback::Way::Back(edit, state) => {
                    let changed =
                        patch::patch(world, (&edit, None), Endpoint::Main, working, all, turn)?;
                    if changed {
                        let meta = working.record().clone();
                        let written =
                            working.change(|object| state.write(meta.meta(), &rule.name, object));
                        written.map_err(|large| {
                            let message =
                                format!("what is to be remembered takes {} bytes", large.0);
                            ExprFault::Failed(message)
                        })?;
                    }
                    turn.rolls_back |= changed;
                    changed
                }
            }
        }
        _ => false,
    };
    if changed && !turn.acts.contains(&called) {
        turn.acts.push(called);
    }
    Ok(true)
}
