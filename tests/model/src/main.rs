//! `strife-model`: checks the commit protocol, one line for each scenario.

use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, ValueEnum};
use strife_faults::{Bug, PLANTABLE, plant};
use strife_model::{MODELLED, Report, Scenario, Size, check, scenarios};

/// Visits every state of the commit protocol's scenarios and checks its invariants in each.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// How far each scenario goes.
    #[arg(long, value_enum, default_value = "small")]
    size: Bounds,
    /// Only this scenario.
    #[arg(long)]
    scenario: Option<String>,
    /// Plants a bug first, to see it caught.
    #[arg(long)]
    planted: Option<String>,
    /// Threads.
    #[arg(long, default_value_t = 2)]
    threads: usize,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Bounds {
    /// Seconds.
    Small,
    /// Minutes, in a release build.
    Large,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let size = match arguments.size {
        Bounds::Small => Size::Small,
        Bounds::Large => Size::Large,
    };
    if let Some(name) = &arguments.planted {
        let Some(bug) = Bug::from_name(name).filter(|bug| MODELLED.contains(bug)) else {
            let names: Vec<_> = MODELLED.iter().map(|bug| bug.name()).collect();
            eprintln!("the model has no bug {name}; it has {}", names.join(", "));
            return ExitCode::from(2);
        };
        if !PLANTABLE {
            eprintln!("nothing can be planted in this build: build without --release");
            return ExitCode::from(2);
        }
        plant(Some(bug));
    }
    let chosen: Vec<_> = scenarios()
        .iter()
        .filter(|scenario| arguments.scenario.as_ref().is_none_or(|name| name == scenario.name))
        .collect();
    if chosen.is_empty() {
        let names: Vec<_> = scenarios().iter().map(|scenario| scenario.name).collect();
        eprintln!("no such scenario; there are {}", names.join(", "));
        return ExitCode::from(2);
    }
    let (mut unique, mut generated, mut took) = (0, 0, Duration::ZERO);
    for scenario in chosen {
        let report = check(scenario, size, arguments.threads);
        println!(
            "{:<14} {:>10} states {:>11} generated {:>4} deep {:>8} {:>3} properties",
            scenario.name,
            report.unique_states,
            report.states,
            report.depth,
            seconds(report.took),
            report.properties.len(),
        );
        if !report.violations.is_empty() {
            tell(scenario, size, arguments.planted.as_deref(), &report);
            return ExitCode::FAILURE;
        }
        unique += report.unique_states;
        generated += report.states;
        took += report.took;
    }
    println!("{:<14} {unique:>10} states {generated:>11} generated {:>18}", "total", seconds(took));
    ExitCode::SUCCESS
}

fn seconds(took: Duration) -> String {
    format!("{}.{} s", took.as_secs(), took.subsec_millis() / 100)
}

fn tell(scenario: &Scenario, size: Size, planted: Option<&str>, report: &Report) {
    println!("\n{}: {}", scenario.name, scenario.description);
    for violation in &report.violations {
        if violation.path.is_empty() {
            println!("\nNOT REACHED, or violated before the first step: {}", violation.property);
            continue;
        }
        println!("\nVIOLATED: {}", violation.property);
        for (number, step) in (1..).zip(&violation.path) {
            println!("{number:>4}. {step}");
        }
    }
    let planted = planted.map(|bug| format!(" --planted {bug}")).unwrap_or_default();
    let release = if cfg!(debug_assertions) { "" } else { " --release" };
    println!(
        "\nagain: cargo run{release} -p strife-model -- --size {} --scenario {} --threads 1{planted}",
        size.name(),
        scenario.name,
    );
}
