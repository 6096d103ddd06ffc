//! `ordain check` and `ordain test`: files in, an answer out, no cluster.

use super::options::{KindOptions, OutputOptions, SelectOptions, TimeOptions};
use clap::Args;
use std::path::PathBuf;

/// `ordain check`
#[derive(Args, Clone, Debug)]
pub struct CheckSettings {
    /// Rule files, or folders read recursively; `-` is standard input
    #[arg(value_name = "PATH", required = true)]
    pub paths: Vec<PathBuf>,
    /// Which kinds are known.
    #[command(flatten)]
    pub kinds: KindOptions,
    /// Which of the rules, and with which parameters.
    #[command(flatten)]
    pub select: SelectOptions,
    /// How the result is printed.
    #[command(flatten)]
    pub output: OutputOptions,
}

/// `ordain test`
#[derive(Args, Clone, Debug)]
pub struct TestSettings {
    /// Test files, or folders read recursively
    #[arg(value_name = "PATH", required = true)]
    pub paths: Vec<PathBuf>,
    /// Which kinds are known.
    #[command(flatten)]
    pub kinds: KindOptions,
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
