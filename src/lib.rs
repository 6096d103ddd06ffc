//! Ordain: a declarative reconciliation daemon for Kubernetes.
#![allow(missing_docs, dead_code, unused)]

pub mod cluster;
pub mod decide;
pub mod engine;
pub mod object;
pub mod rule;
pub mod schema;
