//! Ordain: a declarative reconciliation daemon for Kubernetes.
//!
//! A change in the cluster flows in one direction and leaves as at most one write per object and endpoint:
//!
//! ```text
//! cluster/watch ──Observation──▶ engine/store ──key──▶ engine/queue ──▶ engine/worker
//!                                                                          │ rules, record, namespace, now
//!                                                                          ▼
//!                                                          decide/pass (pure) ──▶ Decision {writes, changes, findings, recheck_at}
//! rules_dir ──text──▶ rule/compile (pure) ──Arc<RuleSet>──▶ engine         │
//!                          ▲ schema/                        cluster/api ◀──┘ ──▶ Outcome ──▶ daemon/report, observe/
//! ```
//!
//! | folder | | what it is for |
//! | --- | --- | --- |
//! | [`schema`] | pure | what kinds look like: fields, list keys, fields fixed at creation; bundled, from CRDs, from OpenAPI |
//! | [`rule`] | pure | what a rule is: text → tree with positions → compiled [`rule::Rule`], with every problem |
//! | [`object`] | pure | keys, the compact record, quantities, durations, images, differences |
//! | [`decide`] | pure | the heart: rules and one object → what is to be done |
//! | [`state`] | pure | what outlives a restart, as text: shards with a format version |
//! | [`rights`] | pure | rules → the least rights that they need, as Roles and bindings |
//! | [`engine`] | no I/O | the controller loop as a state machine: store, queue, due moments, requests and answers |
//! | [`cluster`] | I/O | a real API server; the only user of kube |
//! | [`manifests`] | I/O | the cluster that is a folder, in memory |
//! | [`rules_dir`] | I/O | rule files: load, follow, keep the last good version |
//! | [`sinks`] | I/O | what rules send out of the cluster |
//! | [`daemon`] | I/O | the wiring, start order, shutdown |
//! | [`observe`] | I/O | metrics, log, HTTP |
//! | [`rule_test`] | | RuleTests: objects and rules in, expectations out |
//! | [`cli`], [`settings`] | | one file per command; every option |
//!
//! `tests/offline/layering.rs` holds the code to this map.

pub mod cli;
pub mod cluster;
pub mod daemon;
pub mod decide;
pub mod engine;
pub mod manifests;
pub mod object;
pub mod observe;
pub mod rights;
pub mod rule;
pub mod rule_test;
pub mod rules_dir;
pub mod schema;
pub mod settings;
pub mod sinks;
pub mod state;
