//! What may stand in a journal once only: an outcome for a key (I4), a promise, its end, an acknowledgement. Everything
//! that has been seen is kept in a scratch file, so that memory stays bounded however long the journal is.

use std::path::Path;

use rusqlite::{Connection, OptionalExtension, params};
use strife_proto::commit::{Key, OrderHash, Verdict};
use strife_proto::statement::Statement;

use crate::ledger::{Entry, Kind};

const SCHEMA: &str = "
    PRAGMA journal_mode = OFF;
    PRAGMA synchronous = OFF;
    CREATE TABLE seen (
        what INTEGER NOT NULL, bank TEXT NOT NULL, id BLOB NOT NULL, hash BLOB NOT NULL, position INTEGER NOT NULL,
        PRIMARY KEY (what, bank, id, hash)) STRICT, WITHOUT ROWID;
    BEGIN;
";

/// What is seen of a key.
#[derive(Clone, Copy)]
enum What {
    Outcome = 1,
    PostedOutcome,
    Void,
    Acknowledged,
    Promised,
    Posted,
    Released,
}

/// Of an outcome there is one for its key, whatever the bytes.
const ANY_BYTES: OrderHash = OrderHash([0; 32]);

/// Everything that was seen.
#[derive(Debug)]
pub(super) struct Keys(Connection);

impl Keys {
    /// Begins with nothing, in a file that is not there yet.
    pub fn create(path: &Path) -> rusqlite::Result<Self> {
        let connection = Connection::open(path)?;
        connection.execute_batch(SCHEMA)?;
        Ok(Self(connection))
    }

    /// Notes an entry, and says what is wrong with it after all that came before.
    pub fn note(&self, entry: &Entry, network: &str, position: u64) -> rusqlite::Result<Option<String>> {
        let twice = |what: &str, key: &Key, before: u64| format!("{what} {key}, as entry {before} was");
        match &entry.kind {
            Kind::Outcome(outcome) => {
                let (key, hash) = (outcome.order.key(), outcome.order.hash());
                if let Some(before) = self.see(What::Outcome, key, &ANY_BYTES, position)? {
                    return Ok(Some(twice("I4: it is a second outcome of", key, before)));
                }
                if outcome.verdict != Verdict::Posted {
                    return Ok(None);
                }
                self.see(What::PostedOutcome, key, &hash, position)?;
                let void = self.seen(What::Void, key, &hash)?;
                Ok(void.map(|before| twice("I6: it posts what can never post:", key, before)))
            }
            Kind::Void { order, .. } => {
                let (key, hash) = (order.key(), order.hash());
                if let Some(before) = self.see(What::Void, key, &hash, position)? {
                    return Ok(Some(twice("it is a second void of", key, before)));
                }
                let posted = self.seen(What::PostedOutcome, key, &hash)?;
                Ok(posted.map(|before| twice("I6: it voids what is posted:", key, before)))
            }
            Kind::Acknowledged { acknowledgement } => {
                // one that cannot be read is told by others
                let Ok(said) = Statement::read(acknowledgement, network) else { return Ok(None) };
                if let Some(before) = self.see(What::Acknowledged, &said.key, &ANY_BYTES, position)? {
                    return Ok(Some(twice("it is a second acknowledgement of", &said.key, before)));
                }
                let decided = self.seen(What::Outcome, &said.key, &ANY_BYTES)?.is_some();
                Ok((!decided)
                    .then(|| format!("it acknowledges {}, which has no outcome before it", said.key)))
            }
            Kind::Promised { order, .. } => {
                let (key, hash) = (order.key(), order.hash());
                for ended in [What::Posted, What::Released] {
                    if let Some(before) = self.seen(ended, key, &hash)? {
                        return Ok(Some(twice("I7: it promises what has ended:", key, before)));
                    }
                }
                let before = self.see(What::Promised, key, &hash, position)?;
                Ok(before.map(|before| twice("I7: it is a second promise of", key, before)))
            }
            Kind::Posted { order, .. } => {
                let before = self.see(What::Posted, order.key(), &order.hash(), position)?;
                Ok(before.map(|before| twice("I7: it is a second posting of", order.key(), before)))
            }
            Kind::Released { order, .. } => {
                let (key, hash) = (order.key(), order.hash());
                if let Some(before) = self.seen(What::Posted, key, &hash)? {
                    return Ok(Some(twice("I2: it releases what is posted:", key, before)));
                }
                let before = self.see(What::Released, key, &hash, position)?;
                Ok(before.map(|before| twice("I7: it is a second release of", key, before)))
            }
            Kind::PersonAdded { .. }
            | Kind::DeviceAdded { .. }
            | Kind::AccountOpened { .. }
            | Kind::Cash { .. }
            | Kind::CapSet { .. } => Ok(None),
        }
    }

    /// Notes one thing; where it was seen before, the entry that had it.
    fn see(&self, what: What, key: &Key, hash: &OrderHash, position: u64) -> rusqlite::Result<Option<u64>> {
        let before = self.seen(what, key, hash)?;
        if before.is_none() {
            self.0.prepare_cached("INSERT INTO seen VALUES (?1, ?2, ?3, ?4, ?5)")?.execute(params![
                what as i64,
                key.bank.as_str(),
                key.id.0,
                hash.0,
                position.cast_signed()
            ])?;
        }
        Ok(before)
    }

    fn seen(&self, what: What, key: &Key, hash: &OrderHash) -> rusqlite::Result<Option<u64>> {
        self.0
            .prepare_cached(
                "SELECT position FROM seen WHERE what = ?1 AND bank = ?2 AND id = ?3 AND hash = ?4",
            )?
            .query_row(params![what as i64, key.bank.as_str(), key.id.0, hash.0], |row| {
                Ok(row.get::<_, i64>(0)?.cast_unsigned())
            })
            .optional()
    }
}
