//! Everything that can be derived from the journal and need not be in memory: history pages, and the index of
//! outcomes by key. Written behind, in large batches, each with its journal position in the same transaction;
//! deleted and rebuilt whenever it is missing, old or wrong.

mod demand;
mod handover;
mod life;
mod read;
mod rows;
mod segments;
mod write;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

pub use demand::{Demand, LAG_ENTRIES_MAX};
pub use handover::{Handed, Handover};
pub use life::Recorded;
pub use read::{ProjectionReader, StoredMovement};
use rusqlite::{Connection, ErrorCode, OptionalExtension};
pub use segments::LookupError;
use strife_faults::kill::{self, When};
use strife_seams::files;
use tokio::sync::watch;
use tokio::time::Instant;
pub use write::describe;

use crate::journal::connection::{configure, open_still};
use crate::journal::reader::{JournalRead, ReadError};
use crate::journal::{Chain, Checkpointer, OpenStore};
use write::Source;

/// The projections' file in a bank's data folder.
pub const FILE: &str = "projections.db";

const SCHEMA_VERSION: i64 = 5;

/// Batches of the journal that are projected in one transaction.
const BATCHES_PER_COMMIT_MAX: usize = 256;

/// Bytes of the journal's write-ahead log after which it is tidied, and how long it may wait for so many.
const TIDY_BYTES: usize = 4 << 20;
const TIDY_EVERY: Duration = Duration::from_secs(30);

/// What a commit writes into that log beside its batch: three pages of the tree at the most.
const COMMIT_BYTES: usize = 3 * 4_096;

/// Pages of the projections' own write-ahead log, 4 KiB each, after which SQLite moves them into the file.
const AUTOCHECKPOINT_PAGES: i64 = 8_192;

/// How long a full disk is left alone before it is tried again.
const DISK_FULL_PAUSE: Duration = Duration::from_millis(500);

const SCHEMA: &str = "
    CREATE TABLE progress (
        one INTEGER PRIMARY KEY CHECK (one = 1), batch INTEGER NOT NULL, position INTEGER NOT NULL,
        hash BLOB NOT NULL) STRICT;
    CREATE TABLE outcomes (
        id BLOB PRIMARY KEY, hash BLOB NOT NULL, statement BLOB NOT NULL, owed INTEGER NOT NULL,
        acknowledgement BLOB, payer_account TEXT NOT NULL, position INTEGER NOT NULL,
        order_bytes BLOB NOT NULL, payee_account TEXT, acknowledged_at_ms INTEGER,
        refunded INTEGER NOT NULL) STRICT, WITHOUT ROWID;
    CREATE TABLE voids (
        id BLOB NOT NULL, hash BLOB NOT NULL, statement BLOB NOT NULL, position INTEGER NOT NULL,
        PRIMARY KEY (id, hash)) STRICT, WITHOUT ROWID;
    CREATE TABLE promises (
        bank TEXT NOT NULL, id BLOB NOT NULL, hash BLOB NOT NULL, state INTEGER NOT NULL,
        acknowledgement BLOB, position INTEGER NOT NULL, order_bytes BLOB NOT NULL, payee_account TEXT,
        promised_at_ms INTEGER, promised_position INTEGER, refunded INTEGER NOT NULL,
        PRIMARY KEY (bank, id, hash)) STRICT, WITHOUT ROWID;
    CREATE TABLE requests (id BLOB PRIMARY KEY, account TEXT, position INTEGER NOT NULL) STRICT, WITHOUT ROWID;
    CREATE TABLE segments (
        of TEXT NOT NULL, bank TEXT NOT NULL, prefix BLOB NOT NULL, count INTEGER NOT NULL, sum BLOB NOT NULL,
        PRIMARY KEY (of, bank, prefix)) STRICT, WITHOUT ROWID;
    CREATE TABLE balances (account TEXT PRIMARY KEY, posted INTEGER NOT NULL) STRICT, WITHOUT ROWID;
    CREATE TABLE movements (
        account TEXT NOT NULL, position INTEGER NOT NULL, leg INTEGER NOT NULL, at_ms INTEGER NOT NULL,
        minor_units INTEGER NOT NULL, balance_after INTEGER NOT NULL, counterpart TEXT NOT NULL,
        memo TEXT NOT NULL, bank TEXT, id BLOB, kind TEXT NOT NULL, refund_bank TEXT, refund_id BLOB,
        PRIMARY KEY (account, position, leg)) STRICT, WITHOUT ROWID;
";

/// Why projections cannot be kept.
#[derive(Debug, thiserror::Error)]
pub enum ProjectionError {
    /// SQLite said so.
    #[error("the projections cannot be kept: {0}")]
    Sqlite(#[from] rusqlite::Error),
    /// The journal cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The file could not be taken away to be rebuilt.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

impl ProjectionError {
    fn is_disk_full(&self) -> bool {
        let full = |error: &rusqlite::Error| error.sqlite_error_code() == Some(ErrorCode::DiskFull);
        match self {
            ProjectionError::Sqlite(error) | ProjectionError::Read(ReadError::Sqlite(error)) => full(error),
            _ => false,
        }
    }
}

/// Keeps the projections of one bank.
#[derive(Debug)]
pub struct Projector {
    journal: Box<dyn JournalRead>,
    checkpointer: Option<Checkpointer>,
    connection: Connection,
    network: String,
    /// The journal's chain as far as it is projected: each batch that was read was found to continue it, and each that
    /// was handed over had just been written.
    chain: Chain,
    progress: watch::Sender<u64>,
    demand: Arc<Demand>,
    handover: Arc<Handover>,
    /// About so many bytes were written into the journal's write-ahead log since it was tidied.
    untidied: usize,
    tidied_at: Instant,
}

impl Projector {
    /// Opens the projections of a data folder, or begins them anew where they are missing, of another schema, not of
    /// this journal, or not what was projected.
    ///
    /// # Errors
    /// [`ProjectionError`].
    pub fn open(dir: &Path, stores: &dyn OpenStore, network: &str) -> Result<Self, ProjectionError> {
        let journal = stores.reader(dir)?;
        let path = dir.join(FILE);
        let (connection, chain) = match open_file(&path, journal.as_ref()) {
            Ok(Some(opened)) => opened,
            found => {
                if path.exists() {
                    let why = found.err().map(|error| error.to_string());
                    tracing::warn!(
                        target: "strife::daemon",
                        file = %path.display(), why = why.unwrap_or_else(|| "of another schema or journal, or damaged".into()),
                        "the projections are made anew"
                    );
                }
                remove(&path)?;
                (create(&path)?, Chain::default())
            }
        };
        Ok(Self {
            journal,
            checkpointer: stores.checkpointer(dir)?,
            connection,
            network: network.to_owned(),
            progress: watch::Sender::new(chain.next_position - 1),
            chain,
            demand: Arc::default(),
            handover: Arc::default(),
            untidied: 0,
            tidied_at: Instant::now(),
        })
    }

    /// Where those say so who wait for the projections.
    pub fn demand(&self) -> Arc<Demand> {
        self.demand.clone()
    }

    /// Where the writer leaves what is durable.
    pub fn handover(&self) -> Arc<Handover> {
        self.handover.clone()
    }

    /// Tells the journal position that the projections have reached.
    pub fn progress(&self) -> watch::Receiver<u64> {
        self.progress.subscribe()
    }

    /// Projects everything that the journal has.
    ///
    /// # Errors
    /// [`ProjectionError`]; above all a batch that does not continue the chain.
    pub fn catch_up(&mut self) -> Result<(), ProjectionError> {
        while self.step()? {}
        Ok(())
    }

    /// Projects one transaction's worth; `false` if nothing was left.
    fn step(&mut self) -> Result<bool, ProjectionError> {
        let mut batches: Vec<Source> = self
            .handover
            .take(self.chain.number, BATCHES_PER_COMMIT_MAX)
            .into_iter()
            .map(Source::Memory)
            .collect();
        if batches.is_empty() {
            let read = self.journal.batches_after(self.chain.number, BATCHES_PER_COMMIT_MAX)?;
            batches = read.into_iter().map(Source::Journal).collect();
        }
        if batches.is_empty() {
            return Ok(false);
        }
        kill::passes(When::Before, "write/projections");
        write::project(&mut self.connection, &self.network, &mut self.chain, &batches)?;
        kill::passes(When::After, "write/projections");
        self.untidied += batches.iter().map(|batch| batch.bytes() + COMMIT_BYTES).sum::<usize>();
        self.progress.send_replace(self.chain.next_position - 1);
        Ok(true)
    }

    /// Catches up soon after it is woken with the journal's newest position, at once if somebody waits for it, until the
    /// other end is dropped; then once more.
    ///
    /// # Errors
    /// [`ProjectionError`].
    pub async fn run(mut self, mut wake: watch::Receiver<u64>) -> Result<(), ProjectionError> {
        loop {
            let projected = *self.progress.borrow();
            // nobody wakes those who are behind
            let behind = *wake.borrow() > projected;
            let stop = match if behind { Ok(()) } else { wake.changed().await } {
                Ok(()) => self.demand.clone().is_left_alone(projected, &mut wake).await,
                Err(_) => true,
            };
            // a log-in is a commit without a batch
            self.untidied += COMMIT_BYTES;
            loop {
                // tidied after each step: under load there is always a next one
                match self.step().and_then(|more| self.tidy().map(|()| more).map_err(ProjectionError::from)) {
                    Ok(true) => {}
                    Ok(false) => break,
                    Err(error) if error.is_disk_full() && !stop => {
                        tracing::error!(target: "strife::daemon", %error, "no room for the projections; trying again");
                        tokio::time::sleep(DISK_FULL_PAUSE).await;
                    }
                    Err(error) => return Err(error),
                }
            }
            if stop {
                return Ok(());
            }
        }
    }

    /// Keeps the journal's write-ahead log short.
    fn tidy(&mut self) -> rusqlite::Result<()> {
        if self.untidied < TIDY_BYTES && self.tidied_at.elapsed() < TIDY_EVERY {
            return Ok(());
        }
        (self.untidied, self.tidied_at) = (0, Instant::now());
        self.checkpointer.as_ref().map_or(Ok(()), Checkpointer::run)
    }
}

/// Projections of a journal in a file of their own, to compare others with them and to look things up.
#[derive(Debug)]
pub struct Scratch {
    connection: Connection,
    network: String,
    chain: Chain,
}

impl Scratch {
    /// Begins with nothing, in a file that is not there yet.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn create(path: &Path, network: &str) -> rusqlite::Result<Self> {
        Ok(Self { connection: create(path)?, network: network.to_owned(), chain: Chain::default() })
    }

    /// Projects the batches that are not projected yet, up to one.
    ///
    /// # Errors
    /// [`ProjectionError`].
    pub fn project(&mut self, journal: &dyn JournalRead, last: u64) -> Result<&Connection, ProjectionError> {
        while self.chain.number < last {
            let mut batches = journal.batches_after(self.chain.number, BATCHES_PER_COMMIT_MAX)?;
            batches.retain(|batch| batch.number <= last);
            if batches.is_empty() {
                break;
            }
            let batches: Vec<Source> = batches.into_iter().map(Source::Journal).collect();
            write::project(&mut self.connection, &self.network, &mut self.chain, &batches)?;
        }
        Ok(&self.connection)
    }

    /// For look-ups in what is projected.
    pub fn into_reader(self) -> ProjectionReader {
        ProjectionReader::over(self.connection, self.network)
    }
}

/// They can be made anew: nothing of theirs is synced for its own sake.
fn configure_own(connection: &Connection) -> rusqlite::Result<()> {
    configure(connection, "NORMAL")?;
    connection.pragma_update(None, "wal_autocheckpoint", AUTOCHECKPOINT_PAGES)
}

fn create(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open(path)?;
    configure_own(&connection)?;
    connection.execute_batch(SCHEMA)?;
    connection.execute("INSERT INTO progress VALUES (1, 0, 0, ?1)", [[0u8; 32]])?;
    connection.pragma_update(None, "user_version", SCHEMA_VERSION)?;
    Ok(connection)
}

/// The last batch that the projections of a folder have seen, with its hash; `None` if there are none that can say.
pub fn seen(dir: &Path) -> Option<(u64, [u8; 32])> {
    let path = dir.join(FILE);
    let connection = path.exists().then(|| open_still(&path).ok()).flatten()?;
    let schema: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0)).ok()?;
    if schema != SCHEMA_VERSION {
        return None;
    }
    let progress = connection.query_row("SELECT batch, hash FROM progress", [], |row| {
        Ok((row.get::<_, i64>(0)?.cast_unsigned(), row.get(1)?))
    });
    progress.ok()
}

/// The file, and the chain as far as it is projected; `None` if it is not of this schema and journal, or not what was
/// projected.
fn open_file(path: &Path, journal: &dyn JournalRead) -> rusqlite::Result<Option<(Connection, Chain)>> {
    if !path.exists() {
        return Ok(None);
    }
    let connection = Connection::open(path)?;
    configure_own(&connection)?;
    let schema: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    if schema != SCHEMA_VERSION {
        return Ok(None);
    }
    let progress: Option<(i64, i64, [u8; 32])> = connection
        .query_row("SELECT batch, position, hash FROM progress", [], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })
        .optional()?;
    let Some((batch, position, hash)) = progress else { return Ok(None) };
    let (number, position) = (batch.cast_unsigned(), position.cast_unsigned());
    let end = match number.checked_sub(1) {
        None => Chain::default(),
        Some(before) => match journal.batches_after(before, 1)?.pop() {
            Some(last) if last.number == number => Chain::after(&last),
            _ => return Ok(None),
        },
    };
    let same = (position.checked_add(1), hash) == (Some(end.next_position), end.hash);
    Ok((same && segments::newest_are_whole(&connection)?).then_some((connection, end)))
}

/// Takes the projections of a folder away, since what they say is not believed: the next start makes them anew.
///
/// # Errors
/// [`ProjectionError::File`].
pub fn discard(dir: &Path) -> Result<(), ProjectionError> {
    remove(&dir.join(FILE))
}

/// Takes the file and its write-ahead log away.
fn remove(path: &Path) -> Result<(), ProjectionError> {
    for suffix in ["", "-wal", "-shm"] {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        let path = PathBuf::from(name);
        if !path.exists() {
            continue;
        }
        files::remove("projections_anew", &path).map_err(|source| ProjectionError::File { path, source })?;
    }
    Ok(())
}
