//! One bank: ledger, journal, projections, RPCs.
//!
//! [`ledger`] and [`journal`] decide and remember; [`writer`] is the one thread that changes anything;
//! [`projection`] is what can be derived; [`service`] are the doors; [`run()`] wires them. What must never: a
//! change of a balance outside the writer.

pub mod bank;
pub mod command;
pub mod journal;
pub mod ledger;
pub mod login;
pub mod open;
pub mod passwords;
pub mod projection;
pub mod reconcile;
pub mod replay;
pub mod run;
pub mod service;
pub mod snapshot;
pub mod verify;
pub mod witness;
pub mod writer;

pub use run::{Listeners, RunError, run};
