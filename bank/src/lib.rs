//! One bank: ledger, journal, projections.

pub mod journal;
pub mod ledger;
pub mod projection;
