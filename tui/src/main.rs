//! `strife`: the client. `main` only wires.

use std::process::ExitCode;

fn main() -> ExitCode {
    strife_tui::cli::main()
}
