//! What a journal entry says, and its stored form. Double entry: the legs of an entry sum to zero.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use bytes::Bytes;
use strife_proto::commit::{BankName, Verdict};
use strife_proto::domain::{AccountNumber, Currency, ReceivedOrder};
use strife_proto::journal::v1 as pb;
use strife_proto::signing::PublicKey;
use strife_proto::{Refusal, v1};

use crate::ledger::state::{Internal, PersonId};

/// The version of entries that this program writes.
const ENTRY_VERSION: u32 = 1;

/// Any account of the ledger.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum LedgerAccount {
    /// A customer's.
    Customer(AccountNumber),
    /// With another bank.
    Settlement(BankName, Currency),
    /// The bank's own.
    Internal(Internal, Currency),
}

impl fmt::Display for LedgerAccount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LedgerAccount::Customer(number) => write!(f, "customer:{number}"),
            LedgerAccount::Settlement(bank, currency) => write!(f, "settlement:{bank}:{currency}"),
            LedgerAccount::Internal(Internal::Cash, currency) => write!(f, "cash:{currency}"),
            LedgerAccount::Internal(Internal::Suspense, currency) => write!(f, "suspense:{currency}"),
        }
    }
}

impl FromStr for LedgerAccount {
    type Err = Refusal;

    fn from_str(text: &str) -> Result<Self, Refusal> {
        let (kind, rest) = text.split_once(':').ok_or(Refusal::BadAccount)?;
        Ok(match kind {
            "customer" => LedgerAccount::Customer(rest.parse()?),
            "settlement" => {
                let (bank, currency) = rest.split_once(':').ok_or(Refusal::BadAccount)?;
                let bank = BankName::new(bank).map_err(|_| Refusal::UnknownBank)?;
                LedgerAccount::Settlement(bank, Currency::new(currency)?)
            }
            "cash" => LedgerAccount::Internal(Internal::Cash, Currency::new(rest)?),
            "suspense" => LedgerAccount::Internal(Internal::Suspense, Currency::new(rest)?),
            _ => return Err(Refusal::BadAccount),
        })
    }
}

/// One leg of a posting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leg {
    /// Whose balance.
    pub account: LedgerAccount,
    /// By how much, in minor units.
    pub minor_units: i64,
}

/// A journal entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// By the bank's clock, milliseconds since the Unix epoch.
    pub at_ms: i64,
    /// Money that it moves.
    pub legs: Vec<Leg>,
    /// What it records.
    pub kind: Kind,
}

/// What an entry records.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // each field is documented in journal.proto
pub enum Kind {
    PersonAdded {
        person: PersonId,
        row_digest: Bytes,
    },
    DeviceAdded {
        person: PersonId,
        public: PublicKey,
    },
    AccountOpened {
        number: AccountNumber,
        person: PersonId,
        currency: Currency,
        name: Arc<str>,
        request: [u8; 16],
    },
    Cash {
        account: AccountNumber,
        reason: String,
        operator: String,
        request: [u8; 16],
    },
    CapSet {
        counterpart: BankName,
        currency: Currency,
        cap: i64,
        operator: String,
    },
    Outcome(Box<OutcomeEntry>),
    Void {
        order: Arc<ReceivedOrder>,
        signature: v1::Signature,
        statement: v1::Statement,
    },
    Acknowledged {
        acknowledgement: v1::Statement,
    },
    Promised {
        order: Arc<ReceivedOrder>,
        signature: v1::Signature,
        vote: v1::Statement,
        payee: AccountNumber,
    },
    Posted {
        order: Arc<ReceivedOrder>,
        outcome: v1::Statement,
        payee: Option<AccountNumber>,
        promised: bool,
        acknowledgement: v1::Statement,
    },
    Released {
        order: Arc<ReceivedOrder>,
        statement: v1::Statement,
        promised: bool,
        acknowledgement: v1::Statement,
    },
}

impl Kind {
    /// What it is called in journal.proto.
    pub fn name(&self) -> &'static str {
        match self {
            Kind::PersonAdded { .. } => "person_added",
            Kind::DeviceAdded { .. } => "device_added",
            Kind::AccountOpened { .. } => "account_opened",
            Kind::Cash { .. } => "cash",
            Kind::CapSet { .. } => "cap_set",
            Kind::Outcome(_) => "outcome",
            Kind::Void { .. } => "void",
            Kind::Acknowledged { .. } => "acknowledged",
            Kind::Promised { .. } => "promised",
            Kind::Posted { .. } => "posted",
            Kind::Released { .. } => "released",
        }
    }
}

/// The payer's bank's one outcome for a key.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // each field is documented in journal.proto
pub struct OutcomeEntry {
    pub order: Arc<ReceivedOrder>,
    pub signature: Option<v1::Signature>,
    pub verdict: Verdict,
    pub statement: v1::Statement,
    pub vote: Option<v1::Statement>,
    pub owed: bool,
    pub payee: Option<AccountNumber>,
    pub cancel: Option<v1::Signature>,
}

impl Entry {
    /// The stored form.
    pub fn to_wire(&self) -> pb::Entry {
        let signed = |order: &ReceivedOrder, signature: Option<&v1::Signature>| {
            Some(v1::SignedOrder { order: order.bytes().clone(), signature: signature.cloned() })
        };
        let text = |number: &AccountNumber| number.to_string();
        let kind = match &self.kind {
            Kind::PersonAdded { person, row_digest } => pb::entry::Kind::PersonAdded(pb::PersonAdded {
                person_id: copy(&person.0),
                row_digest: row_digest.clone(),
            }),
            Kind::DeviceAdded { person, public } => pb::entry::Kind::DeviceAdded(pb::DeviceAdded {
                key_id: copy(&public.id().0),
                person_id: copy(&person.0),
                public_key: copy(&public.0),
            }),
            Kind::AccountOpened { number, person, currency, name, request } => {
                pb::entry::Kind::AccountOpened(pb::AccountOpened {
                    number: text(number),
                    person_id: copy(&person.0),
                    currency: currency.code().to_owned(),
                    name: name.to_string(),
                    request_id: copy(request),
                })
            }
            Kind::Cash { account, reason, operator, request } => pb::entry::Kind::Cash(pb::Cash {
                account: text(account),
                reason: reason.clone(),
                operator: operator.clone(),
                request_id: copy(request),
            }),
            Kind::CapSet { counterpart, currency, cap, operator } => pb::entry::Kind::CapSet(pb::CapSet {
                counterpart: counterpart.to_string(),
                currency: currency.code().to_owned(),
                cap: *cap,
                operator: operator.clone(),
            }),
            Kind::Outcome(outcome) => pb::entry::Kind::Outcome(pb::Outcome {
                order: signed(&outcome.order, outcome.signature.as_ref()),
                statement: Some(outcome.statement.clone()),
                vote: outcome.vote.clone(),
                owed: outcome.owed,
                payee_number: outcome.payee.as_ref().map(text).unwrap_or_default(),
                cancel: outcome.cancel.clone(),
            }),
            Kind::Void { order, signature, statement } => pb::entry::Kind::Void(pb::Void {
                order: signed(order, Some(signature)),
                statement: Some(statement.clone()),
            }),
            Kind::Acknowledged { acknowledgement } => pb::entry::Kind::Acknowledged(pb::Acknowledged {
                acknowledgement: Some(acknowledgement.clone()),
            }),
            Kind::Promised { order, signature, vote, payee } => pb::entry::Kind::Promised(pb::Promised {
                order: signed(order, Some(signature)),
                vote: Some(vote.clone()),
                payee_number: text(payee),
            }),
            Kind::Posted { order, outcome, payee, promised, acknowledgement } => {
                pb::entry::Kind::Posted(pb::Posted {
                    order: order.bytes().clone(),
                    outcome: Some(outcome.clone()),
                    payee_number: payee.as_ref().map(text).unwrap_or_default(),
                    promised: *promised,
                    acknowledgement: Some(acknowledgement.clone()),
                })
            }
            Kind::Released { order, statement, promised, acknowledgement } => {
                pb::entry::Kind::Released(pb::Released {
                    order: order.bytes().clone(),
                    statement: Some(statement.clone()),
                    promised: *promised,
                    acknowledgement: Some(acknowledgement.clone()),
                })
            }
        };
        let legs = self
            .legs
            .iter()
            .map(|leg| pb::Leg { account: leg.account.to_string(), minor_units: leg.minor_units })
            .collect();
        pb::Entry { version: ENTRY_VERSION, at_ms: self.at_ms, legs, kind: Some(kind) }
    }

    /// Reads the stored form.
    ///
    /// # Errors
    /// A [`Refusal`] where the entry is malformed or of a newer version.
    pub fn from_wire(wire: pb::Entry) -> Result<Self, Refusal> {
        if wire.version != ENTRY_VERSION {
            return Err(Refusal::UnknownVersion);
        }
        let legs = wire
            .legs
            .into_iter()
            .map(|leg| Ok(Leg { account: leg.account.parse()?, minor_units: leg.minor_units }))
            .collect::<Result<_, Refusal>>()?;
        let bank = |name: &str| BankName::new(name).map_err(|_| Refusal::UnknownBank);
        let kind = match wire.kind.ok_or(Refusal::Malformed)? {
            pb::entry::Kind::PersonAdded(added) => {
                Kind::PersonAdded { person: person(&added.person_id)?, row_digest: added.row_digest }
            }
            pb::entry::Kind::DeviceAdded(added) => Kind::DeviceAdded {
                person: person(&added.person_id)?,
                public: PublicKey::from_slice(&added.public_key)?,
            },
            pb::entry::Kind::AccountOpened(opened) => Kind::AccountOpened {
                number: opened.number.parse()?,
                person: person(&opened.person_id)?,
                currency: Currency::new(&opened.currency)?,
                name: Arc::from(opened.name),
                request: sixteen(&opened.request_id)?,
            },
            pb::entry::Kind::Cash(cash) => Kind::Cash {
                account: cash.account.parse()?,
                reason: cash.reason,
                operator: cash.operator,
                request: sixteen(&cash.request_id)?,
            },
            pb::entry::Kind::CapSet(set) => Kind::CapSet {
                counterpart: bank(&set.counterpart)?,
                currency: Currency::new(&set.currency)?,
                cap: set.cap,
                operator: set.operator,
            },
            pb::entry::Kind::Outcome(outcome) => {
                let (order, signature) = signed_order(outcome.order)?;
                let statement = outcome.statement.ok_or(Refusal::Malformed)?;
                Kind::Outcome(Box::new(OutcomeEntry {
                    verdict: verdict_of(&statement, &order)?,
                    order,
                    signature,
                    statement,
                    vote: outcome.vote,
                    owed: outcome.owed,
                    payee: optional_number(&outcome.payee_number)?,
                    cancel: outcome.cancel,
                }))
            }
            pb::entry::Kind::Void(void) => {
                let (order, signature) = signed_order(void.order)?;
                Kind::Void {
                    order,
                    signature: signature.unwrap_or_default(),
                    statement: void.statement.ok_or(Refusal::Malformed)?,
                }
            }
            pb::entry::Kind::Acknowledged(acknowledged) => Kind::Acknowledged {
                acknowledgement: acknowledged.acknowledgement.ok_or(Refusal::Malformed)?,
            },
            pb::entry::Kind::Promised(promised) => {
                let (order, signature) = signed_order(promised.order)?;
                Kind::Promised {
                    order,
                    signature: signature.unwrap_or_default(),
                    vote: promised.vote.ok_or(Refusal::Malformed)?,
                    payee: promised.payee_number.parse()?,
                }
            }
            pb::entry::Kind::Posted(posted) => Kind::Posted {
                order: Arc::new(ReceivedOrder::decode(posted.order)?),
                outcome: posted.outcome.ok_or(Refusal::Malformed)?,
                payee: optional_number(&posted.payee_number)?,
                promised: posted.promised,
                acknowledgement: posted.acknowledgement.ok_or(Refusal::Malformed)?,
            },
            pb::entry::Kind::Released(released) => Kind::Released {
                order: Arc::new(ReceivedOrder::decode(released.order)?),
                statement: released.statement.ok_or(Refusal::Malformed)?,
                promised: released.promised,
                acknowledgement: released.acknowledgement.ok_or(Refusal::Malformed)?,
            },
        };
        Ok(Self { at_ms: wire.at_ms, legs, kind })
    }
}

fn copy(bytes: &[u8]) -> Bytes {
    Bytes::copy_from_slice(bytes)
}

pub(crate) fn sixteen(bytes: &[u8]) -> Result<[u8; 16], Refusal> {
    bytes.try_into().map_err(|_| Refusal::BadId)
}

pub(crate) fn person(bytes: &[u8]) -> Result<PersonId, Refusal> {
    sixteen(bytes).map(PersonId)
}

fn optional_number(text: &str) -> Result<Option<AccountNumber>, Refusal> {
    if text.is_empty() { Ok(None) } else { text.parse().map(Some) }
}

fn signed_order(
    wire: Option<v1::SignedOrder>,
) -> Result<(Arc<ReceivedOrder>, Option<v1::Signature>), Refusal> {
    let wire = wire.ok_or(Refusal::Malformed)?;
    Ok((Arc::new(ReceivedOrder::decode(wire.order)?), wire.signature))
}

pub(crate) fn verdict_of(statement: &v1::Statement, order: &ReceivedOrder) -> Result<Verdict, Refusal> {
    use strife_proto::statement::{Statement, Word};
    match Statement::read(statement, &order.order().network)?.word {
        Word::Outcome(verdict) => Ok(verdict),
        _ => Err(Refusal::Malformed),
    }
}
