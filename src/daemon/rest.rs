//! Rest for the thread that the loop runs on while many requests are on their way.
//!
//! Answers then come one by one, about one a millisecond, and what is done for each (read it, decide, log, send the next) is much code that has
//! left the caches since the last one. Taken a few at a time they cost a good deal less, and the server is not kept waiting: it has others to
//! work on meanwhile. It is what network cards do with interrupts.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// How long answers are let gather.
const GATHER: Duration = Duration::from_millis(4);

/// So many requests keep a server busy meanwhile.
const ENOUGH: usize = 8;

/// Whether the thread rests before it waits for what comes next. All clones are one.
#[derive(Clone, Default)]
pub struct Rest(Arc<AtomicBool>);

impl Rest {
    /// `in_flight` of at most `workers` requests were not answered yet.
    pub(super) fn review(&self, in_flight: usize, workers: usize) {
        let enough = in_flight >= ENOUGH && in_flight > workers / 2;
        self.0.store(enough, Ordering::Relaxed);
    }

    fn is_due(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// Nothing is left to do until something comes. Called on the thread itself.
    pub fn take(&self) {
        if self.is_due() {
            std::thread::sleep(GATHER);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_thread_rests_only_while_the_server_has_enough_to_do() {
        let rest = Rest::default();
        let on_the_thread = rest.clone();
        for (in_flight, workers, due) in [
            (0, 32, false),
            (16, 32, false),
            (17, 32, true),
            (8, 8, true),
            (7, 7, false),
            (1, 1, false),
        ] {
            rest.review(in_flight, workers);
            assert_eq!(on_the_thread.is_due(), due, "{in_flight} of {workers}");
        }
    }
}
