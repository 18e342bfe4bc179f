//! A whole network on one machine, with real processes: the daemons are this very program, run again with
//! another first argument.
//!
//! [`layout`] makes certificates and settings; [`processes`] starts, kills and stops daemons; [`seed`] makes
//! the sample people and their money, through the banks' own doors; [`headless`] runs without a screen;
//! [`control`] lets another process kill and start daemons. What must never: a bank's journal or
//! balances touched from here.

pub mod admin;
pub mod control;
pub mod headless;
pub mod layout;
pub mod network;
pub mod processes;
pub mod screen;
pub mod seed;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// First argument of the process that is a bank.
pub const BANK_ARGUMENT: &str = "run-bank";
/// First argument of the process that is a gateway.
pub const GATEWAY_ARGUMENT: &str = "run-gateway";

/// A whole Strife network on this machine: two banks, a gateway, sample people, and the client.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// Where the network lives; by default in your data directory.
    #[arg(long, global = true)]
    data_dir: Option<PathBuf>,
    /// No screen: print one JSON line when all are ready, and run until SIGTERM or SIGINT.
    #[arg(long)]
    headless: bool,
    /// Use ports from this one on; otherwise free ones.
    #[arg(long)]
    port_base: Option<u16>,
    /// How many gateways.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=9))]
    gateways: u8,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Kill (-9) a process of a running demo: gateway1, Bank1 or Bank2.
    Kill { name: String },
    /// Start a killed process of a running demo again.
    Start { name: String },
    /// Show the processes of a running demo.
    Status,
    /// Throw the network away and begin anew at the next start.
    Reset {
        /// Yes, throw it away.
        #[arg(long)]
        yes: bool,
    },
    /// (Used by the demo itself.) Run a bank.
    #[command(name = BANK_ARGUMENT, hide = true)]
    Bank {
        #[arg(long)]
        config: PathBuf,
    },
    /// (Used by the demo itself.) Run a gateway.
    #[command(name = GATEWAY_ARGUMENT, hide = true)]
    Gateway {
        #[arg(long)]
        config: PathBuf,
    },
}

/// The whole program.
pub fn main() -> ExitCode {
    strife_client::install_provider();
    match run(Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("strife: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Arguments) -> anyhow::Result<()> {
    let data_dir = match arguments.data_dir {
        Some(dir) => dir,
        None => layout::usual_dir()?,
    };
    match arguments.command {
        Some(Command::Bank { config }) => strife_bank::run::daemon(&config),
        Some(Command::Gateway { config }) => strife_gateway::run::daemon(&config),
        Some(Command::Kill { name }) => control::ask(&data_dir, &format!("kill {name}")),
        Some(Command::Start { name }) => control::ask(&data_dir, &format!("start {name}")),
        Some(Command::Status) => control::ask(&data_dir, "status"),
        Some(Command::Reset { yes }) => layout::reset(&data_dir, yes),
        None if arguments.headless => {
            headless::run(&data_dir, arguments.port_base, arguments.gateways.into())
        }
        None => screen::run(&data_dir, arguments.port_base, arguments.gateways.into()),
    }
}
