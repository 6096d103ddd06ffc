//! Rule tests: given these rules and objects, this happens, in simulated time on a cluster in memory.
//!
//! A `RuleTest` document names rule files and manifests, relative to itself, and steps. Each step moves the time, changes the world, lets the engine come
//! to rest and compares. [`document`] reads it, `files` finds what it names, [`run`] runs it step by step (`step`), [`compare`] says what differs. `ordain test` and Ordain's own tests use the same.

pub mod compare;
pub mod document;
pub(crate) mod files;
pub mod run;
mod step;

pub use document::RuleTest;
pub use run::{Run, Verdict, run_all, run_file};
