//! `ordain plan` and `ordain explain`: both look at the world as the daemon would, and write nothing.

use super::options::{
    ClusterOptions, LogOptions, MemoryOptions, OutputOptions, RuleOptions, TimeOptions,
};
use clap::Args;

/// `ordain plan`
#[derive(Args, Clone, Debug)]
pub struct PlanSettings {
    /// Which rules.
    #[command(flatten)]
    pub rules: RuleOptions,
    /// Which cluster.
    #[command(flatten)]
    pub cluster: ClusterOptions,
    /// When.
    #[command(flatten)]
    pub time: TimeOptions,
    /// What rules remember.
    #[command(flatten)]
    pub memory: MemoryOptions,
    /// How the result is printed.
    #[command(flatten)]
    pub output: OutputOptions,
    /// The log.
    #[command(flatten)]
    pub log: LogOptions,
}

/// `ordain explain`
#[derive(Args, Clone, Debug)]
pub struct ExplainSettings {
    /// Name of the rule
    #[arg(value_name = "RULE")]
    pub rule: String,
    /// The object: KIND/NAMESPACE/NAME, or KIND/NAME
    #[arg(value_name = "OBJECT")]
    pub object: String,
    /// Ask a running daemon, at the address it listens on, with its rules and its cluster; it answers on its loopback address only
    /// (kubectl port-forward)
    #[arg(long, value_name = "ADDRESS", env = "ORDAIN_FROM")]
    pub from: Option<String>,
    /// Which rules.
    #[command(flatten)]
    pub rules: RuleOptions,
    /// Which cluster.
    #[command(flatten)]
    pub cluster: ClusterOptions,
    /// When.
    #[command(flatten)]
    pub time: TimeOptions,
    /// What rules remember.
    #[command(flatten)]
    pub memory: MemoryOptions,
    /// How the result is printed.
    #[command(flatten)]
    pub output: OutputOptions,
    /// The log.
    #[command(flatten)]
    pub log: LogOptions,
}
