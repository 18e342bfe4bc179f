//! Simulates whole networks, one for each seed, until one fails or none is left.

use std::process::{Command, ExitCode, Stdio};
use std::time::Instant;

use clap::Parser;
use serde::{Deserialize, Serialize};
use strife_faults::Bug;
use strife_tests::auditor::Judged;
use strife_tests::sim::{Counts, Failure, Run, simulate};

/// Simulates whole networks, one for each seed.
#[derive(Debug, Parser)]
struct Arguments {
    /// How many seeds.
    #[arg(long, default_value_t = 100)]
    seeds: u64,
    /// The first seed.
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// This seed alone, with its whole trace.
    #[arg(long, conflicts_with_all = ["seeds", "from"])]
    seed: Option<u64>,
    /// Simulate each seed twice and compare the traces.
    #[arg(long)]
    twice: bool,
    /// Processes; as many as there are cores unless told.
    #[arg(long)]
    processes: Option<usize>,
    /// A process's share: every so many seeds.
    #[arg(long, default_value_t = 1, hide = true)]
    step: u64,
    /// Simulates in this very process and prints what it came to as JSON.
    #[arg(long, hide = true)]
    share: bool,
    /// Plant a bug: the simulation should fail.
    #[arg(long, value_parser = |name: &str| Bug::from_name(name).ok_or("no such bug"))]
    planted: Option<Bug>,
}

/// What all seeds came to.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Sum {
    seeds: u64,
    judged: Judged,
    faults: usize,
    crashes: usize,
    entries: usize,
    syncs: u64,
    simulated_ms: u64,
    /// The first seed that failed, and why.
    failure: Option<(u64, Vec<String>)>,
}

impl Sum {
    fn add(&mut self, counts: &Counts) {
        self.plus(Sum {
            seeds: 1,
            judged: counts.judged,
            faults: counts.faults,
            crashes: counts.crashes,
            entries: counts.entries,
            syncs: counts.syncs,
            simulated_ms: counts.simulated_ms,
            failure: None,
        });
    }

    fn plus(&mut self, other: Sum) {
        self.seeds += other.seeds;
        self.judged = self.judged.plus(other.judged);
        self.faults += other.faults;
        self.crashes += other.crashes;
        self.entries += other.entries;
        self.syncs += other.syncs;
        self.simulated_ms += other.simulated_ms;
        if self.failure.is_none() {
            self.failure = other.failure;
        }
    }
}

fn main() -> anyhow::Result<ExitCode> {
    let arguments = Arguments::parse();
    if arguments.planted.is_some() && !strife_faults::PLANTABLE {
        eprintln!("this build has no bugs to plant; build it without --release");
        return Ok(ExitCode::from(2));
    }
    strife_faults::plant(arguments.planted);
    match (arguments.seed, arguments.twice) {
        (Some(seed), false) => return Ok(show(seed)),
        (Some(seed), true) => return Ok(compare(seed)),
        (None, _) => {}
    }
    if arguments.share {
        let sum = simulate_all(&arguments);
        println!("{}", serde_json::to_string(&sum)?);
        return Ok(ExitCode::SUCCESS);
    }
    let processes =
        arguments.processes.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from));
    let begun = Instant::now();
    let sum = share_out(&arguments, processes as u64)?;
    println!(
        "{} seeds in {} s by {processes} processes: {} orders, {} replies and {} balances judged; {} posted, {} declined \
         ({} cancelled), {} that can never post, {} refunded \
         and {} refunds declined; {} faults, {} crashes; {} journal entries, {} syncs; {} s simulated",
        sum.seeds,
        begun.elapsed().as_secs(),
        sum.judged.orders,
        sum.judged.replies,
        sum.judged.readings,
        sum.judged.posted,
        sum.judged.declined,
        sum.judged.cancelled,
        sum.judged.never,
        sum.judged.refunds,
        sum.judged.refunds_declined,
        sum.faults,
        sum.crashes,
        sum.entries,
        sum.syncs,
        sum.simulated_ms / 1000,
    );
    Ok(match sum.failure {
        None => ExitCode::SUCCESS,
        Some((seed, wrong)) => failed(seed, &wrong, arguments.planted),
    })
}

/// Gives each process a share of the seeds. Processes, not threads: tokio numbers its tasks for a whole process, and
/// a trace depends on these numbers.
fn share_out(arguments: &Arguments, processes: u64) -> anyhow::Result<Sum> {
    let mut children = Vec::new();
    for process in 0..processes {
        let mut command = Command::new(std::env::current_exe()?);
        let from = arguments.from.saturating_add(process);
        command.args(["--share", "--from", &from.to_string(), "--step", &processes.to_string()]);
        command.args([
            "--seeds",
            &(arguments.seeds + processes - 1 - process).div_euclid(processes).to_string(),
        ]);
        command.args(arguments.twice.then_some("--twice"));
        command.args(arguments.planted.iter().flat_map(|bug| ["--planted", bug.name()]));
        children.push(command.stdout(Stdio::piped()).spawn()?);
    }
    let mut sum = Sum::default();
    for child in children {
        let output = child.wait_with_output()?;
        anyhow::ensure!(output.status.success(), "a process ended early: {}", output.status);
        sum.plus(serde_json::from_slice(&output.stdout)?);
    }
    Ok(sum)
}

/// One process's share, until one fails.
fn simulate_all(arguments: &Arguments) -> Sum {
    let mut sum = Sum::default();
    for number in 0..arguments.seeds {
        match one(arguments.from + number * arguments.step, arguments.twice) {
            Ok(counts) => sum.add(&counts),
            Err(failure) => {
                sum.failure = Some((failure.seed, failure.wrong));
                break;
            }
        }
        if sum.seeds.is_multiple_of(500) {
            eprintln!("{} seeds by process {}", sum.seeds, std::process::id());
        }
    }
    sum
}

fn one(seed: u64, twice: bool) -> Result<Counts, Box<Failure>> {
    let counts = simulate(Run { seed, verbose: false })?;
    if twice {
        let again = simulate(Run { seed, verbose: false })?;
        if again != counts {
            let wrong = vec![format!("the same seed gave another trace: {counts:?} and {again:?}")];
            return Err(Box::new(Failure { seed, wrong, counts }));
        }
    }
    Ok(counts)
}

fn failed(seed: u64, wrong: &[String], planted: Option<Bug>) -> ExitCode {
    println!("seed {seed} fails:");
    // what an invariant names tells more than the balances that follow from it
    let named =
        |wrong: &&String| wrong.starts_with('I') && wrong[1..].starts_with(|c: char| c.is_ascii_digit());
    let (first, rest): (Vec<_>, Vec<_>) = wrong.iter().partition(named);
    for wrong in first.into_iter().chain(rest).take(20) {
        println!("  {wrong}");
    }
    let profile = if cfg!(debug_assertions) { "" } else { "--release " };
    let planted = planted.map(|bug| format!(" --planted {}", bug.name())).unwrap_or_default();
    println!("to repeat it: cargo run {profile}-p strife-tests --bin strife-sim -- --seed {seed}{planted}");
    ExitCode::FAILURE
}

/// One seed twice, and where the traces part.
fn compare(seed: u64) -> ExitCode {
    let trace = || {
        let counts = simulate(Run { seed, verbose: true }).unwrap_or_else(|failure| failure.counts);
        counts.trace.unwrap_or_default()
    };
    let (one, two) = (trace(), trace());
    let parted = one.lines().zip(two.lines()).enumerate().find(|(_, (one, two))| one != two);
    match parted {
        None if one == two => {
            println!("seed {seed}: the same {} lines twice", one.lines().count());
            ExitCode::SUCCESS
        }
        None => {
            println!("seed {seed}: one trace is longer than the other");
            ExitCode::FAILURE
        }
        Some((line, (one, two))) => {
            println!("seed {seed}: the traces part in line {line}:\n  {one}\n  {two}");
            ExitCode::FAILURE
        }
    }
}

/// One seed with its trace.
fn show(seed: u64) -> ExitCode {
    let (counts, wrong) = match simulate(Run { seed, verbose: true }) {
        Ok(counts) => (counts, Vec::new()),
        Err(failure) => (failure.counts, failure.wrong),
    };
    print!("{}", counts.trace.as_deref().unwrap_or_default());
    println!("{:?}", Counts { trace: None, ..counts });
    for wrong in &wrong {
        println!("WRONG {wrong}");
    }
    if wrong.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
