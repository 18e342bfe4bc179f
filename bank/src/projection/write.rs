//! From journal batches to rows.

use prost::Message;
use rusqlite::{Connection, Transaction, params};
use strife_proto::commit::Key;
use strife_proto::domain::ReceivedOrder;
use strife_proto::statement::Statement;

use super::ProjectionError;
use crate::journal::chain::Batch;
use crate::journal::reader::{ReadError, entries_of};
use crate::ledger::entry::{Entry, Kind, LedgerAccount};

/// `ended_promises.state` of money on the payee's account.
pub(super) const STATE_ACCOUNT: i64 = 1;
/// `ended_promises.state` of money on the suspense account.
pub(super) const STATE_SUSPENSE: i64 = 2;
/// `ended_promises.state` of a release.
pub(super) const STATE_RELEASED: i64 = 3;

/// Projects batches, which follow what is projected, in one transaction.
pub(super) fn project(
    connection: &mut Connection,
    network: &str,
    batches: &[Batch],
) -> Result<(), ProjectionError> {
    let transaction = connection.transaction()?;
    for batch in batches {
        for (entry, position) in entries_of(batch)?.iter().zip(batch.first_position..) {
            let malformed = || ReadError::Malformed(batch.number);
            project_kind(&transaction, network, &entry.kind, position.cast_signed())?
                .ok_or_else(malformed)?;
            project_legs(&transaction, entry, position.cast_signed())?;
        }
        let position = batch.first_position + batch.count - 1;
        transaction
            .prepare_cached("UPDATE progress SET batch = ?1, position = ?2, hash = ?3")?
            .execute(params![batch.number.cast_signed(), position.cast_signed(), batch.hash])?;
    }
    transaction.commit()?;
    Ok(())
}

/// `None` where a stored statement cannot be read.
fn project_kind(
    transaction: &Transaction<'_>,
    network: &str,
    kind: &Kind,
    position: i64,
) -> rusqlite::Result<Option<()>> {
    match kind {
        Kind::Outcome(outcome) => {
            let order = &outcome.order;
            transaction
                .prepare_cached("INSERT OR IGNORE INTO outcomes VALUES (?1, ?2, ?3, ?4, NULL, ?5, ?6)")?
                .execute(params![
                    order.key().id.0,
                    order.hash().0,
                    outcome.statement.encode_to_vec(),
                    outcome.owed,
                    order.order().payer.to_string(),
                    position,
                ])?;
        }
        Kind::Void { order, statement, .. } => {
            transaction
                .prepare_cached("INSERT OR IGNORE INTO voids VALUES (?1, ?2, ?3, ?4)")?
                .execute(params![order.key().id.0, order.hash().0, statement.encode_to_vec(), position])?;
        }
        Kind::Acknowledged { acknowledgement } => {
            let Ok(said) = Statement::read(acknowledgement, network) else { return Ok(None) };
            transaction
                .prepare_cached(
                    "UPDATE outcomes SET acknowledgement = ?2, owed = 0, position = ?3 WHERE id = ?1",
                )?
                .execute(params![said.key.id.0, acknowledgement.encode_to_vec(), position])?;
        }
        Kind::Posted { order, payee, acknowledgement, .. } => {
            let state = if payee.is_some() { STATE_ACCOUNT } else { STATE_SUSPENSE };
            end_promise(transaction, order, state, &acknowledgement.encode_to_vec(), position)?;
        }
        Kind::Released { order, acknowledgement, .. } => {
            end_promise(transaction, order, STATE_RELEASED, &acknowledgement.encode_to_vec(), position)?;
        }
        Kind::PersonAdded { .. }
        | Kind::DeviceAdded { .. }
        | Kind::AccountOpened { .. }
        | Kind::Cash { .. }
        | Kind::CapSet { .. }
        | Kind::Promised { .. } => {}
    }
    Ok(Some(()))
}

fn end_promise(
    transaction: &Transaction<'_>,
    order: &ReceivedOrder,
    state: i64,
    acknowledgement: &[u8],
    position: i64,
) -> rusqlite::Result<()> {
    let key: &Key = order.key();
    transaction
        .prepare_cached("INSERT OR REPLACE INTO ended_promises VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?
        .execute(params![key.bank.as_str(), key.id.0, order.hash().0, state, acknowledgement, position])?;
    Ok(())
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
            .prepare_cached("INSERT INTO movements VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)")?
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
