//! `strife-demo`: what `cargo run` opens.

use std::process::ExitCode;

fn main() -> ExitCode {
    strife_demo::main()
}
