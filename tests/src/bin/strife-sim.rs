//! Simulates whole networks, one for each seed, until one fails or none is left.

use std::process::ExitCode;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use clap::Parser;
use strife_faults::Bug;
use strife_tests::auditor::Judged;
use strife_tests::sim::{Counts, Failure, Run, Seeds, simulate};

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
    /// Threads; as many as there are cores unless told.
    #[arg(long)]
    threads: Option<usize>,
    /// Plant a bug: the simulation should fail.
    #[arg(long, value_parser = |name: &str| Bug::from_name(name).ok_or("no such bug"))]
    planted: Option<Bug>,
}

/// What all seeds came to.
#[derive(Debug, Default)]
struct Sum {
    seeds: u64,
    judged: Judged,
    faults: usize,
    crashes: usize,
    entries: usize,
    syncs: u64,
    simulated_ms: u64,
    failure: Option<Failure>,
}

impl Sum {
    fn add(&mut self, counts: &Counts) {
        self.seeds += 1;
        self.judged = self.judged.plus(counts.judged);
        self.faults += counts.faults;
        self.crashes += counts.crashes;
        self.entries += counts.entries;
        self.syncs += counts.syncs;
        self.simulated_ms += counts.simulated_ms;
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if arguments.planted.is_some() && !strife_faults::PLANTABLE {
        eprintln!("this build has no bugs to plant; build it without --release");
        return ExitCode::from(2);
    }
    strife_faults::plant(arguments.planted);
    if let Some(seed) = arguments.seed {
        return show(seed);
    }
    let threads =
        arguments.threads.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from));
    let seeds = Seeds::new(arguments.from..arguments.from.saturating_add(arguments.seeds));
    let sum = Mutex::new(Sum::default());
    let begun = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some(seed) = seeds.take() {
                    let result = one(seed, arguments.twice);
                    let mut sum = sum.lock().unwrap_or_else(PoisonError::into_inner);
                    match result {
                        Ok(counts) => sum.add(&counts),
                        Err(failure) => {
                            seeds.stop();
                            sum.failure.get_or_insert(*failure);
                        }
                    }
                    if sum.seeds % 500 == 0 && sum.failure.is_none() {
                        eprintln!("{} seeds in {} s", sum.seeds, begun.elapsed().as_secs());
                    }
                }
            });
        }
    });
    let sum = sum.into_inner().unwrap_or_else(PoisonError::into_inner);
    println!(
        "{} seeds in {} s on {threads} threads: {} orders, {} replies and {} balances judged; {} posted, {} declined \
         ({} cancelled), {} that can never post; {} faults, {} crashes; {} journal entries, {} syncs; {} s simulated",
        sum.seeds,
        begun.elapsed().as_secs(),
        sum.judged.orders,
        sum.judged.replies,
        sum.judged.readings,
        sum.judged.posted,
        sum.judged.declined,
        sum.judged.cancelled,
        sum.judged.never,
        sum.faults,
        sum.crashes,
        sum.entries,
        sum.syncs,
        sum.simulated_ms / 1000,
    );
    match sum.failure {
        None => ExitCode::SUCCESS,
        Some(failure) => failed(&failure, arguments.planted),
    }
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

fn failed(failure: &Failure, planted: Option<Bug>) -> ExitCode {
    println!("seed {} fails:", failure.seed);
    for wrong in failure.wrong.iter().take(20) {
        println!("  {wrong}");
    }
    let profile = if cfg!(debug_assertions) { "" } else { "--release " };
    let planted = planted.map(|bug| format!(" --planted {}", bug.name())).unwrap_or_default();
    println!(
        "to repeat it: cargo run {profile}-p strife-tests --bin strife-sim -- --seed {}{planted}",
        failure.seed
    );
    ExitCode::FAILURE
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
