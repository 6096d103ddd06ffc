//! Ordain: a declarative reconciliation daemon for Kubernetes.
#![allow(missing_docs, dead_code, unused)]

pub mod cli;
pub mod cluster;
pub mod daemon;
pub mod decide;
pub mod engine;
pub mod manifests;
pub mod object;
pub mod observe;
pub mod rule;
pub mod rule_test;
pub mod rules_dir;
pub mod schema;
pub mod settings;
