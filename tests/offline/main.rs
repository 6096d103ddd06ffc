//! Everything a user can see without a cluster. One binary, because each links the whole crate.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod commands;
mod corpus;
mod deploy;
mod documentation;
#[path = "../tools/generated.rs"]
mod generated;
mod golden;
mod hostile;
mod jsonpath;
mod layering;
mod lifetime;
mod messages;
#[path = "../tools/tutorial.rs"]
mod page;
mod pages;
mod program;
#[path = "../tools/prometheus.rs"]
mod prometheus;
mod recipes;
mod remembered;
mod schema;
mod tutorial;
mod twice;
mod verbs;
mod whole_language;
