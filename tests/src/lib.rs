//! What the end-to-end tests share: a demo network of real processes, people who bank on it, the books of its
//! banks; the client in a terminal; the auditor and the named invariants; and the simulator.

#![allow(clippy::unwrap_used)] // a failed step of a test is a failed test

pub mod auditor;
pub mod books;
pub mod chaos;
pub mod customer;
pub mod daemon;
pub mod history;
pub mod invariants;
pub mod load;
pub mod network;
pub mod outside;
pub mod people;
pub mod picture;
pub mod raw;
pub mod record;
pub mod sim;
pub mod small;
pub mod terminal;
pub mod trace;
pub mod until;
pub mod using;
