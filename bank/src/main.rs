//! `strife-bank`: one bank's daemon. `main` only wires.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

/// One bank of a Strife network.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// The bank's settings.
    #[arg(long)]
    config: PathBuf,
}

fn main() -> ExitCode {
    match strife_bank::run::daemon(&Arguments::parse().config) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("strife-bank: {error:#}");
            ExitCode::FAILURE
        }
    }
}
