//! From state to a snapshot's file. Sorted, so that the same state always gives the same bytes.

use std::io::{self, Write};

use bytes::Bytes;
use strife_proto::journal::v1 as pb;
use strife_proto::v1;

use super::SCHEMA_VERSION;
use super::file::FrameWriter;
use crate::journal::Chain;
use crate::ledger::overlay::Table;
use crate::ledger::state::{Account, AccountState, Device, PayerKnown, Promise, Settlement};
use crate::ledger::{LedgerAccount, State};

/// Records in one part.
const RECORDS_PER_PART: usize = 1024;

/// The digest that the snapshot of a state has.
///
/// # Errors
/// A record that is longer than any that this program makes.
pub fn digest(state: &State, chain: &Chain) -> io::Result<[u8; 32]> {
    encode(state, chain, io::sink())
}

/// Writes a state, and returns the digest of the file.
pub(super) fn encode(state: &State, chain: &Chain, out: impl Write) -> io::Result<[u8; 32]> {
    // every field is named, so that a new one cannot be forgotten here
    let State {
        own,
        next_position,
        next_account_body,
        accounts,
        people: _, // rows beside the journal, and which accounts are whose
        devices,
        settlements,
        internal,
        promises,
        promise_counts: _, // counted again
        payers,
        voids: _,    // the projections have them
        payees: _,   // the projections have them
        credits: _,  // the projections have them
        requests: _, // the projections have them
        sessions: _, // rows beside the journal
    } = state;
    let mut out = FrameWriter::begin(out)?;
    out.message(&pb::SnapshotHead {
        schema: SCHEMA_VERSION,
        whose: own.to_string(),
        batch: chain.number,
        hash: Bytes::copy_from_slice(&chain.hash),
        next_position: *next_position,
        next_account_body: *next_account_body,
        accounts: accounts.len() as u64,
    })?;
    let accounts = sorted(accounts).map(|(number, account)| self::account(number.to_string(), account));
    parts(&mut out, accounts, |part| &mut part.accounts)?;
    parts(&mut out, sorted(devices).map(|(_, device)| self::device(device)), |part| &mut part.devices)?;
    let settlements = sorted(settlements).map(|((bank, currency), settlement)| {
        let Settlement { posted, promised, cap } = *settlement;
        let (counterpart, currency) = (bank.to_string(), currency.code().to_owned());
        pb::SnapshotSettlement { counterpart, currency, posted, promised, cap }
    });
    parts(&mut out, settlements, |part| &mut part.settlements)?;
    let internal = sorted(internal).map(|((kind, currency), posted)| pb::SnapshotInternal {
        account: LedgerAccount::Internal(*kind, *currency).to_string(),
        posted: *posted,
    });
    parts(&mut out, internal, |part| &mut part.internal)?;
    parts(&mut out, sorted(promises).map(|(_, promise)| self::promise(promise)), |part| &mut part.promises)?;
    // what is decided and acknowledged stands in the projections
    let owed = sorted(payers).filter(|(_, known)| known.payer.is_owed()).map(|(_, known)| owed_record(known));
    parts(&mut out, owed, |part| &mut part.owed)?;
    out.finish()
}

fn sorted<K: Ord, V>(table: &Table<K, V>) -> impl Iterator<Item = (&K, &V)> {
    let mut records: Vec<(&K, &V)> = table.iter().collect();
    records.sort_unstable_by(|a, b| a.0.cmp(b.0));
    records.into_iter()
}

fn parts<W: Write, T>(
    out: &mut FrameWriter<W>,
    records: impl Iterator<Item = T>,
    list: impl Fn(&mut pb::SnapshotPart) -> &mut Vec<T>,
) -> io::Result<()> {
    let mut records = records.peekable();
    while records.peek().is_some() {
        let mut part = pb::SnapshotPart::default();
        list(&mut part).extend(records.by_ref().take(RECORDS_PER_PART));
        out.message(&part)?;
    }
    Ok(())
}

fn account(number: String, account: &Account) -> pb::SnapshotAccount {
    let Account { person, currency, name, posted, held, incoming, floor, state } = account;
    let state = match state {
        AccountState::Open => pb::AccountState::Open,
        AccountState::Frozen => pb::AccountState::Frozen,
        AccountState::Closed => pb::AccountState::Closed,
    };
    pb::SnapshotAccount {
        number,
        person_id: Bytes::copy_from_slice(&person.0),
        currency: currency.code().to_owned(),
        name: name.to_string(),
        posted: *posted,
        held: *held,
        incoming: *incoming,
        floor: *floor,
        state: state.into(),
    }
}

fn device(device: &Device) -> pb::SnapshotDevice {
    let Device { person, public } = device;
    pb::SnapshotDevice {
        person_id: Bytes::copy_from_slice(&person.0),
        public_key: Bytes::copy_from_slice(&public.0),
    }
}

fn promise(promise: &Promise) -> pb::SnapshotPromise {
    let Promise { order, signature, vote, payee, at_ms } = promise;
    pb::SnapshotPromise {
        order: Some(v1::SignedOrder { order: order.bytes().clone(), signature: Some(signature.clone()) }),
        vote: Some(vote.clone()),
        payee_number: payee.to_string(),
        at_ms: *at_ms,
    }
}

fn owed_record(known: &PayerKnown) -> pb::SnapshotOwed {
    let PayerKnown {
        payer: _, // the outcome says it
        outcome,
        order,
        payee_bank: _,      // the order says it
        acknowledgement: _, // there is none, or it would not be owed
        payer_account: _,   // the order says it
        position,
    } = known;
    pb::SnapshotOwed {
        order: order.clone().unwrap_or_default(),
        outcome: outcome.clone(),
        position: *position,
    }
}
