//! `strife-gateway`: one gateway's daemon. `main` only wires.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{CommandFactory, Parser};
use strife_pages::Pages;

/// One gateway of a Strife network.
#[derive(Parser)]
#[command(
    name = "strife-gateway",
    version,
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true
)]
struct Arguments {
    /// The gateway's settings.
    #[arg(long, required = true)]
    config: Option<PathBuf>,
    #[command(subcommand)]
    pages: Option<Pages>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let done = match (arguments.pages, arguments.config) {
        (Some(pages), _) => pages.write(Arguments::command()).map_err(Into::into),
        (None, Some(config)) => strife_gateway::run::daemon(&config),
        // clap requires one of the two
        (None, None) => Ok(()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("strife-gateway: {error:#}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn completions_and_man_pages_name_every_subcommand() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(strife_pages::missing(&Arguments::command(), dir.path()).unwrap(), Vec::<String>::new());
    }
}
