//! Flags to a command; nothing else.

use clap::Parser;
use ordain::cli;
use ordain::settings::Arguments;
use std::io::Write;
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match cli::run(arguments) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            // That nobody reads it is no reason to panic.
            let _ = writeln!(std::io::stderr(), "ordain: {error:#}");
            ExitCode::from(cli::exit::COULD_NOT_TELL)
        }
    }
}
