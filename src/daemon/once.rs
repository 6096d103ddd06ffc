//! When a single pass over everything is over, and what it could not look at.

use super::Daemon;
use crate::engine::Lost;
use crate::observe::Shared;
use crate::observe::status::Following;
use jiff::Timestamp;
use std::time::Duration;

/// With `once`: a kind that cannot be reached is given up after this time.
const PATIENCE: Duration = Duration::from_secs(30);

impl Daemon {
    /// With `once`: everything has been listed, and nothing is left to do now.
    pub(super) fn is_done(&self, wake: Option<Timestamp>) -> bool {
        if self.gave_up {
            return true;
        }
        let listed = {
            let status = self.teller.status.lock();
            status.kinds.values().all(|(_, following)| match following {
                Following::Synced => true,
                Following::Listing => false,
                // A connection that fails at once may come back in a moment.
                Following::Lost(Lost::Unreachable(_)) => self.started.elapsed() > PATIENCE,
                Following::Lost(_) => true,
            })
        };
        listed
            && !self.engine.is_standby()
            && self.requests.is_empty()
            && self.keeping.is_empty()
            && self.engine.is_idle()
            && wake.is_none_or(|at| at > Timestamp::now())
    }
}

/// What rules remember and the kinds that some rule needs, where they could not be looked at: for the exit code of a single pass.
pub fn undecided(status: &Shared) -> Vec<String> {
    let status = status.lock();
    let needed = status.kinds.iter().filter(|(kind, (_, following))| {
        // Rules that need a kind that is lost say so. Without rights beyond some namespaces the Namespaces are lost, and few rules care.
        *following == Following::Listing || status.is_missed(kind)
    });
    let unread = status.unread.iter().cloned();
    let kinds = needed.filter_map(|(kind, (_, following))| match following {
        Following::Lost(Lost::Forbidden(why)) => Some(format!("{kind}: forbidden: {why}")),
        Following::Lost(Lost::Unreachable(why)) => Some(format!("{kind}: {why}")),
        Following::Lost(Lost::OutOfScope) => Some(format!(
            "{kind}: cluster-scoped, and only some namespaces are looked at"
        )),
        Following::Listing => Some(format!("{kind}: not listed")),
        Following::Synced | Following::Lost(Lost::NoSuchKind) => None,
    });
    unread.chain(kinds).collect()
}
