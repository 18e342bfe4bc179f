//! What a bank knows in memory: balances and what is unfinished; of the past only what its projections have
//! not caught up with.

use std::fmt;
pub use std::sync::Arc;

use bytes::Bytes;
use smallvec::SmallVec;
use strife_proto::commit::payee::Payee;
use strife_proto::commit::payer::Payer;
pub use strife_proto::commit::{BankName, Key, OrderHash};
pub use strife_proto::domain::{AccountNumber, Currency, LoginName, ReceivedOrder};
pub use strife_proto::signing::KeyId;
use strife_proto::signing::{PublicKey, sha256};
use strife_proto::v1;

use crate::ledger::overlay::{Changed, Table};
pub use crate::ledger::refund::Credit;

/// A person at this bank.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PersonId(pub [u8; 16]);

/// A session at this bank.
pub type SessionId = [u8; 16];

/// Whose ledger it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Own {
    /// The bank.
    pub bank: BankName,
    /// The network.
    pub network: String,
}

impl fmt::Display for Own {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.network, self.bank)
    }
}

/// Whether an account takes and gives money.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccountState {
    /// It does.
    Open,
    /// Neither, for now; promises to it are kept.
    Frozen,
    /// Neither, for good.
    Closed,
}

/// A customer's account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Whose it is.
    pub person: PersonId,
    /// Its one currency.
    pub currency: Currency,
    /// What it is called.
    pub name: Arc<str>,
    /// Sum of its postings, in minor units.
    pub posted: i64,
    /// Reserved by instructions, in minor units.
    pub held: i64,
    /// Promised and not posted, in minor units. Not spendable.
    pub incoming: i64,
    /// Never below this, in minor units.
    pub floor: i64,
    /// Whether it takes and gives money.
    pub state: AccountState,
}

impl Account {
    /// What can be paid out now, in minor units.
    pub fn available(&self) -> i64 {
        self.posted.saturating_sub(self.held).saturating_sub(self.floor)
    }
}

/// A person. Name and details stand in a row beside the journal, so that they can be erased, and are read there when
/// they are wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Person {
    /// In the order of opening.
    pub accounts: SmallVec<[AccountNumber; 1]>,
}

/// A person's device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// Whose it is.
    pub person: PersonId,
    /// Its public key.
    pub public: PublicKey,
}

/// What this bank and another owe each other in one currency.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Settlement {
    /// Positive: due to the other bank. Negative: due from it. Minor units.
    pub posted: i64,
    /// Promised on the other bank's word and not posted, in minor units.
    pub promised: i64,
    /// How much the other bank may owe, posted and promised together, in minor units.
    pub cap: i64,
}

/// Accounts of the bank itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Internal {
    /// Against which funding and withdrawal are booked.
    Cash,
    /// Money whose payee could not take it.
    Suspense,
}

/// A promise to credit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Promise {
    /// The order.
    pub order: ReceivedOrder,
    /// The maker's signature, for whoever drives it on.
    pub signature: v1::Signature,
    /// This bank's vote.
    pub vote: v1::Statement,
    /// The account that the payee means.
    pub payee: AccountNumber,
    /// By this bank's clock, milliseconds since the Unix epoch.
    pub at_ms: i64,
}

/// What is known of a key at the payer's bank.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PayerKnown {
    /// The protocol's state.
    pub payer: Payer,
    /// The signed outcome.
    pub outcome: Option<v1::Statement>,
    /// The order, while the payee's bank has not acknowledged.
    pub order: Option<Bytes>,
    /// The payee's bank of the decided order.
    pub payee_bank: Option<BankName>,
    /// The payee's bank's acknowledgement.
    pub acknowledgement: Option<v1::Statement>,
    /// The payer account of the decided order.
    pub payer_account: Option<AccountNumber>,
    /// Journal position of the last change.
    pub position: u64,
}

/// Bytes that can never post here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VoidKnown {
    /// Signed.
    pub statement: v1::Statement,
    /// Journal position.
    pub position: u64,
}

/// What is known of an order at the payee's bank, once it has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PayeeKnown {
    /// The protocol's state: posted or released.
    pub payee: Payee,
    /// This bank's signed acknowledgement.
    pub acknowledgement: v1::Statement,
    /// Journal position of the end.
    pub position: u64,
}

/// An administrator's request that was carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    /// An account was opened.
    Account(AccountNumber),
    /// Cash was booked at this journal position.
    Cash(u64),
}

/// A session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// Whose.
    pub person: PersonId,
    /// By this bank's clock, milliseconds since the Unix epoch.
    pub expires_at_ms: i64,
}

/// All that a bank holds in memory.
#[derive(Debug, PartialEq)]
pub struct State {
    /// Whose ledger it is.
    pub own: Own,
    /// Journal position of the next entry; the first is 1.
    pub next_position: u64,
    /// Body of the next account number.
    pub next_account_body: u64,
    /// Customers' accounts.
    pub accounts: Table<AccountNumber, Account>,
    /// People.
    pub people: Table<PersonId, Person>,
    /// Devices that may sign.
    pub devices: Table<KeyId, Device>,
    /// Settlement with other banks.
    pub settlements: Table<(BankName, Currency), Settlement>,
    /// The bank's own accounts.
    pub internal: Table<(Internal, Currency), i64>,
    /// Promises without an end.
    pub promises: Table<(Key, OrderHash), Arc<Promise>>,
    /// How many of them there are for each payer account.
    pub promise_counts: Table<(BankName, AccountNumber), usize>,
    /// Keys decided here: those that are owed, and those that the projections have not reached.
    pub payers: Table<Key, Arc<PayerKnown>>,
    /// Voids that the projections have not reached.
    pub voids: Table<(Key, OrderHash), VoidKnown>,
    /// Promises ended here that the projections have not reached.
    pub payees: Table<(Key, OrderHash), PayeeKnown>,
    /// Payments to accounts here that could be refunded: those of which the projections have not reached the last
    /// change.
    pub credits: Table<Key, Credit>,
    /// Administrators' requests by their id, that the projections have not reached.
    pub requests: Table<[u8; 16], Request>,
    /// Sessions that may be used.
    pub sessions: Table<SessionId, Session>,
}

/// A durable batch's changes to [`State`], table by table.
#[derive(Debug)]
#[allow(missing_docs)] // each field is documented at State
pub struct Changes {
    pub next_position: u64,
    pub next_account_body: u64,
    pub accounts: Changed<AccountNumber, Account>,
    pub people: Changed<PersonId, Person>,
    pub devices: Changed<KeyId, Device>,
    pub settlements: Changed<(BankName, Currency), Settlement>,
    pub internal: Changed<(Internal, Currency), i64>,
    pub promises: Changed<(Key, OrderHash), Arc<Promise>>,
    pub promise_counts: Changed<(BankName, AccountNumber), usize>,
    pub payers: Changed<Key, Arc<PayerKnown>>,
    pub voids: Changed<(Key, OrderHash), VoidKnown>,
    pub payees: Changed<(Key, OrderHash), PayeeKnown>,
    pub credits: Changed<Key, Credit>,
    pub requests: Changed<[u8; 16], Request>,
    pub sessions: Changed<SessionId, Session>,
}

impl State {
    /// An empty ledger. Account numbers of different banks begin differently, so that a number of one bank is
    /// seldom one of another.
    pub fn new(own: Own) -> Self {
        let digest = sha256(own.bank.as_str().as_bytes());
        let prefix = 1000 + u64::from(u16::from_be_bytes([digest[0], digest[1]])) % 9000;
        Self {
            own,
            next_position: 1,
            next_account_body: prefix * 1_000_000 + 1,
            accounts: Table::new(),
            people: Table::new(),
            devices: Table::new(),
            settlements: Table::new(),
            internal: Table::new(),
            promises: Table::new(),
            promise_counts: Table::new(),
            payers: Table::new(),
            voids: Table::new(),
            payees: Table::new(),
            credits: Table::new(),
            requests: Table::new(),
            sessions: Table::new(),
        }
    }

    /// Gives every person their accounts, in the order of opening, which is that of the numbers.
    pub fn own_accounts(&mut self) {
        let mut owners: Vec<_> =
            self.accounts.iter().map(|(number, account)| (*number, account.person)).collect();
        owners.sort_unstable();
        for (number, person) in owners {
            if let Some(owner) = self.people.get_mut(&person) {
                owner.accounts.push(number);
            }
        }
    }

    /// Sum of every balance of one currency, in minor units. Zero at every commit.
    pub fn sum(&self, currency: Currency) -> i128 {
        let customers =
            self.accounts.values().filter(|a| a.currency == currency).map(|a| i128::from(a.posted));
        let settlements = self.settlements.iter().filter(|((_, c), _)| *c == currency);
        let internal = self.internal.iter().filter(|((_, c), _)| *c == currency);
        customers.sum::<i128>()
            + settlements.map(|(_, s)| i128::from(s.posted)).sum::<i128>()
            + internal.map(|(_, balance)| i128::from(*balance)).sum::<i128>()
    }

    /// Every currency that has a balance.
    pub fn currencies(&self) -> std::collections::BTreeSet<Currency> {
        let customers = self.accounts.values().map(|a| a.currency);
        customers
            .chain(self.settlements.keys().map(|(_, c)| *c))
            .chain(self.internal.keys().map(|(_, c)| *c))
            .collect()
    }
}
