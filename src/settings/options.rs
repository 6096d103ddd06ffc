//! Groups of options that several commands share.

use super::value::{namespace, object_name};
use crate::rule::compile::Override;
use crate::rules_dir::Selection;
use clap::{Args, ValueEnum};
use jiff::Timestamp;
use std::path::PathBuf;

/// Which of the rules, and with which parameters.
#[derive(Args, Clone, Debug)]
pub struct SelectOptions {
    /// Only rules of these names; globs, `!` excludes. Repeatable [default: all]
    #[arg(
        long = "rule",
        value_name = "NAME",
        env = "ORDAIN_RULE",
        value_delimiter = ','
    )]
    pub only: Vec<String>,
    /// A rule parameter, for every rule that declares one of this name, or as RULE.NAME=VALUE for one rule; wins over `Parameters` documents. Repeatable
    #[arg(long, value_name = "NAME=VALUE", env = "ORDAIN_SET")]
    pub set: Vec<Override>,
}

impl SelectOptions {
    /// For loading rules.
    pub fn selection(&self) -> Selection {
        Selection {
            only: self.only.clone(),
            set: self.set.clone(),
        }
    }
}

/// Which rules.
#[derive(Args, Clone, Debug)]
pub struct RuleOptions {
    /// A rule file, or a folder read recursively; `-` is standard input. Repeatable
    #[arg(
        long,
        value_name = "PATH",
        env = "ORDAIN_RULES",
        default_value = "rules",
        value_delimiter = ','
    )]
    pub rules: Vec<PathBuf>,
    /// Which of the rules, and with which parameters.
    #[command(flatten)]
    pub select: SelectOptions,
}

impl RuleOptions {
    /// For loading rules.
    pub fn selection(&self) -> Selection {
        self.select.selection()
    }
}

/// Which cluster.
#[derive(Args, Clone, Debug)]
pub struct ClusterOptions {
    /// The cluster is these YAML and JSON files, in memory; they are never changed. Repeatable [default: a real cluster]
    #[arg(
        long,
        value_name = "PATH",
        env = "ORDAIN_MANIFESTS",
        value_delimiter = ',',
        conflicts_with_all = ["kubeconfig", "context"]
    )]
    pub manifests: Vec<PathBuf>,
    /// Kubeconfig file [default: $KUBECONFIG, else in-cluster]
    #[arg(long, value_name = "FILE", env = "ORDAIN_KUBECONFIG")]
    pub kubeconfig: Option<PathBuf>,
    /// Context of the kubeconfig [default: its current one]
    #[arg(long, value_name = "NAME", env = "ORDAIN_CONTEXT")]
    pub context: Option<String>,
    /// Only look into this namespace; rights in it alone are enough. Repeatable [default: all]
    #[arg(
        long = "namespace",
        short = 'n',
        value_name = "NS",
        env = "ORDAIN_NAMESPACE",
        value_delimiter = ',',
        value_parser = namespace
    )]
    pub namespaces: Vec<String>,
}

/// The time to evaluate at.
#[derive(Args, Clone, Copy, Debug)]
pub struct TimeOptions {
    /// The time to evaluate at, RFC 3339 (`2026-01-31T12:00:00Z`) [default: the clock]
    #[arg(long, value_name = "TIME", env = "ORDAIN_NOW")]
    pub now: Option<Timestamp>,
}

impl TimeOptions {
    /// The time given, else the clock's.
    pub fn now(self) -> Timestamp {
        self.now.unwrap_or_else(Timestamp::now)
    }
}

/// How results are printed.
#[derive(Args, Clone, Copy, Debug)]
pub struct OutputOptions {
    /// How the result is printed; `json` is one document with stable field names
    #[arg(
        long,
        short = 'o',
        value_enum,
        value_name = "FORMAT",
        env = "ORDAIN_OUTPUT",
        default_value_t
    )]
    pub output: OutputFormat,
    /// Colour; `auto` is on a terminal where NO_COLOR is not set
    #[arg(
        long,
        value_enum,
        value_name = "WHEN",
        env = "ORDAIN_COLOR",
        default_value_t
    )]
    pub color: ColorChoice,
}

/// `--output`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum OutputFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON document.
    Json,
    /// The same as YAML.
    Yaml,
}

/// `--color`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum ColorChoice {
    /// On a terminal, unless `NO_COLOR` is set.
    #[default]
    Auto,
    /// Also into files and pipes.
    Always,
    /// Not at all.
    Never,
}

/// The log, on standard error.
#[derive(Args, Clone, Debug)]
pub struct LogOptions {
    /// `error`, `warn`, `info`, `debug`, `trace`, or filters such as `info,ordain::engine=debug` [default: info of the daemon, else warn]
    #[arg(long, value_name = "LEVEL", env = "ORDAIN_LOG_LEVEL")]
    pub log_level: Option<String>,
    /// [default: text on a terminal, else json]
    #[arg(long, value_enum, value_name = "FORMAT", env = "ORDAIN_LOG_FORMAT")]
    pub log_format: Option<LogFormat>,
}

/// `--log-format`
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// A line for people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Whose memory is read, by those that only look: what a running daemon keeps in its own namespace, or a file.
#[derive(Args, Clone, Debug)]
pub struct MemoryOptions {
    /// The daemon's own namespace, protected with everything in it
    #[arg(
        long,
        value_name = "NS",
        env = "ORDAIN_STATE_NAMESPACE",
        default_value = "ordain-system",
        value_parser = namespace
    )]
    pub state_namespace: String,
    /// The daemon whose memory is read, by the name of its Lease
    #[arg(long, value_name = "NAME", env = "ORDAIN_LEASE_NAME", default_value = crate::rights::DEFAULT_LEASE, value_parser = object_name)]
    pub lease_name: String,
    /// With --manifests: what rules remember is read from this file
    #[arg(
        long,
        value_name = "FILE",
        env = "ORDAIN_STATE",
        requires = "manifests"
    )]
    pub state: Option<PathBuf>,
}

/// Kinds that are known besides those of Kubernetes, for commands that need no cluster.
#[derive(Args, Clone, Debug)]
pub struct KindOptions {
    /// Kinds of CustomResourceDefinitions among these YAML files are known too. Repeatable
    #[arg(
        long,
        value_name = "PATH",
        env = "ORDAIN_MANIFESTS",
        value_delimiter = ','
    )]
    pub manifests: Vec<PathBuf>,
}
