//! The log: on standard error, text on a terminal, else one JSON object a line.

use crate::settings::{LogFormat, LogOptions};
use std::io::IsTerminal;
use tracing_subscriber::EnvFilter;

/// kube-client logs whole bodies that it cannot read, Secrets included.
const QUIET: &str = "kube_client=error,hyper_util=warn,rustls=warn,tower=warn";

/// Starts the log. `level` is the one of this command where the options say the default, so that a command whose result is the point stays quiet.
///
/// # Errors
/// A filter that cannot be read.
pub fn start(options: &LogOptions, level: &str) -> anyhow::Result<()> {
    let wanted = if options.log_level == "info" {
        level
    } else {
        options.log_level.as_str()
    };
    let filter = EnvFilter::try_new(format!("{wanted},{QUIET}"))
        .map_err(|e| anyhow::anyhow!("--log-level {}: {e}", options.log_level))?;
    let terminal = std::io::stderr().is_terminal();
    let text = match options.log_format {
        Some(format) => format == LogFormat::Text,
        None => terminal,
    };
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_target(false);
    // A second start in one process (tests) leaves the first as it is.
    let _ = if text {
        builder.with_ansi(terminal).compact().try_init()
    } else {
        builder
            .json()
            .flatten_event(true)
            .with_current_span(false)
            .with_span_list(false)
            .try_init()
    };
    Ok(())
}
