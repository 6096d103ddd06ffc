//! Flags to a command; nothing else.

use clap::Parser;
use ordain::cli;
use ordain::settings::Arguments;
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match cli::run(arguments) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("ordain: {error:#}");
            ExitCode::from(cli::exit::COULD_NOT_TELL)
        }
    }
}
