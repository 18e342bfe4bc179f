//! The client as a binary of this package, so that its path is known to the tests that start it.

use std::process::ExitCode;

fn main() -> ExitCode {
    strife_tui::cli::main()
}
