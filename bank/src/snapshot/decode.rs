//! From a snapshot's file to state.

use std::io::Read;
use std::sync::Arc;

use strife_proto::commit::BankName;
use strife_proto::commit::payer::Record;
use strife_proto::domain::{Currency, ReceivedOrder};
use strife_proto::journal::v1 as pb;
use strife_proto::signing::PublicKey;
use strife_proto::{Refusal, v1};

use super::file::FrameReader;
use super::{SCHEMA_VERSION, Snapshot, Unbelieved};
use crate::journal::Chain;
use crate::ledger::entry::{person, verdict_of};
use crate::ledger::state::{Account, AccountState, Device, Own, PayerKnown, Promise, Settlement};
use crate::ledger::{LedgerAccount, State};

/// Records for which room is made on the word of a head that is not proved yet.
const RESERVED_MAX: u64 = 1 << 22;

/// The batch that a snapshot's head names, which nothing proves yet.
pub(super) fn batch_of(file: impl Read, own: &Own) -> Result<u64, Unbelieved> {
    Ok(head(&mut FrameReader::begin(file)?, own)?.batch)
}

fn head(frames: &mut FrameReader<impl Read>, own: &Own) -> Result<pb::SnapshotHead, Unbelieved> {
    let head: pb::SnapshotHead = frames.message()?.ok_or(Unbelieved::Damaged("it has no head"))?;
    if head.schema > SCHEMA_VERSION {
        return Err(Unbelieved::Schema(head.schema));
    }
    if head.whose != own.to_string() {
        return Err(Unbelieved::Foreign(head.whose));
    }
    Ok(head)
}

/// Reads a snapshot, and checks digest, schema and bank.
pub(super) fn decode(file: impl Read, own: &Own) -> Result<Snapshot, Unbelieved> {
    let mut frames = FrameReader::begin(file)?;
    let head = head(&mut frames, own)?;
    let hash = head.hash.as_ref().try_into().map_err(|_| Unbelieved::Damaged("its head is malformed"))?;
    let mut state = State::new(own.clone());
    state.next_position = head.next_position;
    state.next_account_body = head.next_account_body;
    state.accounts.reserve(head.accounts.min(RESERVED_MAX) as usize);
    while let Some(part) = frames.message::<pb::SnapshotPart>()? {
        take(&mut state, part).map_err(|_| Unbelieved::Damaged("a record is malformed"))?;
    }
    let digest = frames.finish()?;
    let chain = Chain { number: head.batch, next_position: head.next_position, hash };
    Ok(Snapshot { state, chain, digest })
}

fn take(state: &mut State, part: pb::SnapshotPart) -> Result<(), Refusal> {
    // many accounts have one and the same name
    let mut name: Arc<str> = Arc::default();
    for account in part.accounts {
        let number = account.number.parse()?;
        if *name != *account.name {
            name = Arc::from(account.name.as_str());
        }
        state.accounts.insert(number, self::account(account, name.clone())?);
    }
    for device in part.devices {
        let public = PublicKey::from_slice(&device.public_key)?;
        state.devices.insert(public.id(), Device { person: person(&device.person_id)?, public });
    }
    for settlement in part.settlements {
        let bank = BankName::new(&settlement.counterpart).map_err(|_| Refusal::UnknownBank)?;
        let pb::SnapshotSettlement { posted, promised, cap, .. } = settlement;
        let key = (bank, Currency::new(&settlement.currency)?);
        state.settlements.insert(key, Settlement { posted, promised, cap });
    }
    for balance in part.internal {
        let LedgerAccount::Internal(kind, currency) = balance.account.parse()? else {
            return Err(Refusal::BadAccount);
        };
        state.internal.insert((kind, currency), balance.posted);
    }
    for promise in part.promises {
        take_promise(state, promise)?;
    }
    for owed in part.owed {
        let order = ReceivedOrder::decode(owed.order)?;
        let known = self::owed(&order, owed.outcome.ok_or(Refusal::Malformed)?, owed.position)?;
        state.payers.insert(order.key().clone(), Arc::new(known));
    }
    Ok(())
}

fn account(account: pb::SnapshotAccount, name: Arc<str>) -> Result<Account, Refusal> {
    let state = match account.state() {
        pb::AccountState::Open => AccountState::Open,
        pb::AccountState::Frozen => AccountState::Frozen,
        pb::AccountState::Closed => AccountState::Closed,
        pb::AccountState::Unspecified => return Err(Refusal::Malformed),
    };
    Ok(Account {
        person: person(&account.person_id)?,
        currency: Currency::new(&account.currency)?,
        name,
        posted: account.posted,
        held: account.held,
        incoming: account.incoming,
        floor: account.floor,
        state,
    })
}

fn take_promise(state: &mut State, promise: pb::SnapshotPromise) -> Result<(), Refusal> {
    let signed = promise.order.ok_or(Refusal::Malformed)?;
    let order = ReceivedOrder::decode(signed.order)?;
    let (key, hash) = (order.key().clone(), order.hash());
    *state.promise_counts.entry((key.bank.clone(), order.order().payer)).or_default() += 1;
    let promise = Promise {
        order,
        signature: signed.signature.ok_or(Refusal::Malformed)?,
        vote: promise.vote.ok_or(Refusal::Malformed)?,
        payee: promise.payee_number.parse()?,
        at_ms: promise.at_ms,
    };
    state.promises.insert((key, hash), Arc::new(promise));
    Ok(())
}

fn owed(order: &ReceivedOrder, outcome: v1::Statement, position: u64) -> Result<PayerKnown, Refusal> {
    let verdict = verdict_of(&outcome, order)?;
    let mut known = PayerKnown {
        outcome: Some(outcome),
        order: Some(order.bytes().clone()),
        payee_bank: Some(order.order().payee.bank.clone()),
        payer_account: Some(order.order().payer),
        position,
        ..PayerKnown::default()
    };
    known.payer.apply(Record::Outcome { hash: order.hash(), verdict, owed: true });
    Ok(known)
}
