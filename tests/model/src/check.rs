//! Visits every state of a scenario and says what was found.

use std::time::{Duration, Instant};

use stateright::{Checker, Expectation, HasDiscoveries, Model};

use crate::scenarios::{Scenario, Size};
use crate::state::Net;
use crate::tell;

/// What a check found.
#[derive(Clone, Debug)]
pub struct Report {
    /// Steps taken: states, counted as often as they were come to.
    pub states: usize,
    /// Different states.
    pub unique_states: usize,
    /// Steps on the longest way that the search went; not always the same with more than one thread.
    pub depth: usize,
    /// The names of what was checked: invariants and goals.
    pub properties: Vec<&'static str>,
    /// What does not hold; empty if all does.
    pub violations: Vec<Violation>,
    /// How long it took.
    pub took: Duration,
}

/// An invariant that does not hold, or a goal that was not reached.
#[derive(Clone, Debug)]
pub struct Violation {
    /// The property's name.
    pub property: &'static str,
    /// The way there, a step in words each. Empty for a goal that was not reached.
    pub path: Vec<String>,
}

/// Checks a scenario: all of its states, unless something does not hold.
pub fn check(scenario: &Scenario, size: Size, threads: usize) -> Report {
    let begun = Instant::now();
    let world = scenario.world(size);
    let net = Net(world.clone());
    let properties = net.properties();
    let checker =
        net.checker().threads(threads.max(1)).finish_when(HasDiscoveries::AnyFailures).spawn_bfs().join();
    let discoveries = checker.discoveries();
    let mut violations = Vec::new();
    let failed = properties.iter().any(|property| {
        property.expectation == Expectation::Always && discoveries.contains_key(property.name)
    });
    for property in &properties {
        let found = discoveries.get(property.name);
        match (&property.expectation, found) {
            (Expectation::Always, Some(path)) => violations.push(Violation {
                property: property.name,
                path: path.clone().into_actions().iter().map(|action| tell::step(&world, action)).collect(),
            }),
            // a search that was cut short says nothing about goals
            (Expectation::Sometimes, None) if !failed => {
                violations.push(Violation { property: property.name, path: Vec::new() });
            }
            _ => {}
        }
    }
    Report {
        states: checker.state_count(),
        unique_states: checker.unique_state_count(),
        depth: checker.max_depth(),
        properties: properties.iter().map(|property| property.name).collect(),
        violations,
        took: begun.elapsed(),
    }
}
