//! The one function that changes state. The writer calls it on its overlay for each entry that it is about to
//! append; replay calls it for each entry that it reads; so both give the same state (I10).

use std::sync::Arc;

use strife_proto::commit::payee::{Payee, Record as PayeeRecord};
use strife_proto::commit::payer::Record as PayerRecord;
use strife_proto::commit::{BankName, Key, OrderHash, Placement, Verdict};
use strife_proto::domain::{AccountNumber, Currency, ReceivedOrder};
use strife_proto::statement::Statement;
use strife_proto::v1;

use crate::ledger::entry::{Entry, Kind, LedgerAccount, OutcomeEntry};
use crate::ledger::overlay::Overlay;
use crate::ledger::state::{
    Account, AccountState, Credit, Device, PayeeKnown, PayerKnown, Promise, Request, VoidKnown,
};

/// An entry that does not fit the state. At replay it means that the journal is not this program's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ApplyError {
    /// The legs do not sum to zero.
    #[error("the legs do not sum to zero")]
    Unbalanced,
    /// A balance would not fit 64 bits.
    #[error("the balance of {0} would not fit 64 bits")]
    Overflow(String),
    /// It names an account that is not there.
    #[error("there is no account {0}")]
    NoAccount(AccountNumber),
    /// It ends a promise that is not there.
    #[error("there is no promise for {0}")]
    NoPromise(Key),
    /// A stored statement cannot be read.
    #[error("a stored statement cannot be read")]
    Statement,
    /// A person or account that exists already.
    #[error("it stands twice")]
    Twice,
}

/// Changes the state by one entry and moves on to the next position.
///
/// # Errors
/// [`ApplyError`]; the overlay is then not to be used.
pub fn apply(overlay: &mut Overlay<'_>, entry: &Entry) -> Result<(), ApplyError> {
    let position = overlay.next_position;
    post(overlay, entry)?;
    match &entry.kind {
        // the row itself was loaded, or is inserted, beside the journal
        Kind::PersonAdded { .. } => {}
        Kind::DeviceAdded { person, public } => {
            overlay.devices.insert(public.id(), Device { person: *person, public: *public });
        }
        Kind::AccountOpened { number, person, currency, name, request } => {
            if overlay.accounts.get(number).is_some() {
                return Err(ApplyError::Twice);
            }
            let account = Account {
                person: *person,
                currency: *currency,
                name: name.clone(),
                posted: 0,
                held: 0,
                incoming: 0,
                floor: 0,
                state: AccountState::Open,
            };
            overlay.accounts.insert(*number, account);
            if let Some(owner) = overlay.people.get_mut(person) {
                owner.accounts.push(*number);
            }
            overlay.next_account_body += 1;
            overlay.requests.insert(*request, Request::Account(*number));
        }
        Kind::Cash { request, .. } => overlay.requests.insert(*request, Request::Cash(position)),
        Kind::CapSet { counterpart, currency, cap, .. } => {
            let key = (counterpart.clone(), *currency);
            let mut settlement = overlay.settlements.get(&key).copied().unwrap_or_default();
            settlement.cap = *cap;
            overlay.settlements.insert(key, settlement);
        }
        Kind::Outcome(outcome) => record_outcome(overlay, outcome, position)?,
        Kind::Void { order, statement, .. } => {
            let known = VoidKnown { statement: statement.clone(), position };
            overlay.voids.insert((order.key().clone(), order.hash()), known);
        }
        Kind::Acknowledged { acknowledgement } => {
            let network = overlay.own.network.as_str();
            let said = Statement::read(acknowledgement, network).map_err(|_| ApplyError::Statement)?;
            let mut known = payer_known(overlay, &said.key);
            known.payer.apply(PayerRecord::Acknowledged { hash: said.hash });
            known.acknowledgement = Some(acknowledgement.clone());
            known.order = None;
            known.position = position;
            overlay.payers.insert(said.key, Arc::new(known));
        }
        Kind::Promised { order, signature, vote, payee } => {
            promise(overlay, order, *payee, 1)?;
            let promise = Promise {
                order: ReceivedOrder::clone(order),
                signature: signature.clone(),
                vote: vote.clone(),
                payee: *payee,
                at_ms: entry.at_ms,
            };
            overlay.promises.insert((order.key().clone(), order.hash()), Arc::new(promise));
        }
        Kind::Posted { order, payee, promised, acknowledgement, .. } => {
            let placement = if payee.is_some() { Placement::Account } else { Placement::Suspense };
            let record = PayeeRecord::Posted { placement, promised: *promised };
            end_promise(overlay, order, record, *promised, acknowledgement, position)?;
            credit(overlay, order, *payee, position);
        }
        Kind::Released { order, promised, acknowledgement, .. } => {
            let record = PayeeRecord::Released { promised: *promised };
            end_promise(overlay, order, record, *promised, acknowledgement, position)?;
        }
    }
    overlay.next_position += 1;
    Ok(())
}

/// Books the legs of an entry, which must sum to zero for each currency.
fn post(overlay: &mut Overlay<'_>, entry: &Entry) -> Result<(), ApplyError> {
    // nearly always one currency
    let mut sums: Vec<(Currency, i128)> = Vec::with_capacity(1);
    for leg in &entry.legs {
        let overflow = || ApplyError::Overflow(leg.account.to_string());
        let currency = match &leg.account {
            LedgerAccount::Customer(number) => {
                let account = overlay.accounts.get_mut(number).ok_or(ApplyError::NoAccount(*number))?;
                account.posted = account.posted.checked_add(leg.minor_units).ok_or_else(overflow)?;
                account.currency
            }
            LedgerAccount::Settlement(bank, currency) => {
                let key = (bank.clone(), *currency);
                let mut settlement = overlay.settlements.get(&key).copied().unwrap_or_default();
                settlement.posted = settlement.posted.checked_add(leg.minor_units).ok_or_else(overflow)?;
                overlay.settlements.insert(key, settlement);
                *currency
            }
            LedgerAccount::Internal(kind, currency) => {
                let key = (*kind, *currency);
                let balance = overlay.internal.get(&key).copied().unwrap_or(0);
                let balance = balance.checked_add(leg.minor_units).ok_or_else(overflow)?;
                overlay.internal.insert(key, balance);
                *currency
            }
        };
        let minor_units = i128::from(leg.minor_units);
        match sums.iter_mut().find(|(other, _)| *other == currency) {
            Some((_, sum)) => *sum += minor_units,
            None => sums.push((currency, minor_units)),
        }
    }
    if sums.iter().any(|(_, sum)| *sum != 0) { Err(ApplyError::Unbalanced) } else { Ok(()) }
}

/// What is in memory of a key; the writer has loaded older knowledge into the overlay before.
fn payer_known(overlay: &Overlay<'_>, key: &Key) -> PayerKnown {
    overlay.payers.get(key).map(|known| PayerKnown::clone(known)).unwrap_or_default()
}

fn record_outcome(overlay: &mut Overlay<'_>, entry: &OutcomeEntry, position: u64) -> Result<(), ApplyError> {
    let order = &entry.order;
    let mut known = payer_known(overlay, order.key());
    known.payer.apply(PayerRecord::Outcome { hash: order.hash(), verdict: entry.verdict, owed: entry.owed });
    known.outcome = Some(entry.statement.clone());
    known.order = entry.owed.then(|| order.bytes().clone());
    known.payer_account = Some(order.order().payer);
    known.payee_bank = Some(order.order().payee.bank.clone());
    known.position = position;
    overlay.payers.insert(order.key().clone(), Arc::new(known));
    if entry.verdict != Verdict::Posted {
        return Ok(());
    }
    credit(overlay, order, entry.payee, position);
    let Some(original) = &order.order().refund_of else { return Ok(()) };
    // at replay it may have left memory: the projections hold it
    if let Some(credit) = overlay.credits.get_mut(original) {
        let refunded = credit.refunded.checked_add(order.order().amount.minor_units());
        credit.refunded =
            refunded.ok_or_else(|| ApplyError::Overflow(format!("the refunds of {original}")))?;
        credit.position = position;
    }
    Ok(())
}

/// Remembers money that was placed on an account here, so that it can be refunded.
fn credit(overlay: &mut Overlay<'_>, order: &ReceivedOrder, payee: Option<AccountNumber>, position: u64) {
    let Some(credit) = payee.and_then(|account| Credit::of(order, account, position)) else { return };
    if overlay.credits.get(order.key()).is_none() {
        overlay.credits.insert(order.key().clone(), credit);
    }
}

/// Counts a promise in (`sign` 1) or out (−1): the payee's incoming money, the counterpart's exposure.
fn promise(
    overlay: &mut Overlay<'_>,
    order: &ReceivedOrder,
    payee: AccountNumber,
    sign: i64,
) -> Result<(), ApplyError> {
    let amount = order.order().amount.minor_units() * sign;
    let overflow = || ApplyError::Overflow(payee.to_string());
    let account = overlay.accounts.get_mut(&payee).ok_or(ApplyError::NoAccount(payee))?;
    account.incoming = account.incoming.checked_add(amount).ok_or_else(overflow)?;
    let payer_bank: &BankName = &order.key().bank;
    let key = (payer_bank.clone(), order.order().amount.currency());
    let mut settlement = overlay.settlements.get(&key).copied().unwrap_or_default();
    settlement.promised = settlement.promised.checked_add(amount).ok_or_else(overflow)?;
    overlay.settlements.insert(key, settlement);
    let payer = (payer_bank.clone(), order.order().payer);
    let count = overlay.promise_counts.get(&payer).copied().unwrap_or(0);
    match count.saturating_add_signed(sign as isize) {
        0 => overlay.promise_counts.remove(&payer),
        count => overlay.promise_counts.insert(payer, count),
    }
    Ok(())
}

fn end_promise(
    overlay: &mut Overlay<'_>,
    order: &ReceivedOrder,
    record: PayeeRecord,
    promised: bool,
    acknowledgement: &v1::Statement,
    position: u64,
) -> Result<(), ApplyError> {
    let key: (Key, OrderHash) = (order.key().clone(), order.hash());
    let mut payee = overlay.payees.get(&key).map_or(Payee::Unknown, |known| known.payee);
    if promised {
        let stored = overlay.promises.get(&key).ok_or_else(|| ApplyError::NoPromise(key.0.clone()))?;
        let account = stored.payee;
        promise(overlay, order, account, -1)?;
        overlay.promises.remove(&key);
        payee = Payee::Promised;
    }
    payee.apply(record);
    let known = PayeeKnown { payee, acknowledgement: acknowledgement.clone(), position };
    overlay.payees.insert(key, known);
    Ok(())
}
