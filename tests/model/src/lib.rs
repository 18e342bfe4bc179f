//! Model checking of the commit protocol.

pub mod bank;
pub mod calm;
pub mod check;
pub mod goals;
pub mod journal;
pub mod properties;
pub mod restored;
pub mod scenarios;
pub mod state;
pub mod tell;
pub mod world;

pub use check::{Report, Violation, check};
pub use scenarios::{Scenario, Size, scenarios};
