//! A bank's journal as a folder on the disk: snapshots, journals that were cut short, verification, reconciliation,
//! and how long a start takes.
#![allow(clippy::unwrap_used)] // a failed step of a test is a failed test

mod projections;
mod reconcile;
mod refunds;
mod shortened;
mod snapshots;
mod startup;
mod support;
mod verify;
