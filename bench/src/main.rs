//! `strife-bench`: how fast a network of real processes moves money, against the floors of the same machine in the
//! same run. It starts everything fresh, with the shipped defaults, and prints one JSON line for each kind of work.
//!
//! What must never: work that a server does in life left out of the timed window; a figure without its floor.

mod drive;
mod echo;
mod floor;
mod kernel;
mod people;
mod report;
mod world;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand, ValueEnum};

use crate::drive::drive;
use crate::floor::Floors;
use crate::people::People;
use crate::report::{Row, Table};
use crate::world::World;

/// How fast the network moves money, against the floors of this machine.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// The kind of work.
    #[arg(long, value_enum, default_value_t = Work::Interbank)]
    work: Work,
    /// Calls in flight.
    #[arg(long, default_value_t = 64)]
    in_flight: usize,
    /// How long the timed window lasts, in seconds.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// How many people sign in, each with a key of their own, half of them at each bank.
    #[arg(long, default_value_t = 1_000)]
    people: usize,
    /// Every row of the table of targets; exit code 1 if one is short.
    #[arg(long)]
    all: bool,
    /// Where the network's folder is made; on a disk, never on a tmpfs.
    #[arg(long, default_value = "target")]
    dir: PathBuf,
    #[command(subcommand)]
    part: Option<Part>,
}

/// A kind of work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Work {
    /// Payments from one bank to the other, everybody to everybody.
    Interbank,
    /// Payments inside one bank.
    SameBank,
    /// Reading one's balances.
    Balance,
    /// Reading the newest page of one's history.
    History,
    /// Payments from everybody to one account at the other bank.
    HotPayee,
    /// Payments from one account to everybody at the other bank.
    HotPayer,
}

impl Work {
    /// As the report names it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Work::Interbank => "interbank",
            Work::SameBank => "same-bank",
            Work::Balance => "balance",
            Work::History => "history",
            Work::HotPayee => "hot-payee",
            Work::HotPayer => "hot-payer",
        }
    }

    /// It moves money.
    pub(crate) fn pays(self) -> bool {
        !matches!(self, Work::Balance | Work::History)
    }
}

/// What this program is when it runs itself.
#[derive(Subcommand)]
enum Part {
    /// (Used by the bench itself.) Run a bank.
    #[command(name = "run-bank", hide = true)]
    Bank {
        #[arg(long)]
        config: PathBuf,
    },
    /// (Used by the bench itself.) Run a gateway.
    #[command(name = "run-gateway", hide = true)]
    Gateway {
        #[arg(long)]
        config: PathBuf,
    },
    /// (Used by the bench itself.) Run the bare echo.
    #[command(name = "run-echo", hide = true)]
    Echo {
        #[arg(long)]
        network: PathBuf,
        #[arg(long)]
        port: u16,
    },
}

fn main() -> ExitCode {
    strife_certs::tls::install_provider();
    match run(Arguments::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            eprintln!("strife-bench: {error:#}");
            ExitCode::from(2)
        }
    }
}

/// `false` where a row of the table is short.
fn run(arguments: Arguments) -> anyhow::Result<bool> {
    match arguments.part {
        Some(Part::Bank { config }) => return strife_bank::run::daemon(&config).map(|()| true),
        Some(Part::Gateway { config }) => return strife_gateway::run::daemon(&config).map(|()| true),
        Some(Part::Echo { network, port }) => return echo::serve(&network, port).map(|()| true),
        None => {}
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(bench(&arguments))
}

async fn bench(arguments: &Arguments) -> anyhow::Result<bool> {
    let window = Duration::from_secs(arguments.seconds);
    let world = World::start(&arguments.dir).await?;
    eprintln!("{} people sign in …", arguments.people);
    let people = People::sign_in(&world, arguments.people).await?;
    let floors = Floors::measure(&world, window).await?;
    if !arguments.all {
        let run = drive(&world, &people, arguments.work, arguments.in_flight, window).await?;
        println!("{}", serde_json::to_string(&run.against(&floors))?);
        return Ok(true);
    }
    let mut runs = Vec::new();
    for (work, in_flight) in Table::RUNS {
        let run = drive(&world, &people, work, in_flight, window).await?;
        println!("{}", serde_json::to_string(&run.against(&floors))?);
        runs.push(run);
    }
    let rows = Table::of(&runs, &floors);
    for row in &rows {
        eprintln!("{row}");
    }
    Ok(rows.iter().all(Row::passes))
}
