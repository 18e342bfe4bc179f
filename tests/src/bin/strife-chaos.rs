//! Chaos on real processes for as long as one likes: rounds with networks of their own, one seed after the other.
//! The daemons are this very program, run again with the demo's arguments.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;
use strife_tests::chaos::{Counts, run};
use strife_tests::network::is_demo_call;

/// How long each round has faults, in seconds.
const ROUND_SECONDS: u64 = 30;

/// Kills, stands still and cuts off daemons under load, and judges what comes of it.
#[derive(Debug, Parser)]
struct Arguments {
    /// How long; at least one round is run.
    #[arg(long, default_value_t = 10)]
    minutes: u64,
    /// The first round's seed; each further round takes the next.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

fn main() -> ExitCode {
    if is_demo_call() {
        return strife_demo::main();
    }
    let arguments = Arguments::parse();
    let program = match std::env::current_exe() {
        Ok(program) => program.display().to_string(),
        Err(error) => {
            eprintln!("strife-chaos: {error}");
            return ExitCode::FAILURE;
        }
    };
    let begun = Instant::now();
    let mut sum = Counts::default();
    let mut rounds = 0;
    loop {
        let seed = arguments.seed + rounds;
        let wrong = match round(&program, seed) {
            Ok((counts, wrong)) => {
                println!("seed {seed}: {counts}");
                sum = sum.plus(counts);
                wrong
            }
            Err(why) => vec![why],
        };
        rounds += 1;
        if !wrong.is_empty() {
            return failed(seed, &wrong);
        }
        if begun.elapsed() >= Duration::from_secs(60 * arguments.minutes) {
            break;
        }
    }
    println!("{rounds} rounds in {} s: {sum}", begun.elapsed().as_secs());
    ExitCode::SUCCESS
}

/// One round; a step of it that fails is said like a violation.
fn round(program: &str, seed: u64) -> Result<strife_tests::chaos::Verdicts, String> {
    let program = program.to_owned();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| error.to_string())?.block_on(async {
        let run = async move { run(&program, seed, Duration::from_secs(ROUND_SECONDS)).await };
        tokio::spawn(run).await.map_err(|error| format!("a step of the round failed: {error}"))
    })
}

fn failed(seed: u64, wrong: &[String]) -> ExitCode {
    println!("seed {seed} fails:");
    for wrong in wrong.iter().take(20) {
        println!("  {wrong}");
    }
    let profile = if cfg!(debug_assertions) { "" } else { "--release " };
    println!(
        "to repeat it: cargo run {profile}-p strife-tests --bin strife-chaos -- --minutes 0 --seed {seed}"
    );
    ExitCode::FAILURE
}
