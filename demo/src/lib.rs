//! A whole network on one machine, with real processes: the daemons are this very program, run again with
//! another first argument.
//!
//! [`layout`] makes certificates and settings; [`processes`] starts, stops, kills and freezes daemons; [`wires`]
//! connects them and cuts them off; [`seed`] makes the sample people and their money, through the banks' own doors;
//! [`headless`] runs without a screen; [`control`] lets another process do what the screen does; [`reset`] throws it
//! all away. What must never: a bank's journal or
//! balances touched from here.

pub mod admin;
pub mod control;
pub mod headless;
pub mod layout;
pub mod network;
pub mod processes;
pub mod reset;
pub mod screen;
pub mod seed;
pub mod stop;
pub mod wire;
pub mod wires;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use strife_tui::{Control, ProcessState};

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
    /// No screen: print one JSON line when all are ready, and run until SIGTERM, SIGINT or SIGHUP.
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
    /// Do something to a process of a running demo.
    Control {
        /// kill (-9), start, restart, freeze, thaw, cut-off or reconnect.
        #[arg(value_parser = control_of)]
        what: Control,
        /// gateway1, Bank1 or Bank2.
        process: String,
    },
    /// Open the client on a running demo, in a terminal of its own.
    Client,
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
        Some(Command::Bank { config }) => {
            processes::go_on_when_orphaned()?;
            strife_bank::run::daemon(&config)
        }
        Some(Command::Gateway { config }) => {
            processes::go_on_when_orphaned()?;
            strife_gateway::run::daemon(&config)
        }
        Some(Command::Kill { name }) => control(&data_dir, &name, Control::Kill),
        Some(Command::Start { name }) => control(&data_dir, &name, Control::Start),
        Some(Command::Control { what, process }) => control(&data_dir, &process, what),
        Some(Command::Client) => screen::join(&data_dir),
        Some(Command::Status) => status(&data_dir),
        Some(Command::Reset { yes }) => reset::reset(&data_dir, yes),
        None if arguments.headless => {
            headless::run(&data_dir, arguments.port_base, arguments.gateways.into())
        }
        None => screen::run(&data_dir, arguments.port_base, arguments.gateways.into()),
    }
}

fn control_of(word: &str) -> Result<Control, String> {
    Control::from_word(word)
        .ok_or_else(|| format!("say one of {}", Control::ALL.map(Control::word).join(", ")))
}

fn control(dir: &Path, name: &str, what: Control) -> anyhow::Result<()> {
    println!("{}", control::control(dir, name, what)?);
    Ok(())
}

fn status(dir: &Path) -> anyhow::Result<()> {
    for process in control::processes(dir)? {
        let pid = process.pid.map(|pid| format!(" (process {pid})")).unwrap_or_default();
        let last_words = match &process.state {
            ProcessState::Ended(last_words) => format!(": {last_words}"),
            _ => String::new(),
        };
        println!("{} {}{pid}{last_words}", process.name, process.state.words());
    }
    Ok(())
}
