//! What needs a real API server. One control plane serves the whole run; each test keeps to namespaces of its own.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod apply;
mod archives;
mod cel;
mod chart;
mod command;
mod commands;
mod container;
mod control_plane;
mod convergence;
mod daemon;
mod daemon_faults;
mod events;
mod fights;
mod freeze;
#[path = "../tools/generated.rs"]
mod generated;
mod install;
mod kills;
mod leader;
mod lifetime;
mod memory;
mod monitoring;
mod once;
mod operations;
mod overload;
#[path = "../tools/tutorial.rs"]
mod page;
mod picks;
mod plane;
mod predicted;
mod prometheus;
mod proxy;
mod ready_made;
mod recipes;
mod refusals;
mod related;
mod rights;
mod rivals;
mod rollouts;
mod scene;
mod scopes;
mod secrets;
mod seen;
mod soak;
mod state;
mod surroundings;
mod tunnel;
mod tutorial;
mod upgrades;
mod verbs;
mod waits;
mod watch;
mod watch_faults;
mod writes;
