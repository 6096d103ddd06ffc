//! `ordain rbac`

use super::options::{ClusterOptions, RuleOptions};
use super::value::{namespace, object_name};
use clap::Args;

/// `ordain rbac`
#[derive(Args, Clone, Debug)]
pub struct RbacSettings {
    /// Which rules.
    #[command(flatten)]
    pub rules: RuleOptions,
    /// Which cluster.
    #[command(flatten)]
    pub cluster: ClusterOptions,
    /// Compare with what the current identity has, and name what is missing for which rule
    #[arg(long, env = "ORDAIN_CHECK", conflicts_with = "manifests", value_parser = clap::builder::BoolishValueParser::new())]
    pub check: bool,
    /// Only what a daemon needs that changes nothing (`run --audit-only`)
    #[arg(long, env = "ORDAIN_AUDIT_ONLY", value_parser = clap::builder::BoolishValueParser::new())]
    pub audit_only: bool,
    /// For a daemon that writes Events on objects whose change failed (`run --events`)
    #[arg(long, value_name = "BOOL", env = "ORDAIN_EVENTS", num_args = 0..=1, require_equals = true, default_value_t = true,
        default_missing_value = "true", value_parser = clap::builder::BoolishValueParser::new(), action = clap::ArgAction::Set)]
    pub events: bool,
    /// Name of each ClusterRole, Role and binding
    #[arg(long, value_name = "NAME", env = "ORDAIN_NAME", default_value = "ordain", value_parser = object_name)]
    pub name: String,
    /// The ServiceAccount that gets the rights, in the daemon's own namespace
    #[arg(long, value_name = "NAME", env = "ORDAIN_SERVICE_ACCOUNT", default_value = "ordain", value_parser = object_name)]
    pub service_account: String,
    /// The daemon's own namespace
    #[arg(
        long,
        value_name = "NS",
        env = "ORDAIN_STATE_NAMESPACE",
        default_value = "ordain-system",
        value_parser = namespace
    )]
    pub state_namespace: String,
    /// The Lease by which one of several replicas is the one that acts
    #[arg(long, value_name = "NAME", env = "ORDAIN_LEASE_NAME", default_value = crate::rights::DEFAULT_LEASE, value_parser = object_name)]
    pub lease_name: String,
}
