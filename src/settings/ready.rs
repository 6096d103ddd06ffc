//! `ordain ready`

use super::value::{host_and_port, span};
use clap::Args;
use std::time::Duration;

/// `ordain ready`
#[derive(Args, Clone, Debug)]
pub struct ReadySettings {
    /// Where it listens: HOST:PORT
    #[arg(value_name = "ADDRESS", default_value = "127.0.0.1:9464", value_parser = host_and_port)]
    pub address: String,
    /// How long to wait for it to become ready: `30s`, `2m`
    #[arg(long, value_name = "TIME", env = "ORDAIN_TIMEOUT", default_value = "0s", value_parser = span)]
    pub timeout: Duration,
}
