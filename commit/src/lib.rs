//! The commit protocol as pure state machines: two-phase commit with the payer's bank as the last agent.
//!
//! What lives here: the protocol's words ([`words`]), what the payer's bank does with one key ([`payer`]),
//! what the payee's bank does with one promise ([`payee`]), what a gateway does for one transfer
//! ([`coordinator`]), and when a bank that was restored from a backup serves again ([`restore`]).
//!
//! What must never: a clock, randomness, async, I/O, a signature, a wire type. Time comes in as a fact
//! ("expired"), signatures as facts ("authorised", "this vote is for this hash"); whoever drives a machine
//! has verified them first.
//!
//! The rule that every driver obeys: **effects are carried out in order, and a reply leaves only when every
//! record before it, in this batch or an earlier one, is durable.**

pub mod coordinator;
pub mod payee;
pub mod payer;
pub mod restore;
pub mod words;

pub use words::{
    Acknowledgement, BankName, Code, Key, OrderHash, Placement, TransferId, Verdict, Vote, WordError,
};
