//! The life of one transfer as its bank has recorded it, and what of it can be refunded. Look-ups by key, over the
//! connections of the reader.

use bytes::Bytes;
use rusqlite::{OptionalExtension, Row, params};
use strife_proto::commit::{BankName, Key};
use strife_proto::domain::{AccountNumber, ReceivedOrder};
use strife_proto::statement::Statement;
use strife_proto::v1;

use super::read::{ProjectionReader, malformed, statement_at};
use super::segments::{Index, LookupError};
use super::write::{STATE_ACCOUNT, STATE_PROMISED, STATE_RELEASED};
use crate::ledger::Credit;

/// Orders under one key of another bank that are looked at. There is one, unless that bank breaks the protocol or
/// somebody has used an id twice.
const RIVALS_MAX: i64 = 8;

/// A transfer that this bank has recorded.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// The order.
    pub order: ReceivedOrder,
    /// The account here to which its money was promised or credited.
    pub payee: Option<AccountNumber>,
    /// What is told of it.
    pub reply: v1::LifeReply,
}

impl ProjectionReader {
    /// A payment to an account here that can be refunded, with what is refunded of it. `own` is this bank.
    ///
    /// # Errors
    /// [`LookupError`].
    pub fn credit(&self, own: &BankName, key: &Key) -> Result<Option<Credit>, LookupError> {
        self.believe(if key.bank == *own { Index::Outcomes } else { Index::Promises }, key)?;
        Ok(self.credit_as_it_stands(own, key)?)
    }

    /// The same, where the whole table is compared otherwise.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn credit_as_it_stands(&self, own: &BankName, key: &Key) -> rusqlite::Result<Option<Credit>> {
        let found = if key.bank == *own {
            self.connection
                .prepare_cached(
                    "SELECT order_bytes, payee_account, refunded, position FROM outcomes
                     WHERE id = ?1 AND payee_account IS NOT NULL",
                )?
                .query_row([key.id.0], credit)
                .optional()?
        } else {
            self.connection
                .prepare_cached(
                    "SELECT order_bytes, payee_account, refunded, position FROM promises
                     WHERE bank = ?1 AND id = ?2 AND state = ?3 ORDER BY position LIMIT 1",
                )?
                .query_row(params![key.bank.as_str(), key.id.0, STATE_ACCOUNT], credit)
                .optional()?
        };
        Ok(found.flatten())
    }

    /// What is recorded of a transfer that was decided here.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn decided(&self, key: &Key) -> rusqlite::Result<Option<Recorded>> {
        let mut statement = self.connection.prepare_cached(
            "SELECT order_bytes, payee_account, refunded, position, statement, acknowledgement,
                 acknowledged_at_ms
             FROM outcomes WHERE id = ?1",
        )?;
        let recorded = statement.query_row([key.id.0], |row| {
            let (order, payee) = (order_at(row, 0)?, account_at(row, 1)?);
            let outcome = statement_at(row, 4)?;
            let acknowledged = row.get::<_, Option<Vec<u8>>>(5)?.is_some();
            let acknowledgement = acknowledged.then(|| statement_at(row, 5)).transpose()?;
            let (credited_at_ms, credited_position) = match payee {
                // inside this bank the decision is the credit
                Some(_) => {
                    let said = Statement::read(&outcome, &order.order().network).map_err(|_| malformed(4))?;
                    (said.at_ms, row.get::<_, i64>(3)?.cast_unsigned())
                }
                None => match row.get::<_, Option<i64>>(6)? {
                    Some(at_ms) => (at_ms, row.get::<_, i64>(3)?.cast_unsigned()),
                    None => (0, 0),
                },
            };
            let reply = v1::LifeReply {
                order: order.bytes().clone(),
                outcome: Some(outcome),
                acknowledgement,
                credited_at_ms,
                credited_position,
                refunds: credit(row)?.as_ref().map(refunds),
                ..v1::LifeReply::default()
            };
            Ok(Recorded { order, payee, reply })
        });
        recorded.optional()
    }

    /// What is recorded of a transfer of another bank to an account here: the one with money first.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn promised(&self, key: &Key) -> rusqlite::Result<Vec<Recorded>> {
        let mut statement = self.connection.prepare_cached(
            "SELECT order_bytes, payee_account, refunded, position, state, acknowledgement, promised_at_ms,
                 promised_position
             FROM promises WHERE bank = ?1 AND id = ?2
             ORDER BY state = ?3, state = ?4, position LIMIT ?5",
        )?;
        let order = params![key.bank.as_str(), key.id.0, STATE_RELEASED, STATE_PROMISED, RIVALS_MAX];
        let rows = statement.query_map(order, |row| {
            let (order, payee, state) = (order_at(row, 0)?, account_at(row, 1)?, row.get::<_, i64>(4)?);
            let acknowledgement = (state != STATE_PROMISED).then(|| statement_at(row, 5)).transpose()?;
            let placed = acknowledgement.as_ref().filter(|_| state != STATE_RELEASED);
            let placed = placed.map(|said| Statement::read(said, &order.order().network));
            let placed = placed.transpose().map_err(|_| malformed(5))?;
            let promised: (Option<i64>, Option<i64>) = (row.get(6)?, row.get(7)?);
            let credit = if state == STATE_ACCOUNT { credit(row)? } else { None };
            let reply = v1::LifeReply {
                order: order.bytes().clone(),
                promised_at_ms: promised.0.unwrap_or(0),
                promised_position: promised.1.unwrap_or(0).cast_unsigned(),
                credited_at_ms: placed.as_ref().map_or(0, |said| said.at_ms),
                credited_position: placed.as_ref().map_or(0, |said| said.position),
                acknowledgement,
                refunds: credit.as_ref().map(refunds),
                ..v1::LifeReply::default()
            };
            Ok(Recorded { order, payee, reply })
        })?;
        rows.collect()
    }

    /// Every refund that was posted here, with its journal position: for those who check them all.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn each_refund(
        &self,
        own: &BankName,
        mut each: impl FnMut(&ReceivedOrder, u64) -> rusqlite::Result<()>,
    ) -> rusqlite::Result<()> {
        // of an outgoing transfer exactly one leg is negative: the payer's
        let mut statement = self.connection.prepare(
            "SELECT outcomes.order_bytes, movements.position FROM movements
             JOIN outcomes ON outcomes.id = movements.id
             WHERE movements.refund_id IS NOT NULL AND movements.bank = ?1 AND movements.minor_units < 0",
        )?;
        let mut rows = statement.query([own.as_str()])?;
        while let Some(row) = rows.next()? {
            each(&order_at(row, 0)?, row.get::<_, i64>(1)?.cast_unsigned())?;
        }
        Ok(())
    }
}

/// `order_bytes, payee_account, refunded, position` in the first columns; `None` for what cannot be refunded.
fn credit(row: &Row<'_>) -> rusqlite::Result<Option<Credit>> {
    let (order, refunded) = (order_at(row, 0)?, row.get(2)?);
    let position = row.get::<_, i64>(3)?.cast_unsigned();
    let credit = account_at(row, 1)?.and_then(|account| Credit::of(&order, account, position));
    Ok(credit.map(|credit| Credit { refunded, ..credit }))
}

fn refunds(credit: &Credit) -> v1::Refunds {
    v1::Refunds { refunded: credit.refunded, refundable: credit.refundable() }
}

fn order_at(row: &Row<'_>, column: usize) -> rusqlite::Result<ReceivedOrder> {
    let bytes: Vec<u8> = row.get(column)?;
    ReceivedOrder::decode(Bytes::from(bytes)).map_err(|_| malformed(column))
}

fn account_at(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<AccountNumber>> {
    let text: Option<String> = row.get(column)?;
    text.map(|text| text.parse().map_err(|_| malformed(column))).transpose()
}
