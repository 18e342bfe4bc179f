//! `strife-bench`: how fast a network of real processes moves money, against the floors of the same machine in the
//! same run. It starts everything fresh, with the shipped defaults, and prints one JSON line for each kind of work on
//! standard output; the table of targets and what it is doing go to standard error.
//!
//! What must never: work that a server does in life left out of the timed window; a figure without its floor.

mod bulk;
mod drive;
mod echo;
mod floor;
mod growth;
mod kernel;
mod meter;
mod orders;
mod overload;
mod people;
mod postgres;
mod ratio;
mod report;
mod rounds;
mod settings;
mod slice;
mod table;
mod timed;
mod world;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand, ValueEnum};

use crate::growth::{Fill, Sizes};
use crate::people::People;
use crate::postgres::{Binaries, Peer};
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
    #[arg(long, group = "form")]
    all: bool,
    /// Also a peer, with as many in flight, and the row that compares both; the work is `interbank`.
    #[arg(long, value_enum, conflicts_with = "form")]
    peer: Option<PeerKind>,
    /// The peak, and a load of four times as much.
    #[arg(long, group = "form")]
    overload: bool,
    /// What a transfer and a page of history cost where there is more of everything.
    #[arg(long, group = "form")]
    growth: bool,
    #[command(flatten)]
    sizes: Sizes,
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
    /// The same over one stream, of which so many are not answered.
    Bulk,
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
            Work::Bulk => "bulk",
        }
    }

    /// It moves money.
    pub(crate) fn pays(self) -> bool {
        !matches!(self, Work::Balance | Work::History)
    }
}

/// What the network is measured beside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum PeerKind {
    /// Two PostgreSQL clusters with two-phase commit, started from what is installed here.
    Postgres,
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
    /// (Used by the bench itself.) Fill a bank's data folder.
    #[command(name = "run-maker", hide = true)]
    Maker {
        #[arg(long)]
        bank: String,
        #[arg(long)]
        data: PathBuf,
        #[arg(long)]
        keys: PathBuf,
        #[arg(long)]
        list: PathBuf,
        #[command(flatten)]
        fill: Fill,
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
        Some(Part::Maker { bank, data, keys, list, fill }) => {
            return growth::fill(&data, &keys, &bank, fill, &list).map(|()| true);
        }
        None => {}
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(bench(&arguments))
}

async fn bench(arguments: &Arguments) -> anyhow::Result<bool> {
    let rounds = arguments.rounds.max(1);
    let window = Duration::from_secs(arguments.seconds) / rounds;
    if arguments.growth {
        return Ok(show(
            &growth::growth(&arguments.dir, arguments.people, rounds, window, arguments.sizes).await?,
        ));
    }
    let world = World::start(&arguments.dir, 2, async |_| Ok(())).await?;
    let filesystem = kernel::filesystem(&world.dir)?;
    eprintln!("{} people sign in …", arguments.people);
    let people = People::sign_in(&world, arguments.people).await?;
    let read_back = ReadBack::of(&world, &people).await?;
    let mut rig = Rig::new(world, people)?;
    if arguments.overload {
        return Ok(show(&overload::overload(&mut rig, rounds, window).await?));
    }

    let in_flight = if arguments.all { table::BESIDE_PEER } else { arguments.in_flight };
    let wants_peer = arguments.all || arguments.peer.is_some();
    let (peer, missing) =
        if wants_peer { start_peer(&arguments.dir, in_flight).await? } else { (None, None) };
    let loads = if arguments.all {
        table::loads(peer.is_some())
    } else {
        let work = if wants_peer { Work::Interbank } else { arguments.work };
        alone(work, in_flight, peer.is_some())
    };
    let measured = rig.beside(peer).measure(&loads, rounds, window).await?;
    for line in loads.iter().filter_map(|load| report::line(&measured, *load, &read_back, &filesystem)) {
        println!("{}", serde_json::to_string(&line)?);
    }
    Ok(match (arguments.all, wants_peer) {
        (true, _) => show(&table::rows(&measured, missing.as_deref())),
        (false, true) => show(&[table::peer(&measured, in_flight, missing.as_deref())]),
        (false, false) => true,
    })
}

/// Starts the peer; where it is not installed, says so loudly, and says why.
async fn start_peer(dir: &Path, pairs: usize) -> anyhow::Result<(Option<Peer>, Option<String>)> {
    match Binaries::find() {
        Ok(binaries) => Ok((Some(Peer::start(&binaries, dir, pairs).await?), None)),
        Err(missing) => {
            eprintln!("skipped: {missing}");
            Ok((None, Some(missing.to_string())))
        }
    }
}

/// One kind of work with its floors.
fn alone(work: Work, calls: usize, with_peer: bool) -> Vec<Load> {
    let work = Load::Work(work, calls);
    let mut loads = vec![Load::Echo(1), Load::Append, work];
    if work.echo() != Load::Echo(1) {
        loads.push(work.echo());
    }
    if with_peer {
        loads.push(Load::Postgres(calls));
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
