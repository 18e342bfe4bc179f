//! What goes wrong and when, from a seed alone.

use rand::rngs::SmallRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use strife_demo::wire::Way;

/// Longest time for which a process stands still, in milliseconds.
const STILL_MS_MAX: u64 = 3_000;
/// Longest time for which a killed process stays down.
const DOWN_MS_MAX: u64 = 1_200;
/// Longest time for which a wire is cut.
const CUT_MS_MAX: u64 = 2_500;

/// One thing that happens to a process or a wire, by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// SIGKILL.
    Kill(usize),
    /// It is started again.
    Start(usize),
    /// SIGSTOP.
    StandStill(usize),
    /// SIGCONT.
    GoOn(usize),
    /// A wire does this, towards the daemon and back.
    Cut(usize, Way, Way),
    /// A wire is whole again.
    Heal(usize),
}

/// Faults in order, each with its moment in milliseconds.
pub type Plan = Vec<(u64, Fault)>;

/// Plans faults of so many processes and wires; each has its own, so that they meet in every combination.
pub fn plan(seed: u64, faults_ms: u64, daemons: usize, wires: usize) -> Plan {
    let mut random = SmallRng::seed_from_u64(seed);
    let mut plan = Plan::new();
    for daemon in 0..daemons {
        let mut at_ms = random.random_range(200..3_000);
        while at_ms < faults_ms {
            let (begins, ends, lasts_ms) = if random.random_ratio(3, 5) {
                (Fault::Kill(daemon), Fault::Start(daemon), random.random_range(1..DOWN_MS_MAX))
            } else {
                (Fault::StandStill(daemon), Fault::GoOn(daemon), random.random_range(50..STILL_MS_MAX))
            };
            plan.push((at_ms, begins));
            plan.push((at_ms + lasts_ms, ends));
            at_ms += lasts_ms + random.random_range(1_000..5_000);
        }
    }
    let cuts = [
        (Way::Cut, Way::Cut),
        (Way::Held, Way::Open),
        (Way::Open, Way::Held),
        (Way::Lost, Way::Open),
        (Way::Open, Way::Lost),
        (Way::Lost, Way::Lost),
    ];
    for wire in 0..wires {
        let mut at_ms = random.random_range(200..4_000);
        while at_ms < faults_ms {
            let Some((towards, back)) = cuts.choose(&mut random) else { break };
            let lasts_ms = random.random_range(50..CUT_MS_MAX);
            plan.push((at_ms, Fault::Cut(wire, *towards, *back)));
            plan.push((at_ms + lasts_ms, Fault::Heal(wire)));
            at_ms += lasts_ms + random.random_range(1_500..6_000);
        }
    }
    plan.sort_by_key(|(at_ms, _)| *at_ms);
    plan
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_plans_the_same_and_every_fault_is_mended() {
        let one = plan(7, 30_000, 4, 6);
        assert_eq!(one, plan(7, 30_000, 4, 6));
        assert_ne!(one, plan(8, 30_000, 4, 6));
        let count = |is: fn(&Fault) -> bool| one.iter().filter(|(_, fault)| is(fault)).count();
        let kills = count(|fault| matches!(fault, Fault::Kill(_)));
        assert!(kills > 5 && kills == count(|fault| matches!(fault, Fault::Start(_))));
        let stops = count(|fault| matches!(fault, Fault::StandStill(_)));
        assert!(stops > 5 && stops == count(|fault| matches!(fault, Fault::GoOn(_))));
        let cuts = count(|fault| matches!(fault, Fault::Cut(..)));
        assert!(cuts > 10 && cuts == count(|fault| matches!(fault, Fault::Heal(_))));
    }
}
