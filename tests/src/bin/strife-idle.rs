//! How much of a core the client takes while nobody does anything: signed in, the live stream open, a real network
//! behind it. Fails at half a percent or more.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;
use strife_tests::customer::Customer;
use strife_tests::network::{TestNetwork, is_demo_call};

/// What it may take at most, in thousandths of a percent of one core.
const SHARE_MAX: u64 = 500;

/// Measures the client at rest.
#[derive(Debug, Parser)]
struct Arguments {
    /// For how long.
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..))]
    seconds: u64,
}

fn main() -> ExitCode {
    if is_demo_call() {
        return strife_demo::main();
    }
    let arguments = Arguments::parse();
    let program = match std::env::current_exe() {
        Ok(program) => program.display().to_string(),
        Err(error) => return failed(&error.to_string()),
    };
    let network = TestNetwork::start(&program, 1);
    let customer = Customer::at(&network);
    customer.sign_in("user1");
    let pid = customer.terminal.pid();
    let (Some(before), began) = (cpu_ms(pid), Instant::now()) else {
        return failed("this machine does not say what a process uses (/proc)");
    };
    std::thread::sleep(Duration::from_secs(arguments.seconds));
    let Some(after) = cpu_ms(pid) else { return failed("the client has ended") };
    let elapsed_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    let text = customer.terminal.text();
    if !text.contains("● live") {
        return failed(&format!("the client is not live any more:\n{text}"));
    }
    let used_ms = after - before;
    let share = used_ms * 100_000 / elapsed_ms;
    println!(
        "at rest for {} s the client used {used_ms} ms of CPU: {}.{:03} % of one core",
        elapsed_ms / 1_000,
        share / 1_000,
        share % 1_000
    );
    if share < SHARE_MAX {
        ExitCode::SUCCESS
    } else {
        failed(&format!("that is not under {}.{:03} %", SHARE_MAX / 1_000, SHARE_MAX % 1_000))
    }
}

fn failed(why: &str) -> ExitCode {
    eprintln!("strife-idle: {why}");
    ExitCode::FAILURE
}

/// What a process has used of all cores, in milliseconds: in user mode and in the kernel, by all its threads.
fn cpu_ms(pid: u32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // the name before it may hold blanks; then state is the third field, and these the 14th and 15th
    let mut fields = stat.rsplit_once(") ")?.1.split(' ').skip(11);
    let ticks: u64 = fields.next()?.parse::<u64>().ok()? + fields.next()?.parse::<u64>().ok()?;
    Some(ticks * 1_000 / rustix::param::clock_ticks_per_second())
}
