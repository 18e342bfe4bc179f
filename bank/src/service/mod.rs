//! The doors of a bank: what gateways call, and what its operators call.

pub mod admin;
pub mod gateways;
pub mod life;
pub mod link;
mod signers;
pub mod watch;
