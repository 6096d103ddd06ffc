//! The log: on standard error, text on a terminal, else one JSON object a line. Its level can be changed while it runs.

use crate::settings::{LogFormat, LogOptions};
use parking_lot::Mutex;
use std::io::IsTerminal;
use std::sync::OnceLock;
use tracing_subscriber::EnvFilter;

/// kube-client logs whole bodies that it cannot read, Secrets included; and of each request that is not answered that it was not, without
/// saying which: whoever asked says so.
const QUIET: &str = "kube_client=off,hyper_util=warn,rustls=warn,tower=warn";
/// What is never made louder: see [`QUIET`].
const MUTED: &str = "kube_client";

/// A process has one log.
static LEVELS: OnceLock<Levels> = OnceLock::new();

struct Levels {
    /// As it was asked for.
    current: Mutex<String>,
    set: Box<dyn Fn(EnvFilter) -> Result<(), String> + Send + Sync>,
}

/// A filter as people write it, with what is always quiet.
fn read(filter: &str) -> Result<EnvFilter, String> {
    if filter.contains(MUTED) {
        return Err(format!(
            "{MUTED} stays as it is: it logs whole answers of the server, Secrets included"
        ));
    }
    EnvFilter::try_new(format!("{filter},{QUIET}")).map_err(|e| {
        format!(
            "{filter}: {e}; write a level (info) or levels of modules (info,ordain::engine=debug)"
        )
    })
}

/// The filter in force, as it was asked for; empty before the log was started.
pub fn level() -> String {
    LEVELS
        .get()
        .map_or_else(String::new, |levels| levels.current.lock().clone())
}

/// Puts another filter in force.
///
/// # Errors
/// A filter that cannot be read, or a log that was not started.
pub fn set_level(filter: &str) -> Result<(), String> {
    let read = read(filter)?;
    let levels = LEVELS.get().ok_or("the log was not started")?;
    let mut current = levels.current.lock();
    (levels.set)(read)?;
    filter.clone_into(&mut current);
    Ok(())
}

/// Starts the log. `level` is the one of this command where the options name none: a command whose result is the point stays quiet.
///
/// # Errors
/// A filter that cannot be read.
pub fn start(options: &LogOptions, level: &str) -> anyhow::Result<()> {
    let wanted = options.log_level.as_deref().unwrap_or(level);
    let filter = read(wanted).map_err(|e| anyhow::anyhow!("--log-level {e}"))?;
    let terminal = std::io::stderr().is_terminal();
    let text = match options.log_format {
        Some(format) => format == LogFormat::Text,
        None => terminal,
    };
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_target(false);
    type Set = Box<dyn Fn(EnvFilter) -> Result<(), String> + Send + Sync>;
    // A second start in one process (tests) leaves the first as it is.
    let set: Set = if text {
        let builder = builder
            .with_ansi(terminal)
            .compact()
            .with_filter_reloading();
        let handle = builder.reload_handle();
        let _ = builder.try_init();
        Box::new(move |filter| handle.reload(filter).map_err(|e| e.to_string()))
    } else {
        let builder = builder
            .json()
            .flatten_event(true)
            .with_current_span(false)
            .with_span_list(false)
            .with_filter_reloading();
        let handle = builder.reload_handle();
        let _ = builder.try_init();
        Box::new(move |filter| handle.reload(filter).map_err(|e| e.to_string()))
    };
    let _ = LEVELS.set(Levels {
        current: Mutex::new(wanted.to_owned()),
        set,
    });
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn filters_are_read_and_what_would_log_secrets_is_refused() {
        for good in ["info", "info,ordain::engine=debug", "off"] {
            assert!(read(good).is_ok(), "{good}");
        }
        for bad in [
            "info,kube_client=trace",
            "kube_client::client=debug",
            "ordain=loud",
        ] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
