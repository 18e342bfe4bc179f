//! Model checking of the commit protocol: every state that a few banks, gateways and orders can come to, and the
//! invariants of `docs/architecture.md` in each of them.
//!
//! ```text
//! cargo run -p strife-model                               every scenario, small: seconds
//! cargo run --release -p strife-model -- --size large     every scenario, large: minutes
//! cargo run -p strife-model -- --planted posted-twice     a bug, planted, to see it caught
//! ```
//!
//! # What is modelled
//!
//! The machines are not copies: [`Payer`](strife_commit::payer::Payer), [`Payee`](strife_commit::payee::Payee),
//! [`Coordinator`](strife_commit::coordinator::Coordinator) and
//! [`Restore`](strife_commit::restore::Restore) of `strife-commit` are what the daemons drive. Around them:
//!
//! - **A bank** ([`bank`]) has a door that verifies who signed, and a writer. Records go into a volatile batch; a
//!   reply that has a record before it, in this batch or of an earlier command in it, waits. `Flush` makes the batch
//!   durable and lets the replies go; `Crash` loses both, and the machines are rebuilt from the durable records by
//!   `apply` alone. A reply that a machine puts before its record leaves at once.
//! - **The network** is two sets that only grow: requests that were sent, and replies that left a bank. Anything in
//!   them can come at any later time, any number of times, or never. That is loss, duplication and reordering
//!   in one; a bank that is down is a bank to which nothing comes. A gateway may even hear a reply that an earlier
//!   question of somebody else got.
//! - **Honest gateways** hold volatile coordinators, one for an order in hand. Every time-out can strike at every
//!   step, a gateway can crash at every step, and a resolver can take up any undecided promise and any
//!   unacknowledged outcome, at once with anybody else.
//! - **Hostile gateways** ([`Gateways::Hostile`](world::Gateways::Hostile)) send any message to any bank at any time
//!   that can be made from what was ever signed, for other transfers too, and from statements with forged or
//!   foreign signatures. Whatever honest gateways do is among it, so these scenarios have no coordinators, except in
//!   the calm runs, and room for more orders.
//! - **Time** is one step: `expires_at` passes, for the payer's banks.
//! - **Money**: each bank has one account that pays and is paid, and whatever else it owes. Balances are what the
//!   records move, batch included where a decision looks at them.
//! - **A restore** ([`restored`]): a backup is taken at any moment, and at any later one the bank is put back to it,
//!   once in a run. Counterparts make lists, one item to a part; parts come in any order, often, or never, and a
//!   second list may overtake the first.
//!
//! # What is abstracted
//!
//! Bytes are a number, hashes and keys with them; a signature is a flag that only a bank can set. The door compares
//! the key of a vote but leaves the comparison of its bytes to the machine, although the real one does both. The
//! order of records of different machines in a journal is left out, as they do not depend on each other. A crash and
//! the start after it are one step. Clients are not modelled beyond signing, sending, sending again and cancelling:
//! what a client saw is at most what left a bank, and that is what I5 is checked on.
//!
//! # What is checked
//!
//! [`properties`] has the invariants; I9 is checked from *every* state by a [`calm`] run on a copy: everything is
//! flushed, a begun restore is finished, resolvers go their rounds; at the end no promise is undecided, every
//! outcome is acknowledged, and both banks agree on the money. [`goals`] has what must be reachable: a goal that is not
//! reached fails the run as an invariant does.
//!
//! **After a restore** less is promised, and exactly this is checked. For orders made before it, at the bank that was
//! restored: nothing is served before a whole list of every counterpart has come; what a first list returned
//! (the bank's own outcomes, voids and conflicts; the counterpart's outcomes for it) is recorded when serving begins;
//! no order that it then does not know is ever posted; an outcome that it had signed may come back as
//! `declined(RESTORED)`, but nothing that it had declined, called void or in conflict is ever posted. If an
//! old `posted` that nobody had returned is delivered late, the payee's bank credits it. Should the restored bank decline
//! that order, the decline is owed to the payee's bank until that raises an alert; as long as nobody asks
//! the restored bank for it, the two disagree in silence, and only the settlement between them shows it. A restored
//! payee's bank may be posted to without the promise that it forgot, with an alert, and over its cap. All else,
//! and everything about orders made later and about the other banks, holds as without a restore.
//!
//! # How to read a counterexample
//!
//! One step a line, in order; the last one leads to the state in which the named invariant does not hold. `Deliver`
//! steps read "bank A gets …": what is said there was decided at that moment, but is known to others only after
//! "bank A makes its batch durable". For I9 the state is one from which a calm run does not end well. With one
//! thread the search is breadth-first, so the way is a shortest one; the command under it repeats it. Counts of
//! states do not depend on the threads, the depth does a little.

pub mod bank;
pub mod calm;
pub mod check;
pub mod goals;
pub mod journal;
pub mod properties;
pub mod restored;
pub mod scenarios;
pub mod state;
pub mod steps;
pub mod tell;
pub mod world;

pub use check::{Report, Violation, check};
pub use scenarios::{Scenario, Size, scenarios};
use strife_faults::Bug;

/// The bugs that can be planted here: those of `commit`, and those of `bank` whose place the model has.
pub const MODELLED: &[Bug] = &[
    Bug::ReplyBeforeRecord,
    Bug::OutcomeOverwritten,
    Bug::HashNotCompared,
    Bug::VoteOfOtherBytes,
    Bug::CancelNotRecorded,
    Bug::ForgeryTakesKey,
    Bug::NothingOwed,
    Bug::EarlyReleaseIgnored,
    Bug::PostedTwice,
    Bug::ReleaseOnTimeout,
    Bug::AnswerBeforeSync,
    Bug::PromiseForgotten,
    Bug::VoteNotVerified,
    Bug::FloorNotChecked,
];
