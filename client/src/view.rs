//! What a screen shows, as one value: the worker publishes it whenever it has changed.

use std::time::Instant;

use serde::{Deserialize, Serialize};
use strife_proto::commit::{BankName, Key, TransferId};
use strife_proto::domain::{AccountRef, Money, key_from_wire};
use strife_proto::v1;

pub use crate::outbox::Credit;

/// One account with its balances, in minor units.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountView {
    /// Account number.
    pub number: String,
    /// What it is called.
    pub name: String,
    /// ISO 4217.
    pub currency: String,
    /// All that is recorded.
    pub posted: i64,
    /// Reserved.
    pub held: i64,
    /// What can be paid now.
    pub available: i64,
    /// Promised to it.
    pub incoming: i64,
    /// Takes and gives money.
    pub open: bool,
}

impl From<v1::Account> for AccountView {
    fn from(account: v1::Account) -> Self {
        Self {
            number: account.number,
            name: account.name,
            currency: account.currency,
            posted: account.posted,
            held: account.held,
            available: account.available,
            incoming: account.incoming,
            open: account.open,
        }
    }
}

/// One posting on an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Movement {
    /// Journal position.
    pub position: u64,
    /// Milliseconds since the Unix epoch.
    pub at_ms: i64,
    /// Negative for money that left, in minor units.
    pub minor_units: i64,
    /// ISO 4217.
    pub currency: String,
    /// After this one, in minor units.
    pub balance_after: i64,
    /// The other side, `number@bank`; empty for cash.
    pub counterpart: String,
    /// What for.
    pub memo: String,
    /// Payer's bank and id, as text.
    pub transfer: Option<String>,
    /// Payer's bank and id, for transfers: what [`Client::life`](crate::Client::life) and a refund ask for.
    pub key: Option<Key>,
    /// The payment that this one refunds.
    pub refund_of: Option<Key>,
    /// `transfer`, `cash` or `settlement`.
    pub kind: String,
}

impl From<v1::Movement> for Movement {
    fn from(movement: v1::Movement) -> Self {
        let key_of = |wire: Option<v1::TransferKey>| wire.and_then(|key| key_from_wire(&key).ok());
        let key = key_of(movement.key);
        Self {
            position: movement.position,
            at_ms: movement.at_ms,
            minor_units: movement.minor_units,
            currency: movement.currency,
            balance_after: movement.balance_after,
            counterpart: movement.counterpart,
            memo: movement.memo,
            transfer: key.as_ref().map(Key::to_string),
            key,
            refund_of: key_of(movement.refund_of),
            kind: movement.kind,
        }
    }
}

/// How the gateway is reached.
#[derive(Clone, Debug, PartialEq)]
pub enum Connection {
    /// It answers.
    Online {
        /// Round trip of the last call, in milliseconds.
        latency_ms: u64,
    },
    /// It does not; tries go on.
    Reconnecting {
        /// Tries so far.
        attempt: u32,
        /// When the next one is.
        next_try: Instant,
    },
    /// The person has gone offline.
    Offline,
}

impl Connection {
    /// Whether the gateway answers.
    pub fn is_online(&self) -> bool {
        matches!(self, Connection::Online { .. })
    }
}

/// Who this client works for, signed in or not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Profile {
    /// The bank's name.
    pub bank: String,
    /// The log-in name there.
    pub person: String,
    /// For the screen.
    pub display_name: String,
    /// As they were last seen.
    pub accounts: Vec<AccountView>,
    /// When that was, milliseconds since the Unix epoch.
    pub as_of_ms: i64,
    /// The person signed out: balances are not kept, and what is queued meanwhile waits for a word of theirs.
    #[serde(default)]
    pub signed_out: bool,
    /// The id of the device key that the bank has registered: no other signs, also offline.
    #[serde(default)]
    pub device_key: Vec<u8>,
}

/// The code of an order that its maker cancelled.
pub const CANCELLED: &str = "CANCELLED";

/// Where an order stands, for the screen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OrderState {
    /// On the disk, not sent yet.
    Queued,
    /// On its way at this moment.
    Sending,
    /// Sent; no final outcome is known yet.
    Pending,
    /// Posted by the payer's bank.
    Posted {
        /// What the payee's bank has said.
        credit: Credit,
    },
    /// Declined, with the code's name and sentence.
    Declined {
        /// Stable name.
        code: &'static str,
        /// For a person.
        sentence: &'static str,
    },
    /// These bytes can never post (conflict or void).
    Never {
        /// Why, for a person.
        sentence: &'static str,
    },
    /// Taken back before it was ever sent.
    Withdrawn,
    /// Refused at a door; waits for the person.
    Parked {
        /// Stable name.
        code: String,
        /// For a person.
        sentence: String,
    },
}

impl OrderState {
    /// One word for a column.
    pub fn word(&self) -> &'static str {
        match self {
            OrderState::Queued => "queued",
            OrderState::Sending => "sending",
            OrderState::Pending => "pending",
            OrderState::Posted { credit: Credit::Account } => "credited",
            OrderState::Posted { .. } => "posted",
            OrderState::Declined { code: CANCELLED, .. } => "cancelled",
            OrderState::Declined { .. } => "declined",
            OrderState::Never { .. } => "void",
            OrderState::Withdrawn => "withdrawn",
            OrderState::Parked { .. } => "parked",
        }
    }

    /// Nothing more will change by itself, and nothing can be done but dismiss it.
    pub fn is_ended(&self) -> bool {
        !matches!(
            self,
            OrderState::Queued | OrderState::Sending | OrderState::Pending | OrderState::Parked { .. }
        )
    }
}

/// One order in the queue.
#[derive(Clone, Debug, PartialEq)]
pub struct OrderView {
    /// Its id.
    pub id: TransferId,
    /// Payer's bank.
    pub bank: BankName,
    /// Who made it.
    pub person: String,
    /// Payer's account number.
    pub from: String,
    /// The payee.
    pub to: AccountRef,
    /// How much.
    pub amount: Money,
    /// What for.
    pub memo: String,
    /// When it was made, milliseconds since the Unix epoch.
    pub made_at_ms: i64,
    /// Where it stands.
    pub state: OrderState,
    /// How often it was sent.
    pub attempts: u32,
    /// When it is sent next, if it waits for that.
    pub next_try: Option<Instant>,
    /// Why it waits, in words.
    pub reason: String,
    /// A cancel is asked for.
    pub cancelling: bool,
    /// Its bytes may have left this machine.
    pub sent: bool,
    /// The payment that it refunds.
    pub refund_of: Option<Key>,
}

/// The life of one transfer, as the person's own bank tells it. Every time is of that bank's clock, in milliseconds
/// since the Unix epoch: the payer's bank knows when it decided and when it heard of the credit, the payee's bank when
/// it promised and when it credited; inside one bank all is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Life {
    /// Payer's bank and id.
    pub key: Key,
    /// The payer.
    pub from: AccountRef,
    /// The payee, as the order names it.
    pub to: AccountRef,
    /// How much.
    pub amount: Money,
    /// What for.
    pub memo: String,
    /// When it was made, by the payer's client's clock.
    pub made_at_ms: i64,
    /// When it would have been too late to decide it.
    pub expires_at_ms: i64,
    /// When the payee's bank promised to credit it.
    pub promised_at_ms: Option<i64>,
    /// When the payer's bank decided it.
    pub decided_at_ms: Option<i64>,
    /// `posted`, the stable name of the code that it was declined with, or `declined` where the code is not the
    /// asker's to know; `None` while the asker's bank knows of no end.
    pub outcome: Option<&'static str>,
    /// Why it was declined, for a person.
    pub sentence: Option<&'static str>,
    /// When its money was placed at the payee's bank.
    pub credited_at_ms: Option<i64>,
    /// The money is on the payee's bank's suspense account, because the payee's account could not take it.
    pub to_suspense: bool,
    /// The payment that it refunds.
    pub refund_of: Option<Key>,
    /// How much of it has been refunded, in minor units; known at the payee's bank.
    pub refunded: Option<i64>,
    /// How much of it may still be refunded, in minor units; known at the payee's bank.
    pub refundable: Option<i64>,
}

/// Everything that a screen shows.
#[derive(Clone, Debug, PartialEq)]
pub struct View {
    /// The network.
    pub network: String,
    /// The gateway's address.
    pub gateway: String,
    /// How it is reached.
    pub connection: Connection,
    /// The network's banks, and whether the gateway reaches them (as last heard).
    pub banks: Vec<(String, bool)>,
    /// Who this client works for.
    pub profile: Option<Profile>,
    /// Whether there is a session.
    pub signed_in: bool,
    /// The balances are of now.
    pub live: bool,
    /// Journal position of the balances.
    pub position: u64,
    /// The queue, newest first.
    pub orders: Vec<OrderView>,
    /// Counts movements that have arrived, so that a screen can tell that there are new ones.
    pub movements_seen: u64,
    /// What the person should know, newest last.
    pub notices: Vec<Notice>,
    /// Where the device key is kept.
    pub key_place: String,
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// Counts up.
    pub number: u64,
    /// Good news, or something that somebody must look at.
    pub kind: NoticeKind,
    /// What, in words.
    pub text: String,
}

/// How a notice is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoticeKind {
    /// Goes away by itself.
    Good,
    /// Goes away by itself.
    Info,
    /// Stays until it is dismissed.
    Bad,
}
