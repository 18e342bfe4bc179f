//! `strife-gateway`: one gateway's daemon. `main` only wires.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

/// One gateway of a Strife network.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// The gateway's settings.
    #[arg(long)]
    config: PathBuf,
}

fn main() -> ExitCode {
    match strife_gateway::run::daemon(&Arguments::parse().config) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("strife-gateway: {error:#}");
            ExitCode::FAILURE
        }
    }
}
