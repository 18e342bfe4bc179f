//! The ledger: what a bank holds in memory, and the pure rules over it.
//!
//! [`state`] is what is known; [`overlay`] is a batch's view of it; [`entry`] is what a journal entry says;
//! [`apply`] is the one function that changes state, used by the writer and by replay alike; [`rules`] decide, and
//! [`refund`] of them what may go back.
//! What must never: a clock, I/O, a signature check.

pub mod apply;
pub mod entry;
pub mod overlay;
pub mod refund;
pub mod rules;
pub mod state;

pub use apply::{ApplyError, apply};
pub use entry::{Entry, Kind, LedgerAccount, Leg};
pub use overlay::Overlay;
pub use state::{
    Account, AccountState, Credit, Device, PayeeKnown, PayerKnown, Person, PersonId, Promise, Settlement,
    State, VoidKnown,
};
