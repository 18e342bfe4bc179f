#![allow(clippy::unwrap_used)] // a failed step of a test is a failed test
//! Every scenario passes, and every bug that can be planted in the protocol is caught by the invariant that it
//! breaks.

use std::process::Command;

use strife_faults::Bug;
use strife_model::{MODELLED, Size, check, scenarios};

#[test]
fn every_state_of_every_scenario_keeps_every_promise() {
    let mut unique_states = 0;
    for scenario in scenarios() {
        let report = check(scenario, Size::Small, 2);
        println!(
            "{:<14} {:>8} states {:>9} generated {:>3} properties {:?}",
            scenario.name,
            report.unique_states,
            report.states,
            report.properties.len(),
            report.took
        );
        assert!(report.violations.is_empty(), "{}: {:#?}", scenario.name, report.violations);
        unique_states += report.unique_states;
    }
    println!("{unique_states} states");
    assert!(unique_states > 100_000, "the scenarios have shrunk to {unique_states} states");
}

#[test]
fn one_thread_and_two_visit_the_same_states() {
    for scenario in scenarios().iter().filter(|scenario| ["abandoned", "same-id"].contains(&scenario.name)) {
        let (one, two) = (check(scenario, Size::Small, 1), check(scenario, Size::Small, 2));
        assert_eq!((one.unique_states, one.states), (two.unique_states, two.states), "{}", scenario.name);
    }
}

/// Which invariants notice which bug: these at least, in the first scenario that shows it.
const CAUGHT: &[(Bug, &[&str])] = &[
    (Bug::ReplyBeforeRecord, &["I5"]),
    (Bug::OutcomeOverwritten, &["I4"]),
    (Bug::HashNotCompared, &["I6"]),
    (Bug::VoteOfOtherBytes, &["I3"]),
    (Bug::CancelNotRecorded, &["I5", "I11"]),
    (Bug::ForgeryTakesKey, &["rule 10"]),
    (Bug::NothingOwed, &["I9"]),
    (Bug::EarlyReleaseIgnored, &["I7"]),
    (Bug::PostedTwice, &["I1", "I7"]),
    (Bug::ReleaseOnTimeout, &["rule 7"]),
    (Bug::AnswerBeforeSync, &["I5"]),
    (Bug::PromiseForgotten, &["I10"]),
    (Bug::VoteNotVerified, &["I3"]),
    (Bug::FloorNotChecked, &["I8"]),
];

#[test]
fn every_planted_bug_is_caught_by_the_invariant_that_it_breaks() {
    for (bug, invariants) in CAUGHT {
        let output = Command::new(env!("CARGO_BIN_EXE_strife-model"))
            .args(["--threads", "1", "--planted", bug.name()])
            .output()
            .unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        assert_eq!(output.status.code(), Some(1), "{} is not caught:\n{said}", bug.name());
        for invariant in *invariants {
            let violated = said.lines().any(|line| {
                line.starts_with(&format!("VIOLATED: {invariant} "))
                    || line.starts_with(&format!("VIOLATED: {invariant}:"))
            });
            assert!(violated, "{} does not break {invariant}:\n{said}", bug.name());
        }
        let again = format!("--threads 1 --planted {}", bug.name());
        assert!(said.contains(&again), "no command to see it again:\n{said}");
    }
}

#[test]
fn every_bug_of_the_protocol_has_its_invariant() {
    for bug in MODELLED {
        assert!(CAUGHT.iter().any(|(caught, _)| caught == bug), "{}", bug.name());
    }
    assert_eq!(CAUGHT.len(), MODELLED.len());
}

#[test]
fn a_bug_that_this_model_does_not_have_is_refused() {
    for name in ["new-id-on-retry", "no-such-bug"] {
        let output = Command::new(env!("CARGO_BIN_EXE_strife-model")).args(["--planted", name]).output();
        assert_eq!(output.unwrap().status.code(), Some(2), "{name}");
    }
}
