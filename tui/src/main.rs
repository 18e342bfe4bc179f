//! `strife`: the client. `main` only wires.

use std::process::ExitCode;

use clap::Parser;
use strife_tui::cli::{Arguments, FAILED, run};

fn main() -> ExitCode {
    strife_client::install_provider();
    run(Arguments::parse()).unwrap_or_else(|error| {
        eprintln!("strife: {error:#}");
        ExitCode::from(FAILED)
    })
}
