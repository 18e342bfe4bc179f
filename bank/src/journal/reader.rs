//! Reads the journal again, over a connection of its own that cannot write.

use std::path::Path;

use bytes::Bytes;
use prost::Message;
use rusqlite::{Connection, OptionalExtension, params};
use strife_proto::journal::v1 as pb;

use super::chain::{Batch, Broken};
use super::connection::{open_read_only, open_still};
use super::store::{FILE, PersonRow};
use crate::ledger::{Entry, PersonId};

/// Batches that are stepped over at a time.
const BATCHES_PER_STEP: usize = 512;

/// Why the journal cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// SQLite said so.
    #[error("the journal cannot be read: {0}")]
    Sqlite(#[from] rusqlite::Error),
    /// A batch does not continue the chain.
    #[error(transparent)]
    Broken(#[from] Broken),
    /// A batch's entries cannot be read.
    #[error("batch {0} of the journal cannot be read")]
    Malformed(u64),
}

/// Reads a journal, in order.
pub trait JournalRead: Send + std::fmt::Debug {
    /// Batches after a number, in order, at most `count_max`.
    ///
    /// # Errors
    /// What SQLite says.
    fn batches_after(&self, number: u64, count_max: usize) -> rusqlite::Result<Vec<Batch>>;

    /// Chain hash after a batch.
    ///
    /// # Errors
    /// What SQLite says.
    fn hash_of(&self, number: u64) -> rusqlite::Result<Option<[u8; 32]>>;

    /// Number of the last batch; 0 if there is none. A store that can tell at once does.
    ///
    /// # Errors
    /// What SQLite says.
    fn last_number(&self) -> rusqlite::Result<u64> {
        let mut number = 0;
        while let Some(last) = self.batches_after(number, BATCHES_PER_STEP)?.last() {
            number = last.number;
        }
        Ok(number)
    }

    /// The row of the person who has a log-in name.
    ///
    /// # Errors
    /// What SQLite says.
    fn person(&self, login: &str) -> rusqlite::Result<Option<PersonRow>>;

    /// Goes through all people and their log-in names.
    ///
    /// # Errors
    /// What SQLite says.
    fn each_person(&self, each: &mut dyn FnMut(PersonId, &str)) -> rusqlite::Result<()>;
}

/// A reader of one bank's journal in SQLite.
#[derive(Debug)]
pub struct JournalReader(pub(crate) Connection);

impl JournalReader {
    /// Opens the journal of a data folder.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn open(dir: &Path) -> rusqlite::Result<Self> {
        open_read_only(&dir.join(FILE)).map(Self)
    }
}

/// The journal of a data folder as it lies there, without changing or making a file: one without batches where there
/// is none yet.
///
/// # Errors
/// What SQLite says.
pub(super) fn before(dir: &Path) -> rusqlite::Result<Box<dyn JournalRead>> {
    let path = dir.join(FILE);
    if !path.exists() {
        return Ok(Box::new(Nothing));
    }
    let reader = JournalReader(open_still(&path)?);
    let made = reader.0.table_exists(None, "batches")?;
    Ok(if made { Box::new(reader) } else { Box::new(Nothing) })
}

/// A journal that is not made yet.
#[derive(Clone, Copy, Debug)]
struct Nothing;

impl JournalRead for Nothing {
    fn batches_after(&self, _: u64, _: usize) -> rusqlite::Result<Vec<Batch>> {
        Ok(Vec::new())
    }

    fn hash_of(&self, _: u64) -> rusqlite::Result<Option<[u8; 32]>> {
        Ok(None)
    }

    fn person(&self, _: &str) -> rusqlite::Result<Option<PersonRow>> {
        Ok(None)
    }

    fn each_person(&self, _: &mut dyn FnMut(PersonId, &str)) -> rusqlite::Result<()> {
        Ok(())
    }
}

impl JournalRead for JournalReader {
    fn batches_after(&self, number: u64, count_max: usize) -> rusqlite::Result<Vec<Batch>> {
        let mut statement = self.0.prepare_cached(
            "SELECT number, first_position, count, body, hash FROM batches
             WHERE number > ?1 ORDER BY number LIMIT ?2",
        )?;
        let rows = statement.query_map(params![number.cast_signed(), count_max as i64], |row| {
            Ok(Batch {
                number: row.get::<_, i64>(0)?.cast_unsigned(),
                first_position: row.get::<_, i64>(1)?.cast_unsigned(),
                count: row.get::<_, i64>(2)?.cast_unsigned(),
                body: Bytes::from(row.get::<_, Vec<u8>>(3)?),
                hash: row.get(4)?,
            })
        })?;
        rows.collect()
    }

    fn hash_of(&self, number: u64) -> rusqlite::Result<Option<[u8; 32]>> {
        self.0
            .query_row("SELECT hash FROM batches WHERE number = ?1", [number.cast_signed()], |row| row.get(0))
            .optional()
    }

    fn last_number(&self) -> rusqlite::Result<u64> {
        let last: Option<i64> = self.0.query_row("SELECT max(number) FROM batches", [], |row| row.get(0))?;
        Ok(last.unwrap_or(0).cast_unsigned())
    }

    fn person(&self, login: &str) -> rusqlite::Result<Option<PersonRow>> {
        let mut statement = self
            .0
            .prepare_cached("SELECT id, login, display_name, password_hash FROM people WHERE login = ?1")?;
        let row = statement.query_row([login], |row| {
            Ok(PersonRow {
                id: PersonId(row.get(0)?),
                login: row.get(1)?,
                display_name: row.get(2)?,
                password_hash: row.get(3)?,
            })
        });
        row.optional()
    }

    fn each_person(&self, each: &mut dyn FnMut(PersonId, &str)) -> rusqlite::Result<()> {
        let mut statement = self.0.prepare("SELECT id, login FROM people")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            each(PersonId(row.get(0)?), row.get_ref(1)?.as_str()?);
        }
        Ok(())
    }
}

/// The entries of a batch.
///
/// # Errors
/// [`ReadError::Malformed`].
pub fn entries_of(batch: &Batch) -> Result<Vec<Entry>, ReadError> {
    let malformed = || ReadError::Malformed(batch.number);
    let wire = pb::Batch::decode(batch.body.clone()).map_err(|_| malformed())?;
    if wire.entries.len() as u64 != batch.count {
        return Err(malformed());
    }
    wire.entries.into_iter().map(|entry| Entry::from_wire(entry).map_err(|_| malformed())).collect()
}
