//! The simulator: the production `run` of every daemon and the production client, on one thread, in simulated
//! time, over a simulated network and disks that lose power, from one seed. Only store, clock, randomness and
//! transport differ from production; the same seed gives the same trace.
//!
//! A fault phase is followed by a calm phase in which everything must come to its end. Then the auditor judges
//! every reply, and the named invariants judge what the banks have written down.

mod disk;
mod faults;
mod fixture;
mod hostile;
mod nonsense;
mod outbox;
mod run;
mod seams;
mod teller;

pub use run::{Counts, Failure, Run, simulate};
