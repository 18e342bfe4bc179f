//! What goes wrong, when, and for how long: a plan that a seed makes.

use rand::Rng;
use rand::rngs::SmallRng;
use rand::seq::{IndexedRandom, SliceRandom};

use super::fixture::GATEWAYS;

/// The machine of the people who use the API.
pub const PEOPLE: &str = "people";
/// The machine of the person at the production client.
pub const TELLER: &str = "teller";

/// The machine of a taken-over gateway.
pub const HOSTILE: &str = "hostile";

/// Random faults beside one crash of every machine; some meet a machine that is down, or a disk that nobody writes.
const RANDOM_FAULTS: usize = 34;

/// One thing that goes wrong or comes right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The machine loses its power; with a bank, what was written and not synced is kept or not.
    Crash {
        /// Which.
        machine: String,
        /// What was not synced had reached the disk.
        keeps_unsynced: bool,
        /// A bank's projections are gone too.
        loses_projections: bool,
    },
    /// The machine starts again.
    Start(String),
    /// Nothing passes between two machines.
    Cut(String, String),
    /// Nothing passes from the first to the second.
    CutOneWay(String, String),
    /// Everything passes again.
    Heal(String, String),
    /// What is sent is held back.
    Hold(String, String),
    /// What was held back arrives.
    Release(String, String),
    /// A machine's clock is put wrong by so many milliseconds, or right (0).
    Clock(String, i64),
    /// A bank's disk takes so many milliseconds more for each sync.
    SlowDisk(String, u64),
    /// A bank's disk is full, or has room again.
    FullDisk(String, bool),
    /// The next sync of a bank's disk fails.
    SyncFails(String),
}

/// When each comes, in milliseconds from the beginning, in order.
pub type Plan = Vec<(u64, Fault)>;

/// Plans the fault phase.
pub fn plan(random: &mut SmallRng, banks: &[String], phase_ms: u64) -> Plan {
    let gateways = GATEWAYS.map(str::to_owned);
    let mut machines: Vec<String> = banks.iter().chain(&gateways).cloned().collect();
    machines.extend([PEOPLE.to_owned(), TELLER.to_owned()]);
    let mut plan = Plan::new();
    let crash = |random: &mut SmallRng, plan: &mut Plan, machine: &str| {
        let at = random.random_range(200..phase_ms);
        let fault = Fault::Crash {
            machine: machine.to_owned(),
            keeps_unsynced: random.random(),
            loses_projections: random.random_ratio(1, 4),
        };
        plan.push((at, fault));
        plan.push((at + random.random_range(50..900), Fault::Start(machine.to_owned())));
    };
    // a crash of every role, and more
    machines.shuffle(random);
    for machine in &machines {
        crash(random, &mut plan, machine);
    }
    for _ in 0..RANDOM_FAULTS {
        let at = random.random_range(100..phase_ms);
        let until = at + random.random_range(50..1_200);
        let pair: Vec<String> = machines.choose_multiple(random, 2).cloned().collect();
        let (a, b) = (pair[0].clone(), pair[1].clone());
        let Some(bank) = banks.choose(random).cloned() else { continue };
        match random.random_range(0..10) {
            0 => crash(random, &mut plan, &a),
            1 | 2 => {
                plan.push((at, Fault::Cut(a.clone(), b.clone())));
                plan.push((until, Fault::Heal(a, b)));
            }
            3 => {
                plan.push((at, Fault::CutOneWay(a.clone(), b.clone())));
                plan.push((until, Fault::Heal(a, b)));
            }
            4 | 5 => {
                plan.push((at, Fault::Hold(a.clone(), b.clone())));
                plan.push((until, Fault::Release(a, b)));
            }
            6 => {
                let hours = random.random_range(-5..=5);
                plan.push((
                    at,
                    Fault::Clock(a.clone(), hours * 3_600_000 + random.random_range(-2_000..2_000)),
                ));
                plan.push((until, Fault::Clock(a, 0)));
            }
            7 => {
                plan.push((at, Fault::SlowDisk(bank.clone(), random.random_range(5..120))));
                plan.push((until, Fault::SlowDisk(bank, 0)));
            }
            8 => {
                plan.push((at, Fault::FullDisk(bank.clone(), true)));
                plan.push((until, Fault::FullDisk(bank, false)));
            }
            _ => plan.push((at, Fault::SyncFails(bank))),
        }
    }
    plan.sort_by_key(|(at, _)| *at);
    plan
}
