//! `ordain plan` and `ordain explain`: both look at the world as the daemon would, and write nothing.

use super::options::{
    ClusterOptions, LogOptions, MemoryOptions, OutputOptions, RuleOptions, TimeOptions,
};
use super::value::host_and_port;
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
    #[arg(long, value_name = "ADDRESS", env = "ORDAIN_FROM", value_parser = host_and_port)]
    pub from: Option<String>,
    /// The world that is looked at, and how that is told: as `ordain plan` has them.
    #[command(flatten)]
    pub plan: PlanSettings,
}
