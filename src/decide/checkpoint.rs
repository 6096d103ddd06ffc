//! How far a turn was before a step, to go back there.

use super::turn::Turn;
use super::working::{Snapshot, Working};

/// How far a turn was before a step.
#[derive(Clone)]
pub(super) struct Checkpoint {
    copy: Snapshot,
    changed: bool,
    scaled: bool,
    scaled_along: bool,
    restarts: bool,
    rolls_back: bool,
    deeds: usize,
    claims: usize,
    samples: usize,
    already: usize,
    remembered: usize,
    asked: usize,
}

impl Checkpoint {
    pub fn of(working: &Working<'_>, turn: &Turn) -> Self {
        Checkpoint {
            copy: working.snapshot(),
            changed: turn.changed,
            scaled: turn.scaled,
            scaled_along: turn.scaled_along,
            restarts: turn.restarts,
            rolls_back: turn.rolls_back,
            deeds: turn.deeds.len(),
            claims: turn.claims.len(),
            samples: turn.samples.len(),
            already: turn.already.len(),
            remembered: turn.remembered.len(),
            asked: turn.asked.len(),
        }
    }

    pub fn restore(self, working: &mut Working<'_>, turn: &mut Turn) {
        if turn.changed {
            working.restore(self.copy);
        }
        turn.changed = self.changed;
        turn.found.take_if(|_| !self.changed);
        turn.scaled = self.scaled;
        turn.scaled_along = self.scaled_along;
        turn.restarts = self.restarts;
        turn.rolls_back = self.rolls_back;
        turn.deeds.truncate(self.deeds);
        turn.claims.truncate(self.claims);
        turn.samples.truncate(self.samples);
        // What was undone has not acted. What was seen (`Turn::notes`) stays seen, and what is wanted stays wanted.
        turn.already.truncate(self.already);
        turn.remembered.truncate(self.remembered);
        turn.asked.truncate(self.asked);
    }
}
