//! From journal batches to rows.

use prost::Message;
use rusqlite::{Connection, OptionalExtension, Transaction, params};
use strife_proto::commit::{Key, Verdict};
use strife_proto::domain::{AccountNumber, ReceivedOrder};
use strife_proto::statement::Statement;

use super::ProjectionError;
use super::segments::{Index, Sums};
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

/// One outcome, and one promise, as they are.
const OUTCOME: &str = "SELECT * FROM outcomes WHERE id = ?1";
const PROMISE: &str = "SELECT * FROM promises WHERE bank = ?1 AND id = ?2 AND hash = ?3";

/// Projects batches in one transaction, if they continue the chain of what is projected, and moves it on.
pub(super) fn project(
    connection: &mut Connection,
    network: &str,
    chain: &mut Chain,
    batches: &[Batch],
) -> Result<(), ProjectionError> {
    let transaction = connection.transaction()?;
    let mut sums = Sums::default();
    let mut next = chain.clone();
    for batch in batches {
        next.advance(batch).map_err(ReadError::from)?;
        for (entry, position) in entries_of(batch)?.iter().zip(batch.first_position..) {
            let malformed = || ReadError::Malformed(batch.number);
            project_kind(&transaction, &mut sums, network, entry, position.cast_signed())?
                .ok_or_else(malformed)?;
            project_legs(&transaction, entry, position.cast_signed())?;
        }
    }
    sums.write(&transaction)?;
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
    sums: &mut Sums,
    network: &str,
    entry: &Entry,
    position: i64,
) -> rusqlite::Result<Option<()>> {
    match &entry.kind {
        Kind::Outcome(outcome) => {
            let order = &outcome.order;
            sums.insert(
                transaction,
                (Index::Outcomes, order.key()),
                "INSERT OR IGNORE INTO outcomes VALUES (?1, ?2, ?3, ?4, NULL, ?5, ?6, ?7, ?8, NULL, 0) RETURNING *",
                params![
                    order.key().id.0,
                    order.hash().0,
                    outcome.statement.encode_to_vec(),
                    outcome.owed,
                    order.order().payer.to_string(),
                    position,
                    order.bytes().as_ref(),
                    outcome.payee.map(|number| number.to_string()),
                ],
            )?;
            if let (Verdict::Posted, Some(original)) = (outcome.verdict, &order.order().refund_of) {
                refund(transaction, sums, order, original)?;
            }
        }
        Kind::Void { order, statement, .. } => {
            sums.insert(
                transaction,
                (Index::Voids, order.key()),
                "INSERT OR IGNORE INTO voids VALUES (?1, ?2, ?3, ?4) RETURNING *",
                params![order.key().id.0, order.hash().0, statement.encode_to_vec(), position],
            )?;
        }
        Kind::Acknowledged { acknowledgement } => {
            let Ok(said) = Statement::read(acknowledgement, network) else { return Ok(None) };
            sums.change(
                transaction,
                (Index::Outcomes, &said.key),
                (OUTCOME, params![said.key.id.0]),
                (
                    "UPDATE outcomes SET acknowledgement = ?2, owed = 0, position = ?3, acknowledged_at_ms = ?4
                     WHERE id = ?1 RETURNING *",
                    params![said.key.id.0, acknowledgement.encode_to_vec(), position, entry.at_ms],
                ),
            )?;
        }
        Kind::Promised { order, payee, .. } => {
            let key = order.key();
            sums.insert(
                transaction,
                (Index::Promises, key),
                "INSERT OR IGNORE INTO promises VALUES (?1, ?2, ?3, ?4, NULL, ?5, ?6, ?7, ?8, ?5, 0) RETURNING *",
                params![
                    key.bank.as_str(),
                    key.id.0,
                    order.hash().0,
                    STATE_PROMISED,
                    position,
                    order.bytes().as_ref(),
                    payee.to_string(),
                    entry.at_ms,
                ],
            )?;
        }
        Kind::Posted { order, payee, acknowledgement, .. } => {
            let state = if payee.is_some() { STATE_ACCOUNT } else { STATE_SUSPENSE };
            let acknowledgement = acknowledgement.encode_to_vec();
            end_promise(transaction, sums, order, state, *payee, &acknowledgement, position)?;
        }
        Kind::Released { order, acknowledgement, .. } => {
            end_promise(
                transaction,
                sums,
                order,
                STATE_RELEASED,
                None,
                &acknowledgement.encode_to_vec(),
                position,
            )?;
        }
        Kind::PersonAdded { .. }
        | Kind::DeviceAdded { .. }
        | Kind::AccountOpened { .. }
        | Kind::Cash { .. }
        | Kind::CapSet { .. } => {}
    }
    Ok(Some(()))
}

fn end_promise(
    transaction: &Transaction<'_>,
    sums: &mut Sums,
    order: &ReceivedOrder,
    state: i64,
    payee: Option<AccountNumber>,
    acknowledgement: &[u8],
    position: i64,
) -> rusqlite::Result<()> {
    let key: &Key = order.key();
    sums.change(
        transaction,
        (Index::Promises, key),
        (PROMISE, params![key.bank.as_str(), key.id.0, order.hash().0]),
        (
            "INSERT INTO promises VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, NULL, NULL, 0)
             ON CONFLICT (bank, id, hash) DO UPDATE SET state = excluded.state,
                 acknowledgement = excluded.acknowledgement, position = excluded.position,
                 payee_account = coalesce(excluded.payee_account, payee_account)
             RETURNING *",
            params![
                key.bank.as_str(),
                key.id.0,
                order.hash().0,
                state,
                acknowledgement,
                position,
                order.bytes().as_ref(),
                payee.map(|number| number.to_string()),
            ],
        ),
    )
}

/// Adds a posted refund to what is refunded of its original: of several orders that were posted under one key, of the
/// first, as in memory.
fn refund(
    transaction: &Transaction<'_>,
    sums: &mut Sums,
    order: &ReceivedOrder,
    original: &Key,
) -> rusqlite::Result<()> {
    let amount = order.order().amount.minor_units();
    if original.bank == order.key().bank {
        return sums.change(
            transaction,
            (Index::Outcomes, original),
            (OUTCOME, params![original.id.0]),
            (
                "UPDATE outcomes SET refunded = refunded + ?2 WHERE id = ?1 AND payee_account IS NOT NULL
                 RETURNING *",
                params![original.id.0, amount],
            ),
        );
    }
    let first: Option<[u8; 32]> = transaction
        .prepare_cached(
            "SELECT hash FROM promises WHERE bank = ?1 AND id = ?2 AND state = ?3 ORDER BY position LIMIT 1",
        )?
        .query_row(params![original.bank.as_str(), original.id.0, STATE_ACCOUNT], |row| row.get(0))
        .optional()?;
    let Some(hash) = first else { return Ok(()) };
    sums.change(
        transaction,
        (Index::Promises, original),
        (PROMISE, params![original.bank.as_str(), original.id.0, hash]),
        (
            "UPDATE promises SET refunded = refunded + ?4 WHERE bank = ?1 AND id = ?2 AND hash = ?3 RETURNING *",
            params![original.bank.as_str(), original.id.0, hash, amount],
        ),
    )
}

fn project_legs(transaction: &Transaction<'_>, entry: &Entry, position: i64) -> rusqlite::Result<()> {
    for (index, leg) in entry.legs.iter().enumerate() {
        let balance: i64 = transaction
            .prepare_cached(
                "INSERT INTO balances VALUES (?1, ?2)
                 ON CONFLICT (account) DO UPDATE SET posted = posted + excluded.posted RETURNING posted",
            )?
            .query_row(params![leg.account.to_string(), leg.minor_units], |row| row.get(0))?;
        let shown = describe(entry, &leg.account);
        transaction
            .prepare_cached(
                "INSERT INTO movements VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
            )?
            .execute(params![
                leg.account.to_string(),
                position,
                index as i64,
                entry.at_ms,
                leg.minor_units,
                balance,
                shown.counterpart,
                shown.memo,
                shown.key.map(|key| key.bank.to_string()),
                shown.key.map(|key| key.id.0),
                shown.kind,
                shown.refund_of.map(|key| key.bank.to_string()),
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
