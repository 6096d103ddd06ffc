//! `ordain run`

use super::options::{ClusterOptions, LogOptions, OutputOptions, RuleOptions, TimeOptions};
use super::value::{namespace, object_name, span};
use clap::Args;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

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
    /// With --once: rules with a `schedule` act as if it were open. Without this, a moment (a schedule without `duration`) is due in the
    /// minute that it begins
    #[arg(long, env = "ORDAIN_IGNORE_SCHEDULE", value_parser = clap::builder::BoolishValueParser::new())]
    pub ignore_schedule: bool,
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
        default_value = "ordain-system",
        value_parser = namespace
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
    /// After the last write of a leader that was killed another replica writes within this time; whole seconds, 2s to 1h. The Lease is taken when it has stood as it is for two retry periods less, but not less than the renew deadline
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
