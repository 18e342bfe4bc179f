//! The journal's file: SQLite, WAL, `synchronous=FULL`. Rows are appended in order and nothing else stands in
//! the hot commit. Details of people and sessions are rows beside it, written in the same commit, so that they
//! can be erased.

use std::path::{Path, PathBuf};
use std::time::Duration;

use aws_lc_rs::hmac;
use bytes::Bytes;
use rusqlite::{Connection, ErrorCode, OptionalExtension, Transaction, TransactionBehavior, params};
use strife_faults::kill::{self, When};
use strife_proto::signing;
use strife_seams::files;

use super::chain::Batch;
use super::connection::configure;
use super::mark::{self, Marker};
use super::reader::{self, JournalRead, JournalReader, entries_of};
use crate::ledger::PersonId;
use crate::ledger::state::{Own, SessionId};

/// The journal's file in a bank's data folder.
pub const FILE: &str = "journal.db";

/// Frames of the write-ahead log, 4 KiB each, past which it begins anew.
const LOG_FRAMES_MAX: i64 = 16_384;

/// How long readers are waited for then, while the writer waits too, in milliseconds.
const RESTART_WAIT_MS: u64 = 20;

/// The schema that this program reads and writes.
pub(crate) const SCHEMA_VERSION: i64 = 1;

const SCHEMA: &str = "
    CREATE TABLE meta (key TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT, WITHOUT ROWID;
    CREATE TABLE batches (
        number INTEGER PRIMARY KEY, first_position INTEGER NOT NULL, count INTEGER NOT NULL,
        body BLOB NOT NULL, hash BLOB NOT NULL) STRICT;
    CREATE TABLE people (
        id BLOB PRIMARY KEY, login TEXT NOT NULL UNIQUE, display_name TEXT NOT NULL,
        password_hash TEXT NOT NULL) STRICT, WITHOUT ROWID;
    CREATE TABLE sessions (
        id BLOB PRIMARY KEY, person BLOB NOT NULL, expires_at_ms INTEGER NOT NULL) STRICT, WITHOUT ROWID;
";

/// A person's row, which can be erased without breaking the chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PersonRow {
    /// Who.
    pub id: PersonId,
    /// Log-in name.
    pub login: String,
    /// For the screen.
    pub display_name: String,
    /// argon2id, PHC string.
    pub password_hash: String,
}

/// A change of a row beside the journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Row {
    /// A new person.
    Person(PersonRow),
    /// A new session.
    Session {
        /// Its id.
        id: SessionId,
        /// Whose.
        person: PersonId,
        /// By the bank's clock, milliseconds since the Unix epoch.
        expires_at_ms: i64,
    },
    /// A session's end.
    SessionEnded(SessionId),
}

impl Row {
    /// What it is called in lists.
    pub fn name(&self) -> &'static str {
        match self {
            Row::Person(_) => "person_row",
            Row::Session { .. } => "session",
            Row::SessionEnded(_) => "session_ended",
        }
    }
}

/// Why a batch is not durable.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// There is no room: nothing was written, and it can be tried again.
    #[error("there is no room for the journal: {0}")]
    Full(rusqlite::Error),
    /// Something else had the write lock for too long, as a checkpoint on a disk that stalls: nothing was written, and
    /// it can be tried again.
    #[error("the journal is held up: {0}")]
    HeldUp(rusqlite::Error),
    /// Nobody knows what was written: the process must end without an answer.
    #[error("the journal cannot be written: {0}")]
    Fatal(rusqlite::Error),
}

/// Why a journal cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// SQLite said so.
    #[error("{path}: {source}", path = path.display())]
    Sqlite {
        /// The file.
        path: PathBuf,
        /// Why.
        source: rusqlite::Error,
    },
    /// The folder belongs to another bank or network.
    #[error("{path} is the journal of {found}, not of {expected}", path = path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
        /// Whose it is.
        found: String,
        /// Whose it should be.
        expected: String,
    },
    /// Written by a newer program.
    #[error("{path} has schema {found}; this program knows {SCHEMA_VERSION}", path = path.display())]
    Schema {
        /// The file.
        path: PathBuf,
        /// Its schema.
        found: i64,
    },
    /// A commit would not be on the disk when it returns.
    #[error("{path} would not keep a commit through a loss of power: it has {found}, not {WANTED}", path = path.display())]
    NotDurable {
        /// The file.
        path: PathBuf,
        /// What the connection has.
        found: Durability,
    },
    /// Its mark cannot be written.
    #[error("{path}: {source}", path = path.display())]
    Mark {
        /// The mark's file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Somebody else reads it at this moment.
    #[error("{} is being read by another process", .0.display())]
    Busy(PathBuf),
    /// The system gave no random bytes for the key of the rows' digests.
    #[error("the system gave no random bytes")]
    Random,
}

/// How durable a commit is, read back from the connection that commits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Durability {
    /// As SQLite names it.
    pub journal_mode: String,
    /// As SQLite numbers it: 2 is `FULL`.
    pub synchronous: i64,
}

/// What a [`Durability`] must say, for a person to read.
const WANTED: &str = "journal_mode=wal synchronous=2";

impl std::fmt::Display for Durability {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "journal_mode={} synchronous={}", self.journal_mode, self.synchronous)
    }
}

impl Durability {
    /// Asks a connection. A pragma that cannot be followed is no error in SQLite, so only this tells.
    fn read_back(connection: &Connection) -> rusqlite::Result<Self> {
        Ok(Self {
            journal_mode: connection.query_row("PRAGMA journal_mode", [], |row| row.get(0))?,
            synchronous: connection.query_row("PRAGMA synchronous", [], |row| row.get(0))?,
        })
    }

    /// Whether a commit that has returned survives a loss of power.
    pub fn is_full(&self) -> bool {
        self.journal_mode == "wal" && self.synchronous == 2
    }
}

/// Where batches become durable, and where they are read again. A trait so that tests can lose power at any
/// point.
#[tonic::async_trait]
pub trait Store: Send + std::fmt::Debug {
    /// Appends a batch and changes rows beside it, all or nothing, and returns once it is on the disk.
    ///
    /// # Errors
    /// [`AppendError`].
    async fn write(&mut self, batch: &Batch, rows: &[Row]) -> Result<(), AppendError>;

    /// The same, past the kill points of what is written. This is what the writer calls.
    ///
    /// # Errors
    /// [`AppendError`].
    async fn append(&mut self, batch: &Batch, rows: &[Row]) -> Result<(), AppendError> {
        pass(When::Before, batch, rows);
        let written = self.write(batch, rows).await;
        pass(When::After, batch, rows);
        written
    }

    /// What the writer's own connection says about how durable [`Store::append`] is; `None` for a store that
    /// is not SQLite.
    ///
    /// # Errors
    /// What SQLite says.
    fn durability(&self) -> rusqlite::Result<Option<Durability>>;

    /// A keyed digest of a person's row, which is all that the chain carries of it.
    fn digest(&self, row: &PersonRow) -> Bytes;

    /// Every session, with whose it is and when it ends.
    ///
    /// # Errors
    /// What SQLite says.
    fn sessions(&self) -> rusqlite::Result<Vec<(SessionId, PersonId, i64)>>;

    /// Takes away sessions that have ended by a moment, milliseconds since the Unix epoch.
    ///
    /// # Errors
    /// What SQLite says.
    fn forget_sessions(&mut self, now_ms: i64) -> rusqlite::Result<()>;

    /// The same, past its kill points. This is what a start calls.
    ///
    /// # Errors
    /// What SQLite says.
    fn forget(&mut self, now_ms: i64) -> rusqlite::Result<()> {
        files::change("sessions_forgotten", || self.forget_sessions(now_ms))
    }
}

fn pass(when: When, batch: &Batch, rows: &[Row]) {
    if !kill::watched() {
        return;
    }
    for entry in entries_of(batch).unwrap_or_default() {
        kill::passes(when, &format!("write/{}", entry.kind.name()));
    }
    for row in rows {
        kill::passes(when, &format!("write/{}", row.name()));
    }
}

/// Opens a bank's store.
pub trait OpenStore: Send + Sync + std::fmt::Debug {
    /// The journal as it lies there, before opening it moves or makes anything: one without batches if there is none;
    /// `None` where opening moves and makes nothing.
    ///
    /// # Errors
    /// What SQLite says.
    fn before(&self, _dir: &Path) -> rusqlite::Result<Option<Box<dyn JournalRead>>> {
        Ok(None)
    }

    /// Opens or makes the journal of a data folder.
    ///
    /// # Errors
    /// [`OpenError`].
    fn open(&self, dir: &Path, own: &Own) -> Result<Box<dyn Store>, OpenError>;

    /// Another reader of the journal, once it is made.
    ///
    /// # Errors
    /// What SQLite says.
    fn reader(&self, dir: &Path) -> rusqlite::Result<Box<dyn JournalRead>>;

    /// What keeps the journal's file short, for a store that wants it.
    ///
    /// # Errors
    /// What SQLite says.
    fn checkpointer(&self, dir: &Path) -> rusqlite::Result<Option<Checkpointer>>;
}

/// The embedded store, [`SqliteStore`].
#[derive(Clone, Copy, Debug, Default)]
pub struct Sqlite;

impl OpenStore for Sqlite {
    fn before(&self, dir: &Path) -> rusqlite::Result<Option<Box<dyn JournalRead>>> {
        reader::before(dir).map(Some)
    }

    fn open(&self, dir: &Path, own: &Own) -> Result<Box<dyn Store>, OpenError> {
        Ok(Box::new(SqliteStore::open(dir, own)?))
    }

    fn reader(&self, dir: &Path) -> rusqlite::Result<Box<dyn JournalRead>> {
        Ok(Box::new(JournalReader::open(dir)?))
    }

    fn checkpointer(&self, dir: &Path) -> rusqlite::Result<Option<Checkpointer>> {
        Checkpointer::open(dir).map(Some)
    }
}

/// The embedded store.
#[derive(Debug)]
pub struct SqliteStore {
    connection: Connection,
    digest_key: Vec<u8>,
    marker: Marker,
}

impl SqliteStore {
    /// Opens or makes the journal of a data folder.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open(dir: &Path, own: &Own) -> Result<Self, OpenError> {
        let path = dir.join(FILE);
        let sqlite = |source| OpenError::Sqlite { path: path.clone(), source };
        let mut connection = Connection::open(&path).map_err(sqlite)?;
        configure(&connection, "FULL").map_err(sqlite)?;
        // large checkpoints stall the writer: `Checkpointer` runs them elsewhere
        connection.pragma_update(None, "wal_autocheckpoint", 0).map_err(sqlite)?;
        // what a killed process wrote may still be in the system's cache alone: on the disk before anybody is
        // answered from it
        connection
            .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, i64>(0))
            .map_err(sqlite)
            .and_then(|busy| if busy == 0 { Ok(()) } else { Err(OpenError::Busy(path.clone())) })?;
        let whose = own.to_string();
        let schema: i64 =
            connection.query_row("PRAGMA user_version", [], |row| row.get(0)).map_err(sqlite)?;
        match schema {
            0 => {
                let key = signing::random::<32>().map_err(|_| OpenError::Random)?;
                create(&mut connection, &whose, &key).map_err(sqlite)?;
            }
            SCHEMA_VERSION => {}
            found => return Err(OpenError::Schema { path, found }),
        }
        let meta = |key: &str| {
            connection
                .query_row("SELECT value FROM meta WHERE key = ?1", [key], |row| row.get::<_, Vec<u8>>(0))
                .map_err(sqlite)
        };
        let found = String::from_utf8_lossy(&meta("whose")?).into_owned();
        if found != whose {
            return Err(OpenError::Foreign { path, found, expected: whose });
        }
        let digest_key = meta("digest_key")?;
        must_be_durable(&connection, &path)?;
        let marker =
            Marker::open(dir).map_err(|source| OpenError::Mark { path: dir.join(mark::FILE), source })?;
        Ok(Self { connection, digest_key, marker })
    }
}

/// Refuses a connection whose commits would not last.
fn must_be_durable(connection: &Connection, path: &Path) -> Result<(), OpenError> {
    let found = Durability::read_back(connection)
        .map_err(|source| OpenError::Sqlite { path: path.to_owned(), source })?;
    if found.is_full() { Ok(()) } else { Err(OpenError::NotDurable { path: path.to_owned(), found }) }
}

#[tonic::async_trait]
impl Store for SqliteStore {
    async fn write(&mut self, batch: &Batch, rows: &[Row]) -> Result<(), AppendError> {
        append(&mut self.connection, batch, rows)?;
        if batch.count > 0 {
            self.marker.set(batch);
        }
        Ok(())
    }

    fn durability(&self) -> rusqlite::Result<Option<Durability>> {
        Durability::read_back(&self.connection).map(Some)
    }

    fn digest(&self, row: &PersonRow) -> Bytes {
        digest_of(&self.digest_key, row)
    }

    fn sessions(&self) -> rusqlite::Result<Vec<(SessionId, PersonId, i64)>> {
        let mut statement = self.connection.prepare("SELECT id, person, expires_at_ms FROM sessions")?;
        let rows = statement.query_map([], |row| Ok((row.get(0)?, PersonId(row.get(1)?), row.get(2)?)))?;
        rows.collect()
    }

    fn forget_sessions(&mut self, now_ms: i64) -> rusqlite::Result<()> {
        self.connection.execute("DELETE FROM sessions WHERE expires_at_ms <= ?1", [now_ms])?;
        Ok(())
    }
}

/// The keyed digest of a person's row.
pub(crate) fn digest_of(key: &[u8], row: &PersonRow) -> Bytes {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key);
    let mut context = hmac::Context::with_key(&key);
    for part in [row.login.as_bytes(), row.display_name.as_bytes(), row.password_hash.as_bytes()] {
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part);
    }
    Bytes::copy_from_slice(context.sign().as_ref())
}

fn append(connection: &mut Connection, batch: &Batch, rows: &[Row]) -> Result<(), AppendError> {
    let failed = |error: rusqlite::Error| match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => AppendError::Full(error),
        _ => AppendError::Fatal(error),
    };
    // here alone a lock can be waited for in vain: whoever has begun to write in a write-ahead log ends it
    let begun = connection.transaction_with_behavior(TransactionBehavior::Immediate);
    let transaction = begun.map_err(|error| match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy) => AppendError::HeldUp(error),
        _ => failed(error),
    })?;
    insert(transaction, batch, rows).map_err(failed)
}

fn insert(transaction: Transaction<'_>, batch: &Batch, rows: &[Row]) -> rusqlite::Result<()> {
    if batch.count > 0 {
        transaction
            .prepare_cached(
                "INSERT INTO batches (number, first_position, count, body, hash) VALUES (?1, ?2, ?3, ?4, ?5)",
            )?
            .execute(params![
                batch.number.cast_signed(),
                batch.first_position.cast_signed(),
                batch.count.cast_signed(),
                batch.body.as_ref(),
                batch.hash.as_slice(),
            ])?;
    }
    for row in rows {
        match row {
            Row::Person(person) => transaction
                .prepare_cached(
                    "INSERT INTO people (id, login, display_name, password_hash) VALUES (?1, ?2, ?3, ?4)",
                )?
                .execute(params![person.id.0, person.login, person.display_name, person.password_hash])?,
            Row::Session { id, person, expires_at_ms } => transaction
                .prepare_cached("INSERT INTO sessions (id, person, expires_at_ms) VALUES (?1, ?2, ?3)")?
                .execute(params![id, person.0, expires_at_ms])?,
            Row::SessionEnded(id) => {
                transaction.prepare_cached("DELETE FROM sessions WHERE id = ?1")?.execute(params![id])?
            }
        };
    }
    transaction.commit()
}

fn create(connection: &mut Connection, whose: &str, digest_key: &[u8]) -> rusqlite::Result<()> {
    let transaction = connection.transaction()?;
    transaction.execute_batch(SCHEMA)?;
    transaction.execute("INSERT INTO meta VALUES ('whose', ?1)", [whose.as_bytes()])?;
    transaction.execute("INSERT INTO meta VALUES ('digest_key', ?1)", [digest_key])?;
    transaction.pragma_update(None, "user_version", SCHEMA_VERSION)?;
    transaction.commit()
}

/// Moves the write-ahead log into the file, little and often, off the writer's thread.
#[derive(Debug)]
pub struct Checkpointer(Connection);

impl Checkpointer {
    /// Opens a connection for checkpoints alone.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn open(dir: &Path) -> rusqlite::Result<Self> {
        let connection = Connection::open(dir.join(FILE))?;
        configure(&connection, "FULL")?;
        connection.busy_timeout(Duration::from_millis(RESTART_WAIT_MS))?;
        Ok(Self(connection))
    }

    /// Moves what no reader needs any more, without waiting for anybody. A writer that never rests would make the log
    /// longer for ever, and the next start with it: past a length the log is made to begin anew. The writer waits while
    /// that is done, syncs of the file included, so it is done only where everything was just moved and next to nothing
    /// is left. If the disk stalls right then for longer than the writer waits, the writer asks to try again
    /// ([`AppendError::HeldUp`]).
    ///
    /// # Errors
    /// What SQLite says.
    pub fn run(&self) -> rusqlite::Result<()> {
        self.run_past(LOG_FRAMES_MAX).map(drop)
    }

    /// The same past a length of the log; tells whether it was made to begin anew.
    fn run_past(&self, frames_max: i64) -> rusqlite::Result<bool> {
        let passive = "PRAGMA wal_checkpoint(PASSIVE)";
        let moved = self.0.query_row(passive, [], |row| Ok((row.get::<_, i64>(1)?, row.get::<_, i64>(2)?)));
        let all = moved.optional()?.is_some_and(|(frames, moved)| frames > frames_max && frames == moved);
        if !all {
            return Ok(false);
        }
        // if somebody begins to read meanwhile, it is tried again with the next one
        let busy = self.0.query_row("PRAGMA wal_checkpoint(RESTART)", [], |row| row.get::<_, i64>(0));
        Ok(busy.optional()? == Some(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::Chain;
    use crate::ledger::state::BankName;

    fn open(dir: &Path) -> SqliteStore {
        let own = Own { bank: BankName::new("Bank1").unwrap(), network: "test".into() };
        SqliteStore::open(dir, &own).unwrap()
    }

    fn write(store: &mut SqliteStore, batch: &Batch) -> Result<(), AppendError> {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(store.write(batch, &[]))
    }

    #[test]
    fn a_write_lock_that_is_held_too_long_is_no_end_and_the_same_batch_can_be_tried_again() {
        let dir = tempfile::tempdir().unwrap();
        let mut store = open(dir.path());
        store.connection.busy_timeout(Duration::from_millis(30)).unwrap();
        let batch = Chain::default().extend(Bytes::from_static(b"one"), 1);
        let held = Connection::open(dir.path().join(FILE)).unwrap();
        held.execute_batch("BEGIN IMMEDIATE").unwrap();
        assert!(matches!(write(&mut store, &batch), Err(AppendError::HeldUp(_))));
        held.execute_batch("ROLLBACK").unwrap();
        write(&mut store, &batch).unwrap();
        let journal = JournalReader::open(dir.path()).unwrap();
        assert_eq!(journal.batches_after(0, 9).unwrap(), [batch]);
    }

    #[test]
    fn the_log_begins_anew_only_where_all_of_it_was_moved_without_holding_up_the_writer() {
        let dir = tempfile::tempdir().unwrap();
        let mut store = open(dir.path());
        let mut chain = Chain::default();
        let mut more = |store: &mut SqliteStore| {
            let batch = chain.extend(Bytes::from(vec![7; 9_000]), 1);
            write(store, &batch).unwrap();
            chain.advance(&batch).unwrap();
        };
        let checkpointer = Checkpointer::open(dir.path()).unwrap();
        more(&mut store);
        assert!(!checkpointer.run_past(1_000).unwrap(), "it is short");
        let reader = JournalReader::open(dir.path()).unwrap();
        reader.0.execute_batch("BEGIN; SELECT count(*) FROM batches").unwrap();
        more(&mut store);
        assert!(!checkpointer.run_past(1).unwrap(), "a reader needs what could not be moved");
        reader.0.execute_batch("COMMIT").unwrap();
        assert!(checkpointer.run_past(1).unwrap());
        more(&mut store);
        assert_eq!(reader.last_number().unwrap(), 3);
    }

    #[test]
    fn a_journal_whose_commits_would_not_last_is_refused_with_what_it_has() {
        // SQLite cannot follow the pragma here, and says so only when asked
        let connection = Connection::open_in_memory().unwrap();
        configure(&connection, "FULL").unwrap();
        let refused = must_be_durable(&connection, Path::new("journal.db")).unwrap_err().to_string();
        assert!(refused.contains("journal_mode=memory synchronous=2"), "{refused}");

        let dir = tempfile::tempdir().unwrap();
        let connection = Connection::open(dir.path().join(FILE)).unwrap();
        configure(&connection, "NORMAL").unwrap();
        let refused = must_be_durable(&connection, Path::new("journal.db")).unwrap_err().to_string();
        assert!(refused.contains("has journal_mode=wal synchronous=1, not"), "{refused}");
        configure(&connection, "FULL").unwrap();
        must_be_durable(&connection, Path::new("journal.db")).unwrap();
    }
}
