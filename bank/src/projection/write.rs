//! From journal batches to rows.

use std::borrow::Cow;
use std::collections::BTreeMap;

use prost::Message;
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, Transaction, params};
use strife_proto::commit::{Key, OrderHash, Verdict};
use strife_proto::domain::{AccountNumber, ReceivedOrder};
use strife_proto::statement::Statement;
use strife_proto::v1;

use super::rows::{Columns, Place, Rows};
use super::{Handed, ProjectionError};
use crate::journal::chain::{Batch, Chain};
use crate::journal::reader::{ReadError, entries_of};
use crate::ledger::entry::{Entry, Kind, LedgerAccount};

/// `promises.state` of a promise without an end.
pub(super) const STATE_PROMISED: i64 = 0;
/// `promises.state` of money on the payee's account.
pub(super) const STATE_ACCOUNT: i64 = 1;
/// `promises.state` of money on the suspense account.
pub(super) const STATE_SUSPENSE: i64 = 2;
/// `promises.state` of a release.
pub(super) const STATE_RELEASED: i64 = 3;

/// Columns of `outcomes` that change.
mod outcome {
    pub const OWED: usize = 3;
    pub const ACKNOWLEDGEMENT: usize = 4;
    pub const POSITION: usize = 6;
    pub const PAYEE_ACCOUNT: usize = 8;
    pub const ACKNOWLEDGED_AT_MS: usize = 9;
    pub const REFUNDED: usize = 10;
}

/// Columns of `promises` that change.
mod promise {
    pub const STATE: usize = 3;
    pub const ACKNOWLEDGEMENT: usize = 4;
    pub const POSITION: usize = 5;
    pub const PAYEE_ACCOUNT: usize = 7;
    pub const REFUNDED: usize = 10;
}

fn blob(bytes: &[u8]) -> Value {
    Value::Blob(bytes.to_vec())
}

fn text(of: impl ToString) -> Value {
    Value::Text(of.to_string())
}

fn account(number: Option<AccountNumber>) -> Value {
    number.map_or(Value::Null, text)
}

/// Where a batch comes from.
#[derive(Debug)]
pub(super) enum Source {
    /// Read from the journal: to be checked and decoded.
    Journal(Batch),
    /// Handed over by the writer, which has just made it durable.
    Memory(Handed),
}

impl Source {
    /// Length of its row in the journal.
    pub fn bytes(&self) -> usize {
        match self {
            Source::Journal(batch) => batch.body.len(),
            Source::Memory(batch) => batch.bytes,
        }
    }
}

/// Projects batches in one transaction, if they continue the chain of what is projected, and moves it on.
pub(super) fn project(
    connection: &mut Connection,
    network: &str,
    chain: &mut Chain,
    batches: &[Source],
) -> Result<(), ProjectionError> {
    let transaction = connection.transaction()?;
    let mut rows = Rows::default();
    let mut own = BTreeMap::new();
    let mut next = chain.clone();
    for batch in batches {
        let (entries, first_position) = match batch {
            Source::Journal(batch) => {
                next.advance(batch).map_err(ReadError::from)?;
                (Cow::Owned(entries_of(batch)?), batch.first_position)
            }
            Source::Memory(batch) => {
                next = batch.chain.clone();
                (Cow::Borrowed(batch.entries.as_slice()), batch.first_position)
            }
        };
        for (entry, position) in entries.iter().zip(first_position..) {
            let malformed = || ReadError::Malformed(next.number);
            project_kind(&transaction, &mut rows, network, entry, position.cast_signed())?
                .ok_or_else(malformed)?;
            project_legs(&transaction, &mut own, entry, position.cast_signed())?;
        }
    }
    rows.write(&transaction)?;
    for (account, minor_units) in own {
        add(&transaction, &account, minor_units)?;
    }
    transaction
        .prepare_cached("UPDATE progress SET batch = ?1, position = ?2, hash = ?3")?
        .execute(params![next.number.cast_signed(), (next.next_position - 1).cast_signed(), next.hash])?;
    transaction.commit()?;
    *chain = next;
    Ok(())
}

/// `None` where a stored statement cannot be read.
fn project_kind(
    transaction: &Transaction<'_>,
    rows: &mut Rows,
    network: &str,
    entry: &Entry,
    position: i64,
) -> rusqlite::Result<Option<()>> {
    match &entry.kind {
        Kind::Outcome(outcome) => {
            let order = &outcome.order;
            let columns = vec![
                blob(&order.key().id.0),
                blob(&order.hash().0),
                Value::Blob(outcome.statement.encode_to_vec()),
                Value::Integer(outcome.owed.into()),
                Value::Null,
                text(order.order().payer),
                Value::Integer(position),
                blob(order.bytes()),
                account(outcome.payee),
                Value::Null,
                Value::Integer(0),
            ];
            rows.insert(transaction, Place::outcome(order.key()), columns)?;
            if let (Verdict::Posted, Some(original)) = (outcome.verdict, &order.order().refund_of) {
                refund(transaction, rows, order, original)?;
            }
        }
        Kind::Void { order, statement, .. } => {
            let (key, hash) = (order.key(), order.hash());
            let columns = vec![
                blob(&key.id.0),
                blob(&hash.0),
                Value::Blob(statement.encode_to_vec()),
                Value::Integer(position),
            ];
            rows.insert(transaction, Place::void(key, &hash), columns)?;
        }
        Kind::Acknowledged { acknowledgement } => {
            let Ok(said) = Statement::read(acknowledgement, network) else { return Ok(None) };
            rows.change(transaction, Place::outcome(&said.key), |columns| {
                columns[outcome::ACKNOWLEDGEMENT] = Value::Blob(acknowledgement.encode_to_vec());
                columns[outcome::OWED] = Value::Integer(0);
                columns[outcome::POSITION] = Value::Integer(position);
                columns[outcome::ACKNOWLEDGED_AT_MS] = Value::Integer(entry.at_ms);
            })?;
        }
        Kind::Promised { order, payee, .. } => {
            let columns = promised(order, Some(*payee), position, Some((entry.at_ms, position)));
            rows.insert(transaction, Place::promise(order.key(), &order.hash()), columns)?;
        }
        Kind::Posted { order, payee, acknowledgement, .. } => {
            let state = if payee.is_some() { STATE_ACCOUNT } else { STATE_SUSPENSE };
            end_promise(transaction, rows, order, state, *payee, acknowledgement, position)?;
        }
        Kind::Released { order, acknowledgement, .. } => {
            end_promise(transaction, rows, order, STATE_RELEASED, None, acknowledgement, position)?;
        }
        Kind::AccountOpened { request, number, .. } => {
            let columns = vec![blob(request), text(number), Value::Integer(position)];
            rows.insert(transaction, Place::request(request), columns)?;
        }
        Kind::Cash { request, .. } => {
            let columns = vec![blob(request), Value::Null, Value::Integer(position)];
            rows.insert(transaction, Place::request(request), columns)?;
        }
        Kind::PersonAdded { .. } | Kind::DeviceAdded { .. } | Kind::CapSet { .. } => {}
    }
    Ok(Some(()))
}

/// A row of `promises`; `since` is when the promise was made, if one was, and at which position.
fn promised(
    order: &ReceivedOrder,
    payee: Option<AccountNumber>,
    position: i64,
    since: Option<(i64, i64)>,
) -> Columns {
    let number = |number: Option<i64>| number.map_or(Value::Null, Value::Integer);
    vec![
        text(&order.key().bank),
        blob(&order.key().id.0),
        blob(&order.hash().0),
        Value::Integer(STATE_PROMISED),
        Value::Null,
        Value::Integer(position),
        blob(order.bytes()),
        account(payee),
        number(since.map(|(at_ms, _)| at_ms)),
        number(since.map(|(_, position)| position)),
        Value::Integer(0),
    ]
}

fn end_promise(
    transaction: &Transaction<'_>,
    rows: &mut Rows,
    order: &ReceivedOrder,
    state: i64,
    payee: Option<AccountNumber>,
    acknowledgement: &v1::Statement,
    position: i64,
) -> rusqlite::Result<()> {
    let place = Place::promise(order.key(), &order.hash());
    // what comes to its end without a promise has a row all the same
    rows.insert(transaction, place.clone(), promised(order, payee, position, None))?;
    rows.change(transaction, place, |columns| {
        columns[promise::STATE] = Value::Integer(state);
        columns[promise::ACKNOWLEDGEMENT] = Value::Blob(acknowledgement.encode_to_vec());
        columns[promise::POSITION] = Value::Integer(position);
        if payee.is_some() {
            columns[promise::PAYEE_ACCOUNT] = account(payee);
        }
    })
}

/// Adds a posted refund to what is refunded of its original: of several orders that were posted under one key, of the
/// first, as in memory.
fn refund(
    transaction: &Transaction<'_>,
    rows: &mut Rows,
    order: &ReceivedOrder,
    original: &Key,
) -> rusqlite::Result<()> {
    let amount = order.order().amount.minor_units();
    let add = |column: &mut Value| {
        if let Value::Integer(refunded) = column {
            // no more is refunded than was paid
            *refunded = refunded.saturating_add(amount);
        }
    };
    if original.bank == order.key().bank {
        return rows.change(transaction, Place::outcome(original), |columns| {
            if columns[outcome::PAYEE_ACCOUNT] != Value::Null {
                add(&mut columns[outcome::REFUNDED]);
            }
        });
    }
    // the query below sees what is written alone
    rows.write_rows(transaction)?;
    let first: Option<[u8; 32]> = transaction
        .prepare_cached(
            "SELECT hash FROM promises WHERE bank = ?1 AND id = ?2 AND state = ?3 ORDER BY position LIMIT 1",
        )?
        .query_row(params![original.bank.as_str(), original.id.0, STATE_ACCOUNT], |row| row.get(0))
        .optional()?;
    let Some(hash) = first else { return Ok(()) };
    let place = Place::promise(original, &OrderHash(hash));
    rows.change(transaction, place, |columns| add(&mut columns[promise::REFUNDED]))
}

/// Adds to an account's balance, and tells it.
fn add(transaction: &Transaction<'_>, account: &str, minor_units: i64) -> rusqlite::Result<i64> {
    transaction
        .prepare_cached(
            "INSERT INTO balances VALUES (?1, ?2)
             ON CONFLICT (account) DO UPDATE SET posted = posted + excluded.posted RETURNING posted",
        )?
        .query_row(params![account, minor_units], |row| row.get(0))
}

/// Customers' legs are movements. Of the bank's own accounts, which nearly every entry moves, the sum is kept, and
/// written once: `own` is what has come together.
fn project_legs(
    transaction: &Transaction<'_>,
    own: &mut BTreeMap<String, i64>,
    entry: &Entry,
    position: i64,
) -> rusqlite::Result<()> {
    for (index, leg) in entry.legs.iter().enumerate() {
        let account = leg.account.to_string();
        if !matches!(leg.account, LedgerAccount::Customer(_)) {
            let sum = own.entry(account).or_default();
            // a sum that does not fit was refused when it was decided
            *sum = sum.saturating_add(leg.minor_units);
            continue;
        }
        let balance = add(transaction, &account, leg.minor_units)?;
        let shown = describe(entry, &leg.account);
        transaction
            .prepare_cached(
                "INSERT INTO movements VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
            )?
            .execute(params![
                account,
                position,
                index as i64,
                entry.at_ms,
                leg.minor_units,
                balance,
                shown.counterpart,
                shown.memo,
                shown.key.map(|key| key.bank.as_str()),
                shown.key.map(|key| key.id.0),
                shown.kind,
                shown.refund_of.map(|key| key.bank.as_str()),
                shown.refund_of.map(|key| key.id.0),
            ])?;
    }
    Ok(())
}

/// What a leg's row says beside its numbers.
#[derive(Clone, Debug, Default)]
pub struct Description<'a> {
    /// The other account, `number@bank`; empty for cash.
    pub counterpart: String,
    /// The order's memo, or the reason of a cash entry.
    pub memo: &'a str,
    /// The transfer.
    pub key: Option<&'a Key>,
    /// `transfer` or `cash`.
    pub kind: &'static str,
    /// The payment that the transfer refunds.
    pub refund_of: Option<&'a Key>,
}

/// Describes an entry from the side of one of its accounts.
pub fn describe<'a>(entry: &'a Entry, account: &LedgerAccount) -> Description<'a> {
    let order = match &entry.kind {
        Kind::Outcome(outcome) => &outcome.order,
        Kind::Posted { order, .. } => order,
        Kind::Cash { reason, .. } => {
            return Description { memo: reason, kind: "cash", ..Description::default() };
        }
        _ => return Description { kind: "other", ..Description::default() },
    };
    let said = order.order();
    let payer = matches!(account, LedgerAccount::Customer(number)
        if *number == said.payer && matches!(entry.kind, Kind::Outcome(_)));
    let counterpart =
        if payer { said.payee.to_string() } else { format!("{}@{}", said.payer, said.key.bank) };
    Description {
        counterpart,
        memo: &said.memo,
        key: Some(order.key()),
        kind: "transfer",
        refund_of: said.refund_of.as_ref(),
    }
}
