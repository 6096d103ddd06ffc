//! Every option of every command, with its environment variable, default, unit and bound.
//!
//! An option given on the command line wins over its variable. A variable of a repeatable option takes several values separated by commas.

use crate::rule::compile::Override;
use crate::rules_dir::Selection;
use crate::schema::nearest;
use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};
use jiff::Timestamp;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// The command line.
#[derive(Debug, Parser)]
#[command(
    name = "ordain",
    version,
    about = "Keeps Kubernetes objects the way your rules say.",
    long_about = "Keeps Kubernetes objects the way your rules say. A rule is a YAML file: which objects it is about, and what must be \
                  true of them or be done with them.",
    after_help = "Examples:\n  \
        ordain run --manifests examples/shop/cluster --rules examples/shop/rules   see it work, without a cluster\n  \
        ordain check rules                                                         is every rule file well-formed?\n  \
        ordain plan --rules rules                                                  what would be changed now?\n  \
        ordain test rules                                                          run the rules' tests\n  \
        ordain explain RULE KIND/NAMESPACE/NAME --rules rules                      why does it act, or not?\n  \
        ordain rbac --rules rules                                                  which rights do the rules need?\n  \
        ordain run --rules rules                                                   the daemon\n\n\
        Every option has an environment variable of the same name: ORDAIN_RULES, ORDAIN_LOG_LEVEL, …",
    disable_help_subcommand = true,
    subcommand_required = true,
    arg_required_else_help = false
)]
pub struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// A variable that begins like ours and is none, with the nearest of ours: a switch that is misspelt must not be overlooked.
///
/// What Kubernetes sets in every container for a Service that is called `ordain…` does not count.
pub fn misspelt_variable(names: impl IntoIterator<Item = String>) -> Option<String> {
    let command = Arguments::command();
    let known: Vec<String> = command
        .get_subcommands()
        .flat_map(clap::Command::get_opts)
        .filter_map(|option| Some(option.get_env()?.to_string_lossy().into_owned()))
        .collect();
    let name = names.into_iter().find(|name| {
        name.starts_with("ORDAIN_") && !known.contains(name) && !is_of_a_service(name)
    })?;
    let mend = match nearest(&name, known.iter().map(String::as_str)).first() {
        Some(near) => format!("did you mean {near}?"),
        None => "every option has one of its name: ORDAIN_RULES is --rules".to_owned(),
    };
    Some(format!("no option has the variable {name}: {mend}"))
}

/// `X_SERVICE_HOST`, `X_SERVICE_PORT`, `X_SERVICE_PORT_NAME`, `X_PORT`, `X_PORT_9464_TCP`, `X_PORT_9464_TCP_ADDR`.
fn is_of_a_service(name: &str) -> bool {
    let has_port = |(_, rest): (&str, &str)| rest.starts_with(|c: char| c.is_ascii_digit());
    name.ends_with("_SERVICE_HOST")
        || name.ends_with("_PORT")
        || name.contains("_SERVICE_PORT_")
        || name.split_once("_PORT_").is_some_and(has_port)
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Follow rules and cluster, and reconcile until told to stop
    #[command(after_help = "Examples:\n  \
        ordain run --rules rules                              the daemon on the cluster of the current kubeconfig\n  \
        ordain run --rules rules --audit-only                 the same, but nothing is changed\n  \
        ordain run --once --rules rules                       one full pass, for cron jobs and pipelines\n  \
        ordain run --manifests cluster --rules rules          the cluster is a folder of YAML files; edits of them are followed\n  \
        ordain run --once --manifests cluster --rules rules --write-manifests result\n\n\
        Exit code: 0 after a clean stop or when all is done; with --once 3 if a request was refused, a limit or breaker stopped \
        something, or an error kept a test undecided; 2 wrong usage.")]
    Run(Box<RunSettings>),
    /// Compile rule files without any cluster
    #[command(after_help = "Examples:\n  \
        ordain check rules\n  \
        ordain check rules --manifests crds        kinds of the CustomResourceDefinitions there are known too\n  \
        cat rule.yaml | ordain check -\n\n\
        Exit code: 0 good, 1 problems, 2 wrong usage.")]
    Check(CheckSettings),
    /// Show what Enforce would do now; write nothing
    #[command(after_help = "Examples:\n  \
        ordain plan --rules rules                                on the cluster of the current kubeconfig\n  \
        ordain plan --rules rules --manifests cluster            on a folder of YAML files\n  \
        ordain plan --rules rules --rule 'replicas-*' -o json\n  \
        ordain plan --manifests cluster --now 2026-03-01T00:00:00Z\n\n\
        Exit code: 0 nothing to change, 1 changes, 3 could not tell, 2 wrong usage.")]
    Plan(PlanSettings),
    /// Show what a rule makes of an object: each clause, the value it saw, and what follows
    #[command(after_help = "Examples:\n  \
        ordain explain replicas-floor Deployment/shop/web --rules rules                      on the cluster of the current kubeconfig\n  \
        ordain explain replicas-floor Deployment/shop/web --rules rules --manifests cluster  on a folder of YAML files\n  \
        ordain explain replicas-floor Deployment/shop/web --from 127.0.0.1:9464              as a running daemon sees it now: its limits,\n  \
        \u{20}                                                                                    breakers and freeze included\n\n\
        OBJECT is KIND/NAMESPACE/NAME, or KIND/NAME of a cluster-scoped one, with GROUP/VERSION/ before it where that is needed to be clear.\n\
        Exit code: 0 would act, 1 would not, 3 could not tell, 2 wrong usage.")]
    Explain(ExplainSettings),
    /// Print the least rights that the rules need, as Roles and bindings
    #[command(
        after_help = "Examples:\n  \
        ordain rbac --rules rules | kubectl apply -f -              a ClusterRole, and a Role in the daemon's own namespace\n  \
        ordain rbac --rules rules --namespace shop --namespace bar  Roles in these namespaces alone\n  \
        ordain rbac --rules rules --check                           what does the current identity lack, and for which rule?\n  \
        ordain rbac --rules rules --manifests crds                  kinds of the CustomResourceDefinitions there are known too\n\n\
        Exit code: 0 printed, or nothing is missing; 1 problems in rules, or rights are missing; 3 the server did not answer; \
        2 wrong usage.",
        after_long_help = "Rules in Audit get what they would need in Enforce: going from one to the other is an edit of a rule, and \
        should not need a cluster administrator. `--audit-only` grants no verb that writes objects; rules that are Off get nothing. \
        Each line says which rules need it.\n\n\
        Plural names come from the built-in kinds, from CustomResourceDefinitions among --manifests, or, if --kubeconfig or \
        --context is given, or with --check, from the cluster.\n\n\
        Examples:\n  \
        ordain rbac --rules rules | kubectl apply -f -              a ClusterRole, and a Role in the daemon's own namespace\n  \
        ordain rbac --rules rules --namespace shop --namespace bar  Roles in these namespaces alone\n  \
        ordain rbac --rules rules --check                           what does the current identity lack, and for which rule?\n  \
        ordain rbac --rules rules --manifests crds                  kinds of the CustomResourceDefinitions there are known too\n\n\
        Exit code: 0 printed, or nothing is missing; 1 problems in rules, or rights are missing; 3 the server did not answer; \
        2 wrong usage."
    )]
    Rbac(RbacSettings),
    /// Run every RuleTest found
    #[command(after_help = "Examples:\n  \
        ordain test rules\n  \
        ordain test rules/jobs/tests/finished-jobs.yaml -o json\n\n\
        Exit code: 0 all pass, 1 some fail, 2 wrong usage.")]
    Test(TestSettings),
    /// Ask a running daemon whether it is ready
    #[command(after_help = "Examples:\n  \
        ordain ready                                        the daemon on this machine\n  \
        ordain ready ordain.ordain-system:9464 --timeout 60s   through its Service; waits up to a minute\n\n\
        Exit code: 0 ready, 1 not ready, 3 no answer, 2 wrong usage.")]
    Ready(ReadySettings),
    /// Print the completion script of a shell
    #[command(after_help = "Examples:\n  \
        ordain completions bash > /etc/bash_completion.d/ordain\n  \
        ordain completions zsh > ~/.zfunc/_ordain")]
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
}

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
    /// A rule parameter, for every rule that declares one of this name; wins over `Parameters` documents. Repeatable
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
        value_delimiter = ','
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
    /// `error`, `warn`, `info`, `debug`, `trace`, or filters such as `info,ordain::engine=debug`
    #[arg(
        long,
        value_name = "LEVEL",
        env = "ORDAIN_LOG_LEVEL",
        default_value = "info"
    )]
    pub log_level: String,
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

/// `ordain check`
#[derive(Args, Clone, Debug)]
pub struct CheckSettings {
    /// Rule files, or folders read recursively; `-` is standard input
    #[arg(value_name = "PATH", required = true)]
    pub paths: Vec<PathBuf>,
    /// Kinds of CustomResourceDefinitions among these YAML files are known too. Repeatable
    #[arg(
        long,
        value_name = "PATH",
        env = "ORDAIN_MANIFESTS",
        value_delimiter = ','
    )]
    pub manifests: Vec<PathBuf>,
    /// Which of the rules, and with which parameters.
    #[command(flatten)]
    pub select: SelectOptions,
    /// How the result is printed.
    #[command(flatten)]
    pub output: OutputOptions,
}

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
    /// The daemon's own namespace, protected with everything in it
    #[arg(
        long,
        value_name = "NS",
        env = "ORDAIN_STATE_NAMESPACE",
        default_value = "ordain-system"
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
    /// The daemon's own namespace, protected with everything in it
    #[arg(
        long,
        value_name = "NS",
        env = "ORDAIN_STATE_NAMESPACE",
        default_value = "ordain-system"
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
    /// How the result is printed.
    #[command(flatten)]
    pub output: OutputOptions,
    /// The log.
    #[command(flatten)]
    pub log: LogOptions,
}

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
        value_parser = object_name
    )]
    pub state_namespace: String,
    /// The Lease by which one of several replicas is the one that acts
    #[arg(long, value_name = "NAME", env = "ORDAIN_LEASE_NAME", default_value = crate::rights::DEFAULT_LEASE, value_parser = object_name)]
    pub lease_name: String,
}

/// The name of an object as Kubernetes takes it for most kinds: a DNS subdomain.
///
/// # Errors
/// Anything else, with what a name may be.
pub fn object_name(text: &str) -> Result<String, String> {
    let good = |label: &str| {
        let inside = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        !label.is_empty()
            && label.chars().all(inside)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    if text.len() <= 253 && text.split('.').all(good) {
        return Ok(text.to_owned());
    }
    Err("a name is made of a-z, 0-9, `-` and `.`, begins and ends with a letter or digit, and has at most 253 characters".into())
}

/// `ordain test`
#[derive(Args, Clone, Debug)]
pub struct TestSettings {
    /// Test files, or folders read recursively
    #[arg(value_name = "PATH", required = true)]
    pub paths: Vec<PathBuf>,
    /// Kinds of CustomResourceDefinitions among these YAML files are known too. Repeatable
    #[arg(
        long,
        value_name = "PATH",
        env = "ORDAIN_MANIFESTS",
        value_delimiter = ','
    )]
    pub manifests: Vec<PathBuf>,
    /// Which of the rules, and with which parameters.
    #[command(flatten)]
    pub select: SelectOptions,
    /// The time of steps that name none.
    #[command(flatten)]
    pub time: TimeOptions,
    /// How the result is printed.
    #[command(flatten)]
    pub output: OutputOptions,
}

/// `ordain ready`
#[derive(Args, Clone, Debug)]
pub struct ReadySettings {
    /// Where it listens: HOST:PORT
    #[arg(value_name = "ADDRESS", default_value = "127.0.0.1:9464", value_parser = host_and_port)]
    pub address: String,
    /// How long to wait for it to become ready: `30s`, `2m`
    #[arg(long, value_name = "TIME", env = "ORDAIN_TIMEOUT", default_value = "0s", value_parser = timeout)]
    pub timeout: std::time::Duration,
}

fn timeout(text: &str) -> Result<std::time::Duration, String> {
    crate::object::duration::parse(text)
}

fn host_and_port(text: &str) -> Result<String, String> {
    match text.rsplit_once(':') {
        Some((host, port)) if !host.is_empty() && port.parse::<u16>().is_ok() => {
            Ok(text.to_owned())
        }
        _ => Err("write HOST:PORT, for example 127.0.0.1:9464".into()),
    }
}

/// `ordain run`
#[derive(Args, Clone, Debug)]
pub struct RunSettings {
    /// One full pass over everything, until nothing is left to do now, then stop
    #[arg(long, env = "ORDAIN_ONCE", value_parser = clap::builder::BoolishValueParser::new())]
    pub once: bool,
    /// Which rules.
    #[command(flatten)]
    pub rules: RuleOptions,
    /// Which cluster.
    #[command(flatten)]
    pub cluster: ClusterOptions,
    /// Where /metrics, /healthz, /readyz and /status are served. POST /freeze, /unfreeze and /acknowledge?rule=NAME are accepted from
    /// the loopback address only, which is where a `kubectl port-forward` arrives from
    #[arg(
        long,
        value_name = "ADDR",
        env = "ORDAIN_LISTEN",
        default_value = "127.0.0.1:9464"
    )]
    pub listen: SocketAddr,
    /// Frozen: every rule behaves as in Audit until POST /unfreeze
    #[arg(long, env = "ORDAIN_AUDIT_ONLY", value_parser = clap::builder::BoolishValueParser::new())]
    pub audit_only: bool,
    /// With --once and --manifests: each manifest is presented as a creation to rules with `when: [Create]` first; one that is
    /// denied is not there
    #[arg(long, env = "ORDAIN_ADMIT", value_parser = clap::builder::BoolishValueParser::new())]
    pub admit: bool,
    /// With --manifests: the resulting objects go here, one file per namespace
    #[arg(
        long,
        value_name = "DIR",
        env = "ORDAIN_WRITE_MANIFESTS",
        requires = "manifests"
    )]
    pub write_manifests: Option<PathBuf>,
    /// With --manifests: what rules remember is read from this file at the start, and kept there
    #[arg(
        long,
        value_name = "FILE",
        env = "ORDAIN_STATE",
        requires = "manifests"
    )]
    pub state: Option<PathBuf>,
    /// The daemon's own namespace, protected with everything in it
    #[arg(
        long,
        value_name = "NS",
        env = "ORDAIN_STATE_NAMESPACE",
        default_value = "ordain-system"
    )]
    pub state_namespace: String,
    /// Act only while holding a Lease in --state-namespace, so that several replicas may run: one acts, the others stand by
    /// [default: true as a Pod of the cluster, else false]
    #[arg(long, value_name = "BOOL", env = "ORDAIN_LEADER_ELECTION", num_args = 0..=1, require_equals = true,
        default_missing_value = "true", value_parser = clap::builder::BoolishValueParser::new(), conflicts_with_all = ["once", "manifests"])]
    pub leader_election: Option<bool>,
    /// The Lease's name, the same for all replicas of one daemon; what it remembers is kept as NAME-state-*
    #[arg(long, value_name = "NAME", env = "ORDAIN_LEASE_NAME", default_value = crate::rights::DEFAULT_LEASE, value_parser = object_name)]
    pub lease_name: String,
    /// A Lease that was not renewed for this long may be taken by another replica; whole seconds, 2s to 1h
    #[arg(long, value_name = "TIME", env = "ORDAIN_LEASE_DURATION", default_value = "15s", value_parser = span)]
    pub lease_duration: Duration,
    /// A leader that could not renew its Lease for this long stops writing; shorter than --lease-duration
    #[arg(long, value_name = "TIME", env = "ORDAIN_LEASE_RENEW_DEADLINE", default_value = "10s", value_parser = span)]
    pub lease_renew_deadline: Duration,
    /// Between two tries to get or to renew the Lease; at most half of --lease-renew-deadline, at least 100ms
    #[arg(long, value_name = "TIME", env = "ORDAIN_LEASE_RETRY_PERIOD", default_value = "2s", value_parser = span)]
    pub lease_retry_period: Duration,
    /// Write a Kubernetes Event on each object whose change failed or was blocked; `--events=false` leaves that out. On a real
    /// cluster only
    #[arg(long, value_name = "BOOL", env = "ORDAIN_EVENTS", num_args = 0..=1, require_equals = true, default_value_t = true,
        default_missing_value = "true", value_parser = clap::builder::BoolishValueParser::new(), action = clap::ArgAction::Set)]
    pub events: bool,
    /// Requests in flight at once, 1 to 1024
    #[arg(long, value_name = "N", env = "ORDAIN_WORKERS", default_value_t = 32, value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub workers: u16,
    /// Writes a second, with a burst of as many; 0 is no limit
    #[arg(long, value_name = "N", env = "ORDAIN_WRITE_RATE", default_value_t = 200, value_parser = clap::value_parser!(u32).range(0..=100_000))]
    pub write_rate: u32,
    /// With --once --manifests: the time to evaluate at.
    #[command(flatten)]
    pub time: TimeOptions,
    /// How the result is printed.
    #[command(flatten)]
    pub output: OutputOptions,
    /// The log.
    #[command(flatten)]
    pub log: LogOptions,
}

impl RunSettings {
    /// How long things of the election take.
    ///
    /// # Errors
    /// Times that do not fit each other, in words for people.
    pub fn lease_times(&self) -> Result<(Duration, Duration, Duration), String> {
        let (duration, deadline, period) = (
            self.lease_duration,
            self.lease_renew_deadline,
            self.lease_retry_period,
        );
        let shown = crate::object::duration::format;
        if duration.subsec_nanos() != 0 || !(2..=3600).contains(&duration.as_secs()) {
            return Err(format!(
                "--lease-duration {}: whole seconds from 2s to 1h",
                shown(duration)
            ));
        }
        if deadline >= duration {
            return Err(format!(
                "--lease-renew-deadline {} must be shorter than --lease-duration {}: a leader stops before another one may begin",
                shown(deadline),
                shown(duration)
            ));
        }
        if period < Duration::from_millis(100) || period * 2 > deadline {
            return Err(format!(
                "--lease-retry-period {} must be at least 100ms and at most half of --lease-renew-deadline {}",
                shown(period),
                shown(deadline)
            ));
        }
        Ok((duration, deadline, period))
    }
}

/// A length of time such as `15s` or `1m30s`.
fn span(text: &str) -> Result<Duration, String> {
    crate::object::duration::parse(text)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn every_option_has_a_variable_of_its_name() {
        for command in Arguments::command().get_subcommands() {
            for option in command.get_opts() {
                let long = option.get_long().unwrap();
                let variable = option.get_env().map(|v| v.to_string_lossy().into_owned());
                let expected = format!("ORDAIN_{}", long.replace('-', "_").to_uppercase());
                assert_eq!(
                    variable,
                    Some(expected),
                    "--{long} of {}",
                    command.get_name()
                );
            }
        }
    }

    #[test]
    fn a_variable_of_ours_that_is_none_is_found_with_the_nearest() {
        let misspelt = |name: &str| misspelt_variable([name.to_owned()]);
        assert_eq!(
            misspelt("ORDAIN_AUDIT_ONYL").as_deref(),
            Some("no option has the variable ORDAIN_AUDIT_ONYL: did you mean ORDAIN_AUDIT_ONLY?")
        );
        assert!(misspelt("ORDAIN_WHATEVER_ELSE").is_some());
        for other in [
            "ORDAIN_AUDIT_ONLY",
            "HOME",
            "ORDAIN_SERVICE_HOST",
            "ORDAIN_SERVICE_PORT",
            "ORDAIN_SERVICE_PORT_METRICS",
            "ORDAIN_PORT",
            "ORDAIN_PORT_9464_TCP",
            "ORDAIN_METRICS_PORT_9464_TCP_ADDR",
        ] {
            assert_eq!(misspelt(other), None);
        }
    }

    #[test]
    fn every_command_shows_an_example() {
        for command in Arguments::command().get_subcommands() {
            let help = command.get_after_help().unwrap().to_string();
            assert!(
                help.contains(&format!("ordain {}", command.get_name())),
                "{help}"
            );
        }
    }

    #[test]
    fn defaults_are_those_of_the_documentation() {
        let Command::Run(run) = Arguments::parse_from(["ordain", "run"]).command else {
            unreachable!()
        };
        assert_eq!(run.listen.to_string(), "127.0.0.1:9464");
        assert_eq!(run.rules.rules, [PathBuf::from("rules")]);
        assert_eq!(run.workers, 32);
        assert_eq!(run.write_rate, 200);
        assert_eq!(run.log.log_level, "info");
    }

    #[test]
    fn times_of_the_election_fit_each_other() {
        let times = |more: &[&str]| {
            let arguments = ["ordain", "run"].iter().chain(more);
            let Command::Run(run) = Arguments::parse_from(arguments).command else {
                unreachable!()
            };
            run.lease_times()
        };
        let seconds = Duration::from_secs;
        assert_eq!(times(&[]), Ok((seconds(15), seconds(10), seconds(2))));
        assert!(
            times(&[
                "--lease-duration=2s",
                "--lease-renew-deadline=1s",
                "--lease-retry-period=250ms"
            ])
            .is_ok()
        );
        for (wrong, said) in [
            (&["--lease-duration=1s"][..], "from 2s to 1h"),
            (&["--lease-duration=2h"], "from 2s to 1h"),
            (&["--lease-duration=15.5s"], "whole seconds"),
            (
                &["--lease-duration=10s"],
                "must be shorter than --lease-duration 10s",
            ),
            (
                &["--lease-retry-period=6s"],
                "at most half of --lease-renew-deadline 10s",
            ),
            (&["--lease-retry-period=10ms"], "at least 100ms"),
        ] {
            let message = times(wrong).unwrap_err();
            assert!(message.contains(said), "{wrong:?}: {message}");
        }
    }

    #[test]
    fn out_of_bounds_is_wrong_usage() {
        for wrong in [
            &["ordain", "run", "--workers", "0"][..],
            &["ordain", "run", "--workers", "2000"],
            &["ordain", "run", "--write-manifests", "x"],
            &["ordain", "run", "--manifests", "x", "--context", "y"],
            &["ordain", "check"],
            &["ordain"],
            &["ordain", "plan", "--now", "tomorrow"],
            &["ordain", "ready", "localhost"],
            &["ordain", "ready", "--timeout", "soon"],
            &["ordain", "run", "--once", "--leader-election"],
            &["ordain", "run", "--manifests", "x", "--leader-election"],
            &["ordain", "run", "--lease-duration", "soon"],
            &["ordain", "rbac", "--name", "Ordain"],
            &["ordain", "rbac", "--service-account", "a b"],
            &["ordain", "rbac", "--check", "--manifests", "x"],
        ] {
            let error = Arguments::try_parse_from(wrong).unwrap_err();
            assert_eq!(error.exit_code(), 2, "{wrong:?}: {error}");
        }
    }
}
