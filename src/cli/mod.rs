//! The commands, one file each. What they print on standard output is the result; everything else goes to standard error.
//!
//! | file | what several commands share |
//! | --- | --- |
//! | `pass` | one pass over everything, of manifests or of a cluster: `plan`, `explain`, `run --once` |
//! | `tally` | what came of a pass: changes, findings, the summary, the exit code |
//! | `output` | text, JSON and YAML on standard output; colour; progress |
//! | `runtime` | threads, signals, the way to the cluster |
//! | `ask` | one request to a running daemon |

mod ask;
mod check;
mod explain;
mod output;
mod pass;
mod plan;
mod rbac;
mod ready;
mod run;
mod runtime;
mod schema;
mod tally;
mod test;

use crate::settings::{self, Arguments, Command};
use clap::CommandFactory;

/// Exit codes; scripts rely on them.
pub mod exit {
    /// Done, or good, or nothing to do.
    pub const DONE: u8 = 0;
    /// `check`: problems; `plan`: changes; `test`: some fail; `explain`: would not act; `rbac`: problems, or rights that are missing.
    pub const FOUND: u8 = 1;
    /// Wrong usage.
    pub const USAGE: u8 = 2;
    /// `plan`, `explain`: could not tell; `run --once`: something was refused, stopped or undecided; `rbac --check`: the server did not answer.
    pub const COULD_NOT_TELL: u8 = 3;
}

/// Runs a command; the answer is the exit code.
///
/// # Errors
/// What kept the command from doing its work: [`exit::COULD_NOT_TELL`].
pub fn run(arguments: Arguments) -> anyhow::Result<u8> {
    let variables = std::env::vars_os().map(|(name, _)| name.to_string_lossy().into_owned());
    if let Some(message) = settings::misspelt_variable(variables) {
        return Ok(usage(&message));
    }
    match arguments.command {
        Command::Check(settings) => check::run(&settings),
        Command::Plan(settings) => plan::run(&settings),
        Command::Explain(settings) => explain::run(&settings),
        Command::Test(settings) => test::run(&settings),
        Command::Rbac(settings) => rbac::run(&settings),
        Command::Run(settings) => run::run(&settings),
        Command::Schema => schema::run(),
        Command::Ready(settings) => ready::run(&settings),
        Command::Completions { shell } => {
            let mut script = vec![];
            clap_complete::generate(shell, &mut Arguments::command(), "ordain", &mut script);
            output::print(&String::from_utf8_lossy(&script))?;
            Ok(exit::DONE)
        }
    }
}

/// Wrong usage that the command line's own parser cannot see: says it as the parser would.
fn usage(message: &str) -> u8 {
    output::say!("error: {message}\n\nFor more information, try '--help'.");
    exit::USAGE
}
