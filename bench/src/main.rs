//! `strife-bench`: how fast a network of real processes moves money, against the floors of the same machine in the
//! same run. It starts everything fresh, with the shipped defaults, and prints one JSON line for each kind of work on
//! standard output; the table of targets and what it is doing go to standard error.
//!
//! What must never: work that a server does in life left out of the timed window; a figure without its floor.

mod drive;
mod echo;
mod floor;
mod kernel;
mod meter;
mod orders;
mod people;
mod ratio;
mod report;
mod rounds;
mod settings;
mod slice;
mod table;
mod timed;
mod world;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand, ValueEnum};

use crate::people::People;
use crate::rounds::{Load, Rig};
use crate::settings::ReadBack;
use crate::table::Row;
use crate::world::World;

/// With this variable set to 1, what cannot be measured on this machine is a failure.
const REQUIRE: &str = "STRIFE_REQUIRE_SERVICES";

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
    /// How long each kind of work is timed, all rounds together, in seconds.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// In how many slices, between which the floors and the other kinds take theirs.
    #[arg(long, default_value_t = 5)]
    rounds: u32,
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
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
    let rounds = arguments.rounds.max(1);
    let window = Duration::from_secs(arguments.seconds) / rounds;
    let world = World::start(&arguments.dir, 2, async |_| Ok(())).await?;
    let filesystem = kernel::filesystem(&world.dir)?;
    eprintln!("{} people sign in …", arguments.people);
    let people = People::sign_in(&world, arguments.people).await?;
    let read_back = ReadBack::of(&world, &people).await?;
    let mut rig = Rig::new(world, people)?;
    let loads = if arguments.all { table::loads() } else { alone(arguments.work, arguments.in_flight) };
    let measured = rig.measure(&loads, rounds, window).await?;
    for load in &loads {
        if let Load::Work(work, calls) = *load {
            let line = report::line(&measured, (work, calls), &read_back, &filesystem);
            println!("{}", serde_json::to_string(&line)?);
        }
    }
    if !arguments.all {
        return Ok(true);
    }
    Ok(show(&table::rows(&measured)))
}

/// One kind of work with its floors.
fn alone(work: Work, calls: usize) -> Vec<Load> {
    let mut loads = vec![Load::Echo(1), Load::Append, Load::Work(work, calls)];
    if calls != 1 {
        loads.push(Load::Echo(calls));
    }
    loads
}

/// Prints the table; `false` if a row is short, or could not be measured where everything must be.
fn show(rows: &[Row]) -> bool {
    for row in rows {
        eprintln!("{row}");
    }
    let required = std::env::var(REQUIRE).as_deref() == Ok("1");
    !rows.iter().any(|row| row.is_short() || required && row.is_skipped())
}
