//! Look-ups in the projections, over connections that cannot write.

use std::cell::RefCell;
use std::path::Path;

use prost::Message;
use rusqlite::{Connection, OptionalExtension, Row, params};
use strife_proto::commit::payee::{Payee, Record as PayeeRecord};
use strife_proto::commit::payer::Record as PayerRecord;
use strife_proto::commit::{BankName, Key, OrderHash, Placement, TransferId};
use strife_proto::domain::{AccountNumber, key_to_wire};
use strife_proto::statement::{Statement, Word};
use strife_proto::v1;

use super::FILE;
use super::segments::{Compared, Index, LookupError, Segment};
use super::write::{STATE_ACCOUNT, STATE_PROMISED, STATE_SUSPENSE};
use crate::journal::connection::open_read_only;
use crate::ledger::entry::LedgerAccount;
use crate::ledger::state::{PayeeKnown, PayerKnown, Request, VoidKnown};

/// A row of an account's history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredMovement {
    /// Index of the leg in its entry.
    pub leg: i64,
    /// For the wire; the currency is the account's.
    pub movement: v1::Movement,
}

/// Reads the projections of one bank.
#[derive(Debug)]
pub struct ProjectionReader {
    pub(super) connection: Connection,
    pub(super) network: String,
    compared: RefCell<Compared>,
}

impl ProjectionReader {
    /// Opens the projections of a data folder.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn open(dir: &Path, network: &str) -> rusqlite::Result<Self> {
        Ok(Self::over(open_read_only(&dir.join(FILE))?, network.to_owned()))
    }

    /// Reads over this connection.
    pub(super) fn over(connection: Connection, network: String) -> Self {
        Self { connection, network, compared: RefCell::default() }
    }

    /// Sees to it that what is found of a key in a table, or not found, is what was projected.
    pub(super) fn believe(&self, index: Index, key: &Key) -> Result<(), LookupError> {
        self.compared.borrow_mut().believe(&self.connection, Segment::of(index, key))
    }

    /// What is recorded of a key that was decided here.
    ///
    /// # Errors
    /// [`LookupError`].
    pub fn payer(&self, key: &Key) -> Result<Option<PayerKnown>, LookupError> {
        self.believe(Index::Outcomes, key)?;
        let outcome = self
            .connection
            .prepare_cached(
                "SELECT hash, statement, owed, acknowledgement, payer_account, position FROM outcomes WHERE id = ?1",
            )?
            .query_row([key.id.0], |row| {
                let statement = statement_at(row, 1)?;
                let verdict = match Statement::read(&statement, &self.network).map(|said| said.word) {
                    Ok(Word::Outcome(verdict)) => verdict,
                    _ => return Err(malformed(1)),
                };
                let record = PayerRecord::Outcome { hash: OrderHash(row.get(0)?), verdict, owed: row.get(2)? };
                let acknowledgement: Option<Vec<u8>> = row.get(3)?;
                let account: AccountNumber = row.get::<_, String>(4)?.parse().map_err(|_| malformed(4))?;
                Ok((record, statement, acknowledgement, account, row.get::<_, i64>(5)?))
            })
            .optional()?;
        let Some((record, statement, acknowledgement, account, position)) = outcome else { return Ok(None) };
        let mut known = PayerKnown::default();
        known.payer.apply(record);
        known.outcome = Some(statement);
        known.acknowledgement = acknowledgement
            .map(|bytes| v1::Statement::decode(&*bytes).map_err(|_| malformed(3)))
            .transpose()?;
        known.payer_account = Some(account);
        known.position = position.cast_unsigned();
        Ok(Some(known))
    }

    /// Whether these bytes were declared void here.
    ///
    /// # Errors
    /// [`LookupError`].
    pub fn void(&self, key: &Key, hash: &OrderHash) -> Result<Option<VoidKnown>, LookupError> {
        self.believe(Index::Voids, key)?;
        let void = self
            .connection
            .prepare_cached("SELECT statement, position FROM voids WHERE id = ?1 AND hash = ?2")?
            .query_row(params![key.id.0, hash.0], |row| {
                let position = row.get::<_, i64>(1)?.cast_unsigned();
                Ok(VoidKnown { statement: statement_at(row, 0)?, position })
            })
            .optional()?;
        Ok(void)
    }

    /// What is recorded of a promise that has ended here.
    ///
    /// # Errors
    /// [`LookupError`].
    pub fn payee(&self, key: &Key, hash: &OrderHash) -> Result<Option<PayeeKnown>, LookupError> {
        self.believe(Index::Promises, key)?;
        let payee = self
            .connection
            .prepare_cached(
                "SELECT state, acknowledgement, position FROM promises
                 WHERE bank = ?1 AND id = ?2 AND hash = ?3 AND state <> ?4",
            )?
            .query_row(params![key.bank.as_str(), key.id.0, hash.0, STATE_PROMISED], |row| {
                let record = match row.get::<_, i64>(0)? {
                    STATE_ACCOUNT => PayeeRecord::Posted { placement: Placement::Account, promised: true },
                    STATE_SUSPENSE => PayeeRecord::Posted { placement: Placement::Suspense, promised: true },
                    _ => PayeeRecord::Released { promised: true },
                };
                let mut payee = Payee::Unknown;
                payee.apply(record);
                Ok(PayeeKnown {
                    payee,
                    acknowledgement: statement_at(row, 1)?,
                    position: row.get::<_, i64>(2)?.cast_unsigned(),
                })
            })
            .optional()?;
        Ok(payee)
    }

    /// What became of an administrator's request.
    ///
    /// # Errors
    /// [`LookupError`].
    pub fn request(&self, id: &[u8; 16]) -> Result<Option<Request>, LookupError> {
        let segment = Segment::at(Index::Requests, String::new(), id);
        self.compared.borrow_mut().believe(&self.connection, segment)?;
        let request = self
            .connection
            .prepare_cached("SELECT account, position FROM requests WHERE id = ?1")?
            .query_row([id], |row| {
                Ok(match row.get::<_, Option<String>>(0)? {
                    Some(number) => Request::Account(number.parse().map_err(|_| malformed(0))?),
                    None => Request::Cash(row.get::<_, i64>(1)?.cast_unsigned()),
                })
            })
            .optional()?;
        Ok(request)
    }

    /// Movements of an account before (position, leg), newest first.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn movements_before(
        &self,
        account: &LedgerAccount,
        before: (u64, i64),
        count_max: usize,
    ) -> rusqlite::Result<Vec<StoredMovement>> {
        let mut statement = self.connection.prepare_cached(
            "SELECT position, leg, at_ms, minor_units, balance_after, counterpart, memo, bank, id, kind,
                 refund_bank, refund_id
             FROM movements WHERE account = ?1 AND (position, leg) < (?2, ?3)
             ORDER BY position DESC, leg DESC LIMIT ?4",
        )?;
        let before_position = i64::try_from(before.0).unwrap_or(i64::MAX);
        let rows = statement
            .query_map(params![account.to_string(), before_position, before.1, count_max as i64], movement)?;
        rows.collect()
    }

    /// Movements of an account after a position, oldest first.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn movements_after(
        &self,
        account: &LedgerAccount,
        position: u64,
        count_max: usize,
    ) -> rusqlite::Result<Vec<StoredMovement>> {
        let mut statement = self.connection.prepare_cached(
            "SELECT position, leg, at_ms, minor_units, balance_after, counterpart, memo, bank, id, kind,
                 refund_bank, refund_id
             FROM movements WHERE account = ?1 AND position > ?2 ORDER BY position, leg LIMIT ?3",
        )?;
        let after = i64::try_from(position).unwrap_or(i64::MAX);
        let rows = statement.query_map(params![account.to_string(), after, count_max as i64], movement)?;
        rows.collect()
    }

    /// Every balance as the projections have summed it, by account.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn balances(&self) -> rusqlite::Result<Vec<(String, i64)>> {
        let mut statement =
            self.connection.prepare("SELECT account, posted FROM balances ORDER BY account")?;
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        rows.collect()
    }
}

fn movement(row: &Row<'_>) -> rusqlite::Result<StoredMovement> {
    Ok(StoredMovement {
        leg: row.get(1)?,
        movement: v1::Movement {
            position: row.get::<_, i64>(0)?.cast_unsigned(),
            at_ms: row.get(2)?,
            minor_units: row.get(3)?,
            currency: String::new(),
            balance_after: row.get(4)?,
            counterpart: row.get(5)?,
            memo: row.get(6)?,
            key: key_at(row, 7)?,
            kind: row.get(9)?,
            refund_of: key_at(row, 10)?,
        },
    })
}

/// A transfer's key in two columns, if there is one.
fn key_at(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<v1::TransferKey>> {
    let (bank, id): (Option<String>, Option<[u8; 16]>) = (row.get(column)?, row.get(column + 1)?);
    let (Some(bank), Some(id)) = (bank, id) else { return Ok(None) };
    let bank = BankName::new(&bank).map_err(|_| malformed(column))?;
    Ok(Some(key_to_wire(&Key { bank, id: TransferId(id) })))
}

pub(super) fn statement_at(row: &Row<'_>, column: usize) -> rusqlite::Result<v1::Statement> {
    let bytes: Vec<u8> = row.get(column)?;
    v1::Statement::decode(&*bytes).map_err(|_| malformed(column))
}

pub(super) fn malformed(column: usize) -> rusqlite::Error {
    rusqlite::Error::InvalidColumnType(column, "stored message".into(), rusqlite::types::Type::Blob)
}
