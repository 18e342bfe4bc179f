//! What the end-to-end tests share: a demo network of real processes, people who bank on it, and the books of
//! its banks.

#![allow(clippy::unwrap_used)] // a failed step of a test is a failed test

pub mod books;
pub mod network;
pub mod people;
pub mod raw;
