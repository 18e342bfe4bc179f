//! `strife-bank`: one bank's daemon, and what can be asked of its folders while it is stopped. `main` only wires.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};
use strife_bank::reconcile::reconcile;
use strife_bank::verify::folder;
use strife_pages::Pages;

/// One bank of a Strife network.
#[derive(Parser)]
#[command(
    name = "strife-bank",
    version,
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true
)]
struct Arguments {
    /// The bank's settings.
    #[arg(long, required = true)]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Reads everything in the data folder of a stopped bank, or of a copy, and names what is wrong.
    ///
    /// Ends with 0 if all is well, 1 if something is wrong, 2 if it cannot be read.
    Verify {
        /// The data folder.
        #[arg(long)]
        data: PathBuf,
        /// For programs.
        #[arg(long)]
        json: bool,
    },
    /// Compares what two stopped banks, or copies of their folders, owe each other, and names the transfers on which
    /// they differ.
    ///
    /// Ends with 0 if they agree, 1 if they differ, 2 if that cannot be read.
    Reconcile {
        /// The two data folders: `--data A --data B`.
        #[arg(long, required = true, num_args = 1)]
        data: Vec<PathBuf>,
        /// For programs.
        #[arg(long)]
        json: bool,
    },
    #[command(flatten)]
    Pages(Pages),
}

/// Something is wrong.
const FAULTS: u8 = 1;
/// Nothing can be said.
const UNREADABLE: u8 = 2;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match (arguments.command, arguments.config) {
        (Some(Command::Verify { data, json }), _) => match folder::verify(&data) {
            Ok(report) => tell(&report, json, report.is_clean()),
            Err(error) => unreadable(&error),
        },
        (Some(Command::Reconcile { data, json }), _) => match data.as_slice() {
            [a, b] => match reconcile(a, b) {
                Ok(found) => tell(&found, json, found.is_clean()),
                Err(error) => unreadable(&error),
            },
            _ => unreadable(&"two folders are compared: --data A --data B"),
        },
        (Some(Command::Pages(pages)), _) => match pages.write(Arguments::command()) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("strife-bank: {error}");
                ExitCode::FAILURE
            }
        },
        (None, config) => match strife_bank::run::daemon(&config.unwrap_or_default()) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("strife-bank: {error:#}");
                ExitCode::FAILURE
            }
        },
    }
}

fn tell(report: &(impl serde::Serialize + std::fmt::Display), json: bool, clean: bool) -> ExitCode {
    match serde_json::to_string_pretty(report) {
        Ok(text) if json => println!("{text}"),
        Err(error) if json => return unreadable(&error),
        _ => println!("{report}"),
    }
    if clean { ExitCode::SUCCESS } else { ExitCode::from(FAULTS) }
}

fn unreadable(error: &dyn std::fmt::Display) -> ExitCode {
    eprintln!("strife-bank: {error}");
    ExitCode::from(UNREADABLE)
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
