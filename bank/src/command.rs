//! What the writer is asked, and what it answers. Whoever sends a command has verified every signature in it
//! that this bank can verify: not an order's at the payee's bank, which does not know the payer's devices.

use std::sync::Arc;

use strife_proto::commit::Vote;
use strife_proto::domain::{AccountNumber, Currency, ReceivedOrder};
use strife_proto::signing::{KeyId, PublicKey};
use strife_proto::statement::Statement;
use strife_proto::{Refusal, v1};

use crate::journal::PersonRow;
use crate::ledger::state::{BankName, PersonId, SessionId};

/// An order that came with a signature. `signer` is the registered device whose signature was verified.
#[derive(Clone, Debug)]
pub struct SignedOrder {
    /// The order.
    pub order: Arc<ReceivedOrder>,
    /// The signature as it came.
    pub signature: v1::Signature,
    /// Verified with the registered key of this id; `None` if no key here verifies it.
    pub signer: Option<KeyId>,
}

/// A verified statement of another bank, with its signed form.
#[derive(Clone, Debug)]
pub struct Said {
    /// What it says.
    pub statement: Statement,
    /// As it was signed.
    pub wire: v1::Statement,
}

/// What the writer can be asked.
#[derive(Clone, Debug)]
pub enum Command {
    /// At the payer's bank.
    Decide {
        /// The order.
        order: SignedOrder,
        /// The payee's bank's verified vote about exactly these bytes.
        vote: Option<(Vote, Said)>,
        /// It would live longer than this bank allows: declined as expired.
        too_far: bool,
    },
    /// At the payer's bank.
    Inquire(SignedOrder),
    /// At the payer's bank; `signer` verified over the cancel, and the session is of the same person.
    Cancel(SignedOrder),
    /// At the payer's bank: the payee's bank's verified acknowledgement.
    Acknowledge(Said),
    /// At the payee's bank.
    Prepare(SignedOrder),
    /// At the payee's bank: the payer's bank's verified `posted`.
    Post {
        /// The order.
        order: Arc<ReceivedOrder>,
        /// The outcome.
        said: Said,
    },
    /// At the payee's bank: the payer's bank's verified `declined`, `conflict` or `void`.
    Release {
        /// The order.
        order: Arc<ReceivedOrder>,
        /// The statement.
        said: Said,
    },
    /// After the password was right: registers the device if it is new, and begins the session.
    SignIn {
        /// Who.
        person: PersonId,
        /// The device's public key.
        device: PublicKey,
        /// The new session.
        session: SessionId,
        /// When it ends, by the bank's clock, milliseconds since the Unix epoch.
        expires_at_ms: i64,
    },
    /// Ends a session.
    SignOut(SessionId),
    /// Administration.
    AddPerson(PersonRow),
    /// Administration.
    OpenAccount {
        /// The owner.
        person: PersonId,
        /// Its one currency.
        currency: Currency,
        /// What it is called.
        name: String,
        /// The same again opens nothing twice.
        request: [u8; 16],
    },
    /// Administration.
    Cash {
        /// Whose balance.
        account: AccountNumber,
        /// Positive pays in, negative pays out; minor units.
        minor_units: i64,
        /// Must be the account's.
        currency: Currency,
        /// Why.
        reason: String,
        /// Who, from the certificate.
        operator: String,
        /// The same again books nothing twice.
        request: [u8; 16],
    },
    /// Administration.
    SetCap {
        /// The other bank.
        counterpart: BankName,
        /// Which currency.
        currency: Currency,
        /// Minor units, zero or more.
        cap: i64,
        /// Who, from the certificate.
        operator: String,
    },
}

/// What the writer answers, once everything that the answer rests on is durable.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// This bank's word.
    Statement(v1::Statement),
    /// This bank's outcome, with the payee's bank's acknowledgement if it is there.
    Outcome(v1::Statement, Option<v1::Statement>),
    /// Nothing is recorded.
    Undecided,
    /// Done.
    Noted,
    /// Nothing changed.
    Refused(Refusal),
    /// The bank cannot say: ask again.
    Unavailable,
    /// The account is open.
    Account(AccountNumber),
    /// Booked at this journal position.
    Position(u64),
}

/// Called once with the answer.
pub type Respond = Box<dyn FnOnce(Answer) + Send>;
