//! Both sides of every transfer between two banks, in a scratch file, so that memory stays bounded.

use std::path::Path;

use rusqlite::{Connection, params};
use strife_proto::commit::{BankName, TransferId, Verdict};
use strife_proto::domain::ReceivedOrder;
use strife_proto::statement::Statement;

use super::Transfer;
use crate::ledger::{Entry, Kind};

const SCHEMA: &str = "
    PRAGMA journal_mode = OFF;
    PRAGMA synchronous = OFF;
    CREATE TABLE sides (
        bank TEXT NOT NULL, id BLOB NOT NULL, hash BLOB NOT NULL, currency TEXT NOT NULL, amount INTEGER NOT NULL,
        decided TEXT, decided_at INTEGER, acknowledged INTEGER,
        promised_at INTEGER, ended TEXT, ended_at INTEGER, unpromised INTEGER,
        outcomes INTEGER NOT NULL DEFAULT 0, debits INTEGER NOT NULL DEFAULT 0, credits INTEGER NOT NULL DEFAULT 0,
        PRIMARY KEY (bank, id, hash)) STRICT, WITHOUT ROWID;
";

/// Words of the scratch file.
const POSTED: &str = "posted";
const SUSPENSE: &str = "posted in suspense";
const RELEASED: &str = "released";
const VOID: &str = "void";

/// The scratch file.
#[derive(Debug)]
pub(super) struct Sides(Connection);

impl Sides {
    pub fn create(path: &Path) -> rusqlite::Result<Self> {
        let connection = Connection::open(path)?;
        connection.execute_batch(SCHEMA)?;
        Ok(Self(connection))
    }

    pub fn begin(&self) -> rusqlite::Result<()> {
        self.0.execute_batch("BEGIN")
    }

    pub fn end(&self) -> rusqlite::Result<()> {
        self.0.execute_batch("COMMIT")
    }

    /// Notes what an entry says of a transfer with the other bank.
    pub fn note(
        &self,
        entry: &Entry,
        network: &str,
        other: &BankName,
        position: u64,
    ) -> rusqlite::Result<()> {
        match &entry.kind {
            Kind::Outcome(outcome) if outcome.order.order().payee.bank == *other => {
                let decided = match outcome.verdict {
                    Verdict::Posted => POSTED.to_owned(),
                    Verdict::Declined(code) => format!("declined ({code})"),
                };
                let set = match outcome.verdict {
                    Verdict::Posted => {
                        "decided = ?4, decided_at = ?5, outcomes = outcomes + 1, debits = debits + 1"
                    }
                    Verdict::Declined(_) => "decided = ?4, decided_at = ?5, outcomes = outcomes + 1",
                };
                self.set(&outcome.order, set, Some(&decided), position)
            }
            Kind::Void { order, .. } if order.order().payee.bank == *other => {
                // an outcome for the same bytes says more
                let set = "decided = coalesce(decided, ?4), decided_at = coalesce(decided_at, ?5)";
                self.set(order, set, Some(VOID), position)
            }
            Kind::Acknowledged { acknowledgement } => {
                let Ok(said) = Statement::read(acknowledgement, network) else { return Ok(()) };
                self.0
                    .prepare_cached(
                        "UPDATE sides SET acknowledged = 1 WHERE bank = ?1 AND id = ?2 AND hash = ?3",
                    )?
                    .execute(params![said.key.bank.as_str(), said.key.id.0, said.hash.0])?;
                Ok(())
            }
            Kind::Promised { order, .. } if order.key().bank == *other => {
                self.set(order, "promised_at = ?5, ended = coalesce(ended, ?4)", None, position)
            }
            Kind::Posted { order, payee, promised, .. } if order.key().bank == *other => {
                let ended = if payee.is_some() { POSTED } else { SUSPENSE };
                let set = match promised {
                    true => "ended = ?4, ended_at = ?5, credits = credits + 1",
                    false => "ended = ?4, ended_at = ?5, credits = credits + 1, unpromised = 1",
                };
                self.set(order, set, Some(ended), position)
            }
            Kind::Released { order, .. } if order.key().bank == *other => {
                self.set(order, "ended = ?4, ended_at = ?5", Some(RELEASED), position)
            }
            _ => Ok(()),
        }
    }

    /// Sets columns of a transfer's row, from a word (`?4`) and a journal position (`?5`).
    fn set(
        &self,
        order: &ReceivedOrder,
        columns: &str,
        word: Option<&str>,
        position: u64,
    ) -> rusqlite::Result<()> {
        let (key, hash, amount) = (order.key(), order.hash(), order.order().amount);
        let (bank, currency) = (key.bank.as_str(), amount.currency().code());
        let insert =
            "INSERT OR IGNORE INTO sides (bank, id, hash, currency, amount) VALUES (?1, ?2, ?3, ?4, ?5)";
        self.0.prepare_cached(insert)?.execute(params![
            bank,
            key.id.0,
            hash.0,
            currency,
            amount.minor_units()
        ])?;
        let update = format!("UPDATE sides SET {columns} WHERE bank = ?1 AND id = ?2 AND hash = ?3");
        self.0.prepare_cached(&update)?.execute(params![
            bank,
            key.id.0,
            hash.0,
            word,
            position.cast_signed()
        ])?;
        Ok(())
    }

    /// Every transfer that is not posted on both sides, or declined and gone; `true` with one on which they differ.
    pub fn each_to_look_at(&self, mut told: impl FnMut(Transfer, bool)) -> rusqlite::Result<()> {
        let mut statement = self.0.prepare(
            "SELECT bank, id, currency, amount, decided, decided_at, acknowledged, promised_at, ended, ended_at,
                    unpromised, debits, credits,
                    (SELECT sum(outcomes) FROM sides AS each WHERE each.bank = sides.bank AND each.id = sides.id)
                        AS of_key
             FROM sides
             WHERE NOT (decided IS 'posted' AND ended IS 'posted' AND acknowledged IS 1 AND unpromised IS NULL
                        AND debits = 1 AND credits = 1 AND of_key = 1)
             ORDER BY bank, id, hash",
        )?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let both = Both {
                decided: row.get(4)?,
                decided_at: row.get(5)?,
                acknowledged: row.get::<_, Option<i64>>(6)?.is_some(),
                promised_at: row.get(7)?,
                ended: row.get(8)?,
                ended_at: row.get(9)?,
                unpromised: row.get::<_, Option<i64>>(10)?.is_some(),
            };
            let (debits, credits, of_key): (i64, i64, i64) = (row.get(11)?, row.get(12)?, row.get(13)?);
            let once = both.judge();
            let effects = debits - credits;
            let (what, differ) = if of_key > 1 || credits > 1 {
                let told = format!(
                    "a contradiction: the payer's bank has {of_key} outcomes for this key, {debits} of them posted for \
                     these bytes; the payee's bank has posted them {credits} times"
                );
                (told, true)
            } else {
                let Some((what, sign)) = once else { continue };
                (what.to_owned(), sign != 0)
            };
            let minor_units: i64 = row.get(3)?;
            let transfer = Transfer {
                key: format!("{}/{}", row.get::<_, String>(0)?, TransferId(row.get(1)?)),
                currency: row.get(2)?,
                minor_units,
                effect: effects.saturating_mul(minor_units),
                at_payers_bank: both.at_payers_bank(),
                at_payees_bank: both.at_payees_bank(),
                what,
            };
            told(transfer, differ);
        }
        Ok(())
    }
}

/// What both banks have of one transfer.
#[derive(Debug)]
struct Both {
    decided: Option<String>,
    decided_at: Option<i64>,
    acknowledged: bool,
    promised_at: Option<i64>,
    ended: Option<String>,
    ended_at: Option<i64>,
    unpromised: bool,
}

impl Both {
    /// What is to be said, and whether the transfer adds its amount to the sum of the two settlement accounts (1),
    /// takes it off (−1) or leaves it (0); `None` where nothing is to be said.
    fn judge(&self) -> Option<(&'static str, i64)> {
        let promised = self.promised_at.is_some();
        Some(match (self.decided.as_deref(), self.ended.as_deref()) {
            (Some(POSTED), Some(SUSPENSE)) => ("the payee's account could not take it: it is in suspense", 0),
            (Some(POSTED), Some(POSTED)) if self.unpromised => ("posted without a promise", 0),
            (Some(POSTED), Some(POSTED)) => ("posted on both sides; the acknowledgement is on its way", 0),
            (Some(POSTED), Some(_)) => {
                ("a contradiction: posted by the payer's bank, released by the payee's", 1)
            }
            (Some(POSTED), None) if self.acknowledged => {
                ("a contradiction: acknowledged by the payee's bank, which has not posted it", 1)
            }
            (Some(POSTED), None) if promised => ("on its way: promised and not delivered yet", 1),
            (Some(POSTED), None) => ("not delivered, and the payee's bank has no promise", 1),
            (Some(_), Some(POSTED | SUSPENSE)) => {
                ("a contradiction: posted by the payee's bank, and not by the payer's", -1)
            }
            (None, Some(POSTED | SUSPENSE)) => {
                ("a contradiction: posted by the payee's bank, and unknown at the payer's", -1)
            }
            (Some(_), None) if promised => ("declined; the promise still waits for its release", 0),
            (None, None) => ("promised and not decided yet", 0),
            _ => return None,
        })
    }

    fn at_payers_bank(&self) -> String {
        let acknowledged = if self.acknowledged { ", acknowledged" } else { "" };
        match (&self.decided, self.decided_at) {
            (Some(decided), Some(position)) => format!("{decided}, entry {position}{acknowledged}"),
            _ => "no record".to_owned(),
        }
    }

    fn at_payees_bank(&self) -> String {
        match (&self.ended, self.ended_at, self.promised_at) {
            (Some(ended), Some(position), _) => format!("{ended}, entry {position}"),
            (_, _, Some(position)) => format!("promised, entry {position}"),
            _ => "no record".to_owned(),
        }
    }
}
