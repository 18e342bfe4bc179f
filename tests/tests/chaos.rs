//! A short run of chaos on real processes, with a fixed seed; `strife-chaos` runs for as long as one likes.

#![allow(clippy::unwrap_used)] // a failed step of a test is a failed test

use std::time::Duration;

use strife_tests::chaos::run;

const PROGRAM: &str = env!("CARGO_BIN_EXE_strife-under-test");
const SEED: u64 = 1;

#[tokio::test]
async fn killed_stood_still_and_cut_off_at_random_nothing_is_lost_or_posted_twice() {
    let (counts, wrong) = run(PROGRAM, SEED, Duration::from_secs(20)).await;
    println!("{counts}");
    let first: Vec<&String> = wrong.iter().take(20).collect();
    assert!(wrong.is_empty(), "{} violations: {first:#?}", wrong.len());
    assert!(counts.judged.orders >= 300 && counts.judged.posted >= 100, "too little happened: {counts}");
    assert!(counts.judged.readings >= 30 && counts.judged.cancelled >= 3, "too little happened: {counts}");
    assert!(counts.snapshots >= 2, "no snapshot was compared: {counts}");
    assert!(counts.kills >= 8 && counts.stops >= 5 && counts.cuts >= 12, "too little went wrong: {counts}");
}
