//! One gateway: routing, the coordinator, the resolver. It keeps no transfer state of its own: after any crash
//! a client, or another gateway's resolver, begins again.
//!
//! [`link`] is the one connection to each bank; [`drive`] carries out the effects of the protocol's
//! coordinator; [`resolver`] finds what others left unfinished; [`service`] is the door for clients; [`run()`]
//! wires them. What must never: a balance, a key of a bank, a time-out that becomes an outcome.

pub mod drive;
pub mod link;
pub mod resolver;
pub mod run;
pub mod service;
mod submit;

pub use run::{RunError, run};
