//! The simulator's small form: a few seeds, the same one twice, and bugs planted to see it fail.
//! `docs/reliability.md` has the command of the long form.

#![allow(clippy::unwrap_used)] // a failed step of a test is a failed test

use std::process::Command;

use strife_tests::auditor::Judged;
use strife_tests::sim::{Counts, Run, simulate};

/// Seeds in the ordinary tests.
const SEEDS: u64 = 8;

fn simulated(seed: u64) -> Counts {
    simulate(Run { seed, verbose: false }).unwrap_or_else(|failure| {
        panic!(
            "seed {seed}: {:#?}\nto repeat it: cargo run -p strife-tests --bin strife-sim -- --seed {seed}",
            failure.wrong
        )
    })
}

#[test]
fn money_survives_crashes_cuts_wrong_clocks_full_disks_and_a_hostile_gateway() {
    let halves: Vec<_> = (0..2).map(|half| std::thread::spawn(move || run_half(half))).collect();
    let sum = halves.into_iter().map(|half| half.join().unwrap()).fold(Judged::default(), Judged::plus);
    println!("{SEEDS} seeds: {sum:?}");
    assert!(sum.orders >= 200 * SEEDS as usize && sum.replies > sum.orders);
    assert!(sum.posted > 0 && sum.declined > sum.cancelled && sum.cancelled > 0 && sum.never > 0);
    assert!(sum.refunds > 10 * SEEDS as usize && sum.refunds_declined > SEEDS as usize, "{sum:?}");
}

fn run_half(half: u64) -> Judged {
    let seeds = (0..SEEDS).filter(|seed| seed % 4 / 2 == half);
    seeds.map(|seed| simulated(seed).judged).fold(Judged::default(), Judged::plus)
}

#[test]
fn the_same_seed_gives_the_same_trace_and_another_seed_another() {
    // in a process of its own: a trace depends on tokio's numbers for tasks, which it counts for the whole process
    let simulate = |arguments: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_strife-sim")).args(arguments).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "{text}");
        text
    };
    let same = simulate(&["--seed", "100", "--twice"]);
    assert!(same.contains("lines twice"), "{same}");
    let (one, other) = (simulate(&["--seed", "100"]), simulate(&["--seed", "101"]));
    assert!(one.lines().count() > 500);
    assert_ne!(one, other);
}

#[test]
fn every_bug_that_is_planted_in_bank_or_client_is_caught() {
    // the words of the checks that may catch it first
    let bugs: [(&str, &[&str]); 10] = [
        ("answer-before-sync", &["I5"]),
        ("promise-expires", &["I2", "I9"]),
        ("promise-forgotten", &["I9", "I3"]),
        ("vote-not-verified", &["posted to an account that there is not", "I3"]),
        // what was told is unknown until the projections have it, or is decided again
        ("outcome-evicted-early", &["I4", "I5", "I6", "I7"]),
        ("floor-not-checked", &["I8"]),
        ("cap-not-checked", &["I8"]),
        ("refunds-not-summed", &["I15"]),
        ("new-id-on-retry", &["I6"]),
        ("queued-before-sync", &["is lost"]),
    ];
    let (some, rest) = bugs.split_at(bugs.len() / 2);
    std::thread::scope(|scope| {
        for half in [some, rest] {
            scope.spawn(|| half.iter().for_each(|(bug, words)| is_caught(bug, words)));
        }
    });
}

fn is_caught(bug: &str, words: &[&str]) {
    let output = Command::new(env!("CARGO_BIN_EXE_strife-sim"))
        .args(["--planted", bug, "--seeds", "60", "--processes", "1"])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let first: Vec<&str> = text.lines().skip_while(|line| !line.ends_with("fails:")).take(4).collect();
    println!("{bug}: {first:#?}");
    assert_eq!(output.status.code(), Some(1), "{bug} was not caught: {text}");
    let caught = text.split_once("fails:\n").and_then(|(_, after)| after.split_once("to repeat it:"));
    let (caught, _) = caught.unwrap_or_else(|| panic!("{bug}: no violation is told: {text}"));
    assert!(words.iter().any(|word| caught.contains(word)), "{bug} was caught by something else: {text}");
    assert!(text.contains(&format!("--planted {bug}")), "the command that repeats it: {text}");
}
